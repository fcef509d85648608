//! axum and the engine over real sockets: one in the other, either way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use apifrom::testing::TestClient;
use apifrom::{Api, Client, Peer, RequestId, Streaming, api, endpoints};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Path, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use super::Calls;
use crate::support::{self, Answer, Served, statuses};

static TAKEN: Calls = Calls::new();

/// What a test sends and a handler streams.
type Pieces = Receiver<Result<Bytes, Infallible>>;

fn axum_router() -> (Router, Sender<Result<Bytes, Infallible>>) {
    let (pieces, receiver) = channel::<Result<Bytes, Infallible>>(1);
    let receiver: Arc<Mutex<Option<Pieces>>> = Arc::new(Mutex::new(Some(receiver)));
    let router = Router::new()
        .route("/axum/{name}", get(greet))
        .route("/axum/whom", get(whom))
        .route("/axum/panic", get(panics))
        .route("/axum/later", get(panics_later))
        .route("/axum/teapot", get(|| async { StatusCode::IM_A_TEAPOT }))
        .route("/axum/own", get(own_not_found))
        .route("/axum/size", post(size))
        .route(
            "/axum/pieces",
            get(move || async move {
                let pieces = receiver.lock().unwrap().take().unwrap();
                Body::from_stream(ReceiverStream::new(pieces))
            }),
        );
    (router, pieces)
}

async fn greet(Path(name): Path<String>) -> String {
    format!("axum greets {name}")
}

async fn whom(Extension(client): Extension<Client>, Extension(id): Extension<RequestId>) -> String {
    format!("{client} {id}")
}

async fn panics() -> String {
    panic!("s3cret")
}

async fn panics_later() -> String {
    tokio::task::yield_now().await;
    panic!("s3cret")
}

async fn own_not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such thing").into_response()
}

async fn size(body: Bytes) -> String {
    TAKEN.count();
    body.len().to_string()
}

#[api(route = "/hello/{name}", method = "GET")]
async fn hello(name: String, client: Client) -> String {
    format!("Hello, {name} at {client}!")
}

#[api(route = "/breaks", method = "GET")]
fn breaks() -> String {
    panic!("s3cret")
}

#[api(route = "/count", method = "GET")]
fn count() -> Streaming<impl Stream<Item = Bytes>> {
    let pieces = ["one ", "two ", "three"].map(Bytes::from);
    Streaming::new(tokio_stream::iter(pieces))
}

fn merged(router: Router) -> impl FnOnce(Api) -> Api {
    |api| api.endpoints(endpoints![hello]).merge(router)
}

/// The members of a problem, its request id apart.
fn problem(answer: &Answer) -> (u16, Value) {
    assert!(
        answer
            .head
            .contains("content-type: application/problem+json\r\n"),
        "{}",
        answer.head
    );
    let mut body: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body["request_id"].as_str().is_some_and(|id| id.len() == 22));
    body["request_id"].take();
    (answer.status, body)
}

fn has_our_headers(answer: &Answer) {
    for name in ["x-request-id: ", "x-content-type-options: nosniff\r\n"] {
        assert_eq!(answer.head.matches(name).count(), 1, "{}", answer.head);
    }
}

#[test]
fn endpoints_and_a_merged_router_answer_beside_each_other() {
    let served = Served::api(merged(axum_router().0), |_| {});
    let mut client = served.connect();
    for (path, expected) in [
        ("/", "home"),
        ("/hello/Ada", "Hello, Ada at 127.0.0.1!"),
        ("/axum/Ada", "axum greets Ada"),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, expected));
        has_our_headers(&answer);
    }
    let answer = client.get("/axum/whom");
    let id = answer.head.split("x-request-id: ").nth(1).unwrap();
    let id = id.split("\r\n").next().unwrap();
    assert_eq!(
        answer.body.to_ascii_lowercase(),
        format!("127.0.0.1 {id}"),
        "the id that the client gets"
    );
    // What is decoded is what was sent, once.
    assert_eq!(client.get("/axum/a%2520b").body, "axum greets a%20b");
}

#[test]
fn there_is_one_404_and_one_405_on_both_sides_of_a_merge() {
    let plain = Served::with(|_| {});
    let served = Served::api(merged(axum_router().0), |_| {});
    let unmerged = problem(&plain.connect().get("/nothing"));
    assert_eq!(unmerged.0, 404);
    let mut client = served.connect();
    for path in ["/nothing", "/axum", "/axum/a/b", "/hello"] {
        let answer = client.get(path);
        assert_eq!(problem(&answer), unmerged, "{path}");
        has_our_headers(&answer);
    }

    let mut ask = |request: &str| {
        client.send(format!(
            "{request} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        ));
        client.answer()
    };
    let ours = ask("POST /hello/Ada");
    let theirs = ask("POST /axum/Ada");
    assert_eq!(problem(&ours).0, 405);
    assert_eq!(problem(&theirs), problem(&ours));
    for answer in [&ours, &theirs] {
        assert!(answer.head.contains("allow: "), "{}", answer.head);
        has_our_headers(answer);
    }
    // Without words of its own an error gets ours; what a handler says is left alone.
    let (status, body) = problem(&ask("GET /axum/teapot"));
    assert_eq!(
        (status, &body["title"]),
        (418, &Value::from("I'm a teapot"))
    );
    let own = ask("GET /axum/own");
    assert_eq!((own.status, own.body.as_str()), (404, "no such thing"));
    has_our_headers(&own);
}

#[test]
fn what_the_engine_refuses_does_not_reach_a_merged_service() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let router = Router::new().fallback(|| async {
        ASKED.fetch_add(1, Ordering::SeqCst);
        "asked"
    });
    let served = Served::api(
        |api| {
            api.merge(router)
                .configure(|config| config.trusted_hosts = vec!["a".into()])
        },
        |_| {},
    );
    assert_eq!(served.connect().get("/anything").body, "asked");
    assert_eq!(ASKED.swap(0, Ordering::SeqCst), 1);
    for (request, status) in [
        ("GET /a/../b HTTP/1.1\r\nHost: a", 400),
        ("GET /a/%2e%2e/b HTTP/1.1\r\nHost: a", 400),
        ("GET /a%00 HTTP/1.1\r\nHost: a", 400),
        ("GET /a HTTP/1.1\r\nHost: b", 400),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577",
            413,
        ),
    ] {
        let answer = served.exchange(format!("{request}\r\nConnection: close\r\n\r\n"));
        assert_eq!(statuses(&answer), [status], "{request}");
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 0);
}

#[test]
fn a_body_is_bounded_in_a_merged_service_too() {
    let served = Served::api(
        |api| {
            api.merge(axum_router().0)
                .configure(|config| config.max_body_size = 10)
        },
        |_| {},
    );
    let chunked = |size: usize| {
        let body = format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size));
        served.exchange(format!(
            "POST /axum/size HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\n\r\n{body}"
        ))
    };
    assert!(chunked(10).ends_with("\r\n\r\n10"));
    assert_eq!(TAKEN.taken(), 1);
    let refused = statuses(&chunked(11));
    assert!(refused == [400] || refused == [413], "{refused:?}");
    assert_eq!(TAKEN.taken(), 0);
}

#[test]
fn a_panic_in_a_merged_service_costs_its_request_alone() {
    let served = Served::api(merged(axum_router().0), |_| {});
    let mut client = served.connect();
    for path in ["/axum/panic", "/axum/later"] {
        let answer = client.get(path);
        let (status, body) = problem(&answer);
        assert_eq!(status, 500, "{body}");
        assert!(!answer.body.contains("s3cret"), "{}", answer.body);
        has_our_headers(&answer);
        assert_eq!(client.get("/axum/Ada").body, "axum greets Ada");
        assert_eq!(client.get("/").body, "home");
    }
    let failures = served.records.of("request_failed");
    assert_eq!(failures.len(), 2);
    assert!(failures.iter().all(|text| text.contains("s3cret")));
}

/// Reads from `client` until it got `text`.
fn read_until(client: &mut support::Client<std::net::TcpStream>, text: &str) {
    let mut read = String::new();
    while !read.contains(text) {
        let mut chunk = [0; 1024];
        let length = std::io::Read::read(&mut client.stream, &mut chunk).unwrap();
        assert!(length > 0, "closed after {read:?}");
        read.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
    }
}

#[test]
fn a_merged_service_streams_piece_by_piece() {
    let (router, pieces) = axum_router();
    let served = Served::api(merged(router), |_| {});
    let mut client = served.connect();
    client.send("GET /axum/pieces HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for piece in ["first", "second"] {
        // The next piece is made only once this one has arrived.
        pieces.blocking_send(Ok(Bytes::from(piece))).unwrap();
        read_until(&mut client, piece);
    }
    drop(pieces);
    assert!(client.rest().ends_with("0\r\n\r\n"));
}

#[test]
fn a_merged_service_answers_the_test_client() {
    let (router, pieces) = axum_router();
    let client = TestClient::new(merged(router)(Api::new()).build().unwrap());
    pieces.try_send(Ok(Bytes::from("all"))).unwrap();
    drop(pieces);
    assert_eq!(client.get("/axum/pieces").send().unwrap().text(), "all");
    assert_eq!(client.get("/axum/panic").send().unwrap().status(), 500);
    let head = client.request(http::Method::HEAD, "/axum/Ada");
    let answer = head.send().unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text()),
        (200, String::new())
    );
    assert_eq!(answer.header("content-length"), Some("15"));
}

/// Hands the engine the address that axum knows.
async fn name_peer(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = Arc::new(Peer::ip(address, false));
    request.extensions_mut().insert(peer);
    next.run(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_engine_serves_inside_axums_own_server() {
    let engine = Api::new()
        .endpoints(endpoints![hello, breaks, count])
        .build()
        .unwrap();
    let router = Router::new()
        .route("/axum", get(|| async { "from axum" }))
        .nest_service("/nested", engine.clone())
        .fallback_service(engine)
        .layer(from_fn(name_peer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });

    let asking = tokio::task::spawn_blocking(move || {
        let mut client = support::Client::tcp(address);
        assert_eq!(client.get("/axum").body, "from axum");
        for path in ["/hello/Ada", "/nested/hello/Ada"] {
            let answer = client.get(path);
            assert_eq!(answer.body, "Hello, Ada at 127.0.0.1!");
            has_our_headers(&answer);
        }
        let failed = client.get("/breaks");
        assert_eq!(problem(&failed).0, 500);
        assert!(!failed.body.contains("s3cret"));
        for path in ["/nothing", "/nested/nothing", "/nested"] {
            assert_eq!(problem(&client.get(path)).0, 404, "{path}");
        }
        client.send("GET /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let streamed = client.rest();
        for piece in [
            "4\r\none \r\n",
            "4\r\ntwo \r\n",
            "5\r\nthree\r\n",
            "0\r\n\r\n",
        ] {
            assert!(streamed.contains(piece), "{streamed}");
        }
    });
    asking.await.unwrap();
    serving.abort();
}

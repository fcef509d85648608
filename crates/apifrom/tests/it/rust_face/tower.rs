//! The engine in an axum router, and an axum router in the engine.

use std::convert::Infallible;
use std::sync::Arc;

use apifrom::{Api, Client, Engine, Peer, api, endpoints, testing::TestClient};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt;
use tower_service::Service;

#[api(route = "/hello/{name}", method = "GET")]
async fn hello(name: String, client: Client) -> String {
    format!("Hello, {name} at {client}!")
}

#[api(route = "/size", method = "POST", max_body_size = 3)]
fn size(body: bytes::Bytes) -> usize {
    body.len()
}

fn engine() -> Engine {
    Api::new()
        .endpoints(endpoints![hello, size])
        .build()
        .unwrap()
}

async fn ask(
    router: &mut Router,
    request: Request<Body>,
) -> Result<(u16, Option<String>, String), Infallible> {
    let answer = Service::call(router, request).await?;
    let id = answer.headers().get("x-request-id");
    let id = id.map(|id| id.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Ok((status, id, String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test]
async fn an_axum_router_holds_an_engine() {
    let mut router = Router::new()
        .route("/axum", get(|| async { "from axum" }))
        .nest_service("/api", engine())
        .fallback_service(engine());
    let request = |target: &str| Request::builder().uri(target).header("host", "a");

    let (status, id, body) = ask(&mut router, request("/axum").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!((status, id, body.as_str()), (200, None, "from axum"));
    for target in ["/hello/Ada", "/api/hello/Ada"] {
        let asked = request(target).body(Body::empty()).unwrap();
        let (status, id, body) = ask(&mut router, asked).await.unwrap();
        assert_eq!((status, body.as_str()), (200, "Hello, Ada at 127.0.0.1!"));
        assert!(id.is_some());
    }
    let peer = Arc::new(Peer::ip("192.0.2.7:1".parse().unwrap(), false));
    let asked = request("/hello/Ada")
        .extension(peer)
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        ask(&mut router, asked).await.unwrap().2,
        "Hello, Ada at 192.0.2.7!"
    );
    let asked = request("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(ask(&mut router, asked).await.unwrap().0, 404);
    let asked = request("/size")
        .method("POST")
        .body(Body::from("abcd"))
        .unwrap();
    assert_eq!(ask(&mut router, asked).await.unwrap().0, 413);
    let asked = request("/size")
        .method("POST")
        .body(Body::from("abc"))
        .unwrap();
    assert_eq!(ask(&mut router, asked).await.unwrap().2, "3");
}

#[test]
fn an_engine_holds_an_axum_router() {
    let router = Router::new().route(
        "/axum/{name}",
        get(|Path(name): Path<String>| async move { format!("axum greets {name}") }),
    );
    let api = Api::new().endpoints(endpoints![hello]).merge(router);
    let client = TestClient::new(api.build().unwrap());
    let answer = client.get("/axum/Ada").send().unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text()),
        (200, "axum greets Ada".into())
    );
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        client.get("/hello/Ada").send().unwrap().text(),
        "Hello, Ada at 127.0.0.1!"
    );
    assert_eq!(client.get("/axum").send().unwrap().status(), 404);
    assert_eq!(client.post("/hello/Ada").send().unwrap().status(), 405);
}

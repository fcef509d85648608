//! How long answers may take to begin.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apifrom::middleware::{Cors, SecurityHeaders, Timeout, timeout};
use apifrom::testing::TestClient;
use apifrom::{
    After, Api, Body, EndpointSpec, IntoResponse, Middleware, Next, Notes, Reply, Request,
    Response, Streaming, api, endpoints,
};
use tokio_stream::StreamExt as _;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(20);

/// Counts those that were given up.
struct Watched(Arc<AtomicUsize>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// An endpoint that never answers, and how often it was given up.
fn never() -> (EndpointSpec, Arc<AtomicUsize>) {
    let given_up = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&given_up);
    let handler = Arc::new(move |_: Request| {
        let watched = Watched(Arc::clone(&counted));
        Reply::wait(async move {
            let _watched = watched;
            pending().await
        })
    });
    let spec = EndpointSpec::new("never", "/never", ["GET"], move |_| Some(handler));
    (spec, given_up)
}

#[api(route = "/at-once", method = "GET")]
fn at_once() -> &'static str {
    "here"
}

#[timeout(Timeout::new(LONG))]
#[api(route = "/patient", method = "GET")]
async fn patient() -> &'static str {
    tokio::time::sleep(3 * SHORT).await;
    "late"
}

#[api(route = "/stream", method = "GET")]
fn stream() -> Streaming<impl futures_core::Stream<Item = String>> {
    let pieces = tokio_stream::iter(["a", "b", "c"]).then(|piece| async move {
        tokio::time::sleep(SHORT).await;
        piece.to_owned()
    });
    Streaming::new(pieces)
}

#[test]
fn what_does_not_begin_in_time_is_503_and_given_up() {
    let (never, given_up) = never();
    let api = Api::new()
        .add_middleware(Timeout::new(SHORT))
        .add_middleware(SecurityHeaders::new())
        .add_middleware(Cors::new().allow_origins(["https://page.example"]))
        .endpoints([never]);
    let client = TestClient::new(api.build().unwrap());
    let begin = Instant::now();
    let request = client
        .get("/never")
        .header("origin", "https://page.example");
    let answer = request.send().unwrap();
    assert!(begin.elapsed() >= SHORT && begin.elapsed() < LONG);
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("deadline_exceeded"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    // It goes the whole way out.
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://page.example"));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(given_up.load(Ordering::SeqCst), 1);
}

#[test]
fn what_begins_in_time_may_take_longer_to_end() {
    let api = Api::new()
        .add_middleware(Timeout::new(2 * SHORT))
        .endpoints(endpoints![at_once, patient, stream]);
    let client = TestClient::new(api.build().unwrap());
    assert_eq!(client.get("/at-once").send().unwrap().text(), "here");
    assert_eq!(client.get("/stream").send().unwrap().text(), "abc");
    // The endpoint's own time stands in place of the API's.
    assert_eq!(client.get("/patient").send().unwrap().text(), "late");
}

#[test]
fn an_endpoint_may_be_hurried_alone() {
    let (never, given_up) = never();
    let api = Api::new()
        .endpoints([never.timeout(Timeout::new(SHORT))])
        .endpoints(endpoints![at_once]);
    let client = TestClient::new(api.build().unwrap());
    assert_eq!(client.get("/never").send().unwrap().status(), 503);
    assert_eq!(given_up.load(Ordering::SeqCst), 1);
    assert_eq!(client.get("/at-once").send().unwrap().status(), 200);
}

#[test]
fn a_body_that_does_not_come_counts() {
    let handler = Arc::new(|mut request: Request| {
        Reply::wait(async move { request.body().read().await?.into_response() })
    });
    let spec = EndpointSpec::new("echo", "/", ["POST"], move |_| Some(handler));
    let engine = Api::new()
        .add_middleware(Timeout::new(SHORT))
        .endpoints([spec])
        .build()
        .unwrap();
    let (head, ()) = http::Request::post("http://example.com/")
        .header("content-length", "10")
        .body(())
        .unwrap()
        .into_parts();
    let silent = http_body_util::StreamBody::new(tokio_stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, std::io::Error>,
    >());
    let address = "192.0.2.1:4000".parse().unwrap();
    let call = engine.call(
        head,
        Body::stream(silent),
        Arc::new(apifrom::Peer::ip(address, false)),
    );
    // No runtime is needed for it.
    let answer = blocked_on(call);
    assert_eq!(answer.status(), 503);
}

/// Polls on this thread alone, which has no runtime.
fn blocked_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(&waker);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::park();
    }
}

/// Middleware that never goes on, or never lets an answer go.
struct Stuck {
    on_the_way_out: bool,
}

impl Middleware for Stuck {
    fn surrounds_handlers(&self) -> bool {
        !self.on_the_way_out
    }

    fn watches_answers(&self) -> bool {
        self.on_the_way_out
    }

    fn around(&self, _: Request, _: Next) -> Reply {
        Reply::wait(pending())
    }

    fn after(&self, _: &Notes, _: Response) -> After {
        After::wait(pending())
    }
}

#[test]
fn own_middleware_counts_on_both_ways() {
    for on_the_way_out in [false, true] {
        let api = Api::new()
            .add_middleware(Timeout::new(SHORT))
            .add_middleware(Stuck { on_the_way_out })
            .endpoints(endpoints![at_once]);
        let client = TestClient::new(api.build().unwrap());
        let answer = client.get("/at-once").send().unwrap();
        assert_eq!(answer.status(), 503, "{on_the_way_out}");
    }
}

#[test]
fn times_that_cannot_be_meant_are_named() {
    let (never, _) = never();
    let api = Api::new()
        .add_middleware(Timeout::new(Duration::ZERO))
        .endpoints([never.timeout(Timeout::new(Duration::from_hours(25)))]);
    let found = api.build().unwrap_err();
    let found: Vec<_> = found.iter().map(|error| error.path().to_owned()).collect();
    assert_eq!(found, ["timeout.seconds", "routes.never.timeout.seconds"]);
    for good in [Duration::from_nanos(1), Duration::from_hours(24)] {
        Api::new()
            .add_middleware(Timeout::new(good))
            .build()
            .unwrap();
    }
}

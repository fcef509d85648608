//! What handlers return.

use std::pin::Pin;
use std::task::{Context, Poll};

use apifrom::{
    Api, IntoResponse, Json, Problem, Rejection, Response, ResponseBody, Serialize, Streaming, api,
    endpoints, testing::TestClient,
};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, StatusCode};

use super::client;

#[derive(Serialize)]
struct Book {
    title: &'static str,
}

#[api(route = "/text", method = "GET")]
fn text() -> &'static str {
    "text"
}

#[api(route = "/nothing", method = "GET")]
fn nothing() {}

#[api(route = "/plain", method = "GET")]
fn plain() -> Book {
    Book { title: "SICP" }
}

#[api(route = "/maybe", method = "GET")]
fn maybe(there: bool) -> Option<Book> {
    there.then_some(Book { title: "TAOCP" })
}

#[api(route = "/created", method = "POST")]
async fn created() -> Result<(StatusCode, HeaderMap, Json<Book>), Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(
        "location",
        "/books/1".parse().map_err(|_| Problem::new(500))?,
    );
    Ok((StatusCode::CREATED, headers, Json(Book { title: "K&R" })))
}

#[api(route = "/raw", method = "GET")]
fn raw() -> Response {
    Response::new(ResponseBody::full("raw"))
}

#[test]
fn values_are_sent_as_what_they_are() {
    let client = client(endpoints![text, nothing, plain, maybe, created, raw]);
    let get = |target: &str| {
        let answer = client.get(target).send().unwrap();
        let content_type = answer.header("content-type").unwrap_or("").to_owned();
        (answer.status().as_u16(), content_type, answer.text())
    };
    assert_eq!(
        get("/text"),
        (200, "text/plain; charset=utf-8".into(), "text".into())
    );
    assert_eq!(get("/nothing"), (204, String::new(), String::new()));
    assert_eq!(
        get("/plain"),
        (200, "application/json".into(), r#"{"title":"SICP"}"#.into())
    );
    assert_eq!(get("/maybe?there=true").0, 200);
    assert_eq!(get("/maybe?there=false").0, 404);
    assert_eq!(get("/raw"), (200, String::new(), "raw".into()));
    let answer = client.post("/created").send().unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.header("location"), Some("/books/1"));
    assert_eq!(answer.text(), r#"{"title":"K&R"}"#);
}

enum Failure {
    Taken,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Result<Response, Rejection> {
        match self {
            Self::Taken => Problem::new(409).detail("taken").into_response(),
        }
    }
}

#[api(route = "/problem", method = "GET")]
fn problem(how: String) -> Result<Book, Problem> {
    match how.as_str() {
        "ok" => Ok(Book { title: "GEB" }),
        _ => Err(Problem::new(404).detail("no such book")),
    }
}

#[api(route = "/own", method = "GET")]
async fn own_error() -> Result<String, Failure> {
    Err(Failure::Taken)
}

#[api(route = "/mistaken", method = "GET")]
fn mistaken() -> Result<String, String> {
    Err("s3cret".into())
}

#[api(route = "/panics", method = "GET")]
fn panics() -> String {
    panic!("s3cret")
}

#[test]
fn errors_are_problems_and_never_successes() {
    let client = client(endpoints![problem, own_error, mistaken, panics]);
    assert_eq!(client.get("/problem?how=ok").send().unwrap().status(), 200);
    let answer = client.get("/problem?how=x").send().unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let body: serde_json::Value = answer.json().unwrap();
    assert_eq!(body["detail"], "no such book");
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(client.get("/own").send().unwrap().status(), 409);
    for failing in ["/mistaken", "/panics"] {
        let answer = client.get(failing).send().unwrap();
        assert_eq!(answer.status(), 500);
        assert!(!answer.text().contains("s3cret"));
    }
}

/// Counts down, then ends or fails.
struct Countdown(u8, bool);

impl Stream for Countdown {
    type Item = Result<String, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0 == 0 {
            return Poll::Ready(self.1.then(|| Err(std::io::Error::other("broken"))));
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(self.0.to_string())))
    }
}

#[api(route = "/stream", method = "GET")]
fn stream(fails: bool) -> Streaming<Countdown> {
    Streaming::new(Countdown(3, fails))
}

#[api(route = "/events", method = "GET")]
async fn events() -> Streaming<impl Stream<Item = Bytes>> {
    let pieces = [Bytes::from("data: 1\n\n"), Bytes::from("data: 2\n\n")];
    Streaming::new(tokio_stream::iter(pieces))
        .content_type(http::HeaderValue::from_static("text/event-stream"))
}

#[test]
fn streams_are_sent_piece_by_piece_and_may_break_off() {
    let client = client(endpoints![stream, events]);
    let answer = client.get("/stream?fails=false").send().unwrap();
    assert_eq!(answer.text(), "210");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("content-length"), None);
    assert!(client.get("/stream?fails=true").send().is_err());
    let answer = client.get("/events").send().unwrap();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.text(), "data: 1\n\ndata: 2\n\n");
}

#[tokio::test]
async fn the_client_answers_inside_a_runtime_as_well() {
    let engine = Api::new().endpoints(endpoints![text]).build().unwrap();
    let client = TestClient::new(engine);
    assert_eq!(client.get("/text").await.unwrap().text(), "text");
    assert_eq!(client.get("/text").send().unwrap().text(), "text");
    assert!(client.get("no path").await.is_err());
    assert!(client.get("/").header("a", "b\n").await.is_err());
}

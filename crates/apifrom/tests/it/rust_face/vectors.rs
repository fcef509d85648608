//! The table of requests that both faces answer alike, asked in process, through tower, and over a
//! socket.

use std::fmt::Write as _;

use apifrom::extract::convert::{Constraints, ConvertError, ScalarKind};
use apifrom::testing::TestClient;
use apifrom::{
    Api, Cookie, Deserialize, Engine, Form, FromParameter, Header, JsonSchema, Query, Serialize,
    Validate, api, endpoints,
};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

use super::Calls;
use crate::support::Served;

static CALLS: Calls = Calls::new();

#[derive(Deserialize, Serialize, JsonSchema, Validate)]
struct User {
    #[validate(length(min = 2, max = 50))]
    name: String,
    #[validate(range(min = 18, max = 120))]
    age: i64,
}

#[derive(Serialize)]
struct Limit(i64);

impl FromParameter for Limit {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        let limit = i64::from_parameter(text)?;
        let at_most = Constraints {
            le: Some(100.into()),
            ..Constraints::default()
        };
        at_most.check(&ScalarKind::Int.read(text)?)?;
        Ok(Self(limit))
    }
}

#[api(route = "/items/{item_id}", method = "GET")]
fn item(item_id: i64, q: Option<String>, #[default(Limit(10))] limit: Limit) -> Value {
    CALLS.count();
    json!({"item_id": item_id, "q": q, "limit": limit})
}

#[api(route = "/flags", method = "GET")]
async fn flags(flag: bool, ratio: f64) -> Value {
    CALLS.count();
    json!({"flag": flag, "ratio": ratio})
}

#[api(route = "/tags", method = "GET")]
fn tags(#[default(Vec::new())] tag: Vec<i64>) -> Vec<i64> {
    CALLS.count();
    tag
}

#[derive(Deserialize, Serialize, JsonSchema, Validate)]
struct Labels {
    #[validate(length(min = 2, max = 3))]
    label: Vec<String>,
}

#[api(route = "/labels", method = "GET")]
fn labels(Query(labels): Query<Labels>) -> Vec<String> {
    CALLS.count();
    labels.label
}

#[api(route = "/who", method = "GET")]
fn who(x_token: Header<String>, session: Cookie<Option<String>>) -> Value {
    CALLS.count();
    json!({"token": x_token.0, "session": session.0})
}

#[api(route = "/files/{*rest}", method = "GET")]
fn files(rest: &str) -> Value {
    CALLS.count();
    json!({"rest": rest})
}

#[api(route = "/users", method = "POST")]
fn create(user: User) -> User {
    CALLS.count();
    user
}

#[api(route = "/small", method = "POST", max_body_size = 23)]
async fn small(user: User) -> User {
    CALLS.count();
    user
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Person {
    name: String,
    age: i64,
}

#[api(route = "/form", method = "POST")]
fn form(Form(person): Form<Person>) -> Person {
    CALLS.count();
    person
}

#[api(route = "/boom", method = "GET")]
fn boom() -> Value {
    CALLS.count();
    panic!("password is hunter2")
}

fn with_endpoints(api: Api) -> Api {
    api.endpoints(endpoints![
        item, flags, tags, labels, who, files, create, small, form, boom
    ])
}

fn engine() -> Engine {
    with_endpoints(Api::new()).build().unwrap()
}

fn cases() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/requests.json"
    );
    let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    table["cases"].as_array().unwrap().clone()
}

fn method(case: &Value) -> &str {
    case["method"].as_str().unwrap_or("GET")
}

fn body(case: &Value) -> Option<String> {
    match &case["body"] {
        Value::Null => None,
        Value::String(body) => Some(body.clone()),
        repeated => {
            let times = usize::try_from(repeated["times"].as_u64().unwrap()).unwrap();
            Some(repeated["repeat"].as_str().unwrap().repeat(times))
        }
    }
}

fn headers(case: &Value) -> Vec<(String, String)> {
    let given = case["headers"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut headers: Vec<_> = given.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    if let Some(content_type) = case["type"].as_str() {
        headers.push(("Content-Type".into(), content_type.into()));
    }
    headers
}

/// An answer, however it came.
struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

fn judge(case: &Value, answer: &Answered) {
    let name = case["name"].as_str().unwrap();
    let Answered { status, body, .. } = answer;
    let calls = CALLS.taken();
    assert_eq!(
        u64::from(*status),
        case["status"].as_u64().unwrap(),
        "{name}: {body}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    assert!(answer.header("x-request-id").len() >= 8, "{name}");
    for (header, value) in case["answered"].as_object().into_iter().flatten() {
        assert_eq!(answer.header(header), value.as_str().unwrap(), "{name}");
    }
    if (400..500).contains(status) {
        assert_eq!(calls, 0, "{name}: the handler ran");
    }
    if case["empty"] == true {
        return assert_eq!(body, "", "{name}");
    }
    let json = || serde_json::from_str::<Value>(body).unwrap();
    if !case["json"].is_null() {
        assert_eq!(json(), case["json"], "{name}");
    }
    if *status >= 400 {
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{name}"
        );
        let problem = json();
        assert_eq!(problem["status"], *status, "{name}");
        assert_eq!(
            problem["request_id"],
            answer.header("x-request-id"),
            "{name}"
        );
    }
    if let Some(errors) = case["errors"].as_array() {
        let problem = json();
        let found = problem["errors"].as_array().unwrap().iter();
        let found: Vec<Value> = found.map(|e| json!([e["loc"], e["type"]])).collect();
        assert_eq!(&found, errors, "{name}");
    }
    if let Some(hidden) = case["hides"].as_str() {
        assert!(!body.contains(hidden), "{name}");
    }
}

/// One test for the three, since they count the calls of the same handlers.
#[test]
fn the_vectors_hold_whatever_the_transport() {
    let client = TestClient::new(engine());
    for case in cases() {
        let mut request = client.request(
            Method::from_bytes(method(&case).as_bytes()).unwrap(),
            case["path"].as_str().unwrap(),
        );
        if let Some(body) = body(&case) {
            request = request.body(body);
        }
        for (name, value) in headers(&case) {
            request = request.another_header(&name, value);
        }
        let answer = request.send().unwrap();
        judge(
            &case,
            &Answered {
                status: answer.status().as_u16(),
                headers: texts(answer.headers()),
                body: answer.text(),
            },
        );
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut service = engine();
    for case in cases() {
        let mut request = Request::builder()
            .method(method(&case))
            .uri(case["path"].as_str().unwrap());
        for (name, value) in headers(&case) {
            request = request.header(name, value);
        }
        let request = request.header("host", "localhost");
        let request = request
            .body(Full::new(Bytes::from(body(&case).unwrap_or_default())))
            .unwrap();
        let answer = runtime
            .block_on(Service::call(&mut service, request))
            .unwrap();
        let (head, body) = answer.into_parts();
        let body = runtime.block_on(body.collect()).unwrap().to_bytes();
        judge(
            &case,
            &Answered {
                status: head.status.as_u16(),
                headers: texts(&head.headers),
                body: String::from_utf8_lossy(&body).into_owned(),
            },
        );
    }

    let served = Served::api(with_endpoints, |_| {});
    for case in cases() {
        let body = body(&case);
        let mut request = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            method(&case),
            case["path"].as_str().unwrap()
        );
        for (name, value) in headers(&case) {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if let Some(body) = &body {
            write!(request, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        request.push_str("\r\n");
        request.push_str(body.as_deref().unwrap_or_default());
        judge(&case, &parsed(&served.exchange(request)));
    }
}

fn texts(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

fn parsed(answer: &str) -> Answered {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answered {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

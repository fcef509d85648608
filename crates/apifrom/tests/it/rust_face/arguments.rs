//! Where arguments come from, and what is said when they cannot.

use std::sync::atomic::{AtomicI64, Ordering};

use apifrom::{
    Api, Body, Client, Cookie, Deserialize, Form, FromParameter, FromRequest, Header, JsonSchema,
    Path, Query, Rejection, Request, RequestId, Serialize, State, Validate, api, endpoints,
    extract::convert::ConvertError, testing::TestClient,
};
use bytes::Bytes;
use serde_json::json;

use super::{Calls, client, violations};

static SEARCHES: Calls = Calls::new();
static HEADS: Calls = Calls::new();
static OWN: Calls = Calls::new();
static BYTES: Calls = Calls::new();
static FILTERS: Calls = Calls::new();
static LOGINS: Calls = Calls::new();

#[api(route = "/users/{user_id}/files/{*rest}", method = "GET")]
fn by_path(rest: Path<String>, user_id: i64) -> String {
    format!("{user_id} {}", rest.0)
}

#[test]
fn captures_come_by_name_whatever_their_order() {
    let client = client(endpoints![by_path]);
    let answer = client.get("/users/7/files/a/b%20c").send().unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text()),
        (200, "7 a/b c".into())
    );
    let answer = client.get("/users/x/files/a").send().unwrap();
    assert_eq!(violations(&answer), ["path.user_id: int_parsing"]);
}

#[test]
fn an_endpoint_is_still_the_function_that_it_was() {
    assert_eq!(by_path(Path("a".into()), 7), "7 a");
}

#[derive(Debug, Serialize)]
struct Seen {
    limit: u8,
    q: Option<String>,
    tags: Vec<i64>,
    exact: bool,
    kind: Kind,
}

#[derive(Debug, Serialize, PartialEq)]
enum Kind {
    Old,
    New,
}

impl FromParameter for Kind {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        match text {
            "old" => Ok(Self::Old),
            "new" => Ok(Self::New),
            _ => Err(ConvertError::Pattern("old|new".into())),
        }
    }
}

#[api(route = "/search/{unused}", method = "GET")]
fn by_query(
    #[default(10)] limit: u8,
    q: Option<String>,
    #[name("tag")] tags: Vec<i64>,
    #[default(false)] exact: bool,
    #[default(Kind::New)] kind: Kind,
) -> Seen {
    SEARCHES.count();
    Seen {
        limit,
        q,
        tags,
        exact,
        kind,
    }
}

#[test]
fn scalars_and_lists_come_from_the_query() {
    let client = client(endpoints![by_query]);
    let answer = client
        .get("/search/x?q=a+b%26c&tag=1&tag=-2&limit=255&exact=1&kind=old&unknown=9")
        .send()
        .unwrap();
    assert_eq!(
        answer.json::<serde_json::Value>().unwrap(),
        json!({"limit": 255, "q": "a b&c", "tags": [1, -2], "exact": true, "kind": "Old"})
    );
    let answer = client.get("/search/x?tag=1").send().unwrap();
    assert_eq!(
        answer.json::<serde_json::Value>().unwrap(),
        json!({"limit": 10, "q": null, "tags": [1], "exact": false, "kind": "New"})
    );
    assert_eq!(SEARCHES.taken(), 2);
    // A query that names a capture never overwrites it, and all that is wrong is told at once.
    let answer = client
        .get("/search/x?limit=256&limit=1&tag=1&tag=x&exact=yes&kind=odd&q=1&q=2")
        .send()
        .unwrap();
    assert_eq!(
        violations(&answer),
        [
            "query.limit: duplicate",
            "query.q: duplicate",
            "query.tag.1: int_parsing",
            "query.exact: bool_parsing",
            "query.kind: string_pattern_mismatch",
        ]
    );
    let answer = client.get("/search/x?limit=256").send().unwrap();
    assert_eq!(
        violations(&answer),
        ["query.limit: int_parsing_size", "query.tag: missing"]
    );
    let answer = client.get("/search/x?tag=%zz").send().unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(SEARCHES.taken(), 0);
}

#[api(route = "/capture/{id}", method = "GET")]
fn capture_wins(id: i64) -> i64 {
    id
}

#[test]
fn a_query_never_overwrites_a_capture() {
    let client = client(endpoints![capture_wins]);
    assert_eq!(client.get("/capture/1?id=2").send().unwrap().text(), "1");
}

#[api(route = "/head", method = "GET")]
fn by_head(
    accept_language: Header<Option<String>>,
    #[name("X-Tries")] tries: Header<u8>,
    #[default("dark")] theme: Cookie<String>,
    #[name("X-Many")] many: Header<Option<Vec<String>>>,
) -> String {
    HEADS.count();
    format!(
        "{:?} {} {} {:?}",
        accept_language.0, *tries, theme.0, many.0
    )
}

#[test]
fn headers_and_cookies_come_by_their_names_on_the_wire() {
    let client = client(endpoints![by_head]);
    let answer = client
        .get("/head")
        .header("Accept-Language", "de")
        .header("x-tries", "3")
        .header("x-many", "a")
        .another_header("x-many", "b")
        .header("cookie", "a=b; theme=light")
        .send()
        .unwrap();
    assert_eq!(answer.text(), r#"Some("de") 3 light Some(["a", "b"])"#);
    let answer = client.get("/head").header("X-Tries", "0").send().unwrap();
    assert_eq!(answer.text(), "None 0 dark None");
    HEADS.taken();
    let answer = client
        .get("/head")
        .header("accept-language", "de")
        .another_header("accept-language", "en")
        .header("cookie", "theme=a; theme=b")
        .send()
        .unwrap();
    assert_eq!(
        violations(&answer),
        [
            "header.accept-language: duplicate",
            "header.X-Tries: missing",
            "cookie.theme: duplicate",
        ]
    );
    let answer = client
        .get("/head")
        .header("x-tries", b"\xff")
        .send()
        .unwrap();
    assert_eq!(violations(&answer), ["header.X-Tries: string_unicode"]);
    let answer = client
        .get("/head")
        .header("x-tries", "many")
        .another_header("x-tries", b"\xff")
        .send()
        .unwrap();
    assert_eq!(violations(&answer), ["header.X-Tries: string_unicode"]);
    assert_eq!(HEADS.taken(), 0);
}

#[api(route = "/state", method = "POST")]
async fn by_state(counter: State<AtomicI64>, by: i64) -> i64 {
    counter.fetch_add(by, Ordering::SeqCst) + by
}

#[test]
fn handlers_share_what_the_api_was_given() {
    let api = Api::new()
        .state(AtomicI64::new(40))
        .endpoints(endpoints![by_state]);
    let client = TestClient::new(api.build().unwrap());
    assert_eq!(client.post("/state?by=2").send().unwrap().text(), "42");
    assert_eq!(client.post("/state?by=-2").send().unwrap().text(), "40");
}

#[test]
fn an_api_without_the_state_that_a_handler_asks_for_does_not_start() {
    let errors = Api::new()
        .endpoints(endpoints![by_state])
        .build()
        .unwrap_err();
    let text = errors.to_string();
    assert!(text.contains("routes.by_state: asks for State<"), "{text}");
    assert!(text.contains("AtomicI64"), "{text}");
}

struct Agent(String);

impl FromRequest for Agent {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        let agent = request.head().headers.get("user-agent");
        let agent = agent.and_then(|agent| agent.to_str().ok());
        agent
            .map(|agent| Self(agent.to_owned()))
            .ok_or_else(|| Rejection::bad_request("no_agent", "say who you are"))
    }
}

#[api(route = "/own", method = "GET")]
fn by_own_type(agent: Agent, client: Client, id: RequestId, #[default(0)] n: u8) -> String {
    OWN.count();
    format!("{} {client} {} {n}", agent.0, id.as_str().len())
}

#[test]
fn a_type_of_the_program_takes_what_it_needs_or_refuses() {
    let client = client(endpoints![by_own_type]);
    let answer = client
        .get("/own")
        .header("user-agent", "me")
        .send()
        .unwrap();
    assert_eq!(answer.text(), "me 127.0.0.1 22 0");
    assert_eq!(OWN.taken(), 1);
    // Its refusal comes before what is merely invalid.
    let answer = client.get("/own?n=x").send().unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("urn:apifrom:problem:no_agent"));
    assert_eq!(OWN.taken(), 0);
}

#[api(route = "/request", methods = ["GET", "PUT"])]
async fn by_request(request: &Request, #[default(1)] n: u8) -> String {
    format!("{} {} {n}", request.head().method, request.head().uri)
}

#[api(route = "/read", method = "POST")]
async fn reads_itself(mut request: Request) -> Result<String, Rejection> {
    let body = request.body().read().await?;
    Ok(format!("{} bytes", body.len()))
}

#[api(route = "/bytes", method = "POST", max_body_size = 4)]
fn by_bytes(body: &Bytes) -> usize {
    BYTES.count();
    body.len()
}

#[api(route = "/stream", method = "POST")]
async fn by_stream(mut body: Body, request: Request) -> Result<String, Rejection> {
    let mut length = 0;
    while let Some(chunk) = body.chunk().await? {
        length += chunk.len();
    }
    Ok(format!("{} {length}", request.head().method))
}

#[test]
fn the_request_and_its_body_can_be_had_as_they_are() {
    let client = client(endpoints![by_request, reads_itself, by_bytes, by_stream]);
    assert_eq!(
        client.get("/request?n=2").send().unwrap().text(),
        "GET /request?n=2 2"
    );
    assert_eq!(
        client.put("/request").send().unwrap().text(),
        "PUT /request 1"
    );
    assert_eq!(
        client.post("/read").body("abc").send().unwrap().text(),
        "3 bytes"
    );
    assert_eq!(
        client.post("/bytes").body("abcd").send().unwrap().text(),
        "4"
    );
    assert_eq!(
        client.post("/stream").body("abcd").send().unwrap().text(),
        "POST 4"
    );
    BYTES.taken();
    assert_eq!(
        client.post("/bytes").body("abcde").send().unwrap().status(),
        413
    );
    assert_eq!(BYTES.taken(), 0);
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[validate(range(min = 1, max = 50))]
    page_size: u32,
    min_price: Option<f64>,
    #[serde(default)]
    tags: Vec<i32>,
    #[serde(default)]
    in_stock: bool,
    order: Option<Order>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Price,
    Name,
}

#[api(route = "/filter", method = "GET")]
fn by_query_group(filter: Query<Filter>, #[default(1)] page: u32) -> serde_json::Value {
    FILTERS.count();
    json!({"filter": filter.0, "page": page})
}

#[test]
fn a_query_can_be_one_type() {
    let client = client(endpoints![by_query_group]);
    let answer = client
        .get("/filter?pageSize=20&minPrice=1e2&tags=1&tags=2&inStock=1&order=name&page=3&x=y")
        .send()
        .unwrap();
    assert_eq!(
        answer.json::<serde_json::Value>().unwrap(),
        json!({"page": 3, "filter": {"pageSize": 20, "minPrice": 100.0, "tags": [1, 2],
            "inStock": true, "order": "name"}})
    );
    FILTERS.taken();
    let answer = client
        .get("/filter?minPrice=x&tags=1&tags=b&inStock=1&inStock=0&order=size&page=x")
        .send()
        .unwrap();
    assert_eq!(
        violations(&answer),
        [
            "query.pageSize: missing",
            "query.minPrice: float_parsing",
            "query.tags.1: int_parsing",
            "query.inStock: duplicate",
            "query.order: enum",
            "query.page: int_parsing",
        ]
    );
    let answer = client.get("/filter?pageSize=51").send().unwrap();
    assert_eq!(violations(&answer), ["query.pageSize: less_than_equal"]);
    assert_eq!(
        client.get("/filter?pageSize=%f").send().unwrap().status(),
        400
    );
    assert_eq!(FILTERS.taken(), 0);
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Login {
    #[validate(length(min = 2))]
    user: String,
    #[serde(default)]
    remember: bool,
}

#[api(route = "/login", method = "POST")]
fn by_form(login: Form<Login>) -> String {
    LOGINS.count();
    format!("{} {}", login.user, login.remember)
}

#[test]
fn a_form_is_read_by_its_type() {
    let client = client(endpoints![by_form]);
    let answer = client
        .post("/login")
        .form("user=Ada+L&remember=true")
        .send()
        .unwrap();
    assert_eq!(answer.text(), "Ada L true");
    LOGINS.taken();
    let answer = client
        .post("/login")
        .form("user=A&remember=maybe&admin=1")
        .send()
        .unwrap();
    assert_eq!(
        violations(&answer),
        [
            "form.admin: extra_forbidden",
            "form.user: string_too_short",
            "form.remember: bool_parsing",
        ]
    );
    let answer = client.post("/login").send().unwrap();
    assert_eq!(violations(&answer), ["form.user: missing"]);
    let answer = client
        .post("/login")
        .json(&json!({"user": "Ada"}))
        .send()
        .unwrap();
    assert_eq!(answer.status(), 415);
    assert_eq!(
        client
            .post("/login")
            .form("user=%")
            .send()
            .unwrap()
            .status(),
        400
    );
    assert_eq!(LOGINS.taken(), 0);
}

//! JSON bodies: what is read, and everything that is said of what is not.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use apifrom::{
    Deserialize, Json, JsonSchema, Serialize, Validate, ValidationError, api, endpoints,
    testing::{TestAnswer, TestClient},
};
use serde_json::{Value, json};

use super::{Calls, client, violations};

static SIGN_UPS: Calls = Calls::new();

#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
struct SignUp {
    #[validate(length(min = 2, max = 50))]
    name: String,
    #[validate(email)]
    email: String,
    #[validate(range(min = 18, max = 120))]
    age: i64,
    #[serde(skip_serializing)]
    #[validate(length(min = 8), custom(function = mixed_case))]
    password: String,
}

fn mixed_case(password: &str) -> Result<(), ValidationError> {
    if password.chars().any(char::is_uppercase) {
        return Ok(());
    }
    let message = "password must contain an uppercase letter";
    Err(ValidationError::new("value_error").with_message(message.into()))
}

#[api(route = "/sign-up", method = "POST")]
async fn sign_up(user: SignUp, #[default(1)] tries: u8) -> Json<Value> {
    SIGN_UPS.count();
    Json(json!({"id": tries, "name": user.name}))
}

fn good() -> Value {
    json!({"name": "Ada", "email": "ada@example.com", "age": 36, "password": "Enchantress"})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = good();
    body[field] = value;
    body
}

#[test]
fn a_body_that_is_right_reaches_the_handler() {
    let client = client(endpoints![sign_up]);
    let answer = client
        .post("/sign-up?tries=3")
        .json(&good())
        .send()
        .unwrap();
    assert_eq!(answer.text(), r#"{"id":3,"name":"Ada"}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = good().to_string();
    for content_type in [
        "application/json; charset=utf-8",
        "application/merge-patch+json",
    ] {
        let request = client.post("/sign-up").body(body.clone());
        let answer = request.header("content-type", content_type).send().unwrap();
        assert_eq!(answer.status(), 200);
    }
    SIGN_UPS.taken();

    let refused = |body: Value, expected: &[&str]| {
        let answer = client.post("/sign-up").json(&body).send().unwrap();
        assert_eq!(violations(&answer), expected, "{body}");
        assert_eq!(SIGN_UPS.taken(), 0);
    };
    // Each rule by its name, a bound by its last value on either side.
    assert_eq!(
        client
            .post("/sign-up")
            .json(&with("age", json!(18)))
            .send()
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        client
            .post("/sign-up")
            .json(&with("name", json!("Äd")))
            .send()
            .unwrap()
            .status(),
        200
    );
    SIGN_UPS.taken();
    refused(with("age", json!(17)), &["body.age: greater_than_equal"]);
    refused(with("age", json!(121)), &["body.age: less_than_equal"]);
    refused(with("age", json!("36")), &["body.age: int_type"]);
    refused(with("age", json!(36.0)), &["body.age: int_type"]);
    refused(with("age", json!(36.5)), &["body.age: int_type"]);
    refused(with("age", json!(null)), &["body.age: int_type"]);
    refused(with("name", json!("Ä")), &["body.name: string_too_short"]);
    refused(
        with("name", json!("x".repeat(51))),
        &["body.name: string_too_long"],
    );
    refused(with("email", json!("ada")), &["body.email: value_error"]);
    refused(
        with("password", json!("enchantress")),
        &["body.password: value_error"],
    );
    // As pydantic does, a field that is too short is not judged any further.
    refused(
        with("password", json!("short")),
        &["body.password: string_too_short"],
    );
    refused(json!([]), &["body: model_type"]);
    refused(json!(null), &["body: model_type"]);
    // serde would read these fields from an array.
    refused(
        json!(["Ada", "ada@example.com", 36, "Enchantress"]),
        &["body: model_type"],
    );
    // All of them at once, in the order of the fields, and what `Validate` alone knows.
    refused(
        json!({"password": "enchantress", "age": 7, "name": "A", "email": "no"}),
        &[
            "body.name: string_too_short",
            "body.email: value_error",
            "body.age: greater_than_equal",
            "body.password: value_error",
        ],
    );
    refused(
        json!({"age": true}),
        &[
            "body.name: missing",
            "body.email: missing",
            "body.age: int_type",
            "body.password: missing",
        ],
    );
}

#[test]
fn violations_of_head_and_body_stand_in_one_answer_that_quotes_nothing() {
    let client = client(endpoints![sign_up]);
    let body = json!({"name": "A", "email": "s3cret", "age": 36, "password": "s3cret"});
    let answer = client
        .post("/sign-up?tries=s3cret")
        .json(&body)
        .send()
        .unwrap();
    assert_eq!(
        violations(&answer),
        [
            "query.tries: int_parsing",
            "body.name: string_too_short",
            "body.email: value_error",
            "body.password: string_too_short",
        ]
    );
    assert!(!answer.text().contains("s3cret"), "{}", answer.text());
    let body: Value = answer.json().unwrap();
    assert_eq!(body["errors"][1]["msg"], "must have at least 2 characters");
    assert_eq!(body["errors"][2]["msg"], "must be an e-mail address");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );

    let answer = client.post("/sign-up?tries=x").send().unwrap();
    assert_eq!(
        violations(&answer),
        ["query.tries: int_parsing", "body: missing"]
    );
}

#[test]
fn what_is_no_json_never_reaches_a_type() {
    let client = client(endpoints![sign_up]);
    let status = |body: &str, content_type: &str| {
        let request = client.post("/sign-up").body(body.to_owned());
        let answer = request.header("content-type", content_type).send().unwrap();
        (answer.status().as_u16(), answer.text())
    };
    assert_eq!(status(&good().to_string(), "text/plain").0, 415);
    assert_eq!(status("{", "application/json").0, 400);
    assert_eq!(status("", "application/json").0, 400);
    assert_eq!(status(r#"{"age": NaN}"#, "application/json").0, 400);
    assert_eq!(status(r#"{"age": 1e999}"#, "application/json").0, 400);
    assert_eq!(status(r#"{"age": 1, "age": 2}"#, "application/json").0, 400);
    assert_eq!(status(r#"{"age": 1} "#, "application/json").0, 422);
    assert_eq!(status(r#"{"age": 1} 2"#, "application/json").0, 400);
    assert_eq!(status(r#"{"name": "\ud800"}"#, "application/json").0, 400);
    assert_eq!(status(&"[".repeat(70), "application/json").0, 413);
    let large = " ".repeat((1 << 20) + 1);
    assert_eq!(status(&large, "application/json").0, 413);
}

/// Constraints in the schema alone: no `Validate` looks at them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Guarded {
    #[schemars(length(min = 1), inner(length(max = 3)))]
    short_tags: Vec<String>,
    #[schemars(regex(pattern = "^[a-z]+$"))]
    slug: Option<String>,
    #[schemars(range(min = 0.5))]
    #[serde(rename = "kg")]
    weight: f32,
    small: Option<u8>,
    address: Address,
    others: Option<Vec<Address>>,
    host: Option<IpAddr>,
    #[serde(default)]
    labels: BTreeMap<String, i32>,
    colour: Option<Colour>,
    shape: Option<Shape>,
    #[serde(default)]
    set: HashSet<i32>,
    pair: Option<(i32, String)>,
    id: Option<Id>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Address {
    #[schemars(length(min = 2))]
    street: String,
    #[schemars(extend("multipleOf" = 10))]
    zip: u32,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Blue,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Shape {
    Circle { radius: f64 },
    Square { side: f64 },
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Name(String),
}

static GUARDED: Calls = Calls::new();

#[api(route = "/guarded", method = "POST")]
fn guarded(body: Json<Guarded>) -> Json<Guarded> {
    GUARDED.count();
    body
}

#[test]
fn what_the_schema_says_is_enforced_without_validate() {
    let client = client(endpoints![guarded]);
    let post = |change: Value| -> TestAnswer {
        let mut body = json!({"shortTags": ["a"], "kg": 1, "address": {"street": "ab", "zip": 10}});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        client.post("/guarded").json(&body).send().unwrap()
    };
    for fine in [
        json!({}),
        json!({"slug": "abc", "small": 255, "host": "::1", "labels": {"a": 1}}),
        json!({"slug": null, "small": null, "others": [], "colour": "red", "unknown": [1]}),
        json!({"shape": {"kind": "circle", "radius": 2}, "set": [1, 2], "pair": [1, "b"]}),
        json!({"others": [{"street": "cd", "zip": 0}], "id": 7}),
        json!({"id": "seven"}),
    ] {
        let answer = post(fine.clone());
        assert_eq!(answer.status(), 200, "{fine}: {}", answer.text());
    }
    assert_eq!(GUARDED.taken(), 6);
    for (change, expected) in [
        (json!({"shortTags": []}), vec!["body.shortTags: too_short"]),
        (
            json!({"shortTags": ["abcd", 1]}),
            vec![
                "body.shortTags.0: string_too_long",
                "body.shortTags.1: string_type",
            ],
        ),
        (json!({"shortTags": {}}), vec!["body.shortTags: list_type"]),
        (
            json!({"slug": "ABC"}),
            vec!["body.slug: string_pattern_mismatch"],
        ),
        (json!({"kg": 0.4}), vec!["body.kg: greater_than_equal"]),
        (json!({"kg": 1e39}), vec!["body.kg: less_than_equal"]),
        (json!({"small": 256}), vec!["body.small: less_than_equal"]),
        (json!({"small": -1}), vec!["body.small: greater_than_equal"]),
        (json!({"small": 1.0}), vec!["body.small: int_type"]),
        (
            json!({"address": {"street": "a", "zip": 11}}),
            vec![
                "body.address.street: string_too_short",
                "body.address.zip: multiple_of",
            ],
        ),
        (
            json!({"address": ["ab", 10]}),
            vec!["body.address: model_type"],
        ),
        (
            json!({"others": [{"street": "ab", "zip": 10}, {"zip": "x"}]}),
            vec![
                "body.others.1.street: missing",
                "body.others.1.zip: int_type",
            ],
        ),
        (
            json!({"host": "localhost"}),
            vec!["body.host: ip_any_address"],
        ),
        (
            json!({"labels": {"a": "b"}}),
            vec!["body.labels.a: int_type"],
        ),
        (json!({"labels": []}), vec!["body.labels: dict_type"]),
        (json!({"colour": "green"}), vec!["body.colour: enum"]),
        (json!({"colour": {"red": null}}), vec!["body.colour: enum"]),
        (
            json!({"shape": {"kind": "cone"}}),
            vec!["body.shape: union_tag_invalid"],
        ),
        (
            json!({"shape": {"radius": 1}}),
            vec!["body.shape: union_tag_not_found"],
        ),
        (
            json!({"shape": {"kind": "square", "side": "x"}}),
            vec!["body.shape.side: float_type"],
        ),
        (
            json!({"shape": {"kind": "square"}}),
            vec!["body.shape.side: missing"],
        ),
        (json!({"shape": 1}), vec!["body.shape: model_type"]),
        (json!({"pair": [1]}), vec!["body.pair: too_short"]),
        (json!({"pair": {}}), vec!["body.pair: tuple_type"]),
        (json!({"set": [1, 1]}), vec!["body.set: value_error"]),
        (
            json!({"id": []}),
            vec!["body.id.int: int_type", "body.id.str: string_type"],
        ),
    ] {
        let answer = post(change.clone());
        assert_eq!(violations(&answer), expected, "{change}");
    }
    assert_eq!(GUARDED.taken(), 0);
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
#[validate(schema(function = in_order, code = "value_error"))]
struct Span {
    #[serde(rename = "from")]
    #[validate(custom(function = even))]
    start: i64,
    #[serde(rename = "to")]
    #[validate(custom(function = even))]
    end: i64,
    #[validate(nested)]
    #[serde(rename = "sub-spans", default)]
    inner: Vec<Span>,
}

fn in_order(span: &Span) -> Result<(), ValidationError> {
    if span.start <= span.end {
        return Ok(());
    }
    Err(ValidationError::new("order").with_message("ends before it starts".into()))
}

fn even(number: i64) -> Result<(), ValidationError> {
    if number % 2 == 0 {
        return Ok(());
    }
    Err(ValidationError::new("odd"))
}

#[api(route = "/spans", method = "POST")]
fn spans(span: Span) -> i64 {
    span.end - span.start
}

#[test]
fn what_validate_alone_finds_has_its_name_on_the_wire() {
    let client = client(endpoints![spans]);
    let post = |body: Value| client.post("/spans").json(&body).send().unwrap();
    assert_eq!(post(json!({"from": 2, "to": 6})).text(), "4");
    assert_eq!(
        violations(&post(json!({"from": 1, "to": 6}))),
        ["body.from: odd"]
    );
    assert_eq!(
        violations(&post(json!({"from": 3, "to": 5}))),
        ["body.from: odd", "body.to: odd"]
    );
    let answer = post(json!({"from": 6, "to": 2}));
    assert_eq!(violations(&answer), ["body: value_error"]);
    assert!(answer.text().contains("ends before it starts"));
    let nested =
        json!({"from": 2, "to": 2, "sub-spans": [{"from": 2, "to": 2}, {"from": 4, "to": 3}]});
    assert_eq!(violations(&post(nested)), ["body.sub-spans.1.to: odd"]);
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Picky {
    #[serde(deserialize_with = "no_zero")]
    n: i64,
    big: Option<i128>,
    #[serde(default)]
    nested: Vec<Picky>,
}

fn no_zero<'de, D: apifrom::serde::Deserializer<'de>>(text: D) -> Result<i64, D::Error> {
    match i64::deserialize(text)? {
        0 => Err(apifrom::serde::de::Error::custom("s3cret")),
        number => Ok(number),
    }
}

#[api(route = "/picky", method = "POST")]
fn picky(body: Option<Picky>) -> Option<Picky> {
    body
}

#[test]
fn what_serde_alone_refuses_is_told_at_its_place_without_its_text() {
    let client = client(endpoints![picky]);
    let post = |body: &str| {
        let request = client.post("/picky").body(body.to_owned());
        request
            .header("content-type", "application/json")
            .send()
            .unwrap()
    };
    let answer = post(r#"{"n": 1, "nested": [{"n": 0}]}"#);
    assert_eq!(violations(&answer), ["body.nested.0.n: int_type"]);
    assert!(!answer.text().contains("s3cret"));
    let answer = post(r#"{"n": 9223372036854775808}"#);
    assert_eq!(violations(&answer), ["body.n: less_than_equal"]);
    let answer = post(r#"{"n": 1, "big": 170141183460469231731687303715884105727}"#);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[test]
fn a_body_that_may_be_missing_may_be_missing() {
    let client = client(endpoints![picky]);
    assert_eq!(client.post("/picky").send().unwrap().status(), 404);
    assert_eq!(
        client
            .post("/picky")
            .json(&json!({"n": 1}))
            .send()
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        client
            .post("/picky")
            .json(&Value::Null)
            .send()
            .unwrap()
            .status(),
        404
    );
}

#[api(route = "/list", method = "POST")]
fn list(items: Vec<Address>) -> usize {
    items.len()
}

#[test]
fn a_list_of_models_is_a_body_and_answers_hold_a_hundred_violations() {
    let client: TestClient = client(endpoints![list]);
    let items = |n: usize| vec![json!({"street": "", "zip": 10}); n];
    let answer = client.post("/list").json(&items(100)).send().unwrap();
    assert_eq!(violations(&answer).len(), 100);
    assert!(!answer.text().contains("truncated"));
    let answer = client.post("/list").json(&items(20_000)).send().unwrap();
    assert_eq!(violations(&answer).len(), 100);
    assert!(answer.text().contains(r#""truncated":true"#));
}

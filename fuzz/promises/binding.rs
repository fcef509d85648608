//! Query strings and headers as the arguments of a handler.
//!
//! The Rust face, where `#[api]` knows the types, is held against the way of the Python face, which
//! learns them at start: same answers, same violations in the same order. What is said of a value
//! that does not fit is the same whatever the value is.

use std::sync::{Arc, LazyLock};

use apifrom::extract::convert::{Constraints, ScalarKind};
use apifrom::extract::{Bound, FormFields, Parameter, Source, Value as Given, bind};
use apifrom::violation::{Violation, Violations};
use apifrom::{
    Api, EndpointSpec, Engine, Handler, Header, Rejection, Reply, Request, Response, ResponseBody,
    api, endpoints,
};
use serde_json::{Value, json};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let known = endpoints![by_query, by_header];
    let learned = [
        learned("/learned/query", Source::Query, str::to_owned),
        learned("/learned/header", Source::Header, |name| {
            format!("x-{name}")
        }),
    ];
    Api::new()
        .configure(|config| {
            config.access_log = false;
            config.max_target_size = usize::MAX / 2;
        })
        .endpoints(known.into_iter().chain(learned))
        .build()
        .expect("the endpoints of the test")
});

/// A query string as it is sent.
pub fn check_query(query: &str) {
    let ask = |path: &str| super::ask(&ENGINE, &format!("{path}?{query}"), &[]);
    if let (Some(known), Some(learned)) = (ask("/known/query"), ask("/learned/query")) {
        assert_same(&known, &learned);
    }
}

/// Values of the headers `x-flag`, `x-text`, `x-list` and `x-number`, told by the index.
pub fn check_headers(lines: &[(u8, &[u8])]) {
    let names = ["x-flag", "x-text", "x-list", "x-number"];
    let headers: Vec<(&str, &[u8])> = lines
        .iter()
        .map(|(name, value)| (names[usize::from(*name) % names.len()], *value))
        .collect();
    let ask = |path: &str| super::ask(&ENGINE, path, &headers);
    if let (Some(known), Some(learned)) = (ask("/known/header"), ask("/learned/header")) {
        assert_same(&known, &learned);
    }
}

fn assert_same(known: &(u16, Value), learned: &(u16, Value)) {
    assert_eq!(known, learned);
    let (status, body) = known;
    assert!(matches!(status, 200 | 400 | 422), "{status}");
    let Some(errors) = body.get("errors").and_then(Value::as_array) else {
        assert_ne!(*status, 422);
        return;
    };
    assert!(!errors.is_empty() && errors.len() <= 100);
    for error in errors {
        let kind = error["type"].as_str().expect("a violation has a type");
        let ours = Violation::new(Vec::new(), leaked(kind), &());
        let ours = serde_json::to_value(ours).expect("a violation is JSON");
        assert_eq!(error["msg"], ours["msg"], "{kind}");
    }
}

/// The kinds that these parameters can come to, as the constants that they are.
fn leaked(kind: &str) -> &'static str {
    const KINDS: [&str; 8] = [
        "bool_parsing",
        "duplicate",
        "finite_number",
        "float_parsing",
        "int_parsing",
        "int_parsing_size",
        "missing",
        "string_unicode",
    ];
    let known = KINDS.into_iter().find(|known| *known == kind);
    known.unwrap_or_else(|| panic!("{kind}"))
}

#[api(route = "/known/query", method = "GET")]
fn by_query(flag: bool, text: Option<String>, list: Vec<f64>, number: i64) -> Value {
    json!([flag, text, list, number])
}

#[api(route = "/known/header", method = "GET")]
fn by_header(
    x_flag: Header<bool>,
    x_text: Header<Option<String>>,
    x_list: Header<Vec<f64>>,
    x_number: Header<i64>,
) -> Value {
    json!([x_flag.0, x_text.0, x_list.0, x_number.0])
}

/// The same endpoint from parameters that are plain values.
fn learned(template: &str, source: Source, wire: fn(&str) -> String) -> EndpointSpec {
    let parameter = |name, kind, many, required| Parameter {
        wire: wire(name),
        source,
        capture: 0,
        kind,
        many,
        required,
        constraints: Constraints::default(),
    };
    let parameters = vec![
        parameter("flag", ScalarKind::Bool, false, true),
        parameter("text", ScalarKind::Str, false, false),
        parameter("list", ScalarKind::Float, true, true),
        parameter("number", ScalarKind::Int, false, true),
    ];
    EndpointSpec::new(template, template, ["GET"], move |_| {
        let handler = move |request: Request| Reply::Ready(answer(&parameters, &request));
        let handler: Arc<dyn Handler> = Arc::new(handler);
        Some(handler)
    })
}

fn answer(parameters: &[Parameter], request: &Request) -> Result<Response, Rejection> {
    let mut violations = Violations::new();
    let bound = bind(
        parameters,
        request.head(),
        request.context(),
        FormFields::None,
        &mut violations,
    )?;
    let values: Vec<Value> = bound.into_iter().map(value).collect();
    // An integer has no bounds on that face; here it must fit into 64 bits.
    if let (Some(Value::Array(_)), Some(number)) = (values.last(), parameters.last()) {
        violations.push(Violation::new(number.loc(), "int_parsing_size", &()));
    }
    if !violations.is_empty() {
        return Err(Rejection::invalid(violations));
    }
    Ok(Response::new(ResponseBody::full(
        Value::from(values).to_string(),
    )))
}

fn value(bound: Bound) -> Value {
    match bound {
        Bound::Absent => Value::Null,
        Bound::One(one) => given(one),
        Bound::Many(many) => many.into_iter().map(given).collect(),
    }
}

fn given(given: Given) -> Value {
    match given {
        Given::Int(number) => json!(number),
        Given::BigInt(digits) => json!([digits]),
        Given::Float(number) => json!(number),
        Given::Bool(flag) => json!(flag),
        Given::Str(text) => json!(text),
        other => panic!("{other:?}"),
    }
}

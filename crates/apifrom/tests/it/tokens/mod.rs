//! The table of forged and valid tokens, on the Rust face: in process, through tower, and over a
//! socket.

mod making;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apifrom::security::JwtRequired;
use apifrom::testing::TestClient;
use apifrom::{
    Api, EndpointSpec, Handler, IntoResponse, Level, Logger, Record, Reply, Request, Sink,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower_service::Service;

use self::making::{Table, now, text};
use super::secured::errors;
use super::support::Served;

/// The reasons of the security events.
#[derive(Default)]
struct Reasons(Mutex<Vec<String>>);

impl Sink for Reasons {
    fn enabled(&self, logger: Logger, _level: Level) -> bool {
        logger == Logger::Security
    }

    fn write(&self, record: Record) {
        // The id of a request is made of the letters that a token begins with.
        let fields = record.fields.iter();
        let fields: Vec<_> = fields.filter(|(name, _)| *name != "request_id").collect();
        let text = format!("{} {fields:?}", record.message);
        assert!(!text.contains("eyJ"), "a token in {text}");
        if record.event == "configuration_weak" {
            return;
        }
        let reason = record.fields.iter().find(|(name, _)| *name == "reason");
        let reason = reason.map_or_else(String::new, |(_, value)| value.to_string());
        self.0.lock().unwrap().push(reason);
    }
}

fn declared(table: &Table, options: &Value) -> JwtRequired {
    let texts = |value: &Value| match value {
        Value::Array(several) => several.iter().map(|one| text(one).to_owned()).collect(),
        one => vec![text(one).to_owned()],
    };
    let mut tokens = JwtRequired::new();
    for (name, value) in options.as_object().unwrap() {
        let flag = value.as_bool().unwrap_or_default();
        tokens = match name.as_str() {
            "secret" => tokens.secret(table.verifying(value)),
            "keys" => {
                let names = value.as_array().unwrap().iter();
                tokens.keys(names.map(|name| table.verifying(name)))
            }
            "algorithm" => tokens.algorithms(texts(value)),
            "audience" => texts(value).into_iter().fold(tokens, JwtRequired::audience),
            "issuer" => texts(value).into_iter().fold(tokens, JwtRequired::issuer),
            "scopes" => tokens.scopes(texts(value)),
            "roles" => tokens.roles(texts(value)),
            "leeway" => tokens.leeway(Duration::from_secs(value.as_u64().unwrap())),
            "verify_exp" => tokens.verify_exp(flag),
            "verify_aud" => tokens.verify_aud(flag),
            "verify_iss" => tokens.verify_iss(flag),
            "verify_sub" => tokens.verify_sub(flag),
            "verify_jti" => tokens.verify_jti(flag),
            "verify_at_hash" => tokens.verify_at_hash(flag),
            "token_location" => tokens.token_location(text(value)),
            "header_name" => tokens.header_name(text(value)),
            "header_type" => tokens.header_type(text(value)),
            "access_token_header" => tokens.access_token_header(text(value)),
            other => panic!("{other} is no option"),
        };
    }
    tokens
}

fn api(api: Api, table: &Table, calls: &Arc<AtomicUsize>) -> Api {
    let endpoints = table.routes().map(|(route, options)| {
        let calls = Arc::clone(calls);
        let handler = move |_: Request| {
            calls.fetch_add(1, Ordering::SeqCst);
            Reply::Ready("called".into_response())
        };
        let handler: Arc<dyn Handler> = Arc::new(handler);
        let name = format!("tokens{}", route.replace('/', "_"));
        EndpointSpec::new(name, route, ["GET"], move |_| Some(handler))
            .protect(declared(table, options))
    });
    api.endpoints(endpoints.collect::<Vec<_>>())
}

/// The target and the headers that carry a token.
fn request(case: &Value, token: &str) -> (String, Vec<(String, String)>) {
    let mut target = text(&case["route"]).to_owned();
    if let Some(query) = case["query"].as_str() {
        write!(target, "?{}", query.replace("{token}", token)).unwrap();
    }
    let Some(headers) = case["headers"].as_array() else {
        return (
            target,
            vec![("Authorization".into(), format!("Bearer {token}"))],
        );
    };
    let filled = headers.iter().map(|pair| {
        let value = text(&pair[1]).replace("{token}", token);
        (text(&pair[0]).to_owned(), value)
    });
    (target, filled.collect())
}

fn judge(case: &Value, status: u16, challenge: Option<&str>, calls: &AtomicUsize) {
    let name = &case["name"];
    let expected = case["status"].as_u64().unwrap_or(401);
    assert_eq!(u64::from(status), expected, "{name}");
    let accepted = expected == 200;
    let invalid = r#"Bearer realm="api", error="invalid_token""#;
    let expected = case["challenge"].as_str().unwrap_or(invalid);
    assert_eq!(challenge, (!accepted).then_some(expected), "{name}");
    let called = calls.swap(0, Ordering::SeqCst);
    assert_eq!(
        called,
        usize::from(accepted),
        "{name}: calls of the handler"
    );
}

/// Runs `test` beside a server that nobody may ask.
fn with_canary(test: impl FnOnce(&str)) {
    let canary = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    canary.set_nonblocking(true).unwrap();
    test(&format!("http://{}/keys", canary.local_addr().unwrap()));
    assert!(canary.accept().is_err(), "a token had its keys fetched");
}

#[test]
fn the_tokens_are_judged_alike_in_process() {
    let table = Table::read();
    let (calls, reasons) = (Arc::default(), Arc::<Reasons>::default());
    let built = api(Api::new(), &table, &calls).log_to(reasons.clone());
    let client = TestClient::new(built.build().unwrap());
    with_canary(|canary| {
        for case in table.cases() {
            reasons.0.lock().unwrap().clear();
            let token = table.token(&case, now(), canary);
            let (target, headers) = request(&case, &token);
            let request = headers
                .iter()
                .fold(client.get(&target), |request, (name, value)| {
                    request.another_header(name, value)
                });
            let answer = request.send().unwrap();
            judge(
                &case,
                answer.status().as_u16(),
                answer.header("www-authenticate"),
                &calls,
            );
            if let Some(reason) = case["reason"].as_str() {
                assert_eq!(*reasons.0.lock().unwrap(), [reason], "{}", case["name"]);
            }
        }
    });
}

#[test]
fn the_tokens_are_judged_alike_through_tower() {
    let table = Table::read();
    let calls = Arc::default();
    let mut service = api(Api::new(), &table, &calls).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    with_canary(|canary| {
        for case in table.cases() {
            let token = table.token(&case, now(), canary);
            let (target, headers) = request(&case, &token);
            let mut request = http::Request::builder().uri(target);
            request = request.header("host", "localhost");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request.body(Full::new(Bytes::new())).unwrap();
            let answer = runtime.block_on(Service::call(&mut service, request));
            let (head, body) = answer.unwrap().into_parts();
            runtime.block_on(body.collect()).unwrap();
            let challenge = head.headers.get("www-authenticate");
            let challenge = challenge.map(|value| value.to_str().unwrap());
            judge(&case, head.status.as_u16(), challenge, &calls);
        }
    });
}

#[test]
fn the_tokens_are_judged_alike_over_a_socket() {
    let table = Table::read();
    let calls = Arc::default();
    let served = Served::api(|given| api(given, &table, &calls), |_| {});
    with_canary(|canary| {
        for case in table.cases() {
            let token = table.token(&case, now(), canary);
            let (target, headers) = request(&case, &token);
            let mut sent =
                format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
            for (name, value) in headers {
                write!(sent, "{name}: {value}\r\n").unwrap();
            }
            sent.push_str("\r\n");
            let answer = served.exchange(sent);
            let (head, _) = answer.split_once("\r\n\r\n").unwrap();
            let challenge = head.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("www-authenticate")
                    .then_some(value)
            });
            judge(&case, head[9..12].parse().unwrap(), challenge, &calls);
        }
    });
}

#[test]
fn declarations_that_would_verify_wrongly_do_not_start() {
    let table = Table::read();
    for case in table.declarations() {
        let name = &case["name"];
        let found = errors(declared(&table, &case["options"]));
        match case["error"].as_str() {
            None => assert!(found.is_empty(), "{name}: {found:?}"),
            Some(field) => assert!(
                found
                    .iter()
                    .any(|error| error.contains(&format!(".{field}"))),
                "{name}: {found:?}"
            ),
        }
    }
}

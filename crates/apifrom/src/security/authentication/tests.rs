use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, StatusCode};

use crate::handler::{Handler, Reply};
use crate::logging::{Level, Logger, Record, Sink};
use crate::request::{Context, Head, Request};
use crate::response::IntoResponse;
use crate::security::{
    Attempt, AuthMethod, Authenticator, Challenge, Compiling, FailureKind, Identity, Method,
    Protection, Scopes,
};
use crate::testing::{TestAnswer, TestClient};
use crate::{Api, ApiConfig, DefaultAccess, EndpointSpec, Router};

/// A method whose credential is a header that says what the method finds.
#[derive(Debug, Clone)]
struct Told {
    method: Method,
    header: &'static str,
    name: Option<&'static str>,
    waits: bool,
}

fn told(method: Method, header: &'static str) -> Told {
    Told {
        method,
        header,
        name: None,
        waits: false,
    }
}

fn token() -> Told {
    told(Method::Jwt, "x-token")
}

fn key() -> Told {
    told(Method::ApiKey, "x-key")
}

impl Told {
    fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    fn find(&self, headers: &HeaderMap) -> Attempt {
        let mut values = headers.get_all(self.header).iter();
        let Some(value) = values.next() else {
            return Attempt::Absent;
        };
        if values.next().is_some() {
            return Attempt::failed(FailureKind::Ambiguous, "sent_twice");
        }
        match value.to_str().unwrap_or_default() {
            "lacking" => Attempt::failed(FailureKind::Lacking, "insufficient_scope"),
            "down" => Attempt::failed(FailureKind::Unavailable { retry_after: 5 }, "outage"),
            "held" => Attempt::failed(FailureKind::Held { retry_after: 7 }, "held_back"),
            value => match value.strip_prefix("as ") {
                Some(subject) => Attempt::Passed(
                    Identity::new(self.method)
                        .named(self.name.map(Arc::from).as_ref())
                        .subject_is(subject)
                        .holding(Scopes::from_text("read")),
                ),
                None => Attempt::failed(FailureKind::Invalid, "wrong"),
            },
        }
    }
}

impl AuthMethod for Told {
    fn declared_as(&self) -> &'static str {
        "told_required"
    }

    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        if self.header.is_empty() {
            compiling.error("header", "expected a name, found none");
            return None;
        }
        let challenge = Challenge::new("Told", &[("realm", self.header)], &[], true).ok()?;
        Some(Arc::new(Compiled {
            told: self.clone(),
            challenge,
        }))
    }
}

struct Compiled {
    told: Told,
    challenge: Challenge,
}

impl Authenticator for Compiled {
    fn method(&self) -> Method {
        self.told.method
    }

    fn state_name(&self) -> &str {
        self.told.name.unwrap_or(self.told.method.state_name())
    }

    fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    fn is_presented(&self, _: &Head) -> bool {
        false
    }

    fn authenticate(&self, head: &Head, _context: &Context) -> Attempt {
        let found = self.told.find(&head.headers);
        if self.told.waits {
            return Attempt::wait(async move {
                tokio::task::yield_now().await;
                found
            });
        }
        found
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl Sink for Kept {
    fn enabled(&self, logger: Logger, _level: Level) -> bool {
        logger == Logger::Security
    }

    fn write(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

/// An API with one endpoint, `GET /`, that says whom it was called by.
struct Bench {
    client: TestClient,
    calls: Arc<AtomicUsize>,
    kept: Arc<Kept>,
}

fn who(calls: &Arc<AtomicUsize>) -> EndpointSpec {
    let calls = Arc::clone(calls);
    EndpointSpec::new("who", "/", ["GET"], move |_| {
        let handler = move |request: Request| {
            calls.fetch_add(1, Ordering::Relaxed);
            let identities = &request.context().identities;
            let text: Vec<_> = identities
                .iter()
                .map(|one| format!("{}={}", one.name(), one.subject().unwrap_or("?")))
                .collect();
            Reply::Ready(text.join(" ").into_response())
        };
        Some(Arc::new(handler) as Arc<dyn Handler>)
    })
}

fn bench(build: impl FnOnce(Api, EndpointSpec) -> Api) -> Bench {
    let calls = Arc::new(AtomicUsize::new(0));
    let kept = Arc::new(Kept::default());
    let api = build(Api::new(), who(&calls)).log_to(Arc::clone(&kept) as Arc<dyn Sink>);
    Bench {
        client: TestClient::new(api.build().unwrap()),
        calls,
        kept,
    }
}

fn protected(protections: impl IntoIterator<Item = Protection>) -> Bench {
    let protections: Vec<_> = protections.into_iter().collect();
    bench(|api, spec| api.endpoints([protections.into_iter().fold(spec, EndpointSpec::protect)]))
}

impl Bench {
    fn ask(&self, headers: &[(&str, &str)]) -> TestAnswer {
        let request = self.client.get("/");
        headers
            .iter()
            .fold(request, |request, (name, value)| {
                request.another_header(name, value)
            })
            .send()
            .unwrap()
    }

    #[track_caller]
    fn admits(&self, headers: &[(&str, &str)], whom: &str) {
        let before = self.calls.load(Ordering::Relaxed);
        let answer = self.ask(headers);
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (StatusCode::OK, whom)
        );
        assert_eq!(self.calls.load(Ordering::Relaxed), before + 1);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    /// Refused with `status` and the challenges that `challenged` begins.
    #[track_caller]
    fn refuses(&self, headers: &[(&str, &str)], status: u16, challenged: &[&str]) -> TestAnswer {
        let before = self.calls.load(Ordering::Relaxed);
        let answer = self.ask(headers);
        assert_eq!(answer.status().as_u16(), status, "{headers:?}");
        assert_eq!(
            self.calls.load(Ordering::Relaxed),
            before,
            "the handler ran"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let sent: Vec<_> = answer
            .headers()
            .get_all("www-authenticate")
            .iter()
            .collect();
        assert_eq!(sent, challenged, "{headers:?}");
        answer
    }

    fn events(&self) -> Vec<(&'static str, String)> {
        self.kept
            .0
            .lock()
            .unwrap()
            .drain(..)
            .map(|record| (record.event, record.message))
            .collect()
    }
}

const TOKEN: &str = r#"Told realm="x-token""#;
const TOKEN_WRONG: &str = r#"Told realm="x-token", error="invalid_token""#;
const TOKEN_TWICE: &str = r#"Told realm="x-token", error="invalid_request""#;
const TOKEN_LACKS: &str = r#"Told realm="x-token", error="insufficient_scope""#;
const KEY: &str = r#"Told realm="x-key""#;
const KEY_WRONG: &str = r#"Told realm="x-key", error="invalid_token""#;
const KEY_LACKS: &str = r#"Told realm="x-key", error="insufficient_scope""#;

#[test]
fn one_method_admits_and_refuses_each_in_its_way() {
    for method in [token(), token().waiting()] {
        let bench = protected([method.into()]);
        bench.admits(&[("x-token", "as ada")], "jwt_payload=ada");
        bench.refuses(&[], 401, &[TOKEN]);
        bench.refuses(&[("x-token", "nonsense")], 401, &[TOKEN_WRONG]);
        bench.refuses(&[("x-token", "")], 401, &[TOKEN_WRONG]);
        bench.refuses(
            &[("x-token", "as ada"), ("x-token", "as ada")],
            400,
            &[TOKEN_TWICE],
        );
        bench.refuses(&[("x-token", "lacking")], 403, &[TOKEN_LACKS]);
        let down = bench.refuses(&[("x-token", "down")], 503, &[]);
        assert_eq!(down.header("retry-after"), Some("5"));
        let held = bench.refuses(&[("x-token", "held")], 429, &[]);
        assert_eq!(held.header("retry-after"), Some("7"));
    }
}

#[test]
fn any_takes_the_first_that_passes_whatever_the_others_found() {
    for waits in [false, true] {
        let first = if waits { token().waiting() } else { token() };
        let bench = protected([Protection::Any(vec![first.into(), key().into()])]);
        bench.admits(&[("x-token", "as ada")], "jwt_payload=ada");
        bench.admits(&[("x-key", "as robot")], "api_key=robot");
        bench.admits(
            &[("x-token", "wrong"), ("x-key", "as robot")],
            "api_key=robot",
        );
        bench.admits(
            &[("x-token", "down"), ("x-key", "as robot")],
            "api_key=robot",
        );
        bench.admits(
            &[("x-token", "as ada"), ("x-key", "as robot")],
            "jwt_payload=ada",
        );
    }
}

#[test]
fn any_that_nobody_passes_says_what_came_nearest() {
    let bench = protected([Protection::Any(vec![token().into(), key().into()])]);
    bench.refuses(&[], 401, &[TOKEN, KEY]);
    bench.refuses(&[("x-token", "wrong")], 401, &[TOKEN_WRONG, KEY]);
    bench.refuses(
        &[("x-token", "lacking"), ("x-key", "down")],
        403,
        &[TOKEN_LACKS, KEY],
    );
    bench.refuses(
        &[("x-token", "lacking"), ("x-key", "lacking")],
        403,
        &[TOKEN_LACKS, KEY_LACKS],
    );
    bench.refuses(&[("x-token", "held"), ("x-key", "down")], 503, &[]);
    bench.refuses(&[("x-token", "held"), ("x-key", "wrong")], 429, &[]);
    bench.refuses(
        &[("x-token", "a"), ("x-token", "b"), ("x-key", "wrong")],
        400,
        &[TOKEN_TWICE, KEY_WRONG],
    );
}

#[test]
fn all_needs_every_one_and_hands_every_one_on() {
    let both = [("x-token", "as ada"), ("x-key", "as robot")];
    let stacked: [Protection; 2] = [token().into(), key().waiting().into()];
    for protections in [vec![Protection::All(stacked.to_vec())], stacked.to_vec()] {
        let bench = protected(protections);
        bench.admits(&both, "jwt_payload=ada api_key=robot");
        bench.refuses(&[("x-token", "as ada")], 401, &[KEY]);
        bench.refuses(&[("x-key", "as robot")], 401, &[TOKEN, KEY]);
        bench.refuses(
            &[("x-token", "lacking"), ("x-key", "as robot")],
            403,
            &[TOKEN_LACKS],
        );
        // Whether the token lacks a scope is nobody's to know who does not hold the key.
        bench.refuses(
            &[("x-token", "lacking"), ("x-key", "wrong")],
            401,
            &[TOKEN_LACKS, KEY_WRONG],
        );
        bench.refuses(&[("x-token", "lacking"), ("x-key", "down")], 503, &[]);
        bench.refuses(&[("x-token", "held"), ("x-key", "lacking")], 429, &[]);
    }
}

#[test]
fn what_passed_inside_an_alternative_that_failed_is_not_handed_on() {
    let third = told(Method::Basic, "x-user");
    let bench = protected([Protection::Any(vec![
        Protection::All(vec![token().into(), key().into()]),
        third.into(),
    ])]);
    bench.admits(
        &[("x-token", "as ada"), ("x-user", "as eve")],
        "username=eve",
    );
    bench.admits(
        &[
            ("x-token", "as ada"),
            ("x-key", "as robot"),
            ("x-user", "as eve"),
        ],
        "jwt_payload=ada api_key=robot",
    );
}

#[test]
fn a_declaration_that_stands_twice_asks_once() {
    let shared = Protection::from(token());
    let bench = bench(|api, spec| {
        api.auth(shared.clone())
            .router(Router::new("").auth(shared.clone()).endpoints([spec]))
    });
    bench.admits(&[("x-token", "as ada")], "jwt_payload=ada");
    bench.refuses(&[], 401, &[TOKEN]);
}

#[test]
fn the_api_the_router_and_the_endpoint_each_add_their_own() {
    let bench = bench(|api, spec| {
        api.auth(token()).router(
            Router::new("")
                .auth(key())
                .endpoints([spec.protect(told(Method::Basic, "x-user"))]),
        )
    });
    let all = [("x-token", "as a"), ("x-key", "as b"), ("x-user", "as c")];
    bench.admits(&all, "jwt_payload=a api_key=b username=c");
    for missing in 0..all.len() {
        let mut some = all.to_vec();
        some.remove(missing);
        let answer = bench.ask(&some);
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(bench.calls.load(Ordering::Relaxed), 1);
}

#[test]
fn the_scopes_of_router_and_api_must_be_held_by_one_caller() {
    let holds = bench(|api, spec| {
        let router = Router::new("").scopes(["read"]).endpoints([spec]);
        api.auth(token()).router(router)
    });
    holds.admits(&[("x-token", "as ada")], "jwt_payload=ada");
    holds.refuses(&[], 401, &[TOKEN]);
    let lacks = bench(|api, spec| {
        let router = Router::new("").scopes(["read", "write"]).endpoints([spec]);
        api.auth(token()).router(router)
    });
    let scoped = r#"Told realm="x-token", error="insufficient_scope", scope="read write""#;
    lacks.refuses(&[("x-token", "as ada")], 403, &[scoped]);
}

#[test]
fn public_opens_what_the_api_protects() {
    let bench = bench(|api, spec| {
        api.auth(token())
            .endpoints([spec.public("health of the service")])
    });
    let answer = bench.ask(&[("x-token", "as ada")]);
    // Nobody was asked, so nobody is known.
    assert_eq!(
        (answer.status(), answer.text()),
        (StatusCode::OK, String::new())
    );
    assert_eq!(bench.calls.load(Ordering::Relaxed), 1);
}

#[test]
fn other_answers_of_the_engine_ask_for_nothing() {
    let bench = protected([token().into()]);
    for (method, target, status) in [
        ("GET", "/nowhere", StatusCode::NOT_FOUND),
        ("DELETE", "/", StatusCode::METHOD_NOT_ALLOWED),
        ("OPTIONS", "/", StatusCode::NO_CONTENT),
    ] {
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = bench.client.request(method, target).send().unwrap();
        assert_eq!(answer.status(), status, "{target}");
    }
    // HEAD is a GET without its body, and protected like it.
    let head = bench
        .client
        .request(http::Method::HEAD, "/")
        .send()
        .unwrap();
    assert_eq!(head.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(bench.calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_handler_may_choose_its_own_caching() {
    let spec = EndpointSpec::new("cached", "/", ["GET"], |_| {
        let handler = |_: Request| {
            Reply::Ready("x".into_response().map(|mut response| {
                let private = http::HeaderValue::from_static("private, max-age=60");
                response.headers_mut().insert("cache-control", private);
                response
            }))
        };
        Some(Arc::new(handler) as Arc<dyn Handler>)
    });
    let engine = Api::new()
        .endpoints([spec.protect(token())])
        .build()
        .unwrap();
    let answer = TestClient::new(engine)
        .get("/")
        .header("x-token", "as ada")
        .send()
        .unwrap();
    assert_eq!(answer.header("cache-control"), Some("private, max-age=60"));
}

#[test]
fn events_name_the_reason_and_never_the_credential() {
    let bench = protected([Protection::Any(vec![token().into(), key().into()])]);
    bench.ask(&[("x-token", "s3cret")]);
    let events = bench.events();
    let names: Vec<_> = events.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["authentication_failed", "authentication_failed"]);
    assert!(
        events[0].1.contains("scheme=jwt reason=wrong"),
        "{events:?}"
    );
    assert!(
        events[1].1.contains("scheme=api_key reason=absent"),
        "{events:?}"
    );

    bench.ask(&[("x-token", "s3cret"), ("x-key", "as robot")]);
    let passed = bench.events();
    let names: Vec<_> = passed.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["authentication_failed", "authentication_succeeded"]);
    assert!(passed[1].1.contains("subject=robot"), "{passed:?}");

    bench.ask(&[("x-token", "lacking")]);
    bench.ask(&[("x-token", "down")]);
    let failed = bench.events();
    let names: Vec<_> = failed.iter().map(|(name, _)| *name).collect();
    for name in ["authorization_denied", "authentication_unavailable"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for (_, message) in events.iter().chain(&passed).chain(&failed) {
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_verified_subject_cannot_forge_a_line_of_the_log() {
    let bench = protected([told(Method::Jwt, "x-token").into()]);
    bench.ask(&[("x-token", "as ada\tevent=authentication_succeeded")]);
    let events = bench.events();
    assert!(!events[0].1.contains('\t'), "{events:?}");
}

/// The errors of an API, one a line.
fn errors(build: impl FnOnce(Api, EndpointSpec) -> Api) -> String {
    let calls = Arc::new(AtomicUsize::new(0));
    let errors = build(Api::new(), who(&calls)).build().unwrap_err();
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn what_cannot_be_decided_is_an_error_at_start() {
    let twice = errors(|api, spec| api.endpoints([spec.protect(token()).protect(token())]));
    assert!(twice.contains("request.state.jwt_payload"), "{twice}");
    let calls = Arc::new(AtomicUsize::new(0));
    let renamed = who(&calls).protect(token()).protect(token().named("admin"));
    assert!(Api::new().endpoints([renamed]).build().is_ok());

    let empty = errors(|api, spec| api.endpoints([spec.protect(Protection::Any(Vec::new()))]));
    assert!(empty.contains("auth_methods"), "{empty}");

    let both = errors(|api, spec| api.endpoints([spec.protect(token()).public("a reason")]));
    assert!(both.contains("routes.who.public"), "{both}");
    let reasonless = errors(|api, spec| api.endpoints([spec.public(" ")]));
    assert!(
        reasonless.contains("routes.who.public.reason"),
        "{reasonless}"
    );

    let scopes = errors(|api, spec| {
        api.router(
            Router::new("")
                .scopes(["read", "not a scope"])
                .endpoints([spec]),
        )
    });
    assert!(scopes.contains("routes.who.scopes"), "{scopes}");

    let inner = errors(|api, spec| {
        let broken = told(Method::Jwt, "");
        api.endpoints([spec.protect(Protection::Any(vec![broken.into(), key().into()]))])
    });
    assert!(inner.contains("routes.who.told_required.header"), "{inner}");
}

#[test]
fn deny_by_default_wants_every_endpoint_protected_or_public() {
    let denying = || {
        Api::with_config(ApiConfig {
            default: DefaultAccess::Deny,
            ..ApiConfig::default()
        })
    };
    let calls = Arc::new(AtomicUsize::new(0));
    let bare = denying().endpoints([who(&calls)]).build().unwrap_err();
    assert!(bare.to_string().contains("routes.who"), "{bare}");
    assert!(
        denying()
            .endpoints([who(&calls).protect(key())])
            .build()
            .is_ok()
    );
    assert!(
        denying()
            .endpoints([who(&calls).public("open data")])
            .build()
            .is_ok()
    );
    assert!(
        denying()
            .auth(key())
            .endpoints([who(&calls)])
            .build()
            .is_ok()
    );
}

//! What `check`, `posture` and `attack` say of an API on the Rust face.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apifrom::check::{
    Direction, Posture, Promise, Severity, Verdict, attack, compare, judge, probe, rule,
};
use apifrom::middleware::{Cors, Csrf, HttpsRedirect, RateLimit, SecurityHeaders};
use apifrom::security::{ApiKeyRequired, BasicAuthRequired, JwtRequired};
use apifrom::testing::TestClient;
use apifrom::{Api, EndpointSpec, Engine, ErrorHandling, IntoResponse, Reply, Request};

const SECRET: &str = "k7Jq2vXm9RbT4wLz8NcY1hGd6FsP3aEu";

fn endpoint(route: &str, method: &str, calls: &Arc<AtomicUsize>) -> EndpointSpec {
    let calls = Arc::clone(calls);
    EndpointSpec::new(format!("{method} {route}"), route, [method], move |_| {
        let handler = move |_: Request| -> Reply {
            calls.fetch_add(1, Ordering::SeqCst);
            Reply::Ready("called".into_response())
        };
        Some(Arc::new(handler))
    })
}

fn tokens() -> JwtRequired {
    JwtRequired::new().secret(SECRET).audience("shop")
}

fn safe(calls: &Arc<AtomicUsize>) -> Api {
    Api::new()
        .configure(|config| config.trusted_hosts = vec!["api.example.com".into()])
        .add_middleware(SecurityHeaders::new())
        .add_middleware(Csrf::new(SECRET))
        .add_middleware(RateLimit::new(100, Duration::from_mins(1)))
        .endpoints([
            endpoint("/", "GET", calls).public("says what there is"),
            endpoint("/me", "GET", calls).protect(tokens().issuer("https://auth.example.com")),
            endpoint("/orders", "POST", calls).protect(tokens().scopes(["write"]).roles(["buyer"])),
            endpoint("/keys", "GET", calls).protect(
                ApiKeyRequired::new()
                    .key("k7Jq2vXm9RbT4wLz8Nc1", ["read"])
                    .key("k7Jq2vXm9RbT4wLz8Nc2", ["write"])
                    .scopes(["read"]),
            ),
        ])
}

fn ids(api: Api) -> Vec<&'static str> {
    let report = api.check().unwrap();
    report.findings.iter().map(|one| one.rule.id).collect()
}

#[test]
fn a_finding_names_the_endpoint_and_where_it_stands() {
    let calls = Arc::default();
    let api = Api::new().endpoints([
        endpoint("/me", "GET", &calls).protect(JwtRequired::new().secret("too short"))
    ]);
    let report = api.check().unwrap();
    let short = report.findings.iter().find(|one| one.rule.id == "AF101");
    let short = short.unwrap();
    assert_eq!(short.key(), "AF101 GET /me");
    assert_eq!(
        short.message,
        "jwt_required: a secret of 9 bytes, 32 are needed"
    );
    assert!(short.source.as_ref().unwrap().file.ends_with("it/check.rs"));
    assert!(!report.to_string().contains("too short"));
    assert_eq!(report.at_least(Severity::Error).count(), 1);
    assert!(report.to_json().contains("\"AF101\""));
    assert_eq!(rule("AF101").unwrap().severity, Severity::Error);
    assert!(rule("AF000").is_none());
}

#[test]
fn what_is_not_served_on_this_machine_alone_needs_tls() {
    let calls = Arc::default();
    let served = |host: &str, proxies: &[&str]| {
        let proxies = proxies.iter().map(|one| (*one).to_owned()).collect();
        let api = safe(&calls)
            .configure(|config| config.trusted_proxies = proxies)
            .serve_with(|server| server.host = host.to_owned());
        ids(api).contains(&"AF401")
    };
    for (host, is_found) in [
        ("127.0.0.1", false),
        ("::1", false),
        ("[::1]", false),
        ("localhost", false),
        ("0.0.0.0", true),
        ("::", true),
        ("192.0.2.7", true),
    ] {
        assert_eq!(served(host, &[]), is_found, "{host}");
    }
    assert!(!served("0.0.0.0", &["10.0.0.7"]));
}

#[test]
fn a_browser_that_logs_in_by_itself_writes_only_behind_csrf_protection() {
    let calls = Arc::default();
    let written = |method, csrf: bool| {
        let basic = BasicAuthRequired::new().user(
            "ada",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        );
        let api = Api::new().endpoints([endpoint("/", method, &calls).protect(basic)]);
        let api = if csrf {
            api.add_middleware(Csrf::new(SECRET))
        } else {
            api
        };
        ids(api).contains(&"AF511")
    };
    assert!(written("POST", false));
    assert!(!written("POST", true));
    assert!(!written("GET", false));
}

#[test]
fn under_strict_an_error_stops_the_start_and_is_still_told() {
    let calls = Arc::default();
    let api = || {
        safe(&calls)
            .configure(|config| config.strict = true)
            .add_middleware(ErrorHandling::new().debug(true))
    };
    let errors = api().build().unwrap_err().to_string();
    assert!(errors.contains("AF701"), "{errors}");
    assert!(ids(api()).contains(&"AF701"));
    let strict = safe(&calls).configure(|config| config.strict = true);
    assert!(strict.build().is_ok());
}

fn posture(api: Api) -> Posture {
    api.build().unwrap().posture()
}

#[test]
fn a_posture_is_sorted_and_holds_no_secret() {
    let calls = Arc::default();
    let lock = posture(safe(&calls)).lock();
    assert_eq!(lock, posture(safe(&calls)).lock());
    for secret in [SECRET, "k7Jq2vXm9RbT4wLz8Nc1"] {
        assert!(!lock.contains(secret));
    }
    assert!(lock.ends_with("}\n"));
    assert!(compare(&lock, &lock).unwrap().is_empty());
}

#[test]
fn what_got_weaker_and_what_got_stronger_is_told_apart() {
    let calls = Arc::default();
    let before = posture(safe(&calls)).lock();
    let open = |origin: &'static str| {
        let cors = Cors::new().allow_origins([origin]);
        posture(safe(&calls).add_middleware(cors)).lock()
    };
    let directions = |before: &str, after: &str| {
        let changes = compare(before, after).unwrap();
        let mut directions: Vec<_> = changes.iter().map(|change| change.direction).collect();
        directions.sort();
        directions.dedup();
        directions
    };
    let (listed, other) = (open("https://a.example"), open("https://b.example"));
    // Another origin reads what it did not, whoever else no longer does.
    assert_eq!(directions(&listed, &other), [Direction::Weaker]);
    for wide in ["*", "https://*.a.example"] {
        assert_eq!(
            directions(&open("https://b.a.example"), &open(wide)),
            [Direction::Weaker]
        );
        assert_eq!(
            directions(&open(wide), &open("https://b.a.example")),
            [Direction::Stronger]
        );
    }
    assert_eq!(directions(&before, &listed), [Direction::Weaker]);
    // What all endpoints share is named once.
    assert_eq!(compare(&listed, &other).unwrap().len(), 1);
    let tight = safe(&calls).add_middleware(RateLimit::new(10, Duration::from_mins(1)));
    let tight = posture(tight).lock();
    assert_eq!(directions(&before, &tight), [Direction::Stronger]);
    assert_eq!(directions(&tight, &before), [Direction::Weaker]);
}

#[test]
fn a_rehearsal_goes_as_far_as_the_handler_and_calls_nothing() {
    let calls = Arc::default();
    let merged = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&merged);
    let service = axum::Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "merged" }
    });
    let client = TestClient::new(safe(&calls).merge(service).build().unwrap());
    let ask = |target: &str| {
        client
            .get(target)
            .header("host", "api.example.com")
            .rehearsed()
    };
    let open = ask("/").send().unwrap();
    assert_eq!(
        (open.status(), open.header("x-rehearsal")),
        (204.try_into().unwrap(), Some("/"))
    );
    assert!(open.header("content-security-policy").is_some());
    assert_eq!(ask("/me").send().unwrap().status(), 401);
    assert_eq!(
        ask("/keys")
            .header("x-api-key", "k7Jq2vXm9RbT4wLz8Nc2")
            .send()
            .unwrap()
            .status(),
        403
    );
    let known = ask("/keys")
        .header("x-api-key", "k7Jq2vXm9RbT4wLz8Nc1")
        .send()
        .unwrap();
    assert_eq!(known.header("x-rehearsal"), Some("/keys"));
    let large = ask("/").body(vec![0; (1 << 20) + 1]).send().unwrap();
    assert_eq!(large.status(), 413);
    assert_eq!(ask("/elsewhere").send().unwrap().status(), 204);
    assert_eq!(client.get("/").rehearsed().send().unwrap().status(), 400);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(merged.load(Ordering::SeqCst), 0);
}

fn attacked(engine: &Engine) -> apifrom::check::AttackReport {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(attack(engine))
}

#[test]
fn every_promise_of_a_safe_api_holds_beside_a_request_that_comes_through() {
    let calls = Arc::default();
    let report = attacked(&safe(&calls).build().unwrap());
    assert_eq!(report.broken().count(), 0, "{report}");
    let held = |subject: &str| -> Vec<Promise> {
        let trials = report.trials.iter();
        let held = trials.filter(|trial| trial.subject == subject && trial.controlled);
        let mut promises: Vec<_> = held.map(|trial| trial.promise).collect();
        promises.dedup();
        promises
    };
    let of_tokens = [
        Promise::NoCredential,
        Promise::UnknownCredential,
        Promise::TamperedToken,
        Promise::UnsignedToken,
        Promise::ExpiredToken,
        Promise::EndlessToken,
        Promise::OtherAudience,
        Promise::NoAudience,
    ];
    let mut me = of_tokens.to_vec();
    me.extend([
        Promise::OtherIssuer,
        Promise::DoubledCredential,
        Promise::PathTricks,
        Promise::MethodTricks,
        Promise::OversizedBody,
    ]);
    assert_eq!(held("GET /me"), me);
    assert!(held("POST /orders").contains(&Promise::MissingScope));
    assert!(held("POST /orders").contains(&Promise::MissingRole));
    assert!(held("GET /keys").contains(&Promise::MissingScope));
    assert!(held("api").contains(&Promise::ForeignHost));
    assert!(held("api").contains(&Promise::ForgedProxyHeader));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let json = report.to_json();
    assert!(!json.contains(SECRET) && !json.contains("k7Jq2vXm9RbT4wLz8Nc1"));
}

#[test]
fn a_credential_that_cannot_be_made_here_is_said_to_be_untried() {
    let calls = Arc::default();
    let keys = ApiKeyRequired::new()
        .key(format!("sha256:{}", "0".repeat(64)), ["read"])
        .scopes(["read"]);
    let api = Api::new().endpoints([endpoint("/", "GET", &calls).protect(keys)]);
    let report = attacked(&api.build().unwrap());
    assert_eq!(report.broken().count(), 0, "{report}");
    let verdict = |promise| {
        let mut trials = report.trials.iter();
        trials
            .find(|trial| trial.promise == promise)
            .unwrap()
            .verdict
    };
    assert_eq!(verdict(Promise::NoCredential), Verdict::Held);
    assert_eq!(verdict(Promise::UnknownCredential), Verdict::Held);
    assert_eq!(verdict(Promise::MissingScope), Verdict::Untried);
    assert!(report.trials.iter().all(|trial| !trial.controlled));
}

#[test]
fn three_hundred_endpoints_are_judged_at_once() {
    let calls = Arc::default();
    let specs = (0..300).map(|index| {
        endpoint(&format!("/r{index}"), "POST", &calls).protect(tokens().scopes(["write"]))
    });
    let posture = posture(safe(&calls).endpoints(specs));
    assert_eq!(posture.routes.len(), 304);
    let begun = std::time::Instant::now();
    let found = judge(&posture).findings;
    assert!(begun.elapsed() < Duration::from_secs(5));
    // The one key that is kept as it is.
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_test_of_a_program_is_one_line() {
    let calls = Arc::default();
    let weak = || Api::new().endpoints([endpoint("/", "GET", &calls)]);
    apifrom::assert_checked!(
        safe(&calls).serve_with(|server| server.port = 0),
        Severity::Error
    );
    apifrom::assert_checked!(weak(), Severity::Error);
    let failed = std::panic::catch_unwind(|| apifrom::assert_checked!(weak()));
    let why = failed.unwrap_err().downcast::<String>().unwrap();
    assert!(why.contains("AF301 warning: GET /"), "{why}");
}

#[test]
fn a_request_proves_what_lets_it_in_and_calls_nothing() {
    let calls = Arc::default();
    let lax = JwtRequired::new().secret(SECRET).verify_exp(false);
    let plain = BasicAuthRequired::new().user("ada", "password1");
    let api = Api::new()
        .add_middleware(SecurityHeaders::new().x_xss_protection("1"))
        .add_middleware(Cors::new().allow_origins(["http://shop.example.com"]))
        .endpoints([
            endpoint("/open", "DELETE", &calls),
            endpoint("/lax", "GET", &calls).protect(lax),
            endpoint("/basic", "POST", &calls).protect(plain),
        ]);
    let engine = api.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let proofs = runtime.block_on(probe(&engine, &engine.check()));
    let mut proved: Vec<_> = proofs
        .iter()
        .filter(|proof| proof.proved)
        .map(|proof| format!("{} {}", proof.rule, proof.subject))
        .collect();
    proved.sort();
    assert_eq!(
        proved,
        [
            "AF201 GET /lax",
            "AF202 GET /lax",
            "AF301 DELETE /open",
            "AF402 api",
            "AF406 api",
            "AF503 api",
            "AF511 POST /basic",
        ]
    );
    assert_eq!(proofs.len(), proved.len());
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn what_leads_to_tls_is_tried_and_written_down() {
    let calls = Arc::default();
    let led = || safe(&calls).add_middleware(HttpsRedirect::new());
    let report = attacked(&led().build().unwrap());
    assert_eq!(report.broken().count(), 0, "{report}");
    let tried = report
        .trials
        .iter()
        .filter(|trial| trial.promise == Promise::PlainHttp);
    assert!(tried.filter(|trial| trial.verdict == Verdict::Held).count() >= 4);
    let (before, after) = (posture(led()).lock(), posture(safe(&calls)).lock());
    let changes = compare(&before, &after).unwrap();
    assert!(
        changes
            .iter()
            .all(|change| change.direction == Direction::Weaker)
    );
    assert!(
        changes
            .iter()
            .any(|change| change.field == "https_redirect")
    );
}

//! What surrounds the calls of one endpoint, declared by attributes.

use std::sync::atomic::{AtomicUsize, Ordering};

use apifrom::middleware::{
    Cors, Csrf, RateLimit, SecurityHeaders, cors, csrf_exempt, rate_limit, security_headers,
};
use apifrom::security::api_key_required;
use apifrom::testing::{TestAnswer, TestClient};
use apifrom::{Api, api, endpoints};

static CALLS: AtomicUsize = AtomicUsize::new(0);

const KEYS: [(&str, [&str; 0]); 2] = [("key-1", []), ("key-2", [])];

fn embedded() -> SecurityHeaders {
    SecurityHeaders::new().x_frame_options("SAMEORIGIN")
}

#[api(route = "/framed", method = "GET")]
#[security_headers(embedded())]
fn framed() -> &'static str {
    "framed"
}

// Above, and by their whole paths.
#[apifrom::middleware::cors(Cors::new().allow_origins(["https://partner.example"]))]
#[apifrom::middleware::csrf_exempt(reason = "its sender signs")]
#[api(route = "/hook", method = "POST")]
fn hook() -> &'static str {
    CALLS.fetch_add(1, Ordering::SeqCst);
    "taken"
}

#[api(route = "/each", method = "GET")]
#[rate_limit("2/minute", key = "identity")]
#[rate_limit(RateLimit::new(3, std::time::Duration::from_secs(60)), headers = false)]
#[api_key_required(api_keys = KEYS)]
fn each() -> &'static str {
    "each"
}

#[api(route = "/dear", method = "GET")]
#[rate_limit("3/minute", cost = 2)]
fn dear() -> &'static str {
    "dear"
}

#[api(route = "/plain", method = "POST")]
fn plain() -> &'static str {
    CALLS.fetch_add(1, Ordering::SeqCst);
    "plain"
}

#[api(route = "/wrong", method = "GET")]
#[rate_limit("many/minute")]
fn wrong() {}

#[api(route = "/heedless", method = "POST")]
#[csrf_exempt(reason = reason())]
#[cors(Cors::new().allow_origins(["not an origin"]))]
fn heedless() {}

fn reason() -> String {
    String::new()
}

fn client() -> TestClient {
    let api = Api::new()
        .add_middleware(Csrf::new("a secret of at least thirty-two bytes"))
        .add_middleware(Cors::new().allow_origins(["https://page.example"]))
        .add_middleware(SecurityHeaders::new())
        .endpoints(endpoints![framed, hook, each, dear, plain]);
    TestClient::new(api.build().unwrap())
}

fn read_by(answer: &TestAnswer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[test]
fn headers_and_origins_take_the_place_of_the_whole_apis() {
    let client = client();
    let framed = client.get("/framed").send().unwrap();
    assert_eq!(framed.header("x-frame-options"), Some("SAMEORIGIN"));
    let other = client.get("/dear").send().unwrap();
    assert_eq!(other.header("x-frame-options"), Some("DENY"));

    let asked = |origin: &str| {
        let request = client.post("/hook").header("origin", origin);
        request.send().unwrap()
    };
    let partner = asked("https://partner.example");
    assert_eq!(read_by(&partner), Some("https://partner.example"));
    assert_eq!(read_by(&asked("https://page.example")), None);
}

#[test]
fn an_exempt_endpoint_is_called_from_other_sites_and_no_other_one_is() {
    let client = client();
    let before = CALLS.load(Ordering::SeqCst);
    let crossing = |target: &str| {
        let request = client.post(target).header("sec-fetch-site", "cross-site");
        request.send().unwrap().status()
    };
    assert_eq!(crossing("/plain"), 403);
    assert_eq!(CALLS.load(Ordering::SeqCst), before);
    assert_eq!(crossing("/hook"), 200);
}

#[test]
fn limits_stack_and_count_by_what_they_say() {
    let client = client();
    let with = |key: &str| {
        let request = client.get("/each").header("x-api-key", key);
        request.send().unwrap()
    };
    assert_eq!(with("key-1").status(), 200);
    assert_eq!(with("key-1").header("x-ratelimit-remaining"), Some("0"));
    // Two of this key; the limit of all clients at this address has one left.
    assert_eq!(with("key-2").status(), 200);
    assert_eq!(with("key-2").status(), 429);

    assert_eq!(client.get("/dear").send().unwrap().status(), 200);
    assert_eq!(client.get("/dear").send().unwrap().status(), 429);
}

#[test]
fn what_is_wrong_is_said_at_the_start_with_its_place() {
    let api = Api::new()
        .add_middleware(Csrf::new("a secret of at least thirty-two bytes"))
        .endpoints(endpoints![wrong, heedless]);
    let errors = api.build().unwrap_err().to_string();
    for expected in [
        "routes.wrong.rate_limit: expected a limit such as \"100/minute\"",
        "routes.heedless.csrf_exempt.reason",
        "routes.heedless.cors.allow_origins[0]",
    ] {
        assert!(errors.contains(expected), "{expected} is not in {errors}");
    }
}

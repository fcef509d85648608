//! Security headers on the Rust face: on every answer, and by the endpoint's own choice.

use apifrom::middleware::{ContentPolicy, CspNonce, Hsts, SecurityHeaders};
use apifrom::testing::TestClient;
use apifrom::{
    Api, ApiConfig, EndpointSpec, IntoResponse, Next, Peer, Problem, Reply, Request, Response,
    ResponseBody, api, endpoints,
};

fn home() -> EndpointSpec {
    let handler = |_request: Request| Reply::Ready("home".into_response());
    EndpointSpec::new("home", "/", ["GET"], move |_| {
        Some(std::sync::Arc::new(handler))
    })
}

#[test]
fn they_stand_on_every_answer_and_transport_security_over_tls_alone() {
    let api = Api::with_config(ApiConfig::default())
        .add_middleware(SecurityHeaders::new())
        .endpoints([home()]);
    let engine = api.build().unwrap();
    let address = "192.0.2.1:4000".parse().unwrap();
    let plain = TestClient::from_peer(engine.clone(), Peer::ip(address, false));
    let secure = TestClient::from_peer(engine, Peer::ip(address, true));
    for (path, status) in [("/", 200), ("/nowhere", 404)] {
        for (client, hsts) in [(&plain, None), (&secure, Some("max-age=31536000"))] {
            let answer = client.get(path).send().unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.header("strict-transport-security"), hsts);
            assert_eq!(answer.header("x-frame-options"), Some("DENY"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(
                answer.header("content-security-policy"),
                Some("default-src 'none'; frame-ancestors 'none'")
            );
        }
    }
}

#[test]
fn an_endpoint_may_say_something_else() {
    let mut own = SecurityHeaders::new().x_frame_options("SAMEORIGIN");
    own.csp = ContentPolicy::Omitted;
    let api = Api::new()
        .add_middleware(SecurityHeaders::new())
        .endpoints([home().security_headers(own)]);
    let client = TestClient::new(api.build().unwrap());
    let answer = client.get("/").send().unwrap();
    assert_eq!(answer.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(answer.header("content-security-policy"), None);
    let other = client.get("/nowhere").send().unwrap();
    assert_eq!(other.header("x-frame-options"), Some("DENY"));
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let wrong = SecurityHeaders::new()
        .csp([("default-src", ["self"]), ("scripts", ["'self'"])])
        .permissions_policy([("camera", ["nobody"])])
        .hsts(Hsts {
            preload: true,
            ..Hsts::default()
        })
        .referrer_policy("never")
        .x_frame_options("DENY\r\nX: y");
    let found = Api::new().add_middleware(wrong).build().unwrap_err();
    let found: Vec<_> = found.iter().map(|error| error.path().to_owned()).collect();
    assert_eq!(
        found,
        [
            "security_headers.x_frame_options",
            "security_headers.referrer_policy",
            "security_headers.permissions_policy[\"camera\"]",
            "security_headers.csp[\"default-src\"]",
            "security_headers.csp[\"scripts\"]",
            "security_headers.hsts.preload",
        ]
    );
}

fn page_of(nonce: &str) -> Response {
    let body = format!("<script nonce=\"{nonce}\">start()</script>");
    http::Response::builder()
        .header("content-type", "text/html")
        .header("cache-control", "max-age=60")
        .body(ResponseBody::full(body))
        .unwrap()
}

#[api(route = "/page", method = "GET")]
fn page(nonce: CspNonce) -> Response {
    page_of(nonce.as_str())
}

#[api(route = "/plain", method = "GET")]
fn plain() -> Response {
    page_of("none")
}

#[api(route = "/own", method = "GET")]
fn own(nonce: CspNonce) -> Response {
    let mut response = page_of(nonce.as_str());
    let policy = http::HeaderValue::from_static("default-src 'none'");
    response
        .headers_mut()
        .insert("content-security-policy", policy);
    response
}

#[api(route = "/failing", method = "GET")]
fn failing(nonce: CspNonce) -> Result<String, Problem> {
    Err(Problem::new(409).detail(format!("not now, {}", nonce.as_str().len())))
}

/// The nonce that a page bears.
fn borne(text: &str) -> &str {
    text.split('"').nth(1).unwrap()
}

#[test]
fn a_page_that_asks_for_a_nonce_is_the_only_one_with_it() {
    let api = Api::new()
        .add_middleware(SecurityHeaders::new())
        .endpoints(endpoints![page, plain, own, failing]);
    let client = TestClient::new(api.build().unwrap());
    let mut known = std::collections::HashSet::new();
    for _ in 0..3 {
        let answer = client.get("/page").send().unwrap();
        let text = answer.text();
        let nonce = borne(&text);
        let expected = format!(
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' \
             'nonce-{nonce}'"
        );
        assert_eq!(answer.header("content-security-policy"), Some(&*expected));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(known.insert(nonce.to_owned()), "it was there before");
    }
    let answer = client.get("/plain").send().unwrap();
    assert!(
        !answer
            .header("content-security-policy")
            .unwrap()
            .contains("nonce")
    );
    assert_eq!(answer.header("cache-control"), Some("max-age=60"));
    let answer = client.get("/own").send().unwrap();
    let own = answer.header("content-security-policy");
    assert_eq!(own, Some("default-src 'none'"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let answer = client.get("/failing").send().unwrap();
    assert_eq!(answer.status(), 409);
    assert!(answer.text().contains("not now, 24"));
}

#[test]
fn a_nonce_without_a_policy_to_name_it_keeps_the_api_from_starting() {
    let mut none = SecurityHeaders::new();
    none.csp = ContentPolicy::Omitted;
    for api in [Api::new(), Api::new().add_middleware(none)] {
        let found = api.endpoints(endpoints![page, plain]).build().unwrap_err();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("routes.page: asks for CspNonce"),
            "{found:?}"
        );
    }
}

/// Answers with a page of its own.
struct Maintenance;

impl apifrom::Middleware for Maintenance {
    fn surrounds_handlers(&self) -> bool {
        true
    }

    fn around(&self, request: Request, next: Next) -> Reply {
        match request.context().csp_nonce() {
            Some(nonce) if request.head().uri.path() == "/" => {
                Reply::Ready(Ok(page_of(nonce.as_str())))
            }
            _ => next.call(request),
        }
    }
}

#[test]
fn own_middleware_may_answer_with_a_page_as_well() {
    let api = Api::new()
        .add_middleware(SecurityHeaders::new())
        .add_middleware(Maintenance)
        .endpoints([home()])
        .endpoints(endpoints![plain]);
    let client = TestClient::new(api.build().unwrap());
    let answer = client.get("/").send().unwrap();
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains(borne(&answer.text())));
    let answer = client.get("/plain").send().unwrap();
    assert!(
        !answer
            .header("content-security-policy")
            .unwrap()
            .contains("nonce")
    );
}

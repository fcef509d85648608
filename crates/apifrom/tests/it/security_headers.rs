//! Security headers on the Rust face: on every answer, and by the endpoint's own choice.

use apifrom::middleware::{ContentPolicy, Hsts, SecurityHeaders};
use apifrom::testing::TestClient;
use apifrom::{Api, ApiConfig, EndpointSpec, IntoResponse, Peer, Reply, Request};

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

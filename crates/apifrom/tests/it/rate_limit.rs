//! Rate limits on the Rust face: counted before anybody is asked who they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apifrom::middleware::RateLimit;
use apifrom::security::ApiKeyRequired;
use apifrom::testing::TestClient;
use apifrom::{Api, ConfigErrors, EndpointSpec, IntoResponse, Reply, Request};

const MINUTE: Duration = Duration::from_mins(1);

/// `GET /` behind a key and the limits; its handler counts its calls.
fn limited(limits: &[RateLimit]) -> Result<(TestClient, Arc<AtomicUsize>), ConfigErrors> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |_request: Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        Reply::Ready("called".into_response())
    };
    let spec = EndpointSpec::new("home", "/", ["GET"], move |_| Some(Arc::new(handler)))
        .protect(ApiKeyRequired::new().key("a-long-enough-key", ["read"]));
    let api = Api::new().endpoints([spec]);
    let api = limits.iter().cloned().fold(api, Api::add_middleware);
    Ok((TestClient::new(api.build()?), calls))
}

#[test]
fn a_refusal_stands_before_authentication_and_the_handler_and_says_when_to_come_back() {
    let (client, calls) = limited(&[RateLimit::new(3, MINUTE)]).unwrap();
    let keyed = || client.get("/").header("x-api-key", "a-long-enough-key");
    assert_eq!(keyed().send().unwrap().status(), 200);
    assert_eq!(client.get("/").send().unwrap().status(), 401);
    let unknown = client.get("/nowhere").send().unwrap();
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.header("x-ratelimit-remaining"), Some("0"));
    for request in [keyed(), client.get("/"), client.get("/other")] {
        let refused = request.send().unwrap();
        assert_eq!(refused.status(), 429);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((58..=62).contains(&wait), "{wait}");
        assert_eq!(
            refused.header("content-type"),
            Some("application/problem+json")
        );
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn the_quota_is_back_after_the_window_and_the_tightest_of_several_limits_is_shown() {
    let short = Duration::from_millis(300);
    let limits = [
        RateLimit::new(9, MINUTE).headers(false),
        RateLimit::new(2, short),
    ];
    let (client, _) = limited(&limits).unwrap();
    for _ in 0..2 {
        let found: Vec<_> = (0..3).map(|_| client.get("/").send().unwrap()).collect();
        let statuses: Vec<_> = found
            .iter()
            .map(|answer| answer.status().as_u16())
            .collect();
        assert_eq!(statuses, [401, 401, 429]);
        for answer in &found {
            assert_eq!(
                answer.header("ratelimit-policy"),
                Some("\"client\";q=2;w=1")
            );
        }
        std::thread::sleep(Duration::from_millis(330));
    }
}

#[test]
fn limits_that_cannot_hold_stop_the_start_and_all_fields_are_named() {
    let wrong = RateLimit::new(0, Duration::ZERO).max_keys(0);
    let found = limited(&[wrong]).err().unwrap().to_string();
    for field in ["limit", "window", "max_keys"] {
        assert!(
            found.contains(&format!("rate_limit.{field}: expected")),
            "{found}"
        );
    }
    let too_long = RateLimit::new(1, Duration::from_secs(31_536_001));
    assert!(limited(&[too_long]).is_err());
}

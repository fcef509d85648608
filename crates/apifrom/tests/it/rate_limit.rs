//! Rate limits on the Rust face: counted before anybody is asked who they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apifrom::middleware::RateLimit;
use apifrom::security::ApiKeyRequired;
use apifrom::testing::TestClient;
use apifrom::{
    Api, ConfigErrors, Context, EndpointSpec, Head, IntoResponse, KeyPart, Keyed, Rejection, Reply,
    Request, Router,
};

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

/// An endpoint behind a key, that counts its calls.
fn locked(calls: &Arc<AtomicUsize>) -> EndpointSpec {
    let calls = Arc::clone(calls);
    let handler = move |_: Request| {
        calls.fetch_add(1, Ordering::SeqCst);
        Reply::Ready("in".into_response())
    };
    EndpointSpec::new("locked", "/locked", ["GET"], move |_| {
        Some(Arc::new(handler))
    })
    .protect(
        ApiKeyRequired::new()
            .key("key-1", ["a"; 0])
            .key("key-2", ["a"; 0]),
    )
}

fn minute(limit: u32) -> RateLimit {
    RateLimit::new(limit, Duration::from_mins(1))
}

#[test]
fn a_key_function_says_whose_requests_count_together() {
    let by_header = |head: &Head, _: &Context| {
        let key = head.headers.get("x-key");
        key.map(|key| key.as_bytes().to_vec())
            .map(|key| KeyPart::from(key.as_slice()))
    };
    let calls = Arc::default();
    let api = Api::new()
        .add_middleware(minute(2).key(by_header))
        .endpoints([locked(&calls)]);
    let client = TestClient::new(api.build().unwrap());
    let ask = |key: &str| {
        let request = client.get("/locked").header("x-api-key", "key-1");
        request.header("x-key", key).send().unwrap()
    };
    assert_eq!([ask("a").status(), ask("a").status()], [200, 200]);
    let refused = ask("a");
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"key\";q=2;w=60"));
    assert_eq!(ask("b").status(), 200);
    // Whoever is not let in reaches no key function, and neither does what is not there.
    for _ in 0..4 {
        assert_eq!(
            client
                .get("/locked")
                .header("x-key", "c")
                .send()
                .unwrap()
                .status(),
            401
        );
        assert_eq!(
            client
                .get("/no")
                .header("x-key", "c")
                .send()
                .unwrap()
                .status(),
            404
        );
    }
    assert_eq!(ask("c").status(), 200);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

#[test]
fn a_key_function_that_fails_or_waits_is_heeded() {
    let failing = |_: &Head, _: &Context| Keyed::Failed(Rejection::internal().caused_by("no"));
    let waiting = |_: &Head, _: &Context| {
        Keyed::Wait(Box::pin(async {
            tokio::task::yield_now().await;
            Keyed::from("same")
        }))
    };
    let calls = Arc::default();
    let build = |limit: RateLimit| {
        let api = Api::new().endpoints([locked(&calls).rate_limit(limit)]);
        TestClient::new(api.build().unwrap())
    };
    let ask = |client: &TestClient| {
        let request = client.get("/locked").header("x-api-key", "key-1");
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(ask(&build(minute(1).key(failing))), 503);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let client = build(minute(1).key(waiting));
    assert_eq!([ask(&client), ask(&client)], [200, 429]);
}

#[test]
fn identities_routers_and_endpoints_have_limits_of_their_own() {
    let calls = Arc::default();
    let router = Router::new("/v1")
        .limit(minute(3))
        .endpoints([locked(&calls).rate_limit(minute(2).by_identity())]);
    let other = EndpointSpec::new("open", "/open", ["GET"], |_| {
        Some(Arc::new(|_: Request| Reply::Ready("open".into_response())))
    });
    let api = Api::new().router(router.endpoints([other]));
    let client = TestClient::new(api.build().unwrap());
    let ask = |path: &str, key: &str| {
        let request = client.get(path).header("x-api-key", key);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(ask("/v1/locked", "key-1"), 200);
    assert_eq!(ask("/v1/locked", "key-1"), 200);
    assert_eq!(ask("/v1/locked", "key-1"), 429);
    // All three counted for the router.
    assert_eq!(ask("/v1/open", "key-1"), 429);
    assert_eq!(ask("/v1/locked", "key-2"), 429);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let wrong = Api::new().endpoints([locked(&calls).rate_limit(minute(1).cost(2))]);
    let found = wrong.build().unwrap_err();
    let paths: Vec<_> = found.iter().map(apifrom::ConfigError::path).collect();
    assert_eq!(paths, ["routes.locked.rate_limit.cost"]);
}

#[cfg(feature = "redis")]
#[test]
fn what_to_do_without_a_store_is_of_no_use_where_there_is_none() {
    use apifrom::middleware::OnFailure;

    for policy in [OnFailure::Local, OnFailure::Closed, OnFailure::InsecureOpen] {
        let found = limited(&[RateLimit::new(1, MINUTE).on_failure(policy)]).err();
        let found = found.unwrap().to_string();
        assert!(found.contains("rate_limit.on_failure: "), "{found}");
    }
}

//! Cross-site request forgery on the Rust face: what passes, what does not, and what handlers see.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use apifrom::middleware::{Cors, Csrf};
use apifrom::security::{ApiKeyRequired, BasicAuthRequired};
use apifrom::testing::{TestAnswer, TestClient, TestRequest};
use apifrom::{
    Api, ApiConfig, Context, EndpointSpec, Head, IntoResponse, KeyPart, Keyed, Rejection, Reply,
    Request,
};

const SECRET: &str = "a secret for tests that is longer than 32 bytes";

/// An endpoint that counts its calls and answers with the request's token.
fn acting(template: &str, calls: &Arc<AtomicUsize>) -> EndpointSpec {
    let calls = Arc::clone(calls);
    let handler = move |request: Request| {
        calls.fetch_add(1, Ordering::SeqCst);
        let token = request.context().csrf_token().unwrap_or("none").to_owned();
        Reply::Ready(token.into_response())
    };
    let name = template.trim_start_matches('/').to_owned();
    EndpointSpec::new(name, template, ["GET", "POST"], move |_| {
        Some(Arc::new(handler))
    })
}

struct Example {
    client: TestClient,
    calls: Arc<AtomicUsize>,
}

impl Example {
    fn new(csrf: Csrf) -> Self {
        let calls = Arc::default();
        let key = || ApiKeyRequired::new().key("key-1", ["a"; 0]);
        let cookie = key().header_name(None::<&str>).cookie_name(Some("key"));
        let basic = BasicAuthRequired::new().credentials([("ann", "pass"), ("bob", "pass")]);
        let mut config = ApiConfig::default();
        config.max_body_size = 1_000;
        let api = Api::with_config(config).add_middleware(csrf).endpoints([
            acting("/open", &calls),
            acting("/key", &calls).protect(key()),
            acting("/cookie", &calls).protect(cookie),
            acting("/basic", &calls).protect(basic),
            acting("/hook", &calls).csrf_exempt("its sender signs"),
        ]);
        Self {
            client: TestClient::new(api.build().unwrap()),
            calls,
        }
    }

    /// How many calls `act` caused.
    fn counted<T>(&self, act: impl FnOnce() -> T) -> (T, usize) {
        let before = self.calls.load(Ordering::SeqCst);
        let result = act();
        (result, self.calls.load(Ordering::SeqCst) - before)
    }

    fn refuses(&self, request: TestRequest, code: &str) {
        let (answer, calls) = self.counted(|| request.send().unwrap());
        assert_eq!((answer.status().as_u16(), calls), (403, 0), "{code}");
        assert_eq!(kind(&answer), code);
        assert_eq!(answer.header("set-cookie"), None);
    }

    fn accepts(&self, request: TestRequest) -> TestAnswer {
        let (answer, calls) = self.counted(|| request.send().unwrap());
        assert_eq!((answer.status().as_u16(), calls), (200, 1));
        answer
    }
}

fn kind(answer: &TestAnswer) -> String {
    let problem: serde_json::Value = answer.json().unwrap();
    let kind = problem["type"].as_str().unwrap();
    kind.rsplit([':', '/', '#']).next().unwrap().to_owned()
}

/// The token in the cookie that an answer sets.
fn token(answer: &TestAnswer) -> String {
    let line = answer.header("set-cookie").unwrap();
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Secure; SameSite=Lax");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    pair.strip_prefix("__Host-csrf=").unwrap().to_owned()
}

fn cookie(token: &str) -> String {
    format!("__Host-csrf={token}")
}

#[test]
fn a_page_gets_a_token_and_what_repeats_it_passes() {
    let example = Example::new(Csrf::new(SECRET));
    let page = example.accepts(example.client.get("/open"));
    let token = token(&page);
    // What the page's own form is given is what its cookie holds.
    assert_eq!(page.text(), token);

    let held = cookie(&token);
    let again = example.accepts(example.client.get("/open").header("cookie", &held));
    assert_eq!(again.header("set-cookie"), None);
    assert_eq!(again.text(), token);

    let post = || example.client.post("/open").header("cookie", &held);
    let by_header = example.accepts(post().header("X-CSRF-Token", &token));
    assert_eq!(by_header.text(), token);
    example.accepts(post().form(format!("a=1&csrf_token={token}")));
    let multipart = format!(
        "--b\r\ncontent-disposition: form-data; name=\"csrf_token\"\r\n\r\n{token}\r\n--b--\r\n"
    );
    example.accepts(
        post()
            .header("content-type", "multipart/form-data; boundary=b")
            .body(multipart),
    );
}

#[test]
fn the_handler_reads_the_form_that_held_the_token() {
    let handler = |mut request: Request| {
        Reply::Wait(Box::pin(async move {
            request.body().read().await?.into_response()
        }))
    };
    let echo = EndpointSpec::new("echo", "/", ["GET", "POST"], move |_| {
        Some(Arc::new(handler))
    });
    let api = Api::new()
        .add_middleware(Csrf::new(SECRET))
        .endpoints([echo]);
    let client = TestClient::new(api.build().unwrap());
    let token = token(&client.get("/").send().unwrap());
    let form = format!("csrf_token={token}&note=hello");
    let answer = client
        .post("/")
        .header("cookie", cookie(&token))
        .form(form.clone());
    assert_eq!(answer.send().unwrap().text(), form);
}

#[test]
fn a_token_that_is_missing_doubled_swapped_or_forged_is_refused() {
    let example = Example::new(Csrf::new(SECRET));
    let one = token(&example.client.get("/open").send().unwrap());
    let two = token(&example.client.get("/open").send().unwrap());
    assert_ne!(one, two);
    let foreign = Example::new(Csrf::new("another secret of more than 32 bytes"));
    let forged = token(&foreign.client.get("/open").send().unwrap());

    let post = || example.client.post("/open");
    let with = |cookies: &str, header: &str| {
        post()
            .header("cookie", cookies)
            .header("x-csrf-token", header)
    };
    let held = cookie(&one);
    example.refuses(post(), "csrf_token_missing");
    example.refuses(post().header("x-csrf-token", &one), "csrf_token_missing");
    example.refuses(post().header("cookie", &held), "csrf_token_missing");
    example.refuses(
        post().header("cookie", &held).form("a=1"),
        "csrf_token_missing",
    );
    example.refuses(
        post()
            .header("cookie", &held)
            .header("content-type", "application/json")
            .body(format!("{{\"csrf_token\": \"{one}\"}}")),
        "csrf_token_missing",
    );
    let target = format!("/open?csrf_token={one}");
    example.refuses(
        example.client.post(&target).header("cookie", &held),
        "csrf_token_missing",
    );
    example.refuses(with(&held, &two), "csrf_token_invalid");
    example.refuses(with(&cookie(&two), &one), "csrf_token_invalid");
    example.refuses(with(&cookie(&forged), &forged), "csrf_token_invalid");
    example.refuses(with("__Host-csrf=", ""), "csrf_token_invalid");
    example.refuses(
        with(&format!("__Host-csrf={}", "A".repeat(86)), &"A".repeat(86)),
        "csrf_token_invalid",
    );
    example.refuses(with(&format!("{held}; {held}"), &one), "csrf_token_invalid");
    example.refuses(
        with(&held, &one).another_header("x-csrf-token", &one),
        "csrf_token_invalid",
    );
    example.refuses(with(&held, "\u{fc}"), "csrf_token_invalid");
    example.refuses(
        post()
            .header("cookie", &held)
            .form(format!("csrf_token={one}&csrf_token={one}")),
        "csrf_token_invalid",
    );
    // The header decides where it is sent.
    example.refuses(
        with(&held, &two).form(format!("csrf_token={one}")),
        "csrf_token_invalid",
    );
    // A name is compared byte by byte.
    example.refuses(
        with(&format!("__host-csrf={one}"), &one),
        "csrf_token_missing",
    );
}

#[test]
fn a_page_of_another_site_is_refused_though_it_had_a_token() {
    let example = Example::new(Csrf::new(SECRET).trusted_origins(["https://app.example.com"]));
    let token = token(&example.client.get("/open").send().unwrap());
    let post = |name: &str, value: &str| {
        example
            .client
            .post("/open")
            .header("host", "api.example.com")
            .header("cookie", cookie(&token))
            .header("x-csrf-token", &token)
            .header(name, value)
    };
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "http://api.example.com.evil.example"),
        ("origin", "null"),
    ] {
        example.refuses(post(name, value), "csrf_cross_site");
    }
    example.refuses(
        post("sec-fetch-site", "none").another_header("sec-fetch-site", "none"),
        "csrf_cross_site",
    );
    example.accepts(post("sec-fetch-site", "same-origin"));
    example.accepts(post("sec-fetch-site", "none"));
    example.accepts(post("origin", "http://api.example.com"));
    let trusted = post("origin", "https://app.example.com").header("sec-fetch-site", "cross-site");
    example.accepts(trusted);
    let without_token = example
        .client
        .post("/open")
        .header("origin", "https://app.example.com");
    example.refuses(without_token, "csrf_token_missing");
}

#[test]
fn a_credential_that_browsers_never_send_needs_no_token() {
    let example = Example::new(Csrf::new(SECRET));
    let answer = example.accepts(example.client.post("/key").header("x-api-key", "key-1"));
    assert_eq!(answer.text(), "none");
    let foreign = example
        .client
        .post("/key")
        .header("x-api-key", "key-1")
        .header("sec-fetch-site", "cross-site");
    example.accepts(foreign);
    // Where it authenticated nobody it counts for nothing.
    let open = example.client.post("/open").header("x-api-key", "key-1");
    example.refuses(open, "csrf_token_missing");
    example.refuses(
        example
            .client
            .post("/open")
            .header("authorization", "Bearer x"),
        "csrf_token_missing",
    );
    example.refuses(
        example.client.post("/cookie").header("cookie", "key=key-1"),
        "csrf_token_missing",
    );
    example.refuses(
        example
            .client
            .post("/basic")
            .header("authorization", "Basic YW5uOnBhc3M="),
        "csrf_token_missing",
    );
}

#[test]
fn a_token_belongs_to_whoever_was_authenticated() {
    let example = Example::new(Csrf::new(SECRET));
    let ann = "Basic YW5uOnBhc3M=";
    let bob = "Basic Ym9iOnBhc3M=";
    let page = example.client.get("/basic").header("authorization", ann);
    let of_ann = token(&page.send().unwrap());
    let of_nobody = token(&example.client.get("/open").send().unwrap());
    let post = |who: &str, token: &str| {
        example
            .client
            .post("/basic")
            .header("authorization", who)
            .header("cookie", cookie(token))
            .header("x-csrf-token", token)
    };
    example.accepts(post(ann, &of_ann));
    example.refuses(post(bob, &of_ann), "csrf_token_invalid");
    example.refuses(post(ann, &of_nobody), "csrf_token_invalid");
    // Her next page gives him one of his own.
    let page = example.client.get("/basic").header("authorization", bob);
    let page = page.header("cookie", cookie(&of_ann)).send().unwrap();
    example.accepts(post(bob, &token(&page)));
}

#[test]
fn a_refusal_comes_after_authentication_and_before_the_body_is_judged() {
    let example = Example::new(Csrf::new(SECRET));
    let nobody = example.client.post("/basic").send().unwrap();
    assert_eq!(nobody.status(), 401);
    let token = token(&example.client.get("/open").send().unwrap());
    let large = format!("csrf_token={token}&a={}", "x".repeat(2_000));
    let large = example
        .client
        .post("/open")
        .header("cookie", cookie(&token))
        .form(large);
    let (answer, calls) = example.counted(|| large.send().unwrap());
    assert_eq!((answer.status().as_u16(), calls), (413, 0));
}

#[test]
fn an_exempt_endpoint_asks_for_nothing_and_gives_nothing() {
    let example = Example::new(Csrf::new(SECRET));
    let post = example
        .client
        .post("/hook")
        .header("origin", "https://evil.example");
    assert_eq!(example.accepts(post).text(), "none");
    let page = example.accepts(example.client.get("/hook"));
    assert_eq!(page.header("set-cookie"), None);

    let calls = Arc::default();
    let wrong = Api::new().endpoints([acting("/hook", &calls).csrf_exempt(" ")]);
    let found = wrong.build().unwrap_err();
    let paths: Vec<_> = found.iter().map(apifrom::ConfigError::path).collect();
    assert_eq!(paths, ["routes.hook.csrf_exempt.reason"]);
}

#[test]
fn what_is_not_there_is_answered_as_ever_and_a_merged_service_is_protected() {
    let example = Example::new(Csrf::new(SECRET));
    assert_eq!(
        example.client.post("/nowhere").send().unwrap().status(),
        404
    );
    assert_eq!(example.client.delete("/open").send().unwrap().status(), 405);
    let merged = axum::Router::new().fallback(|| async { "merged" });
    let api = Api::new().add_middleware(Csrf::new(SECRET)).merge(merged);
    let client = TestClient::new(api.build().unwrap());
    assert_eq!(client.post("/any").send().unwrap().status(), 403);
    let page = client.get("/any").send().unwrap();
    let token = token(&page);
    let post = client
        .post("/any")
        .header("cookie", cookie(&token))
        .header("x-csrf-token", &token);
    assert_eq!(post.send().unwrap().text(), "merged");
}

#[test]
fn a_preflight_and_a_refusal_carry_what_cross_origin_pages_need() {
    let calls = Arc::default();
    let cors = Cors::new()
        .allow_origins(["https://app.example.com"])
        .allow_methods(["POST"])
        .allow_headers(["X-CSRF-Token"])
        .allow_credentials(true);
    let csrf = Csrf::new(SECRET).trusted_origins(["https://app.example.com"]);
    let api = Api::new()
        .add_middleware(csrf)
        .add_middleware(cors)
        .endpoints([acting("/open", &calls)]);
    let client = TestClient::new(api.build().unwrap());
    let preflight = client
        .request(http::Method::OPTIONS, "/open")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-csrf-token");
    assert_eq!(preflight.send().unwrap().status(), 204);
    let refused = client
        .post("/open")
        .header("origin", "https://app.example.com")
        .send()
        .unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://app.example.com")
    );
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn a_short_secret_is_an_error_under_strict_alone() {
    let build = |strict| {
        let mut config = ApiConfig::default();
        config.strict = strict;
        Api::with_config(config)
            .add_middleware(Csrf::new("your-csrf-secret"))
            .build()
            .map(drop)
    };
    assert!(build(false).is_ok());
    let found = build(true).unwrap_err();
    let paths: Vec<_> = found.iter().map(apifrom::ConfigError::path).collect();
    assert_eq!(paths, ["csrf.secret"]);
    let twice = Api::new()
        .add_middleware(Csrf::new(SECRET))
        .add_middleware(Csrf::new(SECRET));
    assert!(twice.build().is_err());
}

#[test]
fn another_set_cookie_of_the_handler_stays() {
    let handler = |_: Request| {
        let mut answer = "home".into_response().unwrap();
        let line = http::HeaderValue::from_static("sid=1; Path=/");
        answer.headers_mut().append("set-cookie", line);
        answer.headers_mut().insert(
            "cache-control",
            http::HeaderValue::from_static("max-age=60"),
        );
        Reply::Ready(Ok(answer))
    };
    let home = EndpointSpec::new("home", "/", ["GET"], move |_| Some(Arc::new(handler)));
    let api = Api::new()
        .add_middleware(Csrf::new(SECRET))
        .endpoints([home]);
    let client = TestClient::new(api.build().unwrap());
    let answer = client.get("/").send().unwrap();
    let lines = answer.headers().get_all("set-cookie");
    let lines: Vec<_> = lines.iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(lines[0], "sid=1; Path=/");
    assert!(lines[1].starts_with("__Host-csrf="));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn a_token_belongs_to_the_session_that_the_program_keeps() {
    let session = |head: &Head, _: &Context| {
        let line = head.headers.get("cookie")?.to_str().ok()?;
        let sid = line
            .split("; ")
            .find_map(|pair| pair.strip_prefix("sid="))?;
        Some(KeyPart::from(sid))
    };
    let example = Example::new(Csrf::new(SECRET).session(session));
    let page = |cookies: &str| {
        let page = example.client.get("/open").header("cookie", cookies);
        token(&page.send().unwrap())
    };
    let (ann, nobody) = (page("sid=ann"), page("a=b"));
    let post = |sid: &str, token: &str| {
        let cookies = format!("sid={sid}; {}", cookie(token));
        let post = example.client.post("/open").header("cookie", cookies);
        post.header("x-csrf-token", token)
    };
    example.accepts(post("ann", &ann));
    example.refuses(post("bob", &ann), "csrf_token_invalid");
    example.refuses(post("ann", &nobody), "csrf_token_invalid");
    let kept = format!("sid=ann; {}", cookie(&ann));
    let again = example.client.get("/open").header("cookie", kept);
    assert_eq!(again.send().unwrap().header("set-cookie"), None);
}

#[test]
fn a_session_that_cannot_be_told_lets_nobody_pass() {
    let failing = |_: &Head, _: &Context| Keyed::Failed(Rejection::internal().caused_by("no"));
    let example = Example::new(Csrf::new(SECRET).session(failing));
    for request in [example.client.get("/open"), example.client.post("/open")] {
        let (answer, calls) = example.counted(|| request.send().unwrap());
        assert_eq!((answer.status().as_u16(), calls), (503, 0));
        assert_eq!(answer.header("set-cookie"), None);
    }
}

//! What comes in clear text: led to TLS where nothing was given away, refused where something was.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use apifrom::middleware::{Cors, HttpsRedirect};
use apifrom::security::ApiKeyRequired;
use apifrom::testing::{TestAnswer, TestClient};
use apifrom::{
    Api, ApiConfig, EndpointSpec, IntoResponse, Level, Logger, Peer, Record, Reply, Request, Sink,
};

#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl Sink for Events {
    fn enabled(&self, logger: Logger, _: Level) -> bool {
        logger == Logger::Security
    }

    fn write(&self, record: Record) {
        self.0.lock().unwrap().push(record.message);
    }
}

struct Example {
    calls: Arc<AtomicUsize>,
    events: Arc<Events>,
    api: Api,
}

fn config(change: impl FnOnce(&mut ApiConfig)) -> ApiConfig {
    let mut config = ApiConfig::default();
    config.trusted_hosts = vec!["example.com".into(), "[::1]".into()];
    change(&mut config);
    config
}

impl Example {
    fn new(redirect: HttpsRedirect, config: ApiConfig) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let handler = Arc::new(move |_: Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            Reply::Ready("in".into_response())
        });
        let endpoint = |name: &str| {
            let handler = Arc::clone(&handler);
            EndpointSpec::new(name, format!("/{name}"), ["GET", "POST"], move |_| {
                Some(handler)
            })
        };
        let key = ApiKeyRequired::new()
            .key("key-1", ["a"; 0])
            .query_param_name(Some("api_key"))
            .cookie_name(Some("key"));
        let events = Arc::new(Events::default());
        let api = Api::with_config(config)
            .add_middleware(redirect)
            .log_to(Arc::clone(&events) as _)
            .endpoints([endpoint("open"), endpoint("keyed").protect(key)]);
        Self { calls, events, api }
    }

    fn client(self) -> (TestClient, Arc<AtomicUsize>, Arc<Events>) {
        (
            TestClient::new(self.api.build().unwrap()),
            self.calls,
            self.events,
        )
    }
}

fn led_to(answer: &TestAnswer) -> &str {
    assert_eq!(answer.status(), 308);
    assert!(answer.bytes().is_empty());
    answer.header("location").unwrap()
}

#[test]
fn what_gives_nothing_away_is_led_to_the_host_that_was_asked_for() {
    let (client, calls, events) = Example::new(HttpsRedirect::new(), config(|_| {})).client();
    for (host, target, expected) in [
        ("example.com", "/open", "https://example.com/open"),
        (
            "example.com:8080",
            "/open?a=b&c=%20",
            "https://example.com/open?a=b&c=%20",
        ),
        ("EXAMPLE.com", "/nowhere", "https://EXAMPLE.com/nowhere"),
        ("[::1]:80", "/keyed", "https://[::1]/keyed"),
        (
            "example.com",
            "//evil.example/x",
            "https://example.com//evil.example/x",
        ),
    ] {
        let answer = client.get(target).header("host", host).send().unwrap();
        assert_eq!(led_to(&answer), expected);
    }
    let head = client.request(http::Method::HEAD, "/open");
    let head = head
        .header("host", "example.com")
        .header("content-length", "0");
    assert_eq!(led_to(&head.send().unwrap()), "https://example.com/open");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert!(events.0.lock().unwrap().is_empty());
}

#[test]
fn what_gives_something_away_is_refused_and_said_to_the_log() {
    let (client, calls, events) = Example::new(HttpsRedirect::new(), config(|_| {})).client();
    let get = |target: &str| client.get(target).header("host", "example.com");
    let sent = [
        (
            get("/open").header("authorization", "Bearer abc"),
            "credential",
        ),
        (get("/open").header("cookie", "a=b"), "credential"),
        (get("/open").header("x-api-key", "whatever"), "credential"),
        (
            get("/nowhere").header("x-api-key", "whatever"),
            "credential",
        ),
        (get("/keyed?api_key=whatever"), "credential"),
        (get("/keyed?api_key=a&api_key=b"), "credential"),
        (get("/open").body("x").header("content-length", "1"), "body"),
        (get("/open").header("transfer-encoding", "chunked"), "body"),
        (client.post("/open").header("host", "example.com"), "method"),
        (
            client
                .request(http::Method::OPTIONS, "/open")
                .header("host", "example.com"),
            "method",
        ),
    ];
    for (request, reason) in sent {
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), 403, "{reason}");
        assert_eq!(answer.header("location"), None);
        assert!(answer.text().contains("https_required"));
        let event = events.0.lock().unwrap().pop().unwrap();
        assert!(event.starts_with("insecure_request "), "{event}");
        assert!(event.contains(&format!("reason={reason}")), "{event}");
        assert!(
            !event.contains("whatever") && !event.contains("abc"),
            "{event}"
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn what_came_over_tls_passes_and_a_proxy_is_believed_only_where_it_is_trusted() {
    let proxied = config(|config| config.trusted_proxies = vec!["127.0.0.1".into()]);
    for (config, expected) in [(proxied, 200), (config(|_| {}), 403)] {
        let example = Example::new(HttpsRedirect::new(), config);
        let peer = Peer::ip("127.0.0.1:4000".parse().unwrap(), false);
        let client = TestClient::from_peer(example.api.build().unwrap(), peer);
        let post = client.post("/open").header("host", "example.com");
        let post = post.header("x-forwarded-proto", "https");
        assert_eq!(
            post.header("x-forwarded-for", "192.0.2.7")
                .send()
                .unwrap()
                .status(),
            expected
        );
    }
    let example = Example::new(HttpsRedirect::new(), config(|_| {}));
    let peer = Peer::ip("192.0.2.7:4000".parse().unwrap(), true);
    let client = TestClient::from_peer(example.api.build().unwrap(), peer);
    let post = client.post("/open").header("host", "example.com");
    assert_eq!(post.send().unwrap().status(), 200);
    assert_eq!(example.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn only_the_machine_itself_is_spared_and_only_under_development() {
    for (development, from, expected) in [
        (true, "127.0.0.1:4000", 200),
        (true, "[::1]:4000", 200),
        (true, "192.0.2.7:4000", 403),
        (false, "127.0.0.1:4000", 403),
    ] {
        let config = config(|config| config.development = development);
        let example = Example::new(HttpsRedirect::new(), config);
        let peer = Peer::ip(from.parse().unwrap(), false);
        let client = TestClient::from_peer(example.api.build().unwrap(), peer);
        let post = client.post("/open").header("host", "example.com");
        assert_eq!(
            post.send().unwrap().status(),
            expected,
            "{development} {from}"
        );
    }
}

#[test]
fn host_port_and_prefix_are_the_declared_ones() {
    let redirect = HttpsRedirect::new().host("api.example").port(8443);
    let config = config(|config| config.root_path = "/v1".into());
    let (client, ..) = Example::new(redirect, config).client();
    let answer = client.get("/open?a").header("host", "example.com").send();
    assert_eq!(
        led_to(&answer.unwrap()),
        "https://api.example:8443/v1/open?a"
    );
}

#[test]
fn an_unlisted_host_is_refused_before_anything_is_led_there() {
    let (client, ..) = Example::new(HttpsRedirect::new(), config(|_| {})).client();
    let answer = client
        .get("/open")
        .header("host", "evil.example")
        .send()
        .unwrap();
    // The refusal of the host is answered on the way of every answer, and leads nowhere.
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.header("location"), None);
}

#[test]
fn pages_of_other_origins_may_read_the_refusal() {
    let example = Example::new(HttpsRedirect::new(), config(|_| {}));
    let cors = Cors::new().allow_origins(["https://page.example"]);
    let client = TestClient::new(example.api.add_middleware(cors).build().unwrap());
    let post = client.post("/open").header("host", "example.com");
    let refused = post
        .header("origin", "https://page.example")
        .send()
        .unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://page.example")
    );
}

#[test]
fn mistakes_stop_the_start_and_name_their_field() {
    let faults = |redirect: HttpsRedirect, config: ApiConfig| {
        let api = Api::with_config(config).add_middleware(redirect);
        api.build().unwrap_err().to_string()
    };
    let none = faults(HttpsRedirect::new(), ApiConfig::default());
    assert!(
        none.contains("https_redirect.host") && none.contains("trusted_hosts"),
        "{none}"
    );
    for host in [
        "",
        "https://example.com",
        "example.com:80",
        "a b",
        "u@example.com",
        "a/b",
        "*",
        "*.example.com",
        "a.*.example.com",
        "a..example.com",
        ".example.com",
        "a,example.com",
    ] {
        let found = faults(HttpsRedirect::new().host(host), ApiConfig::default());
        assert!(found.contains("https_redirect.host"), "{host}: {found}");
    }
    let port = faults(
        HttpsRedirect::new().host("a.example").port(0),
        ApiConfig::default(),
    );
    assert!(port.contains("https_redirect.port"), "{port}");
    let twice = Api::new()
        .add_middleware(HttpsRedirect::new().host("a.example"))
        .add_middleware(HttpsRedirect::new().host("b.example"));
    assert!(
        twice
            .build()
            .unwrap_err()
            .to_string()
            .contains("stands twice")
    );
}

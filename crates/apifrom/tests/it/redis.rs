//! Limits whose counts are in a real Redis server, which the tests start, stop and end.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apifrom::middleware::{OnFailure, RateLimit};
use apifrom::testing::TestClient;
use apifrom::{
    Api, ApiConfig, ConfigErrors, EndpointSpec, Engine, IntoResponse, KeyPart, Keyed, Level,
    Logger, Record, Reply, Request, Sink,
};
use redis::Commands as _;

const PASSWORD: &str = "a-password-of-the-tests";

/// A server without any file, on a port of its own.
struct Server {
    port: u16,
    directory: PathBuf,
    process: Option<Child>,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = std::env::temp_dir().join(format!("apifrom-redis-{port}"));
        std::fs::create_dir_all(&directory).unwrap();
        let mut server = Self {
            port,
            directory,
            process: None,
        };
        server.restart();
        server
    }

    fn restart(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--requirepass",
                PASSWORD,
            ])
            .current_dir(&self.directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is missing: scripts/prerequisites gates installs it");
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.connection().is_none() {
            assert!(Instant::now() < deadline, "redis-server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    fn connection(&self) -> Option<redis::Connection> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().ok()?;
        redis::cmd("PING").exec(&mut connection).ok()?;
        Some(connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<(&'static str, String)>>);

impl Sink for Events {
    fn enabled(&self, logger: Logger, _: Level) -> bool {
        logger == Logger::Security
    }

    fn write(&self, record: Record) {
        let mut events = self.0.lock().unwrap();
        events.push((record.event, record.message));
    }
}

impl Events {
    fn of(&self, event: &str) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let found = events.iter().filter(|(known, _)| *known == event);
        found.map(|(_, message)| message.clone()).collect()
    }
}

struct Example {
    calls: Arc<AtomicUsize>,
    events: Arc<Events>,
}

impl Example {
    fn new() -> Self {
        Self {
            calls: Arc::default(),
            events: Arc::default(),
        }
    }

    fn build(&self, limit: RateLimit) -> Result<Engine, ConfigErrors> {
        let calls = Arc::clone(&self.calls);
        let handler = Arc::new(move |_: Request| {
            calls.fetch_add(1, Ordering::SeqCst);
            Reply::Ready("in".into_response())
        });
        let mut config = ApiConfig::default();
        config.access_log = false;
        Api::with_config(config)
            .add_middleware(limit)
            .log_to(Arc::clone(&self.events) as _)
            .endpoints([EndpointSpec::new("home", "/", ["GET"], |_| Some(handler))])
            .build()
    }

    fn client(&self, limit: RateLimit) -> TestClient {
        TestClient::new(self.build(limit).unwrap())
    }
}

fn status(client: &TestClient) -> u16 {
    client.get("/").send().unwrap().status().as_u16()
}

fn by_header(limit: u32, window: Duration, url: &str) -> RateLimit {
    let key = |head: &apifrom::Head, _: &apifrom::Context| {
        let name = head.headers.get("x-key").map(http::HeaderValue::as_bytes);
        name.map_or(Keyed::Client, |name| Keyed::Key(vec![KeyPart::from(name)]))
    };
    RateLimit::new(limit, window).key(key).redis(url)
}

#[test]
fn two_programs_count_together_and_the_next_request_is_refused() {
    let server = Server::start();
    for limit in [3_u32, 40] {
        let example = Example::new();
        let rule = || RateLimit::new(limit, Duration::from_mins(1)).redis(server.url());
        let clients = [example.client(rule()), example.client(rule())];
        for count in 0..limit {
            let client = &clients[count as usize % 2];
            let answer = client.get("/").send().unwrap();
            assert_eq!(answer.status(), 200);
            let left = (limit - count - 1).to_string();
            assert_eq!(answer.header("x-ratelimit-remaining"), Some(&*left));
            assert_eq!(
                answer.header("ratelimit-policy"),
                Some(&*format!("\"client\";q={limit};w=60"))
            );
        }
        for client in &clients {
            let refused = client.get("/").send().unwrap();
            assert_eq!(refused.status(), 429);
            let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((58..=62).contains(&wait), "{wait}");
        }
        assert_eq!(example.calls.load(Ordering::SeqCst), limit as usize);
    }
}

#[test]
fn keys_and_limits_are_counted_apart_and_kept_as_digests_that_expire() {
    let server = Server::start();
    let example = Example::new();
    let client = example.client(by_header(2, Duration::from_secs(2), &server.url()));
    let other = example.client(by_header(3, Duration::from_secs(2), &server.url()));
    let asked = |client: &TestClient, key: &str| {
        let request = client.get("/").header("x-key", key);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(
        [
            asked(&client, "ann"),
            asked(&client, "ann"),
            asked(&client, "ann")
        ],
        [200, 200, 429]
    );
    assert_eq!(asked(&client, "bob"), 200);
    assert_eq!(asked(&other, "ann"), 200);
    let mut connection = server.connection().unwrap();
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert_eq!(keys.len(), 3);
    for key in keys {
        assert!(
            key.starts_with("apifrom:limit:") && key.len() == 46,
            "{key}"
        );
        let left: i64 = connection.pttl(&key).unwrap();
        assert!((1..=2_200).contains(&left), "{left}");
    }
    std::thread::sleep(Duration::from_millis(2_300));
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert!(keys.is_empty());
    assert_eq!(asked(&client, "ann"), 200);
}

#[test]
fn never_more_than_the_limit_pass_in_any_window_and_none_is_refused_for_nothing() {
    let server = Server::start();
    for limit in [5_u32, 60] {
        let example = Example::new();
        let window = Duration::from_millis(400);
        let engines: Vec<_> = (0..2)
            .map(|_| example.client(by_header(limit, window, &server.url())))
            .collect();
        let begin = Instant::now();
        let answers: Mutex<Vec<(Duration, Duration, u16)>> = Mutex::default();
        std::thread::scope(|scope| {
            for client in engines.iter().cycle().take(8) {
                scope.spawn(|| {
                    while begin.elapsed() < Duration::from_secs(2) {
                        let before = begin.elapsed();
                        let status = status(client);
                        answers
                            .lock()
                            .unwrap()
                            .push((before, begin.elapsed(), status));
                    }
                });
            }
        });
        let answers = answers.into_inner().unwrap();
        assert!(
            answers
                .iter()
                .all(|(.., status)| [200, 429].contains(status))
        );
        let accepted: Vec<_> = answers
            .iter()
            .filter(|(.., status)| *status == 200)
            .collect();
        // The server decided between both times: whatever began after one ended came after it.
        for (_, first, _) in &accepted {
            let within = accepted
                .iter()
                .filter(|(begun, ended, _)| begun >= first && *ended < *first + window);
            assert!(within.count() < limit as usize + 1);
        }
        // Four windows at least, and what the longest span allows at most.
        let passed = u32::try_from(accepted.len()).unwrap();
        assert!(
            (limit * 4..=limit * 6).contains(&passed),
            "{limit}: {passed}"
        );
    }
}

#[test]
fn a_server_that_goes_away_is_missed_by_nobody_and_used_again_when_it_is_back() {
    for (policy, first, then) in [
        (OnFailure::Local, 200, 429),
        (OnFailure::Closed, 503, 503),
        (OnFailure::InsecureOpen, 200, 200),
    ] {
        let mut server = Server::start();
        let example = Example::new();
        let limit = RateLimit::new(2, Duration::from_mins(10)).redis(server.url());
        let client = example.client(limit.on_failure(policy));
        assert_eq!(
            [status(&client), status(&client), status(&client)],
            [200, 200, 429]
        );
        server.kill();
        let begin = Instant::now();
        assert_eq!(status(&client), first, "{policy:?}");
        assert!(begin.elapsed() < Duration::from_millis(600));
        let begin = Instant::now();
        assert_eq!(
            [status(&client), status(&client)],
            [first, then],
            "{policy:?}"
        );
        assert!(
            begin.elapsed() < Duration::from_millis(50),
            "nobody waits for it any more"
        );
        server.restart();
        // It has forgotten, so two pass again; what was counted here meanwhile is another matter.
        let deadline = Instant::now() + Duration::from_secs(5);
        while server.connection().unwrap().dbsize_of() == 0 {
            assert!(
                Instant::now() < deadline,
                "{policy:?}: it is not used again"
            );
            status(&client);
            std::thread::sleep(Duration::from_millis(50));
        }
        let away = example.events.of("store_unavailable");
        assert_eq!(away.len(), 1, "{away:?}");
        assert!(
            away[0].contains("127.0.0.1") && !away[0].contains(PASSWORD),
            "{away:?}"
        );
        assert_eq!(example.events.of("store_recovered").len(), 1);
    }
}

trait Size {
    fn dbsize_of(&mut self) -> usize;
}

impl Size for redis::Connection {
    fn dbsize_of(&mut self) -> usize {
        redis::cmd("DBSIZE").query(self).unwrap()
    }
}

#[test]
fn a_server_that_hangs_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "redis://127.0.0.1:{}",
        listener.local_addr().unwrap().port()
    );
    let example = Example::new();
    let limit = RateLimit::new(1, Duration::from_mins(1)).redis(url);
    let begin = Instant::now();
    let client = example.client(limit.on_failure(OnFailure::Closed));
    assert!(begin.elapsed() < Duration::from_secs(2));
    let begin = Instant::now();
    assert_eq!(status(&client), 503);
    assert!(begin.elapsed() < Duration::from_millis(50));
    assert_eq!(example.calls.load(Ordering::SeqCst), 0);
    assert_eq!(example.events.of("store_unavailable").len(), 1);
}

#[test]
fn a_paused_server_is_given_up_in_time() {
    let server = Server::start();
    let example = Example::new();
    let limit = RateLimit::new(9, Duration::from_mins(1)).redis(server.url());
    let client = example.client(limit.on_failure(OnFailure::Closed));
    assert_eq!(status(&client), 200);
    let mut connection = server.connection().unwrap();
    redis::cmd("CLIENT")
        .arg("PAUSE")
        .arg(1_500)
        .exec(&mut connection)
        .unwrap();
    let begin = Instant::now();
    assert_eq!(status(&client), 503);
    assert!(begin.elapsed() < Duration::from_millis(600));
    let deadline = Instant::now() + Duration::from_secs(5);
    while status(&client) != 200 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_script_that_was_flushed_is_sent_again() {
    let server = Server::start();
    let example = Example::new();
    let client = example.client(RateLimit::new(2, Duration::from_mins(1)).redis(server.url()));
    assert_eq!(status(&client), 200);
    let mut connection = server.connection().unwrap();
    redis::cmd("SCRIPT")
        .arg("FLUSH")
        .exec(&mut connection)
        .unwrap();
    assert_eq!([status(&client), status(&client)], [200, 429]);
    assert!(example.events.of("store_unavailable").is_empty());
}

#[test]
fn a_wrong_password_and_what_is_no_redis_are_told_without_secrets() {
    let server = Server::start();
    let wrong = format!("redis://:another-password@127.0.0.1:{}", server.port);
    let example = Example::new();
    let limit = RateLimit::new(1, Duration::from_mins(1)).redis(wrong);
    let client = example.client(limit.on_failure(OnFailure::Closed));
    assert_eq!(status(&client), 503);
    let said = example.events.of("store_unavailable");
    assert_eq!(said.len(), 1);
    assert!(!said[0].contains("another-password"), "{said:?}");
    for url in [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://user:a-secret-part@localhost:notaport",
        "redis://localhost/notanumber",
    ] {
        let limit = RateLimit::new(1, Duration::from_mins(1)).redis(url);
        let errors = Example::new().build(limit).unwrap_err().to_string();
        assert!(errors.contains("rate_limit.redis_url"), "{url}: {errors}");
        assert!(!errors.contains("a-secret-part"), "{errors}");
    }
}

#[test]
fn a_server_that_forgets_when_it_is_full_is_warned_of() {
    let server = Server::start();
    let mut connection = server.connection().unwrap();
    let policy = ["SET", "maxmemory-policy", "allkeys-lru"];
    redis::cmd("CONFIG")
        .arg(&policy)
        .exec(&mut connection)
        .unwrap();
    let example = Example::new();
    example.client(RateLimit::new(1, Duration::from_mins(1)).redis(server.url()));
    let warned = example.events.of("configuration_weak");
    assert!(warned[0].contains("allkeys-lru"), "{warned:?}");
}

//! Limits whose counts are in a real Redis server, which the tests start, stop and end.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apifrom::middleware::{OnFailure, RateLimit};
use apifrom::security::{CreateToken, JwtRequired, Revocation, RevocationConfig, RevocationError};
use apifrom::testing::TestClient;
use apifrom::{
    Api, ApiConfig, ConfigErrors, EndpointSpec, Engine, IntoResponse, KeyPart, Keyed, Level,
    Logger, Record, Reply, Request, Sink,
};
use redis::Commands as _;

const PASSWORD: &str = "a-password-of-the-tests";

/// A server without any file, on a port of its own.
pub(crate) struct Server {
    port: u16,
    directory: PathBuf,
    process: Option<Child>,
}

impl Server {
    pub(crate) fn start() -> Self {
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

    pub(crate) fn restart(&mut self) {
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

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn connection(&self) -> Option<redis::Connection> {
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
            key.starts_with("apifrom:limit:") && key.len() == 36,
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
        assert!(begin.elapsed() < Duration::from_millis(1_400));
        let begin = Instant::now();
        assert_eq!(
            [status(&client), status(&client)],
            [first, then],
            "{policy:?}"
        );
        assert!(
            begin.elapsed() < Duration::from_millis(200),
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
    assert!(begin.elapsed() < Duration::from_millis(200));
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
    assert!(begin.elapsed() < Duration::from_millis(1_400));
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

const SECRET: &str = "a secret of at least thirty-two bytes";

/// An API whose tokens can be revoked, as one of several processes.
struct Party {
    revocation: Revocation,
    client: TestClient,
    example: Example,
}

impl Party {
    fn new(url: &str, stale: Option<Duration>) -> Self {
        let mut config = RevocationConfig::default();
        config.redis = Some(url.into());
        config.stale_max = stale;
        let revocation = Revocation::new(config).unwrap();
        let example = Example::new();
        let calls = Arc::clone(&example.calls);
        let handler = Arc::new(move |_: Request| {
            calls.fetch_add(1, Ordering::SeqCst);
            Reply::Ready("in".into_response())
        });
        let tokens = JwtRequired::new().secret(SECRET).revocation(&revocation);
        let api = Api::new()
            .auth(tokens)
            .log_to(Arc::clone(&example.events) as _)
            .endpoints([EndpointSpec::new("home", "/", ["GET"], |_| Some(handler))]);
        Self {
            revocation,
            client: TestClient::new(api.build().unwrap()),
            example,
        }
    }

    fn status(&self, token: &str) -> u16 {
        let request = self
            .client
            .get("/")
            .header("authorization", format!("Bearer {token}"));
        request.send().unwrap().status().as_u16()
    }

    /// Waits for an answer that another process caused.
    fn becomes(&self, token: &str, status: u16) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.status(token) != status {
            assert!(Instant::now() < deadline, "expected {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn token(id: &str, subject: &str) -> String {
    let claims = format!("{{\"sub\":\"{subject}\"}}");
    let token = CreateToken::new(SECRET, "HS256").jti(id);
    token.sign(&claims).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

#[test]
fn what_one_process_revokes_is_refused_by_all_within_a_second_and_by_those_that_come_later() {
    let server = Server::start();
    let [one, other] = [(), ()].map(|()| Party::new(&server.url(), None));
    let (first, second, third) = (token("1", "ann"), token("2", "bob"), token("3", "cid"));
    for party in [&one, &other] {
        assert_eq!(
            [&first, &second, &third].map(|token| party.status(token)),
            [200; 3]
        );
    }
    block_on(one.revocation.revoke("1", None)).unwrap();
    assert_eq!(
        one.status(&first),
        401,
        "the one that revokes knows at once"
    );
    let begin = Instant::now();
    other.becomes(&first, 401);
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(other.status(&second), 200);
    let calls = other.example.calls.load(Ordering::SeqCst);
    assert_eq!(other.status(&first), 401);
    assert_eq!(other.example.calls.load(Ordering::SeqCst), calls);

    block_on(other.revocation.revoke_subject("bob", None, None)).unwrap();
    one.becomes(&second, 401);
    assert_eq!(one.status(&third), 200);

    let late = Party::new(&server.url(), None);
    assert_eq!(
        [&first, &second, &third].map(|token| late.status(token)),
        [401, 401, 200]
    );
    let keys: Vec<String> = server
        .connection()
        .unwrap()
        .hkeys("apifrom:revocation:{tokens}:marks")
        .unwrap();
    assert!(keys.iter().all(|key| key.len() == 64), "{keys:?}");
}

#[test]
fn a_store_that_does_not_answer_lets_no_token_pass_or_by_the_last_copy_for_a_stated_time() {
    let mut server = Server::start();
    let closed = Party::new(&server.url(), None);
    let stale = Party::new(&server.url(), Some(Duration::from_mins(10)));
    let (revoked, good) = (token("1", "ann"), token("2", "ann"));
    block_on(closed.revocation.revoke("1", None)).unwrap();
    stale.becomes(&revoked, 401);
    server.kill();
    let begin = Instant::now();
    closed.becomes(&good, 503);
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(closed.status(&revoked), 401);
    assert_eq!([stale.status(&good), stale.status(&revoked)], [200, 401]);
    let late = block_on(stale.revocation.revoke("2", None));
    assert_eq!(late, Err(RevocationError::Unavailable));
    assert_eq!(closed.example.events.of("store_unavailable").len(), 1);

    server.restart();
    closed.becomes(&good, 200);
    // It has forgotten, and nobody who knew has.
    assert_eq!(
        [closed.status(&revoked), stale.status(&revoked)],
        [401, 401]
    );
    // What is revoked from here on is known everywhere again, although the numbers began anew.
    let another = token("3", "ann");
    block_on(closed.revocation.revoke("3", None)).unwrap();
    stale.becomes(&another, 401);
    assert_eq!(closed.example.events.of("store_recovered").len(), 1);
}

#[test]
fn a_store_that_was_never_there_lets_no_token_pass() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let party = Party::new(
        &format!("redis://127.0.0.1:{port}"),
        Some(Duration::from_mins(10)),
    );
    assert_eq!(party.status(&token("1", "ann")), 503);
    assert_eq!(party.example.calls.load(Ordering::SeqCst), 0);
    assert_eq!(party.example.events.of("store_unavailable").len(), 1);
    assert_eq!(
        block_on(party.revocation.revoke("1", None)),
        Err(RevocationError::Unavailable)
    );
}

/// A way to a server that can be closed.
struct Gate {
    port: u16,
    is_open: Arc<AtomicBool>,
    through: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self {
            port: listener.local_addr().unwrap().port(),
            is_open: Arc::new(AtomicBool::new(true)),
            through: Arc::default(),
        };
        let (is_open, through) = (Arc::clone(&gate.is_open), Arc::clone(&gate.through));
        let port = server.port;
        std::thread::spawn(move || {
            for one in listener.incoming().flatten() {
                let mut through = through.lock().unwrap();
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let other = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for (from, to) in [(&one, &other), (&other, &one)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
                through.extend([one, other]);
            }
        });
        gate
    }

    fn close(&self) {
        let mut through = self.through.lock().unwrap();
        self.is_open.store(false, Ordering::SeqCst);
        for socket in through.drain(..) {
            // The other end may have closed it.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

#[test]
fn a_store_that_lost_its_last_marks_and_numbered_others_alike_misses_nothing() {
    let server = Server::start();
    let gate = Gate::to(&server);
    let one = Party::new(&server.url(), None);
    let other = Party::new(
        &server
            .url()
            .replace(&server.port.to_string(), &gate.port.to_string()),
        None,
    );
    let revoke = |name: &str, count: u32| {
        for number in 0..count {
            block_on(one.revocation.revoke(&format!("{name}-{number}"), None)).unwrap();
        }
    };
    revoke("kept", 5);
    revoke("lost", 10);
    other.becomes(&token("lost-9", "ann"), 401);
    gate.close();
    let script = r"
        local part = function (name) return 'apifrom:revocation:{tokens}:' .. name end
        for _, field in ipairs(redis.call('ZRANGEBYSCORE', part 'log', '(5', '+inf')) do
            redis.call('HDEL', part 'marks', field)
            redis.call('ZREM', part 'log', field)
            redis.call('ZREM', part 'ends', field)
        end
        redis.call('SET', part 'number', 5)
        return redis.call('HLEN', part 'marks')";
    let mut connection = server.connection().unwrap();
    let left: u32 = redis::Script::new(script).invoke(&mut connection).unwrap();
    assert_eq!(left, 5);
    revoke("new", 20);
    gate.is_open.store(true, Ordering::SeqCst);
    for number in 0..20 {
        other.becomes(&token(&format!("new-{number}"), "ann"), 401);
    }
    assert_eq!(
        other.status(&token("lost-3", "ann")),
        401,
        "it is not let in again"
    );
}

#[test]
fn questions_that_fail_together_are_one_failure() {
    let server = Server::start();
    let example = Example::new();
    let limit = RateLimit::new(1_000_000, Duration::from_mins(1)).redis(server.url());
    let client = example.client(limit.on_failure(OnFailure::Closed));
    let until = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while Instant::now() < until {
                    status(&client);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        let mut connection = server.connection().unwrap();
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(400).exec(&mut connection).unwrap();
    });
    let deadline = Instant::now() + Duration::from_secs(5);
    while status(&client) != 200 {
        assert!(Instant::now() < deadline);
    }
    let said = ["store_unavailable", "store_recovered"].map(|event| example.events.of(event).len());
    assert_eq!(said, [1, 1]);
}

#[test]
fn a_flush_between_two_looks_misses_nothing_that_comes_after_it() {
    let server = Server::start();
    let [one, other] = [(), ()].map(|()| Party::new(&server.url(), None));
    for id in 0..30 {
        block_on(one.revocation.revoke(&format!("before-{id}"), None)).unwrap();
    }
    other.becomes(&token("before-29", "ann"), 401);
    let mut connection = server.connection().unwrap();
    redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    block_on(one.revocation.revoke("after", None)).unwrap();
    other.becomes(&token("after", "ann"), 401);
    assert_eq!(other.status(&token("before-0", "ann")), 401);
}

#[test]
fn a_full_store_is_told_and_forgets_nothing_that_counts() {
    let server = Server::start();
    let config = || {
        let mut config = RevocationConfig::default();
        config.redis = Some(server.url().as_str().into());
        config.max_entries = 2;
        config
    };
    let revocation = Revocation::new(config()).unwrap();
    let soon = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let ended = (soon + Duration::from_secs(1)).checked_sub(Duration::from_hours(1));
    // Over in a second: its token expired an hour less a second ago.
    block_on(revocation.revoke("1", ended)).unwrap();
    block_on(revocation.revoke("2", None)).unwrap();
    assert_eq!(
        block_on(revocation.revoke("3", None)),
        Err(RevocationError::Full)
    );
    block_on(revocation.revoke("2", None)).unwrap();
    std::thread::sleep(Duration::from_millis(2_100));
    block_on(revocation.revoke("3", None)).unwrap();
    for (url, name, field) in [
        ("http://localhost", "tokens", "redis_url"),
        (&*server.url(), "a b", "name"),
    ] {
        let mut wrong = config();
        wrong.redis = Some(url.into());
        wrong.name = name.into();
        let error = Revocation::new(wrong).map(|_| ()).unwrap_err();
        assert_eq!(error.path(), field);
    }
}

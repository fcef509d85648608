//! The example programs, run as somebody who tries them runs them.

mod twins;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::support::{Answer, Client, eventually};

/// An example that runs until it is dropped.
struct Example {
    process: Child,
    address: SocketAddr,
    /// What it wrote to its log.
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Example {
    /// Runs an example on a port of the system's choice, in `folder`.
    fn start(name: &str, folder: &Path) -> Self {
        Self::with(name, folder, &[])
    }

    /// The same, with these variables in its environment.
    fn with(name: &str, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(program(name))
            .current_dir(folder)
            .env("PORT", "0")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines() {
                let mut written = written.lock().unwrap();
                written.push_str(&line.unwrap());
                written.push('\n');
            }
        });
        let mut address = None;
        eventually("the start", || {
            let log = log.lock().unwrap();
            let said = log.split_once("listening on http").map(|said| said.1);
            let said = said.and_then(|said| said.split_once("://"));
            address = said.and_then(|said| said.1.split_whitespace().next()?.parse().ok());
            assert!(
                process.try_wait().unwrap().is_none(),
                "it did not start: {log}"
            );
            address.is_some()
        });
        Self {
            process,
            address: address.unwrap(),
            log,
            reader: Some(reader),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut client = Client::tcp(self.address);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        client.answer()
    }

    fn logs(&self, text: &str) {
        eventually(text, || self.log.lock().unwrap().contains(text));
    }

    /// Ends it as Ctrl-C does, and expects that it ends well.
    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let ended = self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        assert!(ended.success(), "{ended}: {}", self.log.lock().unwrap());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Examples are built beside the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    folder.join("examples").join(name)
}

/// An empty folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("apifrom-example-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// The `loc` of each violation.
fn places(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 422, "{}", answer.body);
    let body = body(answer);
    let errors = body["errors"].as_array().unwrap().iter();
    errors.map(|error| error["loc"].clone()).collect()
}

/// The `rust` blocks of the README.
fn readme_programs(readme: &str) -> Vec<&str> {
    let blocks = readme.split("```rust\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_program_of_the_readme_is_an_example_of_ten_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let example = std::fs::read_to_string(root.join("examples/rust/hello.rs")).unwrap();
    let (_documentation, code) = example.split_once("\n\n").unwrap();
    assert_eq!(readme_programs(&readme), [code]);
    let lines = code.lines().filter(|line| !line.is_empty());
    assert!(lines.count() <= 10);
    assert!(program("hello").exists(), "it compiles");
}

#[test]
fn the_demo_keeps_notes_over_a_restart() {
    let folder = Folder::new("demo");
    let demo = Example::start("demo", &folder.0);
    let index = demo.ask("GET", "/", None);
    assert_eq!(
        body(&index),
        json!({"notes": "/notes", "one note": "/notes/{note_id}"})
    );
    assert_eq!(body(&demo.ask("GET", "/notes", None)), json!([]));

    let added = demo.ask("POST", "/notes", Some(&json!({"title": "Milk"})));
    let milk = json!({"id": 1, "title": "Milk", "text": "", "is_done": false});
    assert_eq!((added.status, body(&added)), (201, milk.clone()));
    assert!(added.head.contains("location: /notes/1\r\n"));
    let eggs = json!({"title": "Eggs", "text": "a dozen"});
    assert_eq!(demo.ask("POST", "/notes", Some(&eggs)).status, 201);
    assert_eq!(body(&demo.ask("GET", "/notes/1", None)), milk);
    let newest = body(&demo.ask("GET", "/notes?limit=1", None));
    assert_eq!(newest[0]["title"], "Eggs");
    assert_eq!(newest.as_array().unwrap().len(), 1);
    let found = body(&demo.ask("GET", "/notes?q=Mil", None));
    assert_eq!(found, json!([milk]));

    assert_eq!(demo.ask("PUT", "/notes/1/done", None).status, 204);
    demo.stop();
    let demo = Example::start("demo", &folder.0);
    assert_eq!(body(&demo.ask("GET", "/notes/1", None))["is_done"], true);
    assert_eq!(demo.ask("DELETE", "/notes/1", None).status, 204);
    for (method, path) in [
        ("GET", "/notes/1"),
        ("DELETE", "/notes/1"),
        ("PUT", "/notes/1/done"),
    ] {
        let answer = demo.ask(method, path, None);
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(body(&answer)["detail"], "there is no note 1");
    }
    demo.stop();
}

#[test]
fn the_demo_refuses_what_does_not_fit() {
    let folder = Folder::new("demo-refused");
    let demo = Example::start("demo", &folder.0);
    let refused = |method: &str, path: &str, sent: Option<&Value>, expected: Value| {
        let answer = demo.ask(method, path, sent);
        assert_eq!(Value::from(places(&answer)), expected, "{method} {path}");
    };
    refused("GET", "/notes?limit=0", None, json!([["query", "limit"]]));
    refused("GET", "/notes?limit=101", None, json!([["query", "limit"]]));
    let long = format!("/notes?limit=x&q={}", "x".repeat(101));
    refused(
        "GET",
        &long,
        None,
        json!([["query", "q"], ["query", "limit"]]),
    );
    refused("GET", "/notes/x", None, json!([["path", "note_id"]]));
    let empty = json!({"title": "", "text": 1});
    let both = json!([["body", "title"], ["body", "text"]]);
    refused("POST", "/notes", Some(&empty), both);
    refused(
        "POST",
        "/notes",
        Some(&json!({})),
        json!([["body", "title"]]),
    );
    assert_eq!(body(&demo.ask("GET", "/notes", None)), json!([]));
    demo.stop();
}

#[test]
fn the_validation_twin_names_every_bad_field_and_echoes_no_value() {
    let folder = Folder::new("validation");
    let twin = Example::start("guide_11", &folder.0);
    let user = |age: i64, password: &str| json!({"name": "Ann", "email": "ann@example.com", "age": age, "password": password});
    let answer = twin.ask("POST", "/users", Some(&user(30, "Secret12!")));
    assert_eq!(answer.status, 200);
    assert_eq!(
        body(&answer),
        json!({"id": 123, "name": "Ann", "email": "ann@example.com", "age": 30})
    );

    let bad = json!({"name": "A", "email": "nobody@@x", "age": 7, "password": "hunter2hunter2"});
    let answer = twin.ask("POST", "/users", Some(&bad));
    let expected = ["name", "email", "age", "password"].map(|field| json!(["body", field]));
    assert_eq!(places(&answer), expected);
    for value in ["nobody", "@@x", "hunter2"] {
        assert!(!answer.body.contains(value), "{}", answer.body);
    }
    for (password, expected) in [
        ("secret12!", "uppercase letter"),
        ("SECRET12!", "lowercase letter"),
        ("Secrets!!", "digit"),
        ("Secret123", "special character"),
    ] {
        let answer = twin.ask("POST", "/users", Some(&user(30, password)));
        assert_eq!(places(&answer), [json!(["body", "password"])]);
        let message = format!("Password must contain at least one {expected}");
        assert!(answer.body.contains(&message), "{}", answer.body);
    }
    for age in [18, 120] {
        let answer = twin.ask("POST", "/users", Some(&user(age, "Secret12!")));
        assert_eq!(answer.status, 200);
    }
    let mut text = user(30, "Secret12!");
    text["age"] = json!("30");
    for sent in [&user(17, "Secret12!"), &user(121, "Secret12!"), &text] {
        let answer = twin.ask("POST", "/users", Some(sent));
        assert_eq!(places(&answer), [json!(["body", "age"])]);
    }
    twin.stop();
}

#[test]
fn the_error_handling_twin_keeps_what_failed_in_the_log() {
    let folder = Folder::new("errors");
    let twin = Example::start("guide_15", &folder.0);
    for method in ["GET", "POST"] {
        let answer = twin.ask(method, "/ping", None);
        assert_eq!(
            (answer.status, body(&answer)),
            (200, json!({"message": "pong"}))
        );
    }
    let answer = twin.ask("GET", "/boom", None);
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .head
            .contains("content-type: application/problem+json")
    );
    assert!(!answer.body.contains("hunter2"), "{}", answer.body);
    twin.logs("the database password is hunter2");
    assert_eq!(twin.ask("GET", "/ping", None).status, 200);
    twin.stop();
}

#[cfg(feature = "database-sqlite")]
#[test]
fn the_sql_twin_gives_the_one_user_and_takes_injections_as_data() {
    let folder = Folder::new("sql");
    let path = folder.0.join("app.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
         INSERT INTO users (name) VALUES ('Ann'), ('Bob');",
    )
    .unwrap();
    drop(db);
    let twin = Example::start("guide_12", &folder.0);
    let found = twin.ask("GET", "/users/2", None);
    assert_eq!(
        (found.status, body(&found)),
        (200, json!({"id": 2, "name": "Bob"}))
    );
    assert_eq!(twin.ask("GET", "/users/3", None).status, 404);
    for injection in ["1%20OR%201=1", "1;DROP%20TABLE%20users", "1'--"] {
        let answer = twin.ask("GET", &format!("/users/{injection}"), None);
        assert_eq!(answer.status, 422, "{injection}");
    }
    assert_eq!(twin.ask("GET", "/users/1", None).status, 200);
    twin.stop();
}

#[test]
fn the_csrf_twin_asks_for_its_token_where_something_changes() {
    let folder = Folder::new("csrf");
    let twin = Example::start("guide_08", &folder.0);
    let post = |headers: &str| {
        let mut client = Client::tcp(twin.address);
        client.send(format!(
            "POST /ping HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: 0\r\n\r\n"
        ));
        client.answer().status
    };
    let mut client = Client::tcp(twin.address);
    client.send("GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let page = client.rest();
    let cookie = page.split("csrf_token=").nth(1).unwrap();
    let token = cookie.split(';').next().unwrap();
    assert!(page.contains(&format!(
        "set-cookie: csrf_token={token}; Path=/; Secure; SameSite=Strict\r\n"
    )));
    let held = format!("Cookie: csrf_token={token}\r\n");
    let header = format!("X-CSRF-Token: {token}\r\n");
    for refused in ["", &held, &header] {
        assert_eq!(post(refused), 403, "{refused}");
    }
    let foreign = format!("{held}{header}Origin: https://evil.example\r\n");
    assert_eq!(post(&foreign), 403);
    assert_eq!(post(&format!("{held}{header}")), 200);
    twin.logs("configuration_weak csrf.secret");
    twin.stop();
}

#[cfg(feature = "tls")]
mod https {
    use std::net::TcpStream;
    use std::sync::Arc;

    use rustls::{ClientConnection, StreamOwned};

    use super::{Client, Example, Folder, program};
    use crate::support::SOON;
    use crate::tls::{Files, name};

    #[test]
    fn the_https_twin_serves_its_certificate() {
        let files = Files::new("example");
        let twin = Example::start("guide_13", files.folder());
        twin.logs("listening on https://");
        let config = files.client(&[&rustls::version::TLS13], &[]);
        let socket = TcpStream::connect(twin.address).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name()).unwrap();
        let mut client = Client::over(StreamOwned::new(connection, socket));
        // The client trusts this one certificate and no other.
        assert_eq!(client.get("/ping").body, r#"{"message":"pong"}"#);
        let failed = client.get("/boom");
        assert_eq!(failed.status, 500);
        assert!(!failed.body.contains("hunter2"));
        drop(client);

        // Whoever speaks clear text gets nothing of it.
        let mut clear = Client::tcp(twin.address);
        clear.send("GET /ping HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(!clear.rest().contains("pong"));
        twin.stop();
    }

    #[test]
    fn the_https_twin_does_not_start_without_its_files() {
        let folder = Folder::new("no-certificate");
        let mut command = std::process::Command::new(program("guide_13"));
        let ended = command.current_dir(&folder.0).output().unwrap();
        assert!(!ended.status.success());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("key.pem"), "{said}");
        assert!(!said.contains("listening on"), "{said}");
    }
}

#[cfg(feature = "axum")]
#[test]
fn the_axum_example_protects_one_route_and_limits_all() {
    let folder = Folder::new("axum");
    let served = Example::start("axum_layers", &folder.0);
    let ask = |path: &str, headers: &str| {
        let mut client = Client::tcp(served.address);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        client.answer()
    };
    let open = ask("/", "Origin: https://example.com\r\n");
    assert_eq!(open.body, "everybody may read this");
    for line in [
        "x-ratelimit-remaining: 99\r\n",
        "x-frame-options: deny\r\n",
        "access-control-allow-origin: https://example.com\r\n",
    ] {
        assert!(open.head.contains(line), "{line}{}", open.head);
    }
    let refused = ask("/mine", "");
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("x-ratelimit-remaining: 98\r\n"));
    let secret = "a secret of at least thirty-two bytes";
    let token = apifrom::security::CreateToken::new(secret, "HS256");
    let token = token.sign(r#"{"sub": "ada"}"#).unwrap();
    let mine = ask("/mine", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(mine.body, "Hello, ada!");
}

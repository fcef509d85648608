//! Files as answers: in process, in an axum router, over a socket.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use apifrom::testing::{TestAnswer, TestClient};
use apifrom::{
    After, Api, Disposition, FileResponse, IntoResponse, Middleware, Next, Notes, Problem, Reply,
    Request, Response, api, basic_auth_required, endpoints, static_file,
};
use axum::Router;
use http::header::HeaderValue;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tower_service::Service;

use super::Calls;
use crate::support::Served;

/// 512 KiB: several pieces.
static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=255).cycle().take(512 << 10).collect());

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let place =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{}", std::process::id()));
    let root = place.join("public");
    fs::create_dir_all(root.join("sub/.git")).unwrap();
    for (name, text) in [
        ("page.html", "<p>hello</p>"),
        ("sub/deep.txt", "deep"),
        ("sub/\u{fc} b%20c.txt", "odd name"),
        (".env", "s3cr3t"),
        ("sub/.git/config", "s3cr3t"),
        ("../outside.txt", "s3cr3t"),
        ("../empty.bin", ""),
    ] {
        fs::write(root.join(name), text).unwrap();
    }
    fs::write(place.join("data.bin"), &*CONTENT).unwrap();
    let data = File::options().write(true).open(place.join("data.bin"));
    let changed = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    let times = FileTimes::new().set_modified(changed);
    data.unwrap().set_times(times).unwrap();
    for (target, name) in [
        (root.join("page.html"), "inside"),
        ("page.html".into(), "relative"),
        (place.join("outside.txt"), "leaving"),
        ("../outside.txt".into(), "climbing"),
        ("..".into(), "out"),
        ("/proc/self".into(), "proc"),
        ("nothing".into(), "dangling"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    root
});

fn beside(name: &str) -> PathBuf {
    ROOT.with_file_name(name)
}

#[api(route = "/static/{*path}", method = "GET")]
fn assets(path: String) -> FileResponse {
    static_file(&*ROOT, path)
}

#[api(route = "/data", methods = ["GET", "POST"])]
fn data() -> FileResponse {
    FileResponse::new(beside("data.bin")).filename("d\u{e4}t\u{e4}.bin")
}

#[api(route = "/later", method = "GET")]
async fn later() -> Result<Option<FileResponse>, Problem> {
    Ok(Some(FileResponse::new(beside("data.bin"))))
}

#[api(route = "/hidden", method = "GET")]
fn hidden() -> impl IntoResponse {
    FileResponse::new(beside("data.bin"))
}

#[api(route = "/itself", method = "GET")]
fn itself() -> Response {
    let file = FileResponse::new(beside("data.bin"));
    file.into_response().unwrap()
}

#[api(route = "/shown", method = "GET")]
fn shown() -> FileResponse {
    FileResponse::new(beside("data.bin"))
        .filename("a.pdf")
        .disposition(Disposition::Inline)
        .content_type(HeaderValue::from_static("image/x-own"))
}

#[api(route = "/partial", method = "GET")]
fn partial() -> (StatusCode, FileResponse) {
    let file = FileResponse::new(beside("data.bin"));
    (StatusCode::NON_AUTHORITATIVE_INFORMATION, file)
}

#[api(route = "/mine", method = "GET")]
fn mine() -> (StatusCode, HeaderMap, FileResponse) {
    let mut headers = HeaderMap::new();
    headers.insert("etag", HeaderValue::from_static("W/\"mine\""));
    (
        StatusCode::OK,
        headers,
        FileResponse::new(beside("data.bin")),
    )
}

#[api(route = "/empty", method = "GET")]
fn empty() -> FileResponse {
    FileResponse::new(beside("empty.bin"))
}

#[api(route = "/missing", method = "GET")]
fn missing() -> FileResponse {
    FileResponse::new(beside("s3cr3t.bin"))
}

#[api(route = "/directory", method = "GET")]
fn directory() -> FileResponse {
    FileResponse::new(&*ROOT)
}

#[api(route = "/misnamed", method = "GET")]
fn misnamed() -> FileResponse {
    FileResponse::new(beside("data.bin")).filename("a\r\nSet-Cookie: b=c")
}

static READ: Calls = Calls::new();

#[api(route = "/private/{*path}", method = "GET")]
#[basic_auth_required(credentials = [("ann", "correct horse")])]
fn private(path: String) -> FileResponse {
    READ.count();
    static_file(&*ROOT, path)
}

fn api() -> Api {
    Api::new()
        .configure(|config| config.access_log = false)
        .endpoints(endpoints![
            assets, data, later, hidden, itself, shown, partial, mine, empty, missing, directory,
            misnamed, private
        ])
}

fn client() -> TestClient {
    TestClient::new(api().build().unwrap())
}

fn ask(client: &TestClient, target: &str, headers: &[(&str, &str)]) -> TestAnswer {
    let request = client.get(target);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    request.send().unwrap()
}

fn table() -> Value {
    let table = include_str!("../../../../../tests/vectors/files.json");
    serde_json::from_str(table).unwrap()
}

fn rows(table: &Value, name: &str) -> Vec<Value> {
    let rows = table[name].as_array().unwrap().clone();
    assert!(!rows.is_empty());
    rows
}

#[test]
fn a_file_is_sent_whole_whatever_names_it() {
    let client = client();
    for target in ["/data", "/later", "/hidden", "/itself", "/shown"] {
        let answer = ask(&client, target, &[]);
        assert_eq!(answer.status(), 200, "{target}");
        assert!(answer.bytes() == &**CONTENT, "{target}");
        assert_eq!(
            answer.header("last-modified"),
            Some("Tue, 14 Nov 2023 22:13:20 GMT")
        );
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert!(answer.header("etag").unwrap().starts_with('"'));
        let part = ask(&client, target, &[("Range", "bytes=1-2")]);
        assert_eq!(
            (part.status().as_u16(), part.bytes().as_ref()),
            (206, &[1, 2][..])
        );
    }
    let answer = ask(&client, "/data", &[]);
    let disposition = "attachment; filename=\"d_t_.bin\"; filename*=UTF-8''d%C3%A4t%C3%A4.bin";
    assert_eq!(answer.header("content-disposition"), Some(disposition));
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    let answer = ask(&client, "/shown", &[]);
    assert_eq!(
        answer.header("content-disposition"),
        Some("inline; filename=\"a.pdf\"")
    );
    assert_eq!(answer.header("content-type"), Some("image/x-own"));
}

#[test]
fn head_announces_the_length_and_sends_nothing() {
    let answer = client().request(Method::HEAD, "/data").send().unwrap();
    assert_eq!((answer.status().as_u16(), answer.bytes().len()), (200, 0));
    assert_eq!(answer.header("content-length"), Some("524288"));
    assert_eq!(ask(&client(), "/empty", &[]).header("content-length"), None);
    assert_eq!(
        ask(&client(), "/empty", &[("Range", "bytes=0-")]).status(),
        416
    );
}

#[test]
fn ranges_are_those_of_the_table() {
    let (client, table) = (client(), table());
    for row in rows(&table, "ranges") {
        let range = row[0].as_str().unwrap();
        let [start, end] = [1, 2].map(|at| usize::try_from(row[at].as_u64().unwrap()).unwrap());
        let answer = ask(&client, "/data", &[("Range", range)]);
        assert_eq!(answer.status(), 206, "{range}");
        assert!(answer.bytes() == &CONTENT[start..end], "{range}");
        let said = format!("bytes {start}-{}/524288", end - 1);
        assert_eq!(answer.header("content-range"), Some(said.as_str()));
    }
    for row in rows(&table, "passed_over") {
        let answer = ask(&client, "/data", &[("Range", row.as_str().unwrap())]);
        assert_eq!(answer.status(), 200, "{row}");
        assert_eq!(answer.bytes().len(), CONTENT.len(), "{row}");
    }
    for row in rows(&table, "outside") {
        let answer = ask(&client, "/data", &[("Range", row.as_str().unwrap())]);
        assert_eq!(answer.status(), 416, "{row}");
        assert_eq!(answer.header("content-range"), Some("bytes */524288"));
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn conditions_are_those_of_the_table() {
    let client = client();
    let tag = ask(&client, "/data", &[])
        .header("etag")
        .unwrap()
        .to_owned();
    for row in rows(&table(), "conditions") {
        let headers = row[0].as_object().unwrap().iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap().replace("TAG", &tag)))
            .collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = ask(&client, "/data", &headers);
        assert_eq!(
            u64::from(answer.status().as_u16()),
            row[1].as_u64().unwrap(),
            "{row}"
        );
        if answer.status() == 304 {
            assert!(answer.bytes().is_empty());
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
            for name in ["content-type", "content-length", "content-disposition"] {
                assert_eq!(answer.header(name), None, "{row}");
            }
        }
    }
}

#[test]
fn conditions_and_ranges_are_for_get_and_head_with_200() {
    let client = client();
    let posted = client
        .post("/data")
        .header("Range", "bytes=0-1")
        .header("If-None-Match", "*");
    let posted = posted.send().unwrap();
    assert_eq!(
        (posted.status().as_u16(), posted.bytes().len()),
        (200, CONTENT.len())
    );
    let answer = ask(
        &client,
        "/partial",
        &[("Range", "bytes=0-1"), ("If-None-Match", "*")],
    );
    assert_eq!(
        (answer.status().as_u16(), answer.bytes().len()),
        (203, CONTENT.len())
    );
    for (name, value) in [("Range", "bytes=0-0"), ("If-Range", "\"x\"")] {
        let twice = client.get("/data").header("Range", "bytes=1-1");
        let twice = twice
            .another_header(name, value)
            .another_header(name, value);
        let twice = twice.send().unwrap();
        assert_eq!(
            (twice.status().as_u16(), twice.bytes().len()),
            (200, CONTENT.len()),
            "{name}"
        );
    }
    // What the program says of a file's version is what is judged; a weak tag says nothing of bytes.
    let answer = ask(&client, "/mine", &[("If-None-Match", "\"mine\"")]);
    assert_eq!(
        (answer.status().as_u16(), answer.header("etag")),
        (304, Some("W/\"mine\""))
    );
    assert_eq!(
        ask(&client, "/mine", &[("If-Match", "\"mine\"")]).status(),
        412
    );
}

#[test]
fn nothing_but_the_files_of_the_folder_is_sent_and_nobody_learns_why() {
    let (client, table) = (client(), table());
    for row in rows(&table, "served") {
        let [path, text, content_type] = [0, 1, 2].map(|at| row[at].as_str().unwrap());
        let answer = ask(&client, &format!("/static/{path}"), &[]);
        assert_eq!(
            (answer.status().as_u16(), answer.text().as_str()),
            (200, text),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
    }
    for (name, status) in [("absent", 404), ("bad_path", 400)] {
        for row in rows(&table, name) {
            let path = row.as_str().unwrap();
            let answer = ask(&client, &format!("/static/{path}"), &[]);
            assert_eq!(answer.status(), status, "{path}");
            assert!(!answer.text().contains("s3cr3t"), "{path}");
            let problem: Value = answer.json().unwrap();
            if status == 404 {
                assert_eq!(
                    problem["detail"], "there is nothing at this address",
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn a_path_of_the_programs_own_making_is_held_to_the_same() {
    #[api(route = "/", method = "GET")]
    fn named(path: String) -> FileResponse {
        static_file(&*ROOT, path)
    }
    let client = super::client(endpoints![named]);
    for path in [
        "..",
        "../outside.txt",
        "sub/../page.html",
        "a%5Cb",
        "a%00b",
        "",
        ".",
        "/etc/passwd",
    ] {
        let answer = ask(&client, &format!("/?path={path}"), &[]);
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert_eq!(ask(&client, "/?path=page.html", &[]).text(), "<p>hello</p>");
}

#[test]
fn a_file_that_the_program_named_and_is_none_is_500() {
    for target in ["/missing", "/directory", "/misnamed"] {
        let answer = ask(&client(), target, &[]);
        assert_eq!(answer.status(), 500, "{target}");
        assert!(!answer.text().contains("s3cr3t"), "{target}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[test]
fn a_file_is_protected_as_any_answer() {
    let client = client();
    for target in ["/private/page.html", "/private/nothing"] {
        let refused = ask(
            &client,
            target,
            &[("If-None-Match", "*"), ("Range", "bytes=0-")],
        );
        assert_eq!(refused.status(), 401, "{target}");
        assert!(!refused.text().contains("hello"));
    }
    assert_eq!(READ.taken(), 0);
    let ann = [("Authorization", "Basic YW5uOmNvcnJlY3QgaG9yc2U=")];
    let answer = ask(&client, "/private/page.html", &ann);
    assert_eq!(
        (answer.status().as_u16(), answer.text().as_str()),
        (200, "<p>hello</p>")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(READ.taken(), 1);
}

/// Answers some requests with a file in place of their handler, and some answers after it.
struct Swapping;

impl Middleware for Swapping {
    fn around(&self, request: Request, next: Next) -> Reply {
        if request.head().headers.contains_key("x-swap") {
            return Reply::Ready(FileResponse::new(beside("data.bin")).into_response());
        }
        match next.call(request) {
            Reply::Wait(reply) => Reply::wait(async move {
                let mut answer = reply.await?;
                // What comes back is what the client would get.
                let length = http_body::Body::size_hint(answer.body()).exact();
                answer
                    .headers_mut()
                    .insert("x-length", length.unwrap_or(0).into());
                Ok(answer)
            }),
            ready => ready,
        }
    }

    fn after(&self, notes: &Notes, response: Response) -> After {
        let original = notes.original.as_ref().unwrap();
        if original.head.headers.contains_key("x-late") {
            return After::Ready(
                FileResponse::new(beside("data.bin"))
                    .into_response()
                    .unwrap(),
            );
        }
        After::Ready(response)
    }

    fn watches_answers(&self) -> bool {
        true
    }
}

#[test]
fn own_middleware_sees_files_that_are_open_and_may_answer_with_one() {
    #[api(route = "/word", method = "GET")]
    fn word() -> &'static str {
        "word"
    }
    for depth in 1..=2 {
        let mut api = api().endpoints(endpoints![word]);
        for _ in 0..depth {
            api = api.add_middleware(Swapping);
        }
        let client = TestClient::new(api.build().unwrap());
        let range = ("Range", "bytes=0-9");
        let answer = ask(&client, "/data", &[range]);
        assert_eq!((answer.status().as_u16(), answer.bytes().len()), (206, 10));
        assert_eq!(answer.header("x-length"), Some("10"));
        for header in ["x-swap", "x-late"] {
            let answer = ask(&client, "/word", &[range, (header, "1")]);
            assert_eq!(
                (answer.status().as_u16(), answer.bytes().len()),
                (206, 10),
                "{header}"
            );
        }
        assert_eq!(ask(&client, "/word", &[range]).text(), "word");
    }
}

#[tokio::test]
async fn a_file_is_sent_from_an_axum_router() {
    let mut router = Router::new().fallback_service(api().build().unwrap());
    let request = http::Request::builder().uri("/data").header("host", "a");
    let request = request.header("range", "bytes=131071-131073");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let answer = Service::call(&mut router, request).await.unwrap();
    assert_eq!(answer.status(), 206);
    assert_eq!(
        answer.headers()["content-range"],
        "bytes 131071-131073/524288"
    );
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body == CONTENT[131_071..131_074]);
}

#[test]
fn files_go_over_a_socket_and_a_path_as_sent_leads_nowhere() {
    let server = Served::api(|api| api.endpoints(endpoints![assets, data]), |_| {});
    let mut client = server.connect();
    let head = "HEAD /data HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!(
        "GET /data HTTP/1.1\r\nHost: a\r\nRange: bytes=60-69\r\n\r\n{head}"
    ));
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (206, "<=>?@ABCDE"));
    assert!(answer.head.contains("\r\ncontent-length: 10\r\n"));
    drop(client);
    let whole = server.exchange("GET /data HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(
        whole.contains("\r\ncontent-length: 524288\r\n"),
        "{}",
        &whole[..200]
    );
    let head = server.exchange(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert!(head.contains("\r\ncontent-length: 524288\r\n") && head.ends_with("\r\n\r\n"));

    let table = table();
    for name in ["absent", "bad_path"] {
        for row in rows(&table, name) {
            let path = row.as_str().unwrap();
            let answer = server.exchange(format!(
                "GET /static/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            ));
            assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
            assert!(!answer.contains("s3cr3t"), "{path}");
        }
    }
}

#[test]
fn a_client_that_goes_away_leaves_no_open_file() {
    let server = Served::api(|api| api.endpoints(endpoints![data]), |_| {});
    let path = beside("data.bin");
    let open = || {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        let links = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
        links.filter(|target| *target == path).count()
    };
    for _ in 0..8 {
        let mut client = server.connect();
        client.send("GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    crate::support::eventually("the files to be closed", || open() == 0);
}

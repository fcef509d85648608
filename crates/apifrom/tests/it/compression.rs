//! Answers in a shorter form: which are, in which, and which never.

use std::io::Read as _;
use std::sync::Arc;

use apifrom::middleware::{Compression, Csrf, compression};
use apifrom::security::ApiKeyRequired;
use apifrom::testing::{TestAnswer, TestClient};
use apifrom::{
    Api, EndpointSpec, IntoLayer as _, Reply, Request, Response, ResponseBody, api, endpoints,
};
use axum::Router;
use axum::routing::get;
use http::Method;
use http::header::HeaderName;
use proptest::prelude::*;
use tokio_stream::iter;
use tower_service::Service as _;

const KEY: &str = "a-long-enough-key";

fn text() -> String {
    "the same again and again, ".repeat(400)
}

/// What every answer of the examples has unless its test says otherwise.
fn plain(kind: &str) -> http::response::Builder {
    Response::builder(kind).header("etag", "\"v1\"")
}

trait Builder {
    fn builder(kind: &str) -> http::response::Builder;
}

impl Builder for Response {
    fn builder(kind: &str) -> http::response::Builder {
        http::Response::builder().header("content-type", kind)
    }
}

fn answering(name: &str, make: impl Fn() -> Response + Send + Sync + 'static) -> EndpointSpec {
    let handler = Arc::new(move |_: Request| Reply::Ready(Ok(make())));
    EndpointSpec::new(name, format!("/{name}"), ["GET"], move |_| Some(handler))
}

fn full(builder: http::response::Builder, body: impl Into<bytes::Bytes>) -> Response {
    builder.body(ResponseBody::full(body)).unwrap()
}

fn client(compression: Compression, spec: EndpointSpec) -> TestClient {
    let api = Api::new().add_middleware(compression).endpoints([spec]);
    TestClient::new(api.build().unwrap())
}

/// The answer of an endpoint of that kind and length to whoever takes gzip.
fn to_gzip(make: impl Fn() -> Response + Send + Sync + 'static) -> TestAnswer {
    let client = client(Compression::new(), answering("it", make));
    let asked = client.get("/it").header("accept-encoding", "gzip");
    asked.send().unwrap()
}

fn coding(answer: &TestAnswer) -> Option<&str> {
    answer.header("content-encoding")
}

fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "zstd" => {
            zstd::stream::copy_decode(bytes, &mut plain).unwrap();
        }
        "br" => {
            let mut decoder = brotli::Decompressor::new(bytes, 4096);
            decoder.read_to_end(&mut plain).unwrap();
        }
        "gzip" => {
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).unwrap();
        }
        other => panic!("no coding of ours: {other}"),
    }
    plain
}

#[test]
fn each_coding_comes_to_the_same_text_and_says_so() {
    let spec = answering("it", || {
        let builder = plain("application/json").header("accept-ranges", "bytes");
        full(builder.header("vary", "Origin"), text())
    });
    let client = client(Compression::new(), spec);
    for name in ["zstd", "br", "gzip"] {
        let answer = client.get("/it").header("accept-encoding", name).send();
        let answer = answer.unwrap();
        assert_eq!(coding(&answer), Some(name));
        assert!(answer.bytes().len() < 500);
        assert_eq!(decoded(name, answer.bytes()), text().as_bytes());
        assert_eq!(answer.header("etag"), Some("W/\"v1\""));
        assert_eq!(answer.header("accept-ranges"), None);
        let vary: Vec<_> = answer.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["Origin", "Accept-Encoding"]);
    }
    for name in ["", "identity", "deflate", "zstd;q=0, br;q=0, gzip;q=0"] {
        let answer = client.get("/it").header("accept-encoding", name).send();
        let answer = answer.unwrap();
        assert_eq!(coding(&answer), None);
        assert_eq!(answer.text(), text());
        assert_eq!(answer.header("etag"), Some("\"v1\""));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        let vary: Vec<_> = answer.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["Origin", "Accept-Encoding"]);
    }
}

#[test]
fn nothing_is_compressed_without_it() {
    let spec = answering("it", || full(plain("text/plain"), text()));
    let client = TestClient::new(Api::new().endpoints([spec]).build().unwrap());
    let answer = client.get("/it").header("accept-encoding", "gzip").send();
    let answer = answer.unwrap();
    assert_eq!(coding(&answer), None);
    assert_eq!(answer.header("vary"), None);
}

#[test]
fn only_text_is_worth_it_and_only_from_a_length_on() {
    for (kind, is_text) in [
        ("text/html; charset=utf-8", true),
        ("TEXT/CSV", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("Application/Vnd.Example+XML ; a=b", true),
        ("image/svg+xml", true),
        ("text/event-stream", false),
        ("text/event-stream; charset=utf-8", false),
        ("image/png", false),
        ("application/octet-stream", false),
        ("application/zip", false),
        ("text", false),
        ("json", false),
    ] {
        let answer = to_gzip(move || full(plain(kind), text()));
        assert_eq!(coding(&answer).is_some(), is_text, "{kind}");
        assert_eq!(answer.header("vary").is_some(), is_text, "{kind}");
    }
    for (length, is_long) in [(0, false), (1, false), (1023, false), (1024, true)] {
        let answer = to_gzip(move || full(plain("text/plain"), "a".repeat(length)));
        assert_eq!(coding(&answer).is_some(), is_long, "{length}");
    }
    let untyped = to_gzip(|| full(http::Response::builder(), text()));
    assert_eq!(coding(&untyped), None);
}

#[test]
fn what_is_coded_partial_or_bound_to_its_bytes_stays() {
    for (name, value) in [
        ("content-encoding", "br"),
        ("content-encoding", "identity"),
        ("content-range", "bytes 0-9/10000"),
        ("content-digest", "sha-256=:AAAA:"),
        ("repr-digest", "sha-256=:AAAA:"),
        ("digest", "sha-256=AAAA"),
        ("content-md5", "AAAA"),
        ("cache-control", "public, No-Transform"),
    ] {
        let answer = to_gzip(move || full(plain("text/plain").header(name, value), text()));
        assert_eq!(answer.text(), text(), "{name}");
        assert_eq!(answer.header(name), Some(value));
        assert_eq!(answer.header("etag"), Some("\"v1\""));
    }
    let partial = to_gzip(|| full(plain("text/plain").status(206), text()));
    assert_eq!((coding(&partial), partial.text()), (None, text()));
    let empty = to_gzip(|| full(plain("text/plain").status(204), ""));
    assert_eq!(coding(&empty), None);
}

#[test]
fn a_cache_is_told_of_the_form_that_it_holds() {
    let unchanged = || full(plain("text/plain").status(304), "");
    let answer = to_gzip(unchanged);
    assert_eq!(answer.header("etag"), Some("W/\"v1\""));
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    assert_eq!(coding(&answer), None);
    let plainly = client(Compression::new(), answering("it", unchanged));
    let answer = plainly.get("/it").send().unwrap();
    assert_eq!(answer.header("etag"), Some("\"v1\""));
}

#[test]
fn head_is_answered_as_get_is() {
    let long = "z".repeat(100_000);
    let spec = [
        answering("short", || full(plain("text/plain"), text())),
        answering("long", move || full(plain("text/plain"), long.clone())),
        // A handler that makes no body for it.
        answering("announced", || {
            full(plain("text/plain").header("content-length", "5000"), "")
        }),
        answering("little", || {
            full(plain("text/plain").header("content-length", "50"), "")
        }),
    ];
    let api = Api::new()
        .add_middleware(Compression::new())
        .endpoints(spec);
    let client = TestClient::new(api.build().unwrap());
    let head = |path: &str| {
        let request = client.request(Method::HEAD, path);
        request.header("accept-encoding", "gzip").send().unwrap()
    };
    let short = client.get("/short").header("accept-encoding", "gzip");
    let length = short.send().unwrap().bytes().len().to_string();
    assert_eq!(head("/short").header("content-length"), Some(&*length));
    for path in ["/short", "/long", "/announced"] {
        assert_eq!(coding(&head(path)), Some("gzip"), "{path}");
        assert!(head(path).bytes().is_empty());
        assert_eq!(head(path).header("etag"), Some("W/\"v1\""));
    }
    // How long the compressed form is was not found out.
    assert_eq!(head("/long").header("content-length"), None);
    assert_eq!(head("/announced").header("content-length"), None);
    assert_eq!(coding(&head("/little")), None);
    assert_eq!(head("/little").header("content-length"), Some("50"));
}

/// An answer for one caller alone, by what the request and the answer bear.
fn for_one(compression: Compression, header: Option<(&str, &str)>) -> Vec<Option<String>> {
    let open = answering("open", || full(plain("text/plain"), text()));
    let key = ApiKeyRequired::new().key(KEY, ["a"; 0]);
    let locked = answering("locked", || full(plain("text/plain"), text())).protect(key);
    let setting = answering("setting", || {
        full(plain("text/plain").header("set-cookie", "a=b"), text())
    });
    let api = Api::new()
        .add_middleware(compression)
        .endpoints([open, locked, setting]);
    let client = TestClient::new(api.build().unwrap());
    let ask = |path: &str| {
        let mut request = client.get(path).header("accept-encoding", "gzip");
        request = request.header("x-api-key", KEY);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), 200);
        coding(&answer).map(str::to_owned)
    };
    ["/open", "/locked", "/setting"].map(ask).into()
}

#[test]
fn secrets_beside_input_are_not_compressed_unless_asked() {
    let gzip = || Some("gzip".to_owned());
    let safe = Compression::new();
    assert_eq!(for_one(safe.clone(), None), [gzip(), None, None]);
    for (name, value) in [
        ("cookie", "session=1"),
        ("authorization", "Bearer x"),
        ("proxy-authorization", "Basic eDp5"),
    ] {
        let found = for_one(safe.clone(), Some((name, value)));
        assert_eq!(found, [None, None, None], "{name}");
        let asked = safe.clone().insecure_authenticated(true);
        let found = for_one(asked, Some((name, value)));
        assert_eq!(found, [gzip(), gzip(), gzip()], "{name}");
    }
}

#[test]
fn a_page_that_sets_a_csrf_token_is_not_compressed() {
    let spec = answering("it", || full(plain("text/html"), text()));
    let api = Api::new()
        .add_middleware(Csrf::new("a secret of at least thirty-two bytes"))
        .add_middleware(Compression::new())
        .endpoints([spec]);
    let client = TestClient::new(api.build().unwrap());
    let answer = client.get("/it").header("accept-encoding", "gzip").send();
    let answer = answer.unwrap();
    assert!(answer.header("set-cookie").is_some());
    assert_eq!(coding(&answer), None);
}

#[compression(Compression::new().encodings(["br"]).minimum_size(10))]
#[api(route = "/own", method = "GET")]
fn own() -> &'static str {
    "little, and little, and little, and little, and little, and little"
}

#[api(route = "/never", method = "GET")]
#[compression(Compression::new().encodings(["br"; 0]))]
fn never() -> String {
    text()
}

#[api(route = "/shared", method = "GET")]
fn shared() -> String {
    text()
}

#[test]
fn an_endpoint_may_say_something_else() {
    let api = Api::new()
        .add_middleware(Compression::new().encodings(["gzip", "br"]))
        .endpoints(endpoints![own, never, shared]);
    let client = TestClient::new(api.build().unwrap());
    for (path, expected) in [
        ("/own", Some("br")),
        ("/never", None),
        ("/shared", Some("gzip")),
    ] {
        let request = client.get(path).header("accept-encoding", "zstd, br, gzip");
        assert_eq!(coding(&request.send().unwrap()), expected, "{path}");
    }
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let wrong = Compression::new().encodings(["gzip", "deflate", "gzip", "BR"]);
    let spec = answering("it", || full(plain("text/plain"), text()));
    let api = Api::new()
        .add_middleware(wrong)
        .add_middleware(Compression::new())
        .endpoints([spec.compression(Compression::new().encodings(["lzw"]))]);
    let found = api.build().unwrap_err();
    let found: Vec<_> = found.iter().map(|error| error.path().to_owned()).collect();
    assert_eq!(
        found,
        [
            "compression",
            "compression.encodings[1]",
            "compression.encodings[2]",
            "compression.encodings[3]",
            "routes.it.compression.encodings[0]",
        ]
    );
}

#[test]
fn it_stands_around_an_axum_application() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut app: Router = Router::new()
        .route("/", get(|| async { text() }))
        .layer(Compression::new().into_layer().unwrap());
    let request = http::Request::get("http://example.com/")
        .header("accept-encoding", "gzip")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = runtime.block_on(app.call(request)).unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX);
    let bytes = runtime.block_on(bytes).unwrap();
    assert_eq!(decoded("gzip", &bytes), text().as_bytes());
}

#[test]
fn what_broke_off_does_not_look_complete() {
    let spec = answering("it", || {
        let pieces: [Result<_, std::io::Error>; 2] = [
            Ok(http_body::Frame::data(text().into())),
            Err(std::io::Error::other("gone")),
        ];
        let body = http_body_util::StreamBody::new(iter(pieces));
        plain("text/plain")
            .body(ResponseBody::stream(body))
            .unwrap()
    });
    let client = client(Compression::new(), spec);
    let asked = client.get("/it").header("accept-encoding", "gzip").send();
    assert!(asked.unwrap_err().to_string().contains("gone"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_pieces_every_coding_comes_to_the_same_bytes(
        pieces in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec![0_u8, 1, 7, 255, b'a']), 0..90_000),
            0..5,
        ),
        is_whole in any::<bool>(),
    ) {
        let expected = pieces.concat();
        let client = {
            let pieces = pieces.clone();
            let spec = answering("it", move || {
                let body = if is_whole {
                    ResponseBody::full(pieces.concat())
                } else {
                    let frames = pieces.clone().into_iter().map(|piece| {
                        Ok::<_, std::io::Error>(http_body::Frame::data(piece.into()))
                    });
                    ResponseBody::stream(http_body_util::StreamBody::new(iter(frames)))
                };
                let kind = HeaderName::from_static("content-type");
                http::Response::builder().header(kind, "text/plain").body(body).unwrap()
            });
            client(Compression::new(), spec)
        };
        for name in ["zstd", "br", "gzip"] {
            let answer = client.get("/it").header("accept-encoding", name).send().unwrap();
            let plain = match coding(&answer) {
                Some(name) => decoded(name, answer.bytes()),
                None => answer.bytes().to_vec(),
            };
            prop_assert_eq!(&plain, &expected);
        }
    }
}

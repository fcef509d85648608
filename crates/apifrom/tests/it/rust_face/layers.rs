//! Protections as layers around an axum application that axum itself serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apifrom::middleware::{Cors, Csrf, RateLimit, SecurityHeaders};
use apifrom::security::{ApiKeyRequired, BasicAuthRequired, CreateToken, JwtRequired};
use apifrom::{
    Api, Client as Sender, DefaultAccess, ErrorHandling, Identities, Identity, IntoLayer, Peer,
    RequestId,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::routing::{get, post};

use crate::support::{Answer, Client};

const SECRET: &str = "a secret of at least thirty-two bytes";

/// Each test runs in a process of its own.
static CALLS: AtomicUsize = AtomicUsize::new(0);

fn calls() -> usize {
    CALLS.swap(0, Ordering::SeqCst)
}

async fn home() -> &'static str {
    CALLS.fetch_add(1, Ordering::SeqCst);
    "home"
}

fn application() -> Router {
    Router::new().route("/", get(home).post(home))
}

/// Says of every connection where it comes from.
fn with_peers(router: Router) -> Router {
    let peer = Peer::ip("127.0.0.1:1".parse().unwrap(), false);
    router.layer(Extension(Arc::new(peer)))
}

/// An application that axum serves until the test ends.
fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    address
}

fn send(address: SocketAddr, line: &str, headers: &str) -> Answer {
    let mut client = Client::tcp(address);
    client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    client.answer()
}

fn bearer(secret: &str, claims: &str) -> String {
    let token = CreateToken::new(secret, "HS256").sign(claims).unwrap();
    format!("Authorization: Bearer {token}\r\n")
}

fn is_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(
        answer
            .head
            .contains("content-type: application/problem+json\r\n")
    );
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["type"], format!("urn:apifrom:problem:{kind}"));
    assert_eq!(body["status"], status);
    let id = body["request_id"].as_str().unwrap().to_ascii_lowercase();
    assert!(answer.head.contains(&format!("x-request-id: {id}\r\n")));
}

fn tokens() -> JwtRequired {
    JwtRequired::new().secret(SECRET)
}

#[test]
fn a_token_is_asked_for_and_who_it_belongs_to_is_told() {
    let mine = |Extension(caller): Extension<Identity>,
                Extension(all): Extension<Identities>,
                Extension(id): Extension<RequestId>,
                Extension(sender): Extension<Sender>| async move {
        CALLS.fetch_add(1, Ordering::SeqCst);
        assert_eq!(id.as_str().len(), 22);
        let methods: Vec<_> = all.iter().map(|one| one.method().as_str()).collect();
        let subject = caller.subject().unwrap().to_owned();
        format!("{subject} {} {sender}", methods.join("+"))
    };
    let keys = ApiKeyRequired::new().key("api-key-1", ["read"]);
    let router = Router::new()
        .route("/both", get(mine))
        .route_layer(keys.into_layer().unwrap())
        .route("/", get(mine))
        .layer(tokens().into_layer().unwrap());
    let address = serve(with_peers(router));

    let ada = bearer(SECRET, r#"{"sub": "ada"}"#);
    let answer = send(address, "GET /", &ada);
    assert_eq!((answer.status, &*answer.body), (200, "ada jwt 127.0.0.1"));
    assert!(answer.head.contains("cache-control: no-store\r\n"));
    let both = format!("{ada}X-API-Key: api-key-1\r\n");
    let answer = send(address, "GET /both", &both);
    assert!(
        answer.body.ends_with(" jwt+api_key 127.0.0.1"),
        "{}",
        answer.body
    );
    assert_eq!(calls(), 2);

    for headers in [
        String::new(),
        bearer("another secret of thirty-two bytes!", "{}"),
    ] {
        for path in ["/", "/both", "/nowhere"] {
            let answer = send(address, &format!("GET {path}"), &headers);
            is_problem(&answer, 401, "unauthenticated");
            assert!(
                answer
                    .head
                    .contains("www-authenticate: bearer realm=\"api\"")
            );
        }
    }
    let answer = send(address, "GET /both", &ada);
    is_problem(&answer, 401, "unauthenticated");
    assert!(answer.head.contains("www-authenticate: apikey realm="));
    assert_eq!(calls(), 0);
    // Who got in is told of axum's own 404.
    is_problem(&send(address, "GET /nowhere", &ada), 404, "not_found");
}

#[test]
fn preflights_are_answered_before_tokens_are_asked_for_and_refusals_can_be_read() {
    let cors = Cors::new()
        .allow_origins(["https://example.com"])
        .allow_headers(["Authorization"]);
    let router = application()
        .layer(tokens().into_layer().unwrap())
        .layer(SecurityHeaders::new().into_layer().unwrap())
        .layer(cors.into_layer().unwrap());
    let address = serve(router);
    let asked = "Origin: https://example.com\r\nAccess-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: authorization\r\n";
    let allowed = "access-control-allow-origin: https://example.com\r\n";
    let answer = send(address, "OPTIONS /", asked);
    assert_eq!(answer.status, 204);
    assert!(answer.head.contains(allowed));
    assert_eq!(calls(), 0);

    let origin = "Origin: https://example.com\r\n";
    let answer = send(address, "GET /", origin);
    is_problem(&answer, 401, "unauthenticated");
    for line in [
        allowed,
        "x-frame-options: deny\r\n",
        "x-content-type-options: nosniff\r\n",
    ] {
        assert!(answer.head.contains(line), "{line}{}", answer.head);
    }
    let foreign = "Origin: https://evil.example\r\n";
    assert!(
        !send(address, "GET /", foreign)
            .head
            .contains("allow-origin")
    );
    assert_eq!(calls(), 0);
    let good = format!("{origin}{}", bearer(SECRET, "{}"));
    let answer = send(address, "GET /", &good);
    assert_eq!((answer.status, &*answer.body), (200, "home"));
    assert!(answer.head.contains(allowed));
}

#[test]
fn all_routes_of_a_layer_share_one_limit() {
    let limit = RateLimit::new(3, Duration::from_mins(1));
    let router = application().route("/other", get(home));
    let address = serve(with_peers(router.layer(limit.into_layer().unwrap())));
    for (path, left) in [("/", 2), ("/other", 1), ("/nowhere", 0)] {
        let answer = send(address, &format!("GET {path}"), "");
        let line = format!("x-ratelimit-remaining: {left}\r\n");
        assert!(answer.head.contains(&line), "{}", answer.head);
    }
    assert_eq!(calls(), 2);
    for path in ["/", "/other"] {
        let answer = send(address, &format!("GET {path}"), "");
        is_problem(&answer, 429, "rate_limited");
        assert!(answer.head.contains("retry-after: "));
    }
    assert_eq!(calls(), 0);
}

#[test]
fn one_layer_of_several_counts_by_who_was_let_in() {
    let limit = RateLimit::new(1, Duration::from_mins(1)).by_identity();
    // Whatever they are added in: the engine authenticates first.
    let api = Api::new().add_middleware(limit).auth(tokens());
    let router = application().layer(api.into_layer().unwrap());
    let address = serve(with_peers(router));
    let (ada, eve) = (
        bearer(SECRET, r#"{"sub": "ada"}"#),
        bearer(SECRET, r#"{"sub": "eve"}"#),
    );
    assert_eq!(send(address, "GET /", &ada).status, 200);
    is_problem(&send(address, "GET /", &ada), 429, "rate_limited");
    assert_eq!(send(address, "GET /", &eve).status, 200);
    assert_eq!(calls(), 2);
}

/// Sends a form with `headers`.
fn send_form(address: SocketAddr, headers: &str, form: &str) -> Answer {
    let mut client = Client::tcp(address);
    let length = form.len();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    ));
    client.answer()
}

#[test]
fn what_another_site_sends_is_refused_and_what_bears_the_token_of_a_page_passes() {
    async fn saved(body: String) -> String {
        CALLS.fetch_add(1, Ordering::SeqCst);
        body
    }
    let csrf = Csrf::new("a secret of 32 bytes, or of more");
    let router = Router::new().route("/", get(home).post(saved));
    let address = serve(router.layer(csrf.into_layer().unwrap()));
    let page = send(address, "GET /", "");
    assert_eq!((page.status, calls()), (200, 1));
    assert!(page.head.contains("cache-control: no-store\r\n"));
    let cookie = page.head_as_sent("set-cookie");
    let (pair, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; Secure; SameSite=Lax");
    let (_, token) = pair.split_once('=').unwrap();
    let cookie = format!("Cookie: {pair}\r\n");
    let header = format!("X-CSRF-Token: {token}\r\n");

    // In a header, or as a field of a form, which the service reads whole.
    let field = format!("note=one&csrf_token={token}");
    let answer = send_form(address, &format!("{cookie}{header}"), "note=one");
    assert_eq!((answer.status, &*answer.body), (200, "note=one"));
    let answer = send_form(address, &cookie, &field);
    assert_eq!((answer.status, &*answer.body), (200, &*field));
    assert_eq!(calls(), 2);

    let foreign = Csrf::new("another secret of 32 bytes or so");
    let foreign = serve(application().layer(foreign.into_layer().unwrap()));
    let theirs = send(foreign, "GET /", "").head_as_sent("set-cookie");
    let (theirs, _) = theirs.split_once(';').unwrap();
    let (_, forged) = theirs.split_once('=').unwrap();
    calls();
    for (headers, form, kind) in [
        (String::new(), "", "csrf_token_missing"),
        (cookie.clone(), "note=one", "csrf_token_missing"),
        (header.clone(), "", "csrf_token_missing"),
        (
            format!("{cookie}X-CSRF-Token: {forged}\r\n"),
            "",
            "csrf_token_invalid",
        ),
        (
            format!("Cookie: {theirs}\r\nX-CSRF-Token: {forged}\r\n"),
            "",
            "csrf_token_invalid",
        ),
        (
            format!("{cookie}{header}Sec-Fetch-Site: cross-site\r\n"),
            "",
            "csrf_cross_site",
        ),
        (
            format!("{cookie}{header}Origin: https://evil.example\r\n"),
            "",
            "csrf_cross_site",
        ),
    ] {
        is_problem(&send_form(address, &headers, form), 403, kind);
    }
    assert_eq!(calls(), 0);
}

#[test]
fn a_token_of_one_layer_is_bound_to_who_was_let_in() {
    let csrf = Csrf::new("a secret of 32 bytes, or of more");
    let users = BasicAuthRequired::new()
        .user("ada", "analytical")
        .user("eve", "apple");
    let layer = Api::new().add_middleware(csrf).auth(users).into_layer();
    let address = serve(with_peers(application().layer(layer.unwrap())));
    let ada = "Authorization: Basic YWRhOmFuYWx5dGljYWw=\r\n";
    let eve = "Authorization: Basic ZXZlOmFwcGxl\r\n";
    let cookie = send(address, "GET /", ada).head_as_sent("set-cookie");
    let (pair, _) = cookie.split_once(';').unwrap();
    let (_, token) = pair.split_once('=').unwrap();
    let proof = format!("Cookie: {pair}\r\nX-CSRF-Token: {token}\r\n");
    assert_eq!(calls(), 1);
    is_problem(
        &send_form(address, &format!("{eve}{proof}"), ""),
        403,
        "csrf_token_invalid",
    );
    assert_eq!(calls(), 0);
    assert_eq!(send_form(address, &format!("{ada}{proof}"), "").status, 200);
    assert_eq!(calls(), 1);
}

#[test]
fn what_counts_by_address_refuses_where_no_address_is_known() {
    let users = || BasicAuthRequired::new().user("ada", "analytical");
    let limit = RateLimit::new(3, Duration::from_mins(1));
    let several = Api::new().auth(users()).into_layer().unwrap();
    for layer in [
        limit.into_layer().unwrap(),
        users().into_layer().unwrap(),
        several,
    ] {
        let address = serve(application().layer(layer));
        // A header that a client sends is no address.
        let headers = "X-Forwarded-For: 192.0.2.1\r\n\
                       Authorization: Basic YWRhOmFuYWx5dGljYWw=\r\n";
        let answer = send(address, "GET /", headers);
        is_problem(&answer, 503, "client_unknown");
        assert_eq!(calls(), 0);
    }
    // What counts nothing needs none.
    let address = serve(application().layer(tokens().into_layer().unwrap()));
    assert_eq!(send(address, "GET /", &bearer(SECRET, "{}")).status, 200);
}

#[cfg(feature = "axum")]
#[tokio::test(flavor = "multi_thread")]
async fn axum_says_who_connects() {
    let sender = |Extension(sender): Extension<Sender>| async move { sender.to_string() };
    let limit = RateLimit::new(1, Duration::from_mins(1));
    let router = Router::new()
        .route("/", get(sender))
        .layer(limit.into_layer().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, service).await });
    let asked = tokio::task::spawn_blocking(move || {
        [send(address, "GET /", ""), send(address, "GET /", "")]
    });
    let [first, second] = asked.await.unwrap();
    assert_eq!((first.status, &*first.body), (200, "127.0.0.1"));
    is_problem(&second, 429, "rate_limited");
}

#[test]
fn a_proxy_is_believed_only_where_it_is_trusted() {
    let sender = |Extension(sender): Extension<Sender>| async move { sender.to_string() };
    let layer = |proxies: &[&str]| {
        let proxies = proxies.iter().map(|&proxy| proxy.into()).collect();
        let api = Api::new().configure(|config| config.trusted_proxies = proxies);
        let limit = RateLimit::new(9, Duration::from_mins(1));
        api.add_middleware(limit).into_layer().unwrap()
    };
    for (proxies, expected) in [(&["127.0.0.1"][..], "192.0.2.1"), (&[], "127.0.0.1")] {
        let router = Router::new().route("/", get(sender));
        let address = serve(with_peers(router.layer(layer(proxies))));
        let answer = send(address, "GET /", "X-Forwarded-For: 192.0.2.1\r\n");
        assert_eq!(answer.body, expected);
    }
}

#[test]
fn a_handler_that_panics_costs_its_own_request_alone() {
    async fn fails() -> &'static str {
        panic!("the database password is hunter2")
    }
    let router = application().route("/boom", get(fails));
    let handling = ErrorHandling::new().log_exceptions(false);
    let address = serve(router.layer(handling.into_layer().unwrap()));
    let answer = send(address, "GET /boom", "");
    is_problem(&answer, 500, "internal");
    assert!(!answer.body.contains("hunter2"));
    assert_eq!(send(address, "GET /", "").status, 200);
}

#[test]
fn bodies_go_through_within_their_bound() {
    let size = |body: Bytes| async move { body.len().to_string() };
    let layer = Api::new()
        .configure(|config| config.max_body_size = 10)
        .auth(tokens())
        .into_layer();
    let router = Router::new().route("/", post(size));
    let address = serve(router.layer(layer.unwrap()));
    let good = bearer(SECRET, "{}");
    for (length, status) in [(0, 200), (10, 200), (11, 413)] {
        let headers = format!("{good}Content-Length: {length}\r\n");
        let mut client = Client::tcp(address);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n{}",
            "x".repeat(length)
        ));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{length}: {}", answer.body);
        if status == 200 {
            assert_eq!(answer.body, length.to_string());
        }
    }
}

#[test]
fn a_layer_that_is_wrong_is_an_error_that_names_all_of_it() {
    let message = |wrong: Result<apifrom::StageLayer, apifrom::ConfigErrors>| {
        let errors = wrong.unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let found = message(JwtRequired::new().into_layer());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("layer.jwt_required.secret: "),
        "{found:?}"
    );
    let denying = Api::new().configure(|config| config.default = DefaultAccess::Deny);
    assert_eq!(
        message(denying.into_layer()),
        [
            "layer: the layered service is not protected, and the API denies by default; protect the \
             API with auth"
        ]
    );
    let limit = RateLimit::new(0, Duration::ZERO);
    let found = message(limit.clone().into_layer());
    let begins = ["rate_limit.limit: ", "rate_limit.window: "];
    assert!(
        found
            .iter()
            .zip(begins)
            .all(|(one, begin)| one.starts_with(begin))
    );
    assert_eq!(found.len(), 2);
    assert!(message(Cors::new().allow_origins(["x"]).into_layer())[0].starts_with("cors."));

    let api = Api::new().merge(application()).add_middleware(limit);
    let found = message(api.auth(JwtRequired::new()).into_layer());
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[3].starts_with("merge: contradicts into_layer"));
}

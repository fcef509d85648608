//! Access tokens, against an authorization server that answers as a test tells it, honest or lying.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use apifrom::OAuth2Token;
use apifrom::security::{JwtRequired, OAuth2Required};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::authorization_server::{Server, claims, metadata, pair, signed};
use super::secured::{START, Secured, errors};

const CHALLENGE: &str = r#"Bearer realm="api""#;
const INVALID: &str = r#"Bearer realm="api", error="invalid_token""#;

/// Changes what an honest server says of itself.
type Lie = fn(&Server, String) -> String;

pub(crate) fn declared(server: &Server) -> OAuth2Required {
    OAuth2Required::new()
        .token_url(server.url("/token"))
        .client_id("my-api")
        .client_secret("its secret")
        .offered_scopes(["read", "write"])
        .scopes(["read"])
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn asks(secured: &Secured, token: &str) -> u16 {
    let bearer = bearer(token);
    secured.ask(&[("authorization", &bearer)]).status().as_u16()
}

fn refuses(secured: &Secured, token: &str, reason: &str) {
    secured.refused(
        "/",
        &[("authorization", &bearer(token))],
        401,
        Some(INVALID),
    );
    assert_eq!(
        secured.last_event(),
        format!("authentication_failed {reason} -")
    );
}

fn unavailable(secured: &Secured, token: &str) {
    let before = secured.ask(&[("authorization", &bearer(token))]);
    assert_eq!(before.status(), 503);
    assert_eq!(before.header("retry-after"), Some("5"));
    secured.refused("/", &[("authorization", &bearer(token))], 503, None);
}

pub(crate) const ACTIVE: &str = r#"{"active":true,"scope":"read","sub":"ada","aud":"my-api"}"#;

#[test]
fn the_four_keys_alone_find_the_server_and_ask_it_once_for_each_token() {
    let server = Server::start();
    metadata(&server);
    server.says("/introspect", ACTIVE);
    let secured = Secured::new(declared(&server));
    assert!(
        server.asked.lock().unwrap().is_empty(),
        "nothing is asked at the start"
    );
    secured.refused("/", &[], 401, Some(CHALLENGE));
    secured.refused("/", &[("authorization", "Basic abc")], 401, Some(CHALLENGE));
    assert!(
        server.asked.lock().unwrap().is_empty(),
        "nothing is asked without a token"
    );
    secured.accepted(
        "/",
        &[("authorization", "Bearer opaque-1")],
        "oauth2_token=ada/read/opaque-1/sent;",
    );
    let asked = server.last();
    assert!(asked.starts_with("POST /introspect "));
    assert!(asked.ends_with("token=opaque-1&token_type_hint=access_token"));
    let credentials = BASE64_STANDARD.encode("my-api:its%20secret");
    assert!(asked.contains(&format!("authorization: Basic {credentials}")));
    for _ in 0..5 {
        assert_eq!(asks(&secured, "opaque-1"), 200);
    }
    assert_eq!(server.times("/introspect"), 1);
    assert_eq!(server.times("/.well-known/oauth-authorization-server"), 1);
    assert_eq!(asks(&secured, "opaque-2"), 200);
    assert_eq!(server.times("/introspect"), 2);
    secured.log_hides(&["opaque-1", "opaque-2", "its secret", &credentials]);
}

#[test]
fn a_token_of_the_servers_keys_is_verified_without_asking() {
    let server = Server::start();
    metadata(&server);
    let (pem, jwk) = pair("k1");
    server.says("/jwks", &format!(r#"{{"keys":[{jwk}]}}"#));
    let secured = Secured::new(declared(&server));
    let token = signed(&pem, "k1", "at+jwt", &claims(&server, ""));
    assert_eq!(asks(&secured, &token), 200);
    let other = signed(
        &pem,
        "k1",
        "application/at+JWT",
        &claims(&server, r#","jti":"2""#),
    );
    assert_eq!(asks(&secured, &other), 200);
    assert_eq!((server.times("/jwks"), server.times("/introspect")), (1, 0));
    for (payload, reason) in [
        (
            claims(&server, "").replace("my-api", "another-api"),
            "wrong_audience",
        ),
        (
            claims(&server, "").replace(&server.origin, "https://other.example"),
            "wrong_issuer",
        ),
        (
            claims(&server, "").replace(r#""aud":"my-api","#, ""),
            "missing_audience",
        ),
        (
            claims(&server, "").replace("\"exp\"", "\"expires\""),
            "missing_expiry",
        ),
        (
            claims(&server, "").replace(&(START.as_secs() + 600).to_string(), "1000000000"),
            "expired",
        ),
        (claims(&server, r#","nbf":9999999999"#), "not_yet_valid"),
    ] {
        refuses(&secured, &signed(&pem, "k1", "at+jwt", &payload), reason);
    }
    let (forger, _) = pair("k1");
    refuses(
        &secured,
        &signed(&forger, "k1", "at+jwt", &claims(&server, "")),
        "bad_signature",
    );
    let lacking = claims(&server, "").replace("\"read\"", "\"write\"");
    let token = signed(&pem, "k1", "at+jwt", &lacking);
    secured.refused(
        "/",
        &[("authorization", &bearer(&token))],
        403,
        Some(r#"Bearer realm="api", error="insufficient_scope", scope="read""#),
    );
    assert_eq!(
        secured.last_event(),
        "authorization_denied insufficient_scope ada"
    );
}

#[test]
fn a_plain_jwt_is_asked_about_unless_it_is_said_to_be_an_access_token() {
    let server = Server::start();
    metadata(&server);
    let (pem, jwk) = pair("k1");
    server.says("/jwks", &format!(r#"{{"keys":[{jwk}]}}"#));
    server.says("/introspect", r#"{"active":false}"#);
    let secured = Secured::new(declared(&server));
    let plain = signed(&pem, "k1", "JWT", &claims(&server, ""));
    refuses(&secured, &plain, "inactive");
    let secured = Secured::new(
        declared(&server)
            .token_types(["at+jwt", "JWT"])
            .audience("my-api"),
    );
    assert_eq!(asks(&secured, &plain), 200);
    for mark in [
        r#","nonce":"n""#,
        r#","nonce":null"#,
        r#","at_hash":"h""#,
        r#","at_hash":null"#,
    ] {
        let id_token = signed(&pem, "k1", "JWT", &claims(&server, mark));
        refuses(&secured, &id_token, "malformed_claims");
    }
}

#[test]
fn keys_are_rotated_and_a_key_that_is_not_there_has_them_fetched_once_in_a_while() {
    let server = Server::start();
    metadata(&server);
    let (first, first_jwk) = pair("k1");
    let (second, second_jwk) = pair("k2");
    server.says("/jwks", &format!(r#"{{"keys":[{first_jwk}]}}"#));
    let secured = Secured::new(declared(&server));
    assert_eq!(
        asks(
            &secured,
            &signed(&first, "k1", "at+jwt", &claims(&server, ""))
        ),
        200
    );
    server.says(
        "/jwks",
        &format!(r#"{{"keys":[{first_jwk},{second_jwk}]}}"#),
    );
    let rotated = signed(&second, "k2", "at+jwt", &claims(&server, ""));
    // Within the cooldown nothing is fetched.
    refuses(&secured, &rotated, "unknown_key");
    assert_eq!(server.times("/jwks"), 1);
    secured.clock.advance(Duration::from_secs(31));
    assert_eq!(asks(&secured, &rotated), 200);
    assert_eq!(server.times("/jwks"), 2);
    // Keys of nobody have them fetched no more than once in half a minute.
    let (forger, _) = pair("k3");
    for number in 0..5 {
        let more = format!(r#","jti":"{number}""#);
        refuses(
            &secured,
            &signed(&forger, "k3", "at+jwt", &claims(&server, &more)),
            "unknown_key",
        );
    }
    assert_eq!(server.times("/jwks"), 2);
}

#[test]
fn whoever_misses_a_key_while_keys_are_fetched_waits_for_them() {
    let server = Server::start();
    metadata(&server);
    let (first, first_jwk) = pair("k1");
    let (second, second_jwk) = pair("k2");
    let by_keys = JwtRequired::new()
        .jwks_url(server.url("/jwks"))
        .issuer(&server.origin);
    for (secured, typ) in [
        (Secured::new(declared(&server)), "at+jwt"),
        (Secured::new(by_keys), "JWT"),
    ] {
        let token = |pem: &str, kid: &str, number: u32| {
            signed(
                pem,
                kid,
                typ,
                &claims(&server, &format!(r#","jti":"{number}""#)),
            )
        };
        server.says("/jwks", &format!(r#"{{"keys":[{first_jwk}]}}"#));
        assert_eq!(asks(&secured, &token(&first, "k1", 0)), 200);
        let both = format!(r#"{{"keys":[{first_jwk},{second_jwk}]}}"#);
        server.says("/jwks", &both);
        secured.clock.advance(Duration::from_secs(31));
        let before = server.times("/jwks");
        server.pause.store(400, Ordering::SeqCst);
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let statuses = runtime.block_on(async {
            let mut asked = tokio::task::JoinSet::new();
            for number in 0..8 {
                let client = secured.client.clone();
                let bearer = bearer(&token(&second, "k2", number));
                asked.spawn(async move {
                    let request = client.get("/").header("authorization", bearer);
                    request.await.unwrap().status().as_u16()
                });
                // One after another, within the time that fetching takes.
                std::thread::sleep(Duration::from_millis(10));
            }
            asked.join_all().await
        });
        server.pause.store(0, Ordering::SeqCst);
        assert_eq!(statuses, [200; 8], "{typ}");
        assert_eq!(server.times("/jwks"), before + 1, "{typ}");
    }
}

#[test]
fn a_set_of_keys_that_cannot_be_right_is_not_taken() {
    let (_, jwk) = pair("k1");
    let (pem, other) = pair("k1");
    let huge = format!(r#"{{"keys":[{jwk}],"pad":"{}"}}"#, "x".repeat(1 << 20));
    for set in [
        format!(r#"{{"keys":[{jwk},{other}]}}"#),
        r#"{"keys":[{"kty":"oct","kid":"k1","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#
            .into(),
        r#"{"keys":[]}"#.into(),
        "<html>".into(),
        "a secret of at least thirty-two bytes".into(),
        huge,
    ] {
        let server = Server::start();
        metadata(&server);
        server.says("/jwks", &set);
        let secured = Secured::new(declared(&server));
        unavailable(
            &secured,
            &signed(&pem, "k1", "at+jwt", &claims(&server, "")),
        );
        assert_eq!(secured.last_event(), "authentication_unavailable no_keys -");
    }
}

#[test]
fn a_server_that_says_it_is_another_is_not_believed() {
    let honest = |server: &Server| {
        format!(
            r#"{{"issuer":"{0}","token_endpoint":"{0}/token","jwks_uri":"{0}/jwks",
                "introspection_endpoint":"{0}/introspect"}}"#,
            server.origin
        )
    };
    let lies: [Lie; 4] = [
        |_, text| text.replacen("127.0.0.1", "127.0.0.2", 1),
        |_, text| text.replace("/token\"", "/elsewhere\""),
        |server, text| text.replacen(&server.origin, &format!("{}/", server.origin), 1),
        |_, _| "{".to_owned(),
    ];
    for lie in lies {
        let server = Server::start();
        server.says(
            "/.well-known/oauth-authorization-server",
            &lie(&server, honest(&server)),
        );
        server.says("/introspect", ACTIVE);
        let secured = Secured::new(declared(&server));
        unavailable(&secured, "opaque");
        assert_eq!(server.times("/introspect"), 0);
    }
    // The client secret goes nowhere but to the issuer's own origin.
    let (server, elsewhere) = (Server::start(), Server::start());
    let text = honest(&server).replace(
        &format!("{}/introspect", server.origin),
        &format!("{}/introspect", elsewhere.origin),
    );
    server.says("/.well-known/oauth-authorization-server", &text);
    elsewhere.says("/introspect", ACTIVE);
    let secured = Secured::new(declared(&server));
    refuses(&secured, "opaque", "unsupported_token");
    assert!(elsewhere.asked.lock().unwrap().is_empty());
}

#[test]
fn what_is_no_answer_lets_nobody_in() {
    let server = Server::start();
    let named = || declared(&server).introspection_url(server.url("/introspect"));
    let huge = format!(
        r#"{{"active":true,"scope":"read","pad":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    for (number, answer) in [
        "HTTP/1.1 302 Found\r\nlocation: /active\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!(
            "HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{ACTIVE}",
            ACTIVE.len()
        ),
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{huge}",
            huge.len()
        ),
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        server.says("/active", ACTIVE);
        server.answers("/introspect", &answer);
        let secured = Secured::new(named());
        unavailable(&secured, &format!("opaque-{number}"));
    }
    assert_eq!(server.times("/active"), 0, "a redirect was followed");
    server.says("/introspect", r#"{"active":"true","scope":"read"}"#);
    refuses(&Secured::new(named()), "opaque", "inactive");
    server.says(
        "/introspect",
        r#"{"active":true,"scope":"read","aud":"another"}"#,
    );
    refuses(&Secured::new(named()), "opaque", "wrong_audience");
}

#[test]
fn a_server_that_answers_slowly_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let secured = Secured::new(
        OAuth2Required::new()
            .client_id("my-api")
            .client_secret("its secret")
            .introspection_url(url),
    );
    let begin = std::time::Instant::now();
    assert_eq!(asks(&secured, "opaque"), 503);
    let waited = begin.elapsed();
    assert!(
        waited > Duration::from_secs(2) && waited < Duration::from_secs(10),
        "{waited:?}"
    );
}

#[test]
fn what_is_known_goes_on_while_the_server_is_down() {
    let server = Server::start();
    metadata(&server);
    let (pem, jwk) = pair("k1");
    server.says("/jwks", &format!(r#"{{"keys":[{jwk}]}}"#));
    server.says("/introspect", ACTIVE);
    let secured = Secured::new(declared(&server));
    let far = claims(&server, "").replace(
        &(START.as_secs() + 600).to_string(),
        &(START.as_secs() + 200_000).to_string(),
    );
    let token = |number: usize| {
        let payload = far.replace("\"sub\"", &format!("\"jti\":\"{number}\",\"sub\""));
        signed(&pem, "k1", "at+jwt", &payload)
    };
    assert_eq!(asks(&secured, "opaque-1"), 200);
    assert_eq!(asks(&secured, &token(1)), 200);
    server.is_down(true);
    assert_eq!(asks(&secured, "opaque-1"), 200, "a known token");
    unavailable(&secured, "opaque-2");
    assert_eq!(asks(&secured, &token(2)), 200, "keys that are there");
    secured.clock.advance(Duration::from_mins(2));
    unavailable(&secured, "opaque-1");
    secured.clock.advance(Duration::from_hours(23));
    assert_eq!(asks(&secured, &token(3)), 200, "keys no older than a day");
    secured.clock.advance(Duration::from_hours(2));
    unavailable(&secured, &token(4));
    server.is_down(false);
    // What nothing is known of is asked for again after a second.
    secured.clock.advance(Duration::from_secs(1));
    assert_eq!(asks(&secured, &token(5)), 200, "the server is back");
    assert_eq!(asks(&secured, "opaque-1"), 200);
}

#[test]
fn a_revocation_is_seen_once_the_token_is_no_longer_known() {
    let server = Server::start();
    server.says("/introspect", ACTIVE);
    let named = declared(&server).introspection_url(server.url("/introspect"));
    let secured = Secured::new(named.clone());
    assert_eq!(asks(&secured, "opaque"), 200);
    server.says("/introspect", r#"{"active":false}"#);
    secured.clock.advance(Duration::from_secs(59));
    assert_eq!(asks(&secured, "opaque"), 200);
    secured.clock.advance(Duration::from_secs(1));
    refuses(&secured, "opaque", "inactive");
    // That it is refused is known for ten seconds.
    server.says("/introspect", ACTIVE);
    refuses(&secured, "opaque", "inactive");
    secured.clock.advance(Duration::from_secs(10));
    assert_eq!(asks(&secured, "opaque"), 200);

    let secured = Secured::new(named.cache_ttl(Duration::ZERO));
    let before = server.times("/introspect");
    for _ in 0..3 {
        assert_eq!(asks(&secured, "opaque"), 200);
    }
    assert_eq!(server.times("/introspect"), before + 3);
}

#[test]
fn many_requests_with_one_token_are_one_question() {
    let server = Server::start();
    server.says("/introspect", ACTIVE);
    server.pause.store(200, Ordering::SeqCst);
    let named = declared(&server).introspection_url(server.url("/introspect"));
    let secured = Secured::new(named);
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..150 {
            let client = secured.client.clone();
            asked.spawn(async move {
                let request = client.get("/").header("authorization", "Bearer opaque");
                request.await.unwrap().status().as_u16()
            });
        }
        assert!(asked.join_all().await.iter().all(|status| *status == 200));
    });
    assert_eq!(server.times("/introspect"), 1);
    assert_eq!(asks(&secured, "another"), 200, "one was looked up so far");
}

#[test]
fn unknown_tokens_are_looked_up_a_hundred_times_a_minute_and_known_ones_go_on() {
    let server = Server::start();
    server.says("/introspect", ACTIVE);
    let secured = Secured::new(declared(&server).introspection_url(server.url("/introspect")));
    assert_eq!(asks(&secured, "known"), 200);
    server.says("/introspect", r#"{"active":false}"#);
    for number in 0..99 {
        assert_eq!(asks(&secured, &format!("guess-{number}")), 401);
    }
    secured.refused("/", &[("authorization", "Bearer guess-100")], 429, None);
    assert_eq!(secured.last_event(), "authentication_failed held_back -");
    assert_eq!(server.times("/introspect"), 100);
    assert_eq!(asks(&secured, "known"), 200);
    assert_eq!(asks(&secured, "guess-1"), 401, "known to be refused");
    secured.clock.advance(Duration::from_mins(1));
    assert_eq!(asks(&secured, "guess-100"), 401);
}

#[test]
fn a_token_that_keys_verify_is_never_held_back_by_a_neighbour() {
    for discovered in [true, false] {
        let server = Server::start();
        metadata(&server);
        let (first, first_jwk) = pair("k1");
        let (second, second_jwk) = pair("k2");
        server.says("/jwks", &format!(r#"{{"keys":[{first_jwk}]}}"#));
        server.says("/introspect", r#"{"active":false}"#);
        let mut declared = declared(&server);
        if !discovered {
            declared = declared
                .issuer(&server.origin)
                .jwks_url(server.url("/jwks"))
                .introspection_url(server.url("/introspect"));
        }
        let secured = Secured::new(declared);
        let floods = |round: u32| {
            for number in 0..100 {
                asks(&secured, &format!("guess-{round}-{number}"));
            }
            assert_eq!(asks(&secured, &format!("guess-{round}-last")), 429);
        };
        let token = |pem: &str, kid: &str, number: u32| {
            let more = format!(r#","jti":"{number}""#);
            signed(pem, kid, "at+jwt", &claims(&server, &more))
        };
        floods(0);
        assert_eq!(server.times("/jwks"), 0);
        assert_eq!(asks(&secured, &token(&first, "k1", 0)), 200, "no keys yet");
        let both = format!(r#"{{"keys":[{first_jwk},{second_jwk}]}}"#);
        server.says("/jwks", &both);
        secured.clock.advance(Duration::from_secs(61));
        floods(1);
        assert_eq!(asks(&secured, &token(&second, "k2", 1)), 200, "a new key");
        assert_eq!(asks(&secured, &token(&second, "k2", 2)), 200);
        assert_eq!(asks(&secured, "guess-more"), 429);
    }
}

#[test]
fn tokens_that_keys_would_verify_have_a_silent_server_asked_once_in_a_while() {
    let (pem, _) = pair("k1");
    let server = Server::start();
    let secured = Secured::new(declared(&server));
    let many = |round: u32| {
        for number in 0..150 {
            let more = format!(r#","jti":"{round}-{number}""#);
            let token = signed(&pem, "k1", "at+jwt", &claims(&server, &more));
            assert_eq!(asks(&secured, &token), 503);
        }
    };
    let place = "/.well-known/oauth-authorization-server";
    many(0);
    assert_eq!(server.times(place), 1, "there is no metadata");
    metadata(&server);
    secured.clock.advance(Duration::from_secs(1));
    many(1);
    assert_eq!((server.times(place), server.times("/jwks")), (2, 1));
    secured.clock.advance(Duration::from_secs(1));
    many(2);
    assert_eq!((server.times(place), server.times("/jwks")), (2, 2));
}

#[test]
fn a_token_of_the_keys_type_is_asked_about_where_there_are_no_keys() {
    let server = Server::start();
    let described = format!(
        r#"{{"issuer":"{0}","token_endpoint":"{0}/token","introspection_endpoint":"{0}/introspect"}}"#,
        server.origin
    );
    server.says("/.well-known/oauth-authorization-server", &described);
    server.says("/introspect", r#"{"active":false}"#);
    let secured = Secured::new(declared(&server));
    let (pem, _) = pair("k1");
    let token = |number: u32| {
        let more = format!(r#","jti":"{number}""#);
        signed(&pem, "k1", "at+jwt", &claims(&server, &more))
    };
    for number in 0..100 {
        assert_eq!(asks(&secured, &token(number)), 401);
    }
    assert_eq!(asks(&secured, &token(100)), 429);
    assert_eq!(server.times("/introspect"), 100);
}

#[test]
fn two_tokens_are_one_too_many_and_a_huge_one_is_not_looked_up() {
    let server = Server::start();
    let secured = Secured::new(declared(&server).introspection_url(server.url("/introspect")));
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
    let ambiguous = r#"Bearer realm="api", error="invalid_request""#;
    secured.refused("/", &twice, 400, Some(ambiguous));
    refuses(&secured, &"x".repeat(16 * 1024 + 1), "too_large");
    for wrong in ["Bearer", "Bearer ", "Bearer a b"] {
        secured.refused("/", &[("authorization", wrong)], 401, Some(INVALID));
    }
    assert!(server.asked.lock().unwrap().is_empty());
}

#[test]
fn what_is_wrong_with_a_declaration_is_said_at_once_and_shows_no_secret() {
    let at = |field: &str| format!("routes.home.oauth2_required.{field}");
    let found = errors(OAuth2Required::new());
    for field in [
        "token_url: expected a URL",
        "client_id: expected",
        "client_secret: expected",
    ] {
        assert!(
            found.iter().any(|error| error.starts_with(&at(field))),
            "{field}: {found:?}"
        );
    }
    let wrong = OAuth2Required::new()
        .token_url("http://auth.example.com/token")
        .client_id("my-api")
        .client_secret("hunter2")
        .offered_scopes(["read"])
        .scopes(["admin"])
        .jwks_url("https://user@auth.example.com/jwks")
        .introspection_url("ftp://auth.example.com")
        .token_types(["JWT", "id"])
        .realm("\n")
        .name("1");
    let found = errors(wrong.clone());
    for field in [
        "token_url: expected a URL",
        "jwks_url: expected a URL",
        "introspection_url: expected a URL",
        "issuer: is needed beside jwks_url",
        "scopes[0]: is not among",
        "token_types[1]: expected at+jwt or JWT",
        "audience: is needed",
        "realm: expected printable ASCII",
        "name: expected letters",
    ] {
        assert!(
            found.iter().any(|error| error.starts_with(&at(field))),
            "{field}: {found:?}"
        );
    }
    assert!(!format!("{found:?} {wrong:?}").contains("hunter2"));
}

#[test]
fn published_keys_verify_plain_tokens_as_well() {
    let server = Server::start();
    let (pem, jwk) = pair("k1");
    let declared = || {
        JwtRequired::new()
            .jwks_url(server.url("/jwks"))
            .issuer(&server.origin)
    };
    let token = signed(&pem, "k1", "JWT", &claims(&server, ""));
    // Nothing is there yet: what cannot be checked lets nobody in.
    unavailable(&Secured::new(declared()), &token);
    let before = server.times("/jwks");
    let secured = Secured::new(declared());
    refuses(&secured, "no token", "malformed");
    refuses(&secured, "a.b.c", "malformed");
    assert_eq!(
        server.times("/jwks"),
        before,
        "fetched for what is no token"
    );
    server.says("/jwks", &format!(r#"{{"keys":[{jwk}]}}"#));
    for _ in 0..3 {
        assert_eq!(asks(&secured, &token), 200);
    }
    assert_eq!(server.times("/jwks"), before + 1);
    let (forger, _) = pair("k1");
    refuses(
        &secured,
        &signed(&forger, "k1", "JWT", &claims(&server, "")),
        "bad_signature",
    );
    let (second, second_jwk) = pair("k2");
    server.says("/jwks", &format!(r#"{{"keys":[{jwk},{second_jwk}]}}"#));
    let rotated = signed(&second, "k2", "JWT", &claims(&server, ""));
    refuses(&secured, &rotated, "unknown_key");
    secured.clock.advance(Duration::from_secs(31));
    assert_eq!(asks(&secured, &rotated), 200);
    server.is_down(true);
    secured.clock.advance(Duration::from_mins(5));
    let far = claims(&server, "").replace(
        &(START.as_secs() + 600).to_string(),
        &(START.as_secs() + 200_000).to_string(),
    );
    let token = signed(&pem, "k1", "JWT", &far);
    assert_eq!(asks(&secured, &token), 200, "stale keys go on");
    secured.clock.advance(Duration::from_hours(25));
    unavailable(&secured, &token);
}

#[test]
fn published_keys_and_given_ones_contradict_each_other() {
    let at = |field: &str| format!("routes.home.jwt_required.{field}");
    let found = errors(
        JwtRequired::new()
            .jwks_url("http://auth.example.com/jwks")
            .secret("a secret of at least thirty-two bytes")
            .algorithm("HS256"),
    );
    for field in [
        "jwks_url: contradicts",
        "jwks_url: expected a URL",
        "algorithm: expected one of",
    ] {
        assert!(
            found.iter().any(|error| error.starts_with(&at(field))),
            "{field}: {found:?}"
        );
    }
}

#[derive(apifrom::Deserialize)]
struct Reader {
    sub: String,
    shelf: Option<u32>,
}

#[apifrom::api(route = "/shelf", method = "GET")]
fn shelf(token: OAuth2Token<Reader>) -> String {
    let Reader { sub, shelf } = token.claims();
    format!("{sub} {shelf:?} {} {}", token.scopes(), token.token())
}

#[test]
fn a_handler_takes_the_claims_and_the_token_itself() {
    let server = Server::start();
    metadata(&server);
    let specs = apifrom::endpoints![shelf].map(|spec| spec.protect(declared(&server)));
    let clock = Arc::new(apifrom::ManualClock::at(START));
    let api = apifrom::Api::new().clock(clock).endpoints(specs);
    let client = apifrom::testing::TestClient::new(api.build().unwrap());
    let ask = |token: &str, said: &str| {
        server.says("/introspect", said);
        let asked = client.get("/shelf").header("authorization", bearer(token));
        asked.send().unwrap()
    };
    let said =
        r#"{"active": true, "sub": "ada", "aud": "my-api", "scope": "read write", "shelf": 7}"#;
    assert_eq!(ask("first", said).text(), "ada Some(7) read write first");
    let said = r#"{"active": true, "sub": "ada", "aud": "my-api", "scope": "read", "shelf": "7"}"#;
    let refused = ask("second", said);
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.header("www-authenticate"), Some(INVALID));
    assert_eq!(ask("third", r#"{"active": false}"#).status(), 401);
}

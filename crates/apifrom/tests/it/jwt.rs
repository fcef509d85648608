//! JSON Web Tokens, as callers and programs meet them.

use std::sync::Arc;
use std::time::Duration;

use apifrom::security::jose::{Algorithm, SigningKey};
use apifrom::security::{CreateToken, JwtRequired};
use apifrom::{
    Api, ApiConfig, ConfigError, EndpointSpec, Handler, IntoResponse, ManualClock, Protection,
    Reply, Request, Secret,
};

use super::secured::{START, Secured, errors};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const CHALLENGE: &str = r#"Bearer realm="api""#;
const INVALID: &str = r#"Bearer realm="api", error="invalid_token""#;
const AMBIGUOUS: &str = r#"Bearer realm="api", error="invalid_request""#;

const RSA_PRIVATE: &str = include_str!("../../src/security/jose/tests/keys/rsa.pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("../../src/security/jose/tests/keys/rsa.public.pem");
const P256_PRIVATE: &str = include_str!("../../src/security/jose/tests/keys/p256.pkcs8.pem");
const P256_PUBLIC: &str = include_str!("../../src/security/jose/tests/keys/p256.public.pem");

fn tokens() -> JwtRequired {
    JwtRequired::new().secret(SECRET).algorithm("HS256")
}

/// The protection under a clock that shows second `now`.
fn at(now: u64, protection: impl Into<Protection>) -> (Secured, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Duration::from_secs(now)));
    let secured = Secured::with(protection, |api| api.clock(clock.clone()));
    (secured, clock)
}

/// A token under the secret of these tests.
fn signed(payload: &str) -> String {
    signed_by(SECRET, Algorithm::Hs256, r#"{"alg":"HS256"}"#, payload)
}

fn signed_by(key: &str, algorithm: Algorithm, header: &str, payload: &str) -> String {
    SigningKey::read(&key.into(), algorithm)
        .unwrap()
        .token(header.as_bytes(), payload.as_bytes())
        .unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[track_caller]
fn accepts(secured: &Secured, payload: &str) {
    let token = bearer(&signed(payload));
    let answer = secured.ask(&[("authorization", &token)]);
    assert_eq!(answer.status(), 200, "{payload}");
}

#[track_caller]
fn refuses(secured: &Secured, payload: &str, reason: &str) {
    refuses_token(secured, &signed(payload), reason);
}

#[track_caller]
fn refuses_token(secured: &Secured, token: &str, reason: &str) {
    secured.refused(
        "/",
        &[("authorization", &bearer(token))],
        401,
        Some(INVALID),
    );
    let event = format!("authentication_failed {reason} -");
    assert_eq!(secured.last_event(), event, "{token}");
}

#[test]
fn a_signed_token_is_let_in_with_what_it_says() {
    let (secured, _) = at(1_000, tokens());
    let token = signed(r#"{"sub":"ada","exp":2000,"scope":"read write"}"#);
    secured.accepted(
        "/",
        &[("authorization", &bearer(&token))],
        &format!("jwt_payload=ada/read write/{token}/sent;"),
    );
    assert_eq!(secured.last_event(), "authentication_succeeded - ada");
    let nobody = signed(r#"{"exp":2000}"#);
    secured.accepted(
        "/",
        &[("AUTHORIZATION", &format!("bEaReR  {nobody}"))],
        &format!("jwt_payload=-//{nobody}/sent;"),
    );
    secured.log_hides(&[&token, &nobody, SECRET]);
}

#[test]
fn what_create_token_makes_is_let_in_until_it_ends() {
    let (secured, clock) = at(1_000, tokens().verify_sub(true).verify_jti(true));
    let creator = CreateToken::new(SECRET, "HS256")
        .clock(clock.clone())
        .random_jti();
    let token = bearer(&creator.sign(r#"{"sub":"user123","role":"admin"}"#).unwrap());
    let status = || secured.ask(&[("authorization", &token)]).status();
    assert_eq!(status(), 200);
    clock.advance(Duration::from_millis(3_599_999));
    assert_eq!(status(), 200);
    clock.advance(Duration::from_millis(1));
    secured.refused("/", &[("authorization", &token)], 401, Some(INVALID));
    assert_eq!(secured.last_event(), "authentication_failed expired -");
}

#[test]
fn an_absent_token_and_a_bad_one_are_told_apart() {
    let (secured, _) = at(1_000, tokens());
    secured.refused("/", &[], 401, Some(CHALLENGE));
    assert_eq!(secured.last_event(), "authentication_failed absent -");
    let good = signed(r#"{"exp":2000}"#);
    for other in [
        format!("Basic {good}"),
        format!("Token {good}"),
        format!("Bearer{good}"),
        good.clone(),
        String::new(),
    ] {
        secured.refused("/", &[("authorization", &other)], 401, Some(CHALLENGE));
    }
    for (elsewhere, header) in [
        (
            format!("/?access_token={good}"),
            ("x-unused", "x".to_owned()),
        ),
        ("/".to_owned(), ("cookie", format!("access_token={good}"))),
        ("/".to_owned(), ("x-authorization", bearer(&good))),
    ] {
        secured.refused(&elsewhere, &[(header.0, &header.1)], 401, Some(CHALLENGE));
    }
    for malformed in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a.b.c, Bearer d.e.f",
    ] {
        secured.refused("/", &[("authorization", malformed)], 401, Some(INVALID));
        assert_eq!(secured.last_event(), "authentication_failed malformed -");
    }
    for malformed in [
        "a",
        "a.b",
        "..",
        "a.b.c",
        "a.b.c.d",
        "eyJhbGciOiJIUzI1NiJ9.e30",
    ] {
        refuses_token(&secured, malformed, "malformed");
    }
    refuses_token(&secured, &"a".repeat(16_385), "too_large");
    secured.log_hides(&[&good, SECRET]);
}

#[test]
fn two_tokens_are_one_too_many() {
    let good = signed(r#"{"exp":2000}"#);
    let twice = bearer(&good);
    let (header, _) = at(1_000, tokens());
    for other in [&*twice, "Basic YTpi", ""] {
        let both = [("authorization", &*twice), ("authorization", other)];
        header.refused("/", &both, 400, Some(AMBIGUOUS));
        assert_eq!(header.last_event(), "authentication_failed doubled -");
    }
    let (query, _) = at(1_000, tokens().token_location("query"));
    let target = format!("/?access_token={good}&access_token={good}");
    query.refused(&target, &[], 400, Some(AMBIGUOUS));
    let (cookie, _) = at(1_000, tokens().token_location("cookie"));
    let cookies = format!("access_token={good}; access_token=x");
    cookie.refused("/", &[("cookie", &cookies)], 400, Some(AMBIGUOUS));
}

#[test]
fn a_token_is_found_where_the_declaration_says() {
    let good = signed(r#"{"sub":"ada","exp":2000}"#);
    let sent = format!("jwt_payload=ada//{good}/sent;");
    let ambient = format!("jwt_payload=ada//{good}/ambient;");
    let (query, _) = at(1_000, tokens().token_location("query"));
    query.accepted(&format!("/?a=1&access_token={good}"), &[], &sent);
    query.refused(
        "/",
        &[("authorization", &bearer(&good))],
        401,
        Some(CHALLENGE),
    );
    query.refused("/?access_token=", &[], 401, Some(INVALID));
    query.log_hides(&[&good]);
    let (renamed, _) = at(1_000, tokens().token_location("query").query_name("jwt"));
    renamed.accepted(&format!("/?jwt={good}"), &[], &sent);

    let (cookie, _) = at(
        1_000,
        tokens().token_location("cookie").cookie_name("session"),
    );
    cookie.accepted(
        "/",
        &[("cookie", &format!("a=1; session={good}"))],
        &ambient,
    );
    cookie.refused("/", &[("cookie", "session=")], 401, Some(INVALID));
    cookie.refused(
        "/",
        &[("cookie", &format!("access_token={good}"))],
        401,
        Some(CHALLENGE),
    );

    let (own, _) = at(1_000, tokens().header_name("X-Token").header_type(""));
    own.accepted("/", &[("x-token", &good)], &sent);
    own.refused("/", &[("x-token", &bearer(&good))], 401, Some(INVALID));
    let (scheme, _) = at(1_000, tokens().header_type("JWT"));
    scheme.accepted("/", &[("authorization", &format!("jwt {good}"))], &sent);
    scheme.refused(
        "/",
        &[("authorization", &bearer(&good))],
        401,
        Some(r#"JWT realm="api""#),
    );
}

#[test]
fn expiry_is_to_the_second_and_its_absence_is_no_excuse() {
    let (secured, clock) = at(1_999, tokens());
    accepts(&secured, r#"{"exp":2000}"#);
    refuses(&secured, "{}", "missing_expiry");
    refuses(&secured, r#"{"exp":"2000"}"#, "malformed_claims");
    refuses(&secured, r#"{"exp":2000,"nbf":"x"}"#, "malformed_claims");
    clock.set(Duration::from_secs(2_000));
    refuses(&secured, r#"{"exp":2000}"#, "expired");

    let (lenient, _) = at(2_009, tokens().leeway(Duration::from_secs(10)));
    accepts(&lenient, r#"{"exp":2000}"#);
    refuses(&lenient, r#"{"exp":1999}"#, "expired");

    let (eternal, _) = at(2_000, tokens().verify_exp(false));
    accepts(&eternal, r#"{"exp":1}"#);
    accepts(&eternal, "{}");
    refuses(&eternal, r#"{"exp":null}"#, "malformed_claims");
}

#[test]
fn a_token_from_the_future_may_be_a_minute_ahead() {
    let (secured, _) = at(1_000, tokens());
    for (claim, reason) in [("nbf", "not_yet_valid"), ("iat", "issued_in_future")] {
        accepts(&secured, &format!(r#"{{"exp":9000,"{claim}":1060}}"#));
        refuses(
            &secured,
            &format!(r#"{{"exp":9000,"{claim}":1061}}"#),
            reason,
        );
    }
}

#[test]
fn the_options_of_verification_work_in_both_directions() {
    let on = tokens()
        .verify_exp(false)
        .verify_aud(true)
        .audience("api")
        .audience("admin")
        .verify_iss(true)
        .issuer("https://issuer.example")
        .verify_sub(true)
        .verify_jti(true);
    let off = on
        .clone()
        .verify_aud(false)
        .verify_iss(false)
        .verify_sub(false)
        .verify_jti(false);
    let (on, _) = at(1_000, on);
    let (off, _) = at(1_000, off);
    let good = r#"{"aud":["x","admin"],"iss":"https://issuer.example","sub":"ada","jti":"1"}"#;
    accepts(&on, good);
    for (from, to, reason) in [
        ("admin", "adm", "wrong_audience"),
        (r#""aud":["x","admin"],"#, "", "missing_audience"),
        (r#"["x","admin"]"#, "7", "malformed_claims"),
        ("issuer.example", "issuer.example.com", "wrong_issuer"),
        (r#""iss":"https://issuer.example","#, "", "missing_issuer"),
        (r#""sub":"ada","#, "", "missing_subject"),
        (r#""ada""#, r#""""#, "missing_subject"),
        (r#","jti":"1""#, "", "missing_id"),
        (r#""1""#, "1", "missing_id"),
    ] {
        let payload = good.replacen(from, to, 1);
        assert_ne!(payload, good);
        refuses(&on, &payload, reason);
        accepts(&off, &payload);
    }
    // Who says what to expect means it.
    let (told, _) = at(1_000, tokens().audience("api").issuer("me"));
    refuses(&told, r#"{"exp":2000,"iss":"me"}"#, "missing_audience");
    refuses(&told, r#"{"exp":2000,"aud":"api"}"#, "missing_issuer");
}

#[test]
fn an_id_token_is_bound_to_the_access_token_beside_it() {
    let access_token = "an-access-token";
    let creator = CreateToken::new(SECRET, "HS256")
        .access_token(access_token)
        .clock(Arc::new(ManualClock::at(START)));
    let token = bearer(&creator.sign(r#"{"sub":"ada"}"#).unwrap());
    let declared = tokens().verify_at_hash(true);
    let header = Secured::new(declared.clone().access_token_header("X-Access-Token"));
    let ask = |secured: &Secured, name: &str, value: &str| {
        let headers = [("authorization", &*token), (name, value)];
        secured.ask(&headers).status().as_u16()
    };
    assert_eq!(ask(&header, "x-access-token", access_token), 200);
    for (name, value, reason) in [
        ("x-access-token", "another", "wrong_access_token_hash"),
        ("x-access-token", "", "missing_access_token_hash"),
        ("x-other", access_token, "missing_access_token_hash"),
    ] {
        header.refused(
            "/",
            &[("authorization", &token), (name, value)],
            401,
            Some(INVALID),
        );
        assert_eq!(
            header.last_event(),
            format!("authentication_failed {reason} -")
        );
    }
    let doubled = [
        ("authorization", &*token),
        ("x-access-token", access_token),
        ("x-access-token", access_token),
    ];
    header.refused("/", &doubled, 400, Some(AMBIGUOUS));
    header.log_hides(&[access_token]);

    let cookie = Secured::new(declared.access_token_cookie("at"));
    assert_eq!(ask(&cookie, "cookie", "at=an-access-token"), 200);
    assert_eq!(ask(&cookie, "cookie", "at=another"), 401);
    let off = Secured::new(tokens().verify_at_hash(false).access_token_cookie("at"));
    assert_eq!(ask(&off, "cookie", "at=another"), 200);

    let unbound = bearer(&CreateToken::new(SECRET, "HS256").sign("{}").unwrap());
    let headers = [
        ("authorization", &*unbound),
        ("cookie", "at=an-access-token"),
    ];
    cookie.refused("/", &headers, 401, Some(INVALID));
}

#[test]
fn only_the_algorithms_of_the_declaration_are_taken() {
    let (secured, _) = at(1_000, tokens());
    let payload = r#"{"exp":2000}"#;
    let long = SECRET.repeat(2);
    for (algorithm, name) in [(Algorithm::Hs384, "HS384"), (Algorithm::Hs512, "HS512")] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let token = signed_by(&long, algorithm, &header, payload);
        refuses_token(&secured, &token, "wrong_algorithm");
    }
    let rsa = signed_by(RSA_PRIVATE, Algorithm::Rs256, r#"{"alg":"RS256"}"#, payload);
    refuses_token(&secured, &rsa, "wrong_algorithm");
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"nOnE"}"#,
        r#"{"alg":""}"#,
    ] {
        let token = signed_by(SECRET, Algorithm::Hs256, header, payload);
        refuses_token(&secured, &token, "unknown_algorithm");
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        refuses_token(&secured, &format!("{unsigned}."), "unknown_algorithm");
    }
    let critical = r#"{"alg":"HS256","crit":["x"],"x":1}"#;
    let token = signed_by(SECRET, Algorithm::Hs256, critical, payload);
    refuses_token(&secured, &token, "critical_header");
}

#[test]
fn a_public_key_verifies_its_own_family_and_makes_no_secret() {
    let (secured, _) = at(
        1_000,
        JwtRequired::new().secret(RSA_PUBLIC).algorithm("RS256"),
    );
    let payload = r#"{"exp":2000}"#;
    let good = signed_by(RSA_PRIVATE, Algorithm::Rs256, r#"{"alg":"RS256"}"#, payload);
    assert_eq!(
        secured.ask(&[("authorization", &bearer(&good))]).status(),
        200
    );
    let pss = signed_by(RSA_PRIVATE, Algorithm::Ps256, r#"{"alg":"PS256"}"#, payload);
    refuses_token(&secured, &pss, "wrong_algorithm");
    // The signature of one padding under the name of the other.
    let swapped = signed_by(RSA_PRIVATE, Algorithm::Ps256, r#"{"alg":"RS256"}"#, payload);
    refuses_token(&secured, &swapped, "bad_signature");
    let confused = errors(JwtRequired::new().secret(RSA_PUBLIC).algorithm("HS256"));
    assert_eq!(
        confused,
        ["routes.home.jwt_required.secret: is an RSA key, which cannot verify HS256"]
    );
}

#[test]
fn a_token_that_was_touched_is_refused() {
    let (secured, _) = at(1_000, tokens());
    let token = signed(r#"{"sub":"ada","exp":2000}"#);
    let admin = signed_by(
        "another secret that is long enough for it",
        Algorithm::Hs256,
        r#"{"alg":"HS256"}"#,
        r#"{"sub":"admin","exp":2000}"#,
    );
    refuses_token(&secured, &admin, "bad_signature");
    let mut mixed: Vec<_> = token.split('.').collect();
    mixed[1] = admin.split('.').nth(1).unwrap();
    refuses_token(&secured, &mixed.join("."), "bad_signature");
    refuses_token(&secured, &format!("{token}A"), "bad_signature");
    refuses_token(&secured, &token[..token.len() - 1], "bad_signature");
    refuses_token(&secured, &format!("{token}="), "bad_signature");
    for payload in ["[]", "null", r#"{"exp":2000,"exp":9000}"#, "{"] {
        refuses(&secured, payload, "malformed_claims");
    }
}

#[test]
fn keys_can_be_rotated() {
    let declared = JwtRequired::new()
        .keys([RSA_PUBLIC, P256_PUBLIC])
        .algorithms(["RS256", "ES256"]);
    let (secured, _) = at(1_000, declared);
    for (key, algorithm) in [
        (RSA_PRIVATE, Algorithm::Rs256),
        (P256_PRIVATE, Algorithm::Es256),
    ] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"any"}}"#);
        let token = signed_by(key, algorithm, &header, r#"{"exp":2000}"#);
        assert_eq!(
            secured.ask(&[("authorization", &bearer(&token))]).status(),
            200
        );
    }
    let old = "an old secret that is long enough for it";
    let (rotating, _) = at(1_000, tokens().key(old));
    accepts(&rotating, r#"{"exp":2000}"#);
    let token = signed_by(
        old,
        Algorithm::Hs256,
        r#"{"alg":"HS256"}"#,
        r#"{"exp":2000}"#,
    );
    assert_eq!(
        rotating.ask(&[("authorization", &bearer(&token))]).status(),
        200
    );
}

#[test]
fn a_caller_without_the_scope_or_the_role_is_known_and_may_not() {
    let (scoped, _) = at(1_000, tokens().scopes(["read", "write"]));
    let refused = |secured: &Secured, payload: &str, challenge: &str, reason: &str| {
        let token = bearer(&signed(payload));
        secured.refused("/", &[("authorization", &token)], 403, Some(challenge));
        assert_eq!(
            secured.last_event(),
            format!("authorization_denied {reason} ada")
        );
    };
    let lacking = r#"Bearer realm="api", error="insufficient_scope", scope="read write""#;
    accepts(&scoped, r#"{"exp":2000,"scope":"write read"}"#);
    accepts(&scoped, r#"{"exp":2000,"scp":["write","read"]}"#);
    for payload in [
        r#"{"sub":"ada","exp":2000}"#,
        r#"{"sub":"ada","exp":2000,"scope":"read"}"#,
        r#"{"sub":"ada","exp":2000,"scp":["read write"]}"#,
    ] {
        refused(&scoped, payload, lacking, "insufficient_scope");
    }
    let (roles, _) = at(1_000, tokens().roles(["admin"]).roles_claim("groups"));
    accepts(&roles, r#"{"exp":2000,"groups":["x","admin"]}"#);
    accepts(&roles, r#"{"exp":2000,"groups":"admin"}"#);
    let lacking = r#"Bearer realm="api", error="insufficient_scope""#;
    for payload in [
        r#"{"sub":"ada","exp":2000,"groups":"not-admin"}"#,
        r#"{"sub":"ada","exp":2000,"groups":"x admin"}"#,
        r#"{"sub":"ada","exp":2000,"roles":["admin"]}"#,
    ] {
        refused(&roles, payload, lacking, "insufficient_role");
    }
    // A token that proves nothing is not told what it would lack.
    refuses(&scoped, r#"{"sub":"ada","exp":1}"#, "expired");
}

#[test]
fn claims_reach_the_handler_as_they_were_signed() {
    let payload = r#"{ "sub":"ada", "exp":4102444800, "n": 1.50 }"#;
    let spec = EndpointSpec::new("home", "/", ["GET"], |_| {
        let handler = |request: Request| {
            let identity = request.context().identities.named("token").unwrap();
            let claims = identity.claims().unwrap().clone();
            Reply::Ready(String::from_utf8(claims.to_vec()).unwrap().into_response())
        };
        Some(Arc::new(handler) as Arc<dyn Handler>)
    });
    let engine = Api::new()
        .endpoints([spec.protect(tokens().name("token"))])
        .build()
        .unwrap();
    let answer = apifrom::testing::TestClient::new(engine)
        .get("/")
        .header("authorization", bearer(&signed(payload)))
        .send()
        .unwrap();
    assert_eq!(answer.text(), payload);
}

#[test]
fn many_callers_at_once_are_each_judged_for_themselves() {
    let (secured, _) = at(1_000, tokens());
    let good = bearer(&signed(r#"{"exp":2000}"#));
    let bad = bearer(&signed(r#"{"exp":1000}"#));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (secured, good, bad) = (&secured, &good, &bad);
            scope.spawn(move || {
                for turn in 0..100 {
                    let (token, status) = if (thread + turn) % 2 == 0 {
                        (good, 200)
                    } else {
                        (bad, 401)
                    };
                    let answer = secured.ask(&[("authorization", token)]);
                    assert_eq!(answer.status(), status);
                }
            });
        }
    });
}

#[test]
fn what_is_wrong_with_a_declaration_is_said_at_once_and_shows_no_secret() {
    let path = "routes.home.jwt_required";
    assert_eq!(
        errors(JwtRequired::new()),
        [format!("{path}.secret: expected a secret, found none")]
    );
    assert_eq!(
        errors(JwtRequired::new().secret(None::<&str>)),
        [format!("{path}.secret: expected a secret, found none")]
    );
    let nowhere: Result<Secret<String>, _> = Err(ConfigError::new("JWT_SECRET", "is set nowhere"));
    assert_eq!(
        errors(JwtRequired::new().secret(nowhere)),
        [format!("{path}.secret: JWT_SECRET: is set nowhere")]
    );
    let wrong = JwtRequired::new()
        .secret("")
        .keys(["-----BEGIN hunter2"])
        .algorithms(["HS256", "none", "hs256"])
        .token_location("header")
        .header_name("X Token")
        .verify_aud(true)
        .verify_iss(true)
        .verify_at_hash(true)
        .scopes(["re\"ad"])
        .roles([""])
        .roles_claim("sub")
        .name("1st");
    let found = errors(wrong);
    for expected in [
        "secret: expected a secret or a key, found an empty text",
        "keys[0]: is broken PEM",
        "algorithm: `none` is never accepted",
        "algorithm: expected HS256",
        "header_name: expected the name of a header",
        "audience: is needed for verify_aud",
        "issuer: is needed for verify_iss",
        "verify_at_hash: needs access_token_header or access_token_cookie",
        "scopes[0]: a scope is",
        "roles: expected roles",
        "roles_claim: expected the name of a claim",
        "name: expected letters",
    ] {
        let expected = format!("{path}.{expected}");
        assert!(
            found.iter().any(|error| error.starts_with(&expected)),
            "{expected}: {found:?}"
        );
    }
    assert!(!format!("{found:?}").contains("hunter2"));
    assert!(!format!("{:?}", tokens()).contains(SECRET));
}

#[test]
fn options_that_contradict_each_other_or_make_no_sense_are_named() {
    let path = "routes.home.jwt_required";
    for (declared, expected) in [
        (
            tokens().token_location("body"),
            "token_location: expected header, query or cookie",
        ),
        (
            tokens().token_location("Header"),
            "token_location: expected header, query or cookie",
        ),
        (
            tokens().header_type("Bearer token"),
            "header_type: expected a scheme",
        ),
        (
            tokens().token_location("query").query_name(""),
            "query_name: expected a name",
        ),
        (
            tokens().token_location("cookie").cookie_name(""),
            "cookie_name: expected a name",
        ),
        (
            tokens().token_location("cookie").cookie_name("a;b"),
            "cookie_name: expected the name of a cookie",
        ),
        (
            tokens().access_token_cookie("a=b"),
            "access_token_cookie: expected the name of a cookie",
        ),
        (
            tokens().header_name("Cookie").header_type(""),
            "header_name: is a header that browsers write",
        ),
        (
            tokens().access_token_header("Sec-Fetch-Site"),
            "access_token_header: is a header that browsers write",
        ),
        (tokens().realm("a\nb"), "realm: expected printable ASCII"),
        (tokens().audience(""), "audience: expected a name"),
        (
            tokens().algorithms(Vec::<String>::new()),
            "algorithm: expected at least one",
        ),
        (
            tokens().algorithms(["HS256", "RS256"]),
            "algorithm: no key verifies RS256",
        ),
        (
            tokens().access_token_header("a").access_token_cookie("b"),
            "access_token_cookie: contradicts",
        ),
        (
            tokens().access_token_header("Authorization"),
            "verify_at_hash: needs the access token",
        ),
        (
            tokens().roles((0..65).map(|n| n.to_string())),
            "roles: expected at most 64",
        ),
    ] {
        let found = errors(declared);
        let expected = format!("{path}.{expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{expected}: {found:?}"
        );
    }
}

#[test]
fn a_secret_that_can_be_guessed_is_a_warning_and_an_error_under_strict() {
    let weak = || {
        JwtRequired::new()
            .secret("your-secret-key")
            .algorithm("HS256")
    };
    let secured = Secured::with(weak(), |api| api.clock(Arc::new(apifrom::SystemClock)));
    let event = secured.last_event();
    assert!(
        event.starts_with("configuration_weak is shorter than the 32 bytes"),
        "{event}"
    );
    secured.log_hides(&["your-secret-key"]);
    let token = CreateToken::new("your-secret-key", "HS256")
        .sign("{}")
        .unwrap();
    assert_eq!(
        secured.ask(&[("authorization", &bearer(&token))]).status(),
        200
    );

    let mut strict = ApiConfig::default();
    strict.strict = true;
    let spec = EndpointSpec::new("home", "/", ["GET"], |_| {
        let handler = |_: Request| Reply::Ready(().into_response());
        Some(Arc::new(handler) as Arc<dyn Handler>)
    });
    let protected = Api::with_config(strict)
        .endpoints([spec.protect(weak())])
        .build();
    let refused = protected.map(drop).unwrap_err().to_string();
    assert!(
        refused.contains("is shorter than the 32 bytes"),
        "{refused}"
    );
}

//! API keys, as callers and programs meet them.

use apifrom::security::{ApiKeyRequired, IssuedKey};

use super::secured::{Secured, errors};

const CHALLENGE: &str = r#"ApiKey realm="api", in="header", name="X-API-Key""#;
const INVALID: &str = r#"ApiKey realm="api", in="header", name="X-API-Key", error="invalid_token""#;

/// The digest of `api-key-2`.
const DIGEST: &str = "sha256:8fdfe454492d4f3f48c86227d4752fb4f696cc4505c79e3d36f867c13980931f";

fn keys() -> ApiKeyRequired {
    ApiKeyRequired::new().api_keys([
        ("api-key-1", vec!["read"]),
        ("api-key-2", vec!["read", "write"]),
    ])
}

#[test]
fn a_key_that_is_known_is_let_in_with_its_scopes() {
    let secured = Secured::new(keys());
    let found = |key: &str, scopes: &str, digest: &str| {
        format!("api_key=sha256:{digest}/{scopes}/{key}/sent;")
    };
    secured.accepted(
        "/",
        &[("x-api-key", "api-key-1")],
        &found("api-key-1", "read", "5e7bd0afcf2a7316"),
    );
    assert!(
        secured
            .last_event()
            .starts_with("authentication_succeeded - sha256:")
    );
    assert_eq!(secured.ask(&[("X-API-KEY", "api-key-2")]).status(), 200);
    secured.log_hides(&["api-key-1", "api-key-2"]);
}

#[test]
fn what_is_no_known_key_is_refused_before_the_handler() {
    let secured = Secured::new(keys());
    secured.refused("/", &[], 401, Some(CHALLENGE));
    assert_eq!(secured.last_event(), "authentication_failed absent -");
    let long = "x".repeat(1025);
    for (key, reason) in [
        ("api-key-3", "unknown_key"),
        ("api-key-", "unknown_key"),
        ("api-key-11", "unknown_key"),
        ("API-KEY-1", "unknown_key"),
        (" api-key-1x", "unknown_key"),
        (DIGEST, "unknown_key"),
        ("", "malformed"),
        ("\u{e9}\u{fe}", "unknown_key"),
        (&long, "too_long"),
    ] {
        secured.refused("/", &[("x-api-key", key)], 401, Some(INVALID));
        assert_eq!(
            secured.last_event(),
            format!("authentication_failed {reason} -"),
            "{key}"
        );
    }
    let answer = secured
        .client
        .get("/")
        .header("x-api-key", b"\xff\xfe")
        .send()
        .unwrap();
    assert_eq!(answer.status(), 401);
    secured.log_hides(&["api-key-3", "api-key-1", "api-key-11"]);
}

#[test]
fn a_key_elsewhere_is_no_key() {
    let secured = Secured::new(keys());
    for (target, headers) in [
        ("/?X-API-Key=api-key-1", vec![]),
        ("/", vec![("cookie", "X-API-Key=api-key-1")]),
        ("/", vec![("authorization", "ApiKey api-key-1")]),
        ("/", vec![("x-api-key2", "api-key-1")]),
    ] {
        secured.refused(target, &headers, 401, Some(CHALLENGE));
    }
}

#[test]
fn two_keys_are_one_too_many_whatever_they_are() {
    let ambiguous = r#"ApiKey realm="api", in="header", name="X-API-Key", error="invalid_request""#;
    let secured = Secured::new(
        keys()
            .query_param_name(Some("key"))
            .cookie_name(Some("key")),
    );
    for (target, headers) in [
        (
            "/",
            vec![("x-api-key", "api-key-1"), ("x-api-key", "api-key-1")],
        ),
        ("/?key=api-key-1", vec![("x-api-key", "api-key-1")]),
        ("/?key=api-key-1&key=api-key-1", vec![]),
        ("/?key=api-key-1", vec![("cookie", "key=api-key-1")]),
        ("/", vec![("cookie", "key=api-key-1; key=x")]),
    ] {
        secured.refused(target, &headers, 400, Some(ambiguous));
        assert_eq!(secured.last_event(), "authentication_failed doubled -");
    }
}

#[test]
fn a_key_is_found_where_the_declaration_says() {
    let query = Secured::new(keys().header_name(None).query_param_name(Some("key")));
    assert_eq!(query.ask_at("/?key=api-key-1", &[]).status(), 200);
    query.refused(
        "/",
        &[("x-api-key", "api-key-1")],
        401,
        Some(r#"ApiKey realm="api", in="query", name="key""#),
    );
    let cookie = Secured::new(keys().header_name(None).cookie_name(Some("key")));
    let answer = cookie.ask(&[("cookie", "key=api-key-1")]);
    assert!(answer.text().ends_with("/api-key-1/ambient;"));
    query.log_hides(&["api-key-1"]);
}

#[test]
fn a_key_that_lacks_a_scope_is_known_and_may_not() {
    let secured = Secured::new(keys().scopes(["write"]));
    assert_eq!(secured.ask(&[("x-api-key", "api-key-2")]).status(), 200);
    secured.refused(
        "/",
        &[("x-api-key", "api-key-1")],
        403,
        Some(
            r#"ApiKey realm="api", in="header", name="X-API-Key", error="insufficient_scope", scope="write""#,
        ),
    );
    let event = secured.last_event();
    assert!(
        event.starts_with("authorization_denied insufficient_scope sha256:"),
        "{event}"
    );
}

#[test]
fn a_digest_stands_for_its_key() {
    // From the shell: printf %s api-key-1 | sha256sum
    let digest = "sha256:5E7BD0AFCF2A7316E8EAD67A03B8CF71B1111A549CC4C8A8BC1A4DE4388D6F52";
    assert!(errors(ApiKeyRequired::new().key(digest, ["read"])).is_empty());
}

#[test]
fn what_is_wrong_with_a_declaration_is_said_at_once_and_shows_no_key() {
    let no_place = keys().header_name(None);
    assert_eq!(
        errors(no_place),
        [
            "routes.home.api_key_required.header_name: is off, and so are query_param_name and \
             cookie_name: there is no place for a key"
        ]
    );
    let wrong = ApiKeyRequired::new()
        .key("", ["read"])
        .key("hunter2", ["re ad"])
        .key("hunter2", ["read"])
        .key("sha256:abc", ["read"])
        .key("k".repeat(1025), ["read"])
        .key(format!("SHA256:{}", "a".repeat(64)), ["read"])
        .scopes(["wri\"te"])
        .header_name(Some("X API Key"))
        .cookie_name(Some(""))
        .name("1st");
    let errors = errors(wrong);
    for field in [
        "api_keys[0]: expected a key, found none",
        "api_keys[1].scopes: a scope is",
        "api_keys[2]: is there twice",
        "api_keys[3]: expected 64 hexadecimal digits",
        "api_keys[4]: expected at most 1024 bytes",
        "api_keys[5]: expected sha256: in lower case",
        "scopes[0]: a scope is",
        "header_name: expected the name of a header",
        "cookie_name: expected a name",
        "name: expected letters",
    ] {
        let expected = format!("routes.home.api_key_required.{field}");
        assert!(
            errors.iter().any(|error| error.starts_with(&expected)),
            "{field}: {errors:?}"
        );
    }
    assert!(!format!("{errors:?}").contains("hunter2"));
    assert!(!format!("{:?}", keys()).contains("api-key"));
}

#[test]
fn a_key_stands_where_only_a_program_can_put_it() {
    let path = "routes.home.api_key_required";
    for name in [
        "Cookie",
        "origin",
        "REFERER",
        "User-Agent",
        "Host",
        "Accept",
        "Sec-Fetch-Mode",
    ] {
        assert_eq!(
            errors(keys().header_name(Some(name))),
            [format!(
                "{path}.header_name: is a header that browsers write by themselves; expected another, or \
                 cookie_name"
            )]
        );
    }
    for name in ["a;b", "a=b", " a", "a\n", "a\r\nb"] {
        let found = errors(keys().cookie_name(Some(name)));
        let expected = format!("{path}.cookie_name: expected the name of a cookie");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{name:?}: {found:?}"
        );
    }
    for name in ["key", "__Host-key", "key[0]"] {
        Secured::new(keys().cookie_name(Some(name)));
    }
}

#[test]
fn no_key_at_all_is_a_mistake() {
    assert_eq!(
        errors(ApiKeyRequired::new()),
        ["routes.home.api_key_required.api_keys: expected at least one key, found none"]
    );
}

#[test]
fn a_key_that_was_made_here_is_named_by_its_id() {
    let (plain, hashed, other) = (
        IssuedKey::new().unwrap(),
        IssuedKey::new().unwrap(),
        IssuedKey::new().unwrap(),
    );
    let keys = ApiKeyRequired::new()
        .key(plain.key.clone(), ["read"])
        .key(hashed.digest.as_str(), ["read"]);
    let secured = Secured::new(keys);
    for issued in [&plain, &hashed] {
        let key = issued.key.expose();
        assert_eq!(secured.ask(&[("x-api-key", key)]).status(), 200);
        let event = format!("authentication_succeeded - {}", issued.id);
        assert_eq!(secured.last_event(), event);
        secured.log_hides(&[key]);
    }
    secured.refused(
        "/",
        &[("x-api-key", other.key.expose())],
        401,
        Some(INVALID),
    );
    assert_eq!(secured.last_event(), "authentication_failed unknown_key -");
    let mut mistyped = plain.key.expose().clone();
    let last = if mistyped.pop() == Some('a') {
        'b'
    } else {
        'a'
    };
    mistyped.push(last);
    secured.refused("/", &[("x-api-key", &mistyped)], 401, Some(INVALID));
    assert_eq!(secured.last_event(), "authentication_failed mistyped_key -");
    assert_eq!(
        errors(ApiKeyRequired::new().key(mistyped, ["read"])),
        ["routes.home.api_key_required.api_keys[0]: was typed wrong: its last letters do not fit"]
    );
}

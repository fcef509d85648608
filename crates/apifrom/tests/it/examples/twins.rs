//! The twins of the guide's blocks, held to what `tests/test_guide.py` holds the blocks to.

use std::process::{Command, Output};

use apifrom::security::CreateToken;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Answer, Client, Example, Folder, body, program};

const WEAK: &str = "your-secret-key";

fn token(secret: &str, claims: &str) -> String {
    CreateToken::new(secret, "HS256").sign(claims).unwrap()
}

fn bearer(secret: &str, claims: &str) -> String {
    format!("Authorization: Bearer {}\r\n", token(secret, claims))
}

fn timeless(claims: &str) -> String {
    let token = CreateToken::new(WEAK, "HS256").expires_delta(None);
    format!("Authorization: Bearer {}\r\n", token.sign(claims).unwrap())
}

fn basic(credentials: &str) -> String {
    let credentials = BASE64_STANDARD.encode(credentials);
    format!("Authorization: Basic {credentials}\r\n")
}

fn send(twin: &Example, line: &str, headers: &str) -> Answer {
    let mut client = Client::tcp(twin.address);
    client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    client.answer()
}

fn greets(twin: &Example, path: &str, headers: &str, message: &str) {
    let answer = send(twin, &format!("GET {path}"), headers);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(body(&answer), json!({"message": message}));
}

/// 401, and the challenges of it, in lower case as the rest of the head.
fn refuses(twin: &Example, path: &str, headers: &str) -> String {
    let answer = send(twin, &format!("GET {path}"), headers);
    assert_eq!(answer.status, 401, "{headers}: {}", answer.body);
    assert!(
        answer
            .head
            .contains("content-type: application/problem+json\r\n")
    );
    assert!(answer.head.contains("cache-control: no-store\r\n"));
    let challenges = answer.head.split("www-authenticate: ").skip(1);
    let challenges = challenges.map(|rest| rest.split("\r\n").next().unwrap());
    challenges.collect::<Vec<_>>().join(", ")
}

/// What ends by itself.
fn run(name: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(program(name))
        .env_remove("JWT_SECRET")
        .env_remove("JWT_ALGORITHM")
        .env("APIFROM_SECRETS_DIR", std::env::temp_dir().join("nothing"))
        .env("PORT", "0")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn the_jwt_twin_refuses_what_is_no_token_of_its_own() {
    let folder = Folder::new("jwt");
    let twin = Example::start("guide_01", &folder.0);
    let path = "/protected";
    let good = bearer(WEAK, r#"{"sub": "user123"}"#);
    greets(&twin, path, &good, "Hello, user user123!");
    // An audience is left unread, as the block says.
    let of_others = bearer(WEAK, r#"{"sub": "u", "aud": "others"}"#);
    greets(&twin, path, &of_others, "Hello, user u!");
    for forged in [
        bearer("another-secret-key", r#"{"sub": "user123"}"#),
        timeless(r#"{"sub": "user123"}"#),
        timeless(r#"{"sub": "user123", "exp": 1000000000}"#),
        bearer(WEAK, r#"{"sub": {"is": "no text"}}"#),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1c2VyMTIzIn0.\r\n"
            .to_owned(),
    ] {
        let challenge = refuses(&twin, path, &forged);
        assert!(challenge.starts_with("bearer "), "{challenge}");
        assert!(challenge.contains(r#"error="invalid_token""#), "{forged}");
    }
    for absent in ["", &basic("user1:password1")] {
        assert_eq!(refuses(&twin, path, absent), r#"bearer realm="api""#);
    }
    twin.stop();
}

#[test]
fn the_token_twin_prints_a_token_that_the_jwt_twin_takes() {
    let printed = run("guide_02", &[]);
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let token = printed.trim().strip_prefix("JWT Token: ").unwrap();
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap())
        .map(|part| serde_json::from_slice(&part).unwrap())
        .collect();
    assert_eq!(parts[0], json!({"alg": "HS256", "typ": "JWT"}));
    let claims = &parts[1];
    let number = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(number("exp") - number("iat"), 3600);
    assert_eq!(
        (&claims["sub"], &claims["role"]),
        (&json!("user123"), &json!("admin"))
    );

    let folder = Folder::new("token");
    let twin = Example::start("guide_01", &folder.0);
    let headers = format!("Authorization: Bearer {token}\r\n");
    greets(&twin, "/protected", &headers, "Hello, user user123!");
    twin.stop();
}

#[test]
fn the_api_key_twin_lets_its_keys_in_and_nobody_else() {
    let folder = Folder::new("api-key");
    let twin = Example::start("guide_03", &folder.0);
    let path = "/api-key-protected";
    for key in ["api-key-1", "api-key-2"] {
        let headers = format!("X-API-Key: {key}\r\n");
        greets(&twin, path, &headers, &format!("Hello, API key {key}!"));
    }
    for headers in [
        "",
        "X-API-Key: api-key-3\r\n",
        "Authorization: Bearer api-key-1\r\n",
        "Cookie: X-API-Key=api-key-1\r\n",
    ] {
        let challenge = refuses(&twin, path, headers);
        assert!(challenge.starts_with("apikey realm="), "{challenge}");
    }
    refuses(&twin, &format!("{path}?X-API-Key=api-key-1"), "");
    assert!(!twin.log.lock().unwrap().contains("api-key-3"));
    twin.stop();
}

#[test]
fn the_basic_twin_lets_its_users_in_and_nobody_else() {
    let folder = Folder::new("basic");
    let twin = Example::start("guide_04", &folder.0);
    let path = "/basic-auth-protected";
    greets(&twin, path, &basic("user1:password1"), "Hello, user1!");
    greets(&twin, path, &basic("user2:password2"), "Hello, user2!");
    for headers in [
        String::new(),
        basic("user1:password2"),
        basic("user3:password1"),
        "Authorization: Basic !\r\n".to_owned(),
        "Authorization: Bearer x\r\n".to_owned(),
    ] {
        let challenge = refuses(&twin, path, &headers);
        assert_eq!(challenge, r#"basic realm="my api", charset="utf-8""#);
    }
    twin.stop();
}

#[test]
fn the_oauth2_twin_starts_without_a_network_and_lets_nobody_in_unproved() {
    let folder = Folder::new("oauth2");
    let twin = Example::start("guide_05", &folder.0);
    for headers in ["", &basic("user1:password1")] {
        let challenge = refuses(&twin, "/oauth2-protected", headers);
        assert_eq!(challenge, r#"bearer realm="api""#);
    }
    twin.stop();
}

#[test]
fn the_multi_twin_takes_either_and_says_which() {
    let folder = Folder::new("multi");
    let twin = Example::start("guide_06", &folder.0);
    let path = "/multi-auth-protected";
    let good = bearer(WEAK, r#"{"sub": "user123"}"#);
    let key = "X-API-Key: api-key-1\r\n";
    greets(&twin, path, &good, "Hello, JWT user user123!");
    greets(&twin, path, key, "Hello, API key api-key-1!");
    // The first that passes is taken; one that fails does not stop the next.
    greets(
        &twin,
        path,
        &format!("{good}{key}"),
        "Hello, JWT user user123!",
    );
    let forged = bearer("another-secret-key", r#"{"sub": "user123"}"#);
    greets(
        &twin,
        path,
        &format!("{forged}{key}"),
        "Hello, API key api-key-1!",
    );
    for headers in ["", &*forged, "X-API-Key: api-key-2\r\n"] {
        let challenges = refuses(&twin, path, headers);
        assert!(challenges.starts_with("bearer "), "{challenges}");
        assert!(challenges.contains("apikey realm="), "{challenges}");
    }
    twin.stop();
}

#[test]
fn the_cors_twin_lets_its_origins_read_and_nobody_else() {
    let folder = Folder::new("cors");
    let twin = Example::start("guide_07", &folder.0);
    let reader = "access-control-allow-origin: ";
    for origin in ["https://example.com", "https://app.example.com"] {
        let asked = format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\n\
             Access-Control-Request-Headers: authorization,content-type,x-custom-header\r\n"
        );
        let head = send(&twin, "OPTIONS /ping", &asked).head;
        for line in [
            &format!("{reader}{origin}\r\n"),
            "access-control-allow-credentials: true\r\n",
            "access-control-max-age: 3600\r\n",
        ] {
            assert!(head.contains(line), "{head}");
        }
        let methods = head.split("access-control-allow-methods: ").nth(1).unwrap();
        assert!(methods.split("\r\n").next().unwrap().contains("put"));
    }
    let answer = send(&twin, "GET /ping", "Origin: https://example.com\r\n");
    assert_eq!(body(&answer), json!({"message": "pong"}));
    for line in [
        "access-control-allow-origin: https://example.com\r\n",
        "access-control-expose-headers: x-ratelimit-limit, x-ratelimit-remaining\r\n",
    ] {
        assert!(answer.head.contains(line), "{}", answer.head);
    }
    for origin in ["https://evil.example", "https://a.example.com", "null"] {
        let answer = send(&twin, "GET /ping", &format!("Origin: {origin}\r\n"));
        assert!(!answer.head.contains(reader), "{}", answer.head);
    }
    // An answer to what failed may be read, too.
    let failed = send(&twin, "GET /boom", "Origin: https://example.com\r\n");
    assert_eq!(failed.status, 500);
    assert!(failed.head.contains(reader));
    twin.stop();
}

#[test]
fn the_security_headers_twin_sends_what_it_names_on_every_answer() {
    let folder = Folder::new("security-headers");
    let twin = Example::start("guide_09", &folder.0);
    for (path, status) in [("/ping", 200), ("/nowhere", 404), ("/boom", 500)] {
        let answer = send(&twin, &format!("GET {path}"), "");
        assert_eq!(answer.status, status);
        for line in [
            "content-security-policy: default-src 'self'; script-src 'self' \
             https://cdn.example.com; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             font-src 'self' https://fonts.googleapis.com; connect-src 'self' \
             https://api.example.com; object-src 'none'; frame-ancestors 'none'; \
             upgrade-insecure-requests; block-all-mixed-content\r\n",
            "x-content-type-options: nosniff\r\n",
            "x-frame-options: deny\r\n",
            "x-xss-protection: 1; mode=block\r\n",
            "referrer-policy: strict-origin-when-cross-origin\r\n",
            "permissions-policy: geolocation=(self), microphone=(), camera=(), payment=()\r\n",
        ] {
            assert!(answer.head.contains(line), "{line}{}", answer.head);
        }
        // In clear text browsers would ignore it (RFC 6797 §8.1).
        assert!(!answer.head.contains("strict-transport-security"));
    }
    twin.stop();
}

#[test]
fn the_rate_limit_twin_lets_a_hundred_pass_and_not_one_more() {
    let folder = Folder::new("rate-limit");
    let twin = Example::start("guide_10", &folder.0);
    for left in (0..100).rev() {
        let answer = send(&twin, "GET /ping", "");
        assert_eq!(answer.status, 200);
        for line in [
            "x-ratelimit-limit: 100\r\n",
            &format!("x-ratelimit-remaining: {left}\r\n"),
        ] {
            assert!(answer.head.contains(line), "{line}{}", answer.head);
        }
    }
    for line in ["GET /ping", "POST /ping", "GET /nowhere"] {
        let answer = send(&twin, line, "");
        assert_eq!(answer.status, 429, "{line}");
        let wait = answer.head.split("retry-after: ").nth(1).unwrap();
        let wait: u32 = wait.split("\r\n").next().unwrap().parse().unwrap();
        assert!((1..=62).contains(&wait), "{wait}");
    }
    twin.stop();
}

#[test]
fn the_secrets_twin_starts_only_with_its_secret() {
    let secret = "a secret of at least thirty-two bytes";
    for variables in [&[][..], &[("JWT_SECRET", "")]] {
        let ended = run("guide_14", variables);
        assert!(!ended.status.success());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("JWT_SECRET"), "{said}");
        assert!(!said.contains("listening on"), "{said}");
    }
    let unknown = [("JWT_SECRET", secret), ("JWT_ALGORITHM", "none")];
    let ended = run("guide_14", &unknown);
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("jwt_required.algorithm"), "{said}");
    assert!(!said.contains(secret), "{said}");

    let folder = Folder::new("secrets");
    let twin = Example::with("guide_14", &folder.0, &[("JWT_SECRET", secret)]);
    let good = bearer(secret, r#"{"sub": "u"}"#);
    greets(&twin, "/protected", &good, "Protected endpoint");
    refuses(&twin, "/protected", &bearer(WEAK, r#"{"sub": "u"}"#));
    refuses(&twin, "/protected", "");
    twin.stop();
}

#[test]
fn the_logging_twin_logs_its_own_line_and_the_refused_attempts() {
    let folder = Folder::new("logging");
    let twin = Example::start("guide_16", &folder.0);
    let good = token(WEAK, r#"{"sub": "user123"}"#);
    let two_lines = token(WEAK, r#"{"sub": "eve\nfake INFO line"}"#);
    let forged = token("another-secret-key", r#"{"sub": "user123"}"#);
    for token in [&good, &two_lines] {
        let headers = format!("Authorization: Bearer {token}\r\n");
        greets(&twin, "/protected", &headers, "Protected endpoint");
    }
    let headers = format!("Authorization: Bearer {forged}\r\n");
    refuses(&twin, "/protected", &headers);
    twin.logs("bad_signature");
    twin.stop();
    let log = std::fs::read_to_string(folder.0.join("security.log")).unwrap();
    for line in [
        "INFO security: Access to protected endpoint: user=user123, ip=127.0.0.1\n",
        r"user=eve\nfake INFO line, ip=127.0.0.1",
        "INFO apifrom.security: authentication_succeeded",
        "WARN apifrom.security: authentication_failed",
        "bad_signature",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(log.matches("configuration_weak ").count(), 1, "{log}");
    for part in [&good, &two_lines, &forged]
        .iter()
        .flat_map(|token| token.split('.'))
    {
        assert!(!log.contains(part), "{log}");
    }
    assert!(!log.contains(WEAK));
}

#[test]
fn the_access_control_twin_knows_its_roles() {
    let folder = Folder::new("roles");
    let twin = Example::start("guide_17", &folder.0);
    for (claims, status) in [
        (r#"{"sub": "u", "roles": ["admin"]}"#, 200),
        (r#"{"sub": "u", "roles": ["user", "admin"]}"#, 200),
        (r#"{"sub": "u", "roles": ["user"]}"#, 403),
        (r#"{"sub": "u", "roles": ["Admin"]}"#, 403),
        (r#"{"sub": "u", "roles": []}"#, 403),
        (r#"{"sub": "u"}"#, 403),
    ] {
        let answer = send(&twin, "GET /admin", &bearer(WEAK, claims));
        assert_eq!(answer.status, status, "{claims}");
        let expected = match status {
            200 => json!({"message": "Admin endpoint"}),
            _ => json!({"error": "Forbidden"}),
        };
        assert_eq!(body(&answer), expected);
    }
    refuses(&twin, "/admin", "");
    refuses(&twin, "/admin", &bearer(WEAK, r#"{"roles": "admin"}"#));
    twin.stop();
}

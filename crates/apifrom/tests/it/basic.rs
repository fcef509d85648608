//! Basic authentication, as users and programs meet it.

use std::net::SocketAddr;
use std::time::Duration;

use apifrom::Peer;
use apifrom::security::{BasicAuthRequired, hash_password};
use apifrom::testing::TestClient;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::secured::{Secured, api, errors};

const CHALLENGE: &str = r#"Basic realm="My API", charset="UTF-8""#;

fn users() -> BasicAuthRequired {
    BasicAuthRequired::new()
        .credentials([("user1", "password1"), ("zoë", "p:ä:ss")])
        .realm("My API")
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

#[test]
fn a_user_with_the_right_password_is_let_in() {
    let secured = Secured::new(users());
    for (user, password) in [("user1", "password1"), ("zoë", "p:ä:ss")] {
        let found = format!("username={user}//-/ambient;");
        secured.accepted("/", &[("authorization", &basic(user, password))], &found);
        assert_eq!(
            secured.last_event(),
            format!("authentication_succeeded - {user}")
        );
    }
    let lower = basic("user1", "password1").replace("Basic ", "bASIC   ");
    assert_eq!(secured.ask(&[("authorization", &lower)]).status(), 200);
    secured.log_hides(&["password1", "dXNlcjE6"]);
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_alike() {
    let secured = Secured::new(users());
    for (user, password) in [
        ("user1", "password2"),
        ("user1", "password"),
        ("user1", "password11"),
        ("user1", ""),
        ("user1", "Password1"),
        ("user2", "password1"),
        ("", "password1"),
        ("USER1", "password1"),
        ("zoë", "p"),
    ] {
        secured.clock.advance(Duration::from_mins(6));
        secured.refused(
            "/",
            &[("authorization", &basic(user, password))],
            401,
            Some(CHALLENGE),
        );
        assert_eq!(
            secured.last_event(),
            "authentication_failed wrong_password -"
        );
    }
    secured.log_hides(&["user1", "user2", "password1", "zoë"]);
}

#[test]
fn what_is_no_basic_credential_is_refused() {
    let secured = Secured::new(users());
    secured.refused("/", &[], 401, Some(CHALLENGE));
    assert_eq!(secured.last_event(), "authentication_failed absent -");
    secured.refused(
        "/",
        &[("authorization", "Bearer abc")],
        401,
        Some(CHALLENGE),
    );
    assert_eq!(secured.last_event(), "authentication_failed absent -");
    let encode = |bytes: &[u8]| format!("Basic {}", BASE64_STANDARD.encode(bytes));
    let good = basic("user1", "password1");
    let without_padding = encode(b"user1:password").trim_end_matches('=').to_owned();
    for wrong in [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !".to_owned(),
        format!("{good} x"),
        format!("{good},{good}"),
        format!("{good}="),
        without_padding,
        good.replace("dXNl", "dXN-"),
        encode(b"user1"),
        encode(b"user1:pass\0word1"),
        encode(b"us\ner1:password1"),
        encode(b"user1:\xff"),
        encode(format!("user1:{}", "x".repeat(1025)).as_bytes()),
        encode(format!("{}:x", "x".repeat(257)).as_bytes()),
        encode(&[b'x'; 4000]),
    ] {
        secured.refused("/", &[("authorization", &wrong)], 401, Some(CHALLENGE));
        assert_eq!(
            secured.last_event(),
            "authentication_failed malformed -",
            "{wrong}"
        );
    }
    let twice = [("authorization", good.as_str()), ("authorization", &good)];
    secured.refused("/", &twice, 400, Some(CHALLENGE));
    secured.refused(
        &format!("/?authorization={good}").replace(' ', "%20"),
        &[],
        401,
        Some(CHALLENGE),
    );
}

#[test]
fn hashed_passwords_are_compared_and_then_known_for_a_minute() {
    let hash = hash_password("correct horse").unwrap();
    let other = bcrypt::hash("battery staple", 4).unwrap();
    let secured = Secured::new(
        BasicAuthRequired::new()
            .user("ada", hash)
            .user("bob", other),
    );
    let ada = basic("ada", "correct horse");
    for _ in 0..3 {
        assert_eq!(secured.ask(&[("authorization", &ada)]).status(), 200);
    }
    assert_eq!(
        secured
            .ask(&[("authorization", &basic("bob", "battery staple"))])
            .status(),
        200
    );
    let challenge = r#"Basic realm="api", charset="UTF-8""#;
    for (user, password) in [
        ("ada", "battery staple"),
        ("bob", "correct horse"),
        ("mallory", "correct horse"),
        ("bob", "x".repeat(73).as_str()),
    ] {
        secured.refused(
            "/",
            &[("authorization", &basic(user, password))],
            401,
            Some(challenge),
        );
    }
    secured.clock.advance(Duration::from_mins(2));
    assert_eq!(secured.ask(&[("authorization", &ada)]).status(), 200);
    secured.log_hides(&["correct horse", "battery", "argon2", "mallory"]);
}

#[test]
fn who_failed_too_often_is_held_back_and_a_known_login_is_not() {
    let secured = Secured::new(users());
    let right = basic("user1", "password1");
    let zoe = basic("zoë", "p:ä:ss");
    assert_eq!(secured.ask(&[("authorization", &right)]).status(), 200);
    for number in 0..10 {
        let wrong = basic("user1", &format!("guess {number}"));
        secured.refused("/", &[("authorization", &wrong)], 401, Some(CHALLENGE));
    }
    let wrong = basic("user1", "guess 11");
    secured.refused("/", &[("authorization", &wrong)], 429, None);
    assert_eq!(secured.last_event(), "authentication_failed held_back -");
    let held = secured.ask(&[("authorization", &wrong)]);
    assert_eq!(held.header("retry-after"), Some("300"));
    // The one that was proved before goes on, and so does another user from the same place.
    assert_eq!(secured.ask(&[("authorization", &right)]).status(), 200);
    assert_eq!(secured.ask(&[("authorization", &zoe)]).status(), 200);
    // Once it is no longer known, the right password is not tried either.
    secured.clock.advance(Duration::from_secs(61));
    assert_eq!(secured.ask(&[("authorization", &right)]).status(), 429);
    secured.clock.advance(Duration::from_mins(4));
    assert_eq!(secured.ask(&[("authorization", &right)]).status(), 200);
}

#[test]
fn another_address_is_not_held_back() {
    let engine = api(users(), &std::sync::Arc::default()).build().unwrap();
    let at = |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        TestClient::from_peer(engine.clone(), Peer::ip(address, false))
    };
    let status = |client: &TestClient, password: &str| {
        let request = client
            .get("/")
            .header("authorization", basic("user1", password));
        request.send().unwrap().status().as_u16()
    };
    let (here, there) = (at("192.0.2.1:1"), at("192.0.2.2:1"));
    for _ in 0..10 {
        assert_eq!(status(&here, "guess"), 401);
    }
    assert_eq!(status(&here, "password1"), 429);
    assert_eq!(status(&there, "password1"), 200);
}

#[test]
fn what_is_wrong_with_a_declaration_is_said_at_once_and_shows_no_password() {
    let wrong = BasicAuthRequired::new()
        .user("", "hunter2")
        .user("a:b", "hunter2")
        .user("a\n", "hunter2")
        .user("ada", "")
        .user("ada", "hunter2")
        .user("ada", "hunter2")
        .user("bob", "$6$salt$hunter2")
        .user("mallory", "$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A")
        .user("dan", "x".repeat(1025))
        .realm("a\r\nb")
        .name("a b");
    let errors = errors(wrong);
    for field in [
        "credentials[0]: expected a user",
        "credentials[1]: expected a user",
        "credentials[2]: expected a user",
        "credentials[3]: expected a password, found none",
        "credentials[5]: is there twice",
        "credentials[6]: expected an Argon2id",
        "credentials[7]: its parameters",
        "credentials[8]: expected a password of at most",
        "realm: expected printable ASCII",
        "name: expected letters",
    ] {
        let expected = format!("routes.home.basic_auth_required.{field}");
        assert!(
            errors.iter().any(|error| error.starts_with(&expected)),
            "{field}: {errors:?}"
        );
    }
    assert!(!format!("{errors:?} {:?}", users()).contains("hunter2"));
    assert!(!format!("{:?}", users()).contains("password1"));
    assert_eq!(
        super::secured::errors(BasicAuthRequired::new()),
        ["routes.home.basic_auth_required.credentials: expected at least one user, found none"]
    );
}

#[test]
fn many_log_ins_at_once_are_all_judged() {
    let hash = hash_password("correct horse").unwrap();
    let secured = Secured::new(BasicAuthRequired::new().user("ada", hash));
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let statuses: Vec<u16> = runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..20 {
            let password = if number % 2 == 0 {
                "correct horse"
            } else {
                "guess"
            };
            let client = secured.client.clone();
            asked.spawn(async move {
                let request = client
                    .get("/")
                    .header("authorization", basic("ada", password));
                request.await.unwrap().status().as_u16()
            });
        }
        asked.join_all().await
    });
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(count(200), 10, "{statuses:?}");
    assert_eq!(count(401) + count(429), 10, "{statuses:?}");
}

/// What `count` log-ins at once are answered, each with the password that `password` says.
fn at_once(secured: &Secured, count: u32, password: impl Fn(u32) -> String) -> Vec<u16> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..count {
            let client = secured.client.clone();
            let sent = basic("ada", &password(number));
            asked.spawn(async move {
                let request = client.get("/").header("authorization", sent);
                request.await.unwrap().status().as_u16()
            });
        }
        asked.join_all().await
    })
}

#[test]
fn guesses_at_once_are_no_more_than_guesses_one_after_another() {
    let hash = hash_password("guess 59").unwrap();
    let secured = Secured::new(BasicAuthRequired::new().user("ada", hash));
    let statuses = at_once(&secured, 60, |number| format!("guess {}", number % 59));
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert!((10..=11).contains(&count(401)), "{statuses:?}");
    assert_eq!(count(401) + count(429), 60, "{statuses:?}");
    secured.refused(
        "/",
        &[("authorization", &basic("ada", "guess 59"))],
        429,
        None,
    );
}

#[test]
fn one_log_in_that_is_sent_many_times_at_once_is_let_in_each_time() {
    let hash = hash_password("correct horse").unwrap();
    let secured = Secured::new(BasicAuthRequired::new().user("ada", hash));
    let statuses = at_once(&secured, 60, |_| "correct horse".to_owned());
    assert_eq!(statuses, [200; 60]);
}

#[test]
fn a_log_in_goes_on_when_whoever_sent_it_first_has_gone() {
    let hash = hash_password("correct horse").unwrap();
    let secured = Secured::new(BasicAuthRequired::new().user("ada", hash));
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let statuses = runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        let ask = || {
            let request = secured.client.get("/");
            let request = request.header("authorization", basic("ada", "correct horse"));
            async move { request.await.unwrap().status().as_u16() }
        };
        // More than are compared at once, so that some are given up before they are.
        for _ in 0..5 {
            let first = tokio::spawn(ask());
            tokio::task::yield_now().await;
            asked.spawn(ask());
            first.abort();
        }
        asked.join_all().await
    });
    assert_eq!(statuses, [200; 5]);
}

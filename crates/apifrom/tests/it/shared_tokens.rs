//! What one process was told about access tokens, kept in a real Redis server for the others.

use std::time::{Duration, Instant};

use redis::Commands as _;

use super::authorization_server::Server;
use super::oauth2::{ACTIVE, asks, declared};
use super::redis::Server as Redis;
use super::secured::{START, Secured, errors};

/// A process of its own, as far as the stores know.
fn process(server: &Server, redis: &Redis) -> Secured {
    with(server, redis, |tokens| tokens)
}

fn with(
    server: &Server,
    redis: &Redis,
    change: impl FnOnce(apifrom::security::OAuth2Required) -> apifrom::security::OAuth2Required,
) -> Secured {
    let tokens = declared(server)
        .introspection_url(server.url("/introspect"))
        .redis(redis.url());
    Secured::new(change(tokens))
}

fn entries(redis: &Redis) -> Vec<Vec<u8>> {
    let mut connection = redis.connection().unwrap();
    connection.keys("*").unwrap()
}

/// Waits until so many tokens are kept there: whoever asked is answered first.
fn await_entries(redis: &Redis, count: usize) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let found = entries(redis);
        if found.len() == count {
            return found;
        }
        assert!(Instant::now() < deadline, "{} entries", found.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_one_process_was_told_the_others_know() {
    let (server, redis) = (Server::start(), Redis::start());
    server.says("/introspect", ACTIVE);
    let first = process(&server, &redis);
    assert_eq!(asks(&first, "opaque-1"), 200);
    let found = await_entries(&redis, 1);
    let second = process(&server, &redis);
    second.accepted(
        "/",
        &[("authorization", "Bearer opaque-1")],
        "oauth2_token=ada/read/opaque-1/sent;",
    );
    assert_eq!(server.times("/introspect"), 1);
    assert_eq!(asks(&second, "opaque-2"), 200);
    assert_eq!(server.times("/introspect"), 2);

    let mut connection = redis.connection().unwrap();
    let value: Vec<u8> = connection.get(&found[0]).unwrap();
    let live_for: i64 = connection.pttl(&found[0]).unwrap();
    assert!((1..=60_000).contains(&live_for), "{live_for}");
    let stored = [&found[0][..], &value].concat();
    let stored = String::from_utf8_lossy(&stored);
    for hidden in ["opaque", "ada", "active", "secret"] {
        assert!(!stored.contains(hidden), "{hidden} in {stored}");
    }
    second.log_hides(&["opaque-1", "a-password-of-the-tests"]);
}

#[test]
fn what_is_kept_ends_by_the_clock_of_who_reads_it_and_with_the_token() {
    let (server, redis) = (Server::start(), Redis::start());
    let expires = START.as_secs() + 30;
    server.says(
        "/introspect",
        &format!(r#"{{"active":true,"scope":"read","exp":{expires}}}"#),
    );
    let first = process(&server, &redis);
    assert_eq!(asks(&first, "opaque"), 200);
    await_entries(&redis, 1);
    let hasty = with(&server, &redis, |tokens| {
        tokens.cache_ttl(Duration::from_secs(5))
    });
    hasty.clock.advance(Duration::from_millis(4_999));
    assert_eq!(asks(&hasty, "opaque"), 200);
    assert_eq!(server.times("/introspect"), 1);
    hasty.clock.advance(Duration::from_millis(1));
    assert_eq!(asks(&hasty, "opaque"), 200);
    assert_eq!(server.times("/introspect"), 2, "it was known for too long");

    // The other one asked five seconds later, and what it was told is newer.
    let late = process(&server, &redis);
    late.clock.advance(Duration::from_millis(29_999));
    assert_eq!(asks(&late, "opaque"), 200);
    assert_eq!(server.times("/introspect"), 2);
    late.clock.advance(Duration::from_millis(1));
    assert_eq!(asks(&late, "opaque"), 401, "the token has expired");
    assert_eq!(server.times("/introspect"), 3);

    // A clock that is far behind believes nothing of what is to come.
    let early = process(&server, &redis);
    early
        .clock
        .set(START.checked_sub(Duration::from_mins(2)).unwrap());
    assert_eq!(asks(&early, "opaque"), 200);
    assert_eq!(server.times("/introspect"), 4);
}

#[test]
fn what_others_write_there_makes_no_token_good() {
    let (server, redis) = (Server::start(), Redis::start());
    server.says("/introspect", ACTIVE);
    let first = process(&server, &redis);
    assert_eq!(asks(&first, "good"), 200);
    let good = await_entries(&redis, 1).remove(0);
    let mut connection = redis.connection().unwrap();
    let sealed: Vec<u8> = connection.get(&good).unwrap();

    // What was said of one token is moved to another, whose name is learnt by letting it be asked about.
    assert_eq!(asks(&first, "other"), 200);
    let other = await_entries(&redis, 2);
    let other = other.iter().find(|name| **name != good).unwrap();
    server.says("/introspect", r#"{"active":false}"#);
    for forged in [&sealed[..], br#"{"active":true,"scope":"read"}"#, b"", b"x"] {
        let () = connection.set(other, forged).unwrap();
        let fresh = process(&server, &redis);
        assert_eq!(asks(&fresh, "other"), 401);
        assert_eq!(fresh.last_event(), "authentication_failed inactive -");
    }
    // A value of another type is an answer that is none.
    let () = connection.del(other).unwrap();
    let () = connection.lpush(other, "x").unwrap();
    assert_eq!(asks(&process(&server, &redis), "other"), 401);

    // Another secret, another client, another server and another audience find nothing of it.
    let before = server.times("/introspect");
    let strangers = [
        with(&server, &redis, |tokens| tokens.client_secret("another")),
        with(&server, &redis, |tokens| {
            tokens.client_id("another").audience("my-api")
        }),
    ];
    for stranger in &strangers {
        assert_eq!(asks(stranger, "good"), 401);
    }
    assert_eq!(server.times("/introspect"), before + 2);
    let demanding = with(&server, &redis, |tokens| tokens.audience("another-api"));
    assert_eq!(asks(&demanding, "good"), 401, "an audience is judged anew");
}

#[test]
fn only_what_is_good_is_kept_for_others() {
    let (server, redis) = (Server::start(), Redis::start());
    let process = process(&server, &redis);
    server.says("/introspect", r#"{"active":false}"#);
    assert_eq!(asks(&process, "inactive"), 401);
    let long = format!(
        r#"{{"active":true,"scope":"read","more":"{}"}}"#,
        "x".repeat(20_000)
    );
    server.says("/introspect", &long);
    assert_eq!(asks(&process, "long"), 200);
    server.is_down(true);
    assert_eq!(asks(&process, "unasked"), 503);
    server.is_down(false);
    server.says("/introspect", ACTIVE);
    assert_eq!(asks(&process, "good"), 200);
    await_entries(&redis, 1);
}

#[test]
fn without_its_store_each_process_asks_by_itself() {
    let (server, mut redis) = (Server::start(), Redis::start());
    server.says("/introspect", ACTIVE);
    let (first, second) = (process(&server, &redis), process(&server, &redis));
    assert_eq!(asks(&first, "one"), 200);
    await_entries(&redis, 1);
    redis.kill();
    for process in [&first, &second] {
        for token in ["two", "three", "four"] {
            assert_eq!(asks(process, token), 200);
        }
    }
    assert_eq!(server.times("/introspect"), 7);
    assert_eq!(first.events("store_unavailable").len(), 1);
    assert_eq!(second.events("store_unavailable").len(), 1);
    let said = &second.events("store_unavailable")[0];
    assert!(said.contains("found out again"), "{said}");
    redis.restart();
    let deadline = Instant::now() + Duration::from_secs(5);
    while second.events("store_recovered").is_empty() {
        assert!(Instant::now() < deadline, "it is not found again");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(asks(&second, "five"), 200);
    await_entries(&redis, 1);

    // One that is not there at the start keeps nobody out.
    redis.kill();
    let alone = process(&server, &redis);
    assert_eq!(asks(&alone, "six"), 200);
    assert_eq!(alone.events("store_unavailable").len(), 1);
    alone.log_hides(&["a-password-of-the-tests"]);
}

#[test]
fn mistakes_about_the_store_are_errors_at_the_start() {
    let server = Server::start();
    for (url, field) in [
        ("localhost:6379", "redis_url: expected an address"),
        ("http://localhost", "redis_url: expected an address"),
        (
            "redis://user:hunter2@local host",
            "redis_url: expected an address",
        ),
    ] {
        let found = errors(declared(&server).redis(url));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(field), "{found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
    let idle = declared(&server)
        .redis("redis://127.0.0.1:1/0")
        .cache_ttl(Duration::ZERO);
    let found = errors(idle);
    assert!(found[0].contains("cache_ttl is 0"), "{found:?}");
}

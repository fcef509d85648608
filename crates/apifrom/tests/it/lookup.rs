//! API keys and users that a program's own store knows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use apifrom::security::{
    ApiKeyRequired, BasicAuthRequired, IssuedKey, KeyDigest, KeyLookup, KeyRecord, LookedUp,
    LookupError, UserLookup, hash_password,
};
use apifrom::testing::TestClient;
use apifrom::{Api, Protection, Secret, api, api_key_required, endpoints};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::secured::{START, Secured, errors};

const CHALLENGE: &str = r#"ApiKey realm="api", in="header", name="X-API-Key""#;
const INVALID: &str = r#"ApiKey realm="api", in="header", name="X-API-Key", error="invalid_token""#;
const BASIC: &str = r#"Basic realm="api", charset="UTF-8""#;

/// What a store does when it is asked.
#[derive(Clone)]
enum Said<T> {
    Stored(T),
    Error(LookupError),
    Panic,
    PanicAtOnce,
    Never,
}

/// A store that counts how often it is asked.
struct Store<T> {
    rows: Mutex<BTreeMap<String, Said<T>>>,
    asked: AtomicUsize,
    delay: Duration,
}

impl<T: Clone + Send + 'static> Store<T> {
    fn new<const N: usize>(rows: [(String, Said<T>); N]) -> Arc<Self> {
        Self::slow(Duration::ZERO, rows)
    }

    fn slow<const N: usize>(delay: Duration, rows: [(String, Said<T>); N]) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(rows.into()),
            asked: AtomicUsize::new(0),
            delay,
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn set(&self, name: String, said: Option<Said<T>>) {
        let mut rows = self.rows.lock().unwrap();
        match said {
            Some(said) => rows.insert(name, said),
            None => rows.remove(&name),
        };
    }

    fn ask(&self, name: &str) -> LookedUp<T> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let said = self.rows.lock().unwrap().get(name).cloned();
        let delay = self.delay;
        assert!(
            !matches!(said, Some(Said::PanicAtOnce)),
            "broken as it begins"
        );
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            match said {
                None => Ok(None),
                Some(Said::Stored(stored)) => Ok(Some(stored)),
                Some(Said::Error(error)) => Err(error),
                Some(Said::Panic | Said::PanicAtOnce) => panic!("broken"),
                Some(Said::Never) => std::future::pending().await,
            }
        })
    }
}

struct Keys(Arc<Store<KeyRecord>>);

impl KeyLookup for Keys {
    fn look_up(&self, digest: KeyDigest) -> LookedUp<KeyRecord> {
        self.0.ask(&digest.to_string())
    }
}

struct Users(Arc<Store<Secret<String>>>);

impl UserLookup for Users {
    fn look_up(&self, user: &str) -> LookedUp<Secret<String>> {
        self.0.ask(user)
    }
}

fn digest(key: &str) -> String {
    KeyDigest::of(key).to_string()
}

fn record() -> KeyRecord {
    KeyRecord::new("reports").scopes(["read"])
}

fn keys(store: &Arc<Store<KeyRecord>>) -> ApiKeyRequired {
    ApiKeyRequired::new().lookup(Keys(Arc::clone(store)))
}

fn users(store: &Arc<Store<Secret<String>>>) -> BasicAuthRequired {
    BasicAuthRequired::new().lookup(Users(Arc::clone(store)))
}

fn hashed(password: &str) -> Said<Secret<String>> {
    Said::Stored(Secret::from(hash_password(password).unwrap()))
}

fn basic(user: &str, password: &str) -> String {
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

/// Refused with 503, `Retry-After`, this reason, and no call of the handler.
fn unavailable(secured: &Secured, headers: &[(&str, &str)], reason: &str) {
    secured.refused("/", headers, 503, None);
    assert_eq!(
        secured.last_event(),
        format!("authentication_unavailable {reason} -")
    );
    assert_eq!(secured.ask(headers).header("retry-after"), Some("5"));
}

#[test]
fn a_key_that_the_store_knows_is_let_in_with_the_scopes_of_its_record() {
    let store = Store::new([(digest("the first key"), Said::Stored(record()))]);
    let secured = Secured::new(keys(&store).scopes(["read"]));
    secured.accepted(
        "/",
        &[("x-api-key", "the first key")],
        "api_key=reports/read/the first key/sent;",
    );
    assert_eq!(secured.last_event(), "authentication_succeeded - reports");
    secured.refused("/", &[("x-api-key", "the second key")], 401, Some(INVALID));
    assert_eq!(secured.last_event(), "authentication_failed unknown_key -");
    secured.refused("/", &[], 401, Some(CHALLENGE));
    assert_eq!(store.asked(), 2);
    secured.log_hides(&["the first key", "the second key", &digest("the first key")]);
}

#[test]
fn a_closure_is_a_look_up() {
    let secured = Secured::new(
        ApiKeyRequired::new().lookup(|digest: KeyDigest| async move {
            let is_known = digest == KeyDigest::of("k1");
            Ok::<_, LookupError>(is_known.then(record))
        }),
    );
    assert_eq!(secured.ask(&[("x-api-key", "k1")]).status(), 200);
    assert_eq!(secured.ask(&[("x-api-key", "k2")]).status(), 401);
}

async fn find(digest: KeyDigest) -> Result<Option<KeyRecord>, LookupError> {
    Ok((digest == KeyDigest::of("k1")).then(record))
}

#[api_key_required(lookup = find, cache_ttl = 5, scopes = ["read"])]
#[api(route = "/attribute", method = "GET")]
fn behind_an_attribute() -> &'static str {
    "answered"
}

#[test]
fn an_attribute_takes_a_look_up() {
    let api = Api::new().endpoints(endpoints![behind_an_attribute]);
    let client = TestClient::new(api.build().unwrap());
    for (key, status) in [("k1", 200), ("k2", 401)] {
        let asked = client.get("/attribute").header("x-api-key", key);
        assert_eq!(asked.send().unwrap().status(), status);
    }
}

#[test]
fn a_key_without_a_required_scope_is_refused() {
    let store = Store::new([(digest("k1"), Said::Stored(record()))]);
    let secured = Secured::new(keys(&store).scopes(["write"]));
    for _ in 0..2 {
        let lacking = r#"ApiKey realm="api", in="header", name="X-API-Key", error="insufficient_scope", scope="write""#;
        secured.refused("/", &[("x-api-key", "k1")], 403, Some(lacking));
        assert_eq!(
            secured.last_event(),
            "authorization_denied insufficient_scope reports"
        );
    }
    assert_eq!(store.asked(), 1);
}

#[test]
fn what_is_declared_is_asked_before_the_store() {
    let store = Store::new([(digest("k1"), Said::Stored(record()))]);
    let secured = Secured::new(keys(&store).key("own", ["write"]));
    assert_eq!(secured.ask(&[("x-api-key", "own")]).status(), 200);
    assert_eq!(store.asked(), 0);
    assert_eq!(secured.ask(&[("x-api-key", "k1")]).status(), 200);
    assert_eq!(store.asked(), 1);
}

#[test]
fn a_key_expires_to_the_second_also_while_it_is_known() {
    let expiring = record().expires(START + Duration::from_secs(10));
    let store = Store::new([(digest("k1"), Said::Stored(expiring))]);
    let secured = Secured::new(keys(&store));
    let sent = [("x-api-key", "k1")];
    assert_eq!(secured.ask(&sent).status(), 200);
    secured.clock.advance(Duration::from_millis(9_999));
    assert_eq!(secured.ask(&sent).status(), 200);
    secured.clock.advance(Duration::from_millis(1));
    secured.refused("/", &sent, 401, Some(INVALID));
    assert_eq!(
        secured.last_event(),
        "authentication_failed expired_key reports"
    );
    assert_eq!(store.asked(), 1);
}

#[test]
fn an_answer_is_known_for_as_long_as_declared_whatever_it_says() {
    let store = Store::new([(digest("k1"), Said::Stored(record()))]);
    let secured = Secured::new(keys(&store).cache_ttl(Duration::from_secs(20)));
    let status = |key| secured.ask(&[("x-api-key", key)]).status().as_u16();
    assert_eq!((status("k1"), status("k2")), (200, 401));
    store.set(digest("k1"), None);
    store.set(digest("k2"), Some(Said::Stored(record())));
    secured.clock.advance(Duration::from_millis(19_999));
    assert_eq!((status("k1"), status("k2")), (200, 401));
    assert_eq!(store.asked(), 2);
    secured.clock.advance(Duration::from_millis(1));
    assert_eq!((status("k1"), status("k2")), (401, 200));
    assert_eq!(store.asked(), 4);
}

#[test]
fn a_clock_that_is_put_back_keeps_nothing_known() {
    let store = Store::new([(digest("k1"), Said::Stored(record()))]);
    let secured = Secured::new(keys(&store));
    assert_eq!(secured.ask(&[("x-api-key", "k1")]).status(), 200);
    secured.clock.set(START / 2);
    assert_eq!(secured.ask(&[("x-api-key", "k1")]).status(), 200);
    assert_eq!(store.asked(), 2);
}

#[test]
fn the_store_is_asked_each_time_where_nothing_is_to_be_kept() {
    let store = Store::new([(digest("k1"), Said::Stored(record()))]);
    let secured = Secured::new(keys(&store).cache_ttl(Duration::ZERO));
    for key in ["k1", "k1", "k2", "k2"] {
        secured.ask(&[("x-api-key", key)]);
    }
    assert_eq!(store.asked(), 4);
}

#[test]
fn a_store_that_cannot_answer_is_503_and_asked_anew_next_time() {
    let store = Store::new([
        (digest("failing"), Said::Error(LookupError::Failed)),
        (digest("wrong"), Said::Error(LookupError::Invalid)),
        (digest("busy"), Said::Error(LookupError::Busy)),
        (digest("panics"), Said::Panic),
        (digest("panics at once"), Said::PanicAtOnce),
        (
            digest("no id"),
            Said::Stored(KeyRecord::new("").scopes(["read"])),
        ),
        (digest("torn id"), Said::Stored(KeyRecord::new("a\nb"))),
        (
            digest("two in one"),
            Said::Stored(KeyRecord::new("a").scopes(["read write"])),
        ),
    ]);
    let secured = Secured::new(keys(&store));
    for (key, reason) in [
        ("failing", "lookup_failed"),
        ("wrong", "lookup_invalid"),
        ("busy", "lookup_busy"),
        ("panics", "lookup_failed"),
        ("panics at once", "lookup_failed"),
        ("no id", "lookup_invalid"),
        ("torn id", "lookup_invalid"),
        ("two in one", "lookup_invalid"),
    ] {
        let before = store.asked();
        unavailable(&secured, &[("x-api-key", key)], reason);
        assert_eq!(store.asked(), before + 2, "{key}");
    }
    store.set(digest("failing"), Some(Said::Stored(record())));
    assert_eq!(secured.ask(&[("x-api-key", "failing")]).status(), 200);
}

#[test]
fn a_store_that_does_not_answer_in_time_is_503() {
    let store = Store::new([(digest("k1"), Said::Never)]);
    let secured = Secured::new(keys(&store));
    secured.refused("/", &[("x-api-key", "k1")], 503, None);
    assert_eq!(
        secured.last_event(),
        "authentication_unavailable lookup_timed_out -"
    );
}

#[test]
fn fifty_requests_with_one_key_ask_once() {
    for ttl in [Duration::ZERO, Duration::from_secs(30)] {
        let rows = [(digest("k1"), Said::Stored(record()))];
        let store = Store::slow(Duration::from_secs(2), rows);
        let secured = Secured::new(keys(&store).cache_ttl(ttl));
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    assert_eq!(secured.ask(&[("x-api-key", "k1")]).status(), 200);
                });
            }
        });
        assert_eq!(store.asked(), 1);
    }
}

#[test]
fn what_cannot_be_a_key_is_not_looked_up() {
    let store = Store::<KeyRecord>::new([]);
    let secured = Secured::new(keys(&store));
    let mut mistyped = IssuedKey::new().unwrap().key.expose().clone();
    let last = if mistyped.pop() == Some('a') {
        'b'
    } else {
        'a'
    };
    mistyped.push(last);
    let long = "x".repeat(1025);
    for key in ["", mistyped.as_str(), long.as_str()] {
        secured.refused("/", &[("x-api-key", key)], 401, Some(INVALID));
    }
    assert_eq!(store.asked(), 0);
    secured.log_hides(&[&mistyped]);
}

#[test]
fn one_of_several_methods_may_look_up() {
    let (of_keys, of_users) = (
        Store::new([(digest("k1"), Said::Stored(record()))]),
        Store::new([("ada".to_owned(), hashed("right"))]),
    );
    let several = Protection::Any(vec![keys(&of_keys).into(), users(&of_users).into()]);
    let secured = Secured::new(several);
    secured.accepted(
        "/",
        &[
            ("x-api-key", "no"),
            ("authorization", &basic("ada", "right")),
        ],
        "username=ada//-/ambient;",
    );
    secured.accepted("/", &[("x-api-key", "k1")], "api_key=reports/read/k1/sent;");
    of_keys.set(digest("k2"), Some(Said::Error(LookupError::Failed)));
    secured.refused("/", &[("x-api-key", "k2")], 503, None);
}

#[test]
fn a_user_whom_the_store_knows_is_let_in_by_the_password() {
    let store = Store::new([("zoë".to_owned(), hashed("p:ä"))]);
    let secured = Secured::new(users(&store));
    for _ in 0..2 {
        let sent = basic("zoë", "p:ä");
        secured.accepted("/", &[("authorization", &sent)], "username=zoë//-/ambient;");
    }
    for (user, password) in [("zoë", "other"), ("zoe", "p:ä"), ("zoë", "")] {
        let sent = basic(user, password);
        secured.refused("/", &[("authorization", &sent)], 401, Some(BASIC));
        assert_eq!(
            secured.last_event(),
            "authentication_failed wrong_password -"
        );
    }
    assert_eq!(store.asked(), 2);
    secured.log_hides(&["p:ä", "other", "argon2id"]);
}

#[test]
fn an_old_password_is_taken_no_longer_than_its_hash_is_known() {
    let store = Store::new([("ada".to_owned(), hashed("old"))]);
    let secured = Secured::new(users(&store).cache_ttl(Duration::from_secs(20)));
    let status = |password| {
        let sent = basic("ada", password);
        secured.ask(&[("authorization", &sent)]).status().as_u16()
    };
    assert_eq!(status("old"), 200);
    store.set("ada".to_owned(), Some(hashed("new")));
    secured.clock.advance(Duration::from_secs(20));
    assert_eq!((status("old"), status("new")), (401, 200));
    store.set("ada".to_owned(), None);
    secured.clock.advance(Duration::from_secs(20));
    assert_eq!(status("new"), 401);
}

#[test]
fn who_failed_too_often_is_not_looked_up() {
    let store = Store::new([("ada".to_owned(), hashed("right"))]);
    let secured = Secured::new(users(&store).cache_ttl(Duration::ZERO));
    let status = |password| {
        let sent = basic("ada", password);
        secured.ask(&[("authorization", &sent)]).status().as_u16()
    };
    for _ in 0..10 {
        assert_eq!(status("wrong"), 401);
    }
    assert_eq!(store.asked(), 10);
    assert_eq!((status("wrong"), status("right")), (429, 429));
    assert_eq!(store.asked(), 10);
}

#[test]
fn a_store_of_users_that_cannot_answer_is_503_and_no_failure_of_theirs() {
    let store = Store::new([
        ("plain".to_owned(), Said::Stored(Secret::from("password"))),
        ("none".to_owned(), Said::Stored(Secret::from(""))),
        (
            "other".to_owned(),
            Said::Stored(Secret::from("$1$salt$hash")),
        ),
        (
            "dear".to_owned(),
            Said::Stored(Secret::from(
                "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
            )),
        ),
        ("down".to_owned(), Said::Error(LookupError::Failed)),
    ]);
    let secured = Secured::new(users(&store));
    for (user, reason) in [
        ("plain", "lookup_invalid"),
        ("none", "lookup_invalid"),
        ("other", "lookup_invalid"),
        ("dear", "lookup_invalid"),
        ("down", "lookup_failed"),
    ] {
        let sent = basic(user, "password");
        for _ in 0..6 {
            unavailable(&secured, &[("authorization", &sent)], reason);
        }
    }
    secured.log_hides(&["password", "$1$", "argon2id"]);
}

#[test]
fn an_unknown_user_costs_what_a_known_one_does() {
    let store = Store::new([("ada".to_owned(), hashed("right"))]);
    let secured = Secured::new(users(&store));
    let time = |user| {
        let sent = basic(user, "wrong");
        let began = std::time::Instant::now();
        assert_eq!(secured.ask(&[("authorization", &sent)]).status(), 401);
        began.elapsed()
    };
    time("warm");
    // A neighbour may slow some of them down, and quicken none.
    let (mut known, mut unknown) = (Duration::MAX, Duration::ZERO);
    for _ in 0..20 {
        known = known.min(time("ada"));
        unknown = time("bob").max(unknown);
        if unknown * 2 > known {
            return;
        }
    }
    panic!("{unknown:?} and {known:?}");
}

#[test]
fn what_cannot_be_kept_so_long_does_not_start() {
    let store = Store::new([]);
    let day = Duration::from_hours(24);
    assert!(errors(keys(&store).cache_ttl(day)).is_empty());
    let over = day + Duration::from_millis(1);
    let found = errors(keys(&store).cache_ttl(over));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("api_key_required.cache_ttl"), "{found:?}");
    let found = errors(users(&Store::new([])).cache_ttl(over));
    assert!(
        found[0].contains("basic_auth_required.cache_ttl"),
        "{found:?}"
    );
}

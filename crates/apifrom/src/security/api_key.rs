//! API keys: a text that a program hands to each of its callers.
//!
//! 1. A key is looked for where the declaration says: a header, a query field, a cookie. In more than
//!    one of them, or twice in one, it is 400.
//! 2. Only the SHA-256 digest of a key is kept. What was sent is hashed and the digest looked up, so
//!    the time of a look-up does not depend on how much of a key is right.
//! 3. A key that was made here ([`IssuedKey`](super::IssuedKey)) tells its public id, which logs name it
//!    by; any other is named by the beginning of its digest.
//! 4. An empty key, one over 1 KiB, and an unknown one are 401 with the challenge
//!    `ApiKey realm="api", in="header", name="X-API-Key"`, which is of our own making: no standard
//!    has one.
//! 5. A key that lacks a scope which the declaration requires is 403.
//! 6. A key that the declaration does not list is looked up where there is a
//!    [`lookup`](ApiKeyRequired::lookup), by its digest. What is found is known for `cache_ttl`; one that
//!    has expired is 401 all the same. What cannot be found out is 503. A key that was made here and
//!    typed wrong is not looked up.
//!
//! # Deployment
//! A key in a query stands in the logs of every proxy on the way, and in browser histories. A key that
//! is deleted from the program's store is taken for as long as `cache_ttl`.
//!
//! # Examples
//! ```
//! use apifrom::testing::TestClient;
//! use apifrom::security::ApiKeyRequired;
//! use apifrom::{Api, Router, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let keys = ApiKeyRequired::new().key("api-key-1", ["read"]).scopes(["read"]);
//! let client = TestClient::new(Api::new().auth(keys).endpoints(endpoints![home]).build()?);
//!
//! assert_eq!(client.get("/").header("X-API-Key", "api-key-1").send()?.status(), 200);
//! assert_eq!(client.get("/").header("X-API-Key", "api-key-2").send()?.status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authenticator::{Attempt, Authenticator, Failure, FailureKind};
use super::challenge::Challenge;
use super::credential::{Place, Sent, cookie_named, header_named};
use super::identity::{Identity, Method};
use super::issued_key::{Form, form};
use super::key_digest::KeyDigest;
use super::lookup::{Answer, Asking, CACHE_TTL, KeyLookup, KeyRecord, RETRY_AFTER, check_ttl};
use super::protection::{AuthMethod, Compiling, Forged, Forgery};
use super::scope::{Scope, Scopes};
use crate::clock::Clock;
use crate::facts::{ApiKeyFacts, CredentialFacts, MethodFacts, PlaceFacts, is_guessable};
use crate::request::{Context, Head};
use crate::secret::Secret;

/// The most bytes a key may have.
const MAX: usize = 1 << 10;
/// What a digest begins with.
const DIGEST: &str = "sha256:";
/// A key of fewer bytes than this may be found by trying.
const SHORT: usize = 16;

/// Lets callers in who hold one of several keys.
#[derive(Clone)]
#[must_use]
pub struct ApiKeyRequired {
    api_keys: Vec<(Secret<String>, Vec<String>)>,
    scopes: Vec<String>,
    header_name: Option<String>,
    query_param_name: Option<String>,
    cookie_name: Option<String>,
    realm: String,
    name: Option<String>,
    lookup: Option<Arc<dyn KeyLookup>>,
    cache_ttl: Duration,
}

impl Default for ApiKeyRequired {
    fn default() -> Self {
        Self::new()
    }
}

impl ApiKeyRequired {
    /// No key yet, looked for in the header `X-API-Key`.
    pub fn new() -> Self {
        Self {
            api_keys: Vec::new(),
            scopes: Vec::new(),
            header_name: Some("X-API-Key".to_owned()),
            query_param_name: None,
            cookie_name: None,
            realm: "api".to_owned(),
            name: None,
            lookup: None,
            cache_ttl: CACHE_TTL,
        }
    }

    /// Adds a key, or its digest as `sha256:` and 64 hexadecimal digits, and the scopes that it holds.
    pub fn key(
        mut self,
        key: impl Into<Secret<String>>,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned());
        let scopes = scopes.collect();
        self.api_keys.push((key.into(), scopes));
        self
    }

    /// Adds keys, each with the scopes that it holds.
    pub fn api_keys<K, S, T>(mut self, keys: impl IntoIterator<Item = (K, S)>) -> Self
    where
        K: Into<Secret<String>>,
        S: IntoIterator<Item = T>,
        T: AsRef<str>,
    {
        for (key, scopes) in keys {
            self = self.key(key, scopes);
        }
        self
    }

    /// The scopes that a key must hold. Defaults to none.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// The header that holds the key, none that browsers write by themselves, such as `Cookie`; `None` to
    /// look at none. Defaults to `X-API-Key`.
    pub fn header_name(mut self, name: Option<&str>) -> Self {
        self.header_name = name.map(str::to_owned);
        self
    }

    /// The query field that holds the key. Defaults to none.
    pub fn query_param_name(mut self, name: Option<&str>) -> Self {
        self.query_param_name = name.map(str::to_owned);
        self
    }

    /// The cookie that holds the key. Defaults to none.
    pub fn cookie_name(mut self, name: Option<&str>) -> Self {
        self.cookie_name = name.map(str::to_owned);
        self
    }

    /// The realm of the challenge. Defaults to `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Under which name a handler finds the key. Defaults to `api_key`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where a key is looked for that is not among `api_keys`, by its digest. Defaults to nowhere.
    ///
    /// # Examples
    /// ```
    /// use apifrom::security::{ApiKeyRequired, KeyDigest, KeyRecord, LookupError};
    ///
    /// async fn find(digest: KeyDigest) -> Result<Option<KeyRecord>, LookupError> {
    ///     // Here a program asks its database.
    ///     let is_known = digest == KeyDigest::of("api-key-1");
    ///     Ok(is_known.then(|| KeyRecord::new("reports").scopes(["read"])))
    /// }
    ///
    /// let keys = ApiKeyRequired::new().lookup(find).scopes(["read"]);
    /// # let _ = keys;
    /// ```
    pub fn lookup(mut self, lookup: impl KeyLookup) -> Self {
        self.lookup = Some(Arc::new(lookup));
        self
    }

    /// How long an answer of the look-up is known, that there is no such key as well: at most a day, and
    /// the longest that a deleted key is taken. 0 asks each time, but once for requests that come
    /// together. Defaults to `30 s`.
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.cache_ttl = ttl;
        self
    }

    fn places(&self, compiling: &mut Compiling<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        if let Some(name) = &self.header_name {
            match header_named(name) {
                Ok(name) => places.push(Place::Header(name)),
                Err(why) => compiling.error("header_name", why),
            }
        }
        match self.query_param_name.as_deref() {
            None => {}
            Some("") => compiling.error("query_param_name", "expected a name, found none"),
            Some(name) => places.push(Place::Query(name.into())),
        }
        if let Some(name) = &self.cookie_name {
            match cookie_named(name) {
                Ok(name) => places.push(Place::Cookie(name)),
                Err(why) => compiling.error("cookie_name", why),
            }
        }
        if self.header_name.is_none() && places.is_empty() {
            compiling.error(
                "header_name",
                "is off, and so are query_param_name and cookie_name: there is no place for a key",
            );
        }
        places
    }

    fn table(&self, compiling: &mut Compiling<'_>) -> Table {
        let mut table = Table::default();
        if self.api_keys.is_empty() && self.lookup.is_none() {
            compiling.error("api_keys", "expected at least one key, found none");
        }
        for (index, (key, scopes)) in self.api_keys.iter().enumerate() {
            let field = format!("api_keys[{index}]");
            let digest = match declared(key.expose()) {
                Ok(digest) => digest,
                Err(why) => {
                    compiling.error(&field, why);
                    continue;
                }
            };
            for scope in scopes {
                if let Err(why) = Scope::parse(scope) {
                    compiling.error(&format!("{field}.scopes"), why.to_string());
                }
            }
            let subject = match form(key.expose()) {
                Form::Issued(id) => id.to_owned(),
                Form::Mistyped => {
                    compiling.error(&field, "was typed wrong: its last letters do not fit");
                    continue;
                }
                Form::Other => digest.short(),
            };
            let entry = Entry {
                subject: subject.into(),
                scopes: Scopes::from_list(scopes.iter().map(String::as_str)),
                expires: None,
            };
            if table.insert(digest, entry).is_some() {
                compiling.error(&field, "is there twice");
            }
        }
        table
    }
}

impl fmt::Debug for ApiKeyRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRequired")
            .field("keys", &self.api_keys.len())
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl AuthMethod for ApiKeyRequired {
    fn declared_as(&self) -> &'static str {
        "api_key_required"
    }

    fn facts(&self) -> MethodFacts {
        let is_digest = |key: &str| key.starts_with(DIGEST);
        let plain = self.api_keys.iter().map(|(key, _)| key.expose());
        let plain: Vec<_> = plain.filter(|key| !is_digest(key)).collect();
        let guessable = |key: &&&String| key.len() < SHORT || is_guessable(key.as_bytes());
        let mut granted: Vec<Vec<String>> = self
            .api_keys
            .iter()
            .map(|(_, scopes)| {
                let mut scopes = scopes.clone();
                scopes.sort();
                scopes
            })
            .collect();
        granted.sort();
        granted.dedup();
        let credential = CredentialFacts::ApiKey(ApiKeyFacts {
            plain: plain.len(),
            guessable: plain.iter().filter(guessable).count(),
            digests: self.api_keys.len() - plain.len(),
            granted,
        });
        let mut facts = MethodFacts::new(self.declared_as(), credential);
        let header = self.header_name.iter().cloned().map(PlaceFacts::Header);
        let query = self.query_param_name.iter().cloned().map(PlaceFacts::Query);
        let cookie = self.cookie_name.iter().cloned().map(PlaceFacts::Cookie);
        facts.places = header.chain(query).chain(cookie).collect();
        facts.scopes.clone_from(&self.scopes);
        facts.lookup = self.lookup.is_some();
        facts.cache_ttl = self.lookup.is_some().then_some(self.cache_ttl.as_secs());
        facts
    }

    fn forge(&self, forgery: Forgery, scopes: &[String]) -> Forged {
        let place = self.facts().places.into_iter().next();
        let Some(place) = place else {
            return Forged::Impossible("there is no place for a key");
        };
        let required: Vec<_> = self.scopes.iter().chain(scopes).collect();
        let holds = |held: &Vec<String>| required.iter().all(|one| held.contains(one));
        let plain = self.api_keys.iter();
        let mut plain = plain.filter(|(key, _)| !key.expose().starts_with(DIGEST));
        let found = match forgery {
            Forgery::Unknown => {
                return Forged::Credential(place, "a-key-that-nobody-was-given".to_owned().into());
            }
            Forgery::Valid => plain.find(|(_, held)| holds(held)),
            Forgery::NoScopes if required.is_empty() => return Forged::NotPromised,
            Forgery::NoScopes => plain.find(|(_, held)| !holds(held)),
            _ => return Forged::NotPromised,
        };
        match found {
            Some((key, _)) => Forged::Credential(place, key.clone()),
            None => Forged::Impossible("no such key is listed as it is"),
        }
    }

    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        let before = compiling.errors();
        let places = self.places(compiling);
        let table = self.table(compiling);
        check_ttl(self.cache_ttl, compiling);
        let lookup = match &self.lookup {
            Some(lookup) => Some(LookUp {
                lookup: Arc::clone(lookup),
                asking: Asking::new(self.cache_ttl, compiling)?,
            }),
            None => None,
        };
        let scopes = compiling.scopes(&self.scopes);
        let name = compiling.state_name(self.name.as_deref());
        let (kind, at) = match places.first() {
            Some(Place::Query(name)) => ("query", &**name),
            Some(Place::Cookie(name)) => ("cookie", &**name),
            _ => ("header", self.header_name.as_deref().unwrap_or_default()),
        };
        let parameters = [("realm", self.realm.as_str()), ("in", kind), ("name", at)];
        let challenge = match Challenge::new("ApiKey", &parameters, &scopes, true) {
            Ok(challenge) => challenge,
            Err(error) => {
                compiling.note(error);
                return None;
            }
        };
        if compiling.errors() > before {
            return None;
        }
        Some(Arc::new(ApiKey(Arc::new(Inner {
            places: places.into(),
            table,
            lookup,
            scopes: scopes.into(),
            clock: compiling.clock(),
            challenge,
            name,
        }))))
    }
}

struct ApiKey(Arc<Inner>);

/// The keys of one declaration.
struct Inner {
    places: Box<[Place]>,
    table: Table,
    lookup: Option<LookUp>,
    scopes: Box<[Scope]>,
    clock: Arc<dyn Clock>,
    challenge: Challenge,
    name: Option<Arc<str>>,
}

struct LookUp {
    lookup: Arc<dyn KeyLookup>,
    asking: Arc<Asking<Entry>>,
}

type Table = HashMap<KeyDigest, Entry>;

struct Entry {
    /// What logs call the key.
    subject: Arc<str>,
    scopes: Scopes,
    /// Since the epoch.
    expires: Option<Duration>,
}

impl Entry {
    /// What is kept of a record that was looked up; nothing where it cannot be used.
    fn looked_up(record: KeyRecord) -> Option<Self> {
        record.check().ok()?;
        let (id, scopes, expires) = record.into_parts();
        Some(Self {
            subject: id.into(),
            scopes,
            expires,
        })
    }
}

impl Authenticator for ApiKey {
    fn method(&self) -> Method {
        Method::ApiKey
    }

    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    fn challenge(&self) -> &Challenge {
        &self.0.challenge
    }

    fn is_presented(&self, head: &Head) -> bool {
        self.0.places.iter().any(|place| place.is_taken(head))
    }

    fn authenticate(&self, head: &Head, _context: &Context) -> Attempt {
        let mut found = None;
        for place in &self.0.places {
            match place.find(head) {
                Sent::Absent => {}
                Sent::Doubled => return Attempt::failed(FailureKind::Ambiguous, "doubled"),
                Sent::Malformed => return Attempt::failed(FailureKind::Invalid, "malformed"),
                Sent::One(_) if found.is_some() => {
                    return Attempt::failed(FailureKind::Ambiguous, "doubled");
                }
                Sent::One(key) => found = Some((key, place.is_ambient())),
            }
        }
        let Some((key, ambient)) = found else {
            return Attempt::Absent;
        };
        if key.len() > MAX {
            return Attempt::failed(FailureKind::Invalid, "too_long");
        }
        self.0.judge(&key, ambient)
    }
}

impl Inner {
    fn judge(self: &Arc<Self>, key: &str, ambient: bool) -> Attempt {
        let digest = KeyDigest::of(key);
        if let Some(entry) = self.table.get(&digest) {
            // Known by its digest, it tells its id itself.
            let subject = match form(key) {
                Form::Issued(id) if *id != *entry.subject => Arc::from(id),
                _ => Arc::clone(&entry.subject),
            };
            return self.attempt(entry, subject, key, ambient);
        }
        if form(key) == Form::Mistyped {
            return Attempt::failed(FailureKind::Invalid, "mistyped_key");
        }
        let Some(LookUp { asking, .. }) = &self.lookup else {
            return Attempt::failed(FailureKind::Invalid, "unknown_key");
        };
        let place = asking.place(digest.as_bytes());
        if let Some(answer) = asking.known(&place) {
            return self.answered(&answer, key, ambient);
        }
        let inner = Arc::clone(self);
        let key = Secret::from(key);
        Attempt::wait(async move {
            let Some(LookUp { lookup, asking }) = &inner.lookup else {
                return Attempt::failed(FailureKind::Invalid, "unknown_key");
            };
            let answer = asking.ask(place, || lookup.look_up(digest), Entry::looked_up);
            let answer = answer.await.unwrap_or(Answer::Failed("closing"));
            inner.answered(&answer, key.expose(), ambient)
        })
    }

    /// Goes on with what the look-up said.
    fn answered(&self, answer: &Answer<Entry>, key: &str, ambient: bool) -> Attempt {
        let entry = match answer {
            Answer::Found(entry) => entry,
            Answer::Missing => return Attempt::failed(FailureKind::Invalid, "unknown_key"),
            Answer::Failed(reason) => {
                let kind = FailureKind::Unavailable {
                    retry_after: RETRY_AFTER,
                };
                return Attempt::failed(kind, reason);
            }
        };
        let now = self.clock.unix();
        if entry.expires.is_some_and(|expires| expires <= now) {
            let failure = Failure::new(FailureKind::Invalid, "expired_key");
            return Attempt::Failed(failure.of(Some(&entry.subject)));
        }
        self.attempt(entry, Arc::clone(&entry.subject), key, ambient)
    }

    fn attempt(&self, entry: &Entry, subject: Arc<str>, key: &str, ambient: bool) -> Attempt {
        if !entry.scopes.contains_all(&self.scopes) {
            let failure = Failure::new(FailureKind::Lacking, "insufficient_scope");
            return Attempt::Failed(failure.of(Some(&subject)));
        }
        let identity = Identity::new(Method::ApiKey)
            .named(self.name.as_ref())
            .subject_is(subject)
            .holding(entry.scopes.clone())
            .proved_by(Bytes::copy_from_slice(key.as_bytes()))
            .ambient(ambient);
        Attempt::Passed(identity)
    }
}

/// The digest of a key as a program declares it.
fn declared(key: &str) -> Result<KeyDigest, &'static str> {
    if let Some(hex) = key.strip_prefix(DIGEST) {
        return KeyDigest::from_hex(hex).ok_or("expected 64 hexadecimal digits after sha256:");
    }
    // Taken for a key, it would be one that nobody has.
    if key
        .get(..DIGEST.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(DIGEST))
    {
        return Err("expected sha256: in lower case");
    }
    match key.len() {
        0 => Err("expected a key, found none"),
        1..=MAX => Ok(KeyDigest::of(key)),
        _ => Err("expected at most 1024 bytes"),
    }
}

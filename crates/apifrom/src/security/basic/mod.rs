//! Basic authentication (RFC 7617): a user and a password with each request.
//!
//! 1. `Authorization: Basic`, in any case, and standard base64 with its padding; user and password
//!    are UTF-8 without control characters, and the first colon ends the user. Anything else under
//!    that scheme is 401, and so are an unknown user and a wrong password, which look alike.
//! 2. What is stored for a user is a password or a hash of one ([`hash_password`](super::hash_password)).
//!    Hashes are compared on threads of their own; where too many wait it is 503 with `Retry-After`.
//! 3. A log-in that succeeded is known for 60 seconds, under a keyed digest of user, password and what
//!    is stored; at most 10,000 of them.
//! 4. An unknown user costs the comparison that the table's dearest entry costs.
//! 5. Who failed too often is not compared at all (429), unless the log-in is known
//!    (`back_off`).
//! 6. A user whom the declaration does not list is looked up where there is a
//!    [`lookup`](BasicAuthRequired::lookup), which answers with a hash. What is found is known for
//!    `cache_ttl`; what cannot be found out is 503. Who failed too often is not looked up. A user whom
//!    it does not know costs a comparison as dear as the dearest of an Argon2id hash of
//!    [`hash_password`](crate::security::hash_password), the table's entries, and what was looked up so
//!    far.
//!
//! # Deployment
//! The password travels with each request: use it under TLS alone. A browser sends it by itself, so
//! what it protects needs protection against forged requests. Where users are looked up, hash all of
//! their passwords alike: a user whose hash is cheaper than the dearest can be told from an unknown one
//! by the time that a refusal takes.
//!
//! # Examples
//! ```
//! use apifrom::testing::TestClient;
//! use apifrom::security::BasicAuthRequired;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let users = BasicAuthRequired::new().user("user1", "password1").realm("My API");
//! let client = TestClient::new(Api::new().auth(users).endpoints(endpoints![home]).build()?);
//!
//! // base64 of user1:password1
//! let known = client.get("/").header("Authorization", "Basic dXNlcjE6cGFzc3dvcmQx").send()?;
//! assert_eq!(known.status(), 200);
//! let refused = client.get("/").send()?;
//! assert_eq!(refused.status(), 401);
//! assert_eq!(
//!     refused.header("WWW-Authenticate"),
//!     Some(r#"Basic realm="My API", charset="UTF-8""#)
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod looked_up;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;

use self::looked_up::LookUp;
use crate::client::Flights;
use crate::clock::Clock;
use crate::facts::{BasicFacts, CredentialFacts, MethodFacts, PlaceFacts};
use crate::request::{Client, Context, Head};
use crate::secret::Secret;
use crate::security::authenticator::{Attempt, Authenticator, FailureKind};
use crate::security::back_off::{BackOff, Check};
use crate::security::challenge::Challenge;
use crate::security::credential::Place;
use crate::security::identity::{Identity, Method};
use crate::security::lookup::{CACHE_TTL, UserLookup, check_ttl};
use crate::security::password::{Full, Hash, MAX, Plain, Pool};
use crate::security::protection::{AuthMethod, Compiling, Forged, Forgery};

/// How long a log-in that succeeded is known, and how many are.
const KNOWN_FOR: Duration = Duration::from_mins(1);
const KNOWN: usize = 10_000;
/// The most bytes a user's name may have.
const MAX_USER: usize = 256;
/// When it may be worth another try where too many comparisons wait, in seconds.
const RETRY_AFTER: u32 = 1;

/// Lets users in who know their password.
#[derive(Clone)]
#[must_use]
pub struct BasicAuthRequired {
    credentials: Vec<(String, Secret<String>)>,
    realm: String,
    name: Option<String>,
    lookup: Option<Arc<dyn UserLookup>>,
    cache_ttl: Duration,
}

impl Default for BasicAuthRequired {
    fn default() -> Self {
        Self::new()
    }
}

impl BasicAuthRequired {
    /// No user yet.
    pub fn new() -> Self {
        Self {
            credentials: Vec::new(),
            realm: "api".to_owned(),
            name: None,
            lookup: None,
            cache_ttl: CACHE_TTL,
        }
    }

    /// Adds a user with a password, or with the hash of one.
    pub fn user(mut self, user: impl Into<String>, stored: impl Into<Secret<String>>) -> Self {
        self.credentials.push((user.into(), stored.into()));
        self
    }

    /// Adds users.
    pub fn credentials<U: Into<String>, P: Into<Secret<String>>>(
        mut self,
        users: impl IntoIterator<Item = (U, P)>,
    ) -> Self {
        for (user, stored) in users {
            self = self.user(user, stored);
        }
        self
    }

    /// The realm of the challenge, which browsers show. Defaults to `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Under which name a handler finds the user. Defaults to `username`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where a user is looked for who is not among `credentials`. Defaults to nowhere.
    ///
    /// # Examples
    /// ```
    /// use apifrom::security::{BasicAuthRequired, LookupError, hash_password};
    /// use apifrom::Secret;
    ///
    /// let stored = hash_password("password1")?;
    /// let users = BasicAuthRequired::new().lookup(move |user: String| {
    ///     // Here a program asks its database.
    ///     let found = (user == "user1").then(|| Secret::from(stored.as_str()));
    ///     async move { Ok::<_, LookupError>(found) }
    /// });
    /// # let _ = users;
    /// # Ok::<(), apifrom::security::PasswordError>(())
    /// ```
    pub fn lookup(mut self, lookup: impl UserLookup) -> Self {
        self.lookup = Some(Arc::new(lookup));
        self
    }

    /// How long an answer of the look-up is known, that there is no such user as well: at most a day, and
    /// the longest that a deleted user or an old password is taken. 0 asks each time, but once for
    /// requests that come together. Defaults to `30 s`.
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.cache_ttl = ttl;
        self
    }

    fn table(&self, key: &hmac::Key, compiling: &mut Compiling<'_>) -> HashMap<Box<str>, Stored> {
        let mut table = HashMap::new();
        if self.credentials.is_empty() && self.lookup.is_none() {
            compiling.error("credentials", "expected at least one user, found none");
        }
        for (index, (user, stored)) in self.credentials.iter().enumerate() {
            let field = format!("credentials[{index}]");
            if user.is_empty() || user.contains(':') || !is_text(user) || user.len() > MAX_USER {
                compiling.error(
                    &field,
                    "expected a user of 1 to 256 bytes, without colon and control characters",
                );
                continue;
            }
            let secret = stored.expose();
            let stored = match Hash::parse(secret) {
                Ok(Some(hash)) => Stored::Hash(Arc::new(hash)),
                Ok(None) if secret.is_empty() => {
                    compiling.error(&field, "expected a password, found none");
                    continue;
                }
                Ok(None) if secret.len() > MAX || !is_text(secret) => {
                    compiling.error(
                        &field,
                        "expected a password of at most 1024 bytes, without control characters",
                    );
                    continue;
                }
                Ok(None) => Stored::Plain(Plain::new(secret, key)),
                Err(why) => {
                    compiling.error(&field, why.to_string());
                    continue;
                }
            };
            if table.insert(user.as_str().into(), stored).is_some() {
                compiling.error(&field, "is there twice");
            }
        }
        table
    }
}

impl fmt::Debug for BasicAuthRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuthRequired")
            .field("users", &self.credentials.len())
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

impl AuthMethod for BasicAuthRequired {
    fn declared_as(&self) -> &'static str {
        "basic_auth_required"
    }

    fn facts(&self) -> MethodFacts {
        let mut plain = 0;
        let mut hashes = Vec::new();
        for (_, stored) in &self.credentials {
            match Hash::parse(stored.expose()) {
                Ok(Some(hash)) => {
                    let (work, _) = hash.cost().unwrap_or_default();
                    hashes.push(format!("{} {work}", hash.kind()));
                }
                Ok(None) => plain += 1,
                Err(_) => {}
            }
        }
        hashes.sort();
        hashes.dedup();
        let credential = CredentialFacts::Basic(BasicFacts { plain, hashes });
        let mut facts = MethodFacts::new(self.declared_as(), credential);
        facts.places = vec![PlaceFacts::Scheme(
            "Authorization".to_owned(),
            "Basic".to_owned(),
        )];
        facts.lookup = self.lookup.is_some();
        facts.cache_ttl = self.lookup.is_some().then_some(self.cache_ttl.as_secs());
        facts
    }

    fn forge(&self, forgery: Forgery, scopes: &[String]) -> Forged {
        let is_plain = |stored: &Secret<String>| matches!(Hash::parse(stored.expose()), Ok(None));
        let mut users = self.credentials.iter();
        let (user, password) = match forgery {
            Forgery::Valid if scopes.is_empty() => {
                match users.find(|(_, stored)| is_plain(stored)) {
                    Some((user, stored)) => (user.as_str(), stored.expose().as_str()),
                    None => return Forged::Impossible("passwords are hashed, or looked up"),
                }
            }
            Forgery::Valid => return Forged::Impossible("a password holds no scopes"),
            Forgery::Unknown => ("nobody", "a-password-that-nobody-has"),
            _ => return Forged::NotPromised,
        };
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let place = PlaceFacts::Scheme("Authorization".to_owned(), "Basic".to_owned());
        Forged::Credential(place, encoded.into())
    }

    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        let before = compiling.errors();
        let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else {
            compiling.error("credentials", "the system gives no random bytes");
            return None;
        };
        let table = self.table(&key, compiling);
        check_ttl(self.cache_ttl, compiling);
        let name = compiling.state_name(self.name.as_deref());
        let parameters = [("realm", self.realm.as_str()), ("charset", "UTF-8")];
        // RFC 7617 gives Basic no error parameter.
        let challenge = match Challenge::new("Basic", &parameters, &[], false) {
            Ok(challenge) => challenge,
            Err(error) => {
                compiling.note(error);
                return None;
            }
        };
        if compiling.errors() > before {
            return None;
        }
        let hashes = table.values().filter_map(|stored| match stored {
            Stored::Hash(hash) => Some(hash),
            Stored::Plain(_) => None,
        });
        let dearest = hashes.max_by_key(|hash| hash.cost()).map(Arc::clone);
        let lookup = match &self.lookup {
            Some(lookup) => Some(LookUp::new(
                Arc::clone(lookup),
                self.cache_ttl,
                dearest.as_ref(),
                compiling,
            )?),
            None => None,
        };
        let nobody = Plain::new("", &key);
        Some(Arc::new(Basic(Arc::new(Inner {
            place: Place::Scheme {
                header: AUTHORIZATION,
                scheme: "Basic".into(),
            },
            table,
            lookup,
            dearest,
            nobody,
            key,
            known: RwLock::default(),
            flights: Flights::default(),
            pool: compiling.shared(Pool::new),
            back_off: BackOff::of(compiling),
            clock: compiling.clock(),
            challenge,
            name,
        }))))
    }
}

struct Basic(Arc<Inner>);

/// The users of one declaration.
struct Inner {
    place: Place,
    table: HashMap<Box<str>, Stored>,
    lookup: Option<LookUp>,
    /// What an unknown user is compared with, where anything is hashed.
    dearest: Option<Arc<Hash>>,
    /// What an unknown user is compared with, where nothing is.
    nobody: Plain,
    /// Of this process, for what is kept of passwords.
    key: hmac::Key,
    /// Log-ins that succeeded, and until when they are known.
    known: RwLock<HashMap<[u8; 32], Duration>>,
    /// Log-ins that are compared now.
    flights: Flights<[u8; 32], Compared>,
    pool: Arc<Pool>,
    back_off: Arc<BackOff>,
    clock: Arc<dyn Clock>,
    challenge: Challenge,
    name: Option<Arc<str>>,
}

/// What came of a comparison.
#[derive(Debug, Clone, Copy)]
enum Compared {
    Right,
    Wrong,
    Held {
        retry_after: u32,
    },
    /// It was not made: whoever asked for it has gone.
    GivenUp,
}

/// Tells all who sent the same what came of it when it is dropped.
struct Landing {
    inner: Arc<Inner>,
    login: [u8; 32],
    compared: Compared,
}

impl Landing {
    fn compare(
        mut self,
        hash: &Hash,
        password: &Secret<String>,
        is_user: bool,
        check: Check,
    ) -> bool {
        let matches = hash.matches(password.expose()) && is_user;
        self.compared = self.inner.settle(matches, self.login, check);
        matches
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.inner.flights.land(&self.login, &self.compared);
    }
}

fn busy() -> Attempt {
    let kind = FailureKind::Unavailable {
        retry_after: RETRY_AFTER,
    };
    Attempt::failed(kind, "busy")
}

enum Stored {
    Plain(Plain),
    Hash(Arc<Hash>),
}

impl Authenticator for Basic {
    fn method(&self) -> Method {
        Method::Basic
    }

    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    fn challenge(&self) -> &Challenge {
        &self.0.challenge
    }

    fn is_presented(&self, head: &Head) -> bool {
        self.0.place.is_taken(head)
    }

    fn authenticate(&self, head: &Head, context: &Context) -> Attempt {
        let encoded = match self.0.place.only(head) {
            Ok(encoded) => encoded,
            Err(attempt) => return attempt,
        };
        match read(&encoded) {
            Some(sent) => self.0.judge(sent, context.client),
            None => Attempt::failed(FailureKind::Invalid, "malformed"),
        }
    }
}

/// A user and a password, as they were sent.
struct Pair {
    text: Secret<String>,
    colon: usize,
}

impl Pair {
    fn user(&self) -> &str {
        self.text.expose().get(..self.colon).unwrap_or_default()
    }

    fn password(&self) -> &str {
        self.text.expose().get(self.colon + 1..).unwrap_or_default()
    }
}

/// RFC 7617 §2: user and password are joined by a colon, which the user cannot hold.
fn read(encoded: &str) -> Option<Pair> {
    // Four letters are three bytes; what is longer than both at their most is not worth decoding.
    if encoded.len() > (MAX + MAX_USER + 1).div_ceil(3) * 4 {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let text = Secret::new(String::from_utf8(bytes).ok()?);
    let colon = text.expose().find(':')?;
    let pair = Pair { text, colon };
    let is_sound = is_text(pair.text.expose())
        && pair.user().len() <= MAX_USER
        && pair.password().len() <= MAX;
    is_sound.then_some(pair)
}

fn is_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

impl Inner {
    fn judge(self: &Arc<Self>, sent: Pair, client: Client) -> Attempt {
        if let Some(lookup) = &self.lookup
            && !self.table.contains_key(sent.user())
        {
            return self.judge_by(lookup, sent, client);
        }
        let now = self.clock.unix();
        let login = self.login(&sent, None);
        if self.is_known(&login, now) {
            return Attempt::Passed(self.identity(sent.user()));
        }
        let stored = self.table.get(sent.user());
        let (hash, is_user) = match (stored, &self.dearest) {
            (Some(Stored::Hash(hash)), _) => (Arc::clone(hash), true),
            (Some(Stored::Plain(plain)), _) => {
                return self.at_once(plain, true, &sent, login, client);
            }
            (None, Some(dearest)) => (Arc::clone(dearest), false),
            (None, None) => return self.at_once(&self.nobody, false, &sent, login, client),
        };
        let inner = Arc::clone(self);
        Attempt::wait(async move { inner.compare(hash, is_user, &sent, login, client).await })
    }

    /// Compares with what needs no hash.
    fn at_once(
        &self,
        plain: &Plain,
        is_user: bool,
        sent: &Pair,
        login: [u8; 32],
        client: Client,
    ) -> Attempt {
        let check = self.back_off.begin(&client, sent.user(), self.clock.unix());
        let compared = match check {
            Err(retry_after) => Compared::Held { retry_after },
            Ok(check) => {
                let matches = plain.matches(sent.password(), &self.key);
                self.settle(matches && is_user, login, check)
            }
        };
        self.attempt(compared, sent)
    }

    /// Compares what was sent with `hash`, or waits for whoever sent the same.
    async fn compare(
        self: &Arc<Self>,
        hash: Arc<Hash>,
        is_user: bool,
        sent: &Pair,
        login: [u8; 32],
        client: Client,
    ) -> Attempt {
        loop {
            let (compared, is_first) = self.flights.join(login);
            // The comparison is made as long as this one waits for it.
            let mut made = None;
            if is_first {
                let now = self.clock.unix();
                if self.is_known(&login, now) {
                    // Another was right since this one looked.
                    self.flights.land(&login, &Compared::Right);
                } else {
                    match self.back_off.begin(&client, sent.user(), now) {
                        // Beyond its failures nobody is told whether this one would have been right.
                        Err(retry_after) => {
                            let held = Compared::Held { retry_after };
                            self.flights.land(&login, &held);
                        }
                        Ok(check) => {
                            let landing = Landing {
                                inner: Arc::clone(self),
                                login,
                                compared: Compared::GivenUp,
                            };
                            let (hash, password) = (Arc::clone(&hash), sent.password().into());
                            let compare = move || landing.compare(&hash, &password, is_user, check);
                            match self.pool.submit(compare) {
                                Ok(answer) => made = Some(answer),
                                Err(Full) => return busy(),
                            }
                        }
                    }
                }
            }
            let compared = compared.await.unwrap_or(Compared::GivenUp);
            match compared {
                Compared::GivenUp if made.is_none() => {}
                // There is no thread to compare.
                Compared::GivenUp => return busy(),
                compared => return self.attempt(compared, sent),
            }
        }
    }

    /// Notes how a check went.
    fn settle(&self, matches: bool, login: [u8; 32], check: Check) -> Compared {
        let now = self.clock.unix();
        if matches {
            self.learn(login, now);
            Compared::Right
        } else {
            check.failed(now);
            Compared::Wrong
        }
    }

    fn attempt(&self, compared: Compared, sent: &Pair) -> Attempt {
        match compared {
            Compared::Right => Attempt::Passed(self.identity(sent.user())),
            Compared::Wrong => Attempt::failed(FailureKind::Invalid, "wrong_password"),
            Compared::Held { retry_after } => {
                Attempt::failed(FailureKind::Held { retry_after }, "held_back")
            }
            Compared::GivenUp => busy(),
        }
    }

    fn identity(&self, user: &str) -> Identity {
        Identity::new(Method::Basic)
            .named(self.name.as_ref())
            .subject_is(user)
            // A browser sends it by itself, once it was typed in.
            .ambient(true)
    }

    /// What a log-in is known under. What the table stores never changes while it lives; what was
    /// looked up may, and is part of it.
    fn login(&self, sent: &Pair, looked_up: Option<&Secret<String>>) -> [u8; 32] {
        let mut tag = hmac::Context::with_key(&self.key);
        tag.update(sent.text.expose().as_bytes());
        if let Some(stored) = looked_up {
            // Neither user nor password holds a control character.
            tag.update(b"\n");
            tag.update(stored.expose().as_bytes());
        }
        let tag = tag.sign();
        let mut login = [0; 32];
        for (to, from) in login.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        login
    }

    fn is_known(&self, login: &[u8; 32], now: Duration) -> bool {
        let known = self
            .known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(login).is_some_and(|until| {
            // A clock that was put back must not keep a log-in known for longer.
            now < *until && *until <= now + KNOWN_FOR
        })
    }

    fn learn(&self, login: [u8; 32], now: Duration) {
        let mut known = self
            .known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= KNOWN && !known.contains_key(&login) {
            known.retain(|_, until| now < *until);
            // All are live: this one is compared again each time, which is slower and no weaker.
            if known.len() >= KNOWN {
                return;
            }
        }
        known.insert(login, now + KNOWN_FOR);
    }
}

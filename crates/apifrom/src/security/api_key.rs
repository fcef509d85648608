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
//!
//! # Deployment
//! A key in a query stands in the logs of every proxy on the way, and in browser histories.
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
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::HeaderName;
use subtle::ConstantTimeEq;

use super::authenticator::{Attempt, Authenticator, Failure, FailureKind};
use super::challenge::Challenge;
use super::credential::{Place, Sent};
use super::identity::{Identity, Method};
use super::issued_key::{Form, form};
use super::protection::{AuthMethod, Compiling};
use super::scope::{Scope, Scopes};
use crate::request::{Context, Head};
use crate::secret::Secret;

/// The most bytes a key may have.
const MAX: usize = 1 << 10;

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

    /// The header that holds the key; `None` to look at none. Defaults to `X-API-Key`.
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

    fn places(&self, compiling: &mut Compiling<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        if let Some(name) = &self.header_name {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => places.push(Place::Header(name)),
                Err(_) => compiling.error("header_name", "expected the name of a header"),
            }
        }
        for (field, name) in [
            ("query_param_name", &self.query_param_name),
            ("cookie_name", &self.cookie_name),
        ] {
            match name.as_deref() {
                None => {}
                Some("") => compiling.error(field, "expected a name, found none"),
                Some(name) if field == "cookie_name" => places.push(Place::Cookie(name.into())),
                Some(name) => places.push(Place::Query(name.into())),
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
        if self.api_keys.is_empty() {
            compiling.error("api_keys", "expected at least one key, found none");
        }
        for (index, (key, scopes)) in self.api_keys.iter().enumerate() {
            let field = format!("api_keys[{index}]");
            let digest = match Digest::declared(key.expose()) {
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

    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        let before = compiling.errors();
        let places = self.places(compiling);
        let table = self.table(compiling);
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
        Some(Arc::new(ApiKey {
            places: places.into(),
            table,
            scopes: scopes.into(),
            challenge,
            name,
        }))
    }
}

/// The keys of one declaration.
struct ApiKey {
    places: Box<[Place]>,
    table: Table,
    scopes: Box<[Scope]>,
    challenge: Challenge,
    name: Option<Arc<str>>,
}

type Table = HashMap<Digest, Entry>;

struct Entry {
    /// What logs call the key.
    subject: Arc<str>,
    scopes: Scopes,
}

impl Authenticator for ApiKey {
    fn method(&self) -> Method {
        Method::ApiKey
    }

    fn state_name(&self) -> &str {
        self.name
            .as_deref()
            .unwrap_or_else(|| self.method().state_name())
    }

    fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    fn authenticate(&self, head: &Head, _context: &Context) -> Attempt {
        let mut found = None;
        for place in &self.places {
            match place.find(head) {
                Sent::Absent => {}
                Sent::Doubled => return Attempt::failed(FailureKind::Ambiguous, "doubled"),
                Sent::Malformed => return Attempt::failed(FailureKind::Invalid, "malformed"),
                Sent::One(_) if found.is_some() => {
                    return Attempt::failed(FailureKind::Ambiguous, "doubled");
                }
                Sent::One(key) => found = Some((key, place)),
            }
        }
        let Some((key, place)) = found else {
            return Attempt::Absent;
        };
        if key.len() > MAX {
            return Attempt::failed(FailureKind::Invalid, "too_long");
        }
        let Some(entry) = self.table.get(&Digest::of(&key)) else {
            let reason = match form(&key) {
                Form::Mistyped => "mistyped_key",
                Form::Issued(_) | Form::Other => "unknown_key",
            };
            return Attempt::failed(FailureKind::Invalid, reason);
        };
        // Known by its digest, it tells its id itself.
        let subject = match form(&key) {
            Form::Issued(id) if *id != *entry.subject => Arc::from(id),
            _ => Arc::clone(&entry.subject),
        };
        if !entry.scopes.contains_all(&self.scopes) {
            let failure = Failure::new(FailureKind::Lacking, "insufficient_scope");
            return Attempt::Failed(failure.of(Some(&subject)));
        }
        let identity = Identity::new(Method::ApiKey)
            .named(self.name.as_ref())
            .subject_is(subject)
            .holding(entry.scopes.clone())
            .proved_by(Bytes::copy_from_slice(key.as_bytes()))
            .ambient(place.is_ambient());
        Attempt::Passed(identity)
    }
}

/// The SHA-256 digest of a key. Two are compared in constant time.
#[derive(Clone, Copy)]
struct Digest([u8; 32]);

impl Digest {
    fn of(key: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        Self(bytes)
    }

    /// The digest of a key as a program declares it.
    fn declared(key: &str) -> Result<Self, &'static str> {
        if let Some(hex) = key.strip_prefix("sha256:") {
            return Self::from_hex(hex).ok_or("expected 64 hexadecimal digits after sha256:");
        }
        match key.len() {
            0 => Err("expected a key, found none"),
            1..=MAX => Ok(Self::of(key)),
            _ => Err("expected at most 1024 bytes"),
        }
    }

    fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = hex.get(index * 2..index * 2 + 2)?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// As much of it as tells keys apart in a log.
    fn short(&self) -> String {
        let mut text = "sha256:".to_owned();
        for byte in self.0.iter().take(8) {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        text
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

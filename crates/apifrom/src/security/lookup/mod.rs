//! Look-ups: the program's own store of API keys or users, asked when a credential comes.
//!
//! 1. A store of keys is asked by the digest of a key ([`KeyLookup`]), one of users by the user's name
//!    ([`UserLookup`]). Neither is ever given a key or a password.
//! 2. An answer is known for as long as the declaration says (`cache_ttl`), counted from when it was asked
//!    for: at most 10,000 that something is there and as many that nothing is, the oldest goes first.
//!    They are kept under a digest with a key of the process. A failure is never kept.
//! 3. However many requests bring one key or user at once, the store is asked once.
//! 4. A look-up that fails, panics, answers with what cannot be used, or takes more than 5 seconds is
//!    503 with `Retry-After`, and so is one that comes while 256 others are under way.
//! 5. It is not given up when its client goes, since others may wait for it.

mod asking;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub(in crate::security) use self::asking::{Answer, Asking, CACHE_TTL, RETRY_AFTER, check_ttl};
use super::key_digest::KeyDigest;
use super::scope::{Scope, Scopes};
use crate::secret::Secret;

/// The most bytes the id of a record may have.
const MAX_ID: usize = 256;

/// What a look-up comes to: what is stored, `None` where nothing is, or that it could not be found out.
pub type LookedUp<T> = Pin<Box<dyn Future<Output = Result<Option<T>, LookupError>> + Send>>;

/// Finds what a program stores about API keys.
///
/// Every `Fn(KeyDigest) -> impl Future<Output = Result<Option<KeyRecord>, LookupError>>` is one.
///
/// # Security
/// The future runs on a thread that all look-ups share: it must wait, and never block.
pub trait KeyLookup: Send + Sync + 'static {
    /// Looks for the key whose digest this is.
    fn look_up(&self, digest: KeyDigest) -> LookedUp<KeyRecord>;
}

impl<F, T> KeyLookup for F
where
    F: Fn(KeyDigest) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Option<KeyRecord>, LookupError>> + Send + 'static,
{
    fn look_up(&self, digest: KeyDigest) -> LookedUp<KeyRecord> {
        Box::pin(self(digest))
    }
}

/// Finds the hash of a user's password: an Argon2id or scrypt string in PHC form, or a bcrypt string.
///
/// Every `Fn(String) -> impl Future<Output = Result<Option<Secret<String>>, LookupError>>` is one.
///
/// # Security
/// The future runs on a thread that all look-ups share: it must wait, and never block.
pub trait UserLookup: Send + Sync + 'static {
    /// Looks for `user`, a name as it was sent.
    fn look_up(&self, user: &str) -> LookedUp<Secret<String>>;
}

impl<F, T> UserLookup for F
where
    F: Fn(String) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Option<Secret<String>>, LookupError>> + Send + 'static,
{
    fn look_up(&self, user: &str) -> LookedUp<Secret<String>> {
        Box::pin(self(user.to_owned()))
    }
}

/// Why a look-up found out nothing. What is stored never stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The store could not be asked.
    #[error("the look-up failed")]
    Failed,
    /// The store answered with what cannot be used.
    #[error("the look-up returned something else than what it is for")]
    Invalid,
    /// Too much is under way.
    #[error("too many look-ups are under way")]
    Busy,
}

impl LookupError {
    /// The word for the log.
    fn reason(self) -> &'static str {
        match self {
            Self::Failed => "lookup_failed",
            Self::Invalid => "lookup_invalid",
            Self::Busy => "lookup_busy",
        }
    }
}

/// What a program stores about one API key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct KeyRecord {
    id: String,
    scopes: Vec<String>,
    expires: Option<Duration>,
}

/// A record that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRecordError {
    /// The id is empty, too long, or holds control characters.
    #[error("id: expected 1 to 256 bytes without control characters")]
    Id,
    /// One of the scopes is none.
    #[error("scopes: a scope is printable ASCII without spaces, quotes and backslashes")]
    Scopes,
}

impl KeyRecord {
    /// A record of a key that logs call `id`, without scopes, which never expires.
    ///
    /// # Security
    /// The id stands in logs: it must not be the key, or a part of it that is secret.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            scopes: Vec::new(),
            expires: None,
        }
    }

    /// The scopes that the key holds. Defaults to none.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// From when on the key is refused, since the Unix epoch. Defaults to never.
    pub fn expires(mut self, since_epoch: Duration) -> Self {
        self.expires = Some(since_epoch);
        self
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// [`KeyRecordError`]. A look-up that returns such a record is answered with 503.
    pub fn check(&self) -> Result<(), KeyRecordError> {
        if self.id.is_empty() || self.id.len() > MAX_ID || self.id.chars().any(char::is_control) {
            return Err(KeyRecordError::Id);
        }
        let mut scopes = self.scopes.iter();
        if !scopes.all(|scope| Scope::parse(scope).is_ok()) {
            return Err(KeyRecordError::Scopes);
        }
        Ok(())
    }

    /// What the engine keeps of it.
    pub(in crate::security) fn into_parts(self) -> (String, Scopes, Option<Duration>) {
        let scopes = Scopes::from_list(self.scopes.iter().map(String::as_str));
        (self.id, scopes, self.expires)
    }
}

//! Revocation: tokens that are refused although they have not expired.
//!
//! 1. A token is revoked by its id (`jti`), by its subject (`sub`) where it was issued before a moment,
//!    or, whatever it says, where it was issued before a moment.
//! 2. Once a declaration has a revocation, it is asked for every token whose signature and claims hold,
//!    whatever `verify_jti` says. A token without `iat` counts as issued before any moment.
//! 3. A revoked token is 401 with `error="invalid_token"`.
//! 4. What is revoked is kept until the tokens that it covers have expired, and an hour longer for clocks
//!    that differ and for `leeway`: until `expires` where that is said, else for `token_lifetime`, else for
//!    ever.
//! 5. At most `max_entries` are kept. One more is an error to whoever revokes; nothing that is live is
//!    dropped for it.
//!
//! # Deployment
//! Memory is of one process, and forgets with it: another process that serves the same API knows
//! nothing of what was revoked here; where [`ApiConfig::processes`](crate::ApiConfig::processes) says
//! that there are several, it is a start-up error. With the feature `redis` and [`RevocationConfig::redis`] what is
//! revoked is in a Redis or Valkey server, and known to every process that asks it within a second. A
//! process that could not ask for two seconds lets no token pass (503), or for as long as
//! [`RevocationConfig::stale_max`] says those that it does not know to be revoked. What that server
//! forgets (a flush, a fail-over), processes that knew of it still refuse, and new ones do not: keep its
//! data on disk.
//!
//! # Examples
//! ```
//! use apifrom::security::{CreateToken, JwtRequired, Revocation};
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let secret = "a secret of at least thirty-two bytes";
//! let revocation = Revocation::default();
//! let tokens = JwtRequired::new().secret(secret).revocation(&revocation);
//! let client = TestClient::new(Api::new().auth(tokens).endpoints(endpoints![home]).build()?);
//!
//! let token = CreateToken::new(secret, "HS256").jti("one").sign("{}")?;
//! let ask = || client.get("/").header("Authorization", format!("Bearer {token}")).send();
//! assert_eq!(ask()?.status(), 200);
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! revocation.revoke("one", None).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! assert_eq!(ask()?.status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::authenticator::{Attempt, Failure, FailureKind};
use super::jose::{decode, scan_object};
use super::protection::Compiling;
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::logging::Sink;
use crate::store::{Key, Ledger, Mark};
#[cfg(feature = "redis")]
use crate::store::{Replica, Unmade, fault};

/// How much longer than its tokens an entry is kept, and the most `leeway` beside a revocation.
pub(in crate::security) const GRACE: Duration = Duration::from_hours(1);
/// How far ahead the moment may lie before which tokens are revoked: clocks differ.
const AHEAD: Duration = Duration::from_mins(1);
/// The most bytes of an id or a subject; no token that is taken is longer.
const MAX_NAME: usize = 16 << 10;

/// How what is revoked is kept.
#[derive(Clone)]
#[non_exhaustive]
pub struct RevocationConfig {
    /// The longest time from a token's `iat` to its `exp`, for entries of which it is not said when
    /// their tokens expire. Defaults to `None`: such entries are kept for ever.
    pub token_lifetime: Option<Duration>,
    /// How many entries are kept. Defaults to 1,000,000.
    pub max_entries: usize,
    /// Where the time is taken from. Defaults to the clock of the machine.
    pub clock: Arc<dyn Clock>,
    /// The Redis or Valkey server that keeps what is revoked, `redis://user:password@host:6379/0`.
    /// Defaults to none: memory.
    #[cfg(feature = "redis")]
    pub redis: Option<crate::Secret<String>>,
    /// Under which name it is kept there; those of one name are one. Defaults to `tokens`.
    #[cfg(feature = "redis")]
    pub name: String,
    /// For how long tokens pass by what was last known while that server does not answer. Defaults to
    /// `None`: they are 503.
    #[cfg(feature = "redis")]
    pub stale_max: Option<Duration>,
}

impl Default for RevocationConfig {
    fn default() -> Self {
        Self {
            token_lifetime: None,
            max_entries: 1_000_000,
            clock: Arc::new(SystemClock),
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "redis")]
            name: "tokens".to_owned(),
            #[cfg(feature = "redis")]
            stale_max: None,
        }
    }
}

impl fmt::Debug for RevocationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationConfig")
            .field("token_lifetime", &self.token_lifetime)
            .field("max_entries", &self.max_entries)
            .finish_non_exhaustive()
    }
}

/// Why a token could not be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// An id or a subject that no token can have.
    #[error("expected an id or a subject of 1 to 16384 bytes")]
    Name,
    /// A token in the place of its id.
    #[error("expected the jti of a token, found a token")]
    Token,
    /// A moment that has not come.
    #[error("expected a moment that has passed")]
    Ahead,
    /// All places are taken.
    #[error("there is no room for another entry; raise max_entries")]
    Full,
    /// The store did not answer; it is not known whether anything was revoked.
    #[error("the store does not answer; it is not known whether anything was revoked")]
    Unavailable,
}

/// What is revoked. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Revocation(Arc<Inner>);

struct Inner {
    token_lifetime: Option<Duration>,
    clock: Arc<dyn Clock>,
    entries: Entries,
}

/// Where what is revoked is kept.
enum Entries {
    Memory(Ledger),
    #[cfg(feature = "redis")]
    Shared {
        replica: Replica,
        /// How old the copy may be.
        oldest: Duration,
    },
}

impl Default for Revocation {
    /// In the memory of this process, by the defaults of [`RevocationConfig`].
    fn default() -> Self {
        let config = RevocationConfig::default();
        Self(Arc::new(Inner {
            token_lifetime: config.token_lifetime,
            entries: Entries::Memory(Ledger::new(config.max_entries)),
            clock: config.clock,
        }))
    }
}

impl Revocation {
    /// # Errors
    /// Names the field that is wrong.
    pub fn new(config: RevocationConfig) -> Result<Self, ConfigError> {
        if config.token_lifetime.is_some_and(|time| time.is_zero()) {
            return Err(ConfigError::new("token_lifetime", "expected more than 0"));
        }
        if config.max_entries == 0 {
            return Err(ConfigError::new("max_entries", "expected 1 or more"));
        }
        Ok(Self(Arc::new(Inner {
            token_lifetime: config.token_lifetime,
            entries: entries(&config)?,
            clock: config.clock,
        })))
    }

    /// Notes what is wrong with it in an API, and lets a store that several share say to the API's sink
    /// when it goes away.
    pub(in crate::security) fn judge(&self, compiling: &mut Compiling<'_>) {
        let processes = compiling.processes();
        if processes > 1 && matches!(self.0.entries, Entries::Memory(_)) {
            let message = format!(
                "is in memory, and {processes} processes would not know of each other's; give \
                 Revocation a redis_url (in Rust: RevocationConfig::redis)"
            );
            compiling.error("revocation", message);
        }
        self.say_to(&compiling.sink());
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(
            unused_variables,
            clippy::unused_self,
            reason = "memory never goes away"
        )
    )]
    fn say_to(&self, sink: &Arc<dyn Sink>) {
        #[cfg(feature = "redis")]
        if let Entries::Shared { replica, .. } = &self.0.entries {
            replica.say_to(sink);
        }
    }

    /// Revokes the token whose `jti` is `id`. `expires` is its `exp`, since the Unix epoch.
    ///
    /// # Errors
    /// See [`RevocationError`]; then nothing was revoked.
    pub async fn revoke(&self, id: &str, expires: Option<Duration>) -> Result<(), RevocationError> {
        if is_token(id) {
            return Err(RevocationError::Token);
        }
        let from = self.0.clock.unix();
        self.mark(&named(b"jti", id)?, Duration::MAX, from, expires)
            .await
    }

    /// Revokes the tokens whose `sub` is `subject` and that were issued before a moment, since the Unix
    /// epoch; before now, where none is given. `expires` is when the last of them expires.
    ///
    /// Times in tokens are whole seconds: one that is issued later within this very second is revoked
    /// as well.
    ///
    /// # Errors
    /// See [`RevocationError`]; then nothing was revoked.
    pub async fn revoke_subject(
        &self,
        subject: &str,
        before: Option<Duration>,
        expires: Option<Duration>,
    ) -> Result<(), RevocationError> {
        let before = before.unwrap_or_else(|| self.0.clock.unix());
        self.mark(&named(b"sub", subject)?, before, before, expires)
            .await
    }

    /// Revokes all tokens that were issued before a moment, since the Unix epoch. `expires` is when the
    /// last of them expires.
    ///
    /// # Errors
    /// See [`RevocationError`]; then nothing was revoked.
    pub async fn revoke_before(
        &self,
        before: Duration,
        expires: Option<Duration>,
    ) -> Result<(), RevocationError> {
        self.mark(&EVERYTHING, before, before, expires).await
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(
            clippy::unused_async,
            reason = "a store that is not in memory is waited for"
        )
    )]
    async fn mark(
        &self,
        key: &Key,
        before: Duration,
        issued: Duration,
        expires: Option<Duration>,
    ) -> Result<(), RevocationError> {
        let now = self.0.clock.unix();
        if issued > now + AHEAD {
            return Err(RevocationError::Ahead);
        }
        let expires = expires.or_else(|| Some(issued.saturating_add(self.0.token_lifetime?)));
        let until = expires.map_or(Duration::MAX, |expires| expires.saturating_add(GRACE));
        if until <= now {
            // Whatever it would cover has expired.
            return Ok(());
        }
        let mark = Mark { before, until };
        match &self.0.entries {
            Entries::Memory(ledger) => ledger
                .add(*key, mark, now)
                .map_err(|_| RevocationError::Full),
            #[cfg(feature = "redis")]
            Entries::Shared { replica, .. } => {
                replica.add(*key, mark, now).await.map_err(|why| match why {
                    Unmade::Full => RevocationError::Full,
                    Unmade::Away => RevocationError::Unavailable,
                })
            }
        }
    }

    /// What `attempt` comes to for a token with `marks`.
    pub(in crate::security) fn guard(&self, marks: &Marks, attempt: Attempt) -> Attempt {
        if self.covers(marks) {
            return Attempt::Failed(Failure::new(FailureKind::Invalid, "revoked"));
        }
        #[cfg(feature = "redis")]
        if let Entries::Shared { replica, oldest } = &self.0.entries
            && replica.age().is_none_or(|age| age > *oldest)
        {
            let kind = FailureKind::Unavailable { retry_after: 1 };
            return Attempt::Failed(Failure::new(kind, "revocation_unavailable"));
        }
        attempt
    }

    fn covers(&self, marks: &Marks) -> bool {
        let now = self.0.clock.unix();
        let keys = [Some(&EVERYTHING), marks.subject.as_ref(), marks.id.as_ref()];
        keys.into_iter().flatten().any(|key| {
            let before = match &self.0.entries {
                Entries::Memory(ledger) => ledger.find(key, now),
                #[cfg(feature = "redis")]
                Entries::Shared { replica, .. } => replica.find(key, now),
            };
            before.is_some_and(|before| {
                before == Duration::MAX
                    || marks
                        .issued
                        .is_none_or(|issued| issued < before.as_secs_f64())
            })
        })
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").finish_non_exhaustive()
    }
}

/// How old a copy of the store may be unless more is said: it is made twice a second.
#[cfg(feature = "redis")]
const FRESH: Duration = Duration::from_secs(2);

#[cfg_attr(
    not(feature = "redis"),
    expect(clippy::unnecessary_wraps, reason = "memory is always there")
)]
fn entries(config: &RevocationConfig) -> Result<Entries, ConfigError> {
    #[cfg(feature = "redis")]
    if let Some(url) = &config.redis {
        if let Some(fault) = fault(url.expose()) {
            return Err(ConfigError::new("redis_url", fault));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if config.name.is_empty() || !config.name.bytes().all(is_name) {
            return Err(ConfigError::new(
                "name",
                "expected letters, digits, '-', '_' and '.'",
            ));
        }
        let clock = Arc::clone(&config.clock);
        let replica = Replica::connect(url.expose(), &config.name, config.max_entries, clock);
        return Ok(Entries::Shared {
            replica: replica
                .ok_or_else(|| ConfigError::new("redis_url", "no thread can be started"))?,
            oldest: config.stale_max.map_or(FRESH, |stale| stale.max(FRESH)),
        });
    }
    Ok(Entries::Memory(Ledger::new(config.max_entries)))
}

/// What stands for every token.
const EVERYTHING: Key = [0; 32];

/// By what a token can be revoked.
#[derive(Debug, Clone, Copy)]
pub(in crate::security) struct Marks {
    id: Option<Key>,
    subject: Option<Key>,
    issued: Option<f64>,
}

impl Marks {
    /// Of a token with these claims.
    pub(in crate::security) fn of(
        id: Option<&str>,
        subject: Option<&str>,
        issued: Option<f64>,
    ) -> Self {
        Self {
            id: id.map(|id| key(b"jti", id)),
            subject: subject.map(|subject| key(b"sub", subject)),
            issued,
        }
    }
}

/// True for a signed token (RFC 7515 §7.1): three parts of base64url, the first of them a JSON object.
fn is_token(id: &str) -> bool {
    let parts: Vec<_> = id.trim().split('.').map(str::as_bytes).collect();
    let [header, payload, signature] = parts.as_slice() else {
        return false;
    };
    let spells_bytes = |part: &[u8]| decode(part).is_some();
    decode(header).is_some_and(|header| scan_object(&header).is_some())
        && spells_bytes(payload)
        && spells_bytes(signature)
}

fn named(kind: &[u8], name: &str) -> Result<Key, RevocationError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(RevocationError::Name);
    }
    Ok(key(kind, name))
}

/// A digest, so that no store holds who is revoked.
fn key(kind: &[u8], name: &str) -> Key {
    let mut context = Context::new(&SHA256);
    context.update(kind);
    context.update(b":");
    context.update(name.as_bytes());
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}

//! Rate limits: how many requests of one client pass in a span of time.
//!
//! 1. A request is counted by its client's address (an IPv6 client by its /64) before anybody is
//!    asked who they are: refused log-ins, unknown paths and failures too. What does not count is
//!    preflights that a policy about origins answers, and what is refused before a route is looked
//!    for (another host, a path that cannot be read), which reaches nothing that a limit protects.
//!    By any other key ([`RateLimit::key`], [`RateLimit::by_identity`]) it is counted once
//!    authentication let it through, at endpoints alone; a key function that fails refuses with 503.
//! 2. Never more than `limit` are accepted in any span of `window`, and none is refused while fewer
//!    than `limit` were accepted in the last `window` × (1 + 1/32). What is refused costs nothing.
//! 3. A refused request is answered 429, with the seconds until one more would pass.
//! 4. At most `max_keys` clients are counted apart, each in at most 256 bytes. Idle ones go first; when
//!    all count, new ones share 4,096 counters, so an overflow may refuse early and never forgets.
//! 5. Addresses and keys are kept as keyed digests only.
//! 6. Of the refusals of one limit the log has one a second, and how many it left out.
//!
//! | header | what it says |
//! |---|---|
//! | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | the limit, how many are left, seconds until all are back |
//! | `RateLimit-Policy`, `RateLimit` | the same, as the IETF draft writes it |
//! | `Retry-After` | on 429 alone, and even without the others |
//!
//! Of several limits the one with the fewest left is shown.
//!
//! # Deployment
//! Behind a proxy that is not listed in `trusted_proxies` all clients are one. Counts are kept in this
//! process: two processes would let twice as many pass, and where
//! [`ApiConfig::processes`](crate::ApiConfig::processes) says that there are several, it is a start-up
//! error. With the feature `redis`, `RateLimit::redis` keeps them
//! in a Redis or Valkey server, for all processes and hosts that ask it: the same two bounds hold while
//! it answers and keeps its data; a fail-over or a flush forgets. While it is away each limit does what
//! `RateLimit::on_failure` says; nobody waits for it longer than 250 ms, and it is used again within a
//! second of its return.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//!
//! use apifrom::middleware::RateLimit;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let limit = RateLimit::new(2, Duration::from_mins(1));
//! let engine = Api::new().add_middleware(limit).endpoints(endpoints![home]).build()?;
//! let client = TestClient::new(engine);
//!
//! assert_eq!(client.get("/").send()?.headers()["x-ratelimit-remaining"], "1");
//! assert_eq!(client.get("/").send()?.status(), 200);
//! assert_eq!(client.get("/").send()?.status(), 429);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standard: RFC 6585 §4 (429), RFC 9110 §10.2.3 (`Retry-After`), draft-ietf-httpapi-ratelimit-headers.

mod key;
mod memory;
mod refusals;
mod rule;
#[cfg(feature = "redis")]
mod shared;
mod stage;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::stage::{Limit, RateLimitStage};
use crate::error::ConfigError;
use crate::facts::LimitFacts;
use crate::key::{KeyFunction, Shared};
use crate::logging::Sink;
use crate::store::Stores;

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(8_760);
/// The largest number that a structured field may hold (RFC 9651 §3.3.1) is far above it.
const HIGHEST: u32 = 1_000_000_000;

/// How many requests of one client pass.
#[doc(alias = "RateLimitMiddleware")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RateLimit {
    /// How many pass in any span of the window: 1 to 1,000,000,000.
    pub limit: u32,
    /// The span: a millisecond to a year.
    pub window: Duration,
    /// Says on every answer how much is left. Defaults to `true`.
    pub headers: bool,
    /// How many clients are counted apart. Defaults to 1,000,000.
    pub max_keys: u32,
    /// As how many a request counts: 1 to the limit. Defaults to 1.
    pub cost: u32,
    key: Key,
    #[cfg(feature = "redis")]
    redis: Option<crate::Secret<String>>,
    /// `None` where nothing was said.
    #[cfg(feature = "redis")]
    on_failure: Option<OnFailure>,
}

/// What a limit does whose counts cannot be had.
#[cfg(feature = "redis")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// Each process counts by itself.
    #[default]
    Local,
    /// Requests are refused with 503.
    Closed,
    /// Every request passes.
    ///
    /// # Security
    /// Whoever can keep the server from answering is not limited.
    InsecureOpen,
}

/// What a limit is compiled with.
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "nothing is shared without a store")
)]
pub(crate) struct Sharing<'a> {
    /// Where in which program it is declared.
    pub(crate) place: String,
    pub(crate) stores: &'a mut Stores,
    pub(crate) sink: &'a Arc<dyn Sink>,
    /// How many processes answer for the API.
    pub(crate) processes: u32,
}

/// Whose requests count together.
#[derive(Debug, Clone)]
enum Key {
    Client,
    Identity,
    Function(Shared),
}

impl RateLimit {
    /// Lets `limit` requests of each client pass in any span of `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit,
            window,
            headers: true,
            max_keys: 1_000_000,
            cost: 1,
            key: Key::Client,
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "redis")]
            on_failure: None,
        }
    }

    /// Reads `100/minute`: a number, and `second`, `minute`, `hour` or `day`, or a number of `s`, `m`,
    /// `h` or `d`, as in `10/30s`.
    ///
    /// # Errors
    /// When it is written in another way.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let expected = || {
            ConfigError::new(
                "rate_limit",
                format!("expected a limit such as \"100/minute\" or \"10/30s\", found {text:?}"),
            )
        };
        let (limit, span) = text.split_once('/').ok_or_else(expected)?;
        let is_plain =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            |digits: &str| -> Option<u32> { digits.parse().ok().filter(|_| is_plain(digits)) };
        let limit = number(limit).ok_or_else(expected)?;
        let (count, unit) = match span {
            "second" | "minute" | "hour" | "day" => (1, span.get(..1)),
            _ => {
                let end = span.len().saturating_sub(1);
                let count = span.get(..end).and_then(number).ok_or_else(expected)?;
                (count, span.get(end..))
            }
        };
        let seconds = match unit {
            Some("s") => 1,
            Some("m") => 60,
            Some("h") => 3_600,
            Some("d") => 86_400,
            _ => return Err(expected()),
        };
        let window = Duration::from_secs(u64::from(count) * seconds);
        Ok(Self::new(limit, window))
    }

    /// Sets [`RateLimit::headers`].
    #[must_use]
    pub fn headers(mut self, on: bool) -> Self {
        self.headers = on;
        self
    }

    /// Sets [`RateLimit::max_keys`].
    #[must_use]
    pub fn max_keys(mut self, keys: u32) -> Self {
        self.max_keys = keys;
        self
    }

    /// Sets [`RateLimit::cost`].
    #[must_use]
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Counts the requests of one caller together, as authentication proved them, wherever they come
    /// from. Whoever is not authenticated is counted by address.
    #[must_use]
    pub fn by_identity(mut self) -> Self {
        self.key = Key::Identity;
        self
    }

    /// Counts requests together for which `function` says the same.
    ///
    /// # Security
    /// What a caller can choose freely (a header, say) limits nobody who wants to get around it.
    #[must_use]
    pub fn key(mut self, function: impl KeyFunction) -> Self {
        self.key = Key::Function(Shared(Arc::new(function)));
        self
    }

    /// Keeps the counts in the Redis or Valkey server at `url`, `redis://user:password@host:6379/0`
    /// (`rediss` for TLS, `unix` for a socket), where all processes and hosts that ask it count
    /// together. An address that is none keeps the API from starting; a server that does not answer
    /// does not.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis(mut self, url: impl Into<crate::Secret<String>>) -> Self {
        self.redis = Some(url.into());
        self
    }

    /// What is done while that server does not answer. Defaults to [`OnFailure::Local`]. Without
    /// [`redis`](Self::redis) it keeps the API from starting.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = Some(on_failure);
        self
    }

    /// What there is to know of it.
    pub(crate) fn facts(&self) -> LimitFacts {
        LimitFacts {
            limit: self.limit,
            window_ms: u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX),
            cost: self.cost,
            key: match self.key {
                Key::Client => "client",
                Key::Identity => "identity",
                Key::Function(_) => "function",
            },
            on_failure: self.failing(),
        }
    }

    #[cfg(feature = "redis")]
    fn failing(&self) -> Option<&'static str> {
        self.redis
            .as_ref()
            .map(|_| match self.on_failure.unwrap_or_default() {
                OnFailure::Local => "local",
                OnFailure::Closed => "closed",
                OnFailure::InsecureOpen => "insecure_open",
            })
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "it has a store only with the feature")]
    fn failing(&self) -> Option<&'static str> {
        None
    }

    /// The limit as requests meet it.
    pub(crate) fn compile(&self, sharing: &mut Sharing<'_>) -> Result<Limit, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut wrong = |field, message| errors.push(ConfigError::new(field, message));
        if !(1..=HIGHEST).contains(&self.limit) {
            let message = format!("expected 1 to {HIGHEST}, found {}", self.limit);
            wrong("rate_limit.limit", message);
        }
        if !(SHORTEST..=LONGEST).contains(&self.window) {
            let message = format!("expected a millisecond to a year, found {:?}", self.window);
            wrong("rate_limit.window", message);
        }
        if self.max_keys == 0 {
            wrong("rate_limit.max_keys", "expected 1 or more, found 0".into());
        }
        if self.limit > 0 && !(1..=self.limit).contains(&self.cost) {
            let message = format!("expected 1 to the limit, found {}", self.cost);
            wrong("rate_limit.cost", message);
        }
        if sharing.processes > 1 && self.failing().is_none() {
            let message = format!(
                "is memory, and each of {} processes would count by itself and let the whole limit \
                 pass; use storage=\"redis\" with redis_url (in Rust: .redis(url))",
                sharing.processes
            );
            wrong("rate_limit.storage", message);
        }
        #[cfg(feature = "redis")]
        if self.redis.is_none() && self.on_failure.is_some() {
            let message = "is of no use without a store that may be away";
            wrong("rate_limit.on_failure", message.into());
        }
        #[cfg(feature = "redis")]
        if let Some(fault) = self
            .redis
            .as_ref()
            .and_then(|url| crate::store::fault(url.expose()))
        {
            wrong("rate_limit.redis_url", fault);
        }
        if errors.is_empty() {
            Ok(Limit::new(self, sharing))
        } else {
            Err(errors)
        }
    }
}

impl fmt::Display for RateLimit {
    /// As in `100 in 60s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.limit, self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for (text, limit, seconds) in [
            ("100/minute", 100, 60),
            ("1/second", 1, 1),
            ("5/hour", 5, 3_600),
            ("7/day", 7, 86_400),
            ("10/30s", 10, 30),
            ("10/2m", 10, 120),
            ("10/12h", 10, 43_200),
            ("10/7d", 10, 604_800),
        ] {
            let read = RateLimit::parse(text).unwrap();
            assert_eq!(
                (read.limit, read.window.as_secs()),
                (limit, seconds),
                "{text}"
            );
        }
        for text in [
            "",
            "/",
            "100",
            "100/",
            "/minute",
            "100/minutes",
            "100/month",
            "1e2/minute",
            "-1/minute",
            "+1/minute",
            " 1/minute",
            "1/ minute",
            "1/m",
            "1/0.5s",
            "1/30",
            "99999999999/minute",
            "1/99999999999s",
            "1/30\u{e4}",
            "1/minute/second",
        ] {
            let error = RateLimit::parse(text).unwrap_err();
            assert!(error.message().contains("100/minute"), "{text}");
        }
        let fault = |text: &str| {
            let sink: Arc<dyn Sink> = Arc::new(crate::logging::TracingSink);
            let mut sharing = Sharing {
                place: String::new(),
                stores: &mut Stores::default(),
                sink: &sink,
                processes: 1,
            };
            let compiled = RateLimit::parse(text).unwrap().compile(&mut sharing);
            compiled.err().unwrap()
        };
        let zero = fault("0/minute");
        assert_eq!(zero[0].path(), "rate_limit.limit");
        let none = fault("1/0s");
        assert_eq!(none[0].path(), "rate_limit.window");
    }
}

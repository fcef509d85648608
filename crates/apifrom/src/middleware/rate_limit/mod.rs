//! Rate limits: how many requests of one client pass in a span of time.
//!
//! 1. A request is counted by its client's address (an IPv6 client by its /64) before anybody is
//!    asked who they are: refused log-ins, unknown paths and failures too. What does not count is
//!    preflights that a policy about origins answers, and what is refused before a route is looked
//!    for (another host, a path that cannot be read), which reaches nothing that a limit protects.
//! 2. Never more than `limit` are accepted in any span of `window`, and none is refused while fewer
//!    than `limit` were accepted in the last `window` × (1 + 1/32). What is refused costs nothing.
//! 3. A refused request is answered 429, with the seconds until one more would pass.
//! 4. At most `max_keys` clients are counted apart, each in at most 256 bytes. Idle ones go first; when
//!    all count, new ones share 4,096 counters, so an overflow may refuse early and never forgets.
//! 5. Addresses are kept as keyed digests only.
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
//! process: two processes let twice as many pass.
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

mod memory;
mod rule;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use self::memory::{Digester, Memory};
use self::rule::{Count, Rule};
use crate::clock::instant;
use crate::error::ConfigError;
use crate::rejection::Rejection;
use crate::request::{Context, Head, Notes};
use crate::response::Response;
use crate::stage::{Decision, Slot, Stage};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(8_760);
/// The largest number that a structured field may hold (RFC 9651 §3.3.1) is far above it.
const HIGHEST: u32 = 1_000_000_000;

/// How many requests of one client address pass.
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
}

impl RateLimit {
    /// Lets `limit` requests of each client pass in any span of `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit,
            window,
            headers: true,
            max_keys: 1_000_000,
        }
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

    /// The limit as requests meet it.
    pub(crate) fn compile(&self) -> Result<RateLimitStage, Vec<ConfigError>> {
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
        if !errors.is_empty() {
            return Err(errors);
        }
        let rule = Rule::new(self.limit, self.window);
        let window = whole_seconds(rule.window());
        Ok(RateLimitStage {
            memory: Memory::new(rule, self.max_keys),
            digester: Digester::default(),
            begin: instant(),
            shown: self.headers.then(|| Prepared {
                limit: HeaderValue::from(rule.limit()),
                policy: text(format!("\"client\";q={};w={window}", rule.limit())),
            }),
        })
    }
}

/// A limit, its counts and what of its headers never changes.
pub(crate) struct RateLimitStage {
    memory: Memory,
    digester: Digester,
    /// What times are counted from. It never goes back.
    begin: Instant,
    /// `None` where nothing is said.
    shown: Option<Prepared>,
}

#[derive(Clone)]
struct Prepared {
    limit: HeaderValue,
    policy: HeaderValue,
}

/// What the answer says about the limit with the fewest left.
#[derive(Clone)]
struct Shown {
    prepared: Prepared,
    remaining: u32,
    reset: u32,
}

impl RateLimitStage {
    fn ask(&self, context: &Context) -> Count {
        let digest = match context.client.network() {
            IpAddr::V4(ip) => self.digester.digest(&ip.octets()),
            IpAddr::V6(ip) => self.digester.digest(&ip.octets()),
        };
        let now = instant().duration_since(self.begin).as_nanos();
        // Five centuries.
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.memory.ask(digest, 1, now)
    }

    fn keep(&self, count: &Count, context: &mut Context) {
        let Some(prepared) = &self.shown else {
            return;
        };
        let stages = &mut context.notes.stages;
        let tighter = stages.get::<Shown>().is_some_and(|shown| {
            // A limit that refuses is the one to show.
            count.accepted && shown.remaining <= count.remaining
        });
        if !tighter {
            stages.insert(Shown {
                prepared: prepared.clone(),
                remaining: count.remaining,
                reset: whole_seconds(count.reset),
            });
        }
    }
}

impl Stage for RateLimitStage {
    fn slot(&self) -> Slot {
        Slot::ClientRateLimit
    }

    fn decide(&self, _head: &Head, context: &mut Context) -> Decision {
        let count = self.ask(context);
        self.keep(&count, context);
        if count.accepted {
            return Decision::Pass;
        }
        let wait = whole_seconds(count.retry_after).max(1);
        let refusal = Rejection::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "too many requests; try again later",
        );
        Decision::Refuse(refusal.header(RETRY_AFTER, HeaderValue::from(wait)))
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        // Where several limits are, each writes the same.
        let Some(shown) = notes.stages.get::<Shown>() else {
            return;
        };
        let headers = response.headers_mut();
        headers.insert(LIMIT, shown.prepared.limit.clone());
        headers.insert(REMAINING, HeaderValue::from(shown.remaining));
        headers.insert(RESET, HeaderValue::from(shown.reset));
        headers.insert(POLICY, shown.prepared.policy.clone());
        let state = format!("\"client\";r={};t={}", shown.remaining, shown.reset);
        headers.insert(STATE, text(state));
    }
}

/// Rounded up, so that whoever waits so long has waited long enough.
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Digits and punctuation are always a header's value.
fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""))
}

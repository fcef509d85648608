//! A limit at one endpoint: what it asks, and what it says on the way back.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use super::memory::{Digester, Memory};
use super::refusals::Refusals;
use super::rule::{Count, Rule};
use super::{Key, RateLimit, Sharing, key};
#[cfg(feature = "redis")]
use super::{OnFailure, shared::SharedCounts};
use crate::clock::instant;
use crate::key::{KeyFunction, Keyed, encoded};
#[cfg(feature = "redis")]
use crate::logging::configuration_weak;
use crate::logging::{Level, SecurityEvent, Sink, part_failed};
use crate::rejection::Rejection;
use crate::request::{Context, Head, Notes};
use crate::response::Response;
use crate::stage::{Decision, Resume, Slot, Stage};
#[cfg(feature = "redis")]
use crate::store::Purpose;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The number of the next limit.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A limit and its counts, shared by the endpoints that it holds for.
pub(crate) struct Limit {
    /// Which one it is.
    number: u64,
    memory: Memory,
    digester: Digester,
    /// What times are counted from. It never goes back.
    begin: Instant,
    cost: u32,
    key: Key,
    refusals: Refusals,
    /// `None` where nothing is said.
    shown: Option<Prepared>,
    /// Where they are not kept in this process.
    #[cfg(feature = "redis")]
    shared: Option<SharedCounts>,
    #[cfg(feature = "redis")]
    on_failure: OnFailure,
}

/// What of the headers never changes.
#[derive(Clone)]
struct Prepared {
    limit: HeaderValue,
    policy: HeaderValue,
    name: &'static str,
}

/// What the answer says about the limit with the fewest left.
#[derive(Clone)]
struct Shown {
    /// That of the limit.
    number: u64,
    prepared: Prepared,
    remaining: u32,
    reset: u32,
}

impl Limit {
    /// A limit whose configuration is right.
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_variables, reason = "nothing is shared without a store")
    )]
    pub(super) fn new(config: &RateLimit, sharing: &mut Sharing<'_>) -> Self {
        let rule = Rule::new(config.limit, config.window);
        let window = whole_seconds(rule.window());
        let name = match &config.key {
            Key::Client => "client",
            Key::Identity => "identity",
            Key::Function(_) => "key",
        };
        #[cfg(feature = "redis")]
        let shared = shared_counts(config, sharing);
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            memory: Memory::new(rule, config.max_keys),
            digester: Digester::default(),
            begin: instant(),
            cost: config.cost,
            key: config.key.clone(),
            refusals: Refusals::default(),
            shown: config.headers.then(|| Prepared {
                limit: HeaderValue::from(rule.limit()),
                policy: text(format!("\"{name}\";q={};w={window}", rule.limit()).into()),
                name,
            }),
            #[cfg(feature = "redis")]
            shared,
            #[cfg(feature = "redis")]
            on_failure: config.on_failure.unwrap_or_default(),
        }
    }

    /// True where requests are counted by address, before anybody is asked who they are.
    pub(crate) fn is_by_client(&self) -> bool {
        matches!(self.key, Key::Client)
    }

    fn since_begin(&self) -> Duration {
        instant().duration_since(self.begin)
    }

    fn ask(&self, key: &[u8]) -> Count {
        // Five centuries fit.
        let now = u64::try_from(self.since_begin().as_nanos()).unwrap_or(u64::MAX);
        self.memory.ask(self.digester.digest(key), self.cost, now)
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
                number: self.number,
                prepared: prepared.clone(),
                remaining: count.remaining,
                reset: whole_seconds(count.reset),
            });
        }
    }
}

/// A limit at one endpoint.
pub(crate) struct RateLimitStage(Arc<Placed>);

struct Placed {
    limit: Arc<Limit>,
    route: Box<str>,
    sink: Arc<dyn Sink>,
}

impl RateLimitStage {
    pub(crate) fn new(limit: Arc<Limit>, route: &str, sink: Arc<dyn Sink>) -> Self {
        Self(Arc::new(Placed {
            limit,
            route: route.into(),
            sink,
        }))
    }
}

impl Placed {
    fn judge(self: &Arc<Self>, key: &[u8], head: &Head, context: &mut Context) -> Decision {
        #[cfg(feature = "redis")]
        if let Some(shared) = &self.limit.shared {
            return self.judge_shared(shared, key, head, context);
        }
        self.judge_here(key, head, context)
    }

    fn judge_here(&self, key: &[u8], head: &Head, context: &mut Context) -> Decision {
        self.answer(&self.limit.ask(key), head, context)
    }

    #[cfg(feature = "redis")]
    fn judge_shared(
        self: &Arc<Self>,
        shared: &SharedCounts,
        key: &[u8],
        head: &Head,
        context: &mut Context,
    ) -> Decision {
        if !shared.is_there() {
            return self.judge_alone(key, head, context);
        }
        let (name, key) = (shared.name(key), key.to_vec());
        let this = Arc::clone(self);
        Decision::Wait(Box::pin(async move {
            let counted = match &this.limit.shared {
                Some(shared) => shared.ask(name, this.limit.cost).await,
                None => Err(crate::store::Away),
            };
            let resume: Resume = Box::new(move |head, context| match counted {
                Ok(count) => this.answer(&count, head, context),
                Err(_) => this.judge_alone(&key, head, context),
            });
            resume
        }))
    }

    /// What is done while the store is away.
    #[cfg(feature = "redis")]
    fn judge_alone(&self, key: &[u8], head: &Head, context: &mut Context) -> Decision {
        match self.limit.on_failure {
            OnFailure::Local => self.judge_here(key, head, context),
            OnFailure::Closed => Decision::Refuse(uncounted()),
            OnFailure::InsecureOpen => Decision::Pass,
        }
    }

    fn answer(&self, count: &Count, head: &Head, context: &mut Context) -> Decision {
        self.limit.keep(count, context);
        if count.accepted {
            return Decision::Pass;
        }
        self.log(head, context);
        let wait = whole_seconds(count.retry_after).max(1);
        let refusal = Rejection::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "too many requests; try again later",
        );
        Decision::Refuse(refusal.header(RETRY_AFTER, HeaderValue::from(wait)))
    }

    fn by_client(self: &Arc<Self>, head: &Head, context: &mut Context) -> Decision {
        let (bytes, length) = key::of_client(&context.client);
        self.judge(bytes.get(..length).unwrap_or(&bytes), head, context)
    }

    fn by_function(
        self: &Arc<Self>,
        function: &dyn KeyFunction,
        head: &Head,
        context: &mut Context,
    ) -> Decision {
        let keyed = function.key(&self.route, head, context);
        self.settle(keyed, head, context)
    }

    fn settle(self: &Arc<Self>, keyed: Keyed, head: &Head, context: &mut Context) -> Decision {
        match keyed {
            Keyed::Key(parts) => self.judge(&encoded(&parts), head, context),
            Keyed::Client => self.by_client(head, context),
            Keyed::Failed(why) => {
                let refusal = uncounted();
                let (id, status) = (&context.notes.request_id, refusal.status());
                part_failed(
                    &*self.sink,
                    &why,
                    id,
                    &self.route,
                    "the key of a limit",
                    status,
                );
                Decision::Refuse(refusal)
            }
            Keyed::Wait(future) => {
                let this = Arc::clone(self);
                Decision::Wait(Box::pin(async move {
                    let keyed = future.await;
                    let resume: Resume =
                        Box::new(move |head, context| this.settle(keyed, head, context));
                    resume
                }))
            }
        }
    }

    fn log(&self, head: &Head, context: &Context) {
        let Some(left_out) = self.limit.refusals.record(self.limit.since_begin()) else {
            return;
        };
        let first = context.identities.iter().next();
        SecurityEvent {
            event: "rate_limited",
            level: Level::Warning,
            scheme: first.map(|identity| identity.method().as_str()),
            reason: Some(match &self.limit.key {
                Key::Client => "client",
                Key::Identity => "identity",
                Key::Function(_) => "key",
            }),
            subject: first.and_then(|identity| identity.subject()),
            status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            left_out,
        }
        .write(&*self.sink, &self.route, head, context);
    }
}

impl Stage for RateLimitStage {
    fn slot(&self) -> Slot {
        if self.0.limit.is_by_client() {
            Slot::ClientRateLimit
        } else {
            Slot::RateLimit
        }
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        match &self.0.limit.key {
            Key::Client => self.0.by_client(head, context),
            Key::Identity => match key::of_identity(context) {
                Some(key) => self.0.judge(&key, head, context),
                None => self.0.by_client(head, context),
            },
            Key::Function(function) => self.0.by_function(&*function.0, head, context),
        }
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        let Some(shown) = notes.stages.get::<Shown>() else {
            return;
        };
        // Where several limits are, the one that is shown writes.
        if shown.number != self.0.limit.number {
            return;
        }
        let headers = response.headers_mut();
        let [remaining, reset, state] = shown.values();
        headers.insert(LIMIT, shown.prepared.limit.clone());
        headers.insert(REMAINING, remaining);
        headers.insert(RESET, reset);
        headers.insert(POLICY, shown.prepared.policy.clone());
        headers.insert(STATE, state);
    }
}

impl Shown {
    /// The values that change, all in one buffer: how many are left, until when, and both.
    fn values(&self) -> [HeaderValue; 3] {
        let Self {
            prepared,
            remaining,
            reset,
            ..
        } = self;
        let mut buffer = BytesMut::with_capacity(64);
        // Writing into a buffer that grows cannot fail.
        let _ = write!(buffer, "{remaining}");
        let first = buffer.len();
        let _ = write!(buffer, "{reset}");
        let second = buffer.len();
        let _ = write!(buffer, "\"{}\";r={remaining};t={reset}", prepared.name);
        let all = buffer.freeze();
        [
            all.slice(..first),
            all.slice(first..second),
            all.slice(second..),
        ]
        .map(text)
    }
}

fn uncounted() -> Rejection {
    Rejection::unavailable(
        "rate_limit_unavailable",
        "this request cannot be counted now; try again shortly",
        1,
    )
}

/// Where the counts are kept, if not in this process.
#[cfg(feature = "redis")]
fn shared_counts(config: &RateLimit, sharing: &mut Sharing<'_>) -> Option<SharedCounts> {
    let url = config.redis.as_ref()?.expose();
    let store = sharing.stores.redis(url, Purpose::Counts, sharing.sink)?;
    if config.on_failure == Some(OnFailure::InsecureOpen) {
        configuration_weak(
            &**sharing.sink,
            "rate_limit.on_failure",
            "while the server is away everybody passes; say local or closed",
        );
    }
    let key = match &config.key {
        Key::Client => "client",
        Key::Identity => "identity",
        Key::Function(_) => "key",
    };
    let place = format!("{}\n{key}", sharing.place);
    let rule = (config.limit, config.window);
    Some(SharedCounts::new(
        store,
        rule,
        &place,
        password(url).as_bytes(),
    ))
}

/// The password that an address holds, as it is written there.
#[cfg(feature = "redis")]
fn password(url: &str) -> &str {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.split_once(':').map_or("", |(_, password)| password)
}

/// Rounded up, so that whoever waits so long has waited long enough.
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Digits and punctuation are always a header's value.
fn text(value: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(value).unwrap_or(HeaderValue::from_static(""))
}

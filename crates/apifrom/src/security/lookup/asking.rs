//! Asks a look-up once for however many wait, and remembers what it said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use tokio::sync::oneshot;

use super::super::known::Known;
use super::super::protection::Compiling;
use super::LookedUp;
use crate::client::{Background, Flights};
use crate::clock::Clock;

/// How long an answer is known, unless the declaration says otherwise.
pub(in crate::security) const CACHE_TTL: Duration = Duration::from_secs(30);
/// When it may be worth another try where a look-up failed, in seconds.
pub(in crate::security) const RETRY_AFTER: u32 = 5;
/// The longest that an answer may be known.
const MAX_TTL: Duration = Duration::from_hours(24);
/// How long a look-up may take.
const TIME_OUT: Duration = Duration::from_secs(5);

type Digest = [u8; 32];

/// The thread on which the look-ups of one engine are waited for. Other servers are asked on another, so
/// that neither holds up the other.
struct Lookers(Background);

/// One look-up of one declaration. `V` is what is kept of what it finds.
pub(in crate::security) struct Asking<V> {
    found: Known<Arc<V>>,
    /// Apart, so that no flood of unknown keys drives out the known ones.
    missing: Known<()>,
    flights: Flights<Digest, Answer<V>>,
    lookers: Arc<Lookers>,
    clock: Arc<dyn Clock>,
    key: hmac::Key,
    ttl: Duration,
}

/// What a look-up said.
pub(in crate::security) enum Answer<V> {
    Found(Arc<V>),
    Missing,
    /// It said nothing, for this reason.
    Failed(&'static str),
}

impl<V> Clone for Answer<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Found(value) => Self::Found(Arc::clone(value)),
            Self::Missing => Self::Missing,
            Self::Failed(reason) => Self::Failed(reason),
        }
    }
}

/// Notes a `cache_ttl` that is none.
pub(in crate::security) fn check_ttl(ttl: Duration, compiling: &mut Compiling<'_>) {
    if ttl > MAX_TTL {
        compiling.error("cache_ttl", "expected at most 86400 seconds");
    }
}

impl<V: Send + Sync + 'static> Asking<V> {
    /// Remembers for `ttl`; nothing, which is noted, where the system gives no random bytes.
    pub(in crate::security) fn new(
        ttl: Duration,
        compiling: &mut Compiling<'_>,
    ) -> Option<Arc<Self>> {
        let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else {
            compiling.error("lookup", "the system gives no random bytes");
            return None;
        };
        Some(Arc::new(Self {
            found: Known::default(),
            missing: Known::default(),
            flights: Flights::default(),
            lookers: compiling.shared(|| Lookers(Background::new())),
            clock: compiling.clock(),
            key,
            ttl,
        }))
    }

    /// What the answer about `name` is kept under.
    pub(in crate::security) fn place(&self, name: &[u8]) -> Digest {
        let tag = hmac::sign(&self.key, name);
        let mut place = [0; 32];
        for (to, from) in place.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        place
    }

    /// What is known now.
    pub(in crate::security) fn known(&self, place: &Digest) -> Option<Answer<V>> {
        let now = self.clock.unix();
        let found = self.found.find(place, now).map(Answer::Found);
        found.or_else(|| self.missing.find(place, now).map(|()| Answer::Missing))
    }

    /// Waits for the answer. `begin` is called at once, by the first who asks; `read` makes what is kept
    /// of what was found, or nothing where that cannot be used.
    ///
    /// It must be called where futures of requests are polled: what `begin` calls may belong there.
    pub(in crate::security) fn ask<R: Send + 'static>(
        self: &Arc<Self>,
        place: Digest,
        begin: impl FnOnce() -> LookedUp<R>,
        read: fn(R) -> Option<V>,
    ) -> oneshot::Receiver<Answer<V>> {
        let (answer, asks) = self.flights.join(place);
        if !asks {
            return answer;
        }
        let mut landing = Landing {
            asking: Arc::clone(self),
            place,
            answer: Answer::Failed("lookup_failed"),
        };
        // Another may have landed since this one looked.
        if let Some(known) = self.known(&place) {
            landing.answer = known;
            return answer;
        }
        let asked = self.clock.unix();
        let Ok(future) = catch_unwind(AssertUnwindSafe(begin)) else {
            return answer;
        };
        landing.answer = Answer::Failed("lookup_busy");
        // Where there is no room for it, it lands as it is dropped.
        let _ = self.lookers.0.spawn(move |_| async move {
            landing.answer = Answer::Failed("lookup_failed");
            landing.answer = match tokio::time::timeout(TIME_OUT, future).await {
                Err(_) => Answer::Failed("lookup_timed_out"),
                Ok(Err(error)) => Answer::Failed(error.reason()),
                Ok(Ok(None)) => Answer::Missing,
                Ok(Ok(Some(found))) => match read(found) {
                    Some(value) => Answer::Found(Arc::new(value)),
                    None => Answer::Failed("lookup_invalid"),
                },
            };
            landing.asking.keep(&place, &landing.answer, asked);
        });
        answer
    }

    fn keep(&self, place: &Digest, answer: &Answer<V>, asked: Duration) {
        let until = asked.saturating_add(self.ttl);
        if self.clock.unix() >= until {
            return;
        }
        match answer {
            Answer::Found(value) => self.found.keep(place, Arc::clone(value), asked, until),
            Answer::Missing => self.missing.keep(place, (), asked, until),
            Answer::Failed(_) => {}
        }
    }
}

/// Hands the answer to all who wait for it when it is dropped, so that nobody waits for a look-up that
/// panicked.
struct Landing<V: Send + Sync + 'static> {
    asking: Arc<Asking<V>>,
    place: Digest,
    answer: Answer<V>,
}

impl<V: Send + Sync + 'static> Drop for Landing<V> {
    fn drop(&mut self) {
        self.asking.flights.land(&self.place, &self.answer);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::known::KNOWN;
    use super::*;
    use crate::clock::ManualClock;

    fn asking(lookers: Background) -> Arc<Asking<&'static str>> {
        Arc::new(Asking {
            found: Known::default(),
            missing: Known::default(),
            flights: Flights::default(),
            lookers: Arc::new(Lookers(lookers)),
            clock: Arc::new(ManualClock::at(Duration::from_secs(1_000))),
            key: hmac::Key::new(hmac::HMAC_SHA256, b"of this test"),
            ttl: CACHE_TTL,
        })
    }

    fn ask(asking: &Arc<Asking<&'static str>>, name: &str, said: Option<&'static str>) {
        let begin = || -> LookedUp<&'static str> { Box::pin(async move { Ok(said) }) };
        let answer = asking.ask(asking.place(name.as_bytes()), begin, Some);
        assert_eq!(
            matches!(answer.blocking_recv(), Ok(Answer::Found(_))),
            said.is_some()
        );
    }

    fn is_known(asking: &Arc<Asking<&'static str>>, name: &str) -> bool {
        asking.known(&asking.place(name.as_bytes())).is_some()
    }

    #[test]
    fn a_flood_of_unknown_keys_forgets_the_oldest_of_them_and_no_known_one() {
        let asking = asking(Background::new());
        ask(&asking, "known", Some("stored"));
        for number in 0..=KNOWN {
            ask(&asking, &format!("unknown {number}"), None);
        }
        assert_eq!((asking.found.len(), asking.missing.len()), (1, KNOWN));
        assert!(is_known(&asking, "known"));
        assert!(!is_known(&asking, "unknown 0"));
        assert!(is_known(&asking, "unknown 1"));
        assert!(is_known(&asking, &format!("unknown {KNOWN}")));
    }

    #[test]
    fn what_comes_while_too_many_are_under_way_fails_at_once() {
        let asking = asking(Background::new());
        let begin = || -> LookedUp<&'static str> { Box::pin(std::future::pending()) };
        let waiting: Vec<_> = (0..256)
            .map(|number: u32| asking.ask(asking.place(&number.to_le_bytes()), begin, Some))
            .collect();
        let answer = asking.ask(asking.place(b"one more"), begin, Some);
        assert!(matches!(
            answer.blocking_recv(),
            Ok(Answer::Failed("lookup_busy"))
        ));
        drop(waiting);
    }
}

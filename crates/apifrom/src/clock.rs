//! The one home of time: every decision that depends on it takes a [`Clock`].
//!
//! `SystemTime::now` and `Instant::now` are banned everywhere else, so a test can hold time still
//! and no decision reads two different instants.

mod timers;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) use self::timers::Timers;
pub use self::timers::runtime_has_timers;

/// Where a decision takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// Time since the Unix epoch, for values that are compared with what others wrote (`exp`,
    /// cookies, log lines). Never negative: a machine set before 1970 reads zero.
    fn unix(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix(&self) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "the one home of wall-clock time")]
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `since_epoch`.
    pub fn at(since_epoch: Duration) -> Self {
        let clock = Self::default();
        clock.set(since_epoch);
        clock
    }

    /// Shows `since_epoch` from now on.
    pub fn set(&self, since_epoch: Duration) {
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        self.millis.store(millis, Ordering::Release);
    }

    /// Moves forward by `step`.
    pub fn advance(&self, step: Duration) {
        let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        self.millis.fetch_add(millis, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn unix(&self) -> Duration {
        let millis = self.millis.load(Ordering::Acquire);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}

/// The monotonic instant, for durations only.
pub(crate) fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one home of monotonic time")]
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_shows_what_it_was_set_to_and_moves_by_steps() {
        let clock = ManualClock::at(Duration::from_secs(1_000));
        assert_eq!(clock.unix(), Duration::from_secs(1_000));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.unix(), Duration::from_millis(1_001_500));
    }

    #[test]
    fn the_system_clock_is_past_the_day_this_was_written() {
        assert!(SystemClock.unix() > Duration::from_secs(1_700_000_000));
    }
}

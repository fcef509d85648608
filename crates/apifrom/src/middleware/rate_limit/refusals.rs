//! What the log has of a limit's refusals: one a second, and how many it left out.
//!
//! Whoever is refused can send as many requests as they like; a record of each would be theirs to make.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Of how many refusals a record stands.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The second of the last record, from one on.
    last: AtomicU64,
    left_out: AtomicU64,
}

impl Refusals {
    /// Whether a refusal at `now` gets a record, and how many before it got none.
    pub(super) fn record(&self, now: Duration) -> Option<u64> {
        let second = now.as_secs() + 1;
        let last = self.last.load(Ordering::Relaxed);
        let is_first = last < second
            && self
                .last
                .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_first {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_recorded_and_the_others_are_counted() {
        let refusals = Refusals::default();
        let at = |seconds: f64| refusals.record(Duration::from_secs_f64(seconds));
        assert_eq!(at(0.0), Some(0));
        assert_eq!([at(0.1), at(0.9)], [None, None]);
        assert_eq!(at(1.0), Some(2));
        assert_eq!(at(1.5), None);
        assert_eq!(at(9.0), Some(1));
        assert_eq!(at(10.0), Some(0));
    }
}

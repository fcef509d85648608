//! Marks against tokens, in the memory of this process.
//!
//! 1. A mark stands against whatever was issued before a moment, and lives until another.
//! 2. Two marks under one key become one that covers what both cover.
//! 3. At most `capacity` marks are kept. When all places are taken the marks that are over go first;
//!    where none is, the new one is refused and the caller told: no mark that is live is ever dropped.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// What a mark is kept under.
pub(crate) type Key = [u8; 32];

/// What is held against the tokens of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Covers tokens that were issued before it; [`Duration::MAX`] covers all.
    pub(crate) before: Duration,
    /// When it is over; [`Duration::MAX`] is never.
    pub(crate) until: Duration,
}

/// Every place is taken by a mark that is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The marks of one store.
pub(crate) struct Ledger {
    capacity: usize,
    marks: RwLock<Marks>,
}

#[derive(Default)]
struct Marks {
    known: HashMap<Key, Mark>,
    /// No mark is over before it.
    next_over: Duration,
}

impl Ledger {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            marks: RwLock::default(),
        }
    }

    /// Before which moment tokens of `key` are covered, where there is a mark that is live.
    pub(crate) fn find(&self, key: &Key, now: Duration) -> Option<Duration> {
        let marks = self.marks.read().unwrap_or_else(PoisonError::into_inner);
        let mark = marks.known.get(key)?;
        (now < mark.until).then_some(mark.before)
    }

    /// Adds a mark.
    ///
    /// # Errors
    /// When there is no place for it.
    pub(crate) fn add(&self, key: Key, mark: Mark, now: Duration) -> Result<(), Full> {
        let mut marks = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = marks.known.get_mut(&key) {
            *known = if now < known.until {
                Mark {
                    before: known.before.max(mark.before),
                    until: known.until.max(mark.until),
                }
            } else {
                mark
            };
        } else {
            if marks.known.len() >= self.capacity && marks.next_over <= now {
                marks.known.retain(|_, mark| now < mark.until);
                let ends = marks.known.values().map(|mark| mark.until);
                marks.next_over = ends.min().unwrap_or(Duration::MAX);
            }
            if marks.known.len() >= self.capacity {
                return Err(Full);
            }
            marks.known.insert(key, mark);
        }
        marks.next_over = marks.next_over.min(mark.until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn mark(before: u64, until: u64) -> Mark {
        Mark {
            before: at(before),
            until: at(until),
        }
    }

    #[test]
    fn a_mark_lives_until_its_end() {
        let ledger = Ledger::new(10);
        ledger.add([1; 32], mark(5, 100), at(10)).unwrap();
        assert_eq!(ledger.find(&[1; 32], at(99)), Some(at(5)));
        assert_eq!(ledger.find(&[1; 32], at(100)), None);
        assert_eq!(ledger.find(&[2; 32], at(10)), None);
    }

    #[test]
    fn two_marks_of_one_key_cover_what_both_do() {
        let ledger = Ledger::new(1);
        ledger.add([1; 32], mark(50, 100), at(10)).unwrap();
        ledger.add([1; 32], mark(20, 200), at(10)).unwrap();
        assert_eq!(ledger.find(&[1; 32], at(150)), Some(at(50)));
        // One that is over says nothing any more.
        ledger.add([1; 32], mark(20, 300), at(200)).unwrap();
        assert_eq!(ledger.find(&[1; 32], at(250)), Some(at(20)));
    }

    #[test]
    fn a_full_ledger_drops_what_is_over_and_nothing_that_is_live() {
        let ledger = Ledger::new(2);
        ledger.add([1; 32], mark(0, 100), at(10)).unwrap();
        ledger.add([2; 32], mark(0, 50), at(10)).unwrap();
        assert_eq!(ledger.add([3; 32], mark(0, 100), at(49)), Err(Full));
        assert!(ledger.find(&[1; 32], at(49)).is_some());
        assert!(ledger.find(&[2; 32], at(49)).is_some());
        assert_eq!(ledger.add([3; 32], mark(0, 90), at(50)), Ok(()));
        assert_eq!(ledger.add([4; 32], mark(0, 100), at(89)), Err(Full));
        assert_eq!(ledger.add([4; 32], mark(0, 100), at(90)), Ok(()));
        assert_eq!(ledger.add([5; 32], mark(0, 100), at(91)), Err(Full));
        assert!(ledger.find(&[1; 32], at(91)).is_some());
    }
}

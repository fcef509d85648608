//! When a worker that ended is followed by another.
//!
//! 1. One that served for ten seconds is followed at once.
//! 2. One that served for less is followed at once the first time, then after 0.1 s, twice as long each
//!    time, and 5 s at most. This never ends: whoever can crash a worker by a request must not be able to
//!    end the service.
//! 3. One that never served is followed after 0.25 s, 0.5 s, 1 s and 2 s. After the fifth in a row the
//!    whole server gives up: what waits at that worker's socket would wait for ever.

use std::time::Duration;

/// From here on a worker ended for a reason of its own.
const LASTING: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause after the first that never served.
const FAILED_PAUSE: Duration = Duration::from_millis(250);
/// How many in a row may never serve.
const FAILURES: u32 = 5;

/// What became of the workers of one place.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    /// Those in a row that ended soon after they served.
    short: u32,
    /// Those in a row that never served.
    failed: u32,
}

/// What follows a worker that ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    After(Duration),
    GiveUp,
}

impl Restarts {
    /// What follows a worker that served for so long, or never.
    pub(super) fn after(&mut self, served: Option<Duration>) -> Next {
        let Some(served) = served else {
            self.failed += 1;
            if self.failed >= FAILURES {
                return Next::GiveUp;
            }
            return Next::After(doubled(FAILED_PAUSE, self.failed - 1));
        };
        self.failed = 0;
        if served >= LASTING {
            self.short = 0;
            return Next::After(Duration::ZERO);
        }
        self.short = self.short.saturating_add(1);
        Next::After(match self.short {
            1 => Duration::ZERO,
            short => doubled(FIRST_PAUSE, short - 2),
        })
    }
}

fn doubled(pause: Duration, times: u32) -> Duration {
    let factor = 2_u32.checked_pow(times).unwrap_or(u32::MAX);
    pause.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(restarts: &mut Restarts, served: Option<Duration>, count: usize) -> Vec<u64> {
        let mut pauses = Vec::new();
        for _ in 0..count {
            match restarts.after(served) {
                Next::After(pause) => pauses.push(u64::try_from(pause.as_millis()).unwrap()),
                Next::GiveUp => pauses.push(u64::MAX),
            }
        }
        pauses
    }

    #[test]
    fn one_that_served_for_long_is_followed_at_once_each_time() {
        let mut restarts = Restarts::default();
        assert_eq!(pauses(&mut restarts, Some(LASTING), 3), [0, 0, 0]);
    }

    #[test]
    fn those_that_end_soon_are_followed_more_and_more_slowly_and_for_ever() {
        let mut restarts = Restarts::default();
        let short = Some(Duration::from_secs(9));
        assert_eq!(
            pauses(&mut restarts, short, 9),
            [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]
        );
        assert!(
            pauses(&mut restarts, short, 1_000)
                .iter()
                .all(|&pause| pause == 5_000)
        );
        assert_eq!(pauses(&mut restarts, Some(LASTING), 1), [0]);
        assert_eq!(pauses(&mut restarts, short, 2), [0, 100]);
    }

    #[test]
    fn five_in_a_row_that_never_serve_are_enough() {
        let mut restarts = Restarts::default();
        assert_eq!(
            pauses(&mut restarts, None, 5),
            [250, 500, 1_000, 2_000, u64::MAX]
        );
        let mut restarts = Restarts::default();
        assert_eq!(pauses(&mut restarts, None, 4), [250, 500, 1_000, 2_000]);
        assert_eq!(pauses(&mut restarts, Some(LASTING), 1), [0]);
        assert_eq!(pauses(&mut restarts, None, 1), [250]);
    }
}

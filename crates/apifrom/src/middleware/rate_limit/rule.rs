//! How many requests of one key pass, whoever keeps the counts.
//!
//! 1. Never more than `limit` are accepted in any span of `window`.
//! 2. None is refused while fewer than `limit` were accepted in the last `window` × (1 + 1/32).
//!
//! Up to a limit of 32 the time of each acceptance is kept, above it the count of each thirty-second
//! part of the window; what is kept is cut to whole units, always to the side of the first bound.

use std::time::Duration;

/// Up to this limit times are kept, and so many parts a window has above it.
const PARTS: u32 = 32;
/// In how many units of time a window is cut where times are kept. A stored time wraps after
/// sixteen windows, and none is kept for more than two.
const UNITS: u64 = 1 << 28;

/// A limit and its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    limit: u32,
    window: Duration,
    /// Nanoseconds of a unit.
    unit: u64,
    /// For how many units an acceptance counts.
    span: u64,
    /// How many numbers a key needs.
    slots: u32,
}

/// The counts of one key, beside its slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The unit of the last acceptance.
    last: u64,
    /// What was accepted and still counts.
    used: u32,
    /// The slot of the oldest time, where times are kept.
    head: u32,
}

/// What a rule says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// True when the request passes.
    pub(crate) accepted: bool,
    /// How many more would pass now.
    pub(crate) remaining: u32,
    /// Until the whole quota is back.
    pub(crate) reset: Duration,
    /// Until this request would pass; zero when it did.
    pub(crate) retry_after: Duration,
}

impl Rule {
    /// A limit of at least one in a window between a millisecond and a year.
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let keeps_times = limit <= PARTS;
        let unit = if keeps_times {
            nanos.div_ceil(UNITS)
        } else {
            nanos.div_ceil(u64::from(PARTS))
        };
        // One more than a window has: the unit in which the oldest lies counts whole.
        let span = nanos.div_ceil(unit) + 1;
        let slots = if keeps_times { limit } else { PARTS + 1 };
        Self {
            limit,
            window,
            unit,
            span,
            slots,
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn window(&self) -> Duration {
        self.window
    }

    pub(super) fn slots(&self) -> usize {
        self.slots as usize
    }

    /// True when nothing counts any more at `now`, in nanoseconds.
    pub(super) fn is_idle(&self, counts: &Counts, now: u64) -> bool {
        counts.used == 0 || (now / self.unit).saturating_sub(counts.last) >= self.span
    }

    /// Asks for `cost` at `now`, in nanoseconds since any beginning.
    pub(super) fn ask(&self, counts: &mut Counts, slots: &mut [u32], cost: u32, now: u64) -> Count {
        // Two threads may come here in another order than they read the clock in.
        let unit = (now / self.unit).max(counts.last);
        self.expire(counts, slots, unit);
        let accepted = u64::from(counts.used) + u64::from(cost) <= u64::from(self.limit);
        if accepted {
            self.accept(counts, slots, cost, unit);
        }
        let retry_after = if accepted {
            0
        } else {
            let passing = self.passing(counts, slots, cost, unit);
            passing.saturating_mul(self.unit).saturating_sub(now)
        };
        let reset = if counts.used == 0 {
            0
        } else {
            ((counts.last + self.span).saturating_mul(self.unit)).saturating_sub(now)
        };
        Count {
            accepted,
            remaining: self.limit.saturating_sub(counts.used),
            reset: Duration::from_nanos(reset),
            retry_after: Duration::from_nanos(retry_after),
        }
    }

    fn keeps_times(&self) -> bool {
        self.limit <= PARTS
    }

    /// Drops what does not count any more.
    fn expire(&self, counts: &mut Counts, slots: &mut [u32], unit: u64) {
        if counts.used == 0 {
            return;
        }
        if unit - counts.last >= self.span {
            if !self.keeps_times() {
                slots.fill(0);
            }
            counts.used = 0;
        } else if self.keeps_times() {
            while counts.used > 0 && self.age(Self::slot(slots, counts.head), unit) >= self.span {
                counts.head = self.after(counts.head, 1);
                counts.used -= 1;
            }
        } else {
            for passed in counts.last + 1..=unit {
                if let Some(slot) = slots.get_mut(self.part(passed)) {
                    counts.used -= *slot;
                    *slot = 0;
                }
            }
        }
    }

    fn accept(&self, counts: &mut Counts, slots: &mut [u32], cost: u32, unit: u64) {
        if self.keeps_times() {
            for place in 0..cost {
                let place = self.after(counts.head, counts.used + place) as usize;
                if let Some(slot) = slots.get_mut(place) {
                    *slot = low(unit);
                }
            }
        } else if let Some(slot) = slots.get_mut(self.part(unit)) {
            *slot += cost;
        }
        if cost > 0 {
            counts.used += cost;
            counts.last = unit;
        }
    }

    /// The unit in which `cost` would pass if nothing else came.
    fn passing(&self, counts: &Counts, slots: &[u32], cost: u32, unit: u64) -> u64 {
        if cost > self.limit {
            return u64::MAX;
        }
        let excess = counts.used + cost - self.limit;
        if self.keeps_times() {
            let last_to_go = self.after(counts.head, excess - 1);
            let age = self.age(Self::slot(slots, last_to_go), unit);
            return unit + (self.span - age);
        }
        let mut gone = 0;
        for part in (unit + 1).saturating_sub(self.span)..=unit {
            gone += slots.get(self.part(part)).copied().unwrap_or_default();
            if gone >= excess {
                return part + self.span;
            }
        }
        unit + self.span
    }

    fn age(&self, time: u32, unit: u64) -> u64 {
        u64::from(low(unit).wrapping_sub(time)).min(self.span)
    }

    fn slot(slots: &[u32], place: u32) -> u32 {
        slots.get(place as usize).copied().unwrap_or_default()
    }

    fn after(&self, place: u32, steps: u32) -> u32 {
        (place + steps) % self.slots.max(1)
    }

    fn part(&self, unit: u64) -> usize {
        usize::try_from(unit % u64::from(self.slots)).unwrap_or_default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is meant"
)]
fn low(unit: u64) -> u32 {
    unit as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key and its rule, at a time that the test moves.
    struct Key {
        rule: Rule,
        counts: Counts,
        slots: Vec<u32>,
    }

    impl Key {
        fn new(limit: u32, window: Duration) -> Self {
            let rule = Rule::new(limit, window);
            let slots = vec![0; rule.slots()];
            let counts = Counts::default();
            Self {
                rule,
                counts,
                slots,
            }
        }

        fn ask(&mut self, cost: u32, now: u64) -> Count {
            let Self {
                rule,
                counts,
                slots,
            } = self;
            rule.ask(counts, slots, cost, now)
        }
    }

    #[test]
    fn the_limit_passes_and_the_next_waits_for_the_oldest() {
        for limit in [1, 5, 32, 33, 1_000] {
            let mut key = Key::new(limit, Duration::from_secs(2));
            for left in (0..limit).rev() {
                let count = key.ask(1, 1_000_000);
                assert!(count.accepted, "{limit}");
                assert_eq!(count.remaining, left);
                assert_eq!(count.retry_after, Duration::ZERO);
            }
            let refused = key.ask(1, 1_000_000_000);
            assert!(!refused.accepted, "{limit}");
            assert_eq!(refused.remaining, 0);
            let wait = refused.retry_after;
            assert!(wait > Duration::from_secs(1) && wait <= Duration::from_millis(1_063));
            let nanos = u64::try_from(wait.as_nanos()).unwrap();
            assert!(!key.ask(1, 1_000_000_000 + nanos - 1_000_000).accepted);
            assert!(key.ask(1, 1_000_000_000 + nanos).accepted, "{limit}");
        }
    }

    #[test]
    fn the_whole_quota_is_back_when_it_is_said_to_be() {
        for limit in [3, 100] {
            let mut key = Key::new(limit, Duration::from_mins(1));
            let count = key.ask(2, 7_000_000_000);
            assert_eq!(count.remaining, limit - 2);
            let back = 7_000_000_000 + u64::try_from(count.reset.as_nanos()).unwrap();
            assert_eq!(key.ask(0, back).remaining, limit);
            assert_eq!(key.ask(0, back).reset, Duration::ZERO);
        }
    }

    #[test]
    fn what_is_refused_costs_nothing_and_a_dear_request_needs_room() {
        for limit in [4, 40] {
            let mut key = Key::new(limit, Duration::from_secs(1));
            assert!(key.ask(limit - 1, 0).accepted);
            assert!(!key.ask(2, 1).accepted);
            assert_eq!(key.ask(1, 2).remaining, 0);
            assert!(!key.ask(limit + 1, 5_000_000_000).accepted);
            assert!(key.ask(limit, 5_000_000_000).accepted);
        }
    }

    #[test]
    fn long_silence_and_a_clock_that_is_read_in_another_order_forget_nothing_and_owe_nothing() {
        for limit in [2, 50] {
            let window = Duration::from_secs(1);
            let mut key = Key::new(limit, window);
            // More than a stored time takes to wrap.
            for round in 0..5_u64 {
                let now = round * 16_000_000_123 + 5_000_000_000;
                assert!(key.ask(limit, now).accepted, "{round}");
                assert!(!key.ask(1, now - 3).accepted);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn both_bounds_hold(
            limit in prop_oneof![1_u32..6, 30_u32..36, Just(100)],
            millis in prop_oneof![Just(1_u64), Just(32), Just(1_000), Just(86_400_000)],
            steps in prop::collection::vec((0_u64..1_000, 0_u32..3, 1_u32..4), 1..400),
        ) {
            let window = millis * 1_000_000;
            let mut key = Key::new(limit, Duration::from_millis(millis));
            let mut now = 12_345_678_901_u64;
            let mut accepted: Vec<(u64, u32)> = Vec::new();
            for (step, scale, cost) in steps {
                // Bursts, steps of a few parts of the window, and long silences.
                now += [0, window / 4_096 * step, window / 100 * step / 8][scale as usize];
                let within = |span: u64| -> u64 {
                    let counts = accepted.iter().filter(|(at, _)| now - at < span);
                    counts.map(|(_, cost)| u64::from(*cost)).sum()
                };
                let (in_window, in_longest) = (within(window), within(window + window.div_ceil(32) + 64));
                let cost = cost.min(limit);
                let count = key.ask(cost, now);
                if count.accepted {
                    prop_assert!(in_window + u64::from(cost) <= u64::from(limit));
                    accepted.push((now, cost));
                } else {
                    prop_assert!(in_longest + u64::from(cost) > u64::from(limit));
                    let wait = u64::try_from(count.retry_after.as_nanos()).unwrap();
                    prop_assert!(wait > 0 && wait <= window + window.div_ceil(32) + 64);
                }
            }
        }
    }
}

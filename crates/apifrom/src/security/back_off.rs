//! Back-off: who failed too often is not checked for a while.
//!
//! 1. Failures are counted in any span of 5 minutes: 10 for one client address and user, 100 for one
//!    address whatever the user.
//! 2. Beyond either the check is not made at all, right or wrong, and the answer is 429 with the
//!    seconds until it would be made again. A check that is under way counts as a failure until it is
//!    known to be none, so that guesses that are made at once are no more than those one after another.
//! 3. An IPv6 client is its /64. All clients behind a Unix domain socket that names nobody are one.
//! 4. Look-ups of tokens that nobody knows yet are counted for themselves, right or wrong: 100 a minute
//!    of one address.
//! 5. Several processes that answer for one API divide these figures among them, and no share is less
//!    than 1: each counts by itself, and a client may come to any of them.
//! 6. At most 100,000 counters are kept; the one that was idle longest goes first.
//!
//! It covers only secrets that people choose and checks that cost. What was proved before (a cached
//! login) is never held back, so that nobody is locked out by a neighbour who guesses.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::protection::Compiling;
use crate::request::Client;

/// How long a failure counts.
const SPAN: Duration = Duration::from_mins(5);
/// How many a client may have with one user, and in all.
const OF_USER: usize = 10;
const OF_ADDRESS: usize = 100;
/// How many look-ups a client may cause, and in which time.
const LOOK_UPS: usize = 100;
const LOOK_UP_SPAN: Duration = Duration::from_mins(1);
/// How many counters there may be.
const COUNTERS: usize = 100_000;

/// The counters of one engine.
pub(in crate::security) struct BackOff {
    counters: Mutex<Counters>,
    /// Among how many processes the figures are divided.
    processes: usize,
}

/// Whom a failure is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::security) struct Who {
    address: IpAddr,
    of: Of,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// Failures with one user, by a digest of its name.
    User([u8; 16]),
    /// Failures with any user.
    Users,
    LookUps,
}

#[derive(Default)]
struct Counters {
    known: HashMap<Who, Counter>,
    /// In the order in which they were touched, with the touch that counts.
    order: VecDeque<(Who, u64)>,
    touches: u64,
}

#[derive(Default)]
struct Counter {
    failures: VecDeque<Duration>,
    /// How many checks are under way.
    under_way: usize,
    touch: u64,
}

/// A check that is under way. Dropped, it was none.
pub(in crate::security) struct Check {
    back_off: Arc<BackOff>,
    of: [Who; 2],
}

impl Check {
    /// It failed.
    pub(in crate::security) fn failed(self, now: Duration) {
        let mut counters = self.back_off.lock();
        for who in self.of {
            counters.count(who, self.back_off.limit(&who), now);
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let mut counters = self.back_off.lock();
        for who in &self.of {
            counters.end(who);
        }
    }
}

impl Who {
    /// A client, whatever its user.
    fn address(client: &Client) -> Self {
        Self {
            address: client.network(),
            of: Of::Users,
        }
    }

    /// A client with one user, of whose name a digest is kept.
    fn user(client: &Client, user: &str) -> Self {
        let mut short = [0; 16];
        let whole = digest(&SHA256, user.as_bytes());
        for (to, from) in short.iter_mut().zip(whole.as_ref()) {
            *to = *from;
        }
        Self {
            of: Of::User(short),
            ..Self::address(client)
        }
    }

    /// How many there may be in one of so many processes.
    fn limit(&self, processes: usize) -> usize {
        let limit = match self.of {
            Of::User(_) => OF_USER,
            Of::Users => OF_ADDRESS,
            Of::LookUps => LOOK_UPS,
        };
        (limit / processes).max(1)
    }

    fn span(&self) -> Duration {
        match self.of {
            Of::User(_) | Of::Users => SPAN,
            Of::LookUps => LOOK_UP_SPAN,
        }
    }
}

impl BackOff {
    /// The counters that all methods of one engine share.
    pub(in crate::security) fn of(compiling: &mut Compiling<'_>) -> Arc<Self> {
        let processes = compiling.processes();
        compiling.shared(|| Self::among(processes))
    }

    /// Counters of one of so many processes.
    fn among(processes: u32) -> Self {
        let processes = usize::try_from(processes).unwrap_or(usize::MAX).max(1);
        Self {
            counters: Mutex::default(),
            processes,
        }
    }

    /// Seconds until a check may be made again; nothing where it may be made now.
    pub(in crate::security) fn held(
        &self,
        client: &Client,
        user: &str,
        now: Duration,
    ) -> Option<u32> {
        let counters = self.lock();
        [Who::user(client, user), Who::address(client)]
            .iter()
            .filter_map(|who| counters.held(who, self.limit(who), now))
            .max()
    }

    /// Counts a look-up; seconds until one may be made again where it may not be made now.
    pub(in crate::security) fn look_up(&self, client: &Client, now: Duration) -> Option<u32> {
        let who = Who {
            of: Of::LookUps,
            ..Who::address(client)
        };
        let mut counters = self.lock();
        let limit = self.limit(&who);
        let held = counters.held(&who, limit, now);
        if held.is_none() {
            counters.count(who, limit, now);
        }
        held
    }

    /// Begins a check.
    ///
    /// # Errors
    /// Seconds until one may be made again, where it may not be made now.
    pub(in crate::security) fn begin(
        self: &Arc<Self>,
        client: &Client,
        user: &str,
        now: Duration,
    ) -> Result<Check, u32> {
        let of = [Who::user(client, user), Who::address(client)];
        let mut counters = self.lock();
        let held = of
            .iter()
            .filter_map(|who| counters.held(who, self.limit(who), now));
        if let Some(retry_after) = held.max() {
            return Err(retry_after);
        }
        for who in of {
            counters.known.entry(who).or_default().under_way += 1;
        }
        drop(counters);
        Ok(Check {
            back_off: Arc::clone(self),
            of,
        })
    }

    fn limit(&self, who: &Who) -> usize {
        who.limit(self.processes)
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn held(&self, who: &Who, limit: usize, now: Duration) -> Option<u32> {
        let counter = self.known.get(who)?;
        let left = |oldest: usize| {
            let ends = counter.failures.get(oldest)?.saturating_add(who.span());
            ends.checked_sub(now).filter(|left| !left.is_zero())
        };
        let failures = counter.failures.len();
        // The failure that has to grow old before there is room for another.
        if let Some(left) = failures.checked_sub(limit).and_then(left) {
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            return u32::try_from(seconds).ok();
        }
        // What is under way is over in a moment, and may be no failure.
        let is_full = match limit.checked_sub(counter.under_way) {
            None | Some(0) => true,
            Some(limit) => failures.checked_sub(limit).and_then(left).is_some(),
        };
        is_full.then_some(1)
    }

    /// Ends a check.
    fn end(&mut self, who: &Who) {
        if let Some(counter) = self.known.get_mut(who) {
            counter.under_way = counter.under_way.saturating_sub(1);
            if counter.under_way == 0 && counter.failures.is_empty() {
                self.known.remove(who);
            }
        }
    }

    fn count(&mut self, who: Who, limit: usize, now: Duration) {
        self.touches += 1;
        let touch = self.touches;
        let span = who.span();
        let counter = self.known.entry(who).or_default();
        counter.touch = touch;
        counter.failures.push_back(now);
        // More than the limit of them says nothing that the limit does not.
        while counter.failures.len() > limit
            || counter
                .failures
                .front()
                .is_some_and(|first| first.saturating_add(span) <= now)
        {
            counter.failures.pop_front();
        }
        self.order.push_back((who, touch));
        while self.known.len() > COUNTERS || self.order.len() > 2 * COUNTERS {
            let Some((oldest, touch)) = self.order.pop_front() else {
                return;
            };
            match self.known.get(&oldest) {
                Some(counter) if counter.touch == touch => {
                    self.known.remove(&oldest);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(ip: &str) -> Client {
        Client {
            ip: Some(ip.parse().unwrap()),
            port: 0,
        }
    }

    fn fail(back_off: &Arc<BackOff>, client: &Client, user: &str, now: Duration) {
        // Beyond the limit it is counted as well: a check may have begun before.
        let of = [Who::user(client, user), Who::address(client)];
        let back_off = Arc::clone(back_off);
        Check { back_off, of }.failed(now);
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn ten_failures_with_one_user_hold_that_user_at_that_address_for_five_minutes() {
        let back_off = Arc::new(BackOff::among(1));
        let (here, there) = (client("192.0.2.1"), client("192.0.2.2"));
        for second in 0..10 {
            assert_eq!(back_off.held(&here, "ada", at(second)), None);
            fail(&back_off, &here, "ada", at(second));
        }
        assert_eq!(back_off.held(&here, "ada", at(10)), Some(290));
        assert_eq!(back_off.held(&here, "bob", at(10)), None);
        assert_eq!(back_off.held(&there, "ada", at(10)), None);
        assert_eq!(back_off.held(&here, "ada", at(299)), Some(1));
        assert_eq!(back_off.held(&here, "ada", at(300)), None);
        // One more is one again too many until the next has grown old.
        fail(&back_off, &here, "ada", at(300));
        assert_eq!(back_off.held(&here, "ada", at(300)), Some(1));
        assert_eq!(back_off.held(&here, "ada", at(301)), None);
    }

    #[test]
    fn a_hundred_failures_hold_the_address_whatever_the_user() {
        let back_off = Arc::new(BackOff::among(1));
        let here = client("192.0.2.1");
        for number in 0..100 {
            assert_eq!(back_off.held(&here, "new", at(0)), None, "{number}");
            fail(&back_off, &here, &format!("user {number}"), at(0));
        }
        assert_eq!(back_off.held(&here, "new", at(0)), Some(300));
        assert_eq!(back_off.held(&client("192.0.2.2"), "new", at(0)), None);
    }

    #[test]
    fn several_processes_divide_the_figures_among_them_and_none_is_left_without() {
        let here = client("192.0.2.1");
        for (processes, of_user, of_address) in [(4, 2, 25), (11, 1, 9), (1_000, 1, 1)] {
            let held_after = |failures: usize, users: usize| {
                let back_off = Arc::new(BackOff::among(processes));
                for number in 0..failures {
                    fail(&back_off, &here, &format!("user {}", number % users), at(0));
                }
                back_off.held(&here, "user 0", at(0)).is_some()
            };
            assert!(held_after(of_user, 1), "{processes}");
            assert!(!held_after(of_user - 1, 1), "{processes}");
            assert!(held_after(of_address, of_address.max(2)), "{processes}");
            assert!(
                !held_after(of_address - 1, of_address.max(2)) || of_user == 1,
                "{processes}"
            );
            let back_off = Arc::new(BackOff::among(processes));
            let look_ups = (100 / processes as usize).max(1);
            for _ in 0..look_ups {
                assert_eq!(back_off.look_up(&here, at(0)), None);
            }
            assert_eq!(back_off.look_up(&here, at(0)), Some(60));
        }
    }

    #[test]
    fn a_network_of_one_subscriber_is_one_client() {
        let back_off = Arc::new(BackOff::among(1));
        for last in 0..10 {
            fail(
                &back_off,
                &client(&format!("2001:db8:0:1::{last}")),
                "ada",
                at(0),
            );
        }
        assert!(
            back_off
                .held(&client("2001:db8:0:1:ffff::1"), "ada", at(1))
                .is_some()
        );
        assert!(
            back_off
                .held(&client("2001:db8:0:2::1"), "ada", at(1))
                .is_none()
        );
    }

    #[test]
    fn the_counter_that_was_idle_longest_goes_first() {
        let back_off = Arc::new(BackOff::among(1));
        let here = client("192.0.2.1");
        for _ in 0..10 {
            fail(&back_off, &here, "ada", at(0));
        }
        for number in 0..u32::try_from(COUNTERS).unwrap() {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
            fail(&back_off, &client(&address.to_string()), "x", at(1));
            if number == 1000 {
                fail(&back_off, &here, "ada", at(1));
            }
            let counters = back_off.lock();
            assert!(counters.known.len() <= COUNTERS);
            assert!(counters.order.len() <= 2 * COUNTERS);
        }
        assert_eq!(back_off.held(&here, "ada", at(2)), None);
    }

    #[test]
    fn a_clock_that_goes_back_holds_nobody_for_ever() {
        let back_off = Arc::new(BackOff::among(1));
        let here = client("192.0.2.1");
        for _ in 0..10 {
            fail(&back_off, &here, "ada", at(1000));
        }
        assert_eq!(back_off.held(&here, "ada", at(0)), Some(1300));
        assert_eq!(back_off.held(&here, "ada", at(1300)), None);
    }

    #[test]
    fn checks_under_way_count_until_they_are_known_to_be_no_failures() {
        let back_off = Arc::new(BackOff::among(1));
        let here = client("192.0.2.1");
        for _ in 0..4 {
            fail(&back_off, &here, "ada", at(0));
        }
        let begin = |user: &str, now| back_off.begin(&here, user, now).map_err(|left| (left, 0));
        let mut checks: Vec<_> = (0..6).map(|_| begin("ada", at(1)).unwrap()).collect();
        assert_eq!(begin("ada", at(1)).err(), Some((1, 0)));
        assert!(begin("bob", at(1)).is_ok());
        // One that was none makes room for one.
        checks.pop();
        checks.push(begin("ada", at(2)).unwrap());
        assert_eq!(begin("ada", at(2)).err(), Some((1, 0)));
        for check in checks {
            check.failed(at(3));
        }
        assert_eq!(begin("ada", at(3)).err(), Some((297, 0)));
        assert!(begin("ada", at(300)).is_ok());
        let everything: Vec<_> = (0..90)
            .map(|number| begin(&format!("user {number}"), at(3)).unwrap())
            .collect();
        assert_eq!(begin("new", at(3)).err(), Some((1, 0)));
        drop(everything);
        assert!(begin("new", at(3)).is_ok());
    }

    #[test]
    fn what_never_failed_leaves_no_counter() {
        let back_off = Arc::new(BackOff::among(1));
        for number in 0..100 {
            drop(back_off.begin(&client("192.0.2.1"), &format!("user {number}"), at(0)));
        }
        assert!(back_off.lock().known.is_empty());
    }
}

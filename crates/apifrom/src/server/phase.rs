//! What a connection is doing, and how long it may go on doing it.
//!
//! | phase | begins | ends the connection after |
//! |---|---|---|
//! | head | with the connection, or with the first byte of a request | `timeout_head` |
//! | busy | when the request reaches the engine | never: requests have deadlines of their own |
//! | idle | when the last answer ended | `timeout_keep_alive` |
//! | stalled | when the client stops reading what is written; each byte it takes starts anew | `timeout_write` |
//! | sending | when HTTP/2 holds the rest of every answer; each byte the client takes starts anew | `timeout_write` |
//! | half closed | when the client stops sending while it is owed an answer | 500 ms |
//! | closing | when this side has said that it is done | 1 s |
//!
//! Three parties share one [`Pulse`]: the socket sees bytes come and go, the service sees requests
//! begin and end and what HTTP/2 holds of their answers, and the connection looks at both after
//! each turn and holds the one timer. They mostly run in one task; where an HTTP/2 stream runs in
//! another, the connection is woken by what that stream writes and by the end of the last request.
//! A turn reads the clock once, and the timer is set only when it would ring too late, so a request
//! on a kept connection costs no timer at all.
//!
//! Over HTTP/2 a head goes on beside the other phases, and neither begins nor ends one: it is a
//! frame, or the fields of a request, that began and is not whole, see `frames`. While a write waits
//! for the client its time stands still, since HTTP/2 then does not read either.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::config::ServerConfig;

/// How long a client that stopped sending is owed the answer to what it sent. A client that went
/// away cannot be told from one that only closed its sending half; this is long enough for a shell
/// pipeline and short enough to count as gone.
const HALF_CLOSED: Duration = Duration::from_millis(500);

/// How long a connection that this side ended may linger. What the client still sends is read and
/// thrown away meanwhile, because closing over unread bytes would destroy the last answer on its
/// way (RFC 9112 §9.6).
const CLOSING: Duration = Duration::from_secs(1);

/// One more request than before.
const BEGUN: u64 = ANEW + 1;
/// The phase begins anew, with as many requests as before.
const ANEW: u64 = 1 << 32;

/// The state of one connection, as its parties see it.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The number of requests that are being answered in the low half; in the high half a count of
    /// what starts the clock of a phase anew. Both change in one step.
    beat: AtomicU64,
    /// How many pieces of answers HTTP/2 holds until the client takes them.
    held: AtomicUsize,
    /// Whom the end of the last request wakes, over HTTP/2.
    watcher: Mutex<Option<Waker>>,
    /// True from the first byte of a request head until the request begins, over HTTP/1.
    head: AtomicBool,
    /// Over HTTP/2, the lowest bit is set while something began that is not whole; the others count
    /// what became whole.
    unfinished: AtomicU64,
    /// True while a write is waiting for the client.
    stalled: AtomicBool,
    /// True once the client stopped sending, until the parser may know.
    half_closed: AtomicBool,
    /// True once this side is done with the connection.
    closing: AtomicBool,
    /// True when what still arrives is to be read and thrown away before the socket is closed.
    lingers: AtomicBool,
    /// True over HTTP/2, whose bytes are in frames.
    multiplexed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Head,
    Busy,
    Idle,
    Stalled,
    Sending,
    HalfClosed,
    Closing,
}

impl Pulse {
    /// The pulse of an HTTP/1 connection, whose first head is awaited.
    pub(super) fn http1() -> Self {
        Self::new(false)
    }

    /// The pulse of an HTTP/2 connection, which is idle until a stream opens, and whose preface is
    /// awaited.
    pub(super) fn http2() -> Self {
        Self::new(true)
    }

    fn new(multiplexed: bool) -> Self {
        Self {
            beat: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            watcher: Mutex::default(),
            head: AtomicBool::new(!multiplexed),
            unfinished: AtomicU64::new(multiplexed.into()),
            stalled: AtomicBool::new(false),
            half_closed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            lingers: AtomicBool::new(true),
            multiplexed,
        }
    }

    /// A request is handed to the engine.
    pub(super) fn request_begins(&self) {
        self.head.store(false, Relaxed);
        self.beat.fetch_add(BEGUN, Relaxed);
    }

    /// A request is answered, or given up.
    pub(super) fn request_ends(&self) {
        // Whoever sees the end sees as well what HTTP/2 was handed before it.
        let before = self.beat.fetch_add(ANEW - 1, Release);
        if self.multiplexed && before % ANEW == 1 {
            let watcher = self.watcher().take();
            if let Some(watcher) = watcher {
                watcher.wake();
            }
        }
    }

    /// Has `waker` woken when the last request ends, unless its end can be seen from here on.
    pub(super) fn watched_by(&self, waker: &Waker) {
        if self.multiplexed {
            *self.watcher() = Some(waker.clone());
        }
    }

    /// A piece of an answer is handed to HTTP; counted where HTTP/2 holds it out of sight.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Held> {
        self.multiplexed.then(|| {
            self.held.fetch_add(1, Relaxed);
            Held(Arc::clone(self))
        })
    }

    /// Bytes arrived, over HTTP/1.
    pub(super) fn received(&self) {
        if !self.is_busy() {
            self.head.store(true, Relaxed);
        }
    }

    /// Bytes arrived in frames. `ended` says that they made something whole, `is_open` that now
    /// something is not.
    pub(super) fn followed(&self, ended: bool, is_open: bool) {
        let count = (self.unfinished.load(Relaxed) >> 1).wrapping_add(ended.into());
        self.unfinished
            .store(count << 1 | u64::from(is_open), Relaxed);
    }

    /// The client stopped sending. True when the parser must not know yet, since it would give up
    /// the request that it is owed.
    pub(super) fn withholds_end(&self) -> bool {
        if self.multiplexed || !self.is_busy() || self.is_closing() {
            return false;
        }
        self.half_closed.store(true, Relaxed);
        true
    }

    /// A write went through, at least in part.
    pub(super) fn wrote(&self) {
        if self.stalled.load(Relaxed) || self.half_closed.load(Relaxed) {
            self.stalled.store(false, Relaxed);
            self.beat.fetch_add(ANEW, Relaxed);
        }
    }

    /// A write is waiting for the client.
    pub(super) fn write_waits(&self) {
        self.stalled.store(true, Relaxed);
    }

    /// This side is done with the connection.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// This side is done with a connection on which nothing is under way, so nothing can be lost.
    pub(super) fn close_idle(&self) {
        self.lingers.store(false, Relaxed);
        self.close();
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Relaxed)
    }

    pub(super) fn phase(&self) -> Phase {
        if self.stalled.load(Relaxed) {
            Phase::Stalled
        } else if self.is_busy() {
            if self.half_closed.load(Relaxed) {
                Phase::HalfClosed
            } else {
                Phase::Busy
            }
        } else if self.held.load(Relaxed) > 0 {
            Phase::Sending
        } else if self.is_closing() {
            Phase::Closing
        } else if self.head.load(Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// True once a client that stopped sending has its answer: the parser may know.
    pub(super) fn is_owed_nothing(&self) -> bool {
        self.half_closed.load(Relaxed) && !self.is_busy() && !self.is_closing()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    fn is_busy(&self) -> bool {
        // The low half never borrows from the high one: every end has had its beginning.
        !self.beat.load(Acquire).is_multiple_of(ANEW)
    }

    fn watcher(&self) -> MutexGuard<'_, Option<Waker>> {
        // Nothing that runs under the lock leaves the waker half set.
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of an answer, for as long as HTTP/2 holds it.
#[derive(Debug)]
pub(super) struct Held(Arc<Pulse>);

impl Held {
    /// Some of it is on its way to the client.
    pub(super) fn moves(&self) {
        self.0.beat.fetch_add(ANEW, Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nobody has to be woken: a piece goes in a turn of the connection, or before its request
        // ends.
        self.0.held.fetch_sub(1, Relaxed);
    }
}

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) body: Duration,
    keep_alive: Duration,
    pub(super) write: Duration,
}

impl Timeouts {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            head: config.timeout_head,
            body: config.timeout_body,
            keep_alive: config.timeout_keep_alive,
            write: config.timeout_write,
        }
    }

    fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Head => Some(self.head),
            Phase::Busy => None,
            Phase::Idle => Some(self.keep_alive),
            Phase::Stalled | Phase::Sending => Some(self.write),
            Phase::HalfClosed => Some(HALF_CLOSED),
            Phase::Closing => Some(CLOSING),
        }
    }
}

/// When the current phase began, as far as its connection has noticed.
#[derive(Debug)]
pub(super) struct PhaseClock {
    phase: Phase,
    beat: u64,
    since: Instant,
    /// Over HTTP/2; boxed, because most connections have none.
    head: Option<Box<HeadClock>>,
}

/// When that began which is not whole.
#[derive(Debug)]
struct HeadClock {
    unfinished: u64,
    since: Instant,
    looked: Instant,
}

impl HeadClock {
    fn starting(pulse: &Pulse, since: Instant) -> Self {
        Self {
            unfinished: pulse.unfinished.load(Relaxed),
            since,
            looked: since,
        }
    }

    /// Since when there is something, without the time in which the clock `stood_still`.
    fn read(&mut self, pulse: &Pulse, now: Instant, stood_still: bool) -> Option<Instant> {
        let unfinished = pulse.unfinished.load(Relaxed);
        if unfinished != self.unfinished {
            (self.unfinished, self.since) = (unfinished, now);
        } else if stood_still {
            let stood = now.saturating_duration_since(self.looked);
            self.since = self.since.checked_add(stood).unwrap_or(now);
        }
        self.looked = now;
        (unfinished & 1 == 1).then_some(self.since)
    }
}

impl PhaseClock {
    /// A clock for `pulse`, whose phase began at `since`.
    pub(super) fn starting(pulse: &Pulse, since: Instant) -> Self {
        Self {
            phase: pulse.phase(),
            beat: pulse.beat.load(Relaxed),
            since,
            head: pulse
                .multiplexed
                .then(|| Box::new(HeadClock::starting(pulse, since))),
        }
    }

    /// The phase at `now`, and when it will have taken too long.
    pub(super) fn read(
        &mut self,
        pulse: &Pulse,
        now: Instant,
        timeouts: &Timeouts,
    ) -> (Phase, Option<Instant>) {
        let (phase, beat) = (pulse.phase(), pulse.beat.load(Relaxed));
        let was_stalled = self.phase == Phase::Stalled;
        if phase != self.phase || beat != self.beat {
            (self.phase, self.beat, self.since) = (phase, beat, now);
        }
        // A time-out that no clock can hold never passes.
        let deadline = timeouts
            .of(phase)
            .and_then(|after| self.since.checked_add(after));
        let Some(clock) = &mut self.head else {
            return (phase, deadline);
        };
        let head = clock
            .read(pulse, now, was_stalled)
            .and_then(|since| since.checked_add(timeouts.head));
        match head {
            Some(head)
                if phase != Phase::Stalled && deadline.is_none_or(|deadline| head < deadline) =>
            {
                (Phase::Head, Some(head))
            }
            _ => (phase, deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::instant;

    const SECOND: Duration = Duration::from_secs(1);

    struct Watched {
        pulse: Arc<Pulse>,
        clock: PhaseClock,
        start: Instant,
    }

    impl Watched {
        fn new(pulse: Pulse) -> Self {
            let start = instant();
            Self {
                clock: PhaseClock::starting(&pulse, start),
                pulse: Arc::new(pulse),
                start,
            }
        }

        /// The phase `seconds` after the start, and the second in which it ends.
        fn at(&mut self, seconds: u32) -> (Phase, Option<u64>) {
            let timeouts = Timeouts::new(&ServerConfig::default());
            let now = self.start + SECOND * seconds;
            let (phase, deadline) = self.clock.read(&self.pulse, now, &timeouts);
            let ends = deadline.map(|deadline| (deadline - self.start).as_secs());
            (phase, ends)
        }
    }

    #[test]
    fn the_head_has_its_time_from_the_first_byte_however_many_follow() {
        let mut http1 = Watched::new(Pulse::http1());
        assert_eq!(http1.at(3), (Phase::Head, Some(10)));
        http1.pulse.received();
        assert_eq!(http1.at(9), (Phase::Head, Some(10)));
        http1.pulse.request_begins();
        assert_eq!(http1.at(9), (Phase::Busy, None));
        http1.pulse.request_ends();
        assert_eq!(http1.at(20), (Phase::Idle, Some(95)));
        http1.pulse.received();
        assert_eq!(http1.at(60), (Phase::Head, Some(70)));
        http1.pulse.received();
        assert_eq!(http1.at(65), (Phase::Head, Some(70)));
    }

    #[test]
    fn a_request_between_two_looks_starts_the_idle_time_anew() {
        let mut http1 = Watched::new(Pulse::http1());
        http1.pulse.request_begins();
        http1.pulse.request_ends();
        assert_eq!(http1.at(1), (Phase::Idle, Some(76)));
        http1.pulse.received();
        http1.pulse.request_begins();
        http1.pulse.request_ends();
        assert_eq!(http1.at(70), (Phase::Idle, Some(145)));
    }

    /// A connection whose preface has come.
    fn http2() -> Pulse {
        let pulse = Pulse::http2();
        pulse.followed(true, false);
        pulse
    }

    #[test]
    fn streams_are_counted_and_whole_frames_begin_no_head() {
        let mut http2 = Watched::new(http2());
        http2.pulse.followed(true, false);
        assert_eq!(http2.at(1), (Phase::Idle, Some(75)));
        http2.pulse.request_begins();
        http2.pulse.request_begins();
        http2.pulse.request_ends();
        assert_eq!(http2.at(2), (Phase::Busy, None));
        http2.pulse.request_ends();
        assert_eq!(http2.at(3), (Phase::Idle, Some(78)));
        assert!(!http2.pulse.withholds_end());
    }

    #[test]
    fn the_preface_of_http_2_has_the_time_of_a_head() {
        let mut http2 = Watched::new(Pulse::http2());
        assert_eq!(http2.at(1), (Phase::Head, Some(10)));
        http2.pulse.followed(false, true);
        assert_eq!(http2.at(9), (Phase::Head, Some(10)));
        http2.pulse.followed(true, false);
        assert_eq!(http2.at(9), (Phase::Idle, Some(75)));
    }

    #[test]
    fn what_http_2_began_has_its_time_beside_all_else() {
        let mut http2 = Watched::new(http2());
        assert_eq!(http2.at(60), (Phase::Idle, Some(75)));
        http2.pulse.followed(false, true);
        assert_eq!(http2.at(61), (Phase::Head, Some(71)));
        http2.pulse.followed(false, true);
        assert_eq!(http2.at(65), (Phase::Head, Some(71)));
        // Whole at last, and the next has begun; the idle time goes on meanwhile.
        http2.pulse.followed(true, true);
        assert_eq!(http2.at(66), (Phase::Idle, Some(75)));
        http2.pulse.request_begins();
        assert_eq!(http2.at(67), (Phase::Head, Some(76)));
        let held = http2.pulse.hold().unwrap();
        held.moves();
        assert_eq!(http2.at(68), (Phase::Head, Some(76)));
        http2.pulse.request_ends();
        assert_eq!(http2.at(69), (Phase::Head, Some(76)));
        http2.pulse.followed(true, false);
        assert_eq!(http2.at(70), (Phase::Sending, Some(99)));
    }

    #[test]
    fn the_time_of_a_head_stands_still_while_a_write_waits() {
        let mut http2 = Watched::new(http2());
        http2.pulse.request_begins();
        http2.pulse.followed(false, true);
        assert_eq!(http2.at(1), (Phase::Head, Some(11)));
        http2.pulse.write_waits();
        assert_eq!(http2.at(3), (Phase::Stalled, Some(33)));
        assert_eq!(http2.at(20), (Phase::Stalled, Some(33)));
        http2.pulse.wrote();
        assert_eq!(http2.at(23), (Phase::Head, Some(31)));
        assert_eq!(http2.at(30), (Phase::Head, Some(31)));
    }

    #[test]
    fn what_http_2_holds_is_sent_in_its_own_time() {
        let mut http2 = Watched::new(http2());
        http2.pulse.request_begins();
        let held = [http2.pulse.hold().unwrap(), http2.pulse.hold().unwrap()];
        assert_eq!(http2.at(1), (Phase::Busy, None));
        http2.pulse.request_ends();
        assert_eq!(http2.at(2), (Phase::Sending, Some(32)));
        assert_eq!(http2.at(20), (Phase::Sending, Some(32)));
        held[0].moves();
        assert_eq!(http2.at(21), (Phase::Sending, Some(51)));
        http2.pulse.close();
        assert_eq!(http2.at(22), (Phase::Sending, Some(51)));
        drop(held);
        assert_eq!(http2.at(23), (Phase::Closing, Some(24)));
        let http1 = Watched::new(Pulse::http1());
        assert!(http1.pulse.hold().is_none());
    }

    #[test]
    fn the_end_of_the_last_request_wakes_a_connection_of_http_2() {
        struct Woken(AtomicUsize);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        let counted = |pulse: &Pulse| {
            let woken = Arc::new(Woken(AtomicUsize::new(0)));
            pulse.watched_by(&Arc::clone(&woken).into());
            pulse.request_begins();
            pulse.request_begins();
            pulse.request_ends();
            let before = woken.0.load(Relaxed);
            pulse.request_ends();
            (before, woken.0.load(Relaxed))
        };
        assert_eq!(counted(&Pulse::http2()), (0, 1));
        assert_eq!(counted(&Pulse::http1()), (0, 0));
    }

    #[test]
    fn each_write_that_goes_through_starts_the_stall_anew() {
        let mut http1 = Watched::new(Pulse::http1());
        http1.pulse.request_begins();
        http1.pulse.write_waits();
        assert_eq!(http1.at(1), (Phase::Stalled, Some(31)));
        http1.pulse.write_waits();
        assert_eq!(http1.at(20), (Phase::Stalled, Some(31)));
        http1.pulse.wrote();
        http1.pulse.write_waits();
        assert_eq!(http1.at(21), (Phase::Stalled, Some(51)));
        http1.pulse.wrote();
        assert_eq!(http1.at(22), (Phase::Busy, None));
    }

    #[test]
    fn a_client_that_stopped_sending_is_owed_its_answer_for_a_moment() {
        let mut http1 = Watched::new(Pulse::http1());
        assert!(!http1.pulse.withholds_end(), "nothing was asked for yet");
        http1.pulse.request_begins();
        assert!(http1.pulse.withholds_end());
        assert_eq!(http1.at(1), (Phase::HalfClosed, Some(1)));
        assert!(!http1.pulse.is_owed_nothing());
        http1.pulse.request_ends();
        assert!(http1.pulse.is_owed_nothing());
    }

    #[test]
    fn closing_waits_for_requests_but_not_for_heads() {
        let mut http1 = Watched::new(Pulse::http1());
        http1.pulse.request_begins();
        http1.pulse.close();
        assert_eq!(http1.at(1), (Phase::Busy, None));
        http1.pulse.request_ends();
        http1.pulse.received();
        assert_eq!(http1.at(2), (Phase::Closing, Some(3)));
    }
}

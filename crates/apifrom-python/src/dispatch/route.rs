//! Where the calls of one function run, learned from how long they take.
//!
//! 1. `async def`: a task on the loop, always.
//! 2. `def` with `blocking=True` or `False`: the pool or the loop's thread, always.
//! 3. Any other `def` begins in the pool. After 32 calls in a row that each took under 0.2 ms there
//!    it runs inline, on the loop's thread: a hop to another thread costs more than such a call.
//! 4. An inline call over 5 ms stalled every other request and returns the route to the pool, where
//!    it has to prove itself with twice as many calls as before, up to 262,144. So a function that
//!    waits now and then stays there, while one that met a garbage collection comes back. Time that
//!    the system or another thread took away does not count, and where another thread was computing
//!    Python the proof stays what it was.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Calls in a row that a route must answer quickly before it runs inline for the first time.
const PROOF: u32 = 32;
/// What "quickly" is.
const SHORT: Duration = Duration::from_micros(200);
/// An inline call that takes longer has stalled others.
const STALL: Duration = Duration::from_millis(5);
/// How often a stall doubles the proof.
const DOUBLINGS: u8 = 13;

/// Where a function's calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As an asyncio task on the loop.
    Task,
    /// On the loop's thread, between callbacks.
    Inline,
    /// On a thread of the pool.
    Pool,
}

/// What the dispatch knows of one function.
#[derive(Debug)]
pub(crate) struct Route {
    name: Py<PyString>,
    place: AtomicU8,
    streak: AtomicU32,
    stalls: AtomicU8,
}

const TASK: u8 = 0;
const INLINE: u8 = 1;
const INLINE_DECIDED: u8 = 2;
const POOL: u8 = 3;
const POOL_DECIDED: u8 = 4;

impl Route {
    /// The route of an `async def`, whose tasks are called `name`.
    pub(crate) fn coroutine(py: Python<'_>, name: &str) -> Self {
        Self::at(py, name, TASK)
    }

    /// The route of a `def`; `blocking` decides by hand where it runs.
    pub(crate) fn function(py: Python<'_>, name: &str, blocking: Option<bool>) -> Self {
        let place = match blocking {
            None => POOL,
            Some(false) => INLINE_DECIDED,
            Some(true) => POOL_DECIDED,
        };
        Self::at(py, name, place)
    }

    /// What its tasks are called.
    pub(super) fn name(&self) -> &Py<PyString> {
        &self.name
    }

    /// Where the next call is made.
    pub(crate) fn mode(&self) -> Mode {
        match self.place.load(Ordering::Relaxed) {
            TASK => Mode::Task,
            INLINE | INLINE_DECIDED => Mode::Inline,
            _ => Mode::Pool,
        }
    }

    /// True when the place never changes again.
    pub(crate) fn is_decided(&self) -> bool {
        matches!(
            self.place.load(Ordering::Relaxed),
            TASK | INLINE_DECIDED | POOL_DECIDED
        )
    }

    /// Puts a `def` whose place is not decided by hand into the pool for good: it is about to wait.
    pub(crate) fn mark_blocking(&self) {
        self.exchange(INLINE, POOL_DECIDED);
        self.exchange(POOL, POOL_DECIDED);
    }

    /// Learns from a call in the pool.
    pub(super) fn took_in_pool(&self, time: Duration) {
        if self.place.load(Ordering::Relaxed) != POOL {
            return;
        }
        if time >= SHORT {
            self.streak.store(0, Ordering::Relaxed);
        } else if self.streak.fetch_add(1, Ordering::Relaxed) + 1 >= self.proof() {
            self.streak.store(0, Ordering::Relaxed);
            self.exchange(POOL, INLINE);
        }
    }

    /// True when an inline call that took so long is a stall, unless it was held up itself.
    pub(super) fn is_stall(&self, time: Duration) -> bool {
        time > STALL && self.place.load(Ordering::Relaxed) == INLINE
    }

    /// Learns from a call on the loop's thread that took so long of its own. `contended` is asked
    /// only after a stall: whether another thread is computing Python.
    pub(super) fn took_inline(&self, time: Duration, contended: impl FnOnce() -> bool) {
        if !self.is_stall(time) {
            return;
        }
        if self.stalls.load(Ordering::Relaxed) < DOUBLINGS && !contended() {
            self.stalls.fetch_add(1, Ordering::Relaxed);
        }
        self.streak.store(0, Ordering::Relaxed);
        self.exchange(INLINE, POOL);
    }

    /// How many calls in a row have to be quick before the route runs inline.
    pub(super) fn proof(&self) -> u32 {
        PROOF << self.stalls.load(Ordering::Relaxed).min(DOUBLINGS)
    }

    /// Moves the route, unless something else moved it in the meantime: then that is meant.
    fn exchange(&self, from: u8, to: u8) {
        let _ = self
            .place
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn at(py: Python<'_>, name: &str, place: u8) -> Self {
        Self {
            name: PyString::intern(py, name).unbind(),
            place: AtomicU8::new(place),
            streak: AtomicU32::new(0),
            stalls: AtomicU8::new(0),
        }
    }
}

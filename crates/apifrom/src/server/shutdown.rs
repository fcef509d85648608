//! How a server ends: what runs is finished, and what does not finish in time is cut.
//!
//! 1. Asked to stop, the server accepts nothing more. Connections on which nothing is under way are
//!    closed at once, those that have sent nothing yet after a moment; HTTP/2 clients are told with
//!    GOAWAY.
//! 2. A request that runs is answered, and its connection is closed after it.
//! 3. What is left after `timeout_graceful_shutdown`, or when the server is asked a second time, is
//!    cut.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::error::ServeError;

/// How far a server is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    Stopping,
    Cutting,
}

/// Ends a server from elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct Stopper {
    gate: Arc<Gate>,
}

struct Gate {
    stage: AtomicU8,
    /// How many connections noticed that they are cut.
    cut: AtomicUsize,
    changed: Arc<Notify>,
}

impl Stopper {
    pub(super) fn new() -> Self {
        Self {
            gate: Arc::new(Gate {
                stage: AtomicU8::new(Stage::Serving as u8),
                cut: AtomicUsize::new(0),
                changed: Arc::default(),
            }),
        }
    }

    /// Lets running requests finish and accepts nothing more.
    pub fn stop(&self) {
        self.advance(Stage::Stopping);
    }

    /// Cuts every connection, whatever runs on it.
    pub fn cut(&self) {
        self.advance(Stage::Cutting);
    }

    fn advance(&self, to: Stage) {
        let from = self.gate.stage.fetch_max(to as u8, Ordering::AcqRel);
        if from < to as u8 {
            self.gate.changed.notify_waiters();
        }
    }

    /// Notes a connection that is cut, before its place is given back.
    pub(super) fn note_cut(&self) {
        self.gate.cut.fetch_add(1, Ordering::AcqRel);
    }

    /// How many noticed so far that they are cut.
    pub(super) fn noted(&self) -> usize {
        self.gate.cut.load(Ordering::Acquire)
    }

    pub(super) fn stage(&self) -> Stage {
        match self.gate.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Stopping,
            _ => Stage::Cutting,
        }
    }

    /// Waits until the server is asked to go at least as far as `stage`.
    pub(super) async fn reached(&self, stage: Stage) {
        loop {
            // Made before the look, so that a change between look and wait is not missed.
            let changed = self.gate.changed.notified();
            if self.stage() >= stage {
                return;
            }
            changed.await;
        }
    }

    /// Completes at the next change. A change is seen before it is told of, so what completes may be
    /// about a stage that is known already.
    pub(super) fn next_change(&self) -> Pin<Box<OwnedNotified>> {
        Box::pin(Arc::clone(&self.gate.changed).notified_owned())
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stopper").field(&self.stage()).finish()
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The connections that had to be cut.
    pub cut: usize,
}

impl Ended {
    /// True when everything that ran was finished.
    pub fn in_time(self) -> bool {
        self.cut == 0
    }
}

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Watches for both. From here on neither ends the process by itself.
    pub(super) fn watch() -> Result<Self, ServeError> {
        let watch = |kind| signal(kind).map_err(ServeError::Start);
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
        })
    }

    /// Stops at the first signal and cuts at the second.
    pub(super) async fn obey(mut self, stopper: Stopper) {
        self.next().await;
        stopper.stop();
        self.next().await;
        stopper.cut();
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_and_who_comes_late_does_not_wait() {
        let stopper = Stopper::new();
        let told = tokio::spawn({
            let stopper = stopper.clone();
            async move { stopper.reached(Stage::Cutting).await }
        });
        tokio::task::yield_now().await;
        stopper.stop();
        stopper.reached(Stage::Stopping).await;
        assert_eq!(stopper.stage(), Stage::Stopping);
        stopper.cut();
        told.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_told_of_a_stage_that_was_reached_before() {
        let stopper = Stopper::new();
        stopper.stop();
        let mut change = stopper.next_change();
        stopper.stop();
        assert!(!change.as_mut().enable());
        stopper.cut();
        change.await;
    }

    #[test]
    fn a_server_that_is_being_cut_is_not_stopped_gently_again() {
        let stopper = Stopper::new();
        stopper.cut();
        stopper.stop();
        assert_eq!(stopper.stage(), Stage::Cutting);
    }
}

//! What other threads hold of a worker.

use std::future::Future;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use pyo3::prelude::*;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::dispatch::Queued;

/// Reaches a worker from any thread. Clones reach the same worker.
#[derive(Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>, runtime: tokio::runtime::Handle) -> Self {
        Self { shared, runtime }
    }

    /// Runs `future` as a task of the worker's runtime, on the worker's thread.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.spawn(future)
    }

    /// What calls of Python functions go through.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Something for the loop's thread to do while it holds the interpreter.
pub(crate) enum Errand {
    /// A call from another thread.
    Call(Queued),
    /// A task whose client has gone.
    Cancel(Py<PyAny>),
}

/// The part of a worker that all threads share.
pub(crate) struct Shared {
    /// Has the root future of a turn look at what changed.
    waker: OnceLock<Waker>,
    has_errands: AtomicBool,
    stopping: AtomicBool,
    /// None once the worker has closed.
    errands: Mutex<Option<Vec<Errand>>>,
    context: Py<PyAny>,
    /// How many answers have work after them that has not ended.
    afterwork: AtomicUsize,
    settled: Notify,
}

impl Shared {
    pub(super) fn new(context: Py<PyAny>) -> Self {
        Self {
            waker: OnceLock::new(),
            has_errands: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            errands: Mutex::new(Some(Vec::new())),
            context,
            afterwork: AtomicUsize::new(0),
            settled: Notify::new(),
        }
    }

    /// Has the end of the worker wait until the returned value is dropped.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        self.afterwork.fetch_add(1, Ordering::Relaxed);
        Hold(Arc::clone(self))
    }

    /// True while something holds the worker's end back.
    pub(super) fn is_held(&self) -> bool {
        self.afterwork.load(Ordering::Acquire) > 0
    }

    /// Ends when nothing holds the worker's end back any more, or when `patience` is over.
    pub(crate) async fn settled(&self, patience: Duration) {
        let settled = async {
            loop {
                let notified = self.settled.notified();
                if self.afterwork.load(Ordering::Acquire) == 0 {
                    break;
                }
                notified.await;
            }
        };
        // What takes longer says so itself when it is given up.
        let _ = tokio::time::timeout(patience, settled).await;
    }

    /// The context that each call's own is copied from.
    pub(crate) fn context(&self) -> &Py<PyAny> {
        &self.context
    }

    /// Has the loop's thread do `errand`; a worker that has closed drops it.
    pub(crate) fn send(&self, errand: Errand) {
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match errands.as_mut() {
            Some(errands) => {
                errands.push(errand);
                None
            }
            None => Some(errand),
        };
        drop(errands);
        if refused.is_none() && !self.has_errands.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// Ends the loop's current run.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn take_stop(&self) -> bool {
        self.stopping.load(Ordering::Acquire) && self.stopping.swap(false, Ordering::AcqRel)
    }

    /// True when the loop's thread has something to do here.
    pub(super) fn is_waiting(&self) -> bool {
        self.has_errands.load(Ordering::Acquire) || self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn has_errands(&self) -> bool {
        self.has_errands.load(Ordering::Acquire)
    }

    pub(crate) fn take_errands(&self) -> Vec<Errand> {
        if !self.has_errands.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        errands.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Takes no more errands, and drops those that wait.
    pub(super) fn close(&self) {
        let errands = self
            .errands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(errands);
    }

    /// Keeps the waker of the root future; it is the same for all turns of a runtime.
    pub(super) fn set_waker(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            // Only the loop's thread sets it, so it cannot be set twice.
            let _ = self.waker.set(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// Holds the end of a worker back while it lives.
pub(crate) struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.afterwork.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.settled.notify_waiters();
        }
    }
}

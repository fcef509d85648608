//! The one allocation of a call: the work, then its answer, and who waits for it.
//!
//! A [`Call`] (the future) and a [`Ticket`] (the place that makes the call) share a [`Slot`]. Either
//! may vanish first: a dropped `Call` is a client that has gone, a dropped `Ticket` is an answer
//! that will never come.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use pyo3::prelude::*;

use super::{Refusal, Work};
use crate::reactor::{Errand, Shared, ffi};

pyo3::import_exception!(asyncio, CancelledError);

/// The future of one call. Dropping it says that nobody waits any more.
#[must_use = "a call that nobody waits for is given up"]
pub(crate) struct Call<W: Work> {
    slot: Arc<Slot<W>>,
}

/// The right, and the duty, to make one call.
pub(crate) struct Ticket {
    job: Option<Arc<dyn Job>>,
}

/// What [`Call`] and [`Ticket`] share.
pub(super) struct Slot<W: Work> {
    state: Mutex<State<W>>,
}

struct State<W: Work> {
    step: Step<W>,
    /// True once the client has gone.
    gone: bool,
    waker: Option<Waker>,
    task: Option<Running>,
}

enum Step<W: Work> {
    /// The work waits for its call, or for the end of it.
    Waiting(W),
    /// Whoever makes the call holds the work, or the answer was taken.
    Held,
    Answered(W::Answer),
    Refused(Refusal),
}

/// A task to cancel when the client goes.
struct Running {
    task: Py<PyAny>,
    shared: Arc<Shared>,
}

/// A slot of whatever work, as the places that make calls see it.
trait Job: Send + Sync {
    fn call(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>>;
    fn finish(&self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Option<Waker>;
    fn watch(&self, task: Py<PyAny>, shared: &Arc<Shared>) -> Result<(), Py<PyAny>>;
    fn refuse(&self, refusal: Refusal) -> Option<Waker>;
}

impl<W: Work> Slot<W> {
    pub(super) fn new(work: W) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                step: Step::Waiting(work),
                gone: false,
                waker: None,
                task: None,
            }),
        })
    }

    /// The state. Nothing that may run Python, or drop a Python object, happens under this lock.
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_work(&self) -> Option<W> {
        let mut state = self.lock();
        match mem::replace(&mut state.step, Step::Held) {
            Step::Waiting(work) => Some(work),
            other => {
                state.step = other;
                None
            }
        }
    }

    /// Puts `step` where the work was, and returns who waits for it.
    fn settle(&self, step: Step<W>) -> Option<Waker> {
        let mut state = self.lock();
        let before = mem::replace(&mut state.step, step);
        let task = state.task.take();
        let waker = state.waker.take();
        drop(state);
        drop((before, task));
        waker
    }
}

impl<W: Work> Job for Slot<W> {
    fn call(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        if self.lock().gone {
            return None;
        }
        let mut work = self.take_work()?;
        let outcome = ffi::shielded(|| work.call(py));
        self.lock().step = Step::Waiting(work);
        Some(outcome)
    }

    fn finish(&self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Option<Waker> {
        let cancelled =
            matches!(&outcome, Err(error) if error.is_instance_of::<CancelledError>(py));
        if cancelled && self.lock().gone {
            return None;
        }
        // An exception is reported by `finish`, also where nobody waits for the answer.
        let work = self.take_work()?;
        let answer = ffi::shielded(|| work.finish(py, outcome));
        self.settle(Step::Answered(answer))
    }

    fn watch(&self, task: Py<PyAny>, shared: &Arc<Shared>) -> Result<(), Py<PyAny>> {
        let mut state = self.lock();
        if state.gone {
            return Err(task);
        }
        state.task = Some(Running {
            task,
            shared: Arc::clone(shared),
        });
        Ok(())
    }

    fn refuse(&self, refusal: Refusal) -> Option<Waker> {
        self.settle(Step::Refused(refusal))
    }
}

impl Ticket {
    pub(super) fn new<W: Work>(slot: &Arc<Slot<W>>) -> Self {
        let slot = Arc::clone(slot);
        Self { job: Some(slot) }
    }

    /// Calls the function; `None` when the client has gone before its turn came.
    pub(super) fn call(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        self.job.as_ref()?.call(py)
    }

    /// Hands in the outcome, and returns who is to be woken.
    pub(super) fn finish(mut self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Option<Waker> {
        let job = self.job.take()?;
        job.finish(py, outcome)
    }

    /// Has `task` cancelled when the client goes; gives it back when the client has gone already.
    pub(super) fn watch(&self, task: Py<PyAny>, shared: &Arc<Shared>) -> Result<(), Py<PyAny>> {
        match &self.job {
            Some(job) => job.watch(task, shared),
            None => Ok(()),
        }
    }

    /// Ends the call without an answer.
    pub(super) fn refuse(mut self, refusal: Refusal) {
        if let Some(waker) = self.job.take().and_then(|job| job.refuse(refusal)) {
            waker.wake();
        }
    }

    /// Gives up the duty: the client has gone.
    pub(super) fn forget(mut self) {
        self.job = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let refusal = if thread::panicking() {
            Refusal::Panicked
        } else {
            Refusal::Closed
        };
        if let Some(waker) = self.job.take().and_then(|job| job.refuse(refusal)) {
            waker.wake();
        }
    }
}

impl<W: Work> Call<W> {
    pub(super) fn new(slot: Arc<Slot<W>>) -> Self {
        Self { slot }
    }
}

impl<W: Work> Future for Call<W> {
    type Output = Result<W::Answer, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.lock();
        match mem::replace(&mut state.step, Step::Held) {
            Step::Answered(answer) => Poll::Ready(Ok(answer)),
            Step::Refused(refusal) => Poll::Ready(Err(refusal)),
            unfinished => {
                state.step = unfinished;
                match &mut state.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    empty => *empty = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl<W: Work> Drop for Call<W> {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        state.gone = true;
        state.waker = None;
        let task = state.task.take();
        drop(state);
        if let Some(Running { task, shared }) = task {
            shared.send(Errand::Cancel(task));
        }
    }
}

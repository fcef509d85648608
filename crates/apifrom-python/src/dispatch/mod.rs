//! Calls the user's Python functions: who runs them, where, and when.
//!
//! 1. [`call`] takes one piece of [`Work`] for a [`Route`] and returns a future of its answer. The
//!    route's [`Mode`] decides the place.
//! 2. `async def` and short `def` wait in the queue of the reactor's thread until the turn of the
//!    reactor ends; then all of them are made while the interpreter is held once ([`batch`]).
//! 3. `async def` always is a stock `asyncio.Task` whose first step runs at once ([`task`]).
//! 4. `def` runs in the [`pool`] until its route has proved short ([`route`]).
//! 5. Each call has a `contextvars.Context` of its own; a `def` sees no running loop.
//! 6. A future that is dropped before its answer came means that the client has gone: what has not
//!    begun is skipped, and a task is cancelled. A `def` that runs cannot be stopped.
//!
//! What cannot be called is answered with a [`Refusal`]. A call costs one allocation.

mod batch;
mod pool;
mod probe;
mod route;
mod slot;
mod stall;
mod task;

pub(crate) use self::batch::{about_to_wait, run_batch};
pub(crate) use self::pool::Pool;
pub(crate) use self::probe::{ProbeCall, ProbeRoute, ProbeWorker, pool_load, run_worker};
pub(crate) use self::route::{Mode, Route};
pub(crate) use self::slot::Call;
pub(crate) use self::stall::Delays;
pub(crate) use self::task::capture_step;

use std::sync::Arc;

use pyo3::prelude::*;

use self::slot::{Slot, Ticket};
use crate::reactor::{self, Local, Shared, ffi};

/// One call of a user's function, from request to answer.
pub(crate) trait Work: Send + 'static {
    /// What whoever waits is handed.
    type Answer: Send + 'static;

    /// Calls the function: returns its value, or the coroutine of an `async def`.
    ///
    /// # Errors
    /// What the function raised.
    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>>;

    /// Turns the value that came back, or the exception, into the answer.
    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Self::Answer;
}

/// Why a function was not called, or its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Every thread of the pool is busy and its queue is full: 503 with `Retry-After`.
    Busy,
    /// There is no reactor here to run it, or the worker is closing: 503.
    Closed,
    /// The glue itself panicked, which costs this request and no other: 500.
    Panicked,
}

/// A call on its way to the place where it is made.
pub(crate) struct Queued {
    pub(crate) route: Arc<Route>,
    pub(crate) ticket: Ticket,
    /// The context that the call's own is copied from, where it is not the worker's.
    pub(crate) context: Option<Py<PyAny>>,
}

impl Queued {
    /// What the call's own context is copied from; nothing where there is no worker.
    fn base<'a>(&'a self, shared: Option<&'a Shared>) -> Option<&'a Py<PyAny>> {
        self.context
            .as_ref()
            .or_else(|| shared.map(Shared::context))
    }
}

/// Calls `work` for `route`. The call is on its way when this returns.
///
/// Outside a reactor's thread only what runs in the pool can be called; everything else is
/// refused as [`Refusal::Closed`].
pub(crate) fn call<W: Work>(route: &Arc<Route>, work: W) -> Call<W> {
    let slot = Slot::new(work);
    let queued = Queued {
        route: Arc::clone(route),
        ticket: Ticket::new(&slot),
        context: reactor::with_local(guest_context).flatten(),
    };
    if route.mode() == Mode::Pool {
        Pool::global().submit(
            queued,
            reactor::with_local(|local| Arc::clone(local.shared())),
        );
    } else if let Err(queued) = reactor::enqueue(queued) {
        queued.ticket.refuse(Refusal::Closed);
    }
    Call::new(slot)
}

/// Like [`call`] for the worker of `shared`, from any thread.
pub(crate) fn call_on<W: Work>(shared: &Arc<Shared>, route: &Arc<Route>, work: W) -> Call<W> {
    let slot = Slot::new(work);
    let queued = Queued {
        route: Arc::clone(route),
        ticket: Ticket::new(&slot),
        context: None,
    };
    if route.mode() == Mode::Pool {
        Pool::global().submit(queued, Some(Arc::clone(shared)));
    } else {
        shared.send(reactor::Errand::Call(queued));
    }
    Call::new(slot)
}

/// The context that a call is asked for in, where the loop is not ours: whoever turns that loop may have
/// set what the handler is to see.
fn guest_context(local: &Local) -> Option<Py<PyAny>> {
    if !local.is_guest() {
        return None;
    }
    Python::attach(|py| ffi::copy_context(py, None).map(Bound::unbind).ok())
}

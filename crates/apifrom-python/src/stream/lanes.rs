//! The places where the engine's own calls into Python are made, and calls that nobody waits for.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::dispatch::{self, Call, Route, Work};
use crate::reactor::Shared;

/// One route for each place.
#[derive(Clone)]
pub(crate) struct Lanes {
    pool: Arc<Route>,
    inline: Arc<Route>,
    task: Arc<Route>,
}

impl Lanes {
    /// The lanes of the process.
    pub(crate) fn of(py: Python<'_>) -> Self {
        static LANES: PyOnceLock<Lanes> = PyOnceLock::new();
        let lanes = LANES.get_or_init(py, || Self {
            pool: Arc::new(Route::function(py, "apifrom", Some(true))),
            inline: Arc::new(Route::function(py, "apifrom", Some(false))),
            task: Arc::new(Route::coroutine(py, "apifrom")),
        });
        lanes.clone()
    }

    /// A thread of the pool.
    pub(crate) fn pool(&self) -> &Arc<Route> {
        &self.pool
    }

    /// The loop's thread, between callbacks.
    pub(crate) fn inline(&self) -> &Arc<Route> {
        &self.inline
    }

    /// A task on the loop.
    pub(crate) fn task(&self) -> &Arc<Route> {
        &self.task
    }
}

/// Has `work` done though nobody waits for it: a call that is dropped is given up otherwise.
/// `shared` is the worker it belongs to; without one it is this thread's.
pub(crate) fn detached<W: Work>(shared: Option<&Arc<Shared>>, route: &Arc<Route>, work: W) {
    let kept = Arc::new(Mutex::new(None));
    let work = Detached {
        work,
        kept: Arc::clone(&kept),
    };
    let call = match shared {
        Some(shared) => dispatch::call_on(shared, route, work),
        None => dispatch::call(route, work),
    };
    // The work holds its own call until it is done. Where it is done already, or was refused, the
    // call ends here with `kept`.
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
}

struct Detached<W: Work> {
    work: W,
    kept: Arc<Mutex<Option<Call<Self>>>>,
}

impl<W: Work> Work for Detached<W> {
    type Answer = ();

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.work.call(py)
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) {
        let Self { work, kept } = self;
        drop(work.finish(py, outcome));
        let call = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(call);
    }
}

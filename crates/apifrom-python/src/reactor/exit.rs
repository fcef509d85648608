//! What has to end before the interpreter does.
//!
//! Before Python 3.14 a thread that wants the interpreter while it ends is unwound by force, which
//! no Rust frame may be part of, or looks at a thread state that is freed already. So the last thing
//! before that end is:
//!
//! 1. Stop the workers on threads of their own, for a second.
//! 2. Call back what still computes in the pool, for another.
//! 3. Have the log records that wait delivered, for five, and stop their thread. It is not held: it
//!    may have the lock of a handler, which `logging` waits for in the end.
//! 4. Hold what still runs Python code where it is, for good: [`Held`].
//!
//! What waits in C code beyond all that is kept from being unwound ([`super::ffi::shielded`]).

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::wrap_pyfunction;

use super::background::{self, Stopping};
use super::{ffi, now};
use crate::dispatch::Pool;
use crate::logging;

/// How long the end of the interpreter waits for what ends in order.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits for log records to be delivered.
const DELIVERY: Duration = Duration::from_secs(5);
/// How long it waits for what is to be held. Whoever runs Python code is there within milliseconds,
/// and whoever does not never comes.
const HOLDING: Duration = Duration::from_millis(250);

/// What Python calls the threads that are held.
static HELD: Mutex<Vec<c_ulong>> = Mutex::new(Vec::new());

static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Has [`end_all`] called before the interpreter ends.
///
/// # Errors
/// What `atexit` raises.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    if !REGISTERED.swap(true, Ordering::AcqRel) {
        py.import("atexit")?
            .call_method1("register", (wrap_pyfunction!(end_all, py)?,))?;
    }
    Ok(())
}

#[pyfunction]
fn end_all(py: Python<'_>) {
    let workers = background::stop_all();
    wait_until(py, PATIENCE, || workers.iter().all(Stopping::has_ended));
    Pool::global().end(py);
    wait_until(py, PATIENCE, || Pool::global().has_ended());
    logging::end();
    wait_until(py, DELIVERY, logging::has_ended);
    logging::give_up();
    wait_until(py, PATIENCE, logging::has_ended);
    let unfinished = || {
        let workers = workers.iter().filter(|worker| !worker.has_ended());
        let mut threads = Pool::global().busy();
        threads.extend(workers.filter_map(Stopping::ident));
        threads
    };
    let held = py.get_type::<Held>();
    for ident in unfinished() {
        ffi::raise_in(ident, &held);
    }
    wait_until(py, HOLDING, || {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner).clone();
        unfinished().iter().all(|ident| held.contains(ident))
    });
}

/// Holds the thread it is raised in: an exception is made before any handler of it runs, and this
/// one never finishes being made. The thread has let the interpreter go by then.
#[pyclass(extends = PyBaseException, frozen, module = "apifrom._apifrom", name = "_Held")]
struct Held;

#[pymethods]
impl Held {
    #[new]
    fn new(py: Python<'_>) -> Self {
        let ident = ffi::thread_ident();
        py.detach(|| {
            HELD.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(ident);
            loop {
                thread::park();
            }
        })
    }
}

/// Waits without the interpreter, which what ends may need.
fn wait_until(py: Python<'_>, patience: Duration, is_over: impl Fn() -> bool + Send + Sync) {
    py.detach(|| {
        let begin = now();
        while !is_over() && now().duration_since(begin) < patience {
            thread::sleep(Duration::from_millis(2));
        }
    });
}

//! A worker on a loop that is not ours: the one of a foreign ASGI server, or of a test.
//!
//! 1. The loop turns as its owner has it. What our own selector does at the end of a turn is done
//!    here by a callback of the loop, which is asked for whenever a call is queued.
//! 2. Tasks are made by the loop's own `create_task`, and every call runs in a copy of the context that
//!    it was asked for in, so that what the server's own middleware set is seen by handlers.
//! 3. Futures that need a runtime (a body that is read later, a timer) have one on a thread of its
//!    own, which starts when it is first needed and serves all such loops.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::{intern, wrap_pyfunction};
use tokio::runtime::{Handle, Runtime};

use super::ffi;
use super::handle::Shared;
use super::local::{self, Local};
use super::python::PythonLoop;
use crate::dispatch;

/// Makes sure that calls on this thread go to the loop that runs on it.
///
/// # Errors
/// `RuntimeError` where no loop runs, `OSError` when the system refuses a thread.
pub(crate) fn join(py: Python<'_>) -> PyResult<()> {
    let event_loop = py
        .import("asyncio")?
        .call_method0(intern!(py, "get_running_loop"))?;
    if let Some(local) = local::current() {
        if local.python().event_loop(py).is(&event_loop) {
            return Ok(());
        }
        // The loop before has ended, and with it all that waited there.
        local.close();
        local::uninstall();
    }
    runtime()?;
    let context = ffi::copy_context(py, None)?.unbind();
    let shared = Arc::new(Shared::new(context));
    let bell = Bell {
        thread: thread::current().id(),
        is_asked: AtomicBool::new(false),
        answer: wrap_pyfunction!(answer_bell, py)?.into_any().unbind(),
        event_loop: event_loop.clone().unbind(),
    };
    let bell = Arc::new(bell);
    shared.set_waker(&Waker::from(Arc::clone(&bell)));
    let python = PythonLoop::foreign(py, event_loop)?;
    local::install(&Rc::new(Local::guest(shared, python, bell)));
    Ok(())
}

/// Runs `poll` where futures find a runtime.
pub(crate) fn inside<R>(poll: impl FnOnce() -> R) -> R {
    let handle = local::with_local(Local::runtime_handle).flatten();
    let handle = handle.or_else(|| RUNTIME.get().map(|runtime| runtime.handle().clone()));
    let _inside = handle.as_ref().map(Handle::enter);
    poll()
}

/// Makes the calls that wait on this thread, if its loop is not ours.
pub(crate) fn make_guest_calls(py: Python<'_>) {
    if let Some(local) = local::current()
        && local.is_guest()
    {
        dispatch::run_batch(py, &local);
    }
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> PyResult<()> {
    if RUNTIME.get().is_none() {
        let made = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("apifrom-io")
            .enable_all()
            .build()
            .map_err(PyOSError::new_err)?;
        if let Err(second) = RUNTIME.set(made) {
            second.shutdown_background();
        }
    }
    Ok(())
}

/// Has the loop call [`answer_bell`].
pub(super) struct Bell {
    thread: ThreadId,
    is_asked: AtomicBool,
    answer: Py<PyAny>,
    event_loop: Py<PyAny>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if self.is_asked.swap(true, Ordering::AcqRel) {
            return;
        }
        // Nothing is called where the interpreter has ended.
        let _ = Python::try_attach(|py| {
            let name = if thread::current().id() == self.thread {
                intern!(py, "call_soon")
            } else {
                intern!(py, "call_soon_threadsafe")
            };
            // A loop that is closed has nobody left who waits.
            let _ = self.event_loop.call_method1(py, name, (&self.answer,));
        });
    }
}

/// The callback that the loop makes.
#[pyfunction]
fn answer_bell(py: Python<'_>) {
    let Some(local) = local::current() else {
        return;
    };
    if let Some(bell) = local.bell() {
        bell.is_asked.store(false, Ordering::Release);
        dispatch::run_batch(py, &local);
        if !local.is_idle() {
            Arc::clone(bell).wake();
        }
    }
}

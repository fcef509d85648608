//! A worker on a loop that is not ours: the one of a foreign ASGI server, or of a test.
//!
//! 1. The loop turns as its owner has it. What our own selector does at the end of a turn is done
//!    here by a callback of the loop, which is asked for whenever a call is queued.
//! 2. Tasks are made by the loop's own `create_task`, and every call runs in a copy of the context that
//!    it was asked for in, so that what the server's own middleware set is seen by handlers.
//! 3. Futures that need a runtime (a body that is read later, a timer) have one on a thread of its
//!    own, which starts when it is first needed and serves all such loops.
//! 4. A loop that is suspended while another runs on its thread goes on later with all that waits
//!    there: its guest stays until the loop is closed, or has no tasks left when another joins.

use std::mem;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use pyo3::{intern, wrap_pyfunction};
use tokio::runtime::{Handle, Runtime};

use super::handle::Shared;
use super::local::{self, Local};
use super::python::PythonLoop;
use super::{ffi, fork};
use crate::dispatch;

/// Makes sure that calls on this thread go to the loop that runs on it.
///
/// # Errors
/// `RuntimeError` where no loop runs, `OSError` when the system refuses a thread.
pub(crate) fn join(py: Python<'_>) -> PyResult<()> {
    let event_loop = running_loop(py)?;
    if event_loop.is_none() {
        return Err(PyRuntimeError::new_err("no running event loop"));
    }
    if let Some(local) = local::current()
        && local.python().event_loop(py).is(&event_loop)
    {
        return Ok(());
    }
    local::let_go(|local| is_over(py, local));
    fork::register(py)?;
    let runtime = runtime()?;
    let context = ffi::copy_context(py, None)?.unbind();
    let shared = Arc::new(Shared::new(context));
    let bell = Bell {
        thread: thread::current().id(),
        is_asked: AtomicBool::new(false),
        runtime,
        answer: wrap_pyfunction!(answer_bell, py)?.into_any().unbind(),
        event_loop: event_loop.clone().unbind(),
    };
    let bell = Arc::new(bell);
    shared.set_waker(&Waker::from(Arc::clone(&bell)));
    let python = PythonLoop::foreign(py, event_loop)?;
    local::install(&Rc::new(Local::guest(shared, python, bell)));
    Ok(())
}

/// The loop that runs on this thread, or `None`.
pub(super) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let running = RUNNING.import(py, "asyncio", "_get_running_loop")?;
    ffi::call(running, [])
}

/// True where the loop of `local` is closed.
pub(super) fn is_closed(py: Python<'_>, local: &Local) -> bool {
    asked(local.python().event_loop(py), intern!(py, "is_closed"))
}

/// True where nothing waits on the loop of `local`, which may never run again.
pub(super) fn is_over(py: Python<'_>, local: &Local) -> bool {
    let event_loop = local.python().event_loop(py);
    let has_tasks = || {
        let tasks = py
            .import("asyncio")?
            .call_method1("all_tasks", (event_loop,))?;
        tasks.is_truthy()
    };
    is_closed(py, local)
        || (local.is_idle()
            && !local.shared().is_held()
            && !asked(event_loop, intern!(py, "is_running"))
            && !has_tasks().unwrap_or(true))
}

fn asked(event_loop: &Bound<'_, PyAny>, question: &Bound<'_, PyString>) -> bool {
    let answer = event_loop.call_method0(question);
    answer.is_ok_and(|answer| answer.is_truthy().unwrap_or(false))
}

/// Runs `poll` where futures find a runtime.
pub(crate) fn inside<R>(poll: impl FnOnce() -> R) -> R {
    let handle = local::with_local(Local::runtime_handle).flatten();
    let handle = handle.or_else(|| lock().as_ref().map(|runtime| runtime.handle().clone()));
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

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Runtime>> {
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> PyResult<Handle> {
    let mut runtime = lock();
    if let Some(runtime) = &*runtime {
        return Ok(runtime.handle().clone());
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("apifrom-io")
        .enable_all()
        .build()
        .map_err(PyOSError::new_err)?;
    let handle = made.handle().clone();
    *runtime = Some(made);
    Ok(handle)
}

/// Forgets the runtime, whose thread a forked child has not.
pub(super) fn forget_runtime() {
    mem::forget(lock().take());
}

/// Has the loop call [`answer_bell`].
pub(super) struct Bell {
    thread: ThreadId,
    is_asked: AtomicBool,
    /// Where futures of this loop find what they need.
    runtime: Handle,
    answer: Py<PyAny>,
    event_loop: Py<PyAny>,
}

impl Bell {
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }
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
    // The loop may have been let go of since it was asked.
    let is_here = running_loop(py).is_ok_and(|running| local.python().event_loop(py).is(&running));
    if let Some(bell) = local.bell()
        && is_here
    {
        bell.is_asked.store(false, Ordering::Release);
        dispatch::run_batch(py, &local);
        if !local.is_idle() {
            Arc::clone(bell).wake();
        }
    }
}

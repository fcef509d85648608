//! A worker from its start to its end, on the thread that makes it.

use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use super::ffi;
use super::guest;
use super::handle::{Handle, Shared};
use super::local::{self, Local};
use super::python::PythonLoop;

/// How long a thread that computes keeps the interpreter while another waits for it, in seconds. At
/// Python's own 5 ms, two computing threads hold up every other request by 10 ms.
const SWITCH_INTERVAL: f64 = 0.0005;

/// The thread that made it, as a worker: reactor, loop and interpreter.
///
/// Dropping a worker without [`Worker::close`] leaves its loop unclosed, about which Python warns.
pub(crate) struct Worker {
    local: Rc<Local>,
    handle: Handle,
}

impl Worker {
    /// Makes this thread a worker.
    ///
    /// # Errors
    /// `RuntimeError` when it is one already, or a loop runs on it; `OSError` when the system refuses
    /// a descriptor.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        local::let_go(|local| guest::is_over(py, local));
        if local::has_worker() {
            return Err(PyRuntimeError::new_err("this thread has a worker already"));
        }
        if !guest::running_loop(py)?.is_none() {
            return Err(PyRuntimeError::new_err(
                "a loop runs on this thread already",
            ));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        apifrom::runtime_has_timers();
        let (python, descriptor) = PythonLoop::new(py)?;
        let epoll = {
            let _inside = runtime.enter();
            ffi::watch(ffi::duplicate(descriptor)?)?
        };
        let context = ffi::copy_context(py, None)?.unbind();
        let shared = Arc::new(Shared::new(context));
        let handle = Handle::new(Arc::clone(&shared), runtime.handle().clone());
        let local = Rc::new(Local::new(runtime, epoll, shared, python));
        local::install(&local);
        set_switch_interval(py)?;
        Ok(Self { local, handle })
    }

    /// What reaches this worker from other threads.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The asyncio loop.
    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.local.python().event_loop(py)
    }

    /// Runs a coroutine to its end on the loop, while everything else goes on as well.
    ///
    /// # Errors
    /// What the coroutine raises.
    pub(crate) fn complete<'py>(
        &self,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = self.event_loop(coroutine.py());
        ffi::call(&event_loop.getattr("run_until_complete")?, [coroutine])
    }

    /// Runs the worker until `main` ends, and returns what it ends with.
    ///
    /// `SystemExit` and `KeyboardInterrupt` that a callback of the loop raises cost that callback
    /// and nothing else.
    ///
    /// # Errors
    /// What the loop itself raises; `RuntimeError` when `main` panicked.
    pub(crate) fn run<F>(&self, py: Python<'_>, main: F) -> PyResult<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let ended = Arc::new(Mutex::new(None));
        let task = self.handle.spawn({
            let ended = Arc::clone(&ended);
            let end = End(Arc::clone(self.handle.shared()));
            async move {
                let output = main.await;
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
                drop(end);
            }
        });
        loop {
            let event_loop = self.event_loop(py);
            let result = ffi::call(&event_loop.getattr(intern!(py, "run_forever"))?, []);
            if let Err(error) = result {
                let is_exit = error.is_instance_of::<PySystemExit>(py)
                    || error.is_instance_of::<PyKeyboardInterrupt>(py);
                if !is_exit {
                    task.abort();
                    return Err(error);
                }
                error.write_unraisable(py, None);
            }
            let output = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(output) = output {
                return Ok(output);
            }
            if task.is_finished() {
                return Err(PyRuntimeError::new_err("the worker's main task panicked"));
            }
            // A handler stopped the loop, which is not its to stop: go on.
        }
    }

    /// Has `react` called, between callbacks of the loop, each time the process gets `signal`.
    ///
    /// # Errors
    /// `ValueError` or `RuntimeError` on any thread but the main one, where Python handles signals.
    pub(crate) fn on_signal(
        &self,
        py: Python<'_>,
        signal: i32,
        react: impl Fn() + Send + Sync + 'static,
    ) -> PyResult<()> {
        let react = PyCFunction::new_closure(py, None, None, move |_arguments, _names| react())?;
        self.event_loop(py)
            .call_method1(intern!(py, "add_signal_handler"), (signal, react))?;
        Ok(())
    }

    /// Ends everything that still runs here. Tasks, asynchronous generators and executor threads are
    /// each waited for at most so long.
    ///
    /// # Errors
    /// What ending the loop raises. The worker is gone in any case.
    pub(crate) fn close(self, py: Python<'_>, patience: Duration) -> PyResult<()> {
        let ended = py.import("apifrom._loop").and_then(|module| {
            let arguments = (self.event_loop(py), patience.as_secs_f64());
            module.call_method1("end_loop", arguments)
        });
        self.local.close();
        local::uninstall(&self.local);
        restore_switch_interval(py)?;
        ended.map(drop)
    }
}

/// Ends the loop's run when the main task is over, also by a panic.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The workers that live, and the switch interval that the first of them found.
static INTERVAL: Mutex<(usize, f64)> = Mutex::new((0, 0.0));

fn set_switch_interval(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    let mut interval = INTERVAL.lock().unwrap_or_else(PoisonError::into_inner);
    if interval.0 == 0 {
        interval.1 = sys.call_method0("getswitchinterval")?.extract()?;
        sys.call_method1("setswitchinterval", (SWITCH_INTERVAL,))?;
    }
    interval.0 += 1;
    Ok(())
}

fn restore_switch_interval(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    let mut interval = INTERVAL.lock().unwrap_or_else(PoisonError::into_inner);
    interval.0 = interval.0.saturating_sub(1);
    if interval.0 == 0 {
        sys.call_method1("setswitchinterval", (interval.1,))?;
    }
    Ok(())
}

//! Drives a worker and its dispatch from Python, with no server in between.
//!
//! Private to the package: the tests of the asyncio contract call functions through it exactly as
//! requests do, and see where each one ran.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::AbortHandle;

use super::{Mode, Pool, Refusal, Route, Work, call, call_on};
use crate::reactor::{Background, Worker, ffi, now};

/// A function and the route that its calls take.
#[pyclass(name = "_Route", module = "apifrom._apifrom", frozen)]
pub(crate) struct ProbeRoute {
    function: Py<PyAny>,
    route: Arc<Route>,
}

#[pymethods]
impl ProbeRoute {
    #[new]
    #[pyo3(signature = (function, *, blocking = None))]
    fn new(function: &Bound<'_, PyAny>, blocking: Option<bool>) -> PyResult<Self> {
        let py = function.py();
        let is_coroutine: bool = py
            .import("inspect")?
            .call_method1("iscoroutinefunction", (function,))?
            .extract()?;
        let route = if is_coroutine {
            Route::coroutine(py, "probe")
        } else {
            Route::function(py, "probe", blocking)
        };
        Ok(Self {
            function: function.clone().unbind(),
            route: Arc::new(route),
        })
    }

    /// Where the next call is made: `task`, `inline` or `pool`.
    #[getter]
    fn mode(&self) -> &'static str {
        match self.route.mode() {
            Mode::Task => "task",
            Mode::Inline => "inline",
            Mode::Pool => "pool",
        }
    }

    /// How many calls in a row have to be quick before the function runs inline.
    #[getter]
    fn proof(&self) -> u32 {
        self.route.proof()
    }

    /// True when the place never changes again.
    #[getter]
    fn decided(&self) -> bool {
        self.route.is_decided()
    }
}

/// Calls a function with fixed arguments and hands over what it returns.
struct Plain {
    function: Py<PyAny>,
    arguments: Py<PyTuple>,
}

impl Work for Plain {
    type Answer = PyResult<Py<PyAny>>;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let arguments = self.arguments.bind(py);
        ffi::call_with(self.function.bind(py), arguments, None).map(Bound::unbind)
    }

    fn finish(self, _py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Self::Answer {
        outcome
    }
}

type Outcome = Result<PyResult<Py<PyAny>>, Refusal>;

/// A call that is under way.
#[pyclass(name = "_Call", module = "apifrom._apifrom", frozen)]
pub(crate) struct ProbeCall {
    answer: Mutex<mpsc::Receiver<Outcome>>,
    task: AbortHandle,
}

#[pymethods]
impl ProbeCall {
    /// Waits for the answer: returns it, or raises what the function raised.
    #[pyo3(signature = (timeout = 10.0))]
    fn result(&self, py: Python<'_>, timeout: f64) -> PyResult<Py<PyAny>> {
        let limit = Duration::try_from_secs_f64(timeout)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let answer = py.detach(|| {
            let receiver = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv_timeout(limit)
        });
        match answer {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(refusal)) => Err(PyRuntimeError::new_err(format!("{refusal:?}"))),
            Err(RecvTimeoutError::Timeout) => Err(PyTimeoutError::new_err("no answer in time")),
            Err(RecvTimeoutError::Disconnected) => Err(PyRuntimeError::new_err("given up")),
        }
    }

    /// Gives the call up, as a client does that closes its connection.
    fn give_up(&self) {
        self.task.abort();
    }
}

/// A worker on a thread of its own.
#[pyclass(name = "_Worker", module = "apifrom._apifrom", frozen)]
pub(crate) struct ProbeWorker {
    background: Background,
    event_loop: Py<PyAny>,
}

#[pymethods]
impl ProbeWorker {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let (sender, event_loop) = mpsc::sync_channel(1);
        let background = Background::start(
            py,
            move |py, worker| {
                // The receiver is there until the worker has started.
                let _ = sender.send(worker.event_loop(py).clone().unbind());
                Ok(())
            },
            |_py, _worker| Ok(()),
        )?;
        let event_loop = event_loop
            .recv()
            .map_err(|_| PyRuntimeError::new_err("the worker did not start"))?;
        Ok(Self {
            background,
            event_loop,
        })
    }

    /// The asyncio loop.
    #[getter]
    fn event_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    /// Calls a function the way a request does, and returns at once.
    #[pyo3(signature = (route, *arguments))]
    fn begin(&self, route: &Bound<'_, ProbeRoute>, arguments: Py<PyTuple>) -> ProbeCall {
        let py = route.py();
        let work = Plain {
            function: route.get().function.clone_ref(py),
            arguments,
        };
        let route = Arc::clone(&route.get().route);
        let (sender, answer) = mpsc::sync_channel(1);
        let task = self.background.handle().spawn(async move {
            // A caller that no longer listens has gone.
            let _ = sender.send(call(&route, work).await);
        });
        ProbeCall {
            answer: Mutex::new(answer),
            task: task.abort_handle(),
        }
    }

    /// Calls a function from this thread, past the runtime's tasks.
    #[pyo3(signature = (route, *arguments))]
    fn begin_here(&self, route: &Bound<'_, ProbeRoute>, arguments: Py<PyTuple>) -> ProbeCall {
        let work = Plain {
            function: route.get().function.clone_ref(route.py()),
            arguments,
        };
        let handle = self.background.handle();
        let call = call_on(handle.shared(), &route.get().route, work);
        let (sender, answer) = mpsc::sync_channel(1);
        let task = handle.spawn(async move {
            // A caller that no longer listens has gone.
            let _ = sender.send(call.await);
        });
        ProbeCall {
            answer: Mutex::new(answer),
            task: task.abort_handle(),
        }
    }

    /// Seconds that an answer takes which needs no Python.
    fn tick(&self, py: Python<'_>) -> f64 {
        let handle = self.background.handle();
        py.detach(|| {
            let (sender, answer) = mpsc::sync_channel(1);
            let begin = now();
            handle.spawn(async move {
                // The receiver waits below.
                let _ = sender.send(now());
            });
            let end = answer.recv().unwrap_or_else(|_| now());
            end.duration_since(begin).as_secs_f64()
        })
    }

    /// Stops the worker and waits for its end.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.background.stop(py)
    }
}

/// Runs a worker on this thread until SIGINT or SIGTERM; calls `started` on its loop before, and
/// returns the number of the signal.
#[pyfunction]
#[pyo3(name = "_run_worker")]
pub(crate) fn run_worker(py: Python<'_>, started: &Bound<'_, PyAny>) -> PyResult<i32> {
    let worker = Worker::new(py)?;
    let (sender, mut signals) = unbounded_channel();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let sender = sender.clone();
        worker.on_signal(py, signal, move || {
            // The receiver lives as long as the run.
            let _ = sender.send(signal);
        })?;
    }
    worker.complete(&started.call0()?)?;
    let signal = worker.run(py, async move { signals.recv().await });
    worker.close(py, Duration::from_secs(5))?;
    Ok(signal?.unwrap_or_default())
}

/// Calls that the pool runs, and calls that wait for one of its threads.
#[pyfunction]
#[pyo3(name = "_pool_load")]
pub(crate) fn pool_load() -> (usize, usize) {
    Pool::global().load()
}

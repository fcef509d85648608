//! The Python objects of a worker, looked up once when it starts.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::{intern, wrap_pyfunction};

use super::turn;

/// How many timers may be added during one `select` before the loop is asked to clear up: it drops
/// cancelled ones only when it passes by.
const TIMERS: usize = 100;

/// A loop and what is needed of it with every call.
pub(crate) struct PythonLoop {
    event_loop: Py<PyAny>,
    attributes: Py<PyDict>,
    ready: Py<PyAny>,
    look: Py<PyAny>,
    set_running: Py<PyAny>,
    task_class: Py<PyAny>,
    task_options: Py<PyTuple>,
    is_eager: bool,
    capture: Py<PyAny>,
}

/// The timers of a loop at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timers {
    /// The address of the first. No two live objects share one, and the loop alone removes timers.
    first: usize,
    count: usize,
}

impl PythonLoop {
    /// Makes the loop of a worker, and returns the descriptor of its selector besides.
    pub(super) fn new(py: Python<'_>) -> PyResult<(Self, i32)> {
        let turn = wrap_pyfunction!(turn::select, py)?;
        let touched = wrap_pyfunction!(turn::touched, py)?;
        let made = py
            .import("apifrom._loop")?
            .call_method1("new_loop", (turn, touched))?;
        let (event_loop, selector): (Bound<'_, PyAny>, Bound<'_, PyAny>) = made.extract()?;
        let asyncio = py.import("asyncio")?;
        let descriptor = selector.call_method0("fileno")?.extract()?;
        let is_eager = py.version_info() >= (3, 12);
        let options = if is_eager {
            vec!["loop", "name", "eager_start"]
        } else {
            vec!["loop", "name"]
        };
        let options = options.into_iter().map(|name| PyString::intern(py, name));
        let options: Vec<_> = options.collect();
        let python = Self {
            attributes: event_loop
                .getattr("__dict__")?
                .cast_into::<PyDict>()?
                .unbind(),
            ready: event_loop.getattr("_ready")?.unbind(),
            look: selector.getattr("look")?.unbind(),
            set_running: asyncio.getattr("_set_running_loop")?.unbind(),
            task_class: asyncio.getattr("Task")?.unbind(),
            task_options: PyTuple::new(py, options)?.unbind(),
            is_eager,
            capture: wrap_pyfunction!(crate::dispatch::capture_step, py)?
                .into_any()
                .unbind(),
            event_loop: event_loop.unbind(),
        };
        Ok((python, descriptor))
    }

    /// The parts of a loop that is not ours, which runs on this thread.
    pub(super) fn foreign(py: Python<'_>, event_loop: Bound<'_, PyAny>) -> PyResult<Self> {
        let asyncio = py.import("asyncio")?;
        Ok(Self {
            attributes: PyDict::new(py).unbind(),
            ready: py.None(),
            look: py.None(),
            set_running: asyncio.getattr("_set_running_loop")?.unbind(),
            task_class: py.None(),
            task_options: PyTuple::empty(py).unbind(),
            is_eager: false,
            capture: py.None(),
            event_loop: event_loop.unbind(),
        })
    }

    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_loop.bind(py)
    }

    pub(crate) fn task_class<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.task_class.bind(py)
    }

    /// The names of the arguments that follow a task's coroutine.
    pub(crate) fn task_options<'py>(&self, py: Python<'py>) -> &Bound<'py, PyTuple> {
        self.task_options.bind(py)
    }

    /// True when a task can be asked to take its first step at once, which 3.11 cannot.
    pub(crate) fn is_eager(&self) -> bool {
        self.is_eager
    }

    /// The loop's `__dict__`.
    pub(crate) fn loop_attributes<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.attributes.bind(py)
    }

    /// What stands in for `call_soon` while a task is built.
    pub(crate) fn capture<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.capture.bind(py)
    }

    /// Sets whether this thread has a running loop.
    pub(crate) fn set_running(&self, py: Python<'_>, running: bool) {
        let result = if running {
            self.set_running.call1(py, (&self.event_loop,))
        } else {
            self.set_running.call1(py, (py.None(),))
        };
        if let Err(error) = result {
            error.write_unraisable(py, None);
        }
    }

    /// True when callbacks wait for the loop.
    pub(super) fn has_callbacks(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.ready.bind(py).len()? > 0)
    }

    /// The loop's timers. The list itself is replaced now and then, so it is looked up each time.
    pub(super) fn timers(&self, py: Python<'_>) -> PyResult<Timers> {
        let timers = self
            .attributes
            .bind(py)
            .get_item(intern!(py, "_scheduled"))?;
        let Some(timers) = timers else {
            return Ok(Timers { first: 0, count: 0 });
        };
        let timers = timers.cast_exact::<PyList>()?;
        let first = timers.get_item(0).map_or(0, |timer| timer.as_ptr().addr());
        Ok(Timers {
            first,
            count: timers.len(),
        })
    }

    /// The events of Python's own descriptors, without waiting.
    pub(super) fn look<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.look.bind(py).call0()
    }
}

impl Timers {
    /// True when the loop has to compute anew how long it may wait, or to clear up.
    pub(super) fn need_the_loop(self, now: Self) -> bool {
        self.first != now.first || now.count > self.count + TIMERS
    }
}

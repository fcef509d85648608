//! What is done after an answer was sent.
//!
//! 1. The work begins when the body has been handed over, or when the answer is given up: the client
//!    has gone, or another answer took its place (304, say).
//! 2. Tasks run one after the other: a `def` in the pool, an `async def` as a task on the loop. A `def` that
//!    returns a coroutine, as a decorator around an `async def` does, has it run on the loop as well.
//! 3. A task that fails is logged, and the next one begins.
//!
//! A worker that is asked to stop gives the work some seconds; what has not begun by then is dropped,
//! which the log says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use apifrom::{RequestId, ResponseBody, StreamError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::dispatch::{Route, Work};
use crate::reactor::{self, Hold, Shared, ffi};
use crate::reply::log_failure;
use crate::stream::{Lanes, detached};

/// A function and what it is called with, after the answer was sent.
#[pyclass(frozen, module = "apifrom.responses")]
pub(crate) struct BackgroundTask {
    function: Py<PyAny>,
    arguments: Py<PyTuple>,
    keywords: Option<Py<PyDict>>,
    is_async: bool,
}

#[pymethods]
impl BackgroundTask {
    /// Keeps `function` and what it is called with.
    #[new]
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn new(
        function: Bound<'_, PyAny>,
        args: Bound<'_, PyTuple>,
        kwargs: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if !function.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "expected a function, found {}",
                function.get_type().name()?
            )));
        }
        Ok(Self {
            is_async: is_async(&function)?,
            function: function.unbind(),
            arguments: args.unbind(),
            keywords: kwargs.map(Bound::unbind),
        })
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "BackgroundTask({})",
            name_of(self.function.bind(py))?
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.arguments)?;
        visit.call(&self.keywords)
    }
}

/// Several tasks, done one after the other.
#[pyclass(frozen, module = "apifrom.responses")]
#[derive(Default)]
pub(crate) struct BackgroundTasks {
    tasks: Mutex<Vec<Py<BackgroundTask>>>,
}

#[pymethods]
impl BackgroundTasks {
    /// Begins with `tasks`.
    #[new]
    #[pyo3(signature = (tasks = None))]
    fn new(tasks: Option<Vec<Py<BackgroundTask>>>) -> Self {
        Self {
            tasks: Mutex::new(tasks.unwrap_or_default()),
        }
    }

    /// Adds a function and what it is called with.
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn add_task(
        &self,
        py: Python<'_>,
        function: Bound<'_, PyAny>,
        args: Bound<'_, PyTuple>,
        kwargs: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let task = Py::new(py, BackgroundTask::new(function, args, kwargs)?)?;
        self.lock().push(task);
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A thread that holds the lock is using what it guards, so nothing in it is garbage.
        if let Ok(tasks) = self.tasks.try_lock() {
            for task in tasks.iter() {
                visit.call(task)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let before = std::mem::take(&mut *self.lock());
        drop(before);
    }
}

impl BackgroundTasks {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Py<BackgroundTask>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks what a response is given as its `background`.
pub(super) fn accept(work: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if work.is_instance_of::<BackgroundTask>() || work.is_instance_of::<BackgroundTasks>() {
        return Ok(work.clone().unbind());
    }
    Err(PyTypeError::new_err(format!(
        "expected background as BackgroundTask or BackgroundTasks, found {}",
        work.get_type().name()?
    )))
}

/// True for `async def`, and for objects whose `__call__` is one.
fn is_async(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = function.py();
    let inspect = py.import(intern!(py, "inspect"))?;
    let asks = |candidate: &Bound<'_, PyAny>| {
        inspect
            .call_method1(intern!(py, "iscoroutinefunction"), (candidate,))?
            .is_truthy()
    };
    if asks(function)? {
        return Ok(true);
    }
    let call = function.get_type().getattr_opt(intern!(py, "__call__"))?;
    call.map_or(Ok(false), |call| asks(&call))
}

fn is_coroutine(value: &Bound<'_, PyAny>) -> bool {
    let py = value.py();
    let asked = py
        .import(intern!(py, "inspect"))
        .and_then(|inspect| inspect.call_method1(intern!(py, "iscoroutine"), (value,)));
    asked.is_ok_and(|is| is.is_truthy().unwrap_or(false))
}

fn name_of(function: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = function.py();
    let name = function.getattr_opt(intern!(py, "__qualname__"))?;
    let named = match &name {
        Some(name) => name,
        None => &function.get_type().into_any(),
    };
    Ok(named.str()?.to_string())
}

/// Tasks that wait for their answer to be sent.
pub(crate) struct Pending {
    tasks: VecDeque<Py<BackgroundTask>>,
    lanes: Lanes,
    request_id: RequestId,
    /// The worker that was asked.
    shared: Option<Arc<Shared>>,
    held: Option<Hold>,
}

impl Pending {
    /// The tasks of a response's `background`.
    pub(crate) fn new(work: &Bound<'_, PyAny>, request_id: RequestId) -> PyResult<Self> {
        let py = work.py();
        let tasks = if let Ok(task) = work.cast::<BackgroundTask>() {
            VecDeque::from([task.clone().unbind()])
        } else {
            let tasks = work.cast::<BackgroundTasks>()?.get().lock();
            tasks.iter().map(|task| task.clone_ref(py)).collect()
        };
        Ok(Self {
            tasks,
            lanes: Lanes::of(py),
            request_id,
            // Known here also on a thread of the pool, where the answer ends when the client has gone.
            shared: reactor::shared_here(),
            held: None,
        })
    }

    /// Begins the work.
    fn start(mut self) {
        self.held = self.shared.as_ref().map(Shared::hold);
        self.next();
    }

    fn next(mut self) {
        let Some(task) = self.tasks.pop_front() else {
            return;
        };
        let route: Arc<Route> = if task.get().is_async {
            Arc::clone(self.lanes.task())
        } else {
            Arc::clone(self.lanes.pool())
        };
        let shared = self.shared.clone();
        let job = Job {
            task,
            coroutine: None,
            rest: Some(self),
        };
        detached(shared.as_ref(), &route, job);
    }
}

/// One task, and those after it.
struct Job {
    task: Py<BackgroundTask>,
    /// What the function returned that is still to be run.
    coroutine: Option<Py<PyAny>>,
    rest: Option<Pending>,
}

impl Work for Job {
    type Answer = ();

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(coroutine) = self.coroutine.take() {
            return Ok(coroutine);
        }
        let task = self.task.get();
        let keywords = task.keywords.as_ref().map(|keywords| keywords.bind(py));
        let arguments = task.arguments.bind(py);
        ffi::call_with(task.function.bind(py), arguments, keywords).map(Bound::unbind)
    }

    fn finish(mut self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) {
        let Some(rest) = self.rest.take() else { return };
        if let Ok(value) = &outcome
            && is_coroutine(value.bind(py))
        {
            let (shared, route) = (rest.shared.clone(), Arc::clone(rest.lanes.task()));
            self.coroutine = Some(value.clone_ref(py));
            self.rest = Some(rest);
            return detached(shared.as_ref(), &route, self);
        }
        if let Err(error) = outcome {
            let name = name_of(self.task.get().function.bind(py)).unwrap_or_default();
            let what = format!("the background task {name} failed");
            log_failure(py, "background_failed", &what, &rest.request_id, &error);
        }
        rest.next();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Still here: the call was never made, because the pool is full or the worker closes.
        if let Some(rest) = self.rest.take() {
            crate::reply::log_text(
                "background_dropped",
                &format!(
                    "{} background tasks were not run: the server is busy or closing",
                    rest.tasks.len() + 1
                ),
                &rest.request_id,
            );
        }
    }
}

/// Work that begins when this is dropped: once the answer was sent, or was given up.
pub(crate) struct Afterwards(Option<Pending>);

impl From<Pending> for Afterwards {
    fn from(pending: Pending) -> Self {
        Self(Some(pending))
    }
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        if let Some(pending) = self.0.take() {
            pending.start();
        }
    }
}

/// A body after which there is work to do.
pub(crate) struct AfterBody {
    /// Declared, and so dropped, before what comes after it.
    body: ResponseBody,
    _after: Afterwards,
}

impl AfterBody {
    pub(crate) fn new(body: ResponseBody, after: Afterwards) -> Self {
        Self {
            body,
            _after: after,
        }
    }
}

impl Body for AfterBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Runs a coroutine as a stock `asyncio.Task` whose first step is taken at once.
//!
//! Most handlers never wait: their task is over when this file is, without a callback and without
//! a pass through the loop. From Python 3.12 on, `eager_start=True` asks for that. On 3.11 the
//! task hands its first step to `loop.call_soon`, which is shadowed for that one moment; the step is
//! then run in the task's own context. In both, time-outs, task groups, cancellation and
//! `current_task()` are the standard library's own.

use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};

use super::Queued;
use super::slot::Ticket;
use crate::reactor::{self, Local, ffi};

/// Calls the function of an `async def` and starts the task of its coroutine.
pub(super) fn start(py: Python<'_>, local: &Local, queued: Queued) {
    let Queued {
        route,
        ticket,
        context,
    } = queued;
    let name = route.name().bind(py);
    let task = match ticket.call(py) {
        None => return ticket.forget(),
        Some(Err(error)) => Err(error),
        Some(Ok(coroutine)) if local.is_guest() => {
            guest_task(local, coroutine.bind(py), name, context)
        }
        Some(Ok(coroutine)) => eager_task(local, coroutine.bind(py), name),
    };
    let task = match task {
        Ok(task) => task,
        Err(error) => return local.wake(ticket.finish(py, Err(error))),
    };
    match is_done(&task) {
        Ok(false) => follow(local, &task, ticket),
        Ok(true) => {
            let outcome = result(&task);
            local.wake(ticket.finish(py, outcome));
        }
        Err(error) => local.wake(ticket.finish(py, Err(error))),
    }
}

/// A task of `coroutine` that has taken its first step.
fn eager_task<'py>(
    local: &Local,
    coroutine: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    let python = local.python();
    let (class, event_loop) = (python.task_class(py), python.event_loop(py));
    let options = python.task_options(py);
    if python.is_eager() {
        let eager = PyBool::new(py, true);
        let arguments = [coroutine, event_loop, name, &eager];
        return ffi::call_named(class, arguments, options);
    }
    let attributes = python.loop_attributes(py);
    attributes.set_item(intern!(py, "call_soon"), python.capture(py))?;
    let task = ffi::call_named(class, [coroutine, event_loop, name], options);
    attributes.del_item(intern!(py, "call_soon"))?;
    let step = local.take_step();
    let task = task?;
    if let Some((step, context)) = step {
        // What the step raised is the task's result; it is only `SystemExit` and
        // `KeyboardInterrupt` that are raised here as well.
        let _ = ffi::run_in(context.bind(py), || ffi::call(step.bind(py), []));
    }
    Ok(task)
}

/// A task of a loop that is not ours, made as that loop makes its tasks.
fn guest_task<'py>(
    local: &Local,
    coroutine: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    context: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "name"), name)?;
    options.set_item(intern!(py, "context"), context)?;
    let event_loop = local.python().event_loop(py);
    event_loop.call_method(intern!(py, "create_task"), (coroutine,), Some(&options))
}

/// Stands in for `loop.call_soon` while a task is built, and keeps its first step.
#[pyfunction]
#[pyo3(signature = (step, *, context))]
pub(crate) fn capture_step(step: Py<PyAny>, context: Py<PyAny>) {
    reactor::with_local(|local| local.keep_step((step, context)));
}

/// Waits for a task whose first step did not end it.
fn follow(local: &Local, task: &Bound<'_, PyAny>, ticket: Ticket) {
    let py = task.py();
    let gone = ticket.watch(task.clone().unbind(), local.shared());
    let done = Bound::new(
        py,
        Done {
            ticket: Mutex::new(Some(ticket)),
        },
    );
    let followed = done.and_then(|done| {
        task.call_method1(intern!(py, "add_done_callback"), (done,))?;
        if gone.is_err() {
            task.call_method0(intern!(py, "cancel"))?;
        }
        Ok(())
    });
    // Only lack of memory gets here; the ticket's end has answered the request.
    if let Err(error) = followed {
        error.write_unraisable(py, Some(task));
    }
}

fn is_done(task: &Bound<'_, PyAny>) -> PyResult<bool> {
    task.call_method0(intern!(task.py(), "done"))?.is_truthy()
}

fn result(task: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let value = task.call_method0(intern!(task.py(), "result"))?;
    Ok(value.unbind())
}

/// The done-callback of a task that had to wait.
#[pyclass(frozen)]
struct Done {
    ticket: Mutex<Option<Ticket>>,
}

#[pymethods]
impl Done {
    fn __call__(&self, task: &Bound<'_, PyAny>) {
        let ticket = self
            .ticket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ticket) = ticket {
            let waker = ticket.finish(task.py(), result(task));
            reactor::wake(waker);
        }
    }
}

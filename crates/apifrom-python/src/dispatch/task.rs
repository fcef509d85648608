//! Runs a coroutine as a stock `asyncio.Task` whose first step is taken at once.
//!
//! Most handlers never wait: their task is over when this file is, without a callback and without
//! a pass through the loop. From Python 3.12 on, `eager_start=True` asks for that. On 3.11 the
//! task hands its first step to `loop.call_soon`, which is shadowed for that one moment; the step is
//! then run in the task's own context, and what finalisers asked for meanwhile is handed on. In both,
//! time-outs, task groups, cancellation and `current_task()` are the standard library's own.

use std::iter;
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::Queued;
use super::slot::Ticket;
use crate::reactor::{self, Local, Step, ffi};

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
    attributes.set_item(intern!(py, "call_soon"), local.capture(py)?)?;
    let task = ffi::call_named(class, [coroutine, event_loop, name], options);
    attributes.del_item(intern!(py, "call_soon"))?;
    let first = first_step(local, event_loop, task.as_ref().ok())?;
    let task = task?;
    if let Some((step, context)) = first {
        // What the step raised is the task's result; it is only `SystemExit` and
        // `KeyboardInterrupt` that are raised here as well.
        let _ = ffi::run_in(context.bind(py), || ffi::call(step.bind(py), []));
    }
    Ok(task)
}

/// Of what was kept while `task` was built, its own first step; the rest is handed on.
fn first_step<'py>(
    local: &Local,
    event_loop: &Bound<'py, PyAny>,
    task: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Step>> {
    let py = event_loop.py();
    let mut kept = local.take_step();
    if task.is_some() && !local.has_steps() {
        return Ok(kept);
    }
    let mut first = None;
    while let Some((step, context)) = kept {
        let of = step.bind(py).getattr(intern!(py, "__self__"));
        if task.is_some_and(|task| of.is_ok_and(|of| of.is(task))) {
            first = Some((step, context));
        } else {
            let arguments = PyTuple::new(py, [step])?;
            call_soon(event_loop, &arguments, Some(context.bind(py)))?;
        }
        kept = local.take_step();
    }
    Ok(first)
}

/// `loop.call_soon` as its class has it.
fn call_soon<'py>(
    event_loop: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "context"), context)?;
    let bound = event_loop
        .get_type()
        .getattr(intern!(py, "call_soon"))?
        .call_method1(intern!(py, "__get__"), (event_loop,))?;
    bound.call(arguments, Some(&options))
}

/// A task of a loop that is not ours, made as that loop makes its tasks. It does not end that loop.
fn guest_task<'py>(
    local: &Local,
    coroutine: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    context: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CONTAINED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = coroutine.py();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "name"), name)?;
    options.set_item(intern!(py, "context"), context)?;
    let contained = CONTAINED.import(py, "apifrom._guest", "Contained")?;
    let contained = ffi::call(contained, [coroutine])?;
    let event_loop = local.python().event_loop(py);
    event_loop.call_method(intern!(py, "create_task"), (contained,), Some(&options))
}

/// Stands in for `call_soon` of `event_loop` while a task is built, and keeps what may be its first step:
/// that has a context and no arguments. Whatever else is asked for meanwhile comes from finalisers, which
/// run on any thread.
#[pyfunction]
#[pyo3(signature = (event_loop, callback, /, *arguments, context = None))]
pub(crate) fn capture_step<'py>(
    event_loop: &Bound<'py, PyAny>,
    callback: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = callback.py();
    if let Some(context) = context
        && arguments.is_empty()
    {
        let is_kept = reactor::with_local(|local| {
            let is_its = local.python().event_loop(py).is(event_loop);
            if is_its {
                local.keep_step((callback.clone().unbind(), context.clone().unbind()));
            }
            is_its
        });
        if is_kept == Some(true) {
            return Ok(None);
        }
    }
    let all: Vec<_> = iter::once(callback.clone())
        .chain(arguments.iter())
        .collect();
    call_soon(event_loop, &PyTuple::new(py, all)?, context).map(Some)
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

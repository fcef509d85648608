//! The program's own middleware, written in Python.
//!
//! 1. `before(request)` and `around(request, call_next)` are called for what every protection let
//!    through, while the body is unread; `after(request, response)` for every answer.
//! 2. A value of `before` other than `None` is the answer. `around` answers with what it returns;
//!    `call_next` goes on to the handler, once, and comes to its answer whatever becomes of it.
//! 3. `after` changes the response that it is shown, or returns another.
//! 4. All of one request share its `state`. A body that one of them read is still there for the next;
//!    one that was streamed is not.
//! 5. What raises is answered as an exception of a handler is. It never lets a request pass.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apifrom::{After, Next, Notes, Outcome, Reply, Request};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::awaitable::{Awaitable, Made};
use crate::dispatch::{self, Route, Work};
use crate::reactor::{self, ffi};
use crate::reply::{self, Answer, ReturnPlan};
use crate::request::{self, Facts, SharedBody};
use crate::responses::Response;

/// What the requests of each endpoint have in common, by its path template.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) facts: Arc<HashMap<String, Arc<Facts>>>,
    /// Of a request that no endpoint of the program's answers.
    pub(crate) unrouted: Arc<Facts>,
}

impl Places {
    /// What the requests of the endpoint at `template` have in common.
    pub(crate) fn at(&self, template: &str) -> Arc<Facts> {
        Arc::clone(self.facts.get(template).unwrap_or(&self.unrouted))
    }
}

/// One object of the program's.
pub(crate) struct PythonMiddleware {
    hooks: Arc<Hooks>,
}

struct Hooks {
    before: Option<Hook>,
    around: Option<Hook>,
    after: Option<Hook>,
    places: Places,
}

/// One of the three functions.
struct Hook {
    function: Py<PyAny>,
    route: Arc<Route>,
    is_async: bool,
    plan: ReturnPlan,
}

impl Hook {
    /// The method `name` of `object`, if it has one.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(object: &Bound<'_, PyAny>, name: &str, arguments: usize) -> PyResult<Option<Self>> {
        let py = object.py();
        let Some(function) = object.getattr_opt(name)? else {
            return Ok(None);
        };
        let label = format!("{}.{name}", object.get_type().name()?);
        if !function.is_callable() {
            return Err(PyTypeError::new_err(format!("{label} is no function")));
        }
        let inspect = py.import("inspect")?;
        let signature = inspect.call_method1("signature", (&function,))?;
        let trial = PyTuple::new(py, (0..arguments).map(|_| py.None()))?;
        if signature.call_method1("bind", trial).is_err() {
            let expected = match name {
                "before" => "(request)",
                "around" => "(request, call_next)",
                _ => "(request, response)",
            };
            return Err(PyTypeError::new_err(format!(
                "{label} cannot be called as {name}{expected}; it is {name}{signature}"
            )));
        }
        let is_async = inspect
            .call_method1("iscoroutinefunction", (&function,))?
            .is_truthy()?;
        let route = if is_async {
            Route::coroutine(py, &label)
        } else {
            Route::function(py, &label, None)
        };
        Ok(Some(Self {
            plan: ReturnPlan::new(py, None, &label)?,
            function: function.unbind(),
            route: Arc::new(route),
            is_async,
        }))
    }
}

impl PythonMiddleware {
    /// Reads `object`; `None` where it has none of the three functions.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn read(object: &Bound<'_, PyAny>, places: &Places) -> PyResult<Option<Self>> {
        let hooks = Hooks {
            before: Hook::read(object, "before", 1)?,
            around: Hook::read(object, "around", 2)?,
            after: Hook::read(object, "after", 2)?,
            places: places.clone(),
        };
        if let Some(around) = &hooks.around
            && !around.is_async
        {
            return Err(PyTypeError::new_err(format!(
                "{}.around must be an async def: it waits for call_next",
                object.get_type().name()?
            )));
        }
        let is_any = hooks.before.is_some() || hooks.around.is_some() || hooks.after.is_some();
        Ok(is_any.then(|| Self {
            hooks: Arc::new(hooks),
        }))
    }
}

impl apifrom::Middleware for PythonMiddleware {
    fn surrounds_handlers(&self) -> bool {
        self.hooks.before.is_some() || self.hooks.around.is_some()
    }

    fn watches_answers(&self) -> bool {
        self.hooks.after.is_some()
    }

    fn around(&self, request: Request, next: Next) -> Reply {
        let hooks = Arc::clone(&self.hooks);
        // Everything begins with the first poll, which is made on the worker.
        Reply::wait(async move {
            match hooks.ask(request, &next).await {
                Ok(request) => hooks.surround(request, next).await,
                Err(answered) => answered.0,
            }
        })
    }

    fn after(&self, notes: &Notes, response: apifrom::Response) -> After {
        let hooks = &self.hooks;
        let (Some(after), Some(original)) = (&hooks.after, &notes.original) else {
            return After::Ready(response);
        };
        let facts = original.template.as_deref().map_or_else(
            || Arc::clone(&hooks.places.unrouted),
            |template| hooks.places.at(template),
        );
        let work = Watch {
            hooks: Arc::clone(hooks),
            shown: request::Answered::new(original, notes, facts),
            response: Some(response),
            object: None,
        };
        let route = Arc::clone(&after.route);
        After::wait(async move {
            match dispatch::call(&route, work).await {
                Ok(answer) => answer.complete().await,
                Err(refusal) => Err(reply::refused(refusal)),
            }
        })
    }
}

/// The answer of `before`.
struct Answered(Outcome);

impl Hooks {
    /// Asks `before`: the request to go on with, or its answer.
    async fn ask(self: &Arc<Self>, mut request: Request, next: &Next) -> Result<Request, Answered> {
        let Some(before) = &self.before else {
            return Ok(request);
        };
        let body = SharedBody::take(&mut request);
        let work = Before {
            facts: self.places.at(next.template()),
            hooks: Arc::clone(self),
            given: Some((request, body)),
            shown: None,
        };
        match dispatch::call(&before.route, work).await {
            Ok(Asked::PassedOn(request)) => Ok(*request),
            Ok(Asked::Answered(answer)) => Err(Answered(answer.complete().await)),
            Err(refusal) => Err(Answered(Err(reply::refused(refusal)))),
        }
    }

    async fn surround(self: Arc<Self>, mut request: Request, next: Next) -> Outcome {
        let Some(around) = &self.around else {
            return next.call(request).outcome().await;
        };
        let body = SharedBody::take(&mut request);
        let work = Surround {
            facts: self.places.at(next.template()),
            hooks: Arc::clone(&self),
            given: Some((request, body, next)),
            shown: None,
        };
        match dispatch::call(&around.route, work).await {
            Ok(answer) => answer.complete().await,
            Err(refusal) => Err(reply::refused(refusal)),
        }
    }
}

/// What `before` came to.
enum Asked {
    PassedOn(Box<Request>),
    Answered(Box<Answer>),
}

/// A call of `before`.
struct Before {
    hooks: Arc<Hooks>,
    facts: Arc<Facts>,
    given: Option<(Request, SharedBody)>,
    shown: Option<Py<PyAny>>,
}

impl Work for Before {
    type Answer = Asked;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (Some(before), Some((request, body))) = (&self.hooks.before, self.given.take()) else {
            return Err(PyRuntimeError::new_err("called already"));
        };
        let shown = request::new(py, request, body, &self.facts, before.is_async)?;
        self.shown = Some(shown.clone().unbind());
        ffi::call(before.function.bind(py), [&shown]).map(Bound::unbind)
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Asked {
        let answered = outcome.and_then(|value| {
            let shown = bound(py, self.shown.as_ref())?;
            if value.is_none(py) {
                let request = request::take(shown)?;
                return Ok(Asked::PassedOn(Box::new(request)));
            }
            let asked = request::asked(shown)?;
            let plan = self.hooks.before.as_ref().map(|before| &before.plan);
            answer(py, value, plan, asked).map(|answer| Asked::Answered(Box::new(answer)))
        });
        answered.unwrap_or_else(|error| {
            Asked::Answered(Box::new(reply::from_exception(py, &error).into()))
        })
    }
}

/// A call of `around`.
struct Surround {
    hooks: Arc<Hooks>,
    facts: Arc<Facts>,
    given: Option<(Request, SharedBody, Next)>,
    shown: Option<Py<PyAny>>,
}

impl Work for Surround {
    type Answer = Answer;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (Some(around), Some((request, body, next))) = (&self.hooks.around, self.given.take())
        else {
            return Err(PyRuntimeError::new_err("called already"));
        };
        let shown = request::new(py, request, body, &self.facts, true)?;
        self.shown = Some(shown.clone().unbind());
        let next = Bound::new(
            py,
            CallNext {
                next: Mutex::new(Some(next)),
            },
        )?;
        ffi::call(around.function.bind(py), [&shown, next.as_any()]).map(Bound::unbind)
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Answer {
        let answered = outcome.and_then(|value| {
            let asked = request::asked(bound(py, self.shown.as_ref())?)?;
            let plan = self.hooks.around.as_ref().map(|around| &around.plan);
            answer(py, value, plan, asked)
        });
        answered.unwrap_or_else(|error| reply::from_exception(py, &error).into())
    }
}

/// A call of `after`.
struct Watch {
    hooks: Arc<Hooks>,
    shown: request::Answered,
    response: Option<apifrom::Response>,
    object: Option<Py<Response>>,
}

impl Work for Watch {
    type Answer = Answer;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (Some(after), Some(response)) = (&self.hooks.after, self.response.take()) else {
            return Err(PyRuntimeError::new_err("called already"));
        };
        let shown = self.shown.show(py, after.is_async)?;
        let object = Py::new(py, Response::passing(response))?;
        self.object = Some(object.clone_ref(py));
        ffi::call(after.function.bind(py), [&shown, object.bind(py).as_any()]).map(Bound::unbind)
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Answer {
        let answered = outcome.and_then(|value| {
            let value = match self.object {
                Some(object) if value.is_none(py) => object.into_any(),
                _ => value,
            };
            let plan = self.hooks.after.as_ref().map(|after| &after.plan);
            answer(py, value, plan, self.shown.asked())
        });
        answered.unwrap_or_else(|error| reply::from_exception(py, &error).into())
    }
}

fn bound<'a, 'py>(
    py: Python<'py>,
    shown: Option<&'a Py<PyAny>>,
) -> PyResult<&'a Bound<'py, PyAny>> {
    shown
        .map(|shown| shown.bind(py))
        .ok_or_else(|| PyRuntimeError::new_err("the request was not shown"))
}

fn answer(
    py: Python<'_>,
    value: Py<PyAny>,
    plan: Option<&ReturnPlan>,
    asked: reply::Asked,
) -> PyResult<Answer> {
    let plan = plan.ok_or_else(|| PyRuntimeError::new_err("the function is gone"))?;
    reply::outcome(py, value, plan, || asked)
}

/// What stands behind `around`: goes on with a request, once.
#[pyclass(frozen)]
struct CallNext {
    next: Mutex<Option<Next>>,
}

#[pymethods]
impl CallNext {
    /// Awaits the answer to `request`.
    fn __call__(&self, request: &Bound<'_, PyAny>) -> PyResult<Awaitable> {
        let request = request::take(request)?;
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| PyRuntimeError::new_err("call_next goes on once for a request"))?;
        let reply = reactor::inside(|| next.call(request));
        Ok(Awaitable::new(async move {
            let outcome = reply.outcome().await;
            let made: Made = Box::new(move |py| match outcome {
                Ok(response) => Ok(Py::new(py, Response::passing(response))?.into_any()),
                Err(why) => Err(PyRuntimeError::new_err(why.to_string())),
            });
            made
        }))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let name = slf.get_type().getattr(intern!(py, "__name__"))?;
        Ok(format!("<{name}>"))
    }
}

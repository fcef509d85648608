//! The bridge from an endpoint to the Python function that it calls.
//!
//! 1. What the engine converts by itself is bound before Python is asked for anything: a request
//!    that fails there, and has nothing for Pydantic to judge, never takes the interpreter.
//! 2. A body is read and scanned in Rust, within its bounds; the same bytes go to Pydantic.
//! 3. Everything that is wrong with a request is in one answer, whoever found it.

use std::sync::Arc;

use apifrom::extract::{
    AnyForm, Bound as BoundValue, FormFields, FormFile, Parameter, Value, bind, read_any_form,
    read_json,
};
use apifrom::{
    Body, Context, Handler, Head, Outcome, Rejection, Reply, Request, RequestId, Violations,
};
use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::dispatch::{self, Route, Work};
use crate::reactor::{self, ffi};
use crate::reply::{self, Answer, Asked, ReturnPlan};
use crate::request::{self, Facts, Glimpse, SharedBody};
use crate::upload::{self, FileParameter};
use crate::validation::{self, Validator};

/// Everything about a handler that was decided at start.
pub(crate) struct Plan {
    pub(crate) function: Py<PyAny>,
    /// What the engine binds.
    pub(crate) parameters: Vec<Parameter>,
    /// The files of a form that it takes.
    pub(crate) files: Vec<FileParameter>,
    /// The arguments in the order of the call, keyword-only ones last.
    pub(crate) arguments: Vec<Argument>,
    /// The names of the last arguments, which are passed by keyword.
    pub(crate) keywords: Vec<String>,
    pub(crate) body: BodyNeed,
    pub(crate) returns: ReturnPlan,
    /// True where the function is given a `Request` rather than a `SyncRequest`.
    pub(crate) sees_async: bool,
    pub(crate) max_json_depth: usize,
    pub(crate) facts: Arc<Facts>,
}

/// What a call needs of the request's body before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyNeed {
    /// Nothing.
    None,
    /// JSON that the engine has scanned; `required` when there must be some.
    Json { required: bool },
    /// A form; `files` when it must be of the type that can hold some.
    Form { files: bool },
    /// All of it, unread: a `def` that takes the request finds it at hand.
    Whole,
}

/// Where one argument comes from.
pub(crate) enum Argument {
    /// A bound parameter, by its place in the plan's list.
    Parameter {
        index: usize,
        default: Option<Py<PyAny>>,
        validator: Option<Validator>,
    },
    /// The body, as a model.
    Model {
        validator: Validator,
        default: Option<Py<PyAny>>,
    },
    /// A file, by its place in the plan's list.
    File { index: usize },
    /// The request itself.
    Request,
    /// What the policies of the endpoint loaded.
    Loaded,
}

/// What policies left for the handler; travels with the request.
#[derive(Clone)]
pub(crate) struct Loaded(pub(crate) Arc<Py<PyAny>>);

/// An endpoint's Python function.
pub(crate) struct PythonHandler {
    pub(crate) plan: Arc<Plan>,
    pub(crate) route: Arc<Route>,
}

impl Handler for PythonHandler {
    fn call(&self, mut request: Request) -> Reply {
        let need = self.plan.body;
        let at_hand = matches!(need, BodyNeed::None)
            || (need == BodyNeed::Whole && http_body_is_over(request.body()));
        if at_hand {
            return match Invocation::bind(&self.plan, request, None) {
                Ok(invocation) if reactor::is_ours() => {
                    // On its way at once: what waits for it is small.
                    Reply::wait(answered(dispatch::call(&self.route, invocation)))
                }
                Ok(invocation) => Reply::wait(make(Arc::clone(&self.route), invocation)),
                Err(why) => Reply::Ready(Err(why)),
            };
        }
        let plan = Arc::clone(&self.plan);
        let route = Arc::clone(&self.route);
        Reply::wait(async move {
            let sent = match need {
                BodyNeed::Json { required } => {
                    let read = read_json(&mut request, plan.max_json_depth, required).await?;
                    read.map(Sent::Bytes)
                }
                BodyNeed::Form { files } => {
                    Some(Sent::Form(read_any_form(&mut request, files).await?))
                }
                BodyNeed::None | BodyNeed::Whole => Some(Sent::Bytes(request.body().read().await?)),
            };
            let invocation = Invocation::bind(&plan, request, sent)?;
            make(route, invocation).await
        })
    }
}

fn http_body_is_over(body: &Body) -> bool {
    body.announced() == Some(0)
}

/// Makes the call where it is first waited for.
async fn make(route: Arc<Route>, invocation: Invocation) -> Outcome {
    let call = dispatch::call(&route, invocation);
    drop(route);
    answered(call).await
}

/// Waits for the answer, and for what of it is not at hand.
async fn answered(call: dispatch::Call<Invocation>) -> Outcome {
    match call.await {
        Ok(Answer::Ready(outcome)) => outcome,
        Ok(answer) => answer.complete().await,
        Err(refusal) => Err(reply::refused(refusal)),
    }
}

/// A body that was read.
enum Sent {
    Bytes(Bytes),
    Form(AnyForm),
}

/// One call on its way to Python.
pub(crate) struct Invocation {
    plan: Arc<Plan>,
    bound: Vec<BoundValue>,
    violations: Violations,
    body: Option<Bytes>,
    /// For each of the plan's files those that were sent.
    files: Vec<Vec<FormFile>>,
    request_id: RequestId,
    origin: Origin,
    shown: Option<Py<PyAny>>,
    loaded: Option<Loaded>,
    refused: Option<Rejection>,
}

/// What the function may be shown.
enum Origin {
    /// The request, kept for files and streams as well, which ask about it; its body where the
    /// function is shown it.
    Whole(Request, Option<SharedBody>),
    /// Its head, before the body is read.
    Head(Glimpse),
    /// It is with the function.
    Shown,
}

impl Invocation {
    fn bind(plan: &Arc<Plan>, mut request: Request, sent: Option<Sent>) -> Result<Self, Rejection> {
        let mut violations = Violations::default();
        let form = match &sent {
            Some(Sent::Form(AnyForm::Urlencoded(text))) => FormFields::Urlencoded(text),
            Some(Sent::Form(AnyForm::Multipart(form))) => FormFields::Read(&form.fields),
            _ => FormFields::None,
        };
        let (head, context) = (request.head(), request.context());
        let bound = bind(&plan.parameters, head, context, form, &mut violations)?;
        let (body, sent_files) = match sent {
            Some(Sent::Bytes(bytes) | Sent::Form(AnyForm::Urlencoded(bytes))) => {
                (Some(bytes), Vec::new())
            }
            Some(Sent::Form(AnyForm::Multipart(form))) => (None, form.files),
            None => (None, Vec::new()),
        };
        let files = upload::sort(&plan.files, sent_files, &mut violations);
        let violations = plan.found(violations)?;
        let request_id = request.context().notes.request_id.clone();
        let loaded = request.context_mut().state.remove::<Loaded>();
        let shown_body = plan.shows_request().then(|| match &body {
            Some(body) => SharedBody::full(body.clone()),
            // The handler has it in its parts.
            None if matches!(plan.body, BodyNeed::Form { .. }) => SharedBody::passed_on(),
            None => SharedBody::take(&mut request),
        });
        Ok(Self {
            plan: Arc::clone(plan),
            bound,
            violations,
            body,
            files,
            request_id,
            origin: Origin::Whole(request, shown_body),
            shown: None,
            loaded,
            refused: None,
        })
    }

    /// A call that is made before the body is read.
    ///
    /// # Errors
    /// The refusal of what the engine itself converts.
    pub(crate) fn of_head(
        plan: &Arc<Plan>,
        head: &Head,
        context: &Context,
    ) -> Result<Self, Rejection> {
        let mut violations = Violations::default();
        let bound = bind(
            &plan.parameters,
            head,
            context,
            FormFields::None,
            &mut violations,
        )?;
        let violations = plan.found(violations)?;
        Ok(Self {
            plan: Arc::clone(plan),
            bound,
            violations,
            body: None,
            files: Vec::new(),
            request_id: context.notes.request_id.clone(),
            origin: Origin::Head(Glimpse::of(head, context)),
            shown: None,
            loaded: None,
            refused: None,
        })
    }

    /// Why the function was not called, if something that was sent is refused.
    pub(crate) fn take_refusal(&mut self) -> Option<Rejection> {
        self.refused.take()
    }

    /// The request's object, if the function was shown one.
    pub(crate) fn take_shown(&mut self) -> Option<Py<PyAny>> {
        self.shown.take()
    }

    /// The arguments, or nothing when the request is refused.
    fn arguments<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let plan = Arc::clone(&self.plan);
        let mut made = Vec::with_capacity(plan.arguments.len());
        for argument in &plan.arguments {
            let value = match argument {
                Argument::Parameter {
                    index,
                    default,
                    validator,
                } => self.parameter(py, *index, default.as_ref(), validator.as_ref())?,
                Argument::Model { validator, default } => {
                    self.model(py, validator, default.as_ref())?
                }
                Argument::File { index } => {
                    let sent = self.files.get_mut(*index).map(std::mem::take);
                    match plan.files.get(*index) {
                        Some(file) => file.give(py, sent.unwrap_or_default())?,
                        None => py.None().into_bound(py),
                    }
                }
                Argument::Request => self.show(py)?,
                Argument::Loaded => match self.loaded.take() {
                    Some(Loaded(loaded)) => loaded.bind(py).clone(),
                    None => PyDict::new(py).into_any(),
                },
            };
            made.push(value);
        }
        if self.violations.is_empty() {
            return Ok(Some(made));
        }
        self.refused = Some(Rejection::invalid(std::mem::take(&mut self.violations)));
        Ok(None)
    }

    /// The request as Python sees it; one object, however many parameters ask for it.
    fn show<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.shown.is_none() {
            let plan = &self.plan;
            let shown = match std::mem::replace(&mut self.origin, Origin::Shown) {
                Origin::Whole(request, Some(body)) => {
                    request::new(py, request, body, &plan.facts, plan.sees_async)?
                }
                Origin::Head(glimpse) => glimpse.show(py, &plan.facts, plan.sees_async)?,
                // Only a plan that shows the request asks for it, and such a plan has its body.
                other @ (Origin::Whole(_, None) | Origin::Shown) => {
                    self.origin = other;
                    return Ok(py.None().into_bound(py));
                }
            };
            self.shown = Some(shown.unbind());
        }
        Ok(match &self.shown {
            Some(shown) => shown.bind(py).clone(),
            None => py.None().into_bound(py),
        })
    }

    fn asked(&self, py: Python<'_>) -> Asked {
        let shown = || request::asked(self.shown.as_ref()?.bind(py)).ok();
        match &self.origin {
            Origin::Whole(request, _) => Asked::of(request),
            _ => shown().unwrap_or_else(|| Asked::nothing(self.request_id.clone())),
        }
    }

    fn parameter<'py>(
        &mut self,
        py: Python<'py>,
        index: usize,
        default: Option<&Py<PyAny>>,
        validator: Option<&Validator>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bound = match self.bound.get_mut(index) {
            Some(bound) => std::mem::replace(bound, BoundValue::Absent),
            None => BoundValue::Absent,
        };
        let value = match &bound {
            BoundValue::Absent => {
                return Ok(default.map_or_else(
                    || py.None().into_bound(py),
                    |default| default.bind(py).clone(),
                ));
            }
            BoundValue::One(value) => to_python(py, value)?,
            BoundValue::Many(values) => {
                let items = values
                    .iter()
                    .map(|value| to_python(py, value))
                    .collect::<PyResult<Vec<_>>>()?;
                PyList::new(py, items)?.into_any()
            }
        };
        let Some(validator) = validator else {
            return Ok(value);
        };
        let verdict = match bound {
            BoundValue::Many(_) => validator.texts(&value)?,
            BoundValue::One(_) | BoundValue::Absent => validator.text(&value)?,
        };
        match verdict {
            Ok(value) => Ok(value),
            Err(error) => {
                let parameter = self.plan.parameters.get(index);
                let loc = parameter.map(Parameter::loc).unwrap_or_default();
                validation::collect(py, &error, &loc, &mut self.violations)?;
                Ok(py.None().into_bound(py))
            }
        }
    }

    fn model<'py>(
        &mut self,
        py: Python<'py>,
        validator: &Validator,
        default: Option<&Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(body) = &self.body else {
            return Ok(default.map_or_else(
                || py.None().into_bound(py),
                |default| default.bind(py).clone(),
            ));
        };
        match validator.json(&PyBytes::new(py, body))? {
            Ok(value) => Ok(value),
            Err(error) => {
                validation::collect(py, &error, &validation::body_loc(), &mut self.violations)?;
                Ok(py.None().into_bound(py))
            }
        }
    }
}

impl Work for Invocation {
    type Answer = Answer;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Some(arguments) = self.arguments(py)? else {
            // Never seen: `finish` looks at the refusal first.
            return Err(PyRuntimeError::new_err("refused"));
        };
        let function = self.plan.function.bind(py);
        let positional = arguments.len() - self.plan.keywords.len().min(arguments.len());
        let value = match (arguments.as_slice(), positional) {
            ([], _) => ffi::call(function, []),
            ([only], 1) => ffi::call(function, [only]),
            (all, _) if positional == all.len() => {
                ffi::call_with(function, &PyTuple::new(py, all)?, None)
            }
            (all, _) => {
                let (by_place, by_name) = all.split_at(positional);
                let keywords = PyDict::new(py);
                for (name, value) in self.plan.keywords.iter().zip(by_name) {
                    keywords.set_item(PyString::intern(py, name), value)?;
                }
                ffi::call_with(function, &PyTuple::new(py, by_place)?, Some(&keywords))
            }
        };
        value.map(Bound::unbind)
    }

    fn finish(mut self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Answer {
        if let Some(why) = self.refused.take() {
            return Answer::Ready(Err(why));
        }
        let plan = Arc::clone(&self.plan);
        outcome
            .and_then(|value| reply::outcome(py, value, &plan.returns, || self.asked(py)))
            .unwrap_or_else(|error| reply::from_exception(py, &error).into())
    }
}

impl Plan {
    /// What is wrong so far, where Pydantic may find more; otherwise the refusal.
    fn found(&self, violations: Violations) -> Result<Violations, Rejection> {
        let asks_pydantic = self.arguments.iter().any(|argument| match argument {
            Argument::Parameter { validator, .. } => validator.is_some(),
            Argument::Model { .. } => true,
            Argument::File { .. } | Argument::Request | Argument::Loaded => false,
        });
        if violations.is_empty() || asks_pydantic {
            return Ok(violations);
        }
        Err(Rejection::invalid(violations))
    }

    pub(crate) fn shows_request(&self) -> bool {
        self.arguments
            .iter()
            .any(|argument| matches!(argument, Argument::Request))
    }
}

pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::BigInt(text) => py.get_type::<PyInt>().call1((text.as_str(),))?,
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Value::Str(text) => PyString::new(py, text).into_any(),
        // The kinds of values are the engine's, and all are listed.
        _ => py.None().into_bound(py),
    })
}

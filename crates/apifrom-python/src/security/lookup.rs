//! Look-ups of keys and users, written in Python.
//!
//! 1. A look-up is called with one argument where every `def` and `async def` of the program is called:
//!    never on the thread that waits for it.
//! 2. A store of keys returns a `KeyRecord` or None, one of users text, a `Secret` or None. Anything
//!    else, and whatever is raised, is a failure; neither the value nor the exception is shown.

use std::sync::Arc;
use std::time::Duration;

use apifrom::Secret;
use apifrom::security::{KeyDigest, KeyLookup, KeyRecord, LookedUp, LookupError, UserLookup};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString, PyTuple};

use super::secret_text::text_of;
use crate::dispatch::{self, Refusal, Route, Work};
use crate::fields::Fields;
use crate::reactor::ffi;

/// What a program stores about one API key.
#[pyclass(frozen, name = "KeyRecord", module = "apifrom.security")]
pub(crate) struct PyKeyRecord {
    id: String,
    scopes: Vec<String>,
    expires: Option<Duration>,
}

#[pymethods]
impl PyKeyRecord {
    #[new]
    #[pyo3(signature = (*, id, scopes = None, expires = None))]
    fn new(
        id: &Bound<'_, PyAny>,
        scopes: Option<&Bound<'_, PyAny>>,
        expires: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let id = id
            .cast::<PyString>()
            .map_err(|_| wrong("id", "text", id))?
            .to_str()
            .map_err(|_| PyValueError::new_err("id: expected text that can be written as UTF-8"))?
            .to_owned();
        let scopes = match scopes {
            None => Vec::new(),
            Some(given) if given.is_instance_of::<PyString>() => {
                return Err(wrong("scopes", "a list of texts", given));
            }
            Some(given) => given
                .try_iter()
                .and_then(|given| given.map(|each| each?.extract::<String>()).collect())
                .map_err(|_: PyErr| wrong("scopes", "a list of texts", given))?,
        };
        let expires = expires.map(since_epoch).transpose()?;
        let record = KeyRecord::new(id.as_str()).scopes(&scopes);
        record
            .check()
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            id,
            scopes,
            expires,
        })
    }

    /// What logs call the key.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// The scopes that the key holds.
    #[getter]
    fn scopes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.scopes)
    }

    /// From when on the key is refused, in seconds since the epoch.
    #[getter]
    fn expires(&self) -> Option<f64> {
        self.expires.map(|expires| expires.as_secs_f64())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let expires = match self.expires() {
            Some(expires) => PyFloat::new(py, expires).repr()?.to_string(),
            None => "None".to_owned(),
        };
        Ok(format!(
            "KeyRecord(id={}, scopes={}, expires={expires})",
            PyString::new(py, &self.id).repr()?,
            self.scopes(py)?.repr()?,
        ))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            (&self.id, &self.scopes, self.expires) == (&other.id, &other.scopes, other.expires)
        })
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        (self.id.as_str(), self.scopes(py)?, self.expires())
            .into_pyobject(py)?
            .hash()
    }
}

impl PyKeyRecord {
    fn record(&self) -> KeyRecord {
        let record = KeyRecord::new(self.id.as_str()).scopes(&self.scopes);
        match self.expires {
            Some(expires) => record.expires(expires),
            None => record,
        }
    }
}

fn wrong(field: &str, expected: &str, given: &Bound<'_, PyAny>) -> PyErr {
    let found = given.get_type();
    let found = found
        .name()
        .map_or_else(|_| "something else".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{field}: expected {expected}, found {found}"))
}

/// Seconds since the epoch, or a moment that says in which zone it is. One before the epoch has passed.
fn since_epoch(given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let out_of_range = || PyValueError::new_err("expires: expected seconds since the epoch");
    let datetime = given.py().import("datetime")?.getattr("datetime")?;
    let seconds: f64 = if given.is_instance(&datetime)? {
        if given.call_method0("utcoffset")?.is_none() {
            return Err(PyValueError::new_err(
                "expires: expected a datetime with a time zone, found one without",
            ));
        }
        given.call_method0("timestamp")?.extract()?
    } else {
        let is_number = given.is_instance_of::<PyInt>() || given.is_instance_of::<PyFloat>();
        if !is_number || given.is_instance_of::<PyBool>() {
            return Err(wrong("expires", "seconds or a datetime", given));
        }
        given.extract().map_err(|_| out_of_range())?
    };
    if seconds.is_nan() {
        return Err(out_of_range());
    }
    Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| out_of_range())
}

/// Nothing for a function that can be called with one argument; what it takes, for any other.
///
/// # Errors
/// Python's own.
pub(crate) fn takes_one(function: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let py = function.py();
    let inspect = py.import("inspect")?;
    match inspect.call_method1("signature", (function,)) {
        Ok(signature) if signature.call_method1("bind", (py.None(),)).is_ok() => Ok(None),
        Ok(signature) => Ok(Some(signature.to_string())),
        // Some functions that are written in C have none to show.
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A function of the program's that is asked.
#[derive(Clone)]
pub(super) struct PythonLookup(Arc<Function>);

struct Function {
    function: Py<PyAny>,
    route: Arc<Route>,
}

impl PythonLookup {
    /// Reads `lookup`, where it is given; `argument` says what it is called with.
    pub(super) fn read(fields: &mut Fields<'_, '_>, argument: &str) -> Option<Self> {
        let given = fields.some("lookup")?;
        match Self::of(&given, argument) {
            Ok(lookup) => Some(lookup),
            Err(why) => {
                fields.note("lookup", why.value(given.py()).to_string());
                None
            }
        }
    }

    fn of(given: &Bound<'_, PyAny>, argument: &str) -> PyResult<Self> {
        let py = given.py();
        if !given.is_callable() {
            let kind = given.get_type();
            return Err(PyTypeError::new_err(format!(
                "expected a def or async def, found {}",
                kind.name()?
            )));
        }
        let inspect = py.import("inspect")?;
        if let Some(signature) = takes_one(given)? {
            return Err(PyTypeError::new_err(format!(
                "expected a function of one argument, {argument}; it takes {signature}"
            )));
        }
        let is = |kind: &str, function: &Bound<'_, PyAny>| {
            inspect.call_method1(kind, (function,))?.is_truthy()
        };
        if is("isgeneratorfunction", given)? || is("isasyncgenfunction", given)? {
            return Err(PyTypeError::new_err(
                "expected a def or async def that returns, found one that yields",
            ));
        }
        let is_async = |function: &Bound<'_, PyAny>| is("iscoroutinefunction", function);
        // An object whose `__call__` is an async def is one as well.
        let is_async = is_async(given)? || is_async(&given.get_type().getattr("__call__")?)?;
        let route = if is_async {
            Route::coroutine(py, "lookup")
        } else {
            Route::function(py, "lookup", None)
        };
        Ok(Self(Arc::new(Function {
            function: given.clone().unbind(),
            route: Arc::new(route),
        })))
    }

    fn ask<T: Send + 'static>(&self, asked: String, read: Read<T>) -> LookedUp<T> {
        let call = dispatch::call(
            &self.0.route,
            Ask {
                function: Arc::clone(&self.0),
                asked,
                read,
            },
        );
        Box::pin(async move {
            match call.await {
                Ok(answer) => answer,
                Err(Refusal::Busy) => Err(LookupError::Busy),
                Err(_) => Err(LookupError::Failed),
            }
        })
    }
}

impl KeyLookup for PythonLookup {
    fn look_up(&self, digest: KeyDigest) -> LookedUp<KeyRecord> {
        self.ask(digest.to_string(), |value| {
            Some(value.cast::<PyKeyRecord>().ok()?.get().record())
        })
    }
}

impl UserLookup for PythonLookup {
    fn look_up(&self, user: &str) -> LookedUp<Secret<String>> {
        self.ask(user.to_owned(), text_of)
    }
}

/// What is read from a value that was returned; nothing where it cannot be used.
type Read<T> = fn(&Bound<'_, PyAny>) -> Option<T>;

/// One call of a look-up.
struct Ask<T> {
    function: Arc<Function>,
    asked: String,
    read: Read<T>,
}

impl<T: Send + 'static> Work for Ask<T> {
    type Answer = Result<Option<T>, LookupError>;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let asked = PyString::new(py, &self.asked);
        ffi::call(self.function.function.bind(py), [asked.as_any()]).map(Bound::unbind)
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Self::Answer {
        let value = outcome.map_err(|_| LookupError::Failed)?;
        let value = value.bind(py);
        if value.is_none() {
            return Ok(None);
        }
        (self.read)(value).map(Some).ok_or(LookupError::Invalid)
    }
}

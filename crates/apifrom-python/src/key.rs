//! Key functions written in Python: who calls, for a limit or for a token.
//!
//! 1. A function is called for the endpoints alone whose limit or token asks it, like a handler: a `def`
//!    in the pool until it has proved short, an `async def` on the loop.
//! 2. It is shown the request's head and who calls, and returns a `str`, `bytes`, an `int`, a tuple of
//!    these, or `None` for no key of its own. Anything else, and an exception, refuses the request.

use std::sync::Arc;

use apifrom::{Context, Head, KeyFunction, KeyPart, Keyed, Rejection};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString, PyTuple};

use crate::dispatch::{self, Route, Work};
use crate::middleware::Places;
use crate::reply;
use crate::request::{Facts, Glimpse};

/// A function as Python declared it.
pub(crate) struct DeclaredKey {
    function: Py<PyAny>,
    route: Arc<Route>,
    is_async: bool,
}

impl DeclaredKey {
    /// Reads `function`; `None` where it is nothing that can be called and returns.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn read(function: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if !function.is_callable() {
            return Ok(None);
        }
        let py = function.py();
        let inspect = py.import("inspect")?;
        // An object is what its `__call__` is.
        let call = function.get_type().getattr("__call__")?;
        let is = |kind: &str| -> PyResult<bool> {
            Ok(inspect.call_method1(kind, (function,))?.is_truthy()?
                || inspect.call_method1(kind, (&call,))?.is_truthy()?)
        };
        if is("isgeneratorfunction")? || is("isasyncgenfunction")? {
            return Ok(None);
        }
        let is_async = is("iscoroutinefunction")?;
        let name = function.getattr_opt("__qualname__")?;
        let name = name.and_then(|name| name.extract::<String>().ok());
        let name = name.unwrap_or_else(|| "key function".to_owned());
        let route = if is_async {
            Route::coroutine(py, &name)
        } else {
            Route::function(py, &name, None)
        };
        Ok(Some(Self {
            function: function.clone().unbind(),
            route: Arc::new(route),
            is_async,
        }))
    }

    /// The function, as the engine asks it for the endpoints at these places.
    pub(crate) fn placed(self, places: &Places) -> PythonKey {
        PythonKey {
            function: Arc::new(self.function),
            route: self.route,
            is_async: self.is_async,
            places: places.clone(),
        }
    }
}

/// A function, ready to be asked.
pub(crate) struct PythonKey {
    function: Arc<Py<PyAny>>,
    route: Arc<Route>,
    is_async: bool,
    places: Places,
}

impl KeyFunction for PythonKey {
    fn key(&self, route: &str, head: &Head, context: &Context) -> Keyed {
        let ask = Ask {
            function: Arc::clone(&self.function),
            glimpse: Some(Glimpse::of(head, context)),
            facts: self.places.at(route),
            is_async: self.is_async,
        };
        let route = Arc::clone(&self.route);
        Keyed::Wait(Box::pin(async move {
            match dispatch::call(&route, ask).await {
                Ok(keyed) => keyed,
                Err(refusal) => Keyed::Failed(reply::refused(refusal)),
            }
        }))
    }
}

/// One call.
struct Ask {
    function: Arc<Py<PyAny>>,
    glimpse: Option<Glimpse>,
    facts: Arc<Facts>,
    is_async: bool,
}

impl Work for Ask {
    type Answer = Keyed;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Some(glimpse) = self.glimpse.take() else {
            return Ok(py.None());
        };
        let request = glimpse.show(py, &self.facts, self.is_async)?;
        self.function.call1(py, (request,))
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Keyed {
        let keyed = outcome.and_then(|value| keyed(value.bind(py)));
        keyed.unwrap_or_else(|error| match reply::from_exception(py, &error) {
            Err(why) => Keyed::Failed(why),
            // An `HTTPException` is an answer of a handler's, and no key.
            Ok(_) => Keyed::Failed(
                Rejection::internal().caused_by("the key function raised an HTTPException"),
            ),
        })
    }
}

fn keyed(value: &Bound<'_, PyAny>) -> PyResult<Keyed> {
    if value.is_none() {
        return Ok(Keyed::Client);
    }
    let Ok(parts) = value.cast::<PyTuple>() else {
        return Ok(Keyed::Key(vec![part(value)?]));
    };
    let parts: PyResult<Vec<KeyPart>> = parts.iter().map(|part_of| part(&part_of)).collect();
    Ok(Keyed::Key(parts?))
}

fn part(value: &Bound<'_, PyAny>) -> PyResult<KeyPart> {
    if let Ok(text) = value.cast::<PyString>() {
        // Half of a surrogate pair is as good as any other character here.
        let text = match text.to_str() {
            Ok(text) => text.to_owned(),
            Err(_) => value.repr()?.to_str()?.to_owned(),
        };
        return Ok(KeyPart::Text(text));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(KeyPart::Bytes(bytes.as_bytes().to_owned()));
    }
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        // Of any size; hexadecimal digits, for which Python has no bound.
        let digits: String = value.call_method1("__format__", ("x",))?.extract()?;
        return Ok(KeyPart::Integer(digits));
    }
    Err(PyTypeError::new_err(format!(
        "a key is str, bytes, int, a tuple of these, or None; found {}",
        value.get_type().fully_qualified_name()?
    )))
}

//! Key functions written in Python: who calls, for a limit or for a token.
//!
//! 1. A function is called for the endpoints alone whose limit or token asks it, like a handler: a `def`
//!    in the pool until it has proved short, an `async def` on the loop.
//! 2. It is shown the request's head and who calls, and returns a `str`, `bytes`, an `int`, a tuple of
//!    these, or `None` for no key of its own. Anything else, and an exception, refuses the request.
//! 3. Of an exception its class and where it was raised are in the log, and nothing more: its text may
//!    quote what a client sent, a key or a session among it.

use std::sync::Arc;

use apifrom::{Context, Head, KeyFunction, KeyPart, Keyed, Rejection};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString, PyTuple};

use crate::dispatch::{self, Route, Work};
use crate::middleware::Places;
use crate::reply;
use crate::request::{Facts, Glimpse};
use crate::security::takes_one;

/// A function as Python declared it.
pub(crate) struct DeclaredKey {
    function: Py<PyAny>,
    route: Arc<Route>,
    is_async: bool,
}

impl DeclaredKey {
    /// Reads `function`; `Err` says why it can be none.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn read(function: &Bound<'_, PyAny>) -> PyResult<Result<Self, String>> {
        if !function.is_callable() {
            return Ok(Err("expected a function of the request, or None".to_owned()));
        }
        let py = function.py();
        match takes_one(function) {
            Ok(None) => {}
            Ok(Some(signature)) => {
                return Ok(Err(format!(
                    "expected a function of one argument, the request; it takes {signature}"
                )));
            }
            Err(error) => return Ok(Err(error.value(py).to_string())),
        }
        let inspect = py.import("inspect")?;
        // An object is what its `__call__` is.
        let call = function.get_type().getattr("__call__")?;
        let is = |kind: &str| -> PyResult<bool> {
            Ok(inspect.call_method1(kind, (function,))?.is_truthy()?
                || inspect.call_method1(kind, (&call,))?.is_truthy()?)
        };
        if is("isgeneratorfunction")? || is("isasyncgenfunction")? {
            let why = "expected a function that returns, found one that yields";
            return Ok(Err(why.to_owned()));
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
        Ok(Ok(Self {
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
        let keyed = match outcome {
            Ok(value) => keyed(value.bind(py)),
            Err(error) => Err(raised(py, &error)),
        };
        keyed.unwrap_or_else(|why| Keyed::Failed(Rejection::internal().caused_by(why)))
    }
}

/// What is written of an exception: its class, and where it was raised.
fn raised(py: Python<'_>, error: &PyErr) -> String {
    let class = error.get_type(py);
    let name = class
        .fully_qualified_name()
        .map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    let name = name.strip_prefix("builtins.").unwrap_or(&name);
    match place(py, error) {
        Ok(Some((file, line))) => format!("{name} at {file}:{line}"),
        Ok(None) | Err(_) => name.to_owned(),
    }
}

/// The file and line that an exception comes from.
fn place(py: Python<'_>, error: &PyErr) -> PyResult<Option<(String, u32)>> {
    let Some(traceback) = error.traceback(py) else {
        return Ok(None);
    };
    let mut last = traceback.into_any();
    loop {
        let next = last.getattr(intern!(py, "tb_next"))?;
        if next.is_none() {
            break;
        }
        last = next;
    }
    let frame = last.getattr(intern!(py, "tb_frame"))?;
    let code = frame.getattr(intern!(py, "f_code"))?;
    let file = code.getattr(intern!(py, "co_filename"))?.extract()?;
    let line = last.getattr(intern!(py, "tb_lineno"))?.extract()?;
    Ok(Some((file, line)))
}

/// The key that a value is; `Err` says why it is none, without the value.
fn keyed(value: &Bound<'_, PyAny>) -> Result<Keyed, String> {
    if value.is_none() {
        return Ok(Keyed::Client);
    }
    let Ok(parts) = value.cast::<PyTuple>() else {
        return Ok(Keyed::Key(vec![part(value)?]));
    };
    let parts: Result<Vec<KeyPart>, String> = parts.iter().map(|each| part(&each)).collect();
    Ok(Keyed::Key(parts?))
}

fn part(value: &Bound<'_, PyAny>) -> Result<KeyPart, String> {
    let py = value.py();
    match part_of(value) {
        Ok(Some(part)) => Ok(part),
        Ok(None) => Err(format!(
            "a key is str, bytes, int, a tuple of these, or None; found {}",
            value
                .get_type()
                .fully_qualified_name()
                .map_or_else(|_| "something else".to_owned(), |name| name.to_string())
        )),
        // Of a class of the program's that is one of these.
        Err(error) => Err(raised(py, &error)),
    }
}

fn part_of(value: &Bound<'_, PyAny>) -> PyResult<Option<KeyPart>> {
    if let Ok(text) = value.cast::<PyString>() {
        // Half of a surrogate pair is as good as any other character here.
        let text = match text.to_str() {
            Ok(text) => text.to_owned(),
            Err(_) => value.repr()?.to_str()?.to_owned(),
        };
        return Ok(Some(KeyPart::Text(text)));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Some(KeyPart::Bytes(bytes.as_bytes().to_owned())));
    }
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        // Of any size; hexadecimal digits, for which Python has no bound.
        let digits: String = value.call_method1("__format__", ("x",))?.extract()?;
        return Ok(Some(KeyPart::Integer(digits)));
    }
    Ok(None)
}

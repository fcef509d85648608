//! The headers of an answer: what a program may set, and the mapping through which it does.
//!
//! A header is refused, where the program sets it, when
//! 1. its name is not a token, or its value holds anything but visible ASCII, spaces and tabs: CR
//!    and LF would begin another header, and what is not ASCII has no agreed encoding
//!    (RFC 9110 §5.5);
//! 2. it belongs to the connection (RFC 9110 §7.6.1), which the server keeps by itself.
//!
//! The message names the header and never shows its value.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyMapping, PyString};

use super::Response;

const OF_THE_CONNECTION: [HeaderName; 6] = [
    http::header::CONNECTION,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    http::header::TE,
    http::header::TRAILER,
    HeaderName::from_static("keep-alive"),
];

/// A header name that a program may set.
pub(crate) fn parse_name(name: &str) -> PyResult<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("{name:?} is no header name")))?;
    if OF_THE_CONNECTION.contains(&parsed) {
        return Err(PyValueError::new_err(format!(
            "the header {parsed} belongs to the connection, which the server keeps"
        )));
    }
    Ok(parsed)
}

/// A header value that can be sent; `name` is for the message.
pub(crate) fn parse_value(name: &HeaderName, value: &str) -> PyResult<HeaderValue> {
    let parsed = HeaderValue::from_str(value)
        .ok()
        .filter(|_| value.is_ascii());
    parsed.ok_or_else(|| {
        PyValueError::new_err(format!(
            "the value of the header {name} may hold visible ASCII, spaces and tabs alone"
        ))
    })
}

/// Reads `given`, a mapping or a list of pairs. A name that comes twice has both values.
pub(crate) fn parse(given: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::new();
    let pairs = match given.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.into_any(),
        Err(_) => given.clone(),
    };
    for pair in pairs.try_iter()? {
        let (name, value) = pair?
            .extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()
            .map_err(|_| {
                PyTypeError::new_err("expected headers as a mapping or a list of pairs")
            })?;
        let name = parse_name(text(&name, "a header name")?)?;
        let value = parse_value(&name, text(&value, "a header value")?)?;
        add(&mut headers, name, value)?;
    }
    Ok(headers)
}

/// Puts `given` into `headers`, in the place of what they have of the same names.
pub(crate) fn merge(headers: &mut HeaderMap, given: HeaderMap) {
    // `HeaderMap`'s own `extend` replaces a name with its first value and adds the others.
    headers.extend(given);
}

/// Adds a line. A map holds 32,768 of them.
fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> PyResult<()> {
    match headers.try_append(name, value) {
        Ok(_) => Ok(()),
        Err(_) => Err(PyValueError::new_err("too many headers")),
    }
}

fn text<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a str> {
    match value.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(PyTypeError::new_err(format!(
            "expected {what} as str, found {}",
            value.get_type().name()?
        ))),
    }
}

/// One of the views that the standard library makes of any mapping.
pub(crate) fn view<'py>(mapping: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let views = mapping.py().import("collections.abc")?;
    views.getattr(name)?.call1((mapping,))
}

/// The value as text; bytes above 127 one by one, as latin-1.
pub(crate) fn value_text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

/// The headers of one response, to be read and changed. Names are compared without regard to
/// case; a name may have several values, of which look-ups give the first.
#[pyclass(frozen, mapping, module = "apifrom.responses")]
pub(crate) struct MutableHeaders {
    pub(super) response: Py<Response>,
}

impl MutableHeaders {
    fn with<R>(&self, look: impl FnOnce(&mut HeaderMap) -> R) -> R {
        look(&mut self.response.get().lock().headers)
    }

    fn names(&self) -> Vec<String> {
        self.with(|headers| headers.keys().map(ToString::to_string).collect())
    }

    fn all(&self) -> Vec<(String, String)> {
        self.with(|headers| {
            let pairs = headers.iter();
            pairs
                .map(|(name, value)| (name.to_string(), value_text(value)))
                .collect()
        })
    }
}

#[pymethods]
impl MutableHeaders {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.get(name)
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __setitem__(&self, name: &str, value: &str) -> PyResult<()> {
        let name = parse_name(name)?;
        let value = parse_value(&name, value)?;
        self.with(|headers| headers.insert(name, value));
        Ok(())
    }

    fn __delitem__(&self, name: &str) -> PyResult<()> {
        match self.with(|headers| headers.remove(name)) {
            Some(_) => Ok(()),
            None => Err(PyKeyError::new_err(name.to_owned())),
        }
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>()
            .is_ok_and(|name| self.with(|headers| headers.contains_key(name)))
    }

    fn __len__(&self) -> usize {
        self.with(|headers| headers.keys_len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.names())?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("MutableHeaders({:?})", self.names())
    }

    /// The first value of `name`, or `default`.
    #[pyo3(name = "get", signature = (name, default = None))]
    fn get_or<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> Bound<'py, PyAny> {
        match self.get(name) {
            Some(value) => PyString::new(py, &value).into_any(),
            None => default.unwrap_or_else(|| py.None().into_bound(py)),
        }
    }

    /// Every value of `name`, in order.
    fn getlist(&self, name: &str) -> Vec<String> {
        self.with(|headers| headers.get_all(name).iter().map(value_text).collect())
    }

    /// Adds a value, whatever `name` has already.
    fn append(&self, name: &str, value: &str) -> PyResult<()> {
        let name = parse_name(name)?;
        let value = parse_value(&name, value)?;
        self.with(|headers| add(headers, name, value))
    }

    /// The first value of `name`, which becomes `default` where there is none.
    fn setdefault(&self, name: &str, default: &str) -> PyResult<String> {
        if let Some(value) = self.get(name) {
            return Ok(value);
        }
        self.__setitem__(name, default)?;
        Ok(default.to_owned())
    }

    /// Sets every name of `headers`, a mapping or a list of pairs.
    fn update(&self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = parse(headers)?;
        self.with(|headers| merge(headers, given));
        Ok(())
    }

    /// The names, each once.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "KeysView")
    }

    /// The first value of each name.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "ValuesView")
    }

    /// Each name with its first value.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        view(slf, "ItemsView")
    }

    /// Every line: a name with several values comes several times.
    fn multi_items(&self) -> Vec<(String, String)> {
        self.all()
    }
}

impl MutableHeaders {
    fn get(&self, name: &str) -> Option<String> {
        self.with(|headers| headers.get(name).map(value_text))
    }
}

//! The kinds of response that differ in how their body is made.

use std::fmt::Write as _;

use http::header::{HeaderValue, LOCATION};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyClass, PyClassInitializer, intern};

use super::{BYTES, Common, Content, Response, State, read_content};
use crate::json;

/// A response before its `__init__`.
pub(super) fn empty<T: PyClass<BaseType = Response>>(kind: T) -> PyClassInitializer<T> {
    PyClassInitializer::from(Response::new(State::default())).add_subclass(kind)
}

/// An answer in JSON.
#[pyclass(extends = Response, subclass, frozen, name = "JSONResponse", module = "apifrom.responses")]
pub(crate) struct JsonResponse;

#[pymethods]
impl JsonResponse {
    #[classattr]
    #[pyo3(name = "media_type")]
    const MEDIA_TYPE: &'static str = "application/json";

    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        empty(Self)
    }

    /// Builds an answer from what JSON can express.
    #[pyo3(signature = (content, status = 200, headers = None, media_type = None, background = None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        content: &Bound<'_, PyAny>,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
        background: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let common = Common {
            status,
            headers,
            media_type,
            background,
        };
        let content = Content::Bytes(json::to_bytes(content)?);
        Response::fill(slf.as_super(), content, None, &common)
    }
}

/// An answer in plain text.
#[pyclass(extends = Response, subclass, frozen, module = "apifrom.responses")]
pub(crate) struct PlainTextResponse;

#[pymethods]
impl PlainTextResponse {
    #[classattr]
    #[pyo3(name = "media_type")]
    const MEDIA_TYPE: &'static str = "text/plain";

    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        empty(Self)
    }

    /// Builds an answer.
    #[pyo3(signature = (content = None, status = 200, headers = None, media_type = None, background = None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        content: Option<&Bound<'_, PyAny>>,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
        background: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Response::__init__(
            slf.as_super(),
            content,
            status,
            headers,
            media_type,
            background,
        )
    }
}

/// An answer in HTML.
#[pyclass(extends = Response, subclass, frozen, name = "HTMLResponse", module = "apifrom.responses")]
pub(crate) struct HtmlResponse;

#[pymethods]
impl HtmlResponse {
    #[classattr]
    #[pyo3(name = "media_type")]
    const MEDIA_TYPE: &'static str = "text/html";

    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        empty(Self)
    }

    /// Builds an answer.
    #[pyo3(signature = (content = None, status = 200, headers = None, media_type = None, background = None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        content: Option<&Bound<'_, PyAny>>,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
        background: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Response::__init__(
            slf.as_super(),
            content,
            status,
            headers,
            media_type,
            background,
        )
    }
}

/// Sends the client elsewhere.
#[pyclass(extends = Response, subclass, frozen, module = "apifrom.responses")]
pub(crate) struct RedirectResponse;

#[pymethods]
impl RedirectResponse {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        empty(Self)
    }

    /// Builds a redirect.
    #[pyo3(signature = (url, status = 307, headers = None, background = None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        url: &Bound<'_, PyAny>,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        background: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Err(PyValueError::new_err(format!(
                "expected a redirect's status (301, 302, 303, 307 or 308), found {status}"
            )));
        }
        let location = location(url.str()?.to_str()?)?;
        let common = Common {
            status,
            headers,
            media_type: None,
            background,
        };
        Response::fill(slf.as_super(), Content::Empty, None, &common)?;
        let mut state = slf.as_super().get().lock();
        state.headers.insert(LOCATION, location);
        Ok(())
    }
}

/// Writes `url` in the characters that a `Location` may hold. A backslash, which browsers read as
/// a slash, is encoded like everything else that has no place in a URL.
fn location(url: &str) -> PyResult<HeaderValue> {
    if url.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(PyValueError::new_err(
            "a redirect's URL may not hold control characters",
        ));
    }
    let mut quoted = String::with_capacity(url.len());
    push_encoded(url, b"-._~:/?#[]@!$&'()*+,;=%", &mut quoted);
    HeaderValue::from_str(&quoted)
        .map_err(|_| PyValueError::new_err("the redirect's URL cannot be sent"))
}

/// Appends `text`, everything but letters, digits and what is `allowed` percent-encoded.
fn push_encoded(text: &str, allowed: &[u8], out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || allowed.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// An answer whose body is made while it is sent.
#[pyclass(extends = Response, subclass, frozen, module = "apifrom.responses")]
pub(crate) struct StreamingResponse;

#[pymethods]
impl StreamingResponse {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        empty(Self)
    }

    /// Builds an answer from an iterable of `str` or `bytes`, of either kind.
    #[pyo3(signature = (content, status = 200, headers = None, media_type = None, background = None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        content: &Bound<'_, PyAny>,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
        background: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        // One piece of text would be streamed letter by letter.
        let is_whole = read_content(content).is_ok();
        let is_iterable = content.hasattr(intern!(py, "__aiter__"))?
            || content.hasattr(intern!(py, "__iter__"))?;
        if is_whole || !is_iterable {
            return Err(PyTypeError::new_err(format!(
                "expected an iterable or asynchronous iterable of pieces, found {}",
                content.get_type().name()?
            )));
        }
        let common = Common {
            status,
            headers,
            media_type,
            background,
        };
        let content = Content::Stream(content.clone().unbind());
        Response::fill(slf.as_super(), content, Some(BYTES), &common)
    }
}

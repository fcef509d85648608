//! The answers that a program builds itself: `Response` and its kinds.
//!
//! They hold what will be sent in the engine's own terms, so that sending one costs no conversion.
//! Python classes may derive from each of them: everything happens in `__init__`, and a class
//! attribute `media_type` is taken where no argument names one.

mod background;
mod cookie;
mod file;
mod headers;
mod kinds;

pub(crate) use self::background::{
    AfterBody, Afterwards, BackgroundTask, BackgroundTasks, Pending,
};
pub(crate) use self::file::{FileResponse, static_file};
pub(crate) use self::headers::{MutableHeaders, merge, parse, parse_value, value_text, view};
pub(crate) use self::kinds::{
    HtmlResponse, JsonResponse, PlainTextResponse, RedirectResponse, StreamingResponse,
};

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use apifrom::ResponseBody;
use apifrom::files::FileSource;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Extensions, StatusCode};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit, intern};

use self::cookie::{Cookie, same_site};

/// An answer: a body, its status and its headers.
#[pyclass(subclass, frozen, module = "apifrom.responses")]
pub(crate) struct Response {
    state: Mutex<State>,
}

/// What a [`Response`] holds.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) background: Option<Py<PyAny>>,
    /// What the engine attached to an answer that passes through own middleware.
    pub(crate) extensions: Extensions,
}

/// The body of a [`Response`].
#[derive(Default)]
pub(crate) enum Content {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes at hand, which may be sent any number of times.
    Bytes(Bytes),
    /// An iterator, which may be sent once.
    Stream(Py<PyAny>),
    /// A generator that a handler is; its head waits for the first piece.
    Generator(Py<PyAny>),
    /// A body that passes through own middleware.
    Passing(ResponseBody),
    /// A file, opened when it is sent.
    File(Box<FileSource>),
    /// Sent already.
    Spent,
}

/// The arguments that every kind of response has.
pub(crate) struct Common<'a, 'py> {
    pub(crate) status: u16,
    pub(crate) headers: Option<&'a Bound<'py, PyAny>>,
    pub(crate) media_type: Option<&'a str>,
    pub(crate) background: Option<&'a Bound<'py, PyAny>>,
}

impl Response {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// The Python object of an answer that passes through own middleware; answering with it gives
    /// the same answer again, its body unread.
    pub(crate) fn passing(response: apifrom::Response) -> Self {
        let (parts, body) = response.into_parts();
        Self::new(State {
            status: parts.status,
            headers: parts.headers,
            content: Content::Passing(body),
            background: None,
            extensions: parts.extensions,
        })
    }

    /// What it holds. Nothing that may run Python happens under this lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets everything, as `__init__` does. `fallback` is the media type where neither the
    /// argument nor the class names one.
    pub(crate) fn fill(
        slf: &Bound<'_, Self>,
        content: Content,
        fallback: Option<&str>,
        common: &Common<'_, '_>,
    ) -> PyResult<()> {
        let py = slf.py();
        let status = parse_status(common.status)?;
        let mut headers = HeaderMap::new();
        let of_class;
        let media_type = if common.media_type.is_some() {
            common.media_type
        } else {
            of_class = slf.getattr(intern!(py, "media_type"))?;
            of_class.extract::<Option<&str>>()?.or(fallback)
        };
        if let Some(media_type) = media_type {
            headers.insert(CONTENT_TYPE, content_type(media_type)?);
        }
        if let Some(given) = common.headers {
            merge(&mut headers, parse(given)?);
        }
        let background = match common.background {
            Some(background) => Some(background::accept(background)?),
            None => None,
        };
        let state = State {
            status,
            headers,
            content,
            background,
            extensions: Extensions::new(),
        };
        let before = mem::replace(&mut *slf.get().lock(), state);
        drop(before);
        Ok(())
    }

    /// What is sent. A stream is gone after it.
    ///
    /// # Errors
    /// `RuntimeError` when a stream was sent already.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<State> {
        let mut state = self.lock();
        let content = match &mut state.content {
            Content::Empty => Content::Empty,
            Content::Bytes(bytes) => Content::Bytes(bytes.clone()),
            Content::File(source) => Content::File(source.clone()),
            Content::Spent => {
                return Err(PyRuntimeError::new_err(
                    "a streamed response can be sent only once",
                ));
            }
            once => mem::replace(once, Content::Spent),
        };
        Ok(State {
            status: state.status,
            headers: state.headers.clone(),
            content,
            background: state.background.as_ref().map(|work| work.clone_ref(py)),
            extensions: mem::take(&mut state.extensions),
        })
    }
}

#[pymethods]
impl Response {
    /// The media type of this class where the constructor is given none.
    #[classattr]
    #[pyo3(name = "media_type")]
    const MEDIA_TYPE: Option<&'static str> = None;

    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self::new(State::default())
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
        let (content, fallback) = match content {
            None => (Content::Empty, None),
            Some(content) => read_content(content)?,
        };
        let common = Common {
            status,
            headers,
            media_type,
            background,
        };
        Self::fill(slf, content, fallback, &common)
    }

    /// The status.
    #[getter]
    fn status(&self) -> u16 {
        self.lock().status.as_u16()
    }

    #[setter]
    fn set_status(&self, status: u16) -> PyResult<()> {
        self.lock().status = parse_status(status)?;
        Ok(())
    }

    /// The headers, to be read and changed.
    #[getter]
    fn headers(slf: &Bound<'_, Self>) -> MutableHeaders {
        MutableHeaders {
            response: slf.clone().unbind(),
        }
    }

    /// The body; `None` for one that is streamed.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let state = self.lock();
        let bytes = match &state.content {
            Content::Empty => Some(&[][..]),
            Content::Bytes(bytes) => Some(&**bytes),
            Content::Passing(body) => body.bytes(),
            Content::Stream(_) | Content::Generator(_) | Content::File(_) | Content::Spent => None,
        }?;
        Some(PyBytes::new(py, bytes))
    }

    #[setter]
    fn set_body(&self, content: &Bound<'_, PyAny>) -> PyResult<()> {
        let (content, _) = read_content(content)?;
        let before = mem::replace(&mut self.lock().content, content);
        drop(before);
        Ok(())
    }

    /// What is done after the answer was sent.
    #[getter]
    fn background(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.lock();
        state.background.as_ref().map(|work| work.clone_ref(py))
    }

    #[setter]
    fn set_background(&self, work: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let work = work.map(background::accept).transpose()?;
        let before = mem::replace(&mut self.lock().background, work);
        drop(before);
        Ok(())
    }

    /// Has the browser keep a cookie.
    #[pyo3(signature = (name, value = "", *, max_age = None, expires = None, path = "/", domain = None, secure = true, httponly = true, samesite = "lax"))]
    #[expect(clippy::too_many_arguments, reason = "the attributes of a cookie")]
    fn set_cookie(
        &self,
        name: &str,
        value: &str,
        max_age: Option<i64>,
        expires: Option<&Bound<'_, PyAny>>,
        path: &str,
        domain: Option<&str>,
        secure: bool,
        httponly: bool,
        samesite: &str,
    ) -> PyResult<()> {
        let cookie = Cookie {
            name,
            value,
            max_age,
            expires: expires.map(cookie::moment).transpose()?,
            path,
            domain,
            secure,
            httponly,
            samesite: same_site(samesite)?,
        };
        cookie.put(&mut self.lock().headers)
    }

    /// Has the browser forget a cookie, which it knows by name, path and domain.
    #[pyo3(signature = (name, *, path = "/", domain = None, secure = true, httponly = true, samesite = "lax"))]
    fn delete_cookie(
        &self,
        name: &str,
        path: &str,
        domain: Option<&str>,
        secure: bool,
        httponly: bool,
        samesite: &str,
    ) -> PyResult<()> {
        let cookie = Cookie {
            name,
            value: "",
            max_age: Some(0),
            expires: Some(std::time::UNIX_EPOCH),
            path,
            domain,
            secure,
            httponly,
            samesite: same_site(samesite)?,
        };
        cookie.put(&mut self.lock().headers)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let name = slf.get_type().name()?.to_string();
        Ok(format!("<{name} {}>", slf.get().status()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A thread that holds the lock is using what it guards, so nothing in it is garbage.
        let Ok(state) = self.state.try_lock() else {
            return Ok(());
        };
        if let Content::Stream(pieces) = &state.content {
            visit.call(pieces)?;
        }
        visit.call(&state.background)
    }

    fn __clear__(&self) {
        let before = mem::take(&mut *self.lock());
        drop(before);
    }
}

/// A status that an answer can have: 1xx announce one, and RFC 9110 §15 knows none above 599.
pub(crate) fn parse_status(status: u16) -> PyResult<StatusCode> {
    StatusCode::from_u16(status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| {
            PyValueError::new_err(format!("expected a status from 200 to 599, found {status}"))
        })
}

/// A body, and the media type that goes with its Python type.
pub(crate) fn read_content(
    content: &Bound<'_, PyAny>,
) -> PyResult<(Content, Option<&'static str>)> {
    if let Ok(text) = content.cast::<PyString>() {
        let bytes = Bytes::copy_from_slice(text.to_str()?.as_bytes());
        return Ok((Content::Bytes(bytes), Some(TEXT)));
    }
    let bytes = read_bytes(content).ok_or_else(|| {
        let name = content.get_type().name();
        let name = name.map_or_else(|_| "something else".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("expected content as str or bytes, found {name}"))
    })?;
    let fallback = (!bytes.is_empty()).then_some(BYTES);
    Ok((Content::Bytes(bytes), fallback))
}

/// The media types of what has no other.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const BYTES: &str = "application/octet-stream";

/// The bytes of `bytes`, `bytearray` or `memoryview`; `None` for anything else.
pub(crate) fn read_bytes(value: &Bound<'_, PyAny>) -> Option<Bytes> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Some(kept(bytes));
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        let copy = value.py().get_type::<PyBytes>().call1((value,)).ok()?;
        return copy.cast::<PyBytes>().ok().map(kept);
    }
    None
}

/// Large bytes are lent by Python, since letting one go costs about as much as copying a page.
pub(crate) fn kept(bytes: &Bound<'_, PyBytes>) -> Bytes {
    const LENT: usize = 16 << 10;
    if bytes.as_bytes().len() < LENT {
        Bytes::copy_from_slice(bytes.as_bytes())
    } else {
        Bytes::from_owner(PyBackedBytes::from(bytes.clone()))
    }
}

/// A `Content-Type`; text without a charset is UTF-8.
fn content_type(media_type: &str) -> PyResult<HeaderValue> {
    if media_type.starts_with("text/") && !media_type.to_ascii_lowercase().contains("charset=") {
        return parse_value(&CONTENT_TYPE, &format!("{media_type}; charset=utf-8"));
    }
    parse_value(&CONTENT_TYPE, media_type)
}

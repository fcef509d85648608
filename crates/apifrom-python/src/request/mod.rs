//! The request as Python sees it. Nothing of it is built before it is asked for.
//!
//! 1. An `async def` is given a `Request`, a `def` a `SyncRequest`; both are one allocation that holds
//!    the engine's own request.
//! 2. Own middleware that passes the request on gives it back ([`take`]): the object goes on
//!    showing a copy of the head. Where the handler asks for the request as well, it is given the
//!    same object, and in any case the same `state`.
//! 3. What cannot be read (a malformed query, a body that is too large) is an `UnreadableRequest`,
//!    which answers as the engine itself would.
//!
//! Its `repr` shows method and path alone: headers and the query may hold what nobody should read.

mod body;
mod identity;
mod parts;
mod reading;
mod refused;
mod url;
mod waiter;

pub(crate) use self::body::SharedBody;
pub(crate) use self::parts::{Client, FormData, Headers, Params};
pub(crate) use self::reading::{Pieces, Reading};
pub(crate) use self::url::Url;
pub(crate) use self::waiter::Waiter;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use apifrom::cookie::{CookieLimits, Cookies, Found};
use apifrom::middleware::CspNonce;
use apifrom::{Captures, Context, Head, Identities, Notes, Original, RequestId, Scheme};
use bytes::Bytes;
use http::header::COOKIE;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};

use self::reading::{Want, convert};
use self::refused::Refused;
use crate::dispatch;
use crate::reactor;
use crate::reply::Asked;

/// What the requests of one endpoint have in common.
pub(crate) struct Facts {
    captures: Vec<Py<PyString>>,
    root_path: Arc<str>,
    max_json_depth: usize,
}

impl Facts {
    /// `captures` are the names in the endpoint's template, in its order.
    pub(crate) fn new<'a>(
        py: Python<'_>,
        captures: impl IntoIterator<Item = &'a str>,
        root_path: &Arc<str>,
        max_json_depth: usize,
    ) -> Arc<Self> {
        let names = captures.into_iter();
        Arc::new(Self {
            captures: names
                .map(|name| PyString::intern(py, name).unbind())
                .collect(),
            root_path: Arc::clone(root_path),
            max_json_depth,
        })
    }
}

/// What both kinds of request have in common.
#[pyclass(frozen, subclass, module = "apifrom.requests")]
pub(crate) struct BaseRequest {
    held: Mutex<Held>,
    /// The attributes that the program and the engine set; shared by all objects of one request.
    bag: OnceLock<Py<PyAny>>,
}

struct Held {
    source: Source,
    body: SharedBody,
    facts: Arc<Facts>,
}

enum Source {
    /// The request itself.
    Whole(apifrom::Request),
    /// What is left where it was passed on.
    Copied(Box<Copied>),
}

/// As much of a request as its object shows.
struct Copied {
    head: Head,
    captures: Captures,
    client: apifrom::Client,
    scheme: Scheme,
    request_id: RequestId,
    identities: Identities,
    csrf_token: Option<Box<str>>,
    csp_nonce: Option<CspNonce>,
}

impl Copied {
    fn answered(original: &Original, notes: &Notes) -> Self {
        Self {
            head: original.head.clone(),
            captures: original.captures.clone(),
            client: original.client,
            scheme: notes.scheme,
            request_id: notes.request_id.clone(),
            identities: Identities::default(),
            csrf_token: None,
            csp_nonce: None,
        }
    }

    fn of(request: &apifrom::Request) -> Self {
        Self::of_parts(request.head(), request.context())
    }

    fn of_parts(head: &Head, context: &Context) -> Self {
        Self {
            head: head.clone(),
            captures: context.captures.clone(),
            client: context.client,
            scheme: context.notes.scheme,
            request_id: context.notes.request_id.clone(),
            identities: context.identities.clone(),
            csrf_token: context.csrf_token().map(Into::into),
            csp_nonce: context.csp_nonce().cloned(),
        }
    }
}

/// Travels with a request that was passed on.
#[derive(Clone)]
pub(crate) struct Seen(Arc<Py<BaseRequest>>);

impl Seen {
    /// The object that a handler is to be shown again.
    ///
    /// # Errors
    /// `TypeError` for another object.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Arc::new(
            object.cast::<BaseRequest>()?.clone().unbind(),
        )))
    }
}

/// A request as it is shown before its body is read.
pub(crate) struct Glimpse(Box<Copied>);

impl Glimpse {
    pub(crate) fn of(head: &Head, context: &Context) -> Self {
        Self(Box::new(Copied::of_parts(head, context)))
    }

    /// Its Python object.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn show<'py>(
        self,
        py: Python<'py>,
        facts: &Arc<Facts>,
        is_async: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let base = BaseRequest {
            held: Mutex::new(Held {
                source: Source::Copied(self.0),
                body: SharedBody::withheld(),
                facts: Arc::clone(facts),
            }),
            bag: OnceLock::new(),
        };
        make(py, base, is_async)
    }
}

/// The Python object of `request`: a `Request` for an `async def`, else a `SyncRequest`.
///
/// # Errors
/// Python's own.
pub(crate) fn new<'py>(
    py: Python<'py>,
    mut request: apifrom::Request,
    body: SharedBody,
    facts: &Arc<Facts>,
    is_async: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let seen = request.context_mut().state.remove::<Seen>();
    let original = request.context().notes.original.clone();
    let held = Held {
        source: Source::Whole(request),
        body,
        facts: Arc::clone(facts),
    };
    let bag = OnceLock::new();
    if let Some(Seen(seen)) = seen {
        let object = seen.bind(py);
        if object.as_any().is_instance_of::<Request>() == is_async {
            let before = std::mem::replace(&mut *object.get().lock(), held);
            drop(before);
            return Ok(object.clone().into_any());
        }
        // A `def` after an `async def`: another object, the same attributes.
        let shared = object.get().bag(py)?.clone_ref(py);
        // It was made here, so nobody can have set it.
        let _ = bag.set(shared);
    }
    let base = BaseRequest {
        held: Mutex::new(held),
        bag,
    };
    let made = make(py, base, is_async)?;
    if let Some(original) = original {
        original.attach(Arc::new(made.cast::<BaseRequest>()?.clone().unbind()));
    }
    Ok(made)
}

fn make(py: Python<'_>, base: BaseRequest, is_async: bool) -> PyResult<Bound<'_, PyAny>> {
    Ok(if is_async {
        let made = PyClassInitializer::from(base).add_subclass(Request);
        Bound::new(py, made)?.into_any()
    } else {
        let made = PyClassInitializer::from(base).add_subclass(SyncRequest);
        Bound::new(py, made)?.into_any()
    })
}

/// A request as it is shown beside its answer.
pub(crate) struct Answered {
    original: Arc<Original>,
    copied: Option<Box<Copied>>,
    asked: Asked,
    facts: Arc<Facts>,
}

impl Answered {
    pub(crate) fn new(original: &Arc<Original>, notes: &Notes, facts: Arc<Facts>) -> Self {
        Self {
            copied: Some(Box::new(Copied::answered(original, notes))),
            asked: Asked::new(&original.head, notes.request_id.clone()),
            original: Arc::clone(original),
            facts,
        }
    }

    /// Its Python object: the one that the handler had, where that is of the right kind, and in any
    /// case with the same `state`.
    ///
    /// # Errors
    /// Python's own; `RuntimeError` when it was shown already.
    pub(crate) fn show<'py>(
        &mut self,
        py: Python<'py>,
        is_async: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bag = OnceLock::new();
        if let Some(seen) = self.original.attached::<Py<BaseRequest>>() {
            let object = seen.bind(py);
            if object.as_any().is_instance_of::<Request>() == is_async {
                return Ok(object.clone().into_any());
            }
            // It was made here, so nobody can have set it.
            let _ = bag.set(object.get().bag(py)?.clone_ref(py));
        }
        let copied = self
            .copied
            .take()
            .ok_or_else(|| PyRuntimeError::new_err("the request was shown already"))?;
        let base = BaseRequest {
            held: Mutex::new(Held {
                source: Source::Copied(copied),
                body: SharedBody::passed_on(),
                facts: Arc::clone(&self.facts),
            }),
            bag,
        };
        let made = make(py, base, is_async)?;
        self.original
            .attach(Arc::new(made.cast::<BaseRequest>()?.clone().unbind()));
        Ok(made)
    }

    /// What its answer may need to know of it.
    pub(crate) fn asked(self) -> Asked {
        self.asked
    }
}

/// Takes the engine's request out of its Python object, to pass it on.
///
/// # Errors
/// `TypeError` for another object, `RuntimeError` when it was passed on already, or its body is
/// being read or was streamed.
pub(crate) fn take(object: &Bound<'_, PyAny>) -> PyResult<apifrom::Request> {
    let object = object.cast::<BaseRequest>()?;
    let mut held = object.get().lock();
    let Source::Whole(request) = &held.source else {
        return Err(PyRuntimeError::new_err("the request was passed on already"));
    };
    let copied = Source::Copied(Box::new(Copied::of(request)));
    let body = held.body.give_back()?;
    let Source::Whole(mut request) = std::mem::replace(&mut held.source, copied) else {
        return Err(PyRuntimeError::new_err("the request was passed on already"));
    };
    *request.body() = body;
    let seen = Seen(Arc::new(object.clone().unbind()));
    request.context_mut().state.insert(seen);
    Ok(request)
}

/// The token that a form of the answer repeats.
///
/// # Errors
/// `RuntimeError` where there is none.
#[pyfunction]
pub(crate) fn csrf_token(request: &Bound<'_, BaseRequest>) -> PyResult<String> {
    let token = request.get().with(
        |request| request.context().csrf_token().map(str::to_owned),
        |copied| copied.csrf_token.as_deref().map(str::to_owned),
    );
    token.ok_or_else(|| {
        PyRuntimeError::new_err(
            "this request has no CSRF token: the endpoint is not protected by CSRFMiddleware, or \
             the caller was authenticated by a credential that browsers never send by themselves",
        )
    })
}

/// The nonce that the answer's content policy names.
///
/// # Errors
/// `RuntimeError` where there is none.
#[pyfunction]
pub(crate) fn csp_nonce(request: &Bound<'_, BaseRequest>) -> PyResult<String> {
    let nonce = request.get().with(
        |request| request.context().csp_nonce().cloned(),
        |copied| copied.csp_nonce.clone(),
    );
    let nonce = nonce.ok_or_else(|| {
        PyRuntimeError::new_err(
            "the answer has no content policy that could name a nonce: SecurityHeadersMiddleware is \
             missing, or csp=False, or the answer is made already",
        )
    })?;
    match nonce.as_str() {
        "" => Err(PyRuntimeError::new_err(
            "the head of the answer is sent: ask for the nonce before the first piece of a stream",
        )),
        nonce => Ok(nonce.to_owned()),
    }
}

/// What the answer may need to know of the request behind `object`.
///
/// # Errors
/// `TypeError` for another object.
pub(crate) fn asked(object: &Bound<'_, PyAny>) -> PyResult<Asked> {
    let request = object.cast::<BaseRequest>()?.get();
    let request_id = request.with(
        |request| request.context().notes.request_id.clone(),
        |copied| copied.request_id.clone(),
    );
    Ok(request.with_head(|head| Asked::new(head, request_id)))
}

impl BaseRequest {
    /// Nothing that may run Python happens under this lock.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(
        &self,
        whole: impl FnOnce(&apifrom::Request) -> R,
        copied: impl FnOnce(&Copied) -> R,
    ) -> R {
        match &self.lock().source {
            Source::Whole(request) => whole(request),
            Source::Copied(rest) => copied(rest),
        }
    }

    fn with_head<R>(&self, look: impl FnOnce(&Head) -> R) -> R {
        match &self.lock().source {
            Source::Whole(request) => look(request.head()),
            Source::Copied(copied) => look(&copied.head),
        }
    }

    fn shared_body(&self) -> SharedBody {
        self.lock().body.clone()
    }

    fn bag(&self, py: Python<'_>) -> PyResult<&Py<PyAny>> {
        static STATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if let Some(bag) = self.bag.get() {
            return Ok(bag);
        }
        let class = STATE.import(py, "apifrom.requests", "State")?;
        let made = class.call0()?;
        let identities = self.with(
            |request| request.context().identities.clone(),
            |copied| copied.identities.clone(),
        );
        for identity in identities.iter() {
            made.setattr(identity.name(), identity::to_python(py, identity)?)?;
        }
        let made = made.unbind();
        Ok(self.bag.get_or_init(|| made))
    }
}

#[pymethods]
impl BaseRequest {
    /// The method, in upper case.
    #[getter]
    fn method(&self) -> String {
        self.with_head(|head| head.method.to_string())
    }

    /// The path as routes are matched against it: decoded, but for `%2F` and `%25`.
    #[getter]
    fn path(&self) -> String {
        self.with_head(|head| url::routed_path(head.uri.path()).into_owned())
    }

    /// The URL as the client saw it.
    #[getter]
    fn url(&self) -> Url {
        let inner = self.lock();
        let (head, scheme) = match &inner.source {
            Source::Whole(request) => (request.head(), request.context().notes.scheme),
            Source::Copied(copied) => (&copied.head, copied.scheme),
        };
        Url::of(head, scheme, &inner.facts.root_path)
    }

    /// The headers.
    #[getter]
    fn headers(slf: &Bound<'_, Self>) -> Headers {
        Headers {
            request: slf.clone().unbind(),
        }
    }

    /// The fields of the query.
    #[getter]
    fn query_params(&self, py: Python<'_>) -> PyResult<Params> {
        self.with_head(|head| Params::parse(head.uri.query().unwrap_or_default().as_bytes()))
            .map_err(|refused| refused.into_error(py))
    }

    /// The captures of the path, decoded.
    #[getter]
    fn path_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.lock();
        let (head, captures) = match &inner.source {
            Source::Whole(request) => (request.head(), &request.context().captures),
            Source::Copied(copied) => (&copied.head, &copied.captures),
        };
        let path = head.uri.path();
        let values: Vec<_> = (0..captures.len())
            .filter_map(|index| captures.value(index, path))
            .map(std::borrow::Cow::into_owned)
            .collect();
        let facts = Arc::clone(&inner.facts);
        drop(inner);
        let params = PyDict::new(py);
        for (name, value) in facts.captures.iter().zip(values) {
            params.set_item(name, value)?;
        }
        Ok(params)
    }

    /// The cookies. One that was sent twice is left out: whichever was meant, another host of the
    /// same site may have planted it.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pairs = self.with_head(|head| {
            let lines = head.headers.get_all(COOKIE);
            let lines = lines.iter().map(http::HeaderValue::as_bytes);
            let cookies = Cookies::parse(lines, &CookieLimits::default())
                .map_err(|fault| Refused::new(400, fault.code(), fault.text()))?;
            let once = |name: &str| matches!(cookies.find(name), Found::One(_));
            let pairs = cookies.iter().filter(|(name, _)| once(name));
            Ok(pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<Vec<_>>())
        });
        let made = PyDict::new(py);
        for (name, value) in pairs.map_err(|refused: Refused| refused.into_error(py))? {
            made.set_item(name, value)?;
        }
        Ok(made)
    }

    /// Who sent it.
    #[getter]
    fn client(&self) -> Client {
        let client = self.with(|request| request.context().client, |copied| copied.client);
        Client { client }
    }

    /// The id in the answer's `X-Request-ID` and in the log.
    #[getter]
    fn request_id(&self) -> String {
        self.with(
            |request| request.context().notes.request_id.as_str().to_owned(),
            |copied| copied.request_id.as_str().to_owned(),
        )
    }

    /// Attributes of this request: what authentication and own middleware leave for the handler.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.bag(py)?.clone_ref(py))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let name = slf.get_type().name()?.to_string();
        let request = slf.get();
        Ok(format!("<{name} {} {}>", request.method(), request.path()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Only what the program can reach through it may point back here.
        match self.bag.get() {
            Some(bag) => visit.call(bag),
            None => Ok(()),
        }
    }
}

/// The request of an `async def`.
#[pyclass(extends = BaseRequest, frozen, module = "apifrom.requests")]
pub(crate) struct Request;

#[pymethods]
impl Request {
    /// Waits for the whole body, which is kept.
    fn body(slf: &Bound<'_, Self>) -> Reading {
        Reading::new(slf.as_super(), Want::Body)
    }

    /// Waits for the body and reads it as JSON.
    fn json(slf: &Bound<'_, Self>) -> Reading {
        Reading::new(slf.as_super(), Want::Json)
    }

    /// Waits for the body and reads it as an urlencoded form.
    fn form(slf: &Bound<'_, Self>) -> Reading {
        Reading::new(slf.as_super(), Want::Form)
    }

    /// The body piece by piece, as it arrives; it is not kept.
    fn stream(slf: &Bound<'_, Self>) -> Pieces {
        Pieces::new(slf.as_super())
    }
}

/// The request of a `def`, whose body was read before the call.
#[pyclass(extends = BaseRequest, frozen, module = "apifrom.requests")]
pub(crate) struct SyncRequest;

#[pymethods]
impl SyncRequest {
    /// The whole body.
    fn body<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = at_once(slf.as_super())?;
        Ok(PyBytes::new(slf.py(), &bytes))
    }

    /// The body, read as JSON.
    fn json(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let bytes = at_once(slf.as_super())?;
        convert(slf.as_super(), Want::Json, &bytes)
    }

    /// The body, read as an urlencoded form.
    fn form(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let bytes = at_once(slf.as_super())?;
        convert(slf.as_super(), Want::Form, &bytes)
    }
}

/// The body of a `def`'s request. Own middleware sees it before it was read: it waits here, on its
/// thread of the pool.
fn at_once(request: &Bound<'_, BaseRequest>) -> PyResult<Bytes> {
    let py = request.py();
    let body = request.get().shared_body();
    loop {
        if let Some(read) = body.whole()? {
            return read.map_err(|refused| refused.into_error(py));
        }
        if reactor::with_local(|_| ()).is_some() {
            // It arrives through this very thread. The next call of this function may wait for it.
            dispatch::about_to_wait();
            return Err(PyRuntimeError::new_err(
                "the body has not arrived yet; ask for it in an async def",
            ));
        }
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        if body.wait(Waiter::Thread(sender)) {
            // An error means that whoever read is gone, which the next look shows.
            let _ = py.detach(move || receiver.recv());
        }
    }
}

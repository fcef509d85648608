//! What a request hands out when it is asked: mappings, the URL, the client.

use std::collections::HashSet;

use apifrom::Head;
use apifrom::extract::{AnyForm, FormFile, form_at_hand};
use apifrom::urlencoded::{UrlencodedFault, UrlencodedLimits, fields};
use bytes::Bytes;
use http::HeaderMap;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use super::BaseRequest;
use super::refused::Refused;
use crate::responses::{value_text, view};
use crate::upload;

/// The headers of a request. Names are compared without regard to case; a name may have several
/// values, of which look-ups give the first.
#[pyclass(frozen, mapping, module = "apifrom.requests")]
pub(crate) struct Headers {
    pub(super) request: Py<BaseRequest>,
}

impl Headers {
    fn with<R>(&self, look: impl FnOnce(&HeaderMap) -> R) -> R {
        self.request.get().with_head(|head| look(&head.headers))
    }

    fn find(&self, name: &str) -> Option<String> {
        self.with(|headers| headers.get(name).map(value_text))
    }

    fn names(&self) -> Vec<String> {
        self.with(|headers| headers.keys().map(ToString::to_string).collect())
    }
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.find(name)
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>()
            .is_ok_and(|name| self.with(|headers| headers.contains_key(name)))
    }

    fn __len__(&self) -> usize {
        self.with(HeaderMap::keys_len)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.names())?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("Headers({:?})", self.names())
    }

    /// The first value of `name`, or `default`.
    #[pyo3(signature = (name, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> Bound<'py, PyAny> {
        or_default(py, self.find(name).as_deref(), default)
    }

    /// Every value of `name`, in order.
    fn getlist(&self, name: &str) -> Vec<String> {
        self.with(|headers| headers.get_all(name).iter().map(value_text).collect())
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
        self.with(|headers| {
            let lines = headers.iter();
            lines
                .map(|(name, value)| (name.to_string(), value_text(value)))
                .collect()
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.request)
    }
}

/// The fields of a query or a form. A name may have several values, of which look-ups give the
/// first.
#[pyclass(frozen, mapping, subclass, module = "apifrom.requests")]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refused> {
        let mut pairs = Vec::new();
        for field in fields(text, &UrlencodedLimits::default()) {
            let (name, value) = field.map_err(|fault| malformed(&fault))?;
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    fn of(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    fn names(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.pairs.iter().map(|(name, _)| name.as_str());
        names.filter(|name| seen.insert(*name)).collect()
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

fn malformed(fault: &UrlencodedFault) -> Refused {
    Refused::new(400, fault.code(), fault.text())
}

#[pymethods]
impl Params {
    fn __getitem__(&self, name: &str) -> PyResult<&str> {
        self.find(name)
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<&str>()
            .is_ok_and(|name| self.find(name).is_some())
    }

    fn __len__(&self) -> usize {
        self.names().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.names())?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("Params({:?})", self.names())
    }

    /// The first value of `name`, or `default`.
    #[pyo3(signature = (name, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> Bound<'py, PyAny> {
        or_default(py, self.find(name), default)
    }

    /// Every value of `name`, in order.
    fn getlist(&self, name: &str) -> Vec<&str> {
        let named = self.pairs.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
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

    /// Every field: a name with several values comes several times.
    fn multi_items(&self) -> Vec<(&str, &str)> {
        let pairs = self.pairs.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

/// The fields of a form, and its files beside them: a field that is one is never the other.
#[pyclass(frozen, mapping, extends = Params, module = "apifrom.requests")]
pub(crate) struct FormData {
    files: Vec<FormFile>,
    /// Whether the handler is an `async def`.
    is_async: bool,
}

impl FormData {
    /// Reads the body of `head`, which is `bytes`.
    pub(super) fn read(
        head: &Head,
        bytes: &Bytes,
        is_async: bool,
    ) -> Result<PyClassInitializer<Self>, Refused> {
        let form = form_at_hand(head, bytes.clone()).map_err(|why| Refused::of(&why))?;
        let (params, files) = match form {
            AnyForm::Urlencoded(text) => (Params::parse(&text)?, Vec::new()),
            AnyForm::Multipart(form) => (Params::of(form.fields), form.files),
        };
        Ok(PyClassInitializer::from(params).add_subclass(Self { files, is_async }))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a FormFile> {
        self.files.iter().filter(move |file| file.field == name)
    }
}

#[pymethods]
impl FormData {
    /// The first file of `name`, or `None`.
    fn file<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let first = self.named(name).next();
        first
            .map(|file| upload::at_hand(py, file, self.is_async))
            .transpose()
    }

    /// Every file of `name`, in order.
    fn getfiles<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.named(name)
            .map(|file| upload::at_hand(py, file, self.is_async))
            .collect()
    }

    /// The names of the files, each once.
    fn file_names(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.files.iter().map(|file| file.field.as_str());
        names.filter(|name| seen.insert(*name)).collect()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let (fields, files) = (slf.as_super().get().names(), slf.get().file_names());
        format!("FormData({fields:?}, files={files:?})")
    }
}

fn or_default<'py>(
    py: Python<'py>,
    found: Option<&str>,
    default: Option<Bound<'py, PyAny>>,
) -> Bound<'py, PyAny> {
    match found {
        Some(value) => PyString::new(py, value).into_any(),
        None => default.unwrap_or_else(|| py.None().into_bound(py)),
    }
}

/// Who sent a request: the peer, or whom a trusted proxy named.
#[pyclass(frozen, module = "apifrom.requests")]
pub(crate) struct Client {
    pub(super) client: apifrom::Client,
}

#[pymethods]
impl Client {
    /// The address; `None` behind a Unix domain socket that names nobody.
    #[getter]
    fn host(&self) -> Option<String> {
        self.client.ip.map(|ip| ip.to_string())
    }

    /// The port; 0 where it is not known.
    #[getter]
    fn port(&self) -> u16 {
        self.client.port
    }

    fn __repr__(&self) -> String {
        format!("Client({}, {})", self.client, self.client.port)
    }
}

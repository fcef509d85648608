//! The URL of a request, as the client saw it.

use std::borrow::Cow;

use apifrom::{Head, Scheme};
use http::header::HOST;
use http::uri::Authority;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The URL of a request: the scheme that a trusted proxy reports, the host that was asked for, and
/// the path below the API's `root_path`.
#[pyclass(frozen, name = "URL", module = "apifrom.requests")]
pub(crate) struct Url {
    scheme: &'static str,
    authority: String,
    path: String,
    query: String,
}

impl Url {
    pub(super) fn of(head: &Head, scheme: Scheme, root_path: &str) -> Self {
        let authority = match head.uri.authority() {
            Some(authority) => authority.as_str(),
            None => head
                .headers
                .get(HOST)
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default(),
        };
        Self {
            scheme: scheme.as_str(),
            authority: authority.to_ascii_lowercase(),
            path: format!("{root_path}{}", head.uri.path()),
            query: head.uri.query().unwrap_or_default().to_owned(),
        }
    }

    fn parsed(&self) -> Option<Authority> {
        self.authority.parse().ok()
    }

    fn without_query(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }
}

#[pymethods]
impl Url {
    /// `http` or `https`.
    #[getter]
    fn scheme(&self) -> &str {
        self.scheme
    }

    /// The host without the port, in lower case.
    #[getter]
    fn host(&self) -> String {
        self.parsed()
            .map(|authority| authority.host().to_owned())
            .unwrap_or_default()
    }

    /// The port, where one was named.
    #[getter]
    fn port(&self) -> Option<u16> {
        self.parsed()?.port_u16()
    }

    /// The path as it was sent, below the API's `root_path`.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// The query as it was sent, without its `?`.
    #[getter]
    fn query(&self) -> &str {
        &self.query
    }

    fn __str__(&self) -> String {
        let mut text = self.without_query();
        if !self.query.is_empty() {
            text.push('?');
            text.push_str(&self.query);
        }
        text
    }

    /// Without the query, which may hold a token.
    fn __repr__(&self) -> String {
        format!("URL('{}')", self.without_query())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        if let Ok(text) = other.cast::<PyString>() {
            return text.to_str().is_ok_and(|text| text == self.__str__());
        }
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().__str__() == self.__str__())
    }

    /// That of the text, which it is equal to.
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, &self.__str__()).hash()
    }
}

/// The path as routes are matched against it: decoded once, with `%2F` and `%25` left as they are.
pub(super) fn routed_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, escaped(after)) {
            (b'%', Some(value @ (b'/' | b'%'))) => {
                decoded.extend_from_slice(if value == b'/' { b"%2F" } else { b"%25" });
                rest = rest.get(2..).unwrap_or_default();
            }
            (b'%', Some(value)) => {
                decoded.push(value);
                rest = rest.get(2..).unwrap_or_default();
            }
            _ => decoded.push(byte),
        }
    }
    // What is malformed reached no handler; own middleware sees it as it was sent.
    String::from_utf8(decoded).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// The byte that the two digits after a `%` stand for.
fn escaped(after: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after.get(..2)?).ok()?;
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

//! A refusal of the engine's, as an exception.

use std::borrow::Cow;

use apifrom::Rejection;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// Why a request cannot be read. Unlike a [`Rejection`] it can be told several times.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Refused {
    pub(super) fn of(rejection: &Rejection) -> Self {
        Self {
            status: rejection.status().as_u16(),
            code: rejection.code(),
            detail: Cow::Owned(rejection.detail().to_owned()),
        }
    }

    pub(super) fn new(status: u16, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail: Cow::Borrowed(detail),
        }
    }

    /// The body went on with the request.
    pub(super) fn passed_on() -> Self {
        Self::new(500, "internal", "the body was passed on with the request")
    }

    /// The exception that answers with it.
    pub(super) fn into_error(self, py: Python<'_>) -> PyErr {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let made = CLASS
            .import(py, "apifrom.exceptions", "UnreadableRequest")
            .and_then(|class| {
                let keywords = PyDict::new(py);
                keywords.set_item("code", self.code)?;
                class.call((self.status, self.detail.as_ref()), Some(&keywords))
            });
        made.map_or_else(|error| error, PyErr::from_value)
    }
}

//! Who calls, as a handler finds it in `request.state`.

use apifrom::Identity;
use apifrom::security::Method;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::json;

/// The claims of a token, the API key, or the name of the user.
///
/// # Errors
/// Python's own.
pub(super) fn to_python(py: Python<'_>, identity: &Identity) -> PyResult<Py<PyAny>> {
    match identity.method() {
        Method::Jwt => claims(py, identity),
        Method::OAuth2 => {
            static TOKEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let class = TOKEN.import(py, "apifrom.security", "OAuth2Token")?;
            let token = class.call1((claims(py, identity)?, credential(py, identity)))?;
            Ok(token.unbind())
        }
        Method::ApiKey => Ok(credential(py, identity)),
        _ => Ok(match identity.subject() {
            Some(subject) => PyString::new(py, subject).into_any().unbind(),
            None => py.None(),
        }),
    }
}

fn claims(py: Python<'_>, identity: &Identity) -> PyResult<Py<PyAny>> {
    match identity.claims() {
        Some(claims) => json::read(py, claims),
        None => Ok(py.None()),
    }
}

fn credential(py: Python<'_>, identity: &Identity) -> Py<PyAny> {
    match identity.credential() {
        Some(credential) => PyString::new(py, &String::from_utf8_lossy(credential))
            .into_any()
            .unbind(),
        None => py.None(),
    }
}

//! `Revocation` for Python.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apifrom::security::{Revocation, RevocationConfig, RevocationError};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

/// Tokens that are refused although they have not expired.
#[pyclass(frozen, name = "Revocation", module = "apifrom.security")]
pub(crate) struct PyRevocation {
    pub(crate) value: Revocation,
}

#[pymethods]
impl PyRevocation {
    #[new]
    #[pyo3(signature = (*, token_lifetime = None, max_entries = 1_000_000))]
    fn new(token_lifetime: Option<&Bound<'_, PyAny>>, max_entries: usize) -> PyResult<Self> {
        let mut config = RevocationConfig::default();
        config.token_lifetime = seconds("token_lifetime", token_lifetime)?;
        config.max_entries = max_entries;
        let value =
            Revocation::new(config).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { value })
    }

    #[pyo3(signature = (token, expires = None))]
    fn revoke(&self, token: &Bound<'_, PyAny>, expires: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let expires = seconds("expires", expires)?;
        if let Ok(id) = token.cast::<PyString>() {
            return now(self.value.revoke(id.to_str()?, expires));
        }
        let claims = token.cast::<PyDict>().map_err(|_| {
            PyTypeError::new_err("expected the jti of a token, or its claims as a dict")
        })?;
        let id = claims.get_item("jti")?;
        let id = id.and_then(|id| id.extract::<String>().ok());
        let id = id.ok_or_else(|| {
            PyValueError::new_err("these claims have no jti; revoke their subject instead")
        })?;
        let own = claims.get_item("exp")?;
        let expires = match expires {
            Some(expires) => Some(expires),
            None => seconds("exp", own.as_ref().filter(|own| !own.is_none()))?,
        };
        now(self.value.revoke(&id, expires))
    }

    #[pyo3(signature = (subject, before = None, expires = None))]
    fn revoke_subject(
        &self,
        subject: &str,
        before: Option<&Bound<'_, PyAny>>,
        expires: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (before, expires) = (seconds("before", before)?, seconds("expires", expires)?);
        now(self.value.revoke_subject(subject, before, expires))
    }

    #[pyo3(signature = (before, expires = None))]
    fn revoke_before(
        &self,
        before: &Bound<'_, PyAny>,
        expires: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let before = seconds("before", Some(before))?.unwrap_or_default();
        now(self
            .value
            .revoke_before(before, seconds("expires", expires)?))
    }
}

/// What memory comes to at once.
fn now(revoking: impl Future<Output = Result<(), RevocationError>>) -> PyResult<()> {
    match pin!(revoking).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Ok(()),
        Poll::Ready(Err(error @ RevocationError::Full)) => {
            Err(PyRuntimeError::new_err(error.to_string()))
        }
        Poll::Ready(Err(error)) => Err(PyValueError::new_err(error.to_string())),
        Poll::Pending => Err(PyRuntimeError::new_err("the store did not answer")),
    }
}

/// A number of seconds, or of seconds since the epoch.
fn seconds(name: &str, given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(given) = given else { return Ok(None) };
    let wrong = || PyValueError::new_err(format!("{name}: expected seconds, 0 or more"));
    if given.is_instance_of::<PyBool>() {
        return Err(wrong());
    }
    let number: f64 = given.extract().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number)
        .map(Some)
        .map_err(|_| wrong())
}

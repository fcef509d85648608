//! `Revocation` for Python.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use apifrom::security::{Revocation, RevocationConfig, RevocationError};
use pyo3::exceptions::{PyConnectionError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use super::text_of;

/// Tokens that are refused although they have not expired.
#[pyclass(frozen, name = "Revocation", module = "apifrom.security")]
pub(crate) struct PyRevocation {
    pub(crate) value: Revocation,
}

#[pymethods]
impl PyRevocation {
    #[new]
    #[pyo3(signature = (
        *, token_lifetime = None, max_entries = 1_000_000, redis_url = None, name = "tokens",
        on_failure = "closed", stale_max = None
    ))]
    fn new(
        py: Python<'_>,
        token_lifetime: Option<&Bound<'_, PyAny>>,
        max_entries: usize,
        redis_url: Option<&Bound<'_, PyAny>>,
        name: &str,
        on_failure: &str,
        stale_max: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut config = RevocationConfig::default();
        if let Some(url) = redis_url {
            let url = text_of(url);
            let wrong = || PyTypeError::new_err("redis_url: expected text or a Secret");
            config.redis = Some(url.ok_or_else(wrong)?);
        }
        name.clone_into(&mut config.name);
        let wrong = |text: &str| Err(PyValueError::new_err(text.to_owned()));
        config.stale_max = match (on_failure, seconds("stale_max", stale_max)?) {
            ("closed", None) => None,
            ("stale", Some(stale)) => Some(stale),
            ("closed", Some(_)) => return wrong("stale_max: is for on_failure=\"stale\""),
            ("stale", None) => return wrong("stale_max: say for how many seconds"),
            _ => return wrong("on_failure: expected \"closed\" or \"stale\""),
        };
        if config.redis.is_none() && (config.stale_max.is_some() || name != "tokens") {
            return wrong("redis_url: is missing; name and on_failure are for it");
        }
        config.token_lifetime = seconds("token_lifetime", token_lifetime)?;
        config.max_entries = max_entries;
        let value = py
            .detach(|| Revocation::new(config))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { value })
    }

    #[pyo3(signature = (token, expires = None))]
    fn revoke(&self, token: &Bound<'_, PyAny>, expires: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let expires = seconds("expires", expires)?;
        if let Ok(id) = token.cast::<PyString>() {
            return now(token.py(), self.value.revoke(id.to_str()?, expires));
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
        now(token.py(), self.value.revoke(&id, expires))
    }

    #[pyo3(signature = (subject, before = None, expires = None))]
    fn revoke_subject(
        &self,
        py: Python<'_>,
        subject: &str,
        before: Option<&Bound<'_, PyAny>>,
        expires: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (before, expires) = (seconds("before", before)?, seconds("expires", expires)?);
        now(py, self.value.revoke_subject(subject, before, expires))
    }

    #[pyo3(signature = (before, expires = None))]
    fn revoke_before(
        &self,
        before: &Bound<'_, PyAny>,
        expires: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let given = before;
        let before = seconds("before", Some(given))?.unwrap_or_default();
        let expires = seconds("expires", expires)?;
        now(given.py(), self.value.revoke_before(before, expires))
    }
}

/// Waits for the store, without the interpreter. Memory answers at once.
fn now(
    py: Python<'_>,
    revoking: impl Future<Output = Result<(), RevocationError>> + Send,
) -> PyResult<()> {
    py.detach(|| waited(revoking)).map_err(|error| match error {
        RevocationError::Full => PyRuntimeError::new_err(error.to_string()),
        RevocationError::Unavailable => PyConnectionError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What `future` comes to; it is woken by a thread of its own.
fn waited<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
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

//! `Secret` and `secret("NAME")` for Python.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use apifrom::Secret;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

/// A text that prints as `***`.
#[pyclass(frozen, name = "Secret", module = "apifrom.security")]
pub(crate) struct PySecret {
    pub(crate) value: Secret<String>,
}

#[pymethods]
impl PySecret {
    #[new]
    fn new(value: String) -> Self {
        Self {
            value: Secret::new(value),
        }
    }

    /// The text itself.
    fn expose(&self) -> &str {
        self.value.expose()
    }

    #[expect(clippy::unused_self, reason = "a method of Python's")]
    fn __repr__(&self) -> &'static str {
        "***"
    }

    #[expect(clippy::unused_self, reason = "a method of Python's")]
    fn __str__(&self) -> &'static str {
        "***"
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| self.value == other.get().value)
    }

    /// Under a key of this process, so that it tells nobody else of the value.
    fn __hash__(&self) -> u64 {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        KEY.hash_one(self.value.expose())
    }

    #[expect(clippy::unused_self, reason = "a method of Python's")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a Secret is not pickled"))
    }
}

/// The secret called `name`.
///
/// # Errors
/// `ConfigurationError`, which names the secret and the place and shows no value.
#[pyfunction]
pub(crate) fn secret(py: Python<'_>, name: &str) -> PyResult<PySecret> {
    static ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match apifrom::secret(name) {
        Ok(value) => Ok(PySecret { value }),
        Err(error) => {
            let class = ERROR.import(py, "apifrom.exceptions", "ConfigurationError")?;
            let errors = vec![(error.path().to_owned(), error.message().to_owned())];
            Err(PyErr::from_value(class.call1((errors,))?))
        }
    }
}

/// A text that is to be kept secret, given as text or as a [`PySecret`]; `None` for anything else.
pub(crate) fn text_of(value: &Bound<'_, PyAny>) -> Option<Secret<String>> {
    if let Ok(secret) = value.cast::<PySecret>() {
        return Some(secret.get().value.clone());
    }
    let text = value.cast::<PyString>().ok()?;
    Some(Secret::from(text.to_str().ok()?))
}

//! JSON that the engine has scanned, as Python's values.
//!
//! Pydantic's reader comes to the same values as `json.loads` in a sixth of the time. Where nothing else
//! of the program has loaded it, it is loaded for claims alone, which every request of their endpoint
//! reads; it takes eight megabytes.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// The value of `text`.
///
/// # Errors
/// Python's own.
pub(crate) fn read(py: Python<'_>, text: &[u8]) -> PyResult<Py<PyAny>> {
    static READ: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let reader = READ.get_or_try_init(py, || reader(py))?;
    reader.call1(py, (PyBytes::new(py, text),))
}

/// Loads what reads fastest, before the first request.
pub(crate) fn prepare(py: Python<'_>) {
    // Without it, what always is there does.
    let _ = py.import("pydantic_core");
}

fn reader(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let loaded = py.import("sys")?.getattr("modules")?;
    let core = loaded.get_item("pydantic_core");
    // The first versions of Pydantic 2 have none.
    let found = core.and_then(|core| core.getattr(intern!(py, "from_json")));
    let reader = match found {
        Ok(reader) => reader,
        Err(_) => py.import("json")?.getattr("loads")?,
    };
    Ok(reader.unbind())
}

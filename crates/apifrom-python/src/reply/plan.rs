//! What a return annotation says of a handler's answers.
//!
//! A body that is filtered is first validated against the annotation, so that a dictionary, or an
//! object of an unrelated class, is cut down to the declared fields just as a subclass is; then it
//! is written by the annotation's own serialiser, members named by their aliases. A value that does
//! not fit is never sent as it is: that would send what the annotation was to hold back.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::responses::kept;

/// How many of a value's faults are named.
const SHOWN: usize = 8;

/// How the values that one handler returns become answers.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the annotation"
)]
pub(crate) struct ReturnPlan {
    name: Arc<str>,
    filter: Option<Filter>,
    is_nothing: bool,
    takes_text: bool,
    takes_bytes: bool,
    streams_text: bool,
    is_single: bool,
}

struct Filter {
    validate: Py<PyAny>,
    validate_options: Py<PyDict>,
    write: Py<PyAny>,
    write_options: Py<PyDict>,
}

impl ReturnPlan {
    /// Reads the `annotation` of the handler called `name`; `None` where there is none.
    ///
    /// # Errors
    /// `TypeError` when the annotation cannot be a response model.
    pub(crate) fn new(
        py: Python<'_>,
        annotation: Option<&Bound<'_, PyAny>>,
        name: &str,
    ) -> PyResult<Self> {
        let mut plan = Self {
            name: Arc::from(name),
            filter: None,
            is_nothing: false,
            takes_text: true,
            takes_bytes: true,
            streams_text: false,
            is_single: false,
        };
        let Some(annotation) = annotation else {
            return Ok(plan);
        };
        let returns = py
            .import("apifrom._returns")?
            .call_method1("read", (annotation,))?;
        let validator = returns.getattr("validator")?;
        if !validator.is_none() {
            let serializer = returns.getattr("serializer")?;
            plan.filter = Some(Filter::new(&validator, &serializer)?);
        }
        plan.is_nothing = returns.getattr("nothing")?.extract()?;
        plan.takes_text = returns.getattr("takes_text")?.extract()?;
        plan.takes_bytes = returns.getattr("takes_bytes")?.extract()?;
        plan.streams_text = returns.getattr("streams_text")?.extract()?;
        plan.is_single = returns.getattr("single")?.extract()?;
        Ok(plan)
    }

    /// The handler's name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// True for `-> None`.
    pub(super) fn is_nothing(&self) -> bool {
        self.is_nothing
    }

    /// True when a text is one of the types that are declared.
    pub(super) fn takes_text(&self) -> bool {
        self.takes_text
    }

    /// True when bytes are one of the types that are declared.
    pub(super) fn takes_bytes(&self) -> bool {
        self.takes_bytes
    }

    /// True when the pieces of a stream are declared as text.
    pub(super) fn streams_text(&self) -> bool {
        self.streams_text
    }

    /// True when one object is declared, and nothing else.
    pub(super) fn is_single(&self) -> bool {
        self.is_single
    }

    /// True when a body with this status is filtered.
    pub(super) fn filters(&self, status: StatusCode) -> bool {
        self.filter.is_some() && status.is_success()
    }

    /// The JSON text of what the annotation lets through.
    ///
    /// # Errors
    /// `TypeError` when `value` does not fit; without the value, which may be secret.
    pub(super) fn filtered(&self, value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
        let py = value.py();
        let Some(filter) = &self.filter else {
            return crate::json::to_bytes(value);
        };
        let options = filter.validate_options.bind(py);
        let checked = filter
            .validate
            .bind(py)
            .call((value,), Some(options))
            .map_err(|error| self.misfit(py, error))?;
        let options = filter.write_options.bind(py);
        let written = filter
            .write
            .bind(py)
            .call((checked,), Some(options))
            .map_err(|error| self.unwritable(py, error))?;
        Ok(kept(written.cast::<PyBytes>()?))
    }

    fn misfit(&self, py: Python<'_>, error: PyErr) -> PyErr {
        match places(py, &error) {
            Ok(Some(places)) => PyTypeError::new_err(format!(
                "what {} returned does not fit its annotation: {places}",
                self.name
            )),
            _ => error,
        }
    }

    fn unwritable(&self, py: Python<'_>, error: PyErr) -> PyErr {
        let is_pydantic = error
            .get_type(py)
            .name()
            .is_ok_and(|name| name == "PydanticSerializationError");
        if is_pydantic {
            // Its own text quotes the value.
            return PyTypeError::new_err(format!(
                "what {} returned holds a value of another type than its field declares",
                self.name
            ));
        }
        error
    }
}

impl Filter {
    fn new(validator: &Bound<'_, PyAny>, serializer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = validator.py();
        let validate_options = PyDict::new(py);
        validate_options.set_item("from_attributes", true)?;
        let write_options = PyDict::new(py);
        write_options.set_item("by_alias", true)?;
        write_options.set_item("warnings", "error")?;
        Ok(Self {
            validate: validator.getattr("validate_python")?.unbind(),
            validate_options: validate_options.unbind(),
            write: serializer.getattr("to_json")?.unbind(),
            write_options: write_options.unbind(),
        })
    }
}

/// Where and how a value failed, without the value; `None` for another exception than a
/// `ValidationError`.
fn places(py: Python<'_>, error: &PyErr) -> PyResult<Option<String>> {
    let value = error.value(py);
    if !value.hasattr(intern!(py, "error_count"))? {
        return Ok(None);
    }
    let options = PyDict::new(py);
    for name in ["include_url", "include_context", "include_input"] {
        options.set_item(name, false)?;
    }
    let found = value.call_method(intern!(py, "errors"), (), Some(&options))?;
    let found = found.cast_into::<PyList>()?;
    let mut places = Vec::new();
    for fault in found.iter().take(SHOWN) {
        let mut place = String::from("$");
        for step in fault.get_item("loc")?.try_iter()? {
            place.push('.');
            place.extend(step?.str()?.to_str()?.chars().take(64));
        }
        places.push(format!("{place} ({})", fault.get_item("type")?.str()?));
    }
    if found.len() > SHOWN {
        places.push("…".to_owned());
    }
    Ok(Some(places.join(", ")))
}

//! Pydantic's judgement, in the engine's words.
//!
//! Pydantic names the rule, the place and the rule's own figures; the text comes from the engine's
//! catalogue, so that both faces say the same and nothing quotes the input.

use std::borrow::Cow;

use apifrom::violation::{Context, ContextValue, LocItem, Location, message};
use apifrom::{Violation, Violations};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// A compiled validator and how strictly it runs.
pub(crate) struct Validator {
    validate_json: Py<PyAny>,
    validate_strings: Py<PyAny>,
    validate_python: Py<PyAny>,
    /// `strict=True`, where the model does not say otherwise.
    options: Option<Py<PyDict>>,
}

impl Validator {
    /// Wraps a `SchemaValidator`.
    ///
    /// # Errors
    /// Python's own, for an object that is none.
    pub(crate) fn new(validator: &Bound<'_, PyAny>, strict: bool) -> PyResult<Self> {
        let py = validator.py();
        let options = if strict {
            let options = PyDict::new(py);
            options.set_item(intern!(py, "strict"), true)?;
            Some(options.unbind())
        } else {
            None
        };
        Ok(Self {
            validate_json: validator.getattr(intern!(py, "validate_json"))?.unbind(),
            validate_strings: validator.getattr(intern!(py, "validate_strings"))?.unbind(),
            validate_python: validator.getattr(intern!(py, "validate_python"))?.unbind(),
            options,
        })
    }

    /// Validates a JSON text.
    ///
    /// # Errors
    /// The outer one is any exception but a `ValidationError`, which is the inner one.
    pub(crate) fn json<'py>(
        &self,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
        let py = text.py();
        let options = self.options.as_ref().map(|options| options.bind(py));
        split(py, self.validate_json.bind(py).call((text,), options))
    }

    /// Validates what came as a text.
    ///
    /// # Errors
    /// As [`Validator::json`].
    pub(crate) fn text<'py>(
        &self,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
        let py = value.py();
        split(py, self.validate_strings.bind(py).call1((value,)))
    }

    /// Validates a list of texts, each of which its own validator reads.
    ///
    /// # Errors
    /// As [`Validator::json`].
    pub(crate) fn texts<'py>(
        &self,
        values: &Bound<'py, PyAny>,
    ) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
        let py = values.py();
        split(py, self.validate_python.bind(py).call1((values,)))
    }
}

/// Tells a verdict from a failure.
fn split<'py>(
    py: Python<'py>,
    result: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if is_validation_error(py, &error) => Ok(Err(error)),
        Err(error) => Err(without_value(py, error)),
    }
}

/// What Pydantic raises where a bound stands on a type that has none ends with the value, which must
/// reach no log.
fn without_value(py: Python<'_>, error: PyErr) -> PyErr {
    let text = error.value(py).to_string();
    match text.split_once(" to supplied value ") {
        Some((bound, _)) if bound.starts_with("Unable to apply constraint ") => {
            PyTypeError::new_err(format!(
                "{bound}: the value is of a type without such a bound"
            ))
        }
        _ => error,
    }
}

fn is_validation_error(py: Python<'_>, error: &PyErr) -> bool {
    let Ok(name) = error.get_type(py).name() else {
        return false;
    };
    name == "ValidationError"
        && error
            .value(py)
            .hasattr(intern!(py, "error_count"))
            .unwrap_or(false)
}

/// The beginning of every place in a body.
pub(crate) fn body_loc() -> Vec<LocItem> {
    vec![Location::Body.into()]
}

/// Adds what a `ValidationError` holds to `violations`, each place below `loc`.
///
/// # Errors
/// Python's own.
pub(crate) fn collect(
    py: Python<'_>,
    error: &PyErr,
    loc: &[LocItem],
    violations: &mut Violations,
) -> PyResult<()> {
    let options = PyDict::new(py);
    options.set_item(intern!(py, "include_url"), false)?;
    options.set_item(intern!(py, "include_input"), false)?;
    let found = error
        .value(py)
        .call_method(intern!(py, "errors"), (), Some(&options))?;
    for item in found.cast::<PyList>()?.iter() {
        violations.push(violation(item.cast::<PyDict>()?, loc)?);
        if violations.is_truncated() {
            break;
        }
    }
    Ok(())
}

fn violation(item: &Bound<'_, PyDict>, loc: &[LocItem]) -> PyResult<Violation> {
    let py = item.py();
    let text = |name: &Bound<'_, PyString>| -> PyResult<String> {
        match item.get_item(name)? {
            Some(value) => value.extract(),
            None => Ok(String::new()),
        }
    };
    let kind = text(intern!(py, "type"))?;
    let mut place = loc.to_vec();
    if let Some(steps) = item.get_item(intern!(py, "loc"))? {
        for step in steps.cast::<PyTuple>()?.iter() {
            place.push(match step.extract::<usize>() {
                Ok(index) => LocItem::Index(index),
                // A key of a map is the client's own choice, so every name is treated as one.
                Err(_) => LocItem::client(&step.str()?.to_string_lossy()),
            });
        }
    }
    let context = item.get_item(intern!(py, "ctx"))?;
    let context = context
        .as_ref()
        .and_then(|found| found.cast::<PyDict>().ok());
    if let Some(msg) = own_words(&kind, context)? {
        return Ok(Violation::with_message(place, kind, msg));
    }
    if !is_known(&kind) {
        // A rule that the program made up speaks for itself.
        return Ok(Violation::with_message(
            place,
            kind,
            text(intern!(py, "msg"))?,
        ));
    }
    Ok(Violation::new(place, kind, &Figures(context)))
}

/// What stands in place of the catalogue's wording: the text of the program's own validator, and
/// for an address what the catalogue says of addresses, since the library's reason quotes it.
fn own_words(
    kind: &str,
    context: Option<&Bound<'_, PyDict>>,
) -> PyResult<Option<Cow<'static, str>>> {
    if !matches!(kind, "value_error" | "assertion_error") {
        return Ok(None);
    }
    let Some(context) = context else {
        return Ok(None);
    };
    let py = context.py();
    if let Some(error) = context.get_item(intern!(py, "error"))? {
        return Ok(Some(Cow::Owned(
            error.str()?.to_string_lossy().into_owned(),
        )));
    }
    if context.contains(intern!(py, "reason"))? {
        return Ok(message("email", &()));
    }
    Ok(None)
}

fn is_known(kind: &str) -> bool {
    message(kind, &()).is_some()
}

/// The figures of a rule, as Pydantic gives them.
struct Figures<'a, 'py>(Option<&'a Bound<'py, PyDict>>);

impl Context for Figures<'_, '_> {
    fn value(&self, name: &str) -> Option<ContextValue<'_>> {
        let value = self.0?.get_item(name).ok().flatten()?;
        if value.is_instance_of::<PyInt>() {
            return match value.extract::<i64>() {
                Ok(number) => Some(ContextValue::Integer(number)),
                Err(_) => Some(ContextValue::Text(value.to_string().into())),
            };
        }
        if value.is_instance_of::<PyFloat>() {
            return value.extract().ok().map(ContextValue::Number);
        }
        Some(ContextValue::Text(value.to_string().into()))
    }
}

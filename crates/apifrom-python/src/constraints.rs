//! Reads the bounds that a parameter's marker states.

use std::sync::Arc;

use apifrom::extract::convert::{Bound as Limit, Constraints, Pattern, Step};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};
use regex::Regex;

/// The constraints of the parameter that `given` describes.
///
/// # Errors
/// `ValueError` that names the bound which is none.
pub(crate) fn read(given: &Bound<'_, PyDict>) -> PyResult<Constraints> {
    let mut constraints = Constraints::default();
    let Some(stated) = given.get_item("constraints")? else {
        return Ok(constraints);
    };
    for (name, value) in stated.cast::<PyDict>()?.iter() {
        let name: String = name.extract()?;
        let wrong = || PyValueError::new_err(format!("{name}={value} is no bound"));
        match name.as_str() {
            "gt" => constraints.gt = Some(limit(&value)?.ok_or_else(wrong)?),
            "ge" => constraints.ge = Some(limit(&value)?.ok_or_else(wrong)?),
            "lt" => constraints.lt = Some(limit(&value)?.ok_or_else(wrong)?),
            "le" => constraints.le = Some(limit(&value)?.ok_or_else(wrong)?),
            "multiple_of" => constraints.multiple_of = Some(step(&value).ok_or_else(wrong)?),
            "min_length" => constraints.min_length = Some(value.extract().map_err(|_| wrong())?),
            "max_length" => constraints.max_length = Some(value.extract().map_err(|_| wrong())?),
            "min_items" => constraints.min_items = Some(value.extract().map_err(|_| wrong())?),
            "max_items" => constraints.max_items = Some(value.extract().map_err(|_| wrong())?),
            "pattern" => constraints.pattern = Some(Arc::new(Expression::new(&value)?)),
            _ => return Err(wrong()),
        }
    }
    Ok(constraints)
}

fn limit(value: &Bound<'_, PyAny>) -> PyResult<Option<Limit>> {
    Ok(if value.is_instance_of::<PyInt>() {
        Limit::integer(&value.str()?.to_string_lossy())
    } else {
        value.extract().ok().and_then(Limit::float)
    })
}

fn step(value: &Bound<'_, PyAny>) -> Option<Step> {
    if value.is_instance_of::<PyInt>() {
        value.extract().ok().and_then(Step::integer)
    } else {
        value.extract().ok().and_then(Step::float)
    }
}

/// A regular expression that takes time linear in the text, which Python's own does not.
#[derive(Debug)]
struct Expression(Regex);

impl Expression {
    fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let source: String = value.extract()?;
        Regex::new(&source).map(Self).map_err(|error| {
            PyValueError::new_err(format!("the pattern {source:?} cannot be used: {error}"))
        })
    }
}

impl Pattern for Expression {
    fn source(&self) -> &str {
        self.0.as_str()
    }

    fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

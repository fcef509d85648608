//! The one spelling that a value has in a path, a query, a header, a cookie or a form, asked before
//! Pydantic is: what Pydantic takes beyond it (` 12`, `1_0`, `1577923200` for a date) is refused.

use apifrom::extract::Value;
use apifrom::extract::convert::{ConvertError, ScalarKind, is_date, is_decimal};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::handler::to_python;

/// Reads a text of one kind, in the place of Pydantic or before it.
///
/// Args:
///     kind: `int`, `float` or `bool`, which are converted; `decimal`, `date` or `datetime`, of
///         which the text is returned.
#[pyclass(module = "apifrom._apifrom", frozen)]
pub(crate) struct Spelling(Kind);

enum Kind {
    Scalar(ScalarKind),
    Decimal,
    Date,
    DateTime,
}

#[pymethods]
impl Spelling {
    #[new]
    fn new(kind: &str) -> PyResult<Self> {
        Ok(Self(match kind {
            "int" => Kind::Scalar(ScalarKind::Int),
            "float" => Kind::Scalar(ScalarKind::Float),
            "bool" => Kind::Scalar(ScalarKind::Bool),
            "decimal" => Kind::Decimal,
            "date" => Kind::Date,
            "datetime" => Kind::DateTime,
            other => return Err(PyValueError::new_err(format!("{other} is no kind of text"))),
        }))
    }

    fn __call__<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let Ok(text) = value.cast::<PyString>() else {
            return Ok(value);
        };
        let text = text.to_str()?;
        let judged = |fits: bool, otherwise| if fits { Ok(()) } else { Err(otherwise) };
        let verdict = match &self.0 {
            Kind::Scalar(kind) => match kind.read(text) {
                Ok(scalar) => return to_python(py, &Value::from(scalar)),
                Err(error) => Err(error),
            },
            Kind::Decimal => judged(is_decimal(text), ConvertError::Decimal),
            Kind::Date => judged(is_date(text), ConvertError::Date),
            Kind::DateTime => judged(is_date(text), ConvertError::DateTime),
        };
        match verdict {
            Ok(()) => Ok(value),
            Err(error) => Err(known(py, &error)?),
        }
    }
}

/// The rule that is broken, as Pydantic raises it.
fn known(py: Python<'_>, error: &ConvertError) -> PyResult<PyErr> {
    let context = PyDict::new(py);
    if matches!(error, ConvertError::Date | ConvertError::DateTime) {
        // Pydantic demands a reason. The catalogue has its own words for the rule.
        context.set_item(intern!(py, "error"), intern!(py, "another form"))?;
    }
    let class = py
        .import(intern!(py, "pydantic_core"))?
        .getattr(intern!(py, "PydanticKnownError"))?;
    Ok(PyErr::from_value(class.call1((error.kind(), context))?))
}

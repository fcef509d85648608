//! Values between Python and a database.
//!
//! | Python | column | Python again |
//! |---|---|---|
//! | `None`, `int` of 64 bits, `float`, `str` | `NULL`, integer, real, text | the same |
//! | `bytes` and the like | blob | `bytes` |
//! | `bool` | integer | `int` |
//! | `datetime`, `date`, `time` | text, ISO 8601 | `str` |
//! | `UUID` | text | `str` |
//! | `Enum` | its value | that |
//! | `list`, `tuple` | a list for one placeholder | |
//!
//! Anything else is refused by the name of its type: of a `Decimal` a column would keep a rounded number,
//! and of a `dict` nobody could say how it is written.

use std::borrow::Cow;

use apifrom::database::{Parameter, Parameters, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyMemoryView,
    PyString, PyTuple, PyType,
};

use super::{misused, unstorable};

/// What a statement was given for its placeholders.
pub(super) fn parameters(py: Python<'_>, given: Option<&Bound<'_, PyAny>>) -> PyResult<Parameters> {
    let Some(given) = given else {
        return Ok(().into());
    };
    if let Ok(list) = given.cast::<PyList>() {
        return positional(py, list.iter());
    }
    if let Ok(tuple) = given.cast::<PyTuple>() {
        return positional(py, tuple.iter());
    }
    if given.is_instance_of::<PyDict>() || given.cast::<PyMapping>().is_ok() {
        let mut named = Vec::new();
        for pair in given.call_method0(intern!(py, "items"))?.try_iter()? {
            let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let Ok(name) = name.extract::<String>() else {
                return Err(misused(py, "expected names of parameters as str".into()));
            };
            let value = parameter(&value, &format!("the parameter {name}"))?;
            named.push((Cow::Owned(name), value));
        }
        return Ok(Parameters::Named(named));
    }
    Err(misused(
        py,
        format!(
            "expected parameters in a list or tuple, or by name in a dict; found {}",
            given.get_type().name()?
        ),
    ))
}

fn positional<'py>(
    py: Python<'py>,
    given: impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Parameters> {
    let _ = py;
    let mut values = Vec::new();
    for (index, value) in given.enumerate() {
        values.push(match quick(&value) {
            Some(value) => Parameter::One(value),
            None => parameter(&value, &format!("the parameter {}", index + 1))?,
        });
    }
    Ok(Parameters::Positional(values))
}

/// The kinds that most parameters are of.
fn quick(value: &Bound<'_, PyAny>) -> Option<Value> {
    if let Ok(number) = value.cast_exact::<PyInt>() {
        return number.extract().ok().map(Value::Integer);
    }
    let text = value.cast_exact::<PyString>().ok()?;
    text.to_str().ok().map(Value::from)
}

fn parameter(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Parameter> {
    if let Ok(list) = value.cast::<PyList>() {
        let values = list.iter().map(|value| one(&value, name));
        return Ok(Parameter::List(values.collect::<PyResult<_>>()?));
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        let values = tuple.iter().map(|value| one(&value, name));
        return Ok(Parameter::List(values.collect::<PyResult<_>>()?));
    }
    one(value, name).map(Parameter::One)
}

fn one(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Value> {
    let py = value.py();
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if is_one_of(value, "enum", "Enum")? {
        return one(&value.getattr(intern!(py, "value"))?, name);
    }
    if value.is_instance_of::<PyInt>() {
        let number = value.extract();
        return number
            .map(Value::Integer)
            .map_err(|_| unstorable(py, format!("{name} is a whole number of more than 64 bits")));
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return Ok(Value::Real(number.value()));
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str();
        return text
            .map(Value::from)
            .map_err(|_| unstorable(py, format!("{name} holds half of a surrogate pair")));
    }
    if value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>()
    {
        let bytes = value.call_method0(intern!(py, "__bytes__"));
        let bytes = bytes.or_else(|_| py.get_type::<PyBytes>().call1((value,)))?;
        return Ok(Value::Blob(bytes.extract()?));
    }
    for (module, class) in [("datetime", "date"), ("datetime", "time")] {
        if is_one_of(value, module, class)? {
            let text: String = value.call_method0(intern!(py, "isoformat"))?.extract()?;
            return Ok(Value::Text(text));
        }
    }
    if is_one_of(value, "uuid", "UUID")? {
        return Ok(Value::Text(value.str()?.to_str()?.to_owned()));
    }
    Err(misused(
        py,
        format!(
            "{name} is a {}, which no column keeps as it is; convert it to str, int, float or bytes",
            value.get_type().fully_qualified_name()?
        ),
    ))
}

/// Whether `value` is an instance of a class of the standard library. The module is not imported for
/// it: where nobody did, there is no such value.
fn is_one_of(value: &Bound<'_, PyAny>, module: &str, class: &str) -> PyResult<bool> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = value.py();
    let modules = MODULES.get_or_try_init(py, || {
        let modules = py.import("sys")?.getattr("modules")?;
        modules
            .cast_into::<PyDict>()
            .map(Bound::unbind)
            .map_err(PyErr::from)
    })?;
    let Some(module) = modules.bind(py).get_item(module)? else {
        return Ok(false);
    };
    let class = module.getattr(class)?.cast_into::<PyType>()?;
    value.is_instance(&class)
}

/// The Python value of a column.
pub(super) fn to_python(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    Ok(match value {
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any().unbind(),
        Value::Integer(number) => number.into_pyobject(py)?.into_any().unbind(),
        Value::Real(number) => PyFloat::new(py, *number).into_any().unbind(),
        Value::Text(text) => PyString::new(py, text).into_any().unbind(),
        Value::Blob(bytes) => PyBytes::new(py, bytes).into_any().unbind(),
        _ => py.None(),
    })
}

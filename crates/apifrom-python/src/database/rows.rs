//! Rows, as Python looks at them: sequences of mappings.

use apifrom::database::{Row, Rows};
use bytes::Bytes;
use pyo3::exceptions::{PyAttributeError, PyIndexError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PySlice, PyString};

use super::convert::to_python;

/// What a query gave.
#[pyclass(frozen, name = "Rows", module = "apifrom.database")]
pub(crate) struct PyRows(pub(super) Rows);

/// One row.
#[pyclass(frozen, name = "Row", module = "apifrom.database")]
pub(crate) struct PyRow(pub(super) Row);

/// What a handler returned, where it is rows.
pub(crate) enum Shown<'a> {
    Many(&'a Rows),
    One(&'a Row),
}

/// The rows that `value` is.
pub(crate) fn shown<'a>(value: &'a Bound<'_, PyAny>) -> Option<Shown<'a>> {
    if let Ok(rows) = value.cast_exact::<PyRows>() {
        return Some(Shown::Many(&rows.get().0));
    }
    let row = value.cast_exact::<PyRow>().ok()?;
    Some(Shown::One(&row.get().0))
}

impl Shown<'_> {
    /// The JSON text.
    ///
    /// # Errors
    /// `TypeError` for a value that has no form in JSON; without the value.
    pub(crate) fn to_json(&self) -> PyResult<Bytes> {
        let written = match self {
            Self::Many(rows) => rows.to_json(),
            Self::One(row) => row.to_json(),
        };
        written.map_err(|error| PyTypeError::new_err(error.to_string()))
    }

    /// Dictionaries, or one.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::One(row) => Ok(dictionary(py, row)?.into_any()),
            Self::Many(rows) => {
                let list = PyList::empty(py);
                for row in rows.iter() {
                    list.append(dictionary(py, &row)?)?;
                }
                Ok(list.into_any())
            }
        }
    }
}

fn dictionary<'py>(py: Python<'py>, row: &Row) -> PyResult<Bound<'py, PyDict>> {
    let dictionary = PyDict::new(py);
    for (name, value) in row.columns().zip(row.values()) {
        dictionary.set_item(name, to_python(py, value)?)?;
    }
    Ok(dictionary)
}

/// The place that a Python index means.
fn place(index: isize, length: usize) -> PyResult<usize> {
    let place = if index < 0 {
        length.checked_add_signed(index)
    } else {
        usize::try_from(index).ok()
    };
    place
        .filter(|place| *place < length)
        .ok_or_else(|| PyIndexError::new_err("index out of range"))
}

#[pymethods]
impl PyRows {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = index.py();
        if index.is_instance_of::<PySlice>() {
            return self.list(py)?.as_any().get_item(index);
        }
        let place = place(index.extract()?, self.0.len())?;
        let row = self.0.get(place).map(PyRow);
        Ok(row.into_pyobject(py)?.into_any())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.list(py)?.try_iter()?.into_any())
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.list(value.py())?.contains(value)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(other) = other.cast::<Self>() {
            return Ok(self.0 == other.get().0);
        }
        let py = other.py();
        if other.is_instance_of::<PyList>() {
            self.list(py)?.eq(other)
        } else {
            Ok(false)
        }
    }

    /// Shows how many there are, and no value.
    fn __repr__(&self) -> String {
        format!("Rows({})", self.0.len())
    }
}

impl PyRows {
    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.iter().map(PyRow))
    }
}

#[pymethods]
impl PyRow {
    fn keys(&self) -> Vec<&str> {
        self.0.columns().collect()
    }

    fn values(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        self.0
            .values()
            .iter()
            .map(|value| to_python(py, value))
            .collect()
    }

    fn items<'a>(&'a self, py: Python<'_>) -> PyResult<Vec<(&'a str, Py<PyAny>)>> {
        let pairs = self.0.columns().zip(self.0.values());
        pairs
            .map(|(name, value)| Ok((name, to_python(py, value)?)))
            .collect()
    }

    #[pyo3(signature = (name, default = None, /))]
    fn get(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        match self.find(name)? {
            Some(found) => Ok(found),
            None => Ok(default.unwrap_or_else(|| py.None())),
        }
    }

    fn __getitem__(&self, name: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = name.py();
        if name.is_instance_of::<PyInt>() {
            let values = self.0.values();
            let place = place(name.extract()?, values.len())?;
            return values
                .get(place)
                .map_or_else(|| Ok(py.None()), |value| to_python(py, value));
        }
        self.find(name)?
            .ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
    }

    fn __getattr__(&self, name: &Bound<'_, PyString>) -> PyResult<Py<PyAny>> {
        self.find(name.as_any())?.ok_or_else(|| {
            PyAttributeError::new_err(format!(
                "the row has no column {name}; there are: {}",
                self.keys().join(", ")
            ))
        })
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.0.columns())?.try_iter()?.into_any())
    }

    fn __len__(&self) -> usize {
        self.0.values().len()
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        let name = name.cast::<PyString>().ok();
        let name = name.and_then(|name| name.to_str().ok());
        name.is_some_and(|name| self.0.get(name).is_some())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(other) = other.cast::<Self>() {
            return Ok(self.0 == other.get().0);
        }
        if !other.is_instance_of::<PyDict>() {
            return Ok(false);
        }
        dictionary(other.py(), &self.0)?.eq(other)
    }

    /// Shows the columns, and no value.
    fn __repr__(&self) -> String {
        format!("Row({})", self.keys().join(", "))
    }
}

impl PyRow {
    fn find(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let Ok(text) = name.cast::<PyString>() else {
            return Ok(None);
        };
        let value = text.to_str().ok().and_then(|name| self.0.get(name));
        value.map(|value| to_python(name.py(), value)).transpose()
    }
}

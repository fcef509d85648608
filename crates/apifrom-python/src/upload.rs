//! Files of forms, as handlers take them.

use std::os::fd::IntoRawFd;

use apifrom::extract::{FileContent, FormFile};
use apifrom::{LocItem, Location, Violation, Violations};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// A parameter that takes a file, or several.
pub(crate) struct FileParameter {
    /// The field.
    pub(crate) wire: String,
    many: bool,
    required: bool,
    default: Option<Py<PyAny>>,
    /// What makes the object of a file; without it the content itself is handed over.
    make: Option<Py<PyAny>>,
}

impl FileParameter {
    /// Reads what Python says about it.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn read(
        given: &Bound<'_, PyDict>,
        sees_async: bool,
        required: bool,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let py = given.py();
        let item = |name: &str| {
            let item = given.get_item(name)?;
            Ok::<_, PyErr>(item.unwrap_or_else(|| py.None().into_bound(py)))
        };
        let class = class_of(sees_async);
        let make = match item("kind")?.extract::<String>()?.as_str() {
            "bytes" => None,
            _ => Some(
                py.import("apifrom.uploads")?
                    .getattr(class)?
                    .getattr("_of")?
                    .unbind(),
            ),
        };
        Ok(Self {
            wire: item("wire")?.extract()?,
            many: item("many")?.extract()?,
            required,
            default,
            make,
        })
    }

    /// What the function is given of `sent`.
    ///
    /// # Errors
    /// Python's own, and those of the disk.
    pub(crate) fn give<'py>(
        &self,
        py: Python<'py>,
        sent: Vec<FormFile>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if sent.is_empty() {
            let default = self.default.as_ref();
            return Ok(default.map_or_else(
                || py.None().into_bound(py),
                |default| default.bind(py).clone(),
            ));
        }
        let mut made = Vec::with_capacity(sent.len());
        for file in sent {
            made.push(self.object(py, file)?);
        }
        if self.many {
            return Ok(PyList::new(py, made)?.into_any());
        }
        Ok(made.swap_remove(0))
    }

    fn object<'py>(&self, py: Python<'py>, mut file: FormFile) -> PyResult<Bound<'py, PyAny>> {
        let Some(make) = &self.make else {
            let content = py.detach(|| file.read())?;
            return Ok(PyBytes::new(py, &content).into_any());
        };
        let content = match file.content {
            FileContent::Disk(file) => file.into_raw_fd().into_pyobject(py)?.into_any(),
            FileContent::Memory(bytes) => PyBytes::new(py, &bytes).into_any(),
            // The kinds of contents are the engine's, and all are listed.
            _ => py.None().into_bound(py),
        };
        let described = (content, file.file_name, file.content_type, file.size);
        make.bind(py).call1(described)
    }
}

/// A file of a form that is in memory, as an object that reads it from its start.
///
/// # Errors
/// Python's own.
pub(crate) fn at_hand<'py>(
    py: Python<'py>,
    file: &FormFile,
    is_async: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let content = match &file.content {
        FileContent::Memory(bytes) => PyBytes::new(py, bytes).into_any(),
        // What was read from memory stays there.
        _ => py.None().into_bound(py),
    };
    let described = (content, &file.file_name, &file.content_type, file.size);
    let class = py.import("apifrom.uploads")?.getattr(class_of(is_async))?;
    class.call_method1("_of", described)
}

fn class_of(is_async: bool) -> &'static str {
    if is_async {
        "UploadFile"
    } else {
        "SyncUploadFile"
    }
}

/// Tells which of the files that were sent belong to which parameter. What no parameter asks for is
/// dropped, and with it its content.
pub(crate) fn sort(
    parameters: &[FileParameter],
    sent: Vec<FormFile>,
    violations: &mut Violations,
) -> Vec<Vec<FormFile>> {
    let mut sorted: Vec<Vec<FormFile>> = parameters.iter().map(|_| Vec::new()).collect();
    for file in sent {
        let place = parameters.iter().position(|known| known.wire == file.field);
        if let Some(files) = place.and_then(|place| sorted.get_mut(place)) {
            files.push(file);
        }
    }
    for (parameter, files) in parameters.iter().zip(&sorted) {
        let fault = match files.len() {
            0 if parameter.required => "missing",
            0 | 1 => continue,
            _ if parameter.many => continue,
            _ => "duplicate",
        };
        let field = LocItem::Field(parameter.wire.clone().into());
        violations.push(Violation::new(
            vec![Location::Form.into(), field],
            fault,
            &(),
        ));
    }
    sorted
}

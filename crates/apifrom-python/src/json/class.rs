//! What a class means in JSON, found out once for each class.
//!
//! A class is recognised by what it inherits from and by the names of the standard library's own
//! classes, so nothing is imported: whoever has such a value has imported its module.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet,
    PyString, PyTuple, PyType,
};

use super::text::push_string;

/// The most classes that are kept; those that come later are looked at each time.
const KEPT: usize = 1_024;

/// How the values of a class are written.
#[derive(Clone)]
pub(super) enum Kind {
    /// As text, by the value's UTF-8.
    Str,
    /// As a number, by `int` or `float`.
    Int,
    Float,
    /// As an object, by the dictionary it is.
    Dict,
    /// As a list, by iteration.
    List,
    /// As an object, by `keys()` and look-ups.
    Mapping,
    /// As what its `value` is written as.
    Enum,
    /// By its own `__pydantic_serializer__`.
    Serializer,
    /// As an object of its fields.
    Dataclass(Arc<[Field]>),
    /// As text, by `isoformat()`.
    Moment,
    /// As text, by ISO 8601's durations.
    Duration,
    /// As text, by `str()`.
    Text,
    /// As text, by `os.fspath()`.
    Path,
    /// As text, if it is UTF-8.
    Bytes,
    /// Not at all.
    Unknown,
}

/// One field of a dataclass.
pub(super) struct Field {
    /// The name in Python.
    pub(super) name: Py<PyString>,
    /// The name in JSON, quoted, with the colon after it.
    pub(super) label: Box<[u8]>,
}

struct Known {
    kind: Kind,
    /// Keeps the class alive, since it is found by its address.
    _class: Py<PyType>,
}

static KNOWN: Mutex<Option<HashMap<usize, Known>>> = Mutex::new(None);

/// How values of `class` are written.
pub(super) fn kind_of(class: &Bound<'_, PyType>) -> PyResult<Kind> {
    let address = class.as_ptr().addr();
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.as_ref().and_then(|known| known.get(&address)) {
        return Ok(known.kind.clone());
    }
    drop(known);
    // Classes may run code of their own when they are asked, so the lock is not held here.
    let kind = classify(class)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if known.len() < KEPT {
        let entry = Known {
            kind: kind.clone(),
            _class: class.clone().unbind(),
        };
        known.insert(address, entry);
    }
    Ok(kind)
}

fn classify(class: &Bound<'_, PyType>) -> PyResult<Kind> {
    let py = class.py();
    if inherits(class, &[("enum", "Enum")])? {
        return Ok(Kind::Enum);
    }
    if class.hasattr(intern!(py, "__pydantic_serializer__"))? {
        return Ok(Kind::Serializer);
    }
    if class.hasattr(intern!(py, "__dataclass_fields__"))? {
        return Ok(Kind::Dataclass(fields(class)?));
    }
    if let Some(kind) = builtin(class)? {
        return Ok(kind);
    }
    for (kind, names) in NAMED {
        if inherits(class, names)? {
            return Ok(kind.clone());
        }
    }
    let abstract_classes = AbstractClasses::of(py)?;
    if class.is_subclass(abstract_classes.mapping.bind(py))? {
        Ok(Kind::Mapping)
    } else if class.is_subclass(abstract_classes.sequence.bind(py))?
        || class.is_subclass(abstract_classes.set.bind(py))?
    {
        Ok(Kind::List)
    } else {
        Ok(Kind::Unknown)
    }
}

fn builtin(class: &Bound<'_, PyType>) -> PyResult<Option<Kind>> {
    Ok(Some(if class.is_subclass_of::<PyString>()? {
        Kind::Str
    } else if class.is_subclass_of::<PyInt>()? {
        Kind::Int
    } else if class.is_subclass_of::<PyFloat>()? {
        Kind::Float
    } else if class.is_subclass_of::<PyDict>()? {
        Kind::Dict
    } else if class.is_subclass_of::<PyList>()?
        || class.is_subclass_of::<PyTuple>()?
        || class.is_subclass_of::<PySet>()?
        || class.is_subclass_of::<PyFrozenSet>()?
    {
        Kind::List
    } else if class.is_subclass_of::<PyBytes>()?
        || class.is_subclass_of::<PyByteArray>()?
        || class.is_subclass_of::<PyMemoryView>()?
    {
        Kind::Bytes
    } else {
        return Ok(None);
    }))
}

type Names = &'static [(&'static str, &'static str)];

/// The classes that are known by name. The modules are those that the classes themselves name,
/// which differ between versions for the private ones.
const NAMED: &[(Kind, Names)] = &[
    (Kind::Moment, &[("datetime", "date"), ("datetime", "time")]),
    (Kind::Duration, &[("datetime", "timedelta")]),
    (
        Kind::Text,
        &[
            ("uuid", "UUID"),
            ("decimal", "Decimal"),
            ("collections", "UserString"),
            ("ipaddress", "_IPAddressBase"),
            ("pydantic.networks", "_BaseUrl"),
            ("pydantic.networks", "_BaseMultiHostUrl"),
        ],
    ),
    (
        Kind::Path,
        &[("pathlib", "PurePath"), ("pathlib._local", "PurePath")],
    ),
];

/// True when `class` is, or inherits from, one of the classes of these modules and names.
fn inherits(class: &Bound<'_, PyType>, names: &[(&str, &str)]) -> PyResult<bool> {
    for base in class.mro().iter() {
        let base = base.cast_into::<PyType>()?;
        // A class may have any object as its `__module__`; such a one is not the library's.
        let (Ok(module), Ok(name)) = (base.module(), base.qualname()) else {
            continue;
        };
        if names.iter().any(|(m, n)| module == *m && name == *n) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The fields that `dataclasses.fields` names; class variables and `InitVar`s are none.
fn fields(class: &Bound<'_, PyType>) -> PyResult<Arc<[Field]>> {
    let py = class.py();
    let declared = py
        .import("dataclasses")?
        .call_method1(intern!(py, "fields"), (class,))?;
    let mut fields = Vec::new();
    for field in declared.try_iter()? {
        let name = field?
            .getattr(intern!(py, "name"))?
            .cast_into::<PyString>()?;
        let mut label = Vec::new();
        push_string(name.to_str()?, &mut label);
        label.push(b':');
        fields.push(Field {
            name: name.unbind(),
            label: label.into_boxed_slice(),
        });
    }
    Ok(fields.into())
}

/// `collections.abc`, which the interpreter itself has loaded.
struct AbstractClasses {
    mapping: Py<PyAny>,
    sequence: Py<PyAny>,
    set: Py<PyAny>,
}

impl AbstractClasses {
    fn of(py: Python<'_>) -> PyResult<&Self> {
        static CLASSES: PyOnceLock<AbstractClasses> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || {
            let module = py.import("collections.abc")?;
            Ok(Self {
                mapping: module.getattr("Mapping")?.unbind(),
                sequence: module.getattr("Sequence")?.unbind(),
                set: module.getattr("Set")?.unbind(),
            })
        })
    }
}

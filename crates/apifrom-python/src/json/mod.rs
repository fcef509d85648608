//! Writes Python values as JSON (RFC 8259, UTF-8, no white space), in one pass.
//!
//! | value | JSON |
//! |---|---|
//! | `None`, `bool`, `int` of any size, `str` | as they are; half a surrogate pair is an error |
//! | `float` | the shortest text that reads back the same; `nan` and `inf` are errors |
//! | `dict`, any `Mapping`, `TypedDict` | an object |
//! | `list`, `tuple`, named tuple, `set`, `frozenset`, `deque`, any `Sequence` or `Set` | a list |
//! | dataclass | an object of its fields |
//! | Pydantic model | by its own serialiser, members named by their aliases |
//! | `Enum` | its value |
//! | `datetime`, `date`, `time` | RFC 3339, `Z` for UTC |
//! | `timedelta` | an ISO 8601 duration |
//! | `UUID`, `Decimal`, addresses of `ipaddress`, Pydantic's URLs, paths | a string |
//! | `bytes` and the like | a string, if it is UTF-8 |
//!
//! Keys are `str`, or `int`, `float`, `bool` and `None` in the text that JSON has for them (or an
//! `Enum` of these); two keys of one text are an error, since no reader agrees what they mean.
//! Everything else is a `TypeError` that names the type and the place, such as `$.users[3].photo`.
//!
//! Nesting is bounded, so a value that holds itself is an error and never an overflow. Python code
//! that a value brings along (properties, `isoformat`) may change what is being written: that is
//! an error as well.

mod class;
mod fault;
mod read;
mod scalar;
mod text;

use std::cell::RefCell;
use std::collections::HashSet;

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

use self::class::{Field, Kind, kind_of};
use self::fault::Fault;
pub(crate) use self::read::{prepare, read};
use self::text::push_string;

/// How deep lists and objects may nest. Twice what the engine accepts in a request.
const MAX_DEPTH: usize = 128;

/// Appends `value` to `out` as JSON. What was appended before an error is left there.
///
/// # Errors
/// `TypeError` for what has no form in JSON, `ValueError` for a value that has none, and whatever
/// Python code of the value raises.
pub(crate) fn write(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let mut writer = Writer { out, depth: 0 };
    writer.value(value).map_err(Fault::into_error)
}

/// The JSON text of `value`.
///
/// # Errors
/// As [`write`].
pub(crate) fn to_bytes(value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    /// Larger texts keep the buffer they were written into, instead of being copied out of it.
    const COPIED: usize = 16 << 10;
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out while it is in use: Python code of the value may come back here.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let written = write(value, &mut buffer);
    if buffer.len() > COPIED {
        return written.map(|()| buffer.into());
    }
    let bytes = Bytes::copy_from_slice(&buffer);
    BUFFER.set(buffer);
    written.map(|()| bytes)
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    depth: usize,
}

type Written = Result<(), Fault>;

impl Writer<'_> {
    /// The classes that answers are made of, by identity; everything else by its [`Kind`].
    fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.string(text)
        } else if let Ok(number) = value.cast_exact::<PyInt>() {
            self.int(number)
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.dict(dict)
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.list(list)
        } else if value.is_none() {
            self.out.extend_from_slice(b"null");
            Ok(())
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            self.out.extend_from_slice(flag_text(flag).as_bytes());
            Ok(())
        } else if let Ok(number) = value.cast_exact::<PyFloat>() {
            self.float(number.value())
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.tuple(tuple)
        } else {
            self.other(value)
        }
    }

    fn other(&mut self, value: &Bound<'_, PyAny>) -> Written {
        match kind_of(&value.get_type())? {
            Kind::Str => self.string(value.cast()?),
            Kind::Int => self.int(value.cast()?),
            Kind::Float => self.float(value.extract()?),
            Kind::Dict => self.dict(value.cast()?),
            Kind::List => self.iterable(value),
            Kind::Mapping => self.mapping(value.cast()?),
            Kind::Enum => {
                let inner = value.getattr(intern!(value.py(), "value"))?;
                // An enumeration may have itself, or a member of another one, as its value.
                self.nested(|writer| writer.value(&inner))
            }
            Kind::Serializer => self.serialized(value),
            Kind::Dataclass(fields) => self.dataclass(value, &fields),
            Kind::Moment => self.moment(value),
            Kind::Duration => {
                self.duration(value.cast()?);
                Ok(())
            }
            Kind::Text => self.string(&value.str()?),
            Kind::Path => self.path(value),
            Kind::Bytes => self.bytes(value),
            Kind::Unknown => Err(Fault::kind(format!(
                "a value of type {} cannot be written as JSON",
                value.get_type().fully_qualified_name()?
            ))),
        }
    }

    /// Goes one level deeper.
    fn nested<R>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::value(format!(
                "the value is nested deeper than {MAX_DEPTH} levels, or holds itself"
            )));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self, list: &Bound<'_, PyList>) -> Written {
        self.nested(|writer| writer.items(list.iter().map(Ok)))
    }

    fn tuple(&mut self, tuple: &Bound<'_, PyTuple>) -> Written {
        self.nested(|writer| writer.items(tuple.iter().map(Ok)))
    }

    fn iterable(&mut self, value: &Bound<'_, PyAny>) -> Written {
        let items = value.try_iter()?;
        self.nested(|writer| writer.items(items))
    }

    fn items<'py>(&mut self, items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>) -> Written {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(&item?).map_err(|fault| fault.at(index))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Written {
        let expected = dict.len();
        let mut members = dict.iter();
        let mut is_plain = true;
        self.nested(|writer| {
            writer.out.push(b'{');
            for index in 0..expected {
                // The iterator panics where a dictionary changed, which Python code of a value,
                // or another thread meanwhile, may have brought about.
                if dict.len() != expected {
                    return Err(Fault::value("the dictionary changed while it was written"));
                }
                let Some((key, value)) = members.next() else {
                    break;
                };
                if index > 0 {
                    writer.out.push(b',');
                }
                is_plain &= writer.member(&key, &value)?;
            }
            writer.out.push(b'}');
            if is_plain {
                Ok(())
            } else {
                writer.distinct(dict.keys().iter().map(Ok))
            }
        })
    }

    fn mapping(&mut self, mapping: &Bound<'_, PyMapping>) -> Written {
        self.nested(|writer| {
            let mut is_plain = true;
            writer.out.push(b'{');
            for (index, key) in mapping.try_iter()?.enumerate() {
                let key = key?;
                let value = mapping.get_item(&key)?;
                if index > 0 {
                    writer.out.push(b',');
                }
                is_plain &= writer.member(&key, &value)?;
            }
            writer.out.push(b'}');
            if is_plain {
                Ok(())
            } else {
                writer.distinct(mapping.try_iter()?)
            }
        })
    }

    /// Writes a key and its value. True when the key was a plain `str`, which no other key of the
    /// same dictionary can equal.
    fn member(&mut self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<bool, Fault> {
        let converted;
        let (name, is_plain) = if let Ok(key) = key.cast_exact::<PyString>() {
            (to_str(key)?, true)
        } else {
            converted = self.key_text(key)?;
            (converted.as_str(), false)
        };
        push_string(name, self.out);
        self.out.push(b':');
        match self.value(value) {
            Ok(()) => Ok(is_plain),
            Err(fault) => Err(fault.under(name)),
        }
    }

    /// Refuses keys that differ in Python and are one in JSON, such as `1` and `"1"`.
    fn distinct<'py>(
        &mut self,
        keys: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    ) -> Written {
        let mut seen = HashSet::new();
        for key in keys {
            let name = self.key_text(&key?)?;
            if let Some(name) = seen.replace(name) {
                return Err(Fault::value("two keys are the same text in JSON").under(&name));
            }
        }
        Ok(())
    }

    /// The text of a key, as the standard library writes it.
    fn key_text(&mut self, key: &Bound<'_, PyAny>) -> Result<String, Fault> {
        if key.is_none() {
            return Ok("null".to_owned());
        }
        if let Ok(flag) = key.cast_exact::<PyBool>() {
            return Ok(flag_text(flag).to_owned());
        }
        match kind_of(&key.get_type())? {
            Kind::Str => Ok(to_str(key.cast()?)?.to_owned()),
            Kind::Int => scalar::int_text(key.cast()?),
            Kind::Float => scalar::float_text(key.extract()?),
            Kind::Enum => {
                let inner = key.getattr(intern!(key.py(), "value"))?;
                self.nested(|writer| writer.key_text(&inner))
            }
            _ => Err(Fault::kind(format!(
                "a key of type {} cannot be written as JSON; keys are str, int, float, bool or None",
                key.get_type().fully_qualified_name()?
            ))),
        }
    }

    fn dataclass(&mut self, value: &Bound<'_, PyAny>, fields: &[Field]) -> Written {
        let py = value.py();
        self.nested(|writer| {
            writer.out.push(b'{');
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    writer.out.push(b',');
                }
                writer.out.extend_from_slice(&field.label);
                let name = field.name.bind(py);
                let inner = value.getattr(name)?;
                if let Err(fault) = writer.value(&inner) {
                    return Err(fault.under(to_str(name)?));
                }
            }
            writer.out.push(b'}');
            Ok(())
        })
    }

    /// Asks the value's own serialiser. Members are named by their aliases, as the body that the
    /// same model takes names them; a value of another type than its field's is not warned about.
    fn serialized(&mut self, value: &Bound<'_, PyAny>) -> Written {
        let py = value.py();
        let serializer = value
            .get_type()
            .getattr(intern!(py, "__pydantic_serializer__"))?;
        let options = PyDict::new(py);
        options.set_item(intern!(py, "by_alias"), true)?;
        options.set_item(intern!(py, "warnings"), false)?;
        let written = serializer.call_method(intern!(py, "to_json"), (value,), Some(&options))?;
        let written = written.cast_into::<PyBytes>()?;
        self.out.extend_from_slice(written.as_bytes());
        Ok(())
    }
}

fn to_str<'a>(text: &'a Bound<'_, PyString>) -> Result<&'a str, Fault> {
    text.to_str().map_err(|_| {
        Fault::value("the text holds half of a surrogate pair, which UTF-8 cannot express")
    })
}

fn flag_text(flag: &Bound<'_, PyBool>) -> &'static str {
    if flag.is_true() { "true" } else { "false" }
}

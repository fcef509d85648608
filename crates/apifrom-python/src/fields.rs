//! Reads the plain data in which Python describes an API, and names every field that is wrong.

use apifrom::ConfigErrors;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

/// A dictionary that is read field by field; whatever is left over is unknown.
pub(crate) struct Fields<'py, 'e> {
    given: Bound<'py, PyDict>,
    /// The names that were asked for.
    known: Vec<String>,
    path: String,
    errors: &'e mut ConfigErrors,
}

impl<'py, 'e> Fields<'py, 'e> {
    /// The fields of `given`, which errors call `path`; an empty path stands for the API itself.
    ///
    /// # Errors
    /// Python's own, when the dictionary cannot be copied.
    pub(crate) fn new(
        given: &Bound<'py, PyDict>,
        path: impl Into<String>,
        errors: &'e mut ConfigErrors,
    ) -> PyResult<Self> {
        Ok(Self {
            given: given.copy()?,
            known: Vec::new(),
            path: path.into(),
            errors,
        })
    }

    /// The value of `name` as it is.
    pub(crate) fn take(&mut self, name: &str) -> Option<Bound<'py, PyAny>> {
        self.known.push(name.to_owned());
        let value = self.given.get_item(name).ok().flatten()?;
        // A key that was found can be removed.
        let _ = self.given.del_item(name);
        Some(value)
    }

    /// The value of `name`, unless it is absent or `None`.
    pub(crate) fn some(&mut self, name: &str) -> Option<Bound<'py, PyAny>> {
        self.take(name).filter(|value| !value.is_none())
    }

    /// True when `name` is given and not `None`; a `None` is taken.
    pub(crate) fn some_is_next(&mut self, name: &str) -> bool {
        match self.given.get_item(name).ok().flatten() {
            Some(value) if value.is_none() => self.take(name).is_none(),
            Some(_) => true,
            None => false,
        }
    }

    /// Puts the text of `name` into `place`.
    pub(crate) fn text(&mut self, name: &str, place: &mut String) {
        if let Some(value) = self.take(name) {
            match value.cast::<PyString>() {
                Ok(text) => self.text_of(name, text, place),
                Err(_) => self.expected(name, "text", &value),
            }
        }
    }

    /// True when `name` is still to be taken and a text.
    pub(crate) fn text_is_next(&self, name: &str) -> bool {
        let value = self.given.get_item(name).ok().flatten();
        value.is_some_and(|value| value.is_instance_of::<PyString>())
    }

    /// The text of `name`, where it is given.
    pub(crate) fn optional_text(&mut self, name: &str) -> Option<String> {
        let value = self.some(name)?;
        let path = value.call_method0("__fspath__").unwrap_or(value);
        if let Ok(text) = path.cast::<PyString>() {
            let mut place = String::new();
            self.text_of(name, text, &mut place);
            Some(place)
        } else {
            self.expected(name, "text or a path", &path);
            None
        }
    }

    /// Puts the truth value of `name` into `place`. Nothing but `True` and `False` is one.
    pub(crate) fn flag(&mut self, name: &str, place: &mut bool) {
        if let Some(value) = self.take(name) {
            match value.cast_exact::<PyBool>() {
                Ok(flag) => *place = flag.is_true(),
                Err(_) => self.expected(name, "True or False", &value),
            }
        }
    }

    /// Puts the whole number of `name` into `place`.
    pub(crate) fn number<N>(&mut self, name: &str, place: &mut N)
    where
        N: for<'a> FromPyObject<'a, 'py> + std::fmt::Display,
    {
        if let Some(value) = self.take(name) {
            let is_number = value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>();
            match value.extract::<N>() {
                Ok(number) if is_number => *place = number,
                _ => self.expected(name, "a whole number in range", &value),
            }
        }
    }

    /// Puts the seconds of `name` into `place`: more than 0 and at most a year.
    pub(crate) fn seconds(&mut self, name: &str, place: &mut std::time::Duration) {
        if let Some(value) = self.take(name) {
            let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
            let seconds = value
                .extract::<f64>()
                .ok()
                .filter(|_| is_number && !value.is_instance_of::<PyBool>());
            match seconds {
                Some(seconds) if seconds > 0.0 && seconds <= 31_536_000.0 => {
                    *place = std::time::Duration::from_secs_f64(seconds);
                }
                _ => self.expected(name, "seconds, more than 0 and at most a year", &value),
            }
        }
    }

    /// Puts the list of texts of `name` into `place`. A text alone is no list.
    pub(crate) fn texts(&mut self, name: &str, place: &mut Vec<String>) {
        if let Some(value) = self.take(name) {
            match value.extract::<Vec<String>>() {
                Ok(texts) if !value.is_instance_of::<PyString>() => *place = texts,
                _ => self.expected(name, "a list of texts", &value),
            }
        }
    }

    /// Puts the seconds of `name` into `place`: 0 or more, and at most a year.
    pub(crate) fn seconds_or_none(&mut self, name: &str, place: &mut std::time::Duration) {
        let zero = self.given.get_item(name).ok().flatten();
        let is_zero = zero.is_some_and(|value| {
            !value.is_instance_of::<PyBool>() && value.extract::<f64>().is_ok_and(|it| it == 0.0)
        });
        if is_zero {
            self.take(name);
            *place = std::time::Duration::ZERO;
        } else {
            self.seconds(name, place);
        }
    }

    /// The text of `name`, or its list of texts, where it is given.
    pub(crate) fn text_or_texts(&mut self, name: &str) -> Option<Vec<String>> {
        let value = self.some(name)?;
        if let Ok(text) = value.cast::<PyString>() {
            let mut place = String::new();
            self.text_of(name, text, &mut place);
            return Some(vec![place]);
        }
        if let Ok(texts) = value.extract::<Vec<String>>() {
            return Some(texts);
        }
        self.expected(name, "text, or a list of texts", &value);
        None
    }

    /// True when `name` is still to be taken and not `None`.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        let value = self.given.get_item(name).ok().flatten();
        value.is_some_and(|value| !value.is_none())
    }

    /// Reads the fields of `given`, which stands at `name`; whatever is left over is unknown.
    ///
    /// # Errors
    /// Python's own, when the dictionary cannot be copied.
    pub(crate) fn within(
        &mut self,
        name: &str,
        given: &Bound<'py, PyDict>,
        read: impl FnOnce(&mut Fields<'py, '_>),
    ) -> PyResult<()> {
        let path = self.at(name);
        let mut fields = Fields::new(given, path, self.errors)?;
        read(&mut fields);
        fields.finish(|_| None);
        Ok(())
    }

    /// Notes an error at `name`.
    pub(crate) fn note(&mut self, name: &str, message: impl Into<String>) {
        let path = self.at(name);
        self.errors.note(path, message);
    }

    /// Notes what was not taken; `hint` says what is meant instead, where something is.
    pub(crate) fn finish(mut self, hint: impl Fn(&str) -> Option<&'static str>) {
        let left: Vec<String> = self
            .given
            .keys()
            .iter()
            .map(|key| key.to_string())
            .collect();
        for name in left {
            match (hint(&name), self.nearest(&name)) {
                (Some(hint), _) => self.note(&name, hint),
                (None, Some(known)) => {
                    self.note(&name, format!("unknown option; did you mean {known}?"));
                }
                (None, None) => self.note(&name, "unknown option"),
            }
        }
    }

    /// The known name that is most like `name`, if any is.
    fn nearest(&self, name: &str) -> Option<String> {
        let difflib = self.given.py().import("difflib").ok()?;
        let found = difflib.call_method1("get_close_matches", (name, &self.known, 1));
        found.ok()?.get_item(0).ok()?.extract().ok()
    }

    fn text_of(&mut self, name: &str, text: &Bound<'py, PyString>, place: &mut String) {
        match text.to_str() {
            Ok(text) => text.clone_into(place),
            Err(_) => self.note(name, "expected text that can be written as UTF-8"),
        }
    }

    fn expected(&mut self, name: &str, what: &str, found: &Bound<'py, PyAny>) {
        let kind = found.get_type();
        let shown = if found.is_instance_of::<PyInt>() || found.is_instance_of::<PyFloat>() {
            format!("{found}")
        } else {
            kind.name()
                .map_or_else(|_| "something else".to_owned(), |name| name.to_string())
        };
        self.note(name, format!("expected {what}, found {shown}"));
    }

    fn at(&self, name: &str) -> String {
        if name.is_empty() {
            self.path.clone()
        } else if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

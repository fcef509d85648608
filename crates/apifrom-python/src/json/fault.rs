//! Why a value cannot be written, and where in it the reason lies.

use std::fmt::Write as _;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::{CastError, CastIntoError};

/// How much of a member's name is shown.
const SHOWN: usize = 64;
/// How many steps to a place are shown: a value that holds itself has one for each level.
const STEPS: usize = 16;

/// A reason on its way from the place where it was found to the caller. Boxed, because it is rare
/// and what succeeds should not carry it.
pub(super) struct Fault(Box<Inner>);

struct Inner {
    reason: Reason,
    /// The way to the place, the innermost step first.
    steps: Vec<Step>,
}

enum Reason {
    /// Nothing of this kind can be written.
    Kind(String),
    /// This one value cannot be written.
    Value(String),
    /// Python code that was asked raised it.
    Raised(PyErr),
}

enum Step {
    Index(usize),
    Member(String),
}

impl Fault {
    pub(super) fn kind(text: impl Into<String>) -> Self {
        Self::new(Reason::Kind(text.into()))
    }

    pub(super) fn value(text: impl Into<String>) -> Self {
        Self::new(Reason::Value(text.into()))
    }

    fn new(reason: Reason) -> Self {
        let steps = Vec::new();
        Self(Box::new(Inner { reason, steps }))
    }

    /// The same fault seen from the list that holds it at `index`.
    pub(super) fn at(mut self, index: usize) -> Self {
        self.0.steps.push(Step::Index(index));
        self
    }

    /// The same fault seen from the object that holds it under `name`.
    pub(super) fn under(mut self, name: &str) -> Self {
        let name = name.chars().take(SHOWN).collect();
        self.0.steps.push(Step::Member(name));
        self
    }

    /// The exception for Python: `TypeError` or `ValueError`, or what was raised.
    pub(super) fn into_error(self) -> PyErr {
        let Inner { reason, steps } = *self.0;
        let place = place(&steps);
        match reason {
            Reason::Kind(text) => PyTypeError::new_err(format!("{text} (at {place})")),
            Reason::Value(text) => PyValueError::new_err(format!("{text} (at {place})")),
            Reason::Raised(error) => error,
        }
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::new(Reason::Raised(error))
    }
}

impl From<CastError<'_, '_>> for Fault {
    fn from(error: CastError<'_, '_>) -> Self {
        PyErr::from(error).into()
    }
}

impl From<CastIntoError<'_>> for Fault {
    fn from(error: CastIntoError<'_>) -> Self {
        PyErr::from(error).into()
    }
}

/// `$` for the value itself, then `[3]` and `.name` or `["a name"]`.
fn place(steps: &[Step]) -> String {
    let mut place = String::from("$");
    for step in steps.iter().rev().take(STEPS) {
        // Writing to a `String` cannot fail.
        let _ = match step {
            Step::Index(index) => write!(place, "[{index}]"),
            Step::Member(name) if is_plain(name) => write!(place, ".{name}"),
            Step::Member(name) => write!(place, "[{name:?}]"),
        };
    }
    if steps.len() > STEPS {
        place.push('…');
    }
    place
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

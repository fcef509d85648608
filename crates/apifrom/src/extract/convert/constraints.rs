//! What a schema demands of a scalar beyond its kind.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::number::{Bound, Number, Step};
use super::{ConvertError, Scalar};

/// A regular expression, of whichever engine the program uses.
pub trait Pattern: fmt::Debug + Send + Sync {
    /// The expression as it was written. It is shown to clients.
    fn source(&self) -> &str;

    /// Whether `text` matches, in a time that is linear in its length.
    fn is_match(&self, text: &str) -> bool;
}

/// What a value must satisfy. Those that do not concern its kind say nothing about it.
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    /// The number is a multiple of this. Defaults to none.
    pub multiple_of: Option<Step>,
    /// The number is at most this. Defaults to none.
    pub le: Option<Bound>,
    /// The number is less than this. Defaults to none.
    pub lt: Option<Bound>,
    /// The number is at least this. Defaults to none.
    pub ge: Option<Bound>,
    /// The number is greater than this. Defaults to none.
    pub gt: Option<Bound>,
    /// The string has at least this many Unicode code points. Defaults to none.
    pub min_length: Option<usize>,
    /// The string has at most this many Unicode code points. Defaults to none.
    pub max_length: Option<usize>,
    /// The string matches this. Defaults to none.
    pub pattern: Option<Arc<dyn Pattern>>,
    /// The list has at least this many items. Defaults to none.
    pub min_items: Option<usize>,
    /// The list has at most this many items. Defaults to none.
    pub max_items: Option<usize>,
}

impl Constraints {
    /// Judges `value`, in the order in which pydantic-core does.
    ///
    /// # Errors
    /// The first constraint that does not hold.
    pub fn check(&self, value: &Scalar<'_>) -> Result<(), ConvertError> {
        match *value {
            Scalar::Int(number) => self.check_number(Number::Integer(number)),
            Scalar::Float(number) => self.check_number(Number::Float(number)),
            Scalar::Bool(_) => Ok(()),
            Scalar::Str(text) => self.check_text(text),
        }
    }

    /// Whether a list may have `count` items.
    ///
    /// # Errors
    /// When it has too many.
    pub fn check_most(&self, count: usize) -> Result<(), ConvertError> {
        match self.max_items {
            Some(most) if count > most => Err(ConvertError::TooMany(most)),
            _ => Ok(()),
        }
    }

    /// Whether `count` items are enough for a list.
    ///
    /// # Errors
    /// When they are too few.
    pub fn check_least(&self, count: usize) -> Result<(), ConvertError> {
        match self.min_items {
            Some(least) if count < least => Err(ConvertError::TooFew(least)),
            _ => Ok(()),
        }
    }

    fn check_number(&self, number: Number<'_>) -> Result<(), ConvertError> {
        if let Some(step) = self.multiple_of
            && !step.divides(number)
        {
            return Err(ConvertError::MultipleOf(step));
        }
        let order = |bound: &Bound| number.compare(bound.number());
        let breaks = |bound: &Option<Bound>, holds: fn(Ordering) -> bool| {
            bound.as_ref().filter(|bound| !holds(order(bound))).cloned()
        };
        if let Some(bound) = breaks(&self.le, Ordering::is_le) {
            return Err(ConvertError::AtMost(bound));
        }
        if let Some(bound) = breaks(&self.lt, Ordering::is_lt) {
            return Err(ConvertError::LessThan(bound));
        }
        if let Some(bound) = breaks(&self.ge, Ordering::is_ge) {
            return Err(ConvertError::AtLeast(bound));
        }
        if let Some(bound) = breaks(&self.gt, Ordering::is_gt) {
            return Err(ConvertError::GreaterThan(bound));
        }
        Ok(())
    }

    fn check_text(&self, text: &str) -> Result<(), ConvertError> {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count();
            if let Some(min_length) = self.min_length.filter(|min_length| length < *min_length) {
                return Err(ConvertError::TooShort(min_length));
            }
            if let Some(max_length) = self.max_length.filter(|max_length| length > *max_length) {
                return Err(ConvertError::TooLong(max_length));
            }
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => {
                Err(ConvertError::Pattern(pattern.source().to_owned()))
            }
            _ => Ok(()),
        }
    }
}

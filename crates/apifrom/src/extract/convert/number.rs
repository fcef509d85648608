//! Integers of any size beside floats, compared without rounding.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;

use super::{ContextValue, ConvertError, MAX_INTEGER_DIGITS, is_whole, split_digits};

/// An integer, as a number where 64 bits hold it and else as the text that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integer<'a> {
    /// One that 64 bits hold.
    Small(i64),
    /// A larger or smaller one: `-?[1-9][0-9]*`, at most 4,300 digits.
    Big(&'a str),
}

impl<'a> Integer<'a> {
    /// Reads `text` by the rules of the [module](super).
    ///
    /// # Errors
    /// When the text is not an integer, or has more than 4,300 digits.
    pub fn read(text: &'a str) -> Result<Self, ConvertError> {
        let (digits, rest) = split_digits(text.strip_prefix('-').unwrap_or(text));
        if !is_whole(digits) || !rest.is_empty() {
            return Err(ConvertError::Int);
        }
        if digits.len() > MAX_INTEGER_DIGITS {
            return Err(ConvertError::IntSize);
        }
        // Only a number that is out of range is left to fail.
        Ok(text.parse().map_or(Self::Big(text), Self::Small))
    }
}

impl fmt::Display for Integer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small(number) => number.fmt(f),
            Self::Big(text) => f.write_str(text),
        }
    }
}

/// A number that values are compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound(BoundValue);

#[derive(Debug, Clone, PartialEq)]
enum BoundValue {
    Small(i64),
    Big(String),
    Float(f64),
}

impl Bound {
    /// The bound that `text` says, an integer of any size. `None` for anything else.
    pub fn integer(text: &str) -> Option<Self> {
        match Integer::read(text).ok()? {
            Integer::Small(number) => Some(Self(BoundValue::Small(number))),
            Integer::Big(text) => Some(Self(BoundValue::Big(text.to_owned()))),
        }
    }

    /// A bound that is a float. `None` unless it is finite.
    pub fn float(number: f64) -> Option<Self> {
        number
            .is_finite()
            .then_some(Self(BoundValue::Float(number)))
    }

    pub(super) fn number(&self) -> Number<'_> {
        match &self.0 {
            BoundValue::Small(number) => Number::Integer(Integer::Small(*number)),
            BoundValue::Big(text) => Number::Integer(Integer::Big(text)),
            BoundValue::Float(number) => Number::Float(*number),
        }
    }
}

impl From<i64> for Bound {
    fn from(number: i64) -> Self {
        Self(BoundValue::Small(number))
    }
}

impl<'a> From<&'a Bound> for ContextValue<'a> {
    fn from(bound: &'a Bound) -> Self {
        match &bound.0 {
            BoundValue::Small(number) => Self::Integer(*number),
            BoundValue::Big(text) => Self::Text(text.into()),
            BoundValue::Float(number) => Self::Number(*number),
        }
    }
}

/// A positive number whose multiples are accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step(StepValue);

#[derive(Debug, Clone, Copy, PartialEq)]
enum StepValue {
    Integer(NonZeroU64),
    Float(f64),
}

impl Step {
    /// A step that is an integer. `None` for 0.
    pub fn integer(step: u64) -> Option<Self> {
        NonZeroU64::new(step).map(|step| Self(StepValue::Integer(step)))
    }

    /// A step that is a float. `None` unless it is finite and more than 0.
    pub fn float(step: f64) -> Option<Self> {
        (step.is_finite() && step > 0.0).then_some(Self(StepValue::Float(step)))
    }

    /// Whether `number` is a multiple: exactly for integers, and as near as floats can tell
    /// otherwise, so that 0.3 is a multiple of 0.1.
    pub(super) fn divides(self, number: Number<'_>) -> bool {
        let float = match (self.0, number) {
            (StepValue::Integer(step), Number::Integer(Integer::Small(number))) => {
                return number.unsigned_abs() % step == 0;
            }
            (StepValue::Integer(step), Number::Integer(Integer::Big(text))) => {
                return remainder(text, step) == 0;
            }
            (_, Number::Integer(integer)) => integer.to_string().parse().unwrap_or(f64::INFINITY),
            (_, Number::Float(number)) => number,
        };
        #[expect(clippy::cast_precision_loss, reason = "a float is compared with it")]
        let step = match self.0 {
            StepValue::Integer(step) => step.get() as f64,
            StepValue::Float(step) => step,
        };
        let nearest = (float / step).round() * step;
        // False for what is too large to divide, which leaves an infinity here.
        (float - nearest).abs() <= float.abs() * (4.0 * f64::EPSILON)
    }
}

impl From<&Step> for ContextValue<'_> {
    fn from(step: &Step) -> Self {
        match step.0 {
            StepValue::Integer(step) => match i64::try_from(step.get()) {
                Ok(step) => Self::Integer(step),
                Err(_) => Self::Text(step.to_string().into()),
            },
            StepValue::Float(step) => Self::Number(step),
        }
    }
}

fn remainder(text: &str, step: NonZeroU64) -> u128 {
    let step = u128::from(step.get());
    let digits = text.chars().filter_map(|digit| digit.to_digit(10));
    digits.fold(0, |rest, digit| (rest * 10 + u128::from(digit)) % step)
}

/// A number of either kind.
#[derive(Clone, Copy)]
pub(super) enum Number<'a> {
    Integer(Integer<'a>),
    Float(f64),
}

impl Number<'_> {
    /// Compares the numbers themselves: no side is rounded to the kind of the other.
    pub(super) fn compare(self, other: Number<'_>) -> Ordering {
        match (self, other) {
            (Self::Integer(one), Number::Integer(other)) => compare_integers(one, other),
            (Self::Integer(one), Number::Float(other)) => compare_with_float(one, other),
            (Self::Float(one), Number::Integer(other)) => compare_with_float(other, one).reverse(),
            // Both are finite, so there is an order.
            (Self::Float(one), Number::Float(other)) => {
                one.partial_cmp(&other).unwrap_or(Ordering::Equal)
            }
        }
    }
}

fn compare_integers(one: Integer<'_>, other: Integer<'_>) -> Ordering {
    match (one, other) {
        (Integer::Small(one), Integer::Small(other)) => one.cmp(&other),
        (Integer::Small(_), Integer::Big(other)) => beyond(other).reverse(),
        (Integer::Big(one), Integer::Small(_)) => beyond(one),
        (Integer::Big(one), Integer::Big(other)) => {
            match (one.strip_prefix('-'), other.strip_prefix('-')) {
                (None, None) => compare_digits(one, other),
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(other)) => compare_digits(other, one),
            }
        }
    }
}

/// How an integer beyond 64 bits compares with one within.
fn beyond(text: &str) -> Ordering {
    if text.starts_with('-') {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// Compares numbers without leading zeros.
fn compare_digits(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn compare_with_float(integer: Integer<'_>, float: f64) -> Ordering {
    // Without a fraction, a float is an integer that can be written out exactly.
    let whole = float.trunc();
    let written = format!("{whole:.0}");
    let whole_part = Integer::read(&written).unwrap_or(Integer::Small(0));
    compare_integers(integer, whole_part).then_with(|| {
        0.0_f64
            .partial_cmp(&(float - whole))
            .unwrap_or(Ordering::Equal)
    })
}

//! Texts of paths, queries, headers and cookies as the values that a handler asks for.
//!
//! One spelling per value, and no more than JSON has, so that what passes here is what a cache, a
//! log and a database read too:
//! 1. An integer is `0`, or digits that do not begin with `0`, after at most one `-`. Refused are
//!    `+1`, ` 1`, `1e1`, `1.0`, `0x1`, `1_0`, `007` and digits other than `0` to `9`. It has at most
//!    4,300 digits, the most that Python converts.
//! 2. A float is a JSON number. Refused are `.5`, `1.`, `NaN` and `inf`, and numbers that are larger
//!    than a 64-bit float.
//! 3. A boolean is `true`, `false`, `1` or `0`, in lower case.
//! 4. A string is the text itself.
//! 5. A [decimal](is_decimal) is an integer, and digits after a point where there are some: no
//!    exponent, so that its length says how large it is. A [date](is_date) begins with year, month
//!    and day, so that no number is one.
//!
//! What does not convert is a [`ConvertError`], whose [`kind`](ConvertError::kind) is the name that
//! pydantic-core has for the rule. It becomes a violation (422) and never holds the text.
//!
//! Rust types read themselves by [`FromParameter`]. Where the type is known at start only, a
//! [`ScalarKind`] reads a [`Scalar`], and [`Constraints`] judge it.
//!
//! # Examples
//! ```
//! # use apifrom::extract::convert::{Constraints, FromParameter, ScalarKind};
//! assert_eq!(u8::from_parameter("12")?, 12);
//! assert_eq!(u8::from_parameter("1e1").unwrap_err().kind(), "int_parsing");
//! assert_eq!(u8::from_parameter("256").unwrap_err().kind(), "int_parsing_size");
//!
//! let positive = Constraints { ge: Some(1.into()), ..Constraints::default() };
//! let zero = ScalarKind::Int.read("0")?;
//! assert_eq!(positive.check(&zero).unwrap_err().kind(), "greater_than_equal");
//! # Ok::<(), apifrom::extract::convert::ConvertError>(())
//! ```

use std::fmt;

use crate::violation::{Context, ContextValue, LocItem, Violation, message};

mod constraints;
mod number;
mod parameter;
#[cfg(test)]
mod tests;
mod written;

pub use self::constraints::{Constraints, Pattern};
pub use self::number::{Bound, Integer, Step};
pub use self::parameter::FromParameter;
pub use self::written::{is_date, is_decimal};

/// How many digits an integer may have.
const MAX_INTEGER_DIGITS: usize = 4300;

/// Why a text is not the value that was asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConvertError {
    /// Not an integer.
    Int,
    /// An integer, but one that the type cannot hold.
    IntSize,
    /// Not a number.
    Float,
    /// A number that the type cannot hold.
    NotFinite,
    /// Not a boolean.
    Bool,
    /// Not more than the bound.
    GreaterThan(Bound),
    /// Less than the bound.
    AtLeast(Bound),
    /// Not less than the bound.
    LessThan(Bound),
    /// More than the bound.
    AtMost(Bound),
    /// Between two multiples.
    MultipleOf(Step),
    /// Fewer characters than this.
    TooShort(usize),
    /// More characters than this.
    TooLong(usize),
    /// Fewer items of a list than this.
    TooFew(usize),
    /// More items of a list than this.
    TooMany(usize),
    /// Not a decimal number.
    Decimal,
    /// Not a date.
    Date,
    /// Not a date, or a date and a time.
    DateTime,
    /// Does not match the regular expression of this source.
    Pattern(String),
}

impl ConvertError {
    /// The rule, by the name that pydantic-core has for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Int => "int_parsing",
            Self::IntSize => "int_parsing_size",
            Self::Float => "float_parsing",
            Self::NotFinite => "finite_number",
            Self::Bool => "bool_parsing",
            Self::GreaterThan(_) => "greater_than",
            Self::AtLeast(_) => "greater_than_equal",
            Self::LessThan(_) => "less_than",
            Self::AtMost(_) => "less_than_equal",
            Self::MultipleOf(_) => "multiple_of",
            Self::TooShort(_) => "string_too_short",
            Self::TooLong(_) => "string_too_long",
            Self::TooFew(_) => "too_short",
            Self::TooMany(_) => "too_long",
            Self::Decimal => "decimal_parsing",
            Self::Date => "date_parsing",
            Self::DateTime => "datetime_parsing",
            Self::Pattern(_) => "string_pattern_mismatch",
        }
    }

    /// The violation of this rule at `loc`.
    pub fn at(&self, loc: Vec<LocItem>) -> Violation {
        Violation::new(loc, self.kind(), self)
    }
}

impl Context for ConvertError {
    fn value(&self, name: &str) -> Option<ContextValue<'_>> {
        match (self, name) {
            (Self::GreaterThan(bound), "gt")
            | (Self::AtLeast(bound), "ge")
            | (Self::LessThan(bound), "lt")
            | (Self::AtMost(bound), "le") => Some(bound.into()),
            (Self::MultipleOf(step), "multiple_of") => Some(step.into()),
            (Self::TooShort(length) | Self::TooFew(length), "min_length")
            | (Self::TooLong(length) | Self::TooMany(length), "max_length") => Some(
                ContextValue::Integer(i64::try_from(*length).unwrap_or(i64::MAX)),
            ),
            (Self::Pattern(source), "pattern") => Some(ContextValue::Text(source.into())),
            _ => None,
        }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&message(self.kind(), self).unwrap_or_default())
    }
}

impl std::error::Error for ConvertError {}

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalarKind {
    /// An integer of any size.
    Int,
    /// A 64-bit float.
    Float,
    /// A boolean.
    Bool,
    /// The text itself.
    Str,
}

/// A value that was read from a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// An integer of any size.
    Int(Integer<'a>),
    /// A finite float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// The text itself.
    Str(&'a str),
}

impl ScalarKind {
    /// Reads `text` by the rules of the [module](self).
    ///
    /// # Errors
    /// When the text is not of this kind.
    pub fn read(self, text: &str) -> Result<Scalar<'_>, ConvertError> {
        match self {
            Self::Int => Integer::read(text).map(Scalar::Int),
            Self::Float => float(text).map(Scalar::Float),
            Self::Bool => boolean(text).map(Scalar::Bool),
            Self::Str => Ok(Scalar::Str(text)),
        }
    }
}

fn boolean(text: &str) -> Result<bool, ConvertError> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ConvertError::Bool),
    }
}

fn float(text: &str) -> Result<f64, ConvertError> {
    if !is_json_number(text) {
        return Err(ConvertError::Float);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(ConvertError::NotFinite),
        Err(_) => Err(ConvertError::Float),
    }
}

/// RFC 8259 §6: what a number of JSON looks like.
fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, mut rest) = split_digits(unsigned);
    if !is_whole(whole) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let (digits, after) = split_digits(fraction);
        if digits.is_empty() {
            return false;
        }
        rest = after;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let (digits, after) = split_digits(unsigned);
        if digits.is_empty() {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Whether `digits` are those of a whole number in the one spelling that it has.
fn is_whole(digits: &str) -> bool {
    digits == "0" || !(digits.is_empty() || digits.starts_with('0'))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

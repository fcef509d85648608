//! Rust types that one text can be read as.

use super::number::Integer;
use super::{ConvertError, boolean, float};

/// A type that a capture, a query value, a header or a cookie is read as.
///
/// Implemented for integers of every width, floats, `bool`, `char` and `String`. A type of your own
/// that stands for one of them reads that first.
///
/// # Examples
/// ```
/// # use apifrom::extract::convert::{ConvertError, FromParameter};
/// struct Page(u32);
///
/// impl FromParameter for Page {
///     fn from_parameter(text: &str) -> Result<Self, ConvertError> {
///         u32::from_parameter(text).map(Self)
///     }
/// }
/// # assert_eq!(Page::from_parameter("3")?.0, 3);
/// # assert!(Page::from_parameter("-3").is_err());
/// # Ok::<(), ConvertError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a text",
    label = "expected a number, `bool`, `char` or `String`",
    note = "a type of your own can be: implement `apifrom::FromParameter` for it"
)]
pub trait FromParameter: Sized {
    /// Reads `text`, which is decoded already.
    ///
    /// # Errors
    /// When the text is not a value of this type.
    fn from_parameter(text: &str) -> Result<Self, ConvertError>;
}

macro_rules! from_integer {
    ($($integer:ty)*) => {$(
        impl FromParameter for $integer {
            fn from_parameter(text: &str) -> Result<Self, ConvertError> {
                let number = match Integer::read(text)? {
                    Integer::Small(number) => Self::try_from(number).ok(),
                    Integer::Big(text) => text.parse().ok(),
                };
                number.ok_or(ConvertError::IntSize)
            }
        }
    )*};
}

from_integer!(i8 i16 i32 i128 isize u8 u16 u32 u64 u128 usize);

impl FromParameter for i64 {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        match Integer::read(text)? {
            Integer::Small(number) => Ok(number),
            Integer::Big(_) => Err(ConvertError::IntSize),
        }
    }
}

impl FromParameter for f64 {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        float(text)
    }
}

impl FromParameter for f32 {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        // Read at its own width: by way of 64 bits it would be rounded twice.
        float(text)?;
        let number: Self = text.parse().map_err(|_| ConvertError::Float)?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(ConvertError::NotFinite)
        }
    }
}

impl FromParameter for bool {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        boolean(text)
    }
}

/// One Unicode code point.
impl FromParameter for char {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (None, _) => Err(ConvertError::TooShort(1)),
            (Some(character), None) => Ok(character),
            (Some(_), Some(_)) => Err(ConvertError::TooLong(1)),
        }
    }
}

impl FromParameter for String {
    fn from_parameter(text: &str) -> Result<Self, ConvertError> {
        Ok(text.to_owned())
    }
}

//! The names and values of a query string or of an `application/x-www-form-urlencoded` body.
//!
//! Rules, in this order:
//! 1. Fields are separated by `&` alone. `;` is a character like others: software that splits at
//!    both reads other fields than the one in front of it.
//! 2. Empty fields (`a=1&&b=2`) are passed over. There are at most [`UrlencodedLimits::max_fields`]
//!    others.
//! 3. A field is split at its first `=` before anything is decoded. Without one the value is empty.
//! 4. `+` is a space; `%` and two hexadecimal digits are a byte. Any other `%` is a fault.
//! 5. What comes out must be UTF-8.
//!
//! A name that occurs twice is handed out twice, in order: only the caller knows whether it is a
//! list. A faulty field is handed out as an error (400), and nothing after it is read.
//!
//! Names and values are borrowed from the input unless something in them had to be decoded.
//!
//! # Deployment
//! A proxy or firewall in front that splits at `;`, forgives a bare `%` or decodes twice sees other
//! fields than the handler.
//!
//! # Examples
//! ```
//! # use apifrom::urlencoded::{UrlencodedLimits, fields};
//! let limits = UrlencodedLimits::default();
//! let read: Result<Vec<_>, _> = fields(b"q=tea+%26+milk&page=2", &limits).collect();
//! let read = read?;
//! assert_eq!(read[0], ("q".into(), "tea & milk".into()));
//! assert_eq!(read[1], ("page".into(), "2".into()));
//!
//! assert!(fields(b"q=100%", &limits).any(|field| field.is_err()));
//! # Ok::<(), apifrom::urlencoded::UrlencodedFault>(())
//! ```
//!
//! Standard: the [URL standard](https://url.spec.whatwg.org/#application/x-www-form-urlencoded),
//! which keeps a bare `%` and replaces what is not UTF-8; here both are refused.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2};

#[cfg(test)]
mod tests;

/// What a query string or form may ask of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlencodedLimits {
    /// How many fields there may be. Defaults to `1000`.
    pub max_fields: usize,
}

impl Default for UrlencodedLimits {
    fn default() -> Self {
        Self { max_fields: 1000 }
    }
}

/// What is wrong with a query string or form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlencodedFaultKind {
    /// `%` without two hexadecimal digits.
    PercentEncoding,
    /// A name or value that is not UTF-8 once decoded.
    InvalidUtf8,
    /// More fields than allowed.
    TooManyFields,
}

/// Why a query string or form is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlencodedFault {
    /// What is wrong.
    pub kind: UrlencodedFaultKind,
    /// The byte, counted from 0, at which it was seen: a `%`, or where the name, value or field
    /// begins.
    pub offset: usize,
}

impl UrlencodedFault {
    /// The reason, for programs; never changes.
    pub fn code(&self) -> &'static str {
        match self.kind {
            UrlencodedFaultKind::PercentEncoding => "urlencoded_percent_encoding",
            UrlencodedFaultKind::InvalidUtf8 => "urlencoded_invalid_utf8",
            UrlencodedFaultKind::TooManyFields => "urlencoded_too_many_fields",
        }
    }

    /// The reason, for people; the same for every input.
    pub fn text(&self) -> &'static str {
        match self.kind {
            UrlencodedFaultKind::PercentEncoding => "malformed percent-encoding",
            UrlencodedFaultKind::InvalidUtf8 => "a field is not valid UTF-8",
            UrlencodedFaultKind::TooManyFields => "too many fields",
        }
    }
}

impl fmt::Display for UrlencodedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.text(), self.offset)
    }
}

impl std::error::Error for UrlencodedFault {}

/// Reads the fields of `input`, which is a query string without its `?`, or a form.
pub fn fields<'a>(input: &'a [u8], limits: &UrlencodedLimits) -> Fields<'a> {
    Fields {
        input,
        at: 0,
        remaining: limits.max_fields,
    }
}

/// The fields of a query string or form, in order; an error is the last item.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    input: &'a [u8],
    at: usize,
    remaining: usize,
}

/// A decoded name and its decoded value.
pub type Field<'a> = (Cow<'a, str>, Cow<'a, str>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, UrlencodedFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, field) = loop {
            let start = self.at;
            let rest = self.input.get(start..).filter(|rest| !rest.is_empty())?;
            let end = memchr(b'&', rest).unwrap_or(rest.len());
            self.at = start + end + 1;
            match rest.get(..end) {
                Some(field) if !field.is_empty() => break (start, field),
                _ => {}
            }
        };
        let read = self.read(start, field);
        if read.is_err() {
            self.at = self.input.len();
        }
        Some(read)
    }
}

impl std::iter::FusedIterator for Fields<'_> {}

impl<'a> Fields<'a> {
    fn read(&mut self, start: usize, field: &'a [u8]) -> Result<Field<'a>, UrlencodedFault> {
        self.remaining = self.remaining.checked_sub(1).ok_or(UrlencodedFault {
            kind: UrlencodedFaultKind::TooManyFields,
            offset: start,
        })?;
        let equals = memchr(b'=', field).unwrap_or(field.len());
        let (name, value) = field.split_at_checked(equals).unwrap_or((field, &[]));
        let value = value.strip_prefix(b"=").unwrap_or_default();
        Ok((decode(name, start)?, decode(value, start + equals + 1)?))
    }
}

/// Decodes a name or value that begins at `offset` of the input.
fn decode(encoded: &[u8], offset: usize) -> Result<Cow<'_, str>, UrlencodedFault> {
    let invalid = UrlencodedFault {
        kind: UrlencodedFaultKind::InvalidUtf8,
        offset,
    };
    if memchr2(b'%', b'+', encoded).is_none() {
        let text = std::str::from_utf8(encoded).map_err(|_| invalid)?;
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = memchr2(b'%', b'+', rest) {
        let (plain, marked) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        decoded.extend_from_slice(plain);
        rest = match marked {
            [b'+', tail @ ..] => {
                decoded.push(b' ');
                tail
            }
            [b'%', high, low, tail @ ..]
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) =>
            {
                decoded.push(high * 16 + low);
                tail
            }
            _ => {
                return Err(UrlencodedFault {
                    kind: UrlencodedFaultKind::PercentEncoding,
                    offset: offset + encoded.len() - marked.len(),
                });
            }
        };
    }
    decoded.extend_from_slice(rest);
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| invalid)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

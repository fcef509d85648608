//! One strict pass over a JSON text, before anything builds a value from it.
//!
//! The readers behind it (serde, pydantic-core) each forgive something: a doubled member, `NaN`, a
//! number too large for its type. What is refused must not depend on the reader, so it is decided
//! here, once. No tree is built; what the scan keeps is one entry per open container and per member
//! name of an open object.
//!
//! A text is refused when, whichever comes first:
//! 1. it is empty or only white space, or begins with a byte order mark;
//! 2. it leaves the grammar of RFC 8259: comments, trailing commas, single quotes, leading zeros,
//!    bare control characters in a string, anything after the value;
//! 3. a string is not UTF-8, or escapes half of a surrogate pair;
//! 4. a number is `NaN` or `Infinity` in any spelling that a reader takes, has more digits than
//!    [`JsonLimits::max_number_digits`], or has a fraction or exponent and is beyond the range of a
//!    64-bit float;
//! 5. an object has two members of one name, compared after unescaping (`"a"` and `"\u0061"` are
//!    one name);
//! 6. containers are nested deeper than [`JsonLimits::max_depth`].
//!
//! A refusal is a [`JsonFault`]: the kind, and the offset of the byte where the fault was seen. Its
//! text never quotes the input. [`JsonFault::is_too_large`] tells the fault that is a matter of
//! size (413) from the malformed texts (400).
//!
//! Time is linear in the length of the text. The names of the first 32 members of an object are
//! compared with each other; beyond, they go to a hash set with a random key, so names chosen to
//! collide gain nothing. That set is the only allocation that grows with the text, to about 12 times
//! its length at worst.
//!
//! # Deployment
//! An integer of up to `max_number_digits` digits passes: Python reads it exactly, and a Rust type
//! that cannot hold it refuses it by itself. A proxy that re-serialises bodies may round such
//! numbers.
//!
//! # Examples
//! ```
//! # use apifrom::json::{self, JsonFaultKind, JsonLimits};
//! let limits = JsonLimits::default();
//! assert!(json::scan(br#"{"name": "Ada", "tags": []}"#, &limits).is_ok());
//!
//! let fault = json::scan(br#"{"role": "user", "role": "admin"}"#, &limits).unwrap_err();
//! assert_eq!((fault.kind, fault.offset), (JsonFaultKind::DuplicateMember, 17));
//! ```
//!
//! Standards: [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259), [RFC
//! 7493](https://www.rfc-editor.org/rfc/rfc7493) (I-JSON), whose rules on names, surrogates and
//! numbers are the ones kept here.

mod fault;
mod names;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use self::names::Names;

pub use self::fault::{JsonFault, JsonFaultKind};

/// What a JSON text may ask of its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// How many containers may be open at once. Above 127, where serde's own bound lies, a value
    /// counts as 127. Defaults to `64`.
    pub max_depth: usize,
    /// How many digits one number may have, fraction and exponent included. Defaults to `4300`,
    /// what Python itself converts.
    pub max_number_digits: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_number_digits: 4300,
        }
    }
}

/// Checks that `bytes` is one JSON value that every reader understands alike.
///
/// # Errors
/// The first fault, by the rules of the [module](self).
pub fn scan(bytes: &[u8], limits: &JsonLimits) -> Result<(), JsonFault> {
    let mut scanner = Scanner {
        bytes,
        at: 0,
        max_depth: limits.max_depth.min(Nesting::CAPACITY),
        max_digits: limits.max_number_digits,
        nesting: Nesting::default(),
        names: Names::new(bytes),
    };
    scanner.document()
}

/// What encloses the value that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    None,
    Array,
    Object,
}

/// The open containers: one bit each, the innermost in the lowest place, set for an object.
#[derive(Default)]
struct Nesting {
    bits: u128,
    depth: usize,
}

impl Nesting {
    const CAPACITY: usize = 127;

    fn open(&mut self, container: Container) {
        self.bits = (self.bits << 1) | u128::from(container == Container::Object);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.bits >>= 1;
        self.depth = self.depth.saturating_sub(1);
    }

    fn innermost(&self) -> Container {
        match (self.depth, self.bits & 1) {
            (0, _) => Container::None,
            (_, 0) => Container::Array,
            _ => Container::Object,
        }
    }
}

/// A string between its quotes.
struct Text {
    start: usize,
    end: usize,
    escaped: bool,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    max_depth: usize,
    max_digits: usize,
    nesting: Nesting,
    names: Names<'a>,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), JsonFault> {
        if self.bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(fault(JsonFaultKind::ByteOrderMark, 0));
        }
        if self.peek().is_none() {
            return Err(fault(JsonFaultKind::Empty, self.at));
        }
        loop {
            let complete = self.value()?;
            if complete && !self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Reads a scalar, an empty container, or the opening of a container up to its first value; the
    /// latter is not yet a complete value.
    #[inline]
    fn value(&mut self) -> Result<bool, JsonFault> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string()?;
            }
            Some(b'{') => {
                self.open(Container::Object)?;
                self.names.open_object();
                if self.peek() != Some(b'}') {
                    self.member_name()?;
                    return Ok(false);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(Container::Array)?;
                if self.peek() != Some(b']') {
                    return Ok(false);
                }
                self.close();
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            _ => return Err(self.no_value()),
        }
        Ok(true)
    }

    /// Reads what follows a value: closes containers, or goes on to the next value. False at the
    /// end of the text.
    #[inline]
    fn after_value(&mut self) -> Result<bool, JsonFault> {
        loop {
            match (self.nesting.innermost(), self.peek()) {
                (Container::Array, Some(b',')) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Container::Object, Some(b',')) => {
                    self.at += 1;
                    self.member_name()?;
                    return Ok(true);
                }
                (Container::Array, Some(b']')) | (Container::Object, Some(b'}')) => self.close(),
                (Container::None, None) => return Ok(false),
                (Container::None, Some(_)) => {
                    return Err(fault(JsonFaultKind::TrailingData, self.at));
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    fn open(&mut self, container: Container) -> Result<(), JsonFault> {
        if self.nesting.depth >= self.max_depth {
            return Err(fault(JsonFaultKind::TooDeep, self.at));
        }
        self.nesting.open(container);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        if self.nesting.innermost() == Container::Object {
            self.names.close_object();
        }
        self.nesting.close();
        self.at += 1;
    }

    #[inline]
    fn member_name(&mut self) -> Result<(), JsonFault> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let quote = self.at;
        self.at += 1;
        let name = self.string()?;
        if !self.names.insert(&name) {
            return Err(fault(JsonFaultKind::DuplicateMember, quote));
        }
        if self.peek() != Some(b':') {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string whose opening quote is behind.
    #[inline]
    fn string(&mut self) -> Result<Text, JsonFault> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain_run()?;
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Text {
                        start,
                        end,
                        escaped,
                    });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(fault(JsonFaultKind::ControlCharacter, self.at)),
                None => return Err(fault(JsonFaultKind::UnexpectedEnd, self.at)),
            }
        }
    }

    /// Skips to the next quote, backslash or control character, and checks that what was skipped is
    /// UTF-8. All three are ASCII, so none of them stands inside a sequence of several bytes.
    #[inline]
    fn plain_run(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        let mut high = 0_u64;
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*chunk);
            let stops = stops(word);
            if stops == 0 {
                high |= word;
                self.at += 8;
                continue;
            }
            let plain = stops.trailing_zeros() / 8;
            high |= word & !(u64::MAX << (8 * plain));
            self.at += plain as usize;
            return self.check_utf8(start, high);
        }
        while let Some(&byte) = self.bytes.get(self.at)
            && byte >= b' '
            && byte != b'"'
            && byte != b'\\'
        {
            high |= u64::from(byte);
            self.at += 1;
        }
        self.check_utf8(start, high)
    }

    #[inline]
    fn check_utf8(&self, start: usize, high: u64) -> Result<(), JsonFault> {
        if high & HIGH_BITS == 0 {
            return Ok(());
        }
        let run = self.bytes.get(start..self.at).unwrap_or_default();
        match std::str::from_utf8(run) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault(
                JsonFaultKind::InvalidUtf8,
                start + error.valid_up_to(),
            )),
        }
    }

    /// Reads an escape that begins at the backslash.
    fn escape(&mut self) -> Result<(), JsonFault> {
        let backslash = self.at;
        self.at += 1;
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                self.surrogates(backslash)
            }
            Some(_) => Err(fault(JsonFaultKind::InvalidEscape, backslash)),
            None => Err(fault(JsonFaultKind::UnexpectedEnd, self.at)),
        }
    }

    /// Reads the digits of `\u`, and the second half of a pair after the first.
    fn surrogates(&mut self, backslash: usize) -> Result<(), JsonFault> {
        match self.four_digits(backslash)? {
            0xDC00..=0xDFFF => Err(fault(JsonFaultKind::LoneSurrogate, backslash)),
            0xD800..=0xDBFF => {
                let second = self.at;
                if !self
                    .bytes
                    .get(second..)
                    .is_some_and(|rest| rest.starts_with(b"\\u"))
                {
                    return Err(fault(JsonFaultKind::LoneSurrogate, backslash));
                }
                self.at += 2;
                match self.four_digits(second)? {
                    0xDC00..=0xDFFF => Ok(()),
                    _ => Err(fault(JsonFaultKind::LoneSurrogate, backslash)),
                }
            }
            _ => Ok(()),
        }
    }

    fn four_digits(&mut self, backslash: usize) -> Result<u32, JsonFault> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(fault(JsonFaultKind::UnexpectedEnd, self.at));
            };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(fault(JsonFaultKind::InvalidEscape, backslash));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let whole = match self.bytes.get(self.at) {
            Some(b'0') => {
                self.at += 1;
                if self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                    return Err(fault(JsonFaultKind::InvalidNumber, start));
                }
                1
            }
            Some(b'I' | b'N') => return Err(self.no_value()),
            _ => self.digits(start)?,
        };
        let mut digits = whole;
        let mut inexact = false;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            inexact = true;
            digits += self.digits(start)?;
        }
        let mut exponent = 0;
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            inexact = true;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            exponent = self.digits(start)?;
        }
        if digits + exponent > self.max_digits {
            return Err(fault(JsonFaultKind::NumberTooLong, start));
        }
        // A float ends at 1.8e308, so 200 digits before an exponent of two are finite whatever they
        // are.
        if inexact && (whole > 200 || exponent > 2) && !self.is_finite(start) {
            return Err(fault(JsonFaultKind::NonFiniteNumber, start));
        }
        Ok(())
    }

    /// Skips at least one digit of the number that begins at `start`.
    #[inline]
    fn digits(&mut self, start: usize) -> Result<usize, JsonFault> {
        let first = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.at - first {
            0 if self.at == self.bytes.len() => Err(fault(JsonFaultKind::UnexpectedEnd, self.at)),
            0 => Err(fault(JsonFaultKind::InvalidNumber, start)),
            count => Ok(count),
        }
    }

    /// Whether the number from `start` to here fits a 64-bit float. What the grammar allows, Rust's
    /// parser reads.
    fn is_finite(&self, start: usize) -> bool {
        let digits = self.bytes.get(start..self.at).unwrap_or_default();
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        number.is_some_and(f64::is_finite)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonFault> {
        for expected in word {
            if self.bytes.get(self.at) != Some(expected) {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// The fault where a value should begin.
    fn no_value(&self) -> JsonFault {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(b"NaN") || rest.starts_with(b"Infinity") {
            fault(JsonFaultKind::NonFiniteNumber, self.at)
        } else {
            self.unexpected()
        }
    }

    fn unexpected(&self) -> JsonFault {
        let kind = if self.at < self.bytes.len() {
            JsonFaultKind::UnexpectedByte
        } else {
            JsonFaultKind::UnexpectedEnd
        };
        fault(kind, self.at)
    }
}

fn fault(kind: JsonFaultKind, offset: usize) -> JsonFault {
    JsonFault { kind, offset }
}

const LOW_BITS: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Marks the high bit of each quote, backslash and control character in `word`. A borrow may mark
/// bytes above the lowest true mark as well, never below it, so only the lowest one counts.
#[inline]
fn stops(word: u64) -> u64 {
    let quote = word ^ (LOW_BITS * u64::from(b'"'));
    let backslash = word ^ (LOW_BITS * u64::from(b'\\'));
    let control = word.wrapping_sub(LOW_BITS * u64::from(b' ')) & !word;
    let quote = quote.wrapping_sub(LOW_BITS) & !quote;
    let backslash = backslash.wrapping_sub(LOW_BITS) & !backslash;
    (quote | backslash | control) & HIGH_BITS
}

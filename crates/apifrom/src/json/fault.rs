//! What a scan answers when it refuses.

use std::fmt;

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonFaultKind {
    /// Nothing but white space.
    Empty,
    /// A byte order mark before the text.
    ByteOrderMark,
    /// The text ends inside a value.
    UnexpectedEnd,
    /// A byte that the grammar does not allow there.
    UnexpectedByte,
    /// Something after the value.
    TrailingData,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// A backslash that begins no escape.
    InvalidEscape,
    /// Half of a surrogate pair.
    LoneSurrogate,
    /// A control character that is not escaped.
    ControlCharacter,
    /// A number with a leading zero, or without a digit where one must be.
    InvalidNumber,
    /// `NaN`, `Infinity`, or beyond the range of a 64-bit float.
    NonFiniteNumber,
    /// More digits than allowed.
    NumberTooLong,
    /// Two members of one name in one object.
    DuplicateMember,
    /// More open containers than allowed.
    TooDeep,
}

/// Why a JSON text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFault {
    /// What is wrong.
    pub kind: JsonFaultKind,
    /// The byte, counted from 0, at which it was seen.
    pub offset: usize,
}

impl JsonFault {
    /// The reason, for programs; never changes.
    pub fn code(&self) -> &'static str {
        match self.kind {
            JsonFaultKind::Empty => "json_empty",
            JsonFaultKind::ByteOrderMark => "json_byte_order_mark",
            JsonFaultKind::UnexpectedEnd => "json_unexpected_end",
            JsonFaultKind::UnexpectedByte => "json_unexpected_byte",
            JsonFaultKind::TrailingData => "json_trailing_data",
            JsonFaultKind::InvalidUtf8 => "json_invalid_utf8",
            JsonFaultKind::InvalidEscape => "json_invalid_escape",
            JsonFaultKind::LoneSurrogate => "json_lone_surrogate",
            JsonFaultKind::ControlCharacter => "json_control_character",
            JsonFaultKind::InvalidNumber => "json_invalid_number",
            JsonFaultKind::NonFiniteNumber => "json_non_finite_number",
            JsonFaultKind::NumberTooLong => "json_number_too_long",
            JsonFaultKind::DuplicateMember => "json_duplicate_member",
            JsonFaultKind::TooDeep => "json_too_deep",
        }
    }

    /// The reason, for people; the same for every text.
    pub fn text(&self) -> &'static str {
        match self.kind {
            JsonFaultKind::Empty => "expected a JSON value, found nothing",
            JsonFaultKind::ByteOrderMark => "a JSON text begins without a byte order mark",
            JsonFaultKind::UnexpectedEnd => "the JSON text ends too early",
            JsonFaultKind::UnexpectedByte => "unexpected character in the JSON text",
            JsonFaultKind::TrailingData => "unexpected data after the JSON value",
            JsonFaultKind::InvalidUtf8 => "a JSON string is not valid UTF-8",
            JsonFaultKind::InvalidEscape => "invalid escape in a JSON string",
            JsonFaultKind::LoneSurrogate => "a JSON string escapes half of a surrogate pair",
            JsonFaultKind::ControlCharacter => "unescaped control character in a JSON string",
            JsonFaultKind::InvalidNumber => "malformed JSON number",
            JsonFaultKind::NonFiniteNumber => "a JSON number is not finite",
            JsonFaultKind::NumberTooLong => "a JSON number has too many digits",
            JsonFaultKind::DuplicateMember => "a JSON object has two members of one name",
            JsonFaultKind::TooDeep => "the JSON text is nested too deeply",
        }
    }

    /// True when the text is refused for its size (413) and not for its form (400).
    pub fn is_too_large(&self) -> bool {
        self.kind == JsonFaultKind::TooDeep
    }
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.text(), self.offset)
    }
}

impl std::error::Error for JsonFault {}

//! Values as PostgreSQL has them.
//!
//! They are sent as text, which the server reads as the type that their place has: so a whole number fits
//! columns of each width or is refused by it, and text is a date, a UUID or JSON where one is wanted. Bytes
//! are sent as they are. Types that have no [`Value`] come back as text: dates as ISO 8601, and decimal
//! numbers with all their digits.

use std::error::Error;
use std::fmt::{self, Write as _};

use bytes::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type};

use super::super::error::{DatabaseError, DatabaseErrorKind};
use super::super::value::Value;

type Dynamic = Box<dyn Error + Sync + Send>;

/// A value that does not go where it is sent.
#[derive(Debug)]
pub(super) struct Misfit(pub(super) DatabaseError);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Misfit {}

/// Refuses what PostgreSQL holds nowhere.
pub(super) fn fit(value: &Value, name: &str) -> Result<(), DatabaseError> {
    match value {
        Value::Text(text) if text.contains('\0') => Err(DatabaseError::new(
            DatabaseErrorKind::UnstorableValue,
            format!("{name} holds a NUL, which PostgreSQL keeps in no text"),
        )),
        _ => Ok(()),
    }
}

/// A value on its way, and what errors call it.
#[derive(Debug)]
pub(super) struct Given {
    value: Value,
    name: String,
}

impl Given {
    pub(super) fn new(value: Value, name: &str) -> Self {
        Self {
            value,
            name: name.to_owned(),
        }
    }

    fn goes_to(&self, kind: &Type) -> bool {
        let kind = base(kind);
        let is_number = matches!(
            *kind,
            Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::OID
                | Type::FLOAT4
                | Type::FLOAT8
                | Type::NUMERIC
        );
        match &self.value {
            Value::Null => true,
            // As where a database has no truth values.
            Value::Bool(_) => is_number || *kind == Type::BOOL,
            Value::Integer(number) => is_number || *kind == Type::BOOL && matches!(number, 0 | 1),
            Value::Real(_) => matches!(*kind, Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC),
            Value::Text(_) => *kind != Type::BYTEA,
            Value::Blob(_) => *kind == Type::BYTEA,
        }
    }
}

impl ToSql for Given {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Dynamic> {
        if !self.goes_to(kind) {
            return Err(Box::new(Misfit(DatabaseError::statement(format!(
                "{} is {}, where the statement has {kind}; convert it, or say its type: CAST(? AS bigint)",
                self.name,
                self.value.kind()
            )))));
        }
        match &self.value {
            Value::Null => return Ok(IsNull::Yes),
            Value::Bool(flag) => out.extend_from_slice(if *flag { b"1" } else { b"0" }),
            Value::Integer(number) if !holds(kind, *number) => {
                return Err(Box::new(Misfit(DatabaseError::new(
                    DatabaseErrorKind::UnstorableValue,
                    format!("{} has more digits than {kind} keeps", self.name),
                ))));
            }
            // Writing into a buffer that grows cannot fail.
            Value::Integer(number) => write!(out, "{number}")?,
            Value::Real(number) => write!(out, "{number:?}")?,
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Blob(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    /// What does not go there is told apart when it is written.
    fn accepts(_kind: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Dynamic> {
        self.to_sql(kind, out)
    }

    fn encode_format(&self, _kind: &Type) -> Format {
        match self.value {
            Value::Blob(_) => Format::Binary,
            _ => Format::Text,
        }
    }
}

/// Whether a whole number stays what it is: floating-point numbers keep 24 or 53 bits.
fn holds(kind: &Type, number: i64) -> bool {
    let size = number.unsigned_abs();
    let bits = 64_u32.saturating_sub(size.leading_zeros() + size.trailing_zeros());
    match *base(kind) {
        Type::FLOAT4 => bits <= 24,
        Type::FLOAT8 => bits <= 53,
        _ => true,
    }
}

/// The type that a domain is made of.
fn base(kind: &Type) -> &Type {
    let mut kind = kind;
    while let Kind::Domain(inner) = kind.kind() {
        kind = inner;
    }
    kind
}

/// A value on its way back.
pub(super) struct Read(pub(super) Value);

impl<'a> FromSql<'a> for Read {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Dynamic> {
        let kind = base(kind);
        let value = match *kind {
            Type::BOOL => Value::Bool(bool::from_sql(kind, raw)?),
            Type::INT2 => Value::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Value::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(kind, raw)?),
            Type::OID => Value::Integer(u32::from_sql(kind, raw)?.into()),
            Type::FLOAT4 => real(f32::from_sql(kind, raw)?.into())?,
            Type::FLOAT8 => real(f64::from_sql(kind, raw)?)?,
            Type::BYTEA => Value::Blob(raw.to_owned()),
            Type::NUMERIC => Value::Text(numeric(raw).ok_or("a number")?),
            Type::UUID => Value::Text(uuid(raw).ok_or("a UUID")?),
            Type::DATE => Value::Text(date(raw).ok_or("a date")?),
            Type::TIME => Value::Text(time(long(raw).ok_or("a time")?)),
            Type::TIMESTAMP => Value::Text(moment(raw).ok_or("a moment")?),
            Type::TIMESTAMPTZ => Value::Text(moment(raw).ok_or("a moment")? + "+00:00"),
            // A byte for the version stands before it.
            Type::JSONB => {
                Value::Text(std::str::from_utf8(raw.get(1..).ok_or("JSON")?)?.to_owned())
            }
            Type::VOID => Value::Null,
            _ if is_text(kind) => Value::Text(std::str::from_utf8(raw)?.to_owned()),
            _ => return Err("a type without a value".into()),
        };
        Ok(Self(value))
    }

    fn from_sql_null(_kind: &Type) -> Result<Self, Dynamic> {
        Ok(Self(Value::Null))
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }
}

/// Whether columns of the type can be read.
pub(super) fn is_read(kind: &Type) -> bool {
    let kind = base(kind);
    let is_known = matches!(
        *kind,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::OID
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::BYTEA
            | Type::NUMERIC
            | Type::UUID
            | Type::DATE
            | Type::TIME
            | Type::TIMESTAMP
            | Type::TIMESTAMPTZ
            | Type::JSONB
            | Type::VOID
    );
    is_known || is_text(kind)
}

fn is_text(kind: &Type) -> bool {
    let is_known = matches!(
        *kind,
        Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::JSON
            | Type::UNKNOWN
            | Type::XML
    );
    is_known || matches!(kind.kind(), Kind::Enum(_)) || kind.name() == "citext"
}

fn real(number: f64) -> Result<Value, Dynamic> {
    if number.is_finite() {
        return Ok(Value::Real(number));
    }
    Err("a number that is not finite".into())
}

fn long(raw: &[u8]) -> Option<i64> {
    raw.try_into().ok().map(i64::from_be_bytes)
}

fn uuid(raw: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(raw.try_into().ok()?);
    let text = format!("{number:032x}");
    let part = |begin, end| text.get(begin..end);
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0, 8)?,
        part(8, 12)?,
        part(12, 16)?,
        part(16, 20)?,
        part(20, 32)?
    ))
}

/// Days since the first of January 2000.
fn date(raw: &[u8]) -> Option<String> {
    match i32::from_be_bytes(raw.try_into().ok()?) {
        i32::MAX => Some("infinity".into()),
        i32::MIN => Some("-infinity".into()),
        days => Some(day(days.into())),
    }
}

/// The Gregorian day that is so many after the first of January 2000.
fn day(days: i64) -> String {
    // Counted from the first of March of the year 0, so that leap days end the years.
    let days = days + 730_425;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{:04}-{month:02}-{day:02} BC", 1 - year)
    }
}

/// Microseconds since midnight; none are shown where there are none.
fn time(micros: i64) -> String {
    let (seconds, part) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    if part != 0 {
        let _ = write!(text, ".{part:06}");
    }
    text
}

/// Microseconds since midnight of the first of January 2000.
fn moment(raw: &[u8]) -> Option<String> {
    const DAY: i64 = 86_400_000_000;
    let micros = long(raw)?;
    // One that never comes has no day.
    if micros == i64::MAX || micros == i64::MIN {
        return None;
    }
    let text = day(micros.div_euclid(DAY));
    let time = time(micros.rem_euclid(DAY));
    Some(match text.strip_suffix(" BC") {
        Some(text) => format!("{text}T{time} BC"),
        None => format!("{text}T{time}"),
    })
}

/// Groups of four digits, the place of the first, a sign, and how many digits stand behind the point.
fn numeric(raw: &[u8]) -> Option<String> {
    let short = |index: usize| {
        let bytes = raw.get(index * 2..index * 2 + 2)?;
        Some(i16::from_be_bytes(bytes.try_into().ok()?))
    };
    let count = short(0)?;
    let weight = short(1)?;
    let scale = usize::try_from(short(3)?).ok()?;
    let mut text = String::new();
    match short(2)?.cast_unsigned() {
        0x0000 => {}
        0x4000 => text.push('-'),
        0xc000 => return Some("NaN".into()),
        0xd000 => return Some("Infinity".into()),
        0xf000 => return Some("-Infinity".into()),
        _ => return None,
    }
    let group = |place: i16| {
        let index = weight - place;
        let is_there = (0..count).contains(&index);
        let index = usize::try_from(index).unwrap_or_default();
        if is_there { short(4 + index) } else { Some(0) }
    };
    if weight < 0 {
        text.push('0');
    }
    for place in (0..=weight).rev() {
        let digits = group(place)?;
        let _ = if place == weight {
            write!(text, "{digits}")
        } else {
            write!(text, "{digits:04}")
        };
    }
    if scale > 0 {
        text.push('.');
        let wanted = text.len() + scale;
        let mut place = -1;
        while text.len() < wanted {
            let digits = group(place)?;
            let _ = write!(text, "{digits:04}");
            place -= 1;
        }
        text.truncate(wanted);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floating_point_columns_hold_whole_numbers_of_so_many_bits() {
        for (kind, number, is_held) in [
            (Type::FLOAT4, 1 << 24, true),
            (Type::FLOAT4, (1 << 24) + 1, false),
            (Type::FLOAT4, -(1 << 24) - 1, false),
            (Type::FLOAT4, i64::MIN, true),
            (Type::FLOAT4, 0, true),
            (Type::FLOAT8, (1 << 53) + 1, false),
            (Type::FLOAT8, (1 << 53) + 2, true),
            (Type::FLOAT8, i64::MAX, false),
            (Type::NUMERIC, i64::MAX, true),
        ] {
            assert_eq!(holds(&kind, number), is_held, "{kind} {number}");
        }
    }

    #[test]
    fn days_and_times_are_written_as_the_calendar_has_them() {
        for (days, text) in [
            (0, "2000-01-01"),
            (59, "2000-02-29"),
            (60, "2000-03-01"),
            (-1, "1999-12-31"),
            (366, "2001-01-01"),
            (9_498, "2026-01-02"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
        ] {
            assert_eq!(day(days), text);
        }
        assert_eq!(time(86_399_999_999), "23:59:59.999999");
        assert_eq!(
            moment(&i64::to_be_bytes(-1)).unwrap(),
            "1999-12-31T23:59:59.999999"
        );
        assert_eq!(moment(&i64::to_be_bytes(i64::MAX)), None);
        assert_eq!(date(&[0]), None);
    }
}

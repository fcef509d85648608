//! Values as MySQL has them.
//!
//! They are sent as what they are: whole and floating-point numbers, text, bytes. Types that have no
//! [`Value`] come back as text: dates and times as ISO 8601, decimal numbers with all their digits. A moment
//! (`TIMESTAMP`) is one of UTC.

use std::fmt::Write as _;
use std::io;

use super::super::error::DatabaseError;
use super::super::value::Value;
use super::wire::{Column, Content, broken, put_measured};

/// The types' numbers in the protocol.
mod kind {
    pub(super) const DECIMAL: u8 = 0x00;
    pub(super) const TINY: u8 = 0x01;
    pub(super) const SHORT: u8 = 0x02;
    pub(super) const LONG: u8 = 0x03;
    pub(super) const FLOAT: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const NULL: u8 = 0x06;
    pub(super) const TIMESTAMP: u8 = 0x07;
    pub(super) const LONGLONG: u8 = 0x08;
    pub(super) const INT24: u8 = 0x09;
    pub(super) const DATE: u8 = 0x0a;
    pub(super) const TIME: u8 = 0x0b;
    pub(super) const DATETIME: u8 = 0x0c;
    pub(super) const YEAR: u8 = 0x0d;
    pub(super) const VARCHAR: u8 = 0x0f;
    pub(super) const BIT: u8 = 0x10;
    pub(super) const JSON: u8 = 0xf5;
    pub(super) const NEWDECIMAL: u8 = 0xf6;
    pub(super) const ENUM: u8 = 0xf7;
    pub(super) const SET: u8 = 0xf8;
    pub(super) const TINY_BLOB: u8 = 0xf9;
    pub(super) const BLOB: u8 = 0xfc;
    pub(super) const VAR_STRING: u8 = 0xfd;
    pub(super) const STRING: u8 = 0xfe;
}

/// The character set of bytes.
const BINARY: u16 = 63;

/// Writes what stands behind the head of an execution: which are NULL, the types, the values.
pub(super) fn put_all(out: &mut Vec<u8>, values: &[Value]) {
    if values.is_empty() {
        return;
    }
    let mut nulls = vec![0_u8; values.len().div_ceil(8)];
    for (index, value) in values.iter().enumerate() {
        if let (Value::Null, Some(byte)) = (value, nulls.get_mut(index / 8)) {
            *byte |= 1 << (index % 8);
        }
    }
    out.extend_from_slice(&nulls);
    // The types follow.
    out.push(1);
    for value in values {
        let kind = match value {
            Value::Null => kind::NULL,
            Value::Bool(_) => kind::TINY,
            Value::Integer(_) => kind::LONGLONG,
            Value::Real(_) => kind::DOUBLE,
            Value::Text(_) => kind::VAR_STRING,
            Value::Blob(_) => kind::BLOB,
        };
        out.extend_from_slice(&[kind, 0]);
    }
    for value in values {
        match value {
            Value::Null => {}
            Value::Bool(flag) => out.push((*flag).into()),
            Value::Integer(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Real(number) => out.extend_from_slice(&number.to_le_bytes()),
            Value::Text(text) => put_measured(out, text.as_bytes()),
            Value::Blob(bytes) => put_measured(out, bytes),
        }
    }
}

/// How many bytes the values take, about.
pub(super) fn size(values: &[Value]) -> usize {
    let each = values.iter().map(|value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 8,
    });
    each.sum::<usize>() + values.len() * 12
}

/// Whether columns of the type can be read.
pub(super) fn is_read(column: &Column) -> bool {
    matches!(
        column.kind,
        kind::DECIMAL..=kind::YEAR
            | kind::VARCHAR
            | kind::BIT
            | kind::JSON..=kind::SET
            | kind::TINY_BLOB..=kind::STRING
    )
}

/// Reads a row: 0x00, which are NULL, and the values of the others.
///
/// # Errors
/// When the packet is broken. A value that none here stands for is noted in `misread`.
pub(super) fn row(
    content: &[u8],
    columns: &[Column],
    values: &mut Vec<Value>,
    misread: &mut Option<DatabaseError>,
) -> io::Result<()> {
    let mut content = Content(content);
    content.byte()?;
    let nulls = content.bytes((columns.len() + 2).div_ceil(8))?;
    for (index, column) in columns.iter().enumerate() {
        let bit = index + 2;
        let is_null = nulls
            .get(bit / 8)
            .is_some_and(|byte| byte & (1 << (bit % 8)) != 0);
        let value = if is_null {
            Some(Value::Null)
        } else {
            value(&mut content, column)?
        };
        // What comes behind it must be read all the same.
        values.push(value.unwrap_or_else(|| {
            misread.get_or_insert_with(|| unread(column));
            Value::Null
        }));
    }
    Ok(())
}

/// `None` for what no value stands for.
fn value(content: &mut Content<'_>, column: &Column) -> io::Result<Option<Value>> {
    let is_unsigned = column.is_unsigned;
    Ok(Some(match column.kind {
        kind::NULL => Value::Null,
        kind::TINY => {
            let [byte] = content.array()?;
            integer(is_unsigned, byte, byte.cast_signed())
        }
        kind::SHORT | kind::YEAR => {
            let number = content.short()?;
            integer(is_unsigned, number, number.cast_signed())
        }
        kind::LONG | kind::INT24 => {
            let number = content.long()?;
            integer(is_unsigned, number, number.cast_signed())
        }
        kind::LONGLONG => {
            let bytes = content.array()?;
            if is_unsigned {
                return Ok(i64::try_from(u64::from_le_bytes(bytes))
                    .ok()
                    .map(Value::Integer));
            }
            Value::Integer(i64::from_le_bytes(bytes))
        }
        kind::FLOAT => Value::Real(f32::from_le_bytes(content.array()?).into()),
        kind::DOUBLE => Value::Real(f64::from_le_bytes(content.array()?)),
        kind::DECIMAL | kind::NEWDECIMAL | kind::JSON | kind::ENUM | kind::SET => {
            return Ok(text(content.measured()?));
        }
        kind::DATE => Value::Text(moment(content)?.0),
        kind::DATETIME => {
            let (day, time) = moment(content)?;
            Value::Text(format!("{day}T{time}"))
        }
        kind::TIMESTAMP => {
            let (day, time) = moment(content)?;
            Value::Text(format!("{day}T{time}+00:00"))
        }
        kind::TIME => Value::Text(duration(content)?),
        kind::BIT => {
            let bytes = content.measured()?;
            let number = bytes
                .iter()
                .try_fold(0_u64, |number, byte| {
                    Some(number.checked_mul(256)? | u64::from(*byte))
                })
                .and_then(|number| i64::try_from(number).ok());
            return Ok(number.map(Value::Integer));
        }
        kind::VARCHAR | kind::TINY_BLOB..=kind::BLOB | kind::VAR_STRING | kind::STRING => {
            let bytes = content.measured()?;
            if column.charset != BINARY {
                return Ok(text(bytes));
            }
            Value::Blob(bytes.to_owned())
        }
        _ => return Err(broken("a column has an unknown type")),
    }))
}

fn integer(is_unsigned: bool, unsigned: impl Into<i64>, signed: impl Into<i64>) -> Value {
    Value::Integer(if is_unsigned {
        unsigned.into()
    } else {
        signed.into()
    })
}

fn text(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(Value::Text(text.to_owned()))
}

/// A day, and the time of it. What ends in noughts is left out on the way.
fn moment(content: &mut Content<'_>) -> io::Result<(String, String)> {
    let mut content = Content(content.measured()?);
    let mut day = "0000-00-00".to_owned();
    let mut time = "00:00:00".to_owned();
    if !content.0.is_empty() {
        let year = content.short()?;
        let [month, date] = content.array()?;
        day = format!("{year:04}-{month:02}-{date:02}");
    }
    if !content.0.is_empty() {
        let [hour, minute, second] = content.array()?;
        time = format!("{hour:02}:{minute:02}:{second:02}");
    }
    put_part(&mut time, &mut content)?;
    Ok((day, time))
}

/// A time, which may be more than a day, and less than nothing.
fn duration(content: &mut Content<'_>) -> io::Result<String> {
    let mut content = Content(content.measured()?);
    if content.0.is_empty() {
        return Ok("00:00:00".to_owned());
    }
    let sign = if content.byte()? == 0 { "" } else { "-" };
    let days = content.long()?;
    let [hour, minute, second] = content.array()?;
    let hours = u64::from(days) * 24 + u64::from(hour);
    let mut text = format!("{sign}{hours:02}:{minute:02}:{second:02}");
    put_part(&mut text, &mut content)?;
    Ok(text)
}

/// Writes microseconds; none are shown where there are none.
fn put_part(text: &mut String, content: &mut Content<'_>) -> io::Result<()> {
    if content.0.is_empty() {
        return Ok(());
    }
    let part = content.long()?;
    if part != 0 {
        // Writing into a `String` cannot fail.
        let _ = write!(text, ".{part:06}");
    }
    Ok(())
}

pub(super) fn unread(column: &Column) -> DatabaseError {
    let name = &column.name;
    DatabaseError::statement(format!(
        "the column {name} holds what is no value here; cast it: CAST({name} AS CHAR)"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(kind: u8) -> Column {
        Column {
            name: "a".into(),
            kind,
            charset: BINARY,
            is_unsigned: true,
        }
    }

    proptest! {
        #[test]
        fn no_row_is_more_than_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            kinds in proptest::collection::vec(any::<u8>(), 1..6),
        ) {
            let columns: Vec<Column> = kinds.into_iter().map(column).collect();
            let mut values = Vec::new();
            if row(&bytes, &columns, &mut values, &mut None).is_ok() {
                prop_assert_eq!(values.len(), columns.len());
            }
        }
    }

    #[test]
    fn times_are_written_as_iso_8601_has_them() {
        let of = |kind: u8, bytes: &[u8]| {
            let mut measured = Vec::new();
            put_measured(&mut measured, bytes);
            value(&mut Content(&measured), &column(kind)).unwrap()
        };
        for (kind, bytes, text) in [
            (kind::DATE, &[0xe8, 7, 2, 29][..], "2024-02-29"),
            (kind::DATE, &[], "0000-00-00"),
            (kind::DATETIME, &[0xe8, 7, 2, 29], "2024-02-29T00:00:00"),
            (
                kind::TIMESTAMP,
                &[0xe8, 7, 2, 29, 1, 2, 3, 5, 0, 0, 0],
                "2024-02-29T01:02:03.000005+00:00",
            ),
            (kind::TIME, &[], "00:00:00"),
            (kind::TIME, &[1, 34, 0, 0, 0, 22, 59, 59], "-838:59:59"),
        ] {
            assert_eq!(of(kind, bytes), Some(Value::Text(text.into())));
        }
        assert_eq!(of(kind::BIT, &[1, 0]), Some(Value::Integer(256)));
        assert_eq!(of(kind::BIT, &[0xff; 8]), None);
        assert!(value(&mut Content(&[2, 0xe8, 7]), &column(kind::DATE)).is_err());
    }
}

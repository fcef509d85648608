//! Numbers, and the values that become text.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDelta, PyDeltaAccess, PyInt, PyString};

use super::fault::Fault;
use super::text::push_string;
use super::{Writer, Written, to_str};

impl Writer<'_> {
    pub(super) fn string(&mut self, text: &Bound<'_, PyString>) -> Written {
        push_string(to_str(text)?, self.out);
        Ok(())
    }

    pub(super) fn int(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(number) = number.extract::<i64>() {
            let mut buffer = itoa::Buffer::new();
            self.out.extend_from_slice(buffer.format(number).as_bytes());
        } else {
            self.out.extend_from_slice(int_text(number)?.as_bytes());
        }
        Ok(())
    }

    pub(super) fn float(&mut self, number: f64) -> Written {
        let mut buffer = zmij::Buffer::new();
        self.out
            .extend_from_slice(finite(number, &mut buffer)?.as_bytes());
        Ok(())
    }

    /// RFC 3339, which writes UTC as `Z`; a moment without a zone stays without one.
    pub(super) fn moment(&mut self, value: &Bound<'_, PyAny>) -> Written {
        let text = value.call_method0(intern!(value.py(), "isoformat"))?;
        let text = text.cast::<PyString>()?;
        let text = to_str(text)?;
        match text.strip_suffix("+00:00") {
            Some(local) => push_string(&format!("{local}Z"), self.out),
            None => push_string(text, self.out),
        }
        Ok(())
    }

    /// ISO 8601 as Pydantic writes it: one sign for all, and a year for each 365 days.
    pub(super) fn duration(&mut self, value: &Bound<'_, PyDelta>) {
        let seconds = i64::from(value.get_days()) * 86_400 + i64::from(value.get_seconds());
        let micros = i128::from(seconds) * 1_000_000 + i128::from(value.get_microseconds());
        let sign = if micros < 0 { "-" } else { "" };
        let text = format!("{sign}{}", duration_text(micros.unsigned_abs()));
        push_string(&text, self.out);
    }

    pub(super) fn path(&mut self, value: &Bound<'_, PyAny>) -> Written {
        let text = value.call_method0(intern!(value.py(), "__fspath__"))?;
        self.string(text.cast()?)
    }

    pub(super) fn bytes(&mut self, value: &Bound<'_, PyAny>) -> Written {
        let py = value.py();
        let copied;
        let bytes = if let Ok(bytes) = value.cast::<PyBytes>() {
            bytes
        } else {
            copied = py
                .get_type::<PyBytes>()
                .call1((value,))?
                .cast_into::<PyBytes>()?;
            &copied
        };
        match std::str::from_utf8(bytes.as_bytes()) {
            Ok(text) => {
                push_string(text, self.out);
                Ok(())
            }
            Err(_) => Err(Fault::value(
                "bytes that are not UTF-8 cannot be written as JSON",
            )),
        }
    }
}

/// A number of any size, also of a subclass that prints itself in another way.
pub(super) fn int_text(number: &Bound<'_, PyInt>) -> Result<String, Fault> {
    let py = number.py();
    let text = py
        .get_type::<PyInt>()
        .call_method1(intern!(py, "__repr__"), (number,))?;
    Ok(text.extract()?)
}

pub(super) fn float_text(number: f64) -> Result<String, Fault> {
    let mut buffer = zmij::Buffer::new();
    finite(number, &mut buffer).map(str::to_owned)
}

fn finite(number: f64, buffer: &mut zmij::Buffer) -> Result<&str, Fault> {
    if number.is_finite() {
        Ok(buffer.format_finite(number))
    } else {
        let name = if number.is_nan() { "nan" } else { "infinity" };
        Err(Fault::value(format!(
            "{name} is a float that JSON has no form for"
        )))
    }
}

/// Years of 365 days, days, hours, minutes and seconds; a part that is zero is left out.
fn duration_text(micros: u128) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let part = |amount: u128, unit: char| match amount {
        0 => String::new(),
        amount => format!("{amount}{unit}"),
    };
    let date = part(days / 365, 'Y') + &part(days % 365, 'D');
    let last = if fraction > 0 {
        let fraction = format!("{fraction:06}");
        format!("{}.{}S", seconds % 60, fraction.trim_end_matches('0'))
    } else {
        part(seconds % 60, 'S')
    };
    let time = part(seconds / 3_600, 'H') + &part(seconds % 3_600 / 60, 'M') + &last;
    match (date.as_str(), time.as_str()) {
        ("", "") => "PT0S".to_owned(),
        (date, "") => format!("P{date}"),
        (date, time) => format!("P{date}T{time}"),
    }
}

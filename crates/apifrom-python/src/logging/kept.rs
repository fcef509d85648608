//! What was said and is not delivered yet.
//!
//! Requests say much, so what a record holds lies side by side in a few vectors, which the next batch
//! fills anew: no record has an allocation of its own, and whoever wants lines alone passes over the
//! fields without touching them.

use std::ops::Range;
use std::time::Duration;

use apifrom::{FieldRef, FieldValue, Level, Line, Logger, Record, RecordRef};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What room is kept from one batch to the next, at the most: records, fields and bytes of text.
const RECORDS: usize = 1 << 12;
const FIELDS: usize = 1 << 15;
const TEXT: usize = 1 << 20;

/// A batch.
#[derive(Default)]
pub(super) struct Kept {
    entries: Vec<Entry>,
    fields: Vec<(&'static str, Value)>,
    text: String,
}

enum Entry {
    /// One that was made as a record, which is rare.
    Whole(Box<Record>),
    Parts(Parts),
}

/// Where the parts of a record lie.
struct Parts {
    logger: Logger,
    level: Level,
    event: &'static str,
    time: Duration,
    message: Range<usize>,
    fields: Range<usize>,
}

enum Value {
    Text(Range<usize>),
    Static(&'static str),
    Number(u64),
    Millis(f64),
}

impl Kept {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, record: Record) {
        self.entries.push(Entry::Whole(Box::new(record)));
    }

    pub(super) fn push_ref(&mut self, record: &RecordRef<'_>) {
        let line = record.line();
        let message = self.keep(line.message);
        let begin = self.fields.len();
        for (name, value) in record.fields() {
            let value = match value {
                FieldRef::Text(text) => Value::Text(self.keep(text)),
                FieldRef::Static(text) => Value::Static(text),
                FieldRef::Number(number) => Value::Number(number),
                FieldRef::Millis(millis) => Value::Millis(millis),
                // A kind that came after this was written.
                _ => continue,
            };
            self.fields.push((name, value));
        }
        self.entries.push(Entry::Parts(Parts {
            logger: line.logger,
            level: line.level,
            event: line.event,
            time: line.time,
            message,
            fields: begin..self.fields.len(),
        }));
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let begin = self.text.len();
        self.text.push_str(text);
        begin..self.text.len()
    }

    /// Forgets all of it, for the next batch.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.fields.clear();
        self.text.clear();
        self.entries.shrink_to(RECORDS);
        self.fields.shrink_to(FIELDS);
        self.text.shrink_to(TEXT);
    }

    /// What was said, in its order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Said<'_>> {
        self.entries.iter().map(|entry| Said { entry, kept: self })
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

/// One record of a batch.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    entry: &'a Entry,
    kept: &'a Kept,
}

impl<'a> Said<'a> {
    /// What of it is for people.
    pub(super) fn line(self) -> Line<'a> {
        match self.entry {
            Entry::Whole(record) => record.line(),
            Entry::Parts(parts) => Line::new(
                parts.logger,
                parts.level,
                parts.event,
                self.kept.text(&parts.message),
                parts.time,
            ),
        }
    }

    /// True where it has lines of its own.
    pub(super) fn has_traceback(self) -> bool {
        match self.entry {
            Entry::Whole(record) => record.fields.iter().any(|(name, _)| *name == "traceback"),
            Entry::Parts(_) => false,
        }
    }

    /// What of it is for programs.
    pub(super) fn fields(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let fields = PyDict::new(py);
        match self.entry {
            Entry::Whole(record) => {
                for (name, value) in &record.fields {
                    match value {
                        FieldValue::Text(text) => fields.set_item(name, text)?,
                        FieldValue::Static(text) => fields.set_item(name, text)?,
                        FieldValue::Number(number) => fields.set_item(name, number)?,
                        FieldValue::Millis(millis) => fields.set_item(name, millis)?,
                        other => fields.set_item(name, other.to_string())?,
                    }
                }
            }
            Entry::Parts(parts) => {
                let kept = self.kept.fields.get(parts.fields.clone());
                for (name, value) in kept.unwrap_or_default() {
                    match value {
                        Value::Text(range) => fields.set_item(name, self.kept.text(range))?,
                        Value::Static(text) => fields.set_item(name, text)?,
                        Value::Number(number) => fields.set_item(name, number)?,
                        Value::Millis(millis) => fields.set_item(name, millis)?,
                    }
                }
            }
        }
        Ok(fields)
    }
}

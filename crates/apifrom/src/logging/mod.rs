//! What the engine says about its work: one record type, three loggers, one sink.
//!
//! The Rust face writes records to `tracing`; the Python face hands them to the standard
//! `logging` in batches. Values that came from a client are escaped where a record is written, so
//! no request can forge a line.

mod escape;
mod failure;
mod line;
mod security;
mod trace;

pub(crate) use self::escape::escaped;
pub(crate) use self::failure::{part_failed, request_failed};
pub use self::line::Line;
pub(crate) use self::security::{SecurityEvent, configuration_weak};
pub use self::trace::TracingSink;

use std::fmt;
use std::time::Duration;

use crate::request::RequestId;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Logger {
    /// `apifrom`: start, stop, failures.
    Server,
    /// `apifrom.access`: one line for each answer.
    Access,
    /// `apifrom.security`: who was refused and why.
    Security,
}

impl Logger {
    /// The logger's name on both faces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "apifrom",
            Self::Access => "apifrom.access",
            Self::Security => "apifrom.security",
        }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// The normal course.
    Info,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

/// The value of a record's field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FieldValue {
    /// Text; may hold anything that a client sent, short of secrets.
    Text(String),
    /// Text of our own.
    Static(&'static str),
    /// A count or a status.
    Number(u64),
    /// A time in milliseconds.
    Millis(f64),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&escaped(text)),
            Self::Static(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Millis(millis) => write!(f, "{millis:.3}"),
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// Who speaks.
    pub logger: Logger,
    /// How much it matters.
    pub level: Level,
    /// The fixed name of what happened.
    pub event: &'static str,
    /// What happened, for people; already escaped.
    pub message: String,
    /// What happened, for programs.
    pub fields: Vec<(&'static str, FieldValue)>,
    /// When, since the Unix epoch.
    pub time: Duration,
}

impl Record {
    /// A record without fields.
    pub fn new(
        logger: Logger,
        level: Level,
        event: &'static str,
        message: impl Into<String>,
        time: Duration,
    ) -> Self {
        Self {
            logger,
            level,
            event,
            message: message.into(),
            fields: Vec::new(),
            time,
        }
    }

    /// Adds what a request is called: `request_id`, and `trace_id` and `parent_id` where it is part of a
    /// trace.
    #[must_use]
    pub fn about(mut self, id: &RequestId) -> Self {
        let own = ("request_id", Some(FieldRef::Text(id.as_str())));
        let known = std::iter::once(own).chain(FieldRef::of_trace(id));
        let known = known.filter_map(|(name, value)| Some((name, value?.into())));
        self.fields.extend(known);
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: FieldValue) -> Self {
        self.fields.push((name, value));
        self
    }
}

/// A field of a [`RecordRef`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FieldRef<'a> {
    /// Text; may hold anything that a client sent, short of secrets.
    Text(&'a str),
    /// Text of our own.
    Static(&'static str),
    /// A count or a status.
    Number(u64),
    /// A time in milliseconds.
    Millis(f64),
}

impl<'a> FieldRef<'a> {
    /// What a record says of the trace that a request is part of.
    pub(crate) fn of_trace(id: &'a RequestId) -> [(&'static str, Option<Self>); 2] {
        let trace = id.trace();
        [
            ("trace_id", trace.map(|trace| Self::Text(trace.trace_id()))),
            (
                "parent_id",
                trace.map(|trace| Self::Text(trace.parent_id())),
            ),
        ]
    }
}

impl From<FieldRef<'_>> for FieldValue {
    fn from(value: FieldRef<'_>) -> Self {
        match value {
            FieldRef::Text(text) => Self::Text(text.to_owned()),
            FieldRef::Static(text) => Self::Static(text),
            FieldRef::Number(number) => Self::Number(number),
            FieldRef::Millis(millis) => Self::Millis(millis),
        }
    }
}

/// One thing that happened, before anything is kept of it.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    line: Line<'a>,
    fields: &'a [(&'static str, Option<FieldRef<'a>>)],
}

impl<'a> RecordRef<'a> {
    pub(crate) fn new(line: Line<'a>, fields: &'a [(&'static str, Option<FieldRef<'a>>)]) -> Self {
        Self { line, fields }
    }

    /// What happened, for people.
    pub fn line(&self) -> Line<'a> {
        self.line
    }

    /// What happened, for programs.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, FieldRef<'a>)> + use<'a> {
        let fields = self.fields.iter();
        fields.filter_map(|&(name, value)| Some((name, value?)))
    }

    /// It as a record.
    pub fn to_record(&self) -> Record {
        let Line {
            logger,
            level,
            event,
            message,
            time,
        } = self.line;
        let fields = self.fields();
        Record {
            fields: fields.map(|(name, value)| (name, value.into())).collect(),
            ..Record::new(logger, level, event, message, time)
        }
    }
}

/// Where records go. Must not block: it is called on a request's way.
pub trait Sink: Send + Sync + 'static {
    /// False when nobody would see such a record, which is then not even made.
    fn enabled(&self, logger: Logger, level: Level) -> bool;

    /// Takes a record.
    fn write(&self, record: Record);

    /// Takes a record of which nothing is kept yet, as there is one for each request. A sink that keeps
    /// records in a form of its own is spared what [`Record`] allocates.
    fn write_ref(&self, record: &RecordRef<'_>) {
        self.write(record.to_record());
    }
}

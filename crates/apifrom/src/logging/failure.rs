//! What the log is told of a failure of ours.

use http::StatusCode;

use super::{FieldValue, Level, Logger, Record, Sink, escaped};
use crate::clock::{Clock, SystemClock};
use crate::rejection::Rejection;
use crate::request::RequestId;

/// Writes why the endpoint called `name` failed.
pub(crate) fn request_failed(sink: &dyn Sink, why: &Rejection, id: &RequestId, name: &str) {
    write(sink, why, id, name, why.status(), || {
        format!("{name} failed with {why}")
    });
}

/// Writes why `part` of the endpoint called `name` failed, and what the caller was answered instead.
pub(crate) fn part_failed(
    sink: &dyn Sink,
    why: &Rejection,
    id: &RequestId,
    name: &str,
    part: &str,
    answered: StatusCode,
) {
    write(sink, why, id, name, answered, || {
        format!(
            "{part} of {name} failed and was answered {}",
            answered.as_u16()
        )
    });
}

fn write(
    sink: &dyn Sink,
    why: &Rejection,
    id: &RequestId,
    name: &str,
    status: StatusCode,
    message: impl FnOnce() -> String,
) {
    if !sink.enabled(Logger::Server, Level::Error) {
        return;
    }
    let mut message = message();
    if let Some(cause) = why.cause() {
        message.push_str(": ");
        message.push_str(&escaped(&cause.to_string()));
    }
    let mut record = Record::new(
        Logger::Server,
        Level::Error,
        "request_failed",
        message,
        SystemClock.unix(),
    )
    .about(id)
    .with("endpoint", FieldValue::Text(name.to_owned()))
    .with("status", FieldValue::Number(status.as_u16().into()));
    if let Some(traceback) = why.traceback() {
        record = record.with("traceback", FieldValue::Text(traceback.to_owned()));
    }
    sink.write(record);
}

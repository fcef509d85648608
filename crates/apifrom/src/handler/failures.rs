//! What becomes of a refusal or a failure: the answer for the client, the line for the log.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Outcome;
use crate::clock::{Clock, SystemClock};
use crate::logging::{FieldValue, Level, Logger, Record, Sink, escaped};
use crate::rejection::Rejection;
use crate::request::RequestId;
use crate::response::{Disclosure, Response, shape, shape_answered};

/// How the failures of one API are answered and logged.
pub(crate) struct Failures {
    shown: Disclosure,
    logs: bool,
    sink: Arc<dyn Sink>,
}

impl Failures {
    pub(crate) fn new(shown: Disclosure, logs: bool, sink: Arc<dyn Sink>) -> Self {
        Self { shown, logs, sink }
    }

    /// The answer that an outcome of the endpoint called `name` becomes.
    pub(crate) fn settle(&self, outcome: Outcome, id: &RequestId, name: &str) -> Response {
        match outcome {
            Ok(mut response) => {
                shape_answered(&mut response, id);
                response
            }
            Err(why) => self.answer(&why, id, name),
        }
    }

    /// The answer to a refusal; a failure of ours is written to the log.
    pub(crate) fn answer(&self, why: &Rejection, id: &RequestId, name: &str) -> Response {
        if why.status().is_server_error() && self.logs {
            self.log(why, id, name);
        }
        shape(why, id, self.shown)
    }

    fn log(&self, why: &Rejection, id: &RequestId, name: &str) {
        if !self.sink.enabled(Logger::Server, Level::Error) {
            return;
        }
        let mut message = format!("{name} failed with {why}");
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
        .with("request_id", FieldValue::Text(id.as_str().to_owned()))
        .with("endpoint", FieldValue::Text(name.to_owned()))
        .with("status", FieldValue::Number(why.status().as_u16().into()));
        if let Some(traceback) = why.traceback() {
            record = record.with("traceback", FieldValue::Text(traceback.to_owned()));
        }
        self.sink.write(record);
    }
}

/// Runs `work`; a panic costs this request alone.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        Rejection::internal().caused_by(format!("panicked: {}", panic_text(&*panic)))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

//! What becomes of a refusal or a failure: the answer for the client, the line for the log.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Outcome;
use crate::logging::{Sink, request_failed};
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
            Err(why) => self.answer(why, id, name),
        }
    }

    /// The answer to a refusal; a failure of ours is written to the log.
    pub(crate) fn answer(&self, why: Rejection, id: &RequestId, name: &str) -> Response {
        if why.status().is_server_error() && self.logs {
            request_failed(&*self.sink, &why, id, name);
        }
        shape(why, id, self.shown)
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

//! Answers whose body is made while it is sent.
//!
//! 1. A generator is asked for no more than the client takes: what was made and not yet sent is at
//!    most 16 pieces or 64 KiB, whichever is reached first, and one piece more ([`pipe`]).
//! 2. A `def` generator, and any other iterable, is asked in the pool, never on the loop's thread.
//! 3. An `async def` generator runs on the loop, as one task from its first piece to its last.
//! 4. A piece is `str` (sent as UTF-8) or bytes; empty ones are passed over.
//! 5. When the client goes, the generator is closed where it stands (`close()`, or cancellation and
//!    `aclose()`), so that its `finally` runs.
//! 6. An exception after the head was sent breaks the connection off, so that no client takes half
//!    an answer for a whole one, and is logged. Before the first piece of a handler that is a
//!    generator itself it is answered like any other exception.
//! 7. Where the program announced a `Content-Length`, a body of another length is broken off.

mod asynchronous;
mod lanes;
mod pipe;
mod synchronous;

pub(crate) use self::lanes::{Lanes, detached};
pub(crate) use self::pipe::Resolve;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apifrom::{Outcome, Rejection, RequestId, StreamError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pyo3::exceptions::{PyBrokenPipeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use self::asynchronous::Drive;
use self::pipe::Pipe;
use self::synchronous::{Pieces, Pull, Pulled};
use crate::dispatch::{self, Call, Refusal};
use crate::reply;
use crate::responses::read_bytes;

/// What a stream is made from.
pub(crate) enum Source {
    /// An iterable, asked in the pool.
    Pool(Py<PyAny>),
    /// An asynchronous iterable, driven on the loop.
    Loop(Py<PyAny>),
}

/// A body that is made while it is sent.
pub(crate) struct Stream {
    origin: Origin,
    step: Step,
    /// What is still to come of the length that the program announced.
    left: Option<u64>,
}

/// Whose stream it is, and how it is run.
#[derive(Clone)]
struct Origin {
    name: Arc<str>,
    request_id: RequestId,
    lanes: Lanes,
    pipe: Arc<Pipe>,
}

enum Step {
    /// Nothing runs.
    Idle(Waiting),
    Pulling(Call<Pull>),
    Driving(Call<Drive>),
    Ended,
}

enum Waiting {
    Pool(Pieces),
    Loop(Py<PyAny>),
}

/// How the making of pieces ended before its end.
enum Failure {
    /// Before anything was sent: an answer in its place.
    Answer(Box<Outcome>),
    /// It is in the log, and the connection is broken off.
    Broken,
}

impl Stream {
    /// A stream of `source` for a handler called `name`.
    pub(crate) fn new(
        py: Python<'_>,
        source: Source,
        name: &Arc<str>,
        request_id: RequestId,
        length: Option<u64>,
    ) -> Self {
        let origin = Origin {
            name: Arc::clone(name),
            request_id,
            lanes: Lanes::of(py),
            pipe: Arc::default(),
        };
        let waiting = match source {
            Source::Pool(pieces) => Waiting::Pool(Pieces::new(pieces, origin.clone())),
            Source::Loop(pieces) => Waiting::Loop(pieces),
        };
        Self {
            origin,
            step: Step::Idle(waiting),
            left: length,
        }
    }

    /// Waits for the first piece, or the end.
    ///
    /// # Errors
    /// The answer to what was raised before it.
    pub(crate) async fn first(&mut self) -> Result<(), Box<Outcome>> {
        self.origin.pipe.hold_head();
        let result = poll_fn(|context| self.poll_pieces(context)).await;
        self.origin.pipe.send_head();
        match result {
            Ok(_) => Ok(()),
            Err(Failure::Answer(outcome)) => Err(outcome),
            Err(Failure::Broken) => Err(Box::new(Err(
                Rejection::internal().caused_by("the stream broke off before its first piece")
            ))),
        }
    }

    /// Waits until there is a piece: true; or the end: false.
    fn poll_pieces(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        loop {
            // Registered before looking, so that a piece that comes in between is not missed.
            if self.origin.pipe.has_piece(context.waker()) {
                return Poll::Ready(Ok(true));
            }
            let ended = match &mut self.step {
                Step::Ended => return Poll::Ready(Ok(false)),
                Step::Idle(_) => {
                    self.start();
                    continue;
                }
                Step::Pulling(call) => match ready!(Pin::new(call).poll(context)) {
                    Ok(Pulled::More(pieces)) => {
                        self.step = Step::Idle(Waiting::Pool(pieces));
                        continue;
                    }
                    Ok(Pulled::End) => Ok(()),
                    Ok(Pulled::Failed(failure)) => Err(failure),
                    Err(refusal) => Err(self.origin.refused(refusal)),
                },
                Step::Driving(call) => match ready!(Pin::new(call).poll(context)) {
                    Ok(ended) => ended,
                    Err(refusal) => Err(self.origin.refused(refusal)),
                },
            };
            self.step = Step::Ended;
            if let Err(failure) = ended {
                return Poll::Ready(Err(failure));
            }
        }
    }

    fn start(&mut self) {
        let origin = &self.origin;
        self.step = match std::mem::replace(&mut self.step, Step::Ended) {
            Step::Idle(Waiting::Pool(pieces)) => {
                Step::Pulling(dispatch::call(origin.lanes.pool(), Pull::new(pieces)))
            }
            Step::Idle(Waiting::Loop(pieces)) => {
                let drive = Drive::new(pieces, origin.clone());
                Step::Driving(dispatch::call(origin.lanes.task(), drive))
            }
            other => other,
        };
    }

    fn count(&mut self, piece: &Bytes) -> Result<(), StreamError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
                self.origin
                    .log("streamed more than its Content-Length announced")
            })?;
        }
        Ok(())
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        match ready!(this.poll_pieces(context)) {
            Ok(true) => {
                let piece = this.origin.pipe.pop(&this.origin.lanes).unwrap_or_default();
                let counted = this.count(&piece);
                Poll::Ready(Some(counted.map(|()| Frame::data(piece))))
            }
            Ok(false) if this.left.is_some_and(|left| left > 0) => {
                this.left = None;
                let error = this
                    .origin
                    .log("streamed less than its Content-Length announced");
                Poll::Ready(Some(Err(error)))
            }
            Ok(false) => Poll::Ready(None),
            Err(_) => Poll::Ready(Some(Err("the stream broke off".into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.origin.pipe.abandon();
    }
}

impl Origin {
    /// What becomes of an exception.
    fn failed(&self, py: Python<'_>, error: &PyErr) -> Failure {
        if self.pipe.is_abandoned() && error.is_instance_of::<PyBrokenPipeError>(py) {
            // Our own word for a client that has gone.
            return Failure::Broken;
        }
        if self.pipe.holds_head() {
            return Failure::Answer(Box::new(reply::from_exception(py, error)));
        }
        let what = format!("{} failed while it was streaming", self.name);
        reply::log_failure(py, "stream_failed", &what, &self.request_id, error);
        Failure::Broken
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        if self.pipe.holds_head() {
            return Failure::Answer(Box::new(Err(reply::refused(refusal))));
        }
        self.log(match refusal {
            Refusal::Busy => "could not go on streaming: the server is busy",
            Refusal::Closed => "could not go on streaming: the worker is closing",
            Refusal::Panicked => "could not go on streaming: the call panicked",
        });
        Failure::Broken
    }

    fn log(&self, what: &str) -> StreamError {
        let message = format!("{} {what}", self.name);
        reply::log_text("stream_failed", &message, &self.request_id);
        message.into()
    }
}

/// The bytes of a piece.
fn read_piece(piece: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(text) = piece.cast::<PyString>() {
        return Ok(Bytes::copy_from_slice(text.to_str()?.as_bytes()));
    }
    match read_bytes(piece) {
        Some(bytes) => Ok(bytes),
        None => Err(PyTypeError::new_err(format!(
            "expected pieces as str or bytes, found {}",
            piece.get_type().name()?
        ))),
    }
}

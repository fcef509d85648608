//! The body of a request, read when Python asks for it and at most once from the wire.
//!
//! 1. A body that is at hand is handed over as it is.
//! 2. Any other is read by a task of the worker's runtime, which the first one to ask starts; whoever
//!    asks meanwhile waits for the same.
//! 3. What was read whole is kept, so it can be asked for again; what was streamed is not.
//!
//! The bounds on size and time are the engine's and hold in each case.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use apifrom::{Body, BodyError, Rejection, Request};
use bytes::Bytes;
use http_body::Body as _;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::Handle;

use super::refused::Refused;
use super::waiter::Waiter;

/// A body that several may ask for. Clones are the same body.
#[derive(Clone)]
pub(crate) struct SharedBody(Kind);

#[derive(Clone)]
enum Kind {
    Full(Bytes),
    Wire(Arc<Wire>),
}

struct Wire {
    state: Mutex<State>,
    /// The runtime that reads; without one only what has arrived can be read.
    runtime: Option<Handle>,
}

struct State {
    step: Step,
    waiters: Vec<Waiter>,
    was_streamed: bool,
}

enum Step {
    /// Nobody has asked yet, or not since the last piece.
    Unread(Body),
    /// A task reads.
    Reading,
    /// A piece that was not taken yet, and the rest.
    Piece(Bytes, Body),
    Over(Result<Bytes, Refused>),
}

/// What one look at a body found: `None` while it is being read.
pub(super) type Look = Option<Result<Bytes, Refused>>;

impl SharedBody {
    /// Takes the body out of `request`. Call it where the request is handled: the runtime there is
    /// the one that reads.
    pub(crate) fn take(request: &mut Request) -> Self {
        let body = request.take_body();
        if body.is_end_stream() {
            return Self::full(Bytes::new());
        }
        Self(Kind::Wire(Arc::new(Wire {
            state: Mutex::new(State {
                step: Step::Unread(body),
                waiters: Vec::new(),
                was_streamed: false,
            }),
            runtime: Handle::try_current().ok(),
        })))
    }

    /// A body that was read already.
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(bytes))
    }

    /// A body that is not to be had here: the handler has read it, or nobody has.
    pub(crate) fn passed_on() -> Self {
        Self::refusing(Refused::passed_on())
    }

    /// A body that is not read yet, and must not be.
    pub(crate) fn withheld() -> Self {
        Self::refusing(Refused::new(
            500,
            "internal",
            "a policy is asked before the body is read",
        ))
    }

    fn refusing(why: Refused) -> Self {
        Self(Kind::Wire(Arc::new(Wire {
            state: Mutex::new(State {
                step: Step::Over(Err(why)),
                waiters: Vec::new(),
                was_streamed: false,
            }),
            runtime: None,
        })))
    }

    /// The body to hand on with the request, as far as it was not read.
    pub(super) fn give_back(&self) -> PyResult<Body> {
        let wire = match &self.0 {
            Kind::Full(bytes) => return Ok(Body::full(bytes.clone())),
            Kind::Wire(wire) => wire,
        };
        let mut state = wire.lock();
        let over = Step::Over(Err(Refused::passed_on()));
        match std::mem::replace(&mut state.step, over) {
            Step::Unread(body) if !state.was_streamed => Ok(body),
            Step::Over(Ok(bytes)) if !state.was_streamed => {
                let body = Body::full(bytes.clone());
                state.step = Step::Over(Ok(bytes));
                Ok(body)
            }
            other => {
                state.step = other;
                Err(PyRuntimeError::new_err(
                    "the request cannot be passed on while its body is read, or once it was streamed",
                ))
            }
        }
    }

    /// The whole body. Where it has to be waited for, its reading has begun.
    ///
    /// # Errors
    /// `RuntimeError` when it was streamed.
    pub(super) fn whole(&self) -> PyResult<Look> {
        let wire = match &self.0 {
            Kind::Full(bytes) => return Ok(Some(Ok(bytes.clone()))),
            Kind::Wire(wire) => wire,
        };
        let mut state = wire.lock();
        if state.was_streamed {
            return Err(PyRuntimeError::new_err(
                "the body was streamed and is not kept; ask for it before stream()",
            ));
        }
        match std::mem::replace(&mut state.step, Step::Reading) {
            Step::Unread(mut body) => {
                drop(state);
                wire.read(async move { (body.read().await, None) });
                state = wire.lock();
            }
            other => state.step = other,
        }
        Ok(match &state.step {
            Step::Over(over) => Some(over.clone()),
            _ => None,
        })
    }

    /// The next piece, empty at the end; `is_first` for the first of a stream. Where it has to be
    /// waited for, its reading has begun.
    pub(super) fn piece(&self, is_first: bool) -> Look {
        let wire = match &self.0 {
            Kind::Full(bytes) => {
                let piece = if is_first {
                    bytes.clone()
                } else {
                    Bytes::new()
                };
                return Some(Ok(piece));
            }
            Kind::Wire(wire) => wire,
        };
        let mut state = wire.lock();
        match std::mem::replace(&mut state.step, Step::Reading) {
            Step::Unread(mut body) => {
                state.was_streamed = true;
                drop(state);
                wire.read(async move {
                    match body.chunk().await {
                        Ok(Some(piece)) => (Ok(piece), Some(body)),
                        Ok(None) => (Ok(Bytes::new()), None),
                        Err(error) => (Err(error), None),
                    }
                });
                state = wire.lock();
            }
            other => state.step = other,
        }
        match std::mem::replace(&mut state.step, Step::Reading) {
            Step::Piece(piece, rest) => {
                state.step = Step::Unread(rest);
                Some(Ok(piece))
            }
            Step::Over(over) => {
                // Read whole before, it is a stream of one piece.
                let is_new = is_first && !state.was_streamed;
                let piece = over
                    .clone()
                    .map(|bytes| if is_new { bytes } else { Bytes::new() });
                state.step = Step::Over(over);
                Some(piece)
            }
            other => {
                state.step = other;
                None
            }
        }
    }

    /// Has `waiter` called once it is worth looking again. False when it is already.
    pub(super) fn wait(&self, waiter: Waiter) -> bool {
        let Kind::Wire(wire) = &self.0 else {
            return false;
        };
        let mut state = wire.lock();
        let is_reading = matches!(state.step, Step::Reading);
        if is_reading {
            state.waiters.push(waiter);
        }
        is_reading
    }
}

/// What was read, and what is still to be read after it.
type Read = (Result<Bytes, BodyError>, Option<Body>);

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads as far as it goes without waiting, and has a task do the rest.
    fn read(self: &Arc<Self>, reading: impl Future<Output = Read> + Send + 'static) {
        let mut reading = Box::pin(reading);
        // Timers of the body need the runtime; most bodies are complete at the first look.
        let inside = self.runtime.as_ref().map(Handle::enter);
        let first = reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        drop(inside);
        match (first, &self.runtime) {
            (Poll::Ready(read), _) => self.finish(read),
            (Poll::Pending, Some(runtime)) => {
                let wire = Arc::clone(self);
                runtime.spawn(Reading {
                    reading,
                    wire: Some(wire),
                });
            }
            (Poll::Pending, None) => {
                let error = std::io::Error::other("no runtime reads this body");
                self.finish((Err(BodyError::Broken(error.into())), None));
            }
        }
    }

    fn finish(&self, (read, rest): Read) {
        let mut state = self.lock();
        state.step = match (read, rest) {
            (Ok(piece), Some(rest)) => Step::Piece(piece, rest),
            (Ok(bytes), None) => Step::Over(Ok(bytes)),
            (Err(error), _) => Step::Over(Err(Refused::of(&Rejection::from(error)))),
        };
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        for waiter in waiters {
            waiter.call();
        }
    }
}

/// The task that reads. Given up with its worker, it says so to whoever waits.
struct Reading<F> {
    reading: Pin<Box<F>>,
    /// None once it has finished: whoever waits from then on waits for another reading.
    wire: Option<Arc<Wire>>,
}

impl<F: Future<Output = Read>> Future for Reading<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.reading.as_mut().poll(context).map(|read| {
            if let Some(wire) = this.wire.take() {
                wire.finish(read);
            }
        })
    }
}

impl<F> Drop for Reading<F> {
    fn drop(&mut self) {
        let Some(wire) = &self.wire else { return };
        let mut state = wire.lock();
        if matches!(state.step, Step::Reading) {
            let closed = Rejection::unavailable("closing", "the server is closing", 1);
            state.step = Step::Over(Err(Refused::of(&closed)));
            let waiters = std::mem::take(&mut state.waiters);
            drop(state);
            for waiter in waiters {
                waiter.call();
            }
        }
    }
}

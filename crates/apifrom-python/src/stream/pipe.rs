//! What was made of a stream and not yet sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;

use super::{Lanes, detached};
use crate::dispatch::Work;
use crate::reactor::{self, Shared};

/// More than this is not asked for until some of it was sent.
const PIECES: usize = 16;
const BYTES: usize = 64 << 10;

/// A bounded queue between whoever makes pieces and the connection.
#[derive(Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// The connection, which waits for a piece.
    waker: Option<Waker>,
    /// An asyncio future, which waits for room, and the worker whose loop it belongs to.
    room: Option<(Py<PyAny>, Option<Arc<Shared>>)>,
    /// True once the client has gone.
    is_abandoned: bool,
    /// True while the head waits for the first piece.
    holds_head: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES || self.bytes >= BYTES
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece. True while there is room for another.
    pub(super) fn push(&self, piece: Bytes) -> bool {
        let mut state = self.lock();
        if state.is_abandoned {
            return false;
        }
        state.bytes += piece.len();
        state.pieces.push_back(piece);
        // From here on an exception comes too late to be answered.
        state.holds_head = false;
        let has_room = !state.is_full();
        let waker = state.waker.take();
        drop(state);
        reactor::wake(waker);
        has_room
    }

    /// Keeps `future` until there is room; gives it back when there is.
    pub(super) fn wait_for_room(&self, future: Py<PyAny>) -> Option<Py<PyAny>> {
        let shared = reactor::with_local(|local| Arc::clone(local.shared()));
        let mut state = self.lock();
        if !state.is_full() || state.is_abandoned {
            return Some(future);
        }
        let before = state.room.replace((future, shared));
        drop(state);
        drop(before);
        None
    }

    /// True when there is a piece; otherwise `waker` is woken once there is.
    pub(super) fn has_piece(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        if !state.pieces.is_empty() {
            return true;
        }
        match &mut state.waker {
            Some(kept) => kept.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
        false
    }

    /// The next piece. Whoever waits for room goes on once half of it is free.
    pub(super) fn pop(&self, lanes: &Lanes) -> Option<Bytes> {
        let mut state = self.lock();
        let piece = state.pieces.pop_front()?;
        state.bytes -= piece.len();
        let has_room = state.pieces.len() <= PIECES / 2 && state.bytes <= BYTES / 2;
        let room = if has_room { state.room.take() } else { None };
        drop(state);
        if let Some((future, shared)) = room {
            detached(shared.as_ref(), lanes.inline(), Resolve { future });
        }
        Some(piece)
    }

    /// The client has gone: nothing more is taken.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        let before = (std::mem::take(&mut state.pieces), state.room.take());
        drop(state);
        drop(before);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().is_abandoned
    }

    /// The head waits for the first piece.
    pub(super) fn hold_head(&self) {
        let mut state = self.lock();
        state.holds_head = state.pieces.is_empty();
    }

    pub(super) fn send_head(&self) {
        self.lock().holds_head = false;
    }

    pub(super) fn holds_head(&self) -> bool {
        self.lock().holds_head
    }
}

/// Resolves an asyncio future, on its loop's thread.
pub(crate) struct Resolve {
    pub(crate) future: Py<PyAny>,
}

impl Work for Resolve {
    type Answer = ();

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let future = self.future.bind(py);
        // Whoever waited may have been cancelled meanwhile.
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(py.None())
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) {
        if let Err(error) = outcome {
            error.write_unraisable(py, None);
        }
    }
}

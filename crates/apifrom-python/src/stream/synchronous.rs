//! Streams of `def` generators and other iterables, asked in the pool.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use super::{Failure, Origin, detached, read_piece};
use crate::dispatch::Work;

/// An iterable, and how far it was asked. Dropped before its end, it is closed in the pool: a
/// generator's `finally` may wait.
pub(super) struct Pieces {
    iterable: Option<Py<PyAny>>,
    iterator: Option<Py<PyIterator>>,
    origin: Origin,
}

impl Pieces {
    pub(super) fn new(iterable: Py<PyAny>, origin: Origin) -> Self {
        Self {
            iterable: Some(iterable),
            iterator: None,
            origin,
        }
    }

    fn iterator<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        if let Some(iterable) = self.iterable.take() {
            self.iterator = Some(iterable.bind(py).try_iter()?.unbind());
        }
        match &self.iterator {
            Some(iterator) => Ok(iterator.bind(py).clone()),
            None => PyIterator::from_object(&pyo3::types::PyTuple::empty(py)),
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if let Some(iterator) = self.iterator.take() {
            let origin = self.origin.clone();
            let close = Close { iterator, origin };
            detached(None, self.origin.lanes.pool(), close);
        }
    }
}

/// Closes a generator that was left before its end.
struct Close {
    iterator: Py<PyIterator>,
    origin: Origin,
}

impl Work for Close {
    type Answer = ();

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        close(self.iterator.bind(py))?;
        Ok(py.None())
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) {
        if let Err(error) = outcome {
            // Logged there; nobody is left to be answered.
            self.origin.failed(py, &error);
        }
    }
}

fn close(iterator: &Bound<'_, PyIterator>) -> PyResult<()> {
    match iterator.getattr_opt(intern!(iterator.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

/// Fills the pipe.
pub(super) struct Pull {
    pieces: Pieces,
    is_over: bool,
}

/// How a [`Pull`] ended.
pub(super) enum Pulled {
    /// The pipe is full.
    More(Pieces),
    End,
    Failed(Failure),
}

impl Pull {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self {
            pieces,
            is_over: false,
        }
    }
}

impl Work for Pull {
    type Answer = Pulled;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut iterator = self.pieces.iterator(py)?;
        while !self.pieces.origin.pipe.is_abandoned() {
            let Some(piece) = iterator.next() else {
                self.is_over = true;
                break;
            };
            let piece = read_piece(&piece?)?;
            if !piece.is_empty() && !self.pieces.origin.pipe.push(piece) {
                break;
            }
        }
        Ok(py.None())
    }

    fn finish(mut self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Pulled {
        if outcome.is_ok() && !self.is_over && !self.pieces.origin.pipe.is_abandoned() {
            return Pulled::More(self.pieces);
        }
        // A generator that has ended, also by an exception of its own, is closed already.
        let closed = match self.pieces.iterator.take() {
            Some(iterator) => close(iterator.bind(py)),
            None => Ok(()),
        };
        match outcome.and(closed) {
            Ok(()) => Pulled::End,
            Err(error) => Pulled::Failed(self.pieces.origin.failed(py, &error)),
        }
    }
}

//! Streams of `async def` generators and other asynchronous iterables, driven on the loop.

use std::sync::Arc;

use pyo3::exceptions::PyBrokenPipeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::pipe::Pipe;
use super::{Failure, Origin, read_piece};
use crate::dispatch::Work;

/// The task that makes all pieces of a stream.
pub(super) struct Drive {
    pieces: Py<PyAny>,
    origin: Origin,
}

impl Drive {
    pub(super) fn new(pieces: Py<PyAny>, origin: Origin) -> Self {
        Self { pieces, origin }
    }
}

impl Work for Drive {
    type Answer = Result<(), Failure>;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static DRIVE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let drive = DRIVE.import(py, "apifrom._stream", "drive")?;
        let sender = Bound::new(
            py,
            Sender {
                pipe: Arc::clone(&self.origin.pipe),
            },
        )?;
        let coroutine = drive.call1((&self.pieces, sender))?;
        Ok(coroutine.unbind())
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Result<(), Failure> {
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => Err(self.origin.failed(py, &error)),
        }
    }
}

/// Takes the pieces of one stream.
#[pyclass(frozen)]
pub(super) struct Sender {
    pipe: Arc<Pipe>,
}

#[pymethods]
impl Sender {
    /// Takes a piece. Returns a future to wait for before the next one, or nothing while there is
    /// room.
    fn __call__(&self, piece: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = piece.py();
        let piece = read_piece(piece)?;
        if piece.is_empty() || self.pipe.push(piece) {
            return Ok(None);
        }
        if self.pipe.is_abandoned() {
            return Err(PyBrokenPipeError::new_err("the client has gone"));
        }
        let running = RUNNING.import(py, "asyncio", "get_running_loop")?;
        let future = running
            .call0()?
            .call_method0(intern!(py, "create_future"))?;
        match self.pipe.wait_for_room(future.clone().unbind()) {
            // The client has taken enough since.
            Some(_) => Ok(None),
            None => Ok(Some(future.unbind())),
        }
    }
}

//! The awaitables that hand out a body.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use apifrom::Body;
use apifrom::extract::read_json;
use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};
use pyo3::{PyTraverseError, PyVisit, intern};

use super::parts::FormData;
use super::refused::Refused;
use super::waiter::Waiter;
use super::{BaseRequest, Held, Request, Source};
use crate::json;

/// In which form a body is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Body,
    Json,
    Form,
    /// The next piece of a stream.
    Piece {
        is_first: bool,
    },
}

/// Waits for a body, or a piece of it. What has arrived is handed over without waiting.
#[pyclass(frozen)]
pub(crate) struct Reading {
    request: Py<BaseRequest>,
    want: Want,
    /// What the asyncio future that is waited for yields.
    waiting: Mutex<Option<Py<PyIterator>>>,
}

impl Reading {
    pub(super) fn new(request: &Bound<'_, BaseRequest>, want: Want) -> Self {
        Self {
            request: request.clone().unbind(),
            want,
            waiting: Mutex::new(None),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Py<PyIterator>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, or a future to wait for.
    fn look<'py>(&self, py: Python<'py>) -> PyResult<Result<Py<PyAny>, Bound<'py, PyAny>>> {
        let request = self.request.bind(py);
        let body = request.get().shared_body();
        loop {
            let look = match self.want {
                Want::Piece { is_first } => body.piece(is_first),
                _ => body.whole()?,
            };
            if let Some(read) = look {
                let bytes = read.map_err(|refused| refused.into_error(py))?;
                return convert(request, self.want, &bytes).map(Ok);
            }
            let (future, waiter) = Waiter::future(py)?;
            if body.wait(waiter) {
                return Ok(Err(future));
            }
        }
    }
}

#[pymethods]
impl Reading {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loop {
            let waiting = self.waiting().take();
            if let Some(waiting) = waiting {
                let mut futures = waiting.bind(py).clone();
                if let Some(future) = futures.next() {
                    let future = future?;
                    *self.waiting() = Some(waiting);
                    return Ok(future);
                }
            }
            match self.look(py)? {
                Ok(value) => return Err(PyStopIteration::new_err((value,))),
                Err(future) => {
                    let futures = future.call_method0(intern!(py, "__await__"))?;
                    *self.waiting() = Some(futures.cast_into::<PyIterator>()?.unbind());
                }
            }
        }
    }

    /// Goes on; part of being a coroutine, so that a task can be made of it.
    fn send<'py>(
        &self,
        py: Python<'py>,
        _value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.__next__(py)
    }

    /// Ends with an exception.
    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = traceback;
        self.close();
        let raised = match value {
            Some(value) if value.is_instance(kind).unwrap_or(false) => value.clone(),
            Some(value) => kind.call1((value,))?,
            None => kind.clone(),
        };
        Err(PyErr::from_value(raised))
    }

    /// Gives up.
    fn close(&self) {
        let before = self.waiting().take();
        drop(before);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.request)?;
        // A thread that holds the lock is using what it guards, so nothing in it is garbage.
        match self.waiting.try_lock() {
            Ok(waiting) => visit.call(&*waiting),
            Err(_) => Ok(()),
        }
    }
}

/// The pieces of a body, as they arrive.
#[pyclass(frozen)]
pub(crate) struct Pieces {
    request: Py<BaseRequest>,
    has_begun: AtomicBool,
}

impl Pieces {
    pub(super) fn new(request: &Bound<'_, BaseRequest>) -> Self {
        Self {
            request: request.clone().unbind(),
            has_begun: AtomicBool::new(false),
        }
    }
}

#[pymethods]
impl Pieces {
    fn __aiter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> Reading {
        let has_begun = self.has_begun.swap(true, Ordering::Relaxed);
        let want = Want::Piece {
            is_first: !has_begun,
        };
        Reading::new(self.request.bind(py), want)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.request)
    }
}

/// A body in the form that was asked for.
pub(super) fn convert(
    request: &Bound<'_, BaseRequest>,
    want: Want,
    bytes: &Bytes,
) -> PyResult<Py<PyAny>> {
    let py = request.py();
    match want {
        Want::Piece { .. } if bytes.is_empty() => Err(PyStopAsyncIteration::new_err(())),
        Want::Body | Want::Piece { .. } => Ok(PyBytes::new(py, bytes).into_any().unbind()),
        Want::Json => {
            let bytes = request.get().judge_json(bytes)?;
            let bytes = bytes.map_err(|refused| refused.into_error(py))?;
            json::read(py, &bytes)
        }
        Want::Form => {
            let is_async = request.is_instance_of::<Request>();
            let form = request.get().judge_form(bytes, is_async)?;
            let form = form.map_err(|refused| refused.into_error(py))?;
            Ok(Bound::new(py, form)?.into_any().unbind())
        }
    }
}

impl BaseRequest {
    /// The engine's own verdict on a body that is to be JSON.
    fn judge_json(&self, bytes: &Bytes) -> PyResult<Result<Bytes, Refused>> {
        let mut held = self.lock();
        let depth = held.facts.max_json_depth;
        let request = held.whole_with(bytes)?;
        let verdict = at_once(read_json(request, depth, false));
        Ok(match verdict {
            Some(Ok(Some(bytes))) => Ok(bytes),
            Some(Err(rejection)) => Err(Refused::of(&rejection)),
            _ => Err(Refused::new(
                400,
                "json_empty",
                "expected a JSON value, found nothing",
            )),
        })
    }

    /// The engine's own verdict on a body that is to be a form.
    fn judge_form(
        &self,
        bytes: &Bytes,
        is_async: bool,
    ) -> PyResult<Result<PyClassInitializer<FormData>, Refused>> {
        let mut held = self.lock();
        let request = held.whole_with(bytes)?;
        Ok(FormData::read(request.head(), bytes, is_async))
    }
}

impl Held {
    /// The request with a body that was read before.
    fn whole_with(&mut self, bytes: &Bytes) -> PyResult<&mut apifrom::Request> {
        match &mut self.source {
            Source::Whole(request) => {
                *request.body() = Body::full(bytes.clone());
                Ok(request)
            }
            Source::Copied(_) => Err(PyRuntimeError::new_err(
                "the request was passed on; read its body before",
            )),
        }
    }
}

/// What a future comes to that has nothing to wait for.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

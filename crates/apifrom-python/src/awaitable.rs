//! A future of the engine's that Python code awaits.
//!
//! It is polled where it is awaited, with the worker's runtime at hand. On a loop that is not ours the
//! calls that it left are made at once ([`reactor::make_guest_calls`]); on ours the turn's end makes
//! them. Cancelling whoever awaits it drops the future, which gives up what the future stands for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::reactor;
use crate::request::Waiter;

/// Turns what a future came to into Python's value, or its exception.
pub(crate) type Made = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What `await` takes.
#[pyclass(frozen)]
pub(crate) struct Awaitable {
    state: Mutex<State>,
    bell: Arc<Bell>,
}

struct State {
    step: Step,
    /// What the asyncio future that is waited for yields.
    waiting: Option<Py<PyIterator>>,
}

enum Step {
    Pending(Pin<Box<dyn Future<Output = Made> + Send>>),
    Ready(Made),
    /// Over, given up, or being polled.
    Gone,
}

impl Awaitable {
    /// Awaits `future`.
    pub(crate) fn new(future: impl Future<Output = Made> + Send + 'static) -> Self {
        Self {
            state: Mutex::new(State {
                step: Step::Pending(Box::pin(future)),
                waiting: None,
            }),
            bell: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it came to, or an asyncio future to wait for.
    fn look<'py>(&self, py: Python<'py>) -> PyResult<Result<Made, Bound<'py, PyAny>>> {
        loop {
            if self.poll(py)? {
                let step = std::mem::replace(&mut self.lock().step, Step::Gone);
                if let Step::Ready(made) = step {
                    return Ok(Ok(made));
                }
            }
            let (future, waiter) = Waiter::future(py)?;
            if self.bell.wait(waiter) {
                return Ok(Err(future));
            }
        }
    }

    /// Polls until it is ready, or nothing has woken it since: false.
    fn poll(&self, py: Python<'_>) -> PyResult<bool> {
        loop {
            let step = std::mem::replace(&mut self.lock().step, Step::Gone);
            let mut future = match step {
                Step::Pending(future) => future,
                ready @ Step::Ready(_) => {
                    self.lock().step = ready;
                    return Ok(true);
                }
                Step::Gone => {
                    return Err(PyRuntimeError::new_err("this was awaited already"));
                }
            };
            self.bell.reset();
            let waker = Waker::from(Arc::clone(&self.bell));
            let polled = reactor::inside(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
            let is_ready = polled.is_ready();
            self.lock().step = match polled {
                Poll::Ready(made) => Step::Ready(made),
                Poll::Pending => Step::Pending(future),
            };
            if is_ready {
                return Ok(true);
            }
            reactor::make_guest_calls(py);
            if !self.bell.was_rung() {
                return Ok(false);
            }
        }
    }
}

#[pymethods]
impl Awaitable {
    /// Goes as far as it gets without waiting; true when it is ready.
    fn ready(&self, py: Python<'_>) -> PyResult<bool> {
        self.poll(py)
    }

    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loop {
            let waiting = self.lock().waiting.take();
            if let Some(waiting) = waiting {
                let mut futures = waiting.bind(py).clone();
                if let Some(future) = futures.next() {
                    let future = future?;
                    self.lock().waiting = Some(waiting);
                    return Ok(future);
                }
            }
            match self.look(py)? {
                Ok(made) => return Err(PyStopIteration::new_err((made(py)?,))),
                Err(future) => {
                    let futures = future.call_method0(intern!(py, "__await__"))?;
                    self.lock().waiting = Some(futures.cast_into::<PyIterator>()?.unbind());
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
        let mut state = self.lock();
        let before = (
            std::mem::replace(&mut state.step, Step::Gone),
            state.waiting.take(),
        );
        drop(state);
        drop(before);
    }
}

/// Knows whether the future was woken since it was polled, and whom to tell.
#[derive(Default)]
struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    rung: bool,
    waiter: Option<Waiter>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self) {
        let mut state = self.lock();
        state.rung = false;
        let before = state.waiter.take();
        drop(state);
        drop(before);
    }

    fn was_rung(&self) -> bool {
        self.lock().rung
    }

    /// Keeps who waits; false when there is something to look at already.
    fn wait(&self, waiter: Waiter) -> bool {
        let mut state = self.lock();
        if state.rung {
            drop(state);
            drop(waiter);
            return false;
        }
        state.waiter = Some(waiter);
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let mut state = self.lock();
        state.rung = true;
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.call();
        }
    }
}

//! One `select` of the loop: turns of the tokio runtime until the loop has something to do.
//!
//! 1. Calls that wait for the interpreter, callbacks that are ready, or a time-out of zero: tokio
//!    gets one pass over its tasks and its events, without waiting.
//! 2. Otherwise it runs until one of Python's descriptors is ready, the time-out has passed, a call
//!    needs the interpreter, another thread sent something, or the worker is to stop.
//! 3. Then the calls are made. If they left the loop neither a callback nor another first timer,
//!    tokio turns again, and Python's loop never knows.
//!
//! The stock contract is level-triggered: a descriptor that was reported and not read to its end is
//! reported again. tokio sees Python's epoll edge-triggered, so after each report and each change
//! of what is watched that epoll is looked at before anything waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::local::{self, Local};
use super::{ffi, now};
use crate::dispatch;

/// Twice: the first pass runs what is ready, the second what its events made ready.
const PASSES: u8 = 2;

/// How a turn ends.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// After a pass over what is ready.
    None,
    /// When there is something to do, at the latest at that time.
    Until(Instant),
    /// When there is something to do.
    Endless,
}

/// Turns the reactor; what a selector's `select` does.
#[pyfunction]
pub(super) fn select(py: Python<'_>, timeout: Option<f64>) -> PyResult<Bound<'_, PyAny>> {
    let local = local::current().ok_or_else(|| {
        PyRuntimeError::new_err("this loop runs on the thread of its worker alone")
    })?;
    let timers = local.python().timers(py)?;
    let limit = match timeout {
        None => Patience::Endless,
        Some(seconds) if seconds > 0.0 => Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|wait| now().checked_add(wait))
            .map_or(Patience::Endless, Patience::Until),
        Some(_) => Patience::None,
    };
    loop {
        let missed = local.touched().get() && local.looks_readable();
        local.touched().set(missed);
        let patience = if missed || !local.is_idle() {
            Patience::None
        } else {
            limit
        };
        let readable = py.detach(|| local::with_local(|local| local.turn(patience))) == Some(true);
        dispatch::run_batch(py, &local);
        if local.shared().take_stop() {
            local
                .python()
                .event_loop(py)
                .call_method0(pyo3::intern!(py, "stop"))?;
            return local.events(py);
        }
        if missed || readable {
            return local.events(py);
        }
        if is_due(limit)
            || local.python().has_callbacks(py)?
            || timers.need_the_loop(local.python().timers(py)?)
        {
            return Ok(PyList::empty(py).into_any());
        }
    }
}

/// Told by the selector that what it watches has changed.
#[pyfunction]
pub(super) fn touched() {
    local::with_local(|local| local.touched().set(true));
}

fn is_due(limit: Patience) -> bool {
    match limit {
        Patience::None => true,
        Patience::Until(end) => now() >= end,
        Patience::Endless => false,
    }
}

impl Local {
    /// The events of Python's descriptors. Whoever reads only part of what is there hears of the
    /// rest again.
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.touched().set(true);
        self.python().look(py)
    }

    fn looks_readable(&self) -> bool {
        self.epoll()
            .borrow()
            .as_ref()
            .is_some_and(ffi::readable_now)
    }

    /// Turns the runtime; true when one of Python's descriptors is ready. The interpreter is free
    /// meanwhile.
    fn turn(&self, patience: Patience) -> bool {
        let runtime = self.runtime().borrow();
        let Some(runtime) = runtime.as_ref() else {
            return false;
        };
        let mut passes = if matches!(patience, Patience::None) {
            PASSES
        } else {
            0
        };
        runtime.block_on(async {
            let mut due = pin!(match patience {
                Patience::Until(end) => Some(tokio::time::sleep_until(end.into())),
                Patience::None | Patience::Endless => None,
            });
            poll_fn(|context| {
                self.flush_wakes();
                if passes > 0 {
                    passes -= 1;
                    // Runs what is ready, then looks at events without waiting for one, and comes
                    // back here.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.shared().set_waker(context.waker());
                if self.poll_readable(context) {
                    return Poll::Ready(true);
                }
                let is_over = matches!(patience, Patience::None)
                    || !self.is_idle()
                    || self.shared().is_waiting()
                    || due
                        .as_mut()
                        .as_pin_mut()
                        .is_some_and(|due| due.poll(context).is_ready());
                if is_over {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            })
            .await
        })
    }

    /// Whether tokio has seen Python's epoll become readable. The mark is taken off before Python
    /// looks, so that what comes later is seen as new.
    fn poll_readable(&self, context: &mut Context<'_>) -> bool {
        let epoll = self.epoll().borrow();
        let Some(epoll) = epoll.as_ref() else {
            return false;
        };
        match epoll.poll_read_ready(context) {
            Poll::Ready(Ok(mut guard)) => {
                guard.clear_ready();
                true
            }
            // An error says that the runtime is going, which nobody does during a turn.
            Poll::Ready(Err(_)) | Poll::Pending => false,
        }
    }
}

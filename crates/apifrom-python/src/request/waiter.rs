//! Who waits for a body, and how to reach them.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::dispatch::Work;
use crate::reactor::{self, Shared};
use crate::stream::{Lanes, Resolve, detached};

/// Something that waits.
pub(crate) enum Waiter {
    /// An asyncio future on the loop of a worker, a guest's included.
    Ours {
        future: Py<PyAny>,
        shared: Arc<Shared>,
        lanes: Lanes,
    },
    /// An asyncio future on another loop.
    Foreign {
        future: Py<PyAny>,
        event_loop: Py<PyAny>,
        lanes: Lanes,
    },
    /// A thread.
    Thread(SyncSender<()>),
}

impl Waiter {
    /// A future of the loop that runs, and what resolves it.
    pub(crate) fn future(py: Python<'_>) -> PyResult<(Bound<'_, PyAny>, Self)> {
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let event_loop = RUNNING.import(py, "asyncio", "get_running_loop")?.call0()?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let lanes = Lanes::of(py);
        let shared = reactor::with_local(|local| {
            let is_its = local.python().event_loop(py).is(&event_loop);
            is_its.then(|| Arc::clone(local.shared()))
        });
        let waiter = match shared.flatten() {
            Some(shared) => Self::Ours {
                future: future.clone().unbind(),
                shared,
                lanes,
            },
            None => Self::Foreign {
                future: future.clone().unbind(),
                event_loop: event_loop.unbind(),
                lanes,
            },
        };
        Ok((future, waiter))
    }

    /// Has whoever waits look again. May be called on any thread, without the interpreter.
    pub(crate) fn call(self) {
        match self {
            Self::Ours {
                future,
                shared,
                lanes,
            } => detached(Some(&shared), lanes.inline(), Resolve { future }),
            Self::Foreign {
                future,
                event_loop,
                lanes,
            } => detached(None, lanes.pool(), Tell { future, event_loop }),
            Self::Thread(sender) => {
                // Nobody is there any more only if the thread has given up.
                let _ = sender.try_send(());
            }
        }
    }
}

/// Resolves a future of another thread's loop.
struct Tell {
    future: Py<PyAny>,
    event_loop: Py<PyAny>,
}

impl Work for Tell {
    type Answer = ();

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static RESOLVE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let resolve = RESOLVE.import(py, "apifrom._stream", "resolve")?;
        self.event_loop.call_method1(
            py,
            intern!(py, "call_soon_threadsafe"),
            (resolve, &self.future),
        )
    }

    fn finish(self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) {
        if let Err(error) = outcome {
            error.write_unraisable(py, None);
        }
    }
}

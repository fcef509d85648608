//! A worker on a thread of its own, beside a program that does something else.

use std::ffi::c_ulong;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::Notify;

use super::exit;
use super::ffi;
use super::handle::Handle;
use super::worker::Worker;

/// How long a background worker waits for what still runs when it is stopped.
const PATIENCE: Duration = Duration::from_secs(5);
/// What Python code expects of a thread; only what is touched takes memory.
const STACK: usize = 8 << 20;

/// Those that may still run, for the end of the interpreter.
static RUNNING: Mutex<Vec<Weak<State>>> = Mutex::new(Vec::new());

/// A running worker on another thread. Dropping it asks the worker to stop and does not wait.
pub(crate) struct Background {
    handle: Handle,
    state: Arc<State>,
}

/// What stops a worker, and whether it has.
#[derive(Default)]
struct State {
    stop: Notify,
    thread: Mutex<Option<JoinHandle<PyResult<()>>>>,
    ended: AtomicBool,
    /// What Python calls the thread, once it has started.
    ident: OnceLock<c_ulong>,
}

impl Background {
    /// Starts a worker, and returns once `setup` succeeded on its thread. `teardown` runs there
    /// before the loop ends.
    ///
    /// # Errors
    /// What `setup` raised, or `OSError` when no thread could be started.
    pub(crate) fn start<S, T>(py: Python<'_>, setup: S, teardown: T) -> PyResult<Self>
    where
        S: FnOnce(Python<'_>, &Worker) -> PyResult<()> + Send + 'static,
        T: FnOnce(Python<'_>, &Worker) -> PyResult<()> + Send + 'static,
    {
        exit::register(py)?;
        let state = Arc::new(State::default());
        let (ready, started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("apifrom-worker".to_owned())
            .stack_size(STACK)
            .spawn({
                let state = Arc::clone(&state);
                move || {
                    state.ident.get_or_init(ffi::thread_ident);
                    let served = Python::attach(|py| serve(py, setup, teardown, &state, ready));
                    state.ended.store(true, Ordering::Release);
                    served
                }
            })?;
        match py.detach(move || started.recv()) {
            Ok(handle) => {
                *lock(&state.thread) = Some(thread);
                let mut running = lock(&RUNNING);
                running.retain(|other| other.strong_count() > 0);
                running.push(Arc::downgrade(&state));
                drop(running);
                Ok(Self { handle, state })
            }
            Err(_) => Err(joined(py, thread)
                .err()
                .unwrap_or_else(|| PyRuntimeError::new_err("the worker did not start"))),
        }
    }

    /// What reaches the worker.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Stops the worker and waits for its end; later calls do nothing. On the worker's own thread, where
    /// a finaliser may come to call it, nothing is waited for.
    ///
    /// # Errors
    /// What running or ending the worker raised.
    pub(crate) fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let thread = lock(&self.state.thread).take();
        self.state.stop.notify_one();
        match thread {
            Some(thread) if thread.thread().id() != thread::current().id() => joined(py, thread),
            _ => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.state.stop.notify_one();
    }
}

/// A worker that was asked to stop because the interpreter ends.
pub(super) struct Stopping(Arc<State>);

impl Stopping {
    pub(super) fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// What Python calls its thread.
    pub(super) fn ident(&self) -> Option<c_ulong> {
        self.0.ident.get().copied()
    }
}

/// Asks all of them to stop.
pub(super) fn stop_all() -> Vec<Stopping> {
    let running = mem::take(&mut *lock(&RUNNING));
    let states = running.iter().filter_map(Weak::upgrade);
    states
        .map(|state| {
            state.stop.notify_one();
            Stopping(state)
        })
        .collect()
}

/// Forgets them in a forked child, which has none of their threads.
pub(super) fn forget_all() {
    drop(mem::take(&mut *lock(&RUNNING)));
}

/// A worker's whole life on its own thread.
fn serve(
    py: Python<'_>,
    setup: impl FnOnce(Python<'_>, &Worker) -> PyResult<()>,
    teardown: impl FnOnce(Python<'_>, &Worker) -> PyResult<()>,
    state: &Arc<State>,
    ready: mpsc::SyncSender<Handle>,
) -> PyResult<()> {
    let worker = Worker::new(py)?;
    if let Err(error) = setup(py, &worker) {
        worker.close(py, PATIENCE)?;
        return Err(error);
    }
    // Nobody waits any more only if the starting thread has died.
    let _ = ready.send(worker.handle().clone());
    drop(ready);
    let stopped = Arc::clone(state);
    let shared = Arc::clone(worker.handle().shared());
    let ran = worker.run(py, async move {
        stopped.stop.notified().await;
        shared.settled(PATIENCE).await;
    });
    let torn_down = teardown(py, &worker);
    worker.close(py, PATIENCE)?;
    ran.and(torn_down)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a thread with the interpreter let go, since the thread needs it to end.
fn joined(py: Python<'_>, thread: JoinHandle<PyResult<()>>) -> PyResult<()> {
    py.detach(|| thread.join())
        .unwrap_or_else(|_| Err(PyRuntimeError::new_err("the worker panicked")))
}

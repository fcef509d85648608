//! The threads that run each `def` which may wait or compute for long.
//!
//! 1. Up to 256 threads, started on demand, ended after ten idle seconds. The one that was idle
//!    last is used first, so that a light load lets the others end.
//! 2. Up to 1,024 calls wait when all of them are busy; beyond that a call is refused as
//!    [`Refusal::Busy`].
//! 3. A thread keeps its Python thread state for life, and holds the interpreter only while it
//!    makes a call. What it measures begins when it holds the interpreter.
//!
//! One pool serves the whole process, whichever worker a call comes from.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::c_ulong;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

use super::{Queued, Refusal};
use crate::reactor::{self, Shared, exit, ffi, fork, now};

const THREADS: usize = 256;
const QUEUE: usize = 1_024;
const IDLE: Duration = Duration::from_secs(10);
/// What Python code expects of a thread: its C parts recurse deeper than Rust's 2 MiB allow. Only
/// what is touched takes memory.
const STACK: usize = 8 << 20;

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

thread_local! {
    /// The lock of the pool while this thread forks: a child could not have it back from a thread
    /// that it has not.
    static HELD: RefCell<Option<MutexGuard<'static, State>>> = const { RefCell::new(None) };
}

/// The threads and what waits for them.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Queued, Option<Arc<Shared>>)>,
    /// Those that take calls, or will.
    threads: usize,
    /// Those that take none any more, and wait for the interpreter to end.
    leaving: usize,
    /// What Python calls those that make a call.
    busy: Vec<c_ulong>,
    /// Those that wait; whoever takes one out wakes it, and leaves it a call.
    idle: Vec<Thread>,
    /// True while a new thread has not looked into the queue yet.
    starting: bool,
    /// True once the interpreter is about to end.
    ending: bool,
}

impl State {
    /// A thread takes no more calls: from here on another is started in its place.
    fn leave(&mut self) {
        self.threads -= 1;
        self.leaving += 1;
    }
}

impl Pool {
    /// The pool of the process.
    pub(crate) fn global() -> &'static Self {
        &POOL
    }

    /// Queues a call. `shared` is the worker it belongs to, whose context it runs in.
    pub(super) fn submit(&'static self, queued: Queued, shared: Option<Arc<Shared>>) {
        let mut state = self.lock();
        // A burst is not refused for coming faster than threads start.
        let refusal = if state.ending {
            Some(Refusal::Closed)
        } else if state.busy.len() + state.queue.len() >= THREADS + QUEUE {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            drop(state);
            return queued.ticket.refuse(refusal);
        }
        state.queue.push_back((queued, shared));
        match state.idle.pop() {
            Some(thread) => {
                drop(state);
                thread.unpark();
            }
            None => self.grow(state),
        }
    }

    /// Calls that run, and calls that wait for a thread.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.busy.len(), state.queue.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread, which starts the next if that is not enough: whoever submits pays for one
    /// at most.
    fn grow(&'static self, mut state: MutexGuard<'_, State>) {
        if state.starting || state.threads >= THREADS {
            return;
        }
        state.starting = true;
        state.threads += 1;
        drop(state);
        let started = thread::Builder::new()
            .name("apifrom-pool".to_owned())
            .stack_size(STACK)
            .spawn(move || self.serve());
        if started.is_err() {
            let mut state = self.lock();
            state.starting = false;
            state.threads -= 1;
            // With no thread at all nothing would ever take the call.
            let stranded = if state.threads == 0 {
                state.queue.pop_front()
            } else {
                None
            };
            drop(state);
            if let Some((queued, _)) = stranded {
                queued.ticket.refuse(Refusal::Busy);
            }
        }
    }

    /// What a thread does all its life.
    fn serve(&'static self) {
        let mut state = self.lock();
        state.starting = false;
        // The first of the queue is for this thread.
        if state.queue.len() > 1 {
            self.grow(state);
        } else {
            drop(state);
        }
        // Nothing is done where the interpreter has ended, and every call with it.
        let served = Python::try_attach(|py| {
            if let Err(error) = exit::register(py).and_then(|()| fork::register(py)) {
                error.write_unraisable(py, None);
            }
            let ident = ffi::thread_ident();
            let mut answered = None;
            while let Some((queued, shared)) = py.detach(|| self.next(ident, answered.take())) {
                let run = AssertUnwindSafe(|| run(py, queued, shared));
                // A panic has dropped the ticket, which answers the request.
                answered = catch_unwind(run).ok().flatten();
            }
        });
        let mut state = self.lock();
        if served.is_some() {
            state.leaving -= 1;
        } else {
            state.threads -= 1;
        }
    }

    /// Takes no more calls, gives up those that wait, and raises `SystemExit` in those that run.
    pub(crate) fn end(&self, py: Python<'_>) {
        let mut state = self.lock();
        state.ending = true;
        let waiting = mem::take(&mut state.queue);
        let idle = mem::take(&mut state.idle);
        let busy = state.busy.clone();
        drop(state);
        drop(waiting);
        for thread in idle {
            thread.unpark();
        }
        let exit = py.get_type::<PySystemExit>();
        for ident in busy {
            ffi::raise_in(ident, &exit);
        }
    }

    /// Before a fork: nothing changes until it is over.
    pub(crate) fn hold() {
        HELD.set(Some(Self::global().lock()));
    }

    /// After a fork, in the parent.
    pub(crate) fn go_on() {
        drop(HELD.take());
    }

    /// After a fork, in the child, which has none of the threads and none of the calls.
    pub(crate) fn begin_anew() {
        if let Some(mut state) = HELD.take() {
            mem::forget(mem::take(&mut *state));
        }
    }

    /// True when no thread is left.
    pub(crate) fn has_ended(&self) -> bool {
        let state = self.lock();
        state.threads == 0 && state.leaving == 0
    }

    /// What Python calls the threads that make a call.
    pub(crate) fn busy(&self) -> Vec<c_ulong> {
        self.lock().busy.clone()
    }

    /// Wakes who waits for the last answer, then waits for the next call. None: be gone.
    fn next(
        &self,
        ident: c_ulong,
        answered: Option<Waker>,
    ) -> Option<(Queued, Option<Arc<Shared>>)> {
        if let Some(waker) = answered {
            waker.wake();
        }
        let mut state = self.lock();
        if let Some(seat) = state.busy.iter().position(|busy| *busy == ident) {
            state.busy.swap_remove(seat);
        }
        loop {
            if let Some(next) = state.queue.pop_front() {
                state.busy.push(ident);
                return Some(next);
            }
            if state.ending {
                state.leave();
                return None;
            }
            state.idle.push(thread::current());
            drop(state);
            thread::park_timeout(IDLE);
            state = self.lock();
            let me = thread::current().id();
            // Still among the idle: nobody woke it, so its time is over.
            if let Some(seat) = state.idle.iter().position(|thread| thread.id() == me) {
                state.idle.remove(seat);
                if state.queue.is_empty() {
                    state.leave();
                    return None;
                }
            }
        }
    }
}

/// Makes one call on this thread.
fn run(py: Python<'_>, queued: Queued, shared: Option<Arc<Shared>>) -> Option<Waker> {
    let begin = now();
    let context = ffi::copy_context(py, queued.base(shared.as_deref()));
    let Queued { route, ticket, .. } = queued;
    let waker = reactor::while_serving(shared, || {
        let outcome =
            context.and_then(|context| ffi::run_in(&context, || ticket.call(py).transpose()));
        if let Some(outcome) = outcome.transpose() {
            ticket.finish(py, outcome)
        } else {
            ticket.forget();
            None
        }
    });
    route.took_in_pool(now().duration_since(begin));
    // The call may have run a loop of its own.
    reactor::let_go_of_closed(py);
    waker
}

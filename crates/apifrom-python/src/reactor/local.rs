//! The state of a worker that only its own thread touches.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use pyo3::prelude::*;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Runtime};

use super::guest::Bell;
use super::handle::Shared;
use super::python::PythonLoop;
use crate::dispatch::{Delays, Queued, Route};

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// The first step of a task, and the context that it runs in.
pub(crate) type Step = (Py<PyAny>, Py<PyAny>);

/// What the thread of a worker holds.
///
/// Every borrow of a cell is over before Python or a future runs, so that both may come back here.
pub(crate) struct Local {
    /// Declared before the runtime, because it must be deregistered first.
    epoll: RefCell<Option<AsyncFd<OwnedFd>>>,
    runtime: RefCell<Option<Runtime>>,
    shared: Arc<Shared>,
    python: PythonLoop,
    jobs: RefCell<VecDeque<Queued>>,
    wakes: RefCell<Vec<Waker>>,
    /// The route of the `def` that runs on this thread.
    inline: RefCell<Option<Arc<Route>>>,
    delays: Delays,
    /// True when Python's epoll may hold something that it will not report again by itself.
    touched: Cell<bool>,
    step: RefCell<Option<Step>>,
    /// Has a loop that is not ours come back here.
    bell: Option<Arc<Bell>>,
}

impl Local {
    pub(super) fn new(
        runtime: Runtime,
        epoll: AsyncFd<OwnedFd>,
        shared: Arc<Shared>,
        python: PythonLoop,
    ) -> Self {
        Self {
            epoll: RefCell::new(Some(epoll)),
            runtime: RefCell::new(Some(runtime)),
            ..Self::without_reactor(shared, python, None)
        }
    }

    /// The state of a thread whose loop is not ours.
    pub(super) fn guest(shared: Arc<Shared>, python: PythonLoop, bell: Arc<Bell>) -> Self {
        Self::without_reactor(shared, python, Some(bell))
    }

    fn without_reactor(shared: Arc<Shared>, python: PythonLoop, bell: Option<Arc<Bell>>) -> Self {
        Self {
            epoll: RefCell::new(None),
            runtime: RefCell::new(None),
            shared,
            python,
            jobs: RefCell::default(),
            wakes: RefCell::default(),
            inline: RefCell::default(),
            delays: Delays::of_this_thread(),
            touched: Cell::new(true),
            step: RefCell::default(),
            bell,
        }
    }

    /// True where the loop is not ours.
    pub(crate) fn is_guest(&self) -> bool {
        self.bell.is_some()
    }

    pub(super) fn bell(&self) -> Option<&Arc<Bell>> {
        self.bell.as_ref()
    }

    pub(super) fn runtime_handle(&self) -> Option<Handle> {
        self.runtime
            .borrow()
            .as_ref()
            .map(|runtime| runtime.handle().clone())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn python(&self) -> &PythonLoop {
        &self.python
    }

    pub(crate) fn delays(&self) -> &Delays {
        &self.delays
    }

    pub(super) fn runtime(&self) -> &RefCell<Option<Runtime>> {
        &self.runtime
    }

    pub(super) fn epoll(&self) -> &RefCell<Option<AsyncFd<OwnedFd>>> {
        &self.epoll
    }

    pub(super) fn touched(&self) -> &Cell<bool> {
        &self.touched
    }

    /// True when nothing waits for the interpreter.
    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.borrow().is_empty() && !self.shared.has_errands()
    }

    /// Queues a call, and ends the turn that is under way once all its tasks had theirs.
    pub(crate) fn push(&self, queued: Queued) {
        let mut jobs = self.jobs.borrow_mut();
        jobs.push_back(queued);
        if jobs.len() == 1 {
            self.shared.wake();
        }
    }

    pub(crate) fn pop(&self) -> Option<Queued> {
        self.jobs.borrow_mut().pop_front()
    }

    /// Wakes a future of this runtime when the next turn begins. Woken from outside a turn it
    /// would cost a system call. On a loop that is not ours it is woken at once.
    pub(crate) fn wake(&self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.is_guest() {
            waker.wake();
        } else {
            self.wakes.borrow_mut().push(waker);
        }
    }

    /// Wakes what was kept for the turn that has begun.
    pub(super) fn flush_wakes(&self) {
        if self.wakes.borrow().is_empty() {
            return;
        }
        let mut wakes = mem::take(&mut *self.wakes.borrow_mut());
        for waker in wakes.drain(..) {
            waker.wake();
        }
        // The room is kept. Waking only puts tasks into the runtime's queue, so nothing was added.
        let mut kept = self.wakes.borrow_mut();
        if kept.is_empty() {
            *kept = wakes;
        }
    }

    /// Runs `call` as the inline call of `route`.
    pub(crate) fn while_inline(&self, route: Arc<Route>, call: impl FnOnce()) -> Arc<Route> {
        let fallback = Arc::clone(&route);
        let outer = self.inline.borrow_mut().replace(route);
        call();
        let route = mem::replace(&mut *self.inline.borrow_mut(), outer);
        route.unwrap_or(fallback)
    }

    /// Looks at the route of the inline call that runs, if one does.
    pub(crate) fn with_inline_route(&self, look: impl FnOnce(&Route)) {
        if let Some(route) = &*self.inline.borrow() {
            look(route);
        }
    }

    /// Keeps the first step of the task that is being built, and its context.
    pub(crate) fn keep_step(&self, step: Step) {
        *self.step.borrow_mut() = Some(step);
    }

    pub(crate) fn take_step(&self) -> Option<Step> {
        self.step.borrow_mut().take()
    }

    /// Gives up the runtime, and with it all its tasks.
    pub(super) fn close(&self) {
        self.shared.close();
        drop(self.epoll.borrow_mut().take());
        let runtime = self.runtime.borrow_mut().take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
        drop(mem::take(&mut *self.jobs.borrow_mut()));
        drop(mem::take(&mut *self.wakes.borrow_mut()));
    }
}

/// The state of the worker whose thread this is.
pub(super) fn current() -> Option<Rc<Local>> {
    LOCAL
        .try_with(|local| local.borrow().clone())
        .ok()
        .flatten()
}

/// Makes `local` the state of this thread's worker; false when it has one already.
pub(super) fn install(local: &Rc<Local>) -> bool {
    LOCAL.with(|slot| {
        let mut slot = slot.borrow_mut();
        let free = slot.is_none();
        if free {
            *slot = Some(Rc::clone(local));
        }
        free
    })
}

/// Makes this a thread without a worker again.
pub(super) fn uninstall() {
    let local = LOCAL.try_with(|slot| slot.borrow_mut().take());
    drop(local);
}

/// Calls `look` with the state of this thread's worker, if this is the thread of one.
pub(crate) fn with_local<R>(look: impl FnOnce(&Local) -> R) -> Option<R> {
    LOCAL
        .try_with(|local| local.borrow().as_deref().map(look))
        .ok()
        .flatten()
}

/// True on the thread of a worker of ours. A guest's may belong to a loop that has ended.
pub(crate) fn is_ours() -> bool {
    with_local(|local| !local.is_guest()) == Some(true)
}

/// Queues a call on this thread's worker; gives it back on any other thread.
pub(crate) fn enqueue(queued: Queued) -> Result<(), Queued> {
    let mut queued = Some(queued);
    with_local(|local| {
        if let Some(queued) = queued.take() {
            local.push(queued);
        }
    });
    queued.map_or(Ok(()), Err)
}

/// Wakes a future: with the next turn on a worker's own thread, at once on any other.
pub(crate) fn wake(waker: Option<Waker>) {
    let Some(waker) = waker else { return };
    let mut waker = Some(waker);
    with_local(|local| local.wake(waker.take()));
    if let Some(waker) = waker {
        waker.wake();
    }
}

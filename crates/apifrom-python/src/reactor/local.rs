//! The state of a worker that only its own thread touches.
//!
//! Loops may follow each other on a thread, or one may run while another is suspended: a `def` that is
//! called inline may run a loop of its own. Each has a state of its own, which lives until its loop is
//! closed. Where there are several, the one of the loop that runs is meant, and where none runs, as
//! during an inline call, the one whose calls are being made.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use pyo3::prelude::*;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Runtime};

use super::guest::{self, Bell};
use super::handle::Shared;
use super::python::PythonLoop;
use crate::dispatch::{Delays, Queued, Route};

thread_local! {
    /// The one that is meant, unless `IS_SHARED`: then it is looked up first.
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
    /// All of this thread.
    static ALL: RefCell<Vec<Rc<Local>>> = const { RefCell::new(Vec::new()) };
    /// The one whose calls are being made.
    static MAKING: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
    /// Whose call is made here, on a thread of the pool.
    static SERVED: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    /// True on a thread of the pool, which no loop has for itself.
    static IS_LENT: Cell<bool> = const { Cell::new(false) };
    /// True where the loop that runs decides which one is meant.
    static IS_SHARED: Cell<bool> = const { Cell::new(false) };
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
    /// True while a turn runs.
    turning: Cell<bool>,
    /// The route of the `def` that runs on this thread.
    inline: RefCell<Option<Arc<Route>>>,
    delays: Delays,
    /// True when Python's epoll may hold something that it will not report again by itself.
    touched: Cell<bool>,
    steps: RefCell<VecDeque<Step>>,
    /// What stands in for this loop's `call_soon` while a task is built.
    capture: OnceCell<Py<PyAny>>,
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
            turning: Cell::new(false),
            inline: RefCell::default(),
            delays: Delays::of_this_thread(),
            touched: Cell::new(true),
            steps: RefCell::default(),
            capture: OnceCell::new(),
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
        if let Some(bell) = &self.bell {
            return Some(bell.runtime().clone());
        }
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

    /// Wakes a future of this runtime: at once during a turn, else when the next turn begins, since
    /// woken from outside a turn it would cost a system call. On a loop that is not ours it is woken
    /// at once.
    pub(crate) fn wake(&self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.turning.get() || self.is_guest() {
            waker.wake();
        } else {
            self.wakes.borrow_mut().push(waker);
        }
    }

    /// Wakes what was kept for the turn that has begun.
    pub(super) fn flush_wakes(&self) {
        self.turning.set(true);
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

    /// A turn is over, and its runtime rests.
    pub(crate) fn end_turn(&self) {
        self.turning.set(false);
    }

    /// Runs `make`, which makes the calls that a turn has left.
    pub(crate) fn while_making(self: &Rc<Self>, make: impl FnOnce()) {
        /// Puts back what was there, also after a panic.
        struct Outer(Option<Rc<Local>>);

        impl Drop for Outer {
            fn drop(&mut self) {
                let inner = MAKING.replace(self.0.take());
                drop(inner);
            }
        }

        let outer = Outer(MAKING.replace(Some(Rc::clone(self))));
        make();
        drop(outer);
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

    /// What stands in for `call_soon` of this loop while a task is built.
    pub(crate) fn capture<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        if let Some(capture) = self.capture.get() {
            return Ok(capture.bind(py));
        }
        let parts = (self.python.capture(py), self.python.event_loop(py));
        let bound = py.import("types")?.call_method1("MethodType", parts)?;
        // Only this thread makes it.
        Ok(self.capture.get_or_init(|| bound.unbind()).bind(py))
    }

    /// Keeps what may be the first step of the task that is being built, and its context.
    pub(crate) fn keep_step(&self, step: Step) {
        self.steps.borrow_mut().push_back(step);
    }

    pub(crate) fn take_step(&self) -> Option<Step> {
        self.steps.borrow_mut().pop_front()
    }

    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.borrow().is_empty()
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
    if IS_SHARED.get() {
        look_up();
    }
    LOCAL
        .try_with(|local| local.borrow().clone())
        .ok()
        .flatten()
}

/// Finds out which of several is meant.
#[cold]
fn look_up() {
    // The interpreter is let go during a turn, and nothing else runs.
    let turns = |local: &RefCell<Option<Rc<Local>>>| {
        let local = local.borrow();
        local.as_ref().is_some_and(|local| local.turning.get())
    };
    if LOCAL.try_with(turns).unwrap_or(true) {
        return;
    }
    let running = Python::try_attach(|py| {
        let running = guest::running_loop(py).ok()?;
        let is_its = |local: &&Rc<Local>| local.python().event_loop(py).is(&running);
        let all = ALL.try_with(|all| all.borrow().iter().find(is_its).cloned());
        all.ok().flatten()
    });
    let meant = running
        .flatten()
        .or_else(|| MAKING.try_with(|making| making.borrow().clone()).ok()?)
        .or_else(|| ALL.try_with(|all| ours(&all.borrow()).cloned()).ok()?);
    let before = LOCAL.try_with(|local| local.replace(meant));
    drop(before);
}

/// Adds `local` to this thread.
pub(super) fn install(local: &Rc<Local>) {
    ALL.with_borrow_mut(|all| all.push(Rc::clone(local)));
    let before = LOCAL.replace(Some(Rc::clone(local)));
    drop(before);
    count();
}

/// Takes `local` from this thread again.
pub(super) fn uninstall(local: &Rc<Local>) {
    let others = ALL.with_borrow_mut(|all| {
        all.retain(|other| !Rc::ptr_eq(other, local));
        all.first().cloned()
    });
    let before = LOCAL.replace(others);
    drop(before);
    count();
}

fn count() {
    let several = ALL.with_borrow(|all| all.len() > usize::from(!IS_LENT.get()));
    IS_SHARED.set(several);
}

fn ours(all: &[Rc<Local>]) -> Option<&Rc<Local>> {
    all.iter().find(|local| !local.is_guest())
}

/// True where this thread has a worker of ours.
pub(super) fn has_worker() -> bool {
    ALL.with_borrow(|all| ours(all).is_some())
}

/// Lets go of each guest for which `is_over`, and of all that waits there.
pub(super) fn let_go(is_over: impl Fn(&Local) -> bool) {
    // What is asked may run Python code, which may come back here.
    let guests: Vec<_> = ALL.with_borrow(|all| {
        let guests = all.iter().filter(|local| local.is_guest());
        guests.cloned().collect()
    });
    for guest in guests {
        if is_over(&guest) {
            uninstall(&guest);
            guest.close();
        }
    }
}

/// Lets go of the guests whose loops are closed, where there is more than one state.
pub(crate) fn let_go_of_closed(py: Python<'_>) {
    if IS_SHARED.get() {
        let_go(|local| guest::is_closed(py, local));
    }
}

/// Makes a forked child's thread one without a worker. Dropped there, a runtime would take the parent's
/// descriptors out of the epoll that both share.
pub(super) fn forget_all() {
    mem::forget(ALL.take());
    mem::forget((LOCAL.take(), MAKING.take(), SERVED.take()));
    count();
}

/// Calls `look` with the state of this thread's worker, if this is the thread of one.
pub(crate) fn with_local<R>(look: impl FnOnce(&Local) -> R) -> Option<R> {
    current().as_deref().map(look)
}

/// True on the thread of a worker of ours. A guest's may belong to a loop that has ended.
pub(crate) fn is_ours() -> bool {
    with_local(|local| !local.is_guest()) == Some(true)
}

/// Makes a call of `shared` on this thread of the pool.
pub(crate) fn while_serving<R>(shared: Option<Arc<Shared>>, call: impl FnOnce() -> R) -> R {
    /// Lets go of the worker, also after a panic.
    struct Serving;

    impl Drop for Serving {
        fn drop(&mut self) {
            let served = SERVED.take();
            drop(served);
        }
    }

    IS_LENT.set(true);
    SERVED.set(shared);
    let serving = Serving;
    let result = call();
    drop(serving);
    result
}

/// The worker that runs here: that of this thread, or on a thread of the pool that of the call.
pub(crate) fn shared_here() -> Option<Arc<Shared>> {
    with_local(|local| Arc::clone(local.shared()))
        .or_else(|| SERVED.try_with(|served| served.borrow().clone()).ok()?)
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

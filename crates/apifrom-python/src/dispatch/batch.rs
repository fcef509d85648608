//! Makes the calls that a turn of the reactor left, while the interpreter is held once.
//!
//! 1. Cancellations and calls from other threads come first, then the queue, oldest first.
//! 2. A batch ends after a millisecond: what is left waits for the next turn, so that requests
//!    which need no Python are not held up by many that do.
//! 3. A `def` runs in a copied context with no running loop, as on a thread of the pool. The loop
//!    is put aside once for all calls in a row that want it so.
//! 4. What a route that was found to stall still has in the queue goes to the pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::route::{Mode, Route};
use super::stall::is_contended;
use super::{Pool, Queued, task};
use crate::reactor::{self, Errand, Local, ffi, now};

/// How long one batch may take before the reactor turns again.
const BUDGET: Duration = Duration::from_millis(1);

/// Makes the calls that wait for the loop's thread.
pub(crate) fn run_batch(py: Python<'_>, local: &Rc<Local>) {
    local.end_turn();
    if local.is_idle() {
        return;
    }
    local.while_making(|| make_calls(py, local));
    // An inline call may have run a loop of its own.
    reactor::let_go_of_closed(py);
}

fn make_calls(py: Python<'_>, local: &Local) {
    let mut lane = Lane {
        py,
        local,
        aside: false,
    };
    for errand in local.shared().take_errands() {
        match errand {
            Errand::Call(queued) => local.push(queued),
            Errand::Cancel(task) => lane.cancel(&task),
        }
    }
    let begin = now();
    local.delays().refresh(begin);
    let mut last = begin;
    while let Some(queued) = local.pop() {
        match queued.route.mode() {
            Mode::Pool => Pool::global().submit(queued, Some(Arc::clone(local.shared()))),
            Mode::Task => {
                lane.restore();
                guarded(|| task::start(py, local, queued));
                last = now();
            }
            Mode::Inline => {
                lane.put_aside();
                let route = guarded(|| inline(py, local, queued));
                let after = now();
                if let Some(route) = route {
                    let time = after.duration_since(last);
                    if route.is_stall(time) {
                        let own = time.saturating_sub(local.delays().lost());
                        route.took_inline(own, || is_contended(py));
                    }
                }
                last = after;
            }
        }
        if last.duration_since(begin) >= BUDGET {
            break;
        }
    }
    lane.restore();
}

/// Puts the route of the inline call that runs on this thread into the pool for good. What may
/// wait (a query, a lock, another service) says so first, and stalls the loop once at most.
pub(crate) fn about_to_wait() {
    reactor::with_local(|local| local.with_inline_route(Route::mark_blocking));
}

/// Calls a `def` on this thread, and returns its route.
fn inline(py: Python<'_>, local: &Local, queued: Queued) -> Arc<Route> {
    let context = ffi::copy_context(py, queued.base(Some(local.shared())));
    let Queued { route, ticket, .. } = queued;
    local.while_inline(route, || {
        let outcome =
            context.and_then(|context| ffi::run_in(&context, || ticket.call(py).transpose()));
        match outcome.transpose() {
            Some(outcome) => local.wake(ticket.finish(py, outcome)),
            None => ticket.forget(),
        }
    })
}

/// A panic costs the request whose call it was, and no other: its ticket is dropped by it, which
/// answers the request.
fn guarded<R>(run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Knows whether the running loop is set on this thread.
struct Lane<'a, 'py> {
    py: Python<'py>,
    local: &'a Local,
    aside: bool,
}

impl Lane<'_, '_> {
    fn put_aside(&mut self) {
        if !self.aside {
            self.aside = true;
            self.local.python().set_running(self.py, false);
        }
    }

    fn restore(&mut self) {
        if self.aside {
            self.aside = false;
            self.local.python().set_running(self.py, true);
        }
    }

    fn cancel(&self, task: &Py<PyAny>) {
        if let Err(error) = task.call_method0(self.py, pyo3::intern!(self.py, "cancel")) {
            error.write_unraisable(self.py, Some(task.bind(self.py)));
        }
    }
}

impl Drop for Lane<'_, '_> {
    fn drop(&mut self) {
        self.restore();
    }
}

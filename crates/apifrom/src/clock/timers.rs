//! Timers that work wherever a request is answered, also where no runtime is.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

thread_local! {
    static IS_TIMED: Cell<bool> = const { Cell::new(false) };
}

/// Says that the runtime of this thread has timers, so that none has to be found elsewhere.
pub fn runtime_has_timers() {
    IS_TIMED.set(true);
}

/// The timers of one engine. Its thread, where it needs one, ends with it.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    elsewhere: OnceLock<Option<Elsewhere>>,
}

#[derive(Debug)]
struct Elsewhere {
    runtime: Handle,
    /// Dropped, it ends the thread.
    _alive: oneshot::Sender<()>,
}

impl Timers {
    /// Comes to its end after `duration`; nothing where no thread is to be had.
    pub(crate) fn sleep(&self, duration: Duration) -> Option<Pin<Box<Sleep>>> {
        if IS_TIMED.get() && Handle::try_current().is_ok() {
            return Some(Box::pin(sleep(duration)));
        }
        let elsewhere = self.elsewhere.get_or_init(start).as_ref()?;
        let _inside = elsewhere.runtime.enter();
        Some(Box::pin(sleep(duration)))
    }
}

fn start() -> Option<Elsewhere> {
    let (alive, over) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let handle = runtime.handle().clone();
    let spawned = thread::Builder::new()
        .name("apifrom-timers".to_owned())
        .spawn(move || {
            // It is an error once the engine is gone, and nothing before.
            let _ = runtime.block_on(over);
        });
    spawned.ok().map(|_| Elsewhere {
        runtime: handle,
        _alive: alive,
    })
}

//! One thread that owns reactor, event loop and interpreter.
//!
//! 1. The loop is a standard `asyncio.SelectorEventLoop`; its selector's `select` turns a tokio
//!    current-thread runtime while the interpreter is let go ([`turn`]).
//! 2. tokio watches the selector's own epoll descriptor, so Python's descriptors, its timers, other
//!    threads (`call_soon_threadsafe`) and signals all end a turn.
//! 3. Calls of Python functions that the turn left are made at its end ([`crate::dispatch`]). Only
//!    when they gave the loop something to do does `select` return.
//! 4. A [`Worker`] is such a thread from start to end; a [`handle::Handle`] reaches it from other threads;
//!    [`Background`] runs one on a thread of its own.
//! 5. Under a foreign server the loop is that server's, and the worker is a guest on it ([`guest`]).
//! 6. A thread may have several loops, of which one runs ([`local`]); a process may fork ([`fork`]).
//!
//! Deployment: SIGINT and SIGTERM reach the worker through asyncio's own signal handling once
//! [`Worker::on_signal`] asked for them; Python's `KeyboardInterrupt` then never interrupts a
//! handler.

mod background;
pub(crate) mod exit;
pub(crate) mod ffi;
pub(crate) mod fork;
mod guest;
mod handle;
mod local;
mod python;
mod turn;
mod worker;

pub(crate) use self::background::Background;
pub(crate) use self::guest::{inside, join, make_guest_calls};
pub(crate) use self::handle::{Errand, Hold, Shared};
pub(crate) use self::local::{
    Local, Step, enqueue, is_ours, let_go_of_closed, shared_here, wake, while_serving, with_local,
};
pub(crate) use self::worker::Worker;

use std::time::Instant;

/// The monotonic clock, for measuring what calls take and when timers are due.
pub(crate) fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures this process; no decision about a request reads it"
    )]
    Instant::now()
}

//! What a forked child must not take over from its parent.
//!
//! A fork copies the memory and one thread. In the child:
//!
//! 1. The pool is empty, and starts threads of its own.
//! 2. The runtime of loops that are not ours is made anew when it is needed.
//! 3. Workers on threads of their own are not waited for at the end.
//! 4. The forking thread has no worker: its loop, and the descriptors beneath it, are the parent's.
//!
//! What the parent had under way is forgotten and not dropped, which would tell the parent's kernel
//! objects. A program may fork after it has served; the child of a handler cannot serve on its loop.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::wrap_pyfunction;

use super::{background, guest, local};
use crate::dispatch::Pool;

static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Has every fork prepared.
///
/// # Errors
/// What `os.register_at_fork` raises.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    if REGISTERED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before_fork, py)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_in_parent, py)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_in_child, py)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}

#[pyfunction]
fn before_fork() {
    Pool::hold();
}

#[pyfunction]
fn after_in_parent() {
    Pool::go_on();
}

#[pyfunction]
fn after_in_child() {
    local::forget_all();
    guest::forget_runtime();
    background::forget_all();
    Pool::begin_anew();
}

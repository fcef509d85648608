//! What has to end before the interpreter does.
//!
//! Before Python 3.14 a thread that wants the interpreter while it ends is unwound by force, which
//! no Rust frame may be part of. So the last thing before that end is to stop the workers on threads
//! of their own and to call back what still computes in the pool, for a second each. What does not
//! end by then is kept from being unwound ([`super::ffi::shielded`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::wrap_pyfunction;

use super::{background, now};
use crate::dispatch::Pool;

/// How long the end of the interpreter waits for each of the two.
const PATIENCE: Duration = Duration::from_secs(1);

static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Has [`end_all`] called before the interpreter ends.
///
/// # Errors
/// What `atexit` raises.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    if !REGISTERED.swap(true, Ordering::AcqRel) {
        py.import("atexit")?
            .call_method1("register", (wrap_pyfunction!(end_all, py)?,))?;
    }
    Ok(())
}

#[pyfunction]
fn end_all(py: Python<'_>) {
    let workers = background::stop_all();
    wait_until(py, || workers.iter().all(|ended| ended()));
    Pool::global().end(py);
    wait_until(py, || Pool::global().has_ended());
}

/// Waits without the interpreter, which what ends may need.
fn wait_until(py: Python<'_>, is_over: impl Fn() -> bool + Send + Sync) {
    py.detach(|| {
        let begin = now();
        while !is_over() && now().duration_since(begin) < PATIENCE {
            thread::sleep(Duration::from_millis(2));
        }
    });
}

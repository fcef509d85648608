//! Serves a frozen API on this thread until it is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apifrom::server::Server;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::freeze::PyEngine;
use crate::logging::PythonSink;
use crate::reactor::Worker;

pyo3::create_exception!(
    _apifrom,
    StartError,
    PyException,
    "The server could not start: the address is taken, or the program's own start-up failed."
);

/// How long what the program left running on the loop has once the server has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until SIGINT or SIGTERM; a second one cuts what still runs.
///
/// The address is opened first, so that a program whose port is taken starts nothing; connections
/// are accepted once the lifespan has begun.
///
/// Returns False when requests had to be cut.
#[pyfunction]
pub(crate) fn serve(
    py: Python<'_>,
    engine: &PyEngine,
    lifespan: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    // The program may have set up `logging` since the API was frozen.
    PythonSink::new(py)?;
    let server =
        Server::bind(&engine.server).map_err(|error| StartError::new_err(error.to_string()))?;
    let worker = Worker::new(py)?;
    let result = run(py, engine, lifespan, server, &worker);
    let closed = worker.close(py, PATIENCE);
    let in_time = result?;
    closed?;
    Ok(in_time)
}

fn run(
    py: Python<'_>,
    engine: &PyEngine,
    lifespan: &Bound<'_, PyAny>,
    server: Server,
    worker: &Worker,
) -> PyResult<bool> {
    let stopper = server.stopper();
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let stopper = stopper.clone();
        let asked = Arc::clone(&asked);
        worker.on_signal(py, signal, move || {
            if asked.swap(true, Ordering::Relaxed) {
                stopper.cut();
            } else {
                stopper.stop();
            }
        })?;
    }
    start(worker, lifespan)?;
    let serving = server.serve(engine.engine.clone(), std::future::pending());
    let result = worker.run(py, serving)?;
    let left = worker.complete(&lifespan.call_method0("stop")?);
    let ended = result.map_err(|error| StartError::new_err(error.to_string()))?;
    left?;
    Ok(ended.in_time())
}

/// Begins the lifespan.
///
/// # Errors
/// [`StartError`] with what the program raised.
pub(crate) fn start(worker: &Worker, lifespan: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = lifespan.py();
    let begun = worker.complete(&lifespan.call_method0("start")?);
    begun.map(drop).map_err(|error| {
        let failed = StartError::new_err(format!("start-up failed: {error}"));
        failed.set_cause(py, Some(error));
        failed
    })
}

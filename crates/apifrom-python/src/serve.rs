//! Serves a frozen API on this thread until it is asked to stop, or keeps the workers that do.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apifrom::server::{Assignment, Server, Workers};
use apifrom::{ServeError, ServerConfig};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use tokio::sync::Notify;

use crate::freeze::PyEngine;
use crate::logging::PythonSink;
use crate::reactor::Worker;

pyo3::create_exception!(
    _apifrom,
    StartError,
    PyException,
    "The server could not start: the address is taken, or the program's own start-up failed."
);

/// How long what follows the answers has once the server has ended, and then what the program left
/// running on the loop.
const PATIENCE: Duration = Duration::from_secs(5);

/// The place of this process among those that serve together.
#[pyclass(frozen, name = "Assignment")]
pub(crate) struct PyAssignment {
    value: Mutex<Option<Assignment>>,
    /// Which of the workers this is, from 1.
    #[pyo3(get)]
    number: u32,
    /// How many there are.
    #[pyo3(get)]
    count: u32,
}

#[pymethods]
impl PyAssignment {
    /// Takes over what the supervisor wrote, once: later its descriptors may be somebody else's.
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err(StartError::new_err("this worker has served before"));
        }
        let taken = Assignment::take(text).map_err(failed)?;
        Ok(Self {
            number: taken.number(),
            count: taken.count(),
            value: Mutex::new(Some(taken)),
        })
    }
}

/// Serves until SIGINT or SIGTERM; a second one cuts what still runs.
///
/// The address is opened first, so that a program whose port is taken starts nothing; connections
/// are accepted once the lifespan has begun. A worker has its sockets from its supervisor, which alone
/// is told of SIGINT and has it cut what still runs.
///
/// Returns False when requests had to be cut.
#[pyfunction]
#[pyo3(signature = (engine, lifespan, assignment = None))]
pub(crate) fn serve(
    py: Python<'_>,
    engine: &PyEngine,
    lifespan: &Bound<'_, PyAny>,
    assignment: Option<&PyAssignment>,
) -> PyResult<bool> {
    // The program may have set up `logging` since the API was frozen.
    PythonSink::new(py)?;
    let server = match assignment {
        None => Server::bind(&engine.server).map_err(failed)?,
        Some(assignment) => {
            let mut held = assignment
                .value
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let taken = || StartError::new_err("this worker has served before");
            Server::assigned(&engine.server, held.take().ok_or_else(taken)?).map_err(failed)?
        }
    };
    let worker = Worker::new(py)?;
    let result = run(py, engine, lifespan, server, &worker, assignment.is_some());
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
    is_supervised: bool,
) -> PyResult<bool> {
    let stopper = server.stopper();
    let asked = Arc::new(AtomicBool::new(false));
    let impatient = Arc::new(Notify::new());
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let stopper = stopper.clone();
        let asked = Arc::clone(&asked);
        let impatient = Arc::clone(&impatient);
        worker.on_signal(py, signal, move || {
            if is_supervised {
                // A terminal sends SIGINT to all processes, and a service manager SIGTERM, which the
                // supervisor sends once more.
                if signal == libc::SIGTERM {
                    stopper.stop();
                }
            } else if asked.swap(true, Ordering::Relaxed) {
                stopper.cut();
                impatient.notify_one();
            } else {
                stopper.stop();
            }
        })?;
    }
    start(worker, lifespan)?;
    let serving = server.serve(engine.engine.clone(), std::future::pending());
    let shared = Arc::clone(worker.handle().shared());
    let result = worker.run(py, async move {
        let ended = serving.await;
        tokio::select! {
            () = shared.settled(PATIENCE) => {}
            () = impatient.notified() => {}
        }
        ended
    })?;
    let left = worker.complete(&lifespan.call_method0("stop")?);
    let ended = result.map_err(failed)?;
    left?;
    Ok(ended.in_time())
}

/// How a program is run once more: interpreter, what follows it, and where.
#[derive(FromPyObject)]
struct Program {
    #[pyo3(item)]
    executable: PathBuf,
    #[pyo3(item)]
    arguments: Vec<OsString>,
    #[pyo3(item)]
    directory: PathBuf,
}

/// Keeps the processes that serve. It outlives the engine, which it has no use for.
#[pyclass(frozen, name = "Supervisor")]
pub(crate) struct PySupervisor {
    config: ServerConfig,
    count: u32,
}

#[pymethods]
impl PySupervisor {
    /// What `engine` is served with.
    #[new]
    fn new(engine: &PyEngine) -> Self {
        Self {
            config: engine.server.clone(),
            count: engine.workers,
        }
    }

    /// Opens the sockets, runs `program` for each worker and keeps them until SIGINT or SIGTERM; a second
    /// one cuts what still runs. Python's own handlers must be off.
    ///
    /// Returns False when a worker did not finish what ran.
    fn run(&self, py: Python<'_>, program: Program) -> PyResult<bool> {
        let sink = Arc::new(PythonSink::new(py)?);
        let workers = Workers::bind(&self.config, self.count).map_err(failed)?;
        let command = move |assignment: &str| {
            let mut command = Command::new(&program.executable);
            command
                .arg("-X")
                .arg(format!("apifrom_worker={assignment}"))
                .args(&program.arguments)
                .current_dir(&program.directory)
                // What several read nobody reads.
                .stdin(Stdio::null());
            command
        };
        py.detach(|| workers.run(sink, command)).map_err(failed)
    }
}

/// The start that failed, with the status that the process is to end with.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what fails hands its error over"
)]
fn failed(error: ServeError) -> PyErr {
    let message = error.to_string();
    match error {
        ServeError::Worker {
            status: Some(status @ 2..),
            ..
        } => StartError::new_err((message, status)),
        _ => StartError::new_err(message),
    }
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

//! Hands the engine's records to the standard `logging`, in batches and off the requests' way.
//!
//! 1. A record is made only where somebody listens: where its logger takes that level, and a
//!    handler of it does. Who listens is read again with every batch, and within a tenth of a second
//!    after something was left out.
//! 2. Records wait in a queue of 8,192; what comes while it is full is counted and reported.
//! 3. One thread delivers them, at the latest 20 ms after they were made, so that no request ever
//!    waits for a handler that writes to a disk.
//! 4. Where the handler of `app.run` is the only one, it is given lines, and no record of Python's is
//!    made.

mod kept;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use apifrom::{Level, Line, Logger, Record, RecordRef, Sink};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use self::kept::{Kept, Said};

/// The most records that wait.
const CAPACITY: usize = 8_192;
/// How long records gather before they are delivered.
const GATHER: Duration = Duration::from_millis(20);
/// How often it is asked whether something was left out because nobody listened.
const REFRESH: Duration = Duration::from_millis(100);

/// The one queue of the process: `logging` is the process's as well.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The sink of the Python face.
pub(crate) struct PythonSink {
    queue: Arc<Queue>,
}

struct Queue {
    waiting: Mutex<Kept>,
    /// Where the next batch but one gathers: the room of the last, so that none is asked for again.
    spare: Mutex<Kept>,
    filled: Condvar,
    /// The least level, in `logging`'s tens, that each logger takes.
    levels: [AtomicU8; 3],
    /// Whether something was left out since `levels` were read.
    left_out: AtomicBool,
    dropped: AtomicU64,
    /// How many batches were taken out and are not delivered yet.
    delivering: AtomicUsize,
    deliver: Py<PyAny>,
    listeners: Py<PyAny>,
}

/// The least level that somebody takes, and who takes lines.
type Listener = (u8, Option<Py<PyAny>>);

/// Where lines go, and what they call this process.
struct Lines {
    process: String,
    /// Those of the three loggers that take lines.
    handlers: [Option<Py<PyAny>>; 3],
}

impl PythonSink {
    /// The sink; the first call starts the thread that delivers.
    ///
    /// # Errors
    /// Python's own, when `apifrom._logging` cannot be imported.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        if let Some(queue) = QUEUE.get() {
            queue.refresh(py)?;
            return Ok(Self {
                queue: Arc::clone(queue),
            });
        }
        let module = py.import("apifrom._logging")?;
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            spare: Mutex::default(),
            filled: Condvar::new(),
            levels: [AtomicU8::new(0), AtomicU8::new(0), AtomicU8::new(0)],
            left_out: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            delivering: AtomicUsize::new(0),
            deliver: module.getattr("deliver")?.unbind(),
            listeners: module.getattr("listeners")?.unbind(),
        });
        queue.refresh(py)?;
        if QUEUE.set(Arc::clone(&queue)).is_ok() {
            let worker = Arc::clone(&queue);
            thread::Builder::new()
                .name("apifrom-log".into())
                .spawn(move || worker.run())?;
        }
        Ok(Self { queue })
    }
}

impl Sink for PythonSink {
    fn enabled(&self, logger: Logger, level: Level) -> bool {
        let least = self.queue.levels.get(index(logger));
        let taken = least.is_some_and(|least| number(level) >= least.load(Ordering::Relaxed));
        if !taken && !self.queue.left_out.load(Ordering::Relaxed) {
            self.queue.left_out.store(true, Ordering::Relaxed);
        }
        taken
    }

    fn write(&self, record: Record) {
        self.queue.add(|waiting| waiting.push(record));
    }

    fn write_ref(&self, record: &RecordRef<'_>) {
        self.queue.add(|waiting| waiting.push_ref(record));
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, add: impl FnOnce(&mut Kept)) {
        let mut waiting = self.lock();
        if waiting.len() >= CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        add(&mut waiting);
        if waiting.len() == 1 {
            self.filled.notify_one();
        }
    }

    /// Reads who listens.
    fn refresh(&self, py: Python<'_>) -> PyResult<Lines> {
        self.left_out.store(false, Ordering::Relaxed);
        let (process, found): (String, [Listener; 3]) = self.listeners.call0(py)?.extract(py)?;
        let mut handlers = [None, None, None];
        for ((place, line), (level, handler)) in self.levels.iter().zip(&mut handlers).zip(found) {
            place.store(level, Ordering::Relaxed);
            *line = handler;
        }
        Ok(Lines { process, handlers })
    }

    fn run(&self) {
        loop {
            let batch = self.gather();
            // At the interpreter's end nothing can be delivered any more.
            if Python::try_attach(|py| self.hand_over(py, &batch)).is_none() {
                return;
            }
        }
    }

    /// Waits for records, or for the time to see whether somebody listens now.
    fn gather(&self) -> Batch<'_> {
        let mut waiting = self.lock();
        while waiting.is_empty() {
            (waiting, _) = self
                .filled
                .wait_timeout_while(waiting, REFRESH, |waiting| waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            if waiting.is_empty() && self.left_out.load(Ordering::Relaxed) {
                drop(waiting);
                return self.take();
            }
        }
        drop(waiting);
        thread::sleep(GATHER);
        self.take()
    }

    fn take(&self) -> Batch<'_> {
        let spare = std::mem::take(&mut *self.spare());
        let mut waiting = self.lock();
        self.delivering.fetch_add(1, Ordering::AcqRel);
        Batch {
            kept: std::mem::replace(&mut *waiting, spare),
            queue: self,
        }
    }

    fn spare(&self) -> MutexGuard<'_, Kept> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, py: Python<'_>, batch: &Batch<'_>) {
        let handed = self
            .refresh(py)
            .and_then(|lines| self.deliver_batch(py, &batch.kept, &lines));
        if let Err(error) = handed {
            error.write_unraisable(py, None);
        }
    }

    fn deliver_batch(&self, py: Python<'_>, batch: &Kept, lines: &Lines) -> PyResult<()> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let mut pending = Pending {
            deliver: &self.deliver,
            process: &lines.process,
            text: String::new(),
            handler: None,
            records: PyList::empty(py),
        };
        for said in batch.iter() {
            let line = said.line();
            let place = index(line.logger);
            // Whoever listened when it was made may have stopped since.
            let least = self.levels.get(place);
            if least.is_none_or(|least| number(line.level) < least.load(Ordering::Relaxed)) {
                continue;
            }
            match lines.handlers.get(place).and_then(Option::as_ref) {
                Some(handler) if !said.has_traceback() => pending.line(py, handler, line)?,
                _ => pending.record(py, said)?,
            }
        }
        pending.flush(py, dropped)
    }
}

/// What was taken out, until it is delivered.
struct Batch<'q> {
    kept: Kept,
    queue: &'q Queue,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.kept.clear();
        *self.queue.spare() = std::mem::take(&mut self.kept);
        self.queue.delivering.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is still to be handed over of a batch: lines or records, never both, so that their order is
/// kept.
struct Pending<'py, 'a> {
    deliver: &'a Py<PyAny>,
    process: &'a str,
    text: String,
    handler: Option<&'a Py<PyAny>>,
    records: Bound<'py, PyList>,
}

impl<'py, 'a> Pending<'py, 'a> {
    fn line(&mut self, py: Python<'py>, handler: &'a Py<PyAny>, line: Line<'_>) -> PyResult<()> {
        if !self.records.is_empty() || self.handler.is_some_and(|other| !other.is(handler)) {
            self.flush(py, 0)?;
        }
        self.handler = Some(handler);
        line.append_to(self.process, &mut self.text);
        Ok(())
    }

    fn record(&mut self, py: Python<'py>, said: Said<'_>) -> PyResult<()> {
        if self.handler.is_some() {
            self.flush(py, 0)?;
        }
        let line = said.line();
        self.records.append((
            line.logger.name(),
            number(line.level),
            line.event,
            line.message,
            line.time.as_secs_f64(),
            said.fields(py)?,
        ))
    }

    fn flush(&mut self, py: Python<'py>, dropped: u64) -> PyResult<()> {
        if let Some(handler) = self.handler.take() {
            handler.call_method1(py, intern!(py, "write_lines"), (&self.text,))?;
            self.text.clear();
        }
        if !self.records.is_empty() || dropped != 0 {
            let records = std::mem::replace(&mut self.records, PyList::empty(py));
            self.deliver.call1(py, (records, dropped))?;
        }
        Ok(())
    }
}

/// Waits until everything that was said so far has reached `logging`, for at most so long.
#[pyfunction]
pub(crate) fn flush_logs(py: Python<'_>, milliseconds: u32) {
    let Some(queue) = QUEUE.get() else { return };
    queue.hand_over(py, &queue.take());
    // A batch of the thread's may be under way: it needs the interpreter, so it is let go here.
    py.detach(|| {
        let mut left = milliseconds / 10;
        while queue.delivering.load(Ordering::Acquire) > 0 && left > 0 {
            thread::sleep(Duration::from_millis(10));
            left -= 1;
        }
    });
}

fn index(logger: Logger) -> usize {
    match logger {
        Logger::Access => 1,
        Logger::Security => 2,
        _ => 0,
    }
}

/// The level as `logging` counts it.
fn number(level: Level) -> u8 {
    match level {
        Level::Debug => 10,
        Level::Info => 20,
        Level::Warning => 30,
        Level::Error => 40,
    }
}

//! Hands the engine's records to the standard `logging`, in batches and off the requests' way.
//!
//! 1. A record is made only where its logger takes that level; the levels are read again with
//!    every batch and once a second.
//! 2. Records wait in a queue of 8,192; what comes while it is full is counted and reported.
//! 3. One thread delivers them, at the latest 20 ms after they were made, so that no request ever
//!    waits for a handler that writes to a disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use apifrom::{FieldValue, Level, Logger, Record, Sink};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The most records that wait.
const CAPACITY: usize = 8_192;
/// How long records gather before they are delivered.
const GATHER: Duration = Duration::from_millis(20);
/// How often the levels are read when nothing is said.
const REFRESH: Duration = Duration::from_secs(1);

/// The one queue of the process: `logging` is the process's as well.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The sink of the Python face.
pub(crate) struct PythonSink {
    queue: Arc<Queue>,
}

struct Queue {
    waiting: Mutex<VecDeque<Record>>,
    filled: Condvar,
    delivered: Condvar,
    /// The least level, in `logging`'s tens, that each logger takes.
    levels: [AtomicU8; 3],
    dropped: AtomicU64,
    delivering: AtomicBool,
    deliver: Py<PyAny>,
    thresholds: Py<PyAny>,
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
            filled: Condvar::new(),
            delivered: Condvar::new(),
            levels: [AtomicU8::new(0), AtomicU8::new(0), AtomicU8::new(0)],
            dropped: AtomicU64::new(0),
            delivering: AtomicBool::new(false),
            deliver: module.getattr("deliver")?.unbind(),
            thresholds: module.getattr("thresholds")?.unbind(),
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
        self.queue
            .levels
            .get(index(logger))
            .is_some_and(|least| number(level) >= least.load(Ordering::Relaxed))
    }

    fn write(&self, record: Record) {
        let mut waiting = self.queue.lock();
        if waiting.len() >= CAPACITY {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(record);
        if waiting.len() == 1 {
            self.queue.filled.notify_one();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        let levels: [u8; 3] = self.thresholds.call0(py)?.extract(py)?;
        for (place, level) in self.levels.iter().zip(levels) {
            place.store(level, Ordering::Relaxed);
        }
        Ok(())
    }

    fn run(&self) {
        loop {
            let batch = self.gather();
            // At the interpreter's end nothing can be delivered any more.
            let delivered = Python::try_attach(|py| self.hand_over(py, batch));
            self.delivering.store(false, Ordering::Release);
            self.delivered.notify_all();
            if delivered.is_none() {
                return;
            }
        }
    }

    /// Waits for records, or for the time to look at the levels again.
    fn gather(&self) -> VecDeque<Record> {
        let waiting = self.lock();
        let (waiting, _) = self
            .filled
            .wait_timeout_while(waiting, REFRESH, |waiting| waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            return VecDeque::new();
        }
        drop(waiting);
        thread::sleep(GATHER);
        self.take()
    }

    fn take(&self) -> VecDeque<Record> {
        let mut waiting = self.lock();
        self.delivering.store(true, Ordering::Release);
        std::mem::take(&mut *waiting)
    }

    fn hand_over(&self, py: Python<'_>, batch: VecDeque<Record>) {
        let handed = self
            .deliver_batch(py, batch)
            .and_then(|()| self.refresh(py));
        if let Err(error) = handed {
            error.write_unraisable(py, None);
        }
    }

    fn deliver_batch(&self, py: Python<'_>, batch: VecDeque<Record>) -> PyResult<()> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if batch.is_empty() && dropped == 0 {
            return Ok(());
        }
        let records = PyList::empty(py);
        for record in batch {
            let fields = PyDict::new(py);
            for (name, value) in &record.fields {
                match value {
                    FieldValue::Text(text) => fields.set_item(name, text)?,
                    FieldValue::Static(text) => fields.set_item(name, text)?,
                    FieldValue::Number(number) => fields.set_item(name, number)?,
                    FieldValue::Millis(millis) => fields.set_item(name, millis)?,
                    other => fields.set_item(name, other.to_string())?,
                }
            }
            records.append((
                record.logger.name(),
                number(record.level),
                record.event,
                record.message,
                record.time.as_secs_f64(),
                fields,
            ))?;
        }
        self.deliver.call1(py, (records, dropped))?;
        Ok(())
    }
}

/// Waits until everything that was said so far has reached `logging`, for at most so long.
#[pyfunction]
pub(crate) fn flush_logs(py: Python<'_>, milliseconds: u32) {
    let Some(queue) = QUEUE.get() else { return };
    let batch = queue.take();
    queue.hand_over(py, batch);
    queue.delivering.store(false, Ordering::Release);
    // A batch of the thread's may be under way: it needs the interpreter, so it is let go here.
    py.detach(|| {
        let mut left = milliseconds / 10;
        while queue.delivering.load(Ordering::Acquire) && left > 0 {
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

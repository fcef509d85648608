//! Hands the engine's records to the standard `logging`, in batches and off the requests' way.
//!
//! 1. A record is made only where somebody listens: where its logger takes that level, and a
//!    handler of it does. Who listens is read again with every batch, and within a tenth of a second
//!    after something was left out.
//! 2. Records wait in a queue of 8,192; what comes while it is full is counted and reported.
//! 3. One thread delivers them, at the latest 20 ms after they were made, so that no request ever
//!    waits for a handler that writes to a disk.
//! 4. Where the handler of `app.run` is the only one, it is given lines, and of what happens often no
//!    record is made: it is written as a line where it happens.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use apifrom::{FieldValue, Level, Line, Logger, Record, Sink};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

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
    waiting: Mutex<Waiting>,
    filled: Condvar,
    /// The least level, in `logging`'s tens, that each logger takes.
    levels: [AtomicU8; 3],
    /// Whether each logger's only listener is the handler of `app.run`.
    takes_lines: [AtomicBool; 3],
    /// Whether something was left out since `levels` were read.
    left_out: AtomicBool,
    dropped: AtomicU64,
    /// How many batches were taken out and are not delivered yet.
    delivering: AtomicUsize,
    deliver: Py<PyAny>,
    listeners: Py<PyAny>,
}

/// What was said and is not delivered yet.
#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// How many records and lines these are.
    count: usize,
    /// Where lines go now.
    lines: Arc<Lines>,
    /// How long the lines of the last batch were: most likely so are those of the next.
    room: usize,
}

/// A record, or lines of one logger and where they go.
enum Entry {
    Record(Record),
    Lines(Logger, Arc<Lines>, String),
}

impl Entry {
    fn text_len(&self) -> usize {
        match self {
            Self::Record(_) => 0,
            Self::Lines(_, _, text) => text.len(),
        }
    }
}

impl Waiting {
    /// Counts what is to be added; `None` where there is no room.
    fn make_room(&mut self) -> Option<()> {
        if self.count >= CAPACITY {
            return None;
        }
        self.count += 1;
        Some(())
    }

    fn add_line(&mut self, line: &Line<'_>) {
        if let Some(Entry::Lines(logger, lines, text)) = self.entries.last_mut()
            && *logger == line.logger
            && Arc::ptr_eq(lines, &self.lines)
        {
            return line.append_to(&lines.process, text);
        }
        // Somebody else may have begun to listen a moment ago.
        self.entries
            .push(if self.lines.taker(line.logger).is_some() {
                let mut text = String::with_capacity(self.room);
                line.append_to(&self.lines.process, &mut text);
                Entry::Lines(line.logger, Arc::clone(&self.lines), text)
            } else {
                let message = line.message.to_owned();
                Entry::Record(Record::new(
                    line.logger,
                    line.level,
                    line.event,
                    message,
                    line.time,
                ))
            });
    }
}

/// The least level that somebody takes, and who takes lines.
type Listener = (u8, Option<Py<PyAny>>);

/// Where lines go, and what they call this process.
#[derive(Default)]
struct Lines {
    process: String,
    /// Those of the three loggers that take lines.
    handlers: [Option<Py<PyAny>>; 3],
}

impl Lines {
    /// Who takes the lines of a logger.
    fn taker(&self, logger: Logger) -> Option<&Py<PyAny>> {
        self.handlers.get(index(logger))?.as_ref()
    }
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
            levels: [AtomicU8::new(0), AtomicU8::new(0), AtomicU8::new(0)],
            takes_lines: [false, false, false].map(AtomicBool::new),
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
        self.queue
            .add(|waiting| waiting.entries.push(Entry::Record(record)));
    }

    fn takes_lines(&self, logger: Logger) -> bool {
        let taken = self.queue.takes_lines.get(index(logger));
        taken.is_some_and(|taken| taken.load(Ordering::Relaxed))
    }

    fn write_line(&self, line: Line<'_>) {
        self.queue.add(|waiting| waiting.add_line(&line));
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, add: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.lock();
        if waiting.make_room().is_none() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        add(&mut waiting);
        if waiting.count == 1 {
            self.filled.notify_one();
        }
    }

    /// Reads who listens.
    fn refresh(&self, py: Python<'_>) -> PyResult<Arc<Lines>> {
        self.left_out.store(false, Ordering::Relaxed);
        let (process, found): (String, [Listener; 3]) = self.listeners.call0(py)?.extract(py)?;
        let mut handlers = [None, None, None];
        for (place, (level, handler)) in found.into_iter().enumerate() {
            if let (Some(least), Some(takes_lines), Some(line)) = (
                self.levels.get(place),
                self.takes_lines.get(place),
                handlers.get_mut(place),
            ) {
                least.store(level, Ordering::Relaxed);
                takes_lines.store(handler.is_some(), Ordering::Relaxed);
                *line = handler;
            }
        }
        let lines = Arc::new(Lines { process, handlers });
        let before = std::mem::replace(&mut self.lock().lines, Arc::clone(&lines));
        drop(before);
        Ok(lines)
    }

    fn run(&self) {
        loop {
            let batch = self.gather();
            // At the interpreter's end nothing can be delivered any more.
            if Python::try_attach(|py| self.hand_over(py, batch)).is_none() {
                return;
            }
        }
    }

    /// Waits for records, or for the time to see whether somebody listens now.
    fn gather(&self) -> Batch<'_> {
        let mut waiting = self.lock();
        while waiting.count == 0 {
            (waiting, _) = self
                .filled
                .wait_timeout_while(waiting, REFRESH, |waiting| waiting.count == 0)
                .unwrap_or_else(PoisonError::into_inner);
            if waiting.count == 0 && self.left_out.load(Ordering::Relaxed) {
                drop(waiting);
                return self.take();
            }
        }
        drop(waiting);
        thread::sleep(GATHER);
        self.take()
    }

    fn take(&self) -> Batch<'_> {
        let mut waiting = self.lock();
        self.delivering.fetch_add(1, Ordering::AcqRel);
        waiting.count = 0;
        let entries = std::mem::take(&mut waiting.entries);
        waiting.room = entries.iter().map(Entry::text_len).max().unwrap_or(0);
        Batch {
            entries,
            queue: self,
        }
    }

    fn hand_over(&self, py: Python<'_>, mut batch: Batch<'_>) {
        let handed = self
            .refresh(py)
            .and_then(|lines| self.deliver_batch(py, std::mem::take(&mut batch.entries), &lines));
        if let Err(error) = handed {
            error.write_unraisable(py, None);
        }
    }

    fn deliver_batch(&self, py: Python<'_>, batch: Vec<Entry>, lines: &Lines) -> PyResult<()> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let mut pending = Pending {
            deliver: &self.deliver,
            text: String::new(),
            handler: None,
            records: PyList::empty(py),
        };
        for entry in batch {
            let record = match entry {
                Entry::Record(record) => record,
                Entry::Lines(logger, lines, text) => {
                    if let Some(handler) = lines.taker(logger) {
                        pending.begin(py, handler)?;
                        pending.add(text);
                    }
                    continue;
                }
            };
            match lines.taker(record.logger) {
                // A traceback has lines of its own.
                Some(handler) if !has_traceback(&record) => {
                    let least = self.levels.get(index(record.logger));
                    if least
                        .is_some_and(|least| number(record.level) >= least.load(Ordering::Relaxed))
                    {
                        pending.begin(py, handler)?;
                        record.line().append_to(&lines.process, &mut pending.text);
                    }
                }
                _ => pending.record(py, record)?,
            }
        }
        pending.flush(py, dropped)
    }
}

/// What was taken out, until it is delivered.
struct Batch<'q> {
    entries: Vec<Entry>,
    queue: &'q Queue,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.queue.delivering.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is still to be handed over of a batch: lines or records, never both, so that their order is
/// kept.
struct Pending<'py, 'a> {
    deliver: &'a Py<PyAny>,
    text: String,
    handler: Option<Py<PyAny>>,
    records: Bound<'py, PyList>,
}

impl<'py> Pending<'py, '_> {
    /// Adds lines to those that wait.
    fn add(&mut self, text: String) {
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.push_str(&text);
        }
    }

    /// Has what is added next go to `handler`.
    fn begin(&mut self, py: Python<'py>, handler: &Py<PyAny>) -> PyResult<()> {
        let other = self.handler.as_ref();
        if !self.records.is_empty() || other.is_some_and(|other| !other.is(handler)) {
            self.flush(py, 0)?;
        }
        self.handler = Some(handler.clone_ref(py));
        Ok(())
    }

    fn record(&mut self, py: Python<'py>, record: Record) -> PyResult<()> {
        if self.handler.is_some() {
            self.flush(py, 0)?;
        }
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
        self.records.append((
            record.logger.name(),
            number(record.level),
            record.event,
            record.message,
            record.time.as_secs_f64(),
            fields,
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
    queue.hand_over(py, queue.take());
    // A batch of the thread's may be under way: it needs the interpreter, so it is let go here.
    py.detach(|| {
        let mut left = milliseconds / 10;
        while queue.delivering.load(Ordering::Acquire) > 0 && left > 0 {
            thread::sleep(Duration::from_millis(10));
            left -= 1;
        }
    });
}

fn has_traceback(record: &Record) -> bool {
    record.fields.iter().any(|(name, _)| *name == "traceback")
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

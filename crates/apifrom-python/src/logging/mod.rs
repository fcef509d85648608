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
//! 5. Before the interpreter ends, what waits is delivered and the thread ends; what is said after
//!    that is dropped.
//! 6. The child of a fork begins with an empty queue: what waited is its parent's to deliver.

mod kept;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use apifrom::{Level, Line, Logger, Record, RecordRef, Sink};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use pyo3::wrap_pyfunction;

use self::kept::{Kept, Said};
use crate::reactor::{exit, ffi, now};

/// The most records that wait.
const CAPACITY: usize = 8_192;
/// How long records gather before they are delivered.
const GATHER: Duration = Duration::from_millis(20);
/// How often it is asked whether something was left out because nobody listened.
const REFRESH: Duration = Duration::from_millis(100);
/// How many records one call hands over: the thread can only be stopped between two calls.
const AT_ONCE: usize = 64;

/// The first queue of the process, and of those it was forked from: `logging` is the process's as
/// well.
static FIRST: OnceLock<Queue> = OnceLock::new();

/// The sink of the Python face.
pub(crate) struct PythonSink {
    queue: &'static Queue,
}

struct Queue {
    waiting: Mutex<Waiting>,
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
    /// True once the interpreter is about to end: nothing more is taken.
    ending: AtomicBool,
    /// True once not even what was taken is to be delivered.
    given_up: AtomicBool,
    deliver: Py<PyAny>,
    listeners: Py<PyAny>,
    /// What the child of a fork uses instead: its parent's thread is not there, and a lock that
    /// another of its parent's threads held stays locked.
    next: OnceLock<Box<Queue>>,
}

/// What is not delivered yet, and whether anybody is there to do so.
#[derive(Default)]
struct Waiting {
    kept: Kept,
    has_thread: bool,
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
    /// The sink.
    ///
    /// # Errors
    /// Python's own, when `apifrom._logging` cannot be imported.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let queue = Queue::current().map_or_else(|| Queue::first(py), Ok)?;
        queue.refresh(py)?;
        Ok(Self { queue })
    }
}

impl Sink for PythonSink {
    fn enabled(&self, logger: Logger, level: Level) -> bool {
        let queue = self.queue.latest();
        let least = queue.levels.get(index(logger));
        let taken = least.is_some_and(|least| number(level) >= least.load(Ordering::Relaxed));
        if !taken && !queue.left_out.load(Ordering::Relaxed) {
            queue.left_out.store(true, Ordering::Relaxed);
            // Whoever begins to listen is noticed by the thread.
            queue.start(&mut queue.lock());
        }
        taken
    }

    fn write(&self, record: Record) {
        self.queue.latest().add(|kept| kept.push(record));
    }

    fn write_ref(&self, record: &RecordRef<'_>) {
        self.queue.latest().add(|kept| kept.push_ref(record));
    }
}

impl Queue {
    fn new(deliver: Py<PyAny>, listeners: Py<PyAny>) -> Self {
        Self {
            waiting: Mutex::default(),
            spare: Mutex::default(),
            filled: Condvar::new(),
            levels: [AtomicU8::new(0), AtomicU8::new(0), AtomicU8::new(0)],
            left_out: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            delivering: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            deliver,
            listeners,
            next: OnceLock::new(),
        }
    }

    /// Makes the first queue, or finds the one that another thread made meanwhile.
    fn first(py: Python<'_>) -> PyResult<&'static Self> {
        // Imports `logging`, whose own function for the end then comes after ours.
        let module = py.import("apifrom._logging")?;
        let deliver = module.getattr("deliver")?.unbind();
        let listeners = module.getattr("listeners")?.unbind();
        exit::register(py)?;
        let mut made = false;
        let queue = FIRST.get_or_init(|| {
            made = true;
            Self::new(deliver, listeners)
        });
        if made {
            let hooks = PyDict::new(py);
            hooks.set_item("after_in_child", wrap_pyfunction!(begin_in_child, py)?)?;
            py.import("os")?
                .call_method("register_at_fork", (), Some(&hooks))?;
        }
        Ok(queue)
    }

    /// The queue of this process, if there is one yet.
    fn current() -> Option<&'static Self> {
        FIRST.get().map(Self::latest)
    }

    /// The queue of this process, where `self` may be that of one it was forked from.
    fn latest(&self) -> &Self {
        let mut queue = self;
        while let Some(next) = queue.next.get() {
            queue = next;
        }
        queue
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&'static self, add: impl FnOnce(&mut Kept)) {
        let mut waiting = self.lock();
        if self.ending.load(Ordering::Relaxed) {
            return;
        }
        if waiting.kept.len() >= CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        add(&mut waiting.kept);
        if !waiting.has_thread {
            self.start(&mut waiting);
        } else if waiting.kept.len() == 1 {
            self.filled.notify_one();
        }
    }

    /// Starts the thread that delivers, unless it runs. What is said next tries again where that
    /// fails.
    fn start(&'static self, waiting: &mut Waiting) {
        if waiting.has_thread || self.ending.load(Ordering::Relaxed) {
            return;
        }
        let started = thread::Builder::new()
            .name("apifrom-log".into())
            .spawn(|| self.run());
        waiting.has_thread = started.is_ok();
    }

    /// Reads who listens.
    fn refresh(&self, py: Python<'_>) -> PyResult<Lines> {
        self.left_out.store(false, Ordering::Relaxed);
        let (process, found): (String, [Listener; 3]) =
            ffi::call(self.listeners.bind(py), [])?.extract()?;
        let mut handlers = [None, None, None];
        for ((place, line), (level, handler)) in self.levels.iter().zip(&mut handlers).zip(found) {
            place.store(level, Ordering::Relaxed);
            *line = handler;
        }
        Ok(Lines { process, handlers })
    }

    fn run(&self) {
        while let Some(batch) = self.gather() {
            if Python::try_attach(|py| self.hand_over(py, &batch, None)).is_none() {
                break;
            }
        }
        let mut waiting = self.lock();
        // At the interpreter's end nothing can be delivered any more.
        self.ending.store(true, Ordering::Relaxed);
        waiting.has_thread = false;
    }

    /// Waits for records, or for the time to see whether somebody listens now. None: be gone.
    fn gather(&self) -> Option<Batch<'_>> {
        let is_ending = || self.ending.load(Ordering::Relaxed);
        let mut waiting = self.lock();
        while waiting.kept.is_empty() && !is_ending() {
            (waiting, _) = self
                .filled
                .wait_timeout_while(waiting, REFRESH, |waiting| {
                    waiting.kept.is_empty() && !is_ending()
                })
                .unwrap_or_else(PoisonError::into_inner);
            if waiting.kept.is_empty() && self.left_out.load(Ordering::Relaxed) {
                break;
            }
        }
        if !waiting.kept.is_empty() {
            (waiting, _) = self
                .filled
                .wait_timeout_while(waiting, GATHER, |_| !is_ending())
                .unwrap_or_else(PoisonError::into_inner);
        }
        let is_over = is_ending() && waiting.kept.is_empty();
        drop(waiting);
        if is_over || self.given_up.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.take())
    }

    fn take(&self) -> Batch<'_> {
        let spare = std::mem::take(&mut *self.spare());
        let mut waiting = self.lock();
        self.delivering.fetch_add(1, Ordering::AcqRel);
        Batch {
            kept: std::mem::replace(&mut waiting.kept, spare),
            queue: self,
        }
    }

    fn spare(&self) -> MutexGuard<'_, Kept> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers `batch`, or what can be begun of it before `until`.
    fn hand_over(&self, py: Python<'_>, batch: &Batch<'_>, until: Option<Instant>) {
        ffi::shielded(|| {
            let handed = self
                .refresh(py)
                .and_then(|lines| self.deliver_batch(py, &batch.kept, &lines, until));
            if let Err(error) = handed {
                error.write_unraisable(py, None);
            }
        });
    }

    fn deliver_batch(
        &self,
        py: Python<'_>,
        batch: &Kept,
        lines: &Lines,
        until: Option<Instant>,
    ) -> PyResult<()> {
        let mut dropped = self.dropped.swap(0, Ordering::Relaxed);
        let mut pending = Pending {
            deliver: &self.deliver,
            process: &lines.process,
            text: String::new(),
            handler: None,
            records: PyList::empty(py),
        };
        for said in batch.iter() {
            if self.given_up.load(Ordering::Relaxed) {
                return Ok(());
            }
            if until.is_some_and(|until| now() >= until) {
                dropped += 1;
                continue;
            }
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
        if self.handler.is_some() || self.records.len() >= AT_ONCE {
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
            let write = handler.bind(py).getattr(intern!(py, "write_lines"))?;
            ffi::call(&write, [PyString::new(py, &self.text).as_any()])?;
            self.text.clear();
        }
        if !self.records.is_empty() || dropped != 0 {
            let records = std::mem::replace(&mut self.records, PyList::empty(py));
            let dropped = dropped.into_pyobject(py)?;
            ffi::call(self.deliver.bind(py), [records.as_any(), dropped.as_any()])?;
        }
        Ok(())
    }
}

/// Waits until everything that was said so far has reached `logging`, for at most so long.
#[pyfunction]
pub(crate) fn flush_logs(py: Python<'_>, milliseconds: u32) {
    let Some(queue) = Queue::current() else {
        return;
    };
    let until = now() + Duration::from_millis(milliseconds.into());
    queue.hand_over(py, &queue.take(), Some(until));
    // A batch of the thread's may be under way: it needs the interpreter, so it is let go here.
    py.detach(|| {
        let mut left = milliseconds / 10;
        while queue.delivering.load(Ordering::Acquire) > 0 && left > 0 {
            thread::sleep(Duration::from_millis(10));
            left -= 1;
        }
    });
}

/// Takes no more records, and has the thread deliver those that wait and end.
pub(crate) fn end() {
    if let Some(queue) = Queue::current() {
        let waiting = queue.lock();
        queue.ending.store(true, Ordering::Relaxed);
        drop(waiting);
        queue.filled.notify_one();
    }
}

/// Has the thread end without delivering the rest.
pub(crate) fn give_up() {
    if let Some(queue) = Queue::current() {
        queue.given_up.store(true, Ordering::Relaxed);
    }
}

/// True when there is no thread that delivers.
pub(crate) fn has_ended() -> bool {
    Queue::current().is_none_or(|queue| !queue.lock().has_thread)
}

/// Gives the child of a fork a queue of its own.
#[pyfunction]
fn begin_in_child(py: Python<'_>) {
    let Some(before) = Queue::current() else {
        return;
    };
    let queue = Queue::new(before.deliver.clone_ref(py), before.listeners.clone_ref(py));
    for (place, level) in queue.levels.iter().zip(&before.levels) {
        place.store(level.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    let ending = before.ending.load(Ordering::Relaxed);
    queue.ending.store(ending, Ordering::Relaxed);
    // Only a second call in the same child could find one there.
    let _ = before.next.set(Box::new(queue));
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

//! Tells a call that held up the loop from one that was held up itself.
//!
//! A short function can take long for two reasons that are not its own: the system let another
//! process have the processor (on a busy machine, or in a container that used up its quota), or
//! another thread computed Python and had the interpreter. Neither would be better in the pool.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::reactor::now;

/// How old the last look at the scheduler may be when a batch begins. What was lost between that
/// look and a slow call is counted in the call's favour, so it must not be long; each look costs a
/// microsecond, so it must not be short.
const FRESH: Duration = Duration::from_millis(2);
/// Reacquiring the interpreter takes this long only where another thread computes: such a thread
/// gives it up after the switch interval of 0.5 ms.
const CONTENTION: Duration = Duration::from_micros(250);
const TRIES: u32 = 5;

/// How long this thread was ready to run and was not let, as far as the kernel says.
#[derive(Debug)]
pub(crate) struct Delays {
    source: Option<File>,
    known: Cell<Duration>,
    looked: Cell<Instant>,
}

impl Delays {
    /// The delays of the thread that calls this. Where the kernel keeps no account there are none.
    pub(crate) fn of_this_thread() -> Self {
        let delays = Self {
            source: File::open("/proc/thread-self/schedstat").ok(),
            known: Cell::new(Duration::ZERO),
            looked: Cell::new(now()),
        };
        delays.known.set(delays.read());
        delays
    }

    /// Looks again if the last look is old.
    pub(super) fn refresh(&self, now: Instant) {
        if now.duration_since(self.looked.get()) >= FRESH {
            self.looked.set(now);
            self.known.set(self.read());
        }
    }

    /// What was lost since the last look.
    pub(super) fn lost(&self) -> Duration {
        let total = self.read();
        self.looked.set(now());
        total.saturating_sub(self.known.replace(total))
    }

    fn read(&self) -> Duration {
        let mut buffer = [0; 96];
        let Some(source) = &self.source else {
            return Duration::ZERO;
        };
        let text = source
            .read_at(&mut buffer, 0)
            .ok()
            .and_then(|length| buffer.get(..length))
            .and_then(|bytes| str::from_utf8(bytes).ok())
            .unwrap_or_default();
        // Nanoseconds on a processor, nanoseconds waiting for one, number of runs.
        let waited = text.split_ascii_whitespace().nth(1);
        let waited = waited.and_then(|number| number.parse().ok());
        Duration::from_nanos(waited.unwrap_or_default())
    }
}

/// Whether another thread is computing Python just now: then the interpreter, once let go, comes
/// back only after that thread's switch interval. On a busy machine such a thread may be slow to
/// take its chance, so it is given several.
pub(super) fn is_contended(py: Python<'_>) -> bool {
    (0..TRIES).any(|_| {
        let before = py.detach(|| {
            thread::sleep(Duration::from_micros(100));
            now()
        });
        now().duration_since(before) >= CONTENTION
    })
}

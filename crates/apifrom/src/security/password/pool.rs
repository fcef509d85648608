//! The threads that compare passwords with their hashes, which takes long by design.
//!
//! 1. There are max(1, min(cores − 1, 4)) of them, at the lowest priority that the system has, so that
//!    log-ins take what others leave. They start with the first comparison.
//! 2. At most 256 comparisons wait. One more is refused, which becomes 503.
//! 3. Whoever waits and goes away takes the comparison along, unless it has begun.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// How many comparisons may wait.
const QUEUE: usize = 256;
/// What the hashes need, with much to spare.
const STACK: usize = 512 << 10;

/// The pool of one engine. Its threads end with it.
pub(in crate::security) struct Pool {
    shared: Arc<Shared>,
}

/// Too many comparisons wait.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::security) struct Full;

struct Job {
    compare: Box<dyn FnOnce() -> bool + Send>,
    answer: oneshot::Sender<bool>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Pool {
    pub(in crate::security) fn new() -> Self {
        Self {
            shared: Arc::default(),
        }
    }

    /// Has `compare` done, and returns what it comes to.
    pub(in crate::security) fn submit(
        &self,
        compare: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<oneshot::Receiver<bool>, Full> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.shared.lock();
        if state.queue.len() >= QUEUE {
            return Err(Full);
        }
        state.queue.push_back(Job {
            compare: Box::new(compare),
            answer,
        });
        let is_short = state.idle < state.queue.len() && state.threads < size();
        if is_short {
            state.threads += 1;
        }
        drop(state);
        self.shared.changed.notify_one();
        if is_short {
            self.start();
        }
        Ok(answered)
    }

    fn start(&self) {
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name("apifrom-passwords".to_owned())
            .stack_size(STACK)
            .spawn(move || shared.serve());
        if started.is_err() {
            let mut state = self.shared.lock();
            state.threads -= 1;
            // With no thread at all nobody would ever be answered.
            if state.threads == 0 {
                state.queue.clear();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let left = std::mem::take(&mut state.queue);
        drop(state);
        drop(left);
        self.shared.changed.notify_all();
    }
}

fn size() -> usize {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.saturating_sub(1).clamp(1, 4)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        // On Linux this is the priority of the thread alone; without it log-ins are as quick as others.
        let _ = rustix::process::setpriority_process(None, 19);
        while let Some(job) = self.next() {
            if job.answer.is_closed() {
                continue;
            }
            let matched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job.compare));
            // A comparison that panicked has found nothing; nobody waits any more where this fails.
            let _ = job.answer.send(matched.unwrap_or(false));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state.idle += 1;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn comparisons_are_made_and_answered() {
        let pool = Pool::new();
        let answers: Vec<_> = (0..50)
            .map(|number| pool.submit(move || number % 2 == 0).unwrap())
            .collect();
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.blocking_recv(), Ok(number % 2 == 0));
        }
    }

    #[test]
    fn one_more_than_can_wait_is_refused_and_what_panics_is_no_match() {
        let pool = Pool::new();
        let (go, gone) = mpsc::channel::<()>();
        let gone = Arc::new(Mutex::new(gone));
        let block = || {
            let gone = Arc::clone(&gone);
            move || {
                gone.lock()
                    .unwrap()
                    .recv_timeout(Duration::from_secs(10))
                    .is_ok()
            }
        };
        let mut running = Vec::new();
        for _ in 0..size() {
            running.push(pool.submit(block()).unwrap());
        }
        // Until all threads have taken theirs.
        while !pool.shared.lock().queue.is_empty() {
            thread::yield_now();
        }
        let waiting: Vec<_> = (0..QUEUE)
            .map(|_| pool.submit(|| panic!()).unwrap())
            .collect();
        assert_eq!(pool.submit(|| true).unwrap_err(), Full);
        for _ in 0..size() {
            go.send(()).unwrap();
        }
        for answer in running {
            assert_eq!(answer.blocking_recv(), Ok(true));
        }
        for answer in waiting {
            assert_eq!(answer.blocking_recv(), Ok(false));
        }
    }

    #[test]
    fn nothing_is_compared_for_whoever_has_gone() {
        let pool = Pool::new();
        let (go, gone) = mpsc::channel::<()>();
        let first = pool.submit(move || gone.recv().is_ok()).unwrap();
        let (tell, told) = mpsc::channel();
        for _ in 0..10 {
            let tell = tell.clone();
            drop(pool.submit(move || tell.send(()).is_ok()));
        }
        drop(tell);
        go.send(()).unwrap();
        assert_eq!(first.blocking_recv(), Ok(true));
        if size() == 1 {
            assert!(told.recv().is_err(), "a comparison was made for nobody");
        }
    }
}

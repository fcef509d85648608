//! Connections that are kept open: at most so many, each used by one caller at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::DatabaseError;
use crate::clock::instant;

/// What a pool knows of itself. See [`Database::stats`](super::Database::stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseStats {
    /// How many connections there may be.
    pub size: usize,
    /// How many are open.
    pub open: usize,
    /// How many of these are in use.
    pub in_use: usize,
    /// How many callers wait for one.
    pub waiting: usize,
}

/// Connections of one kind.
pub(super) struct Pool<C> {
    size: usize,
    patience: Duration,
    state: Mutex<State<C>>,
    /// Told when a connection comes back.
    returned: Condvar,
}

struct State<C> {
    idle: VecDeque<C>,
    open: usize,
    waiting: usize,
    is_closed: bool,
}

impl<C> Pool<C> {
    pub(super) fn new(size: usize, patience: Duration) -> Self {
        Self {
            size,
            patience,
            state: Mutex::new(State {
                idle: VecDeque::new(),
                open: 0,
                waiting: 0,
                is_closed: false,
            }),
            returned: Condvar::new(),
        }
    }

    /// A connection: one that is idle and usable, a new one, or the next that comes back.
    ///
    /// # Errors
    /// When none can be opened, none came back in time, or the pool is closed.
    pub(super) fn take(
        &self,
        is_usable: impl Fn(&C) -> bool,
        open: impl FnOnce() -> Result<C, DatabaseError>,
    ) -> Result<C, DatabaseError> {
        let mut state = self.lock();
        let mut deadline = None;
        loop {
            if state.is_closed {
                return Err(DatabaseError::unavailable("the database was closed"));
            }
            // One that was lost while nobody used it makes room for a new one.
            while let Some(connection) = state.idle.pop_back() {
                if is_usable(&connection) {
                    return Ok(connection);
                }
                state.open -= 1;
                drop(connection);
            }
            if state.open < self.size {
                state.open += 1;
                drop(state);
                return open().inspect_err(|_| self.forget());
            }
            let deadline = *deadline.get_or_insert_with(|| instant() + self.patience);
            let left = deadline.saturating_duration_since(instant());
            if left.is_zero() {
                return Err(DatabaseError::unavailable(format!(
                    "all {} connections are in use, and none came back within {:?}; a transaction \
                     keeps one until it ends",
                    self.size, self.patience
                )));
            }
            state.waiting += 1;
            state = self
                .returned
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.waiting -= 1;
        }
    }

    /// Takes a connection back.
    pub(super) fn put(&self, connection: C) {
        let mut state = self.lock();
        if state.is_closed {
            state.open -= 1;
            drop(state);
            drop(connection);
        } else {
            state.idle.push_back(connection);
            drop(state);
            self.returned.notify_one();
        }
    }

    /// Notes that a connection is gone.
    pub(super) fn forget(&self) {
        self.lock().open -= 1;
        self.returned.notify_one();
    }

    /// Closes what is idle, and the others when they come back.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let idle = std::mem::take(&mut state.idle);
        state.open -= idle.len();
        drop(state);
        drop(idle);
        self.returned.notify_all();
    }

    /// True when a caller gets a connection at once.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        !state.idle.is_empty() || state.open < self.size
    }

    pub(super) fn stats(&self) -> DatabaseStats {
        let state = self.lock();
        DatabaseStats {
            size: self.size,
            open: state.open,
            in_use: state.open - state.idle.len(),
            waiting: state.waiting,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

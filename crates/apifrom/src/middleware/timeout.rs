//! Timeout: how long an answer may take to begin.
//!
//! 1. The time runs from the head of the request to the head of its answer: what stages wait for, the
//!    body, own middleware, and the handler. What is streamed afterwards has the server's own limit on
//!    stalled clients.
//! 2. When it is over, the request is answered 503 with `Retry-After`, and what still runs for it is
//!    given up: an asynchronous handler is cancelled where it waits.
//! 3. What computes without waiting cannot be stopped, here or anywhere: a Python `def` runs to its end
//!    in its thread, and its answer is dropped.
//!
//! # Deployment
//! A proxy has a time-out of its own; this one should be the shorter, so that the client is told by the
//! one that knows.
//!
//! # Examples
//! ```
//! use std::future::pending;
//! use std::time::Duration;
//!
//! use apifrom::middleware::Timeout;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/never", method = "GET")]
//! async fn never() -> &'static str {
//!     pending().await
//! }
//!
//! let api = Api::new()
//!     .add_middleware(Timeout::new(Duration::from_millis(20)))
//!     .endpoints(endpoints![never]);
//! assert_eq!(TestClient::new(api.build()?).get("/never").send()?.status(), 503);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use crate::error::ConfigError;
use crate::rejection::Rejection;

/// The longest that may be meant: what is longer is a mistake in the unit.
const LONGEST: Duration = Duration::from_hours(24);

/// Answers 503 where an answer does not begin in time.
#[doc(alias = "TimeoutMiddleware")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    after: Duration,
}

impl Timeout {
    /// Answers begin within `after`: more than nothing, and at most a day.
    pub fn new(after: Duration) -> Self {
        Self { after }
    }

    /// What there is to know of it, in milliseconds.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.after.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn compile(&self) -> Result<Duration, Vec<ConfigError>> {
        if self.after.is_zero() || self.after > LONGEST {
            let found = self.after;
            return Err(vec![ConfigError::new(
                "timeout.seconds",
                format!("expected more than 0 and at most a day, found {found:?}"),
            )]);
        }
        Ok(self.after)
    }
}

/// What a request is answered with that took too long.
pub(crate) fn overdue() -> Rejection {
    Rejection::unavailable(
        "deadline_exceeded",
        "the answer took longer than this endpoint allows",
        1,
    )
}

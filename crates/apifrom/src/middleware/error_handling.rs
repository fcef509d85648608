//! What a failure shows, and to whom.
//!
//! 1. A handler that panics, raises or fails costs its own request alone: 500.
//! 2. The client gets a fixed text; under `debug` the failure's own, under `include_traceback`
//!    where it came from.
//! 3. The log gets all of it, unless `log_exceptions` is off.
//!
//! # Deployment
//! `debug` and `include_traceback` show source code and whatever a failing library put into its
//! message. They belong on a developer's machine.

/// What is told of a handler that fails. The client learns nothing by default.
#[doc(alias = "ErrorHandlingMiddleware")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorHandling {
    /// Puts the failure's own text into the answer. Defaults to `false`.
    pub debug: bool,
    /// Puts the traceback into the answer. Defaults to `false`.
    pub include_traceback: bool,
    /// Writes failures to the log. Defaults to `true`.
    pub log_exceptions: bool,
}

impl Default for ErrorHandling {
    fn default() -> Self {
        Self {
            debug: false,
            include_traceback: false,
            log_exceptions: true,
        }
    }
}

impl ErrorHandling {
    /// Nothing to the client, everything to the log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`ErrorHandling::debug`].
    #[must_use]
    pub fn debug(mut self, on: bool) -> Self {
        self.debug = on;
        self
    }

    /// Sets [`ErrorHandling::include_traceback`].
    #[must_use]
    pub fn include_traceback(mut self, on: bool) -> Self {
        self.include_traceback = on;
        self
    }

    /// Sets [`ErrorHandling::log_exceptions`].
    #[must_use]
    pub fn log_exceptions(mut self, on: bool) -> Self {
        self.log_exceptions = on;
        self
    }
}

//! What can be wrong before the first request: configuration and start-up errors.

use std::fmt;

/// One thing that is wrong with the configuration, and where.
///
/// Printed as `path: what was expected`. The offending value is shown unless it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{path}: {message}")]
pub struct ConfigError {
    path: String,
    message: String,
}

impl ConfigError {
    /// An error at `path` (`cors.allow_origins[0]`), lower case, without a full stop.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// The field that is wrong, with the way to it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error seen from one level further out: `prefix.path`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.path = format!("{prefix}.{}", self.path);
        self
    }
}

/// Everything that is wrong with a configuration, found in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// No error yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one error.
    pub fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// Notes an error at `path`.
    pub fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(ConfigError::new(path, message));
    }

    /// Keeps the value of `result`, or notes its error.
    pub fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// True while nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// Takes over the errors of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// `Ok` while nothing is wrong.
    ///
    /// # Errors
    /// The collected errors themselves, when there are any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "error" } else { "errors" };
        write!(f, "{} configuration {noun}", self.0.len())?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Why a server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration is wrong; nothing was opened.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address or path as it was given.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The runtime could not be built, or a signal could not be watched.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    /// A process that was to serve did not come to it, more than once if another served before.
    #[error("worker {number} {how} before it served")]
    Worker {
        /// Which of the processes, from 1.
        number: u32,
        /// What became of it.
        how: String,
        /// What it ended with, where it ended by itself.
        status: Option<i32>,
    },
    /// The server was asked to stop, and some connections did not end in time.
    #[error("{0} connections did not end in time and were cut")]
    Cut(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_are_printed_at_once_each_with_its_path() {
        let mut errors = ConfigErrors::new();
        errors.note("server.port", "expected 0 to 65535, found 70000");
        errors.push(ConfigError::new("secret", "is empty").within("jwt"));
        let text = errors.to_string();
        assert_eq!(
            text,
            "2 configuration errors\n  server.port: expected 0 to 65535, found 70000\n  jwt.secret: is empty"
        );
        assert!(errors.into_result().is_err());
    }
}

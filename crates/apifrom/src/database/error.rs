//! Why a database did not do what it was asked.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use crate::rejection::Rejection;
use crate::response::{IntoResponse, Response};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatabaseErrorKind {
    /// The statement, or what it was given for its placeholders, is wrong: a mistake of the program.
    Statement,
    /// A value is one that no column holds: a whole number of more than 64 bits, one that is not finite.
    UnstorableValue,
    /// A name that a request chose is none of those that it may be. See [`ident`](super::ident).
    UnknownName,
    /// The data would break a rule that the database keeps: unique, not null, a reference, a check.
    Integrity,
    /// The database cannot be asked now: it is locked, busy, full, unreadable or not there.
    Unavailable,
}

/// Why a database did not do what it was asked. It never holds a parameter or a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseError {
    kind: DatabaseErrorKind,
    message: Cow<'static, str>,
}

impl DatabaseError {
    pub(super) fn statement(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(DatabaseErrorKind::Statement, message)
    }

    pub(super) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(DatabaseErrorKind::Unavailable, message)
    }

    pub(super) fn new(kind: DatabaseErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> DatabaseErrorKind {
        self.kind
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DatabaseError {}

/// 503 where the database cannot be asked now; 422 for a value that no column holds, and for a name that may
/// not be chosen, which a request may have sent where a handler's types allow it; else 500. The reason is for the log alone.
impl From<DatabaseError> for Rejection {
    fn from(error: DatabaseError) -> Self {
        let rejection = match error.kind {
            DatabaseErrorKind::Unavailable => Self::unavailable(
                "database_unavailable",
                "the database cannot be asked now; try again shortly",
                1,
            ),
            DatabaseErrorKind::UnstorableValue => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unstorable_value",
                "a value is out of the range that can be stored",
            ),
            DatabaseErrorKind::UnknownName => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unknown_name",
                "a name is none of those that can be chosen",
            ),
            DatabaseErrorKind::Statement | DatabaseErrorKind::Integrity => Self::internal(),
        };
        rejection.caused_by(error)
    }
}

impl IntoResponse for DatabaseError {
    fn into_response(self) -> Result<Response, Rejection> {
        Err(self.into())
    }
}

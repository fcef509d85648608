//! PostgreSQL: a server, over TCP with TLS or a socket of this machine.
//!
//! 1. Values travel beside a prepared statement, and the server reads each as the type that its place has.
//! 2. Without `sslmode`, a server elsewhere must prove who it is by TLS; `sslmode=disable` is said aloud.
//! 3. A statement that runs too long is cancelled at the server, and its connection is closed: nobody else
//!    gets one whose state is not known. So is one that was lost, one on which a statement may have left
//!    something, and one on which `standard_conforming_strings` is off.
//! 4. What PostgreSQL says while a statement runs may quote what it was given, so only its code is kept.
//!
//! Callers block; the connections live on a thread of their own, which serves all databases of the process.

mod place;
mod session;
mod values;

pub(super) use self::place::Place;
pub(super) use self::session::Session;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use super::error::{DatabaseError, DatabaseErrorKind};

/// When an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before any value was sent: PostgreSQL's text is about the program's statement alone.
    Preparing,
    Running {
        has_values: bool,
    },
}

fn converted(error: &Error, phase: Phase) -> DatabaseError {
    match error.as_db_error() {
        Some(error) => said(error, phase),
        None if error.is_closed() => {
            DatabaseError::unavailable("the connection to PostgreSQL is closed")
        }
        None => match std::error::Error::source(error) {
            Some(source) if source.is::<values::Misfit>() => match source.downcast_ref() {
                Some(values::Misfit(error)) => error.clone(),
                None => DatabaseError::statement("a value does not fit"),
            },
            Some(source) if source.is::<std::io::Error>() => DatabaseError::unavailable(format!(
                "the connection to PostgreSQL is lost: {source}"
            )),
            _ => DatabaseError::unavailable("PostgreSQL and this program misunderstood each other"),
        },
    }
}

fn said(error: &DbError, phase: Phase) -> DatabaseError {
    let code = error.code().code();
    let class = code.get(..2).unwrap_or_default();
    let kind = match (class, code) {
        ("08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" | "XX", _)
            if !matches!(code, "25P01" | "25P02" | "55000") =>
        {
            DatabaseErrorKind::Unavailable
        }
        ("23", _) => DatabaseErrorKind::Integrity,
        (
            "22",
            "22001" | "22003" | "22007" | "22008" | "22021" | "22032" | "22P02" | "22P03" | "22P05",
        ) if phase == (Phase::Running { has_values: true }) => DatabaseErrorKind::UnstorableValue,
        _ => DatabaseErrorKind::Statement,
    };
    let message = match (kind, code) {
        (_, "40001" | "40P01") => {
            "another transaction was in the way, so this one was undone; it may be tried again"
                .into()
        }
        (_, "55P03") => "another transaction keeps what this statement needs locked".into(),
        (_, "57014") => "the statement was cancelled".into(),
        (_, "57P01" | "57P02" | "57P03") => format!("PostgreSQL is not ready: {}", error.message()),
        _ if phase == Phase::Preparing => error.message().to_owned(),
        (DatabaseErrorKind::Integrity, _) => broken_rule(error),
        (DatabaseErrorKind::UnstorableValue, _) => {
            format!("a value does not fit its type: PostgreSQL's code {code}")
        }
        _ => format!("the statement failed while it ran: PostgreSQL's code {code}"),
    };
    DatabaseError::new(kind, message)
}

/// Which rule it was. The message of a trigger may quote a row, so the names alone are kept.
fn broken_rule(error: &DbError) -> String {
    let rule = match error.code().code() {
        "23502" => "not null",
        "23503" => "a reference",
        "23505" => "unique",
        "23514" => "a check",
        "23P01" => "an exclusion",
        _ => "a rule",
    };
    let table = error.table().map(|table| format!(" in the table {table}"));
    let name = error.column().or(error.constraint());
    let name = name.map(|name| format!(": {name}"));
    format!(
        "{rule} is violated{}{}",
        table.unwrap_or_default(),
        name.unwrap_or_default()
    )
}

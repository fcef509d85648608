//! SQLite: a file, or the memory of this process.
//!
//! 1. A connection checks references, waits so long for locks as the pool for connections, and, on a
//!    file, writes a log ahead, so that readers and the one writer do not hinder each other.
//! 2. Extensions cannot be loaded, and neither a statement nor a schema can reach functions that touch
//!    what is outside the database.
//! 3. A database in memory lives as long as its one connection; temporary tables, views and triggers are
//!    dropped there, and elsewhere closed with their connection.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ToSql};

use super::backend::Executed;
use super::error::{DatabaseError, DatabaseErrorKind};
use super::reader::Reader;
use super::rows::Rows;
use super::statement::{Bound, Dialect, Statement};
use super::value::{Parameters, Value};
use crate::clock::instant;

/// How many prepared statements a connection keeps.
const PREPARED: usize = 128;

/// How long is waited before a file is tried again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Memory,
}

impl Place {
    /// The place that stands behind `sqlite:`.
    pub(super) fn parse(rest: &str) -> Result<Self, String> {
        let path = rest
            .strip_prefix("//")
            .ok_or("expected sqlite:/// and a path, or sqlite://:memory:")?;
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.contains(['?', '#', '\0']) {
            return Err("expected a path alone, without ? and #".into());
        }
        if path == ":memory:" {
            return Ok(Self::Memory);
        }
        // A path that was meant to be filled in must not become a database that is lost.
        if path.is_empty() {
            return Err(
                "expected a path, or :memory: for a database that is lost at the end".into(),
            );
        }
        if rest.strip_prefix("///").is_none() {
            return Err(
                "expected three slashes before a path in the working directory \
                        (sqlite:///app.db), and four before one from the root"
                    .into(),
            );
        }
        Ok(Self::File(path.into()))
    }

    /// Opens a connection that waits for locks as long as `patience`.
    pub(super) fn open(&self, patience: Duration) -> Result<Session, DatabaseError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let is_in_memory = *self == Self::Memory;
        let opened = match self {
            Self::File(path) => Connection::open_with_flags(path, flags),
            Self::Memory => Connection::open_in_memory_with_flags(flags),
        };
        let prepared = opened.and_then(|connection| self.prepare(connection, patience));
        prepared
            .map(|connection| Session {
                connection,
                is_in_memory,
            })
            .map_err(|error| {
                let error = converted(&error);
                match self {
                    Self::File(path) => {
                        DatabaseError::new(error.kind(), format!("{}: {error}", path.display()))
                    }
                    Self::Memory => error,
                }
            })
    }

    fn prepare(
        &self,
        connection: Connection,
        patience: Duration,
    ) -> Result<Connection, rusqlite::Error> {
        connection.set_prepared_statement_cache_capacity(PREPARED);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        if matches!(self, Self::File(_)) && !connection.is_readonly("main")? {
            log_ahead(&connection, patience)?;
            connection.busy_timeout(patience)?;
            connection.execute_batch("PRAGMA synchronous = NORMAL")?;
        } else {
            connection.busy_timeout(patience)?;
        }
        Ok(connection)
    }
}

/// Changes the file to a log ahead, where it has none yet; blocks as long as `patience`, as SQLite does where
/// it waits for a lock.
fn log_ahead(connection: &Connection, patience: Duration) -> Result<(), rusqlite::Error> {
    let deadline = instant() + patience;
    let (mut pause, longest) = PAUSES;
    loop {
        connection.busy_timeout(deadline.saturating_duration_since(instant()))?;
        // It answers with the mode that it has now. Where a file system cannot do it, the old one works
        // as well.
        let changed = connection.query_row("PRAGMA journal_mode = WAL", (), |row| {
            row.get::<_, String>(0)
        });
        let left = deadline.saturating_duration_since(instant());
        match changed {
            // It reads before it writes, and SQLite never waits in between: two that did would wait for
            // each other.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && !left.is_zero() =>
            {
                sleep(pause.min(left));
                pause = (pause * 2).min(longest);
            }
            changed => return changed.map(drop),
        }
    }
}

/// One open connection.
pub(super) struct Session {
    connection: Connection,
    is_in_memory: bool,
}

impl Session {
    pub(super) fn query(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Rows, DatabaseError> {
        let mut prepared = self.prepared(statement, parameters)?;
        let width = prepared.column_count();
        if width == 0 {
            return Err(DatabaseError::statement(
                "the statement gives no rows; use execute",
            ));
        }
        let names = (0..width).map(|index| prepared.column_name(index).unwrap_or_default());
        let columns = statement.columns(names)?;
        let mut values = Vec::new();
        let mut count = 0;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next().map_err(|error| stopped(&error))? {
            count += 1;
            for index in 0..width {
                let value = row.get_ref(index).map_err(|error| converted(&error))?;
                values.push(value_of(value)?);
            }
        }
        Ok(Rows::new(columns, values, count))
    }

    pub(super) fn execute(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Executed, DatabaseError> {
        let before = self.connection.total_changes();
        let mut prepared = self.prepared(statement, parameters)?;
        // What it returns besides is passed over.
        let mut rows = prepared.raw_query();
        while rows.next().map_err(|error| stopped(&error))?.is_some() {}
        drop(rows);
        Ok(Executed {
            rows: self.connection.total_changes() - before,
            last_id: self.connection.last_insert_rowid(),
        })
    }

    /// Runs text of our own.
    pub(super) fn run(&self, sql: &'static str) -> Result<(), DatabaseError> {
        self.connection
            .execute_batch(sql)
            .map_err(|error| converted(&error))
    }

    /// Runs a migration, which may be several statements.
    pub(super) fn run_all(&self, sql: &str) -> Result<(), DatabaseError> {
        Reader::check_all(sql, Dialect::Sqlite)?;
        self.connection
            .execute_batch(sql)
            .map_err(|error| converted(&error))
    }

    /// Drops what is temporary, where the connection must not be closed; false where it must.
    pub(super) fn reset(&self) -> bool {
        self.is_in_memory && self.drop_temporary().is_ok()
    }

    fn drop_temporary(&self) -> Result<(), rusqlite::Error> {
        let found = "SELECT type, name FROM sqlite_temp_schema
                     WHERE type IN ('table', 'trigger', 'view') AND name NOT LIKE 'sqlite_%'
                     ORDER BY type DESC, rowid";
        let mut found = self.connection.prepare(found)?;
        let found = found.query_map((), |row| {
            let name = row.get::<_, String>(1)?.replace('"', "\"\"");
            Ok((row.get::<_, String>(0)?, name))
        })?;
        for (kind, name) in found.collect::<Result<Vec<_>, _>>()? {
            // Triggers and the parts of a virtual table may be gone with another by then.
            self.connection
                .execute_batch(&format!("DROP {kind} IF EXISTS temp.\"{name}\""))?;
        }
        Ok(())
    }

    /// True while a transaction is open.
    pub(super) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn prepared(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<CachedStatement<'_>, DatabaseError> {
        let Bound { text, values, .. } = statement.bind(parameters)?;
        let mut prepared = self
            .connection
            .prepare_cached(&text)
            .map_err(|error| converted(&error))?;
        // What was read here as no placeholder, and is one to SQLite, would be NULL.
        if prepared.parameter_count() != values.len() {
            return Err(DatabaseError::statement(format!(
                "SQLite finds {} placeholders in the statement, and {} are meant",
                prepared.parameter_count(),
                values.len()
            )));
        }
        for (index, value) in values.into_iter().enumerate() {
            prepared
                .raw_bind_parameter(index + 1, Given(value))
                .map_err(|error| converted(&error))?;
        }
        Ok(prepared)
    }
}

struct Given<'a>(&'a Value);

impl ToSql for Given<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(flag) => ValueRef::Integer((*flag).into()),
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value_of(value: ValueRef<'_>) -> Result<Value, DatabaseError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => {
                return Err(DatabaseError::unavailable(
                    "the database holds text that is not UTF-8",
                ));
            }
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    })
}

/// Why a statement stopped while it ran. SQLite's own text may quote what it was given then (a JSON path, a
/// query of a full-text index, what a trigger raises), so only that of a rule is kept, which names columns.
fn stopped(error: &rusqlite::Error) -> DatabaseError {
    let converted = converted(error);
    let code = match error {
        rusqlite::Error::SqliteFailure(code, _) => *code,
        _ => return converted,
    };
    match converted.kind() {
        DatabaseErrorKind::Integrity if code.extended_code == SQLITE_CONSTRAINT_TRIGGER => {
            DatabaseError::new(DatabaseErrorKind::Integrity, "a trigger refused it")
        }
        DatabaseErrorKind::Statement => DatabaseError::statement(format!(
            "the statement failed while it ran: SQLite's code {}",
            code.extended_code
        )),
        _ => converted,
    }
}

/// SQLite's own text about a statement names tables and columns, and never a value.
fn converted(error: &rusqlite::Error) -> DatabaseError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => DatabaseErrorKind::Integrity,
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NotADatabase
            | ErrorCode::PermissionDenied,
        ) => DatabaseErrorKind::Unavailable,
        _ => DatabaseErrorKind::Statement,
    };
    let message = match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            message.clone().unwrap_or_else(|| code.to_string())
        }
        // The text of the statement stands in it, which may hold literals.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    DatabaseError::new(kind, message)
}

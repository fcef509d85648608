//! The databases there are, behind one face.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::DatabaseError;
use super::lasting::Lasting;
#[cfg(feature = "database-mysql")]
use super::mysql;
#[cfg(feature = "database-postgres")]
use super::postgres;
use super::rows::Rows;
#[cfg(feature = "database-sqlite")]
use super::sqlite;
use super::statement::{Dialect, Statement};
use super::value::Parameters;

/// What a statement did that gives no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executed {
    /// How many rows were inserted, changed or deleted.
    pub rows: u64,
    /// SQLite: the key of the row that was inserted last on this connection. MySQL: the key that
    /// `AUTO_INCREMENT` gave first in this statement. PostgreSQL, and MariaDB as well: the whole number that
    /// `RETURNING` gave first of the last row. 0 where there is none.
    pub last_id: i64,
}

/// Where a database is.
#[derive(Debug)]
pub(super) enum Place {
    #[cfg(feature = "database-mysql")]
    MySql(mysql::Place),
    #[cfg(feature = "database-postgres")]
    Postgres(Box<postgres::Place>),
    #[cfg(feature = "database-sqlite")]
    Sqlite(sqlite::Place),
}

impl Place {
    /// Where the database at `url` is. Nothing of a URL is shown: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        let _ = rest;
        match scheme {
            #[cfg(feature = "database-sqlite")]
            "sqlite" => sqlite::Place::parse(rest).map(Self::Sqlite),
            #[cfg(feature = "database-postgres")]
            "postgresql" | "postgres" => postgres::Place::parse(url)
                .map(Box::new)
                .map(Self::Postgres),
            #[cfg(feature = "database-mysql")]
            "mysql" | "mariadb" => mysql::Place::parse(url).map(Self::MySql),
            #[cfg(not(feature = "database-sqlite"))]
            "sqlite" => Err("SQLite is the feature database-sqlite, which is off".into()),
            #[cfg(not(feature = "database-postgres"))]
            "postgresql" | "postgres" => {
                Err("PostgreSQL is the feature database-postgres, which is off".into())
            }
            #[cfg(not(feature = "database-mysql"))]
            "mysql" | "mariadb" => {
                Err("MySQL and MariaDB are the feature database-mysql, which is off".into())
            }
            _ => Err(
                "expected sqlite:///app.db, sqlite:////var/app.db, sqlite://:memory:, \
                      postgresql://user:password@host/name or mysql://user:password@host/name"
                    .into(),
            ),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "database-mysql")]
            Self::MySql(_) => Dialect::MySql,
            #[cfg(feature = "database-postgres")]
            Self::Postgres(_) => Dialect::Postgres,
            #[cfg(feature = "database-sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// True where there can be one connection alone.
    pub(super) fn is_single(&self) -> bool {
        match self {
            #[cfg(feature = "database-mysql")]
            Self::MySql(_) => false,
            #[cfg(feature = "database-postgres")]
            Self::Postgres(_) => false,
            #[cfg(feature = "database-sqlite")]
            Self::Sqlite(place) => *place == sqlite::Place::Memory,
        }
    }

    /// True where every call waits for a server.
    pub(super) fn is_remote(&self) -> bool {
        self.dialect() != Dialect::Sqlite
    }

    pub(super) fn open(
        &self,
        patience: Duration,
        deadline: Duration,
    ) -> Result<Session, DatabaseError> {
        let _ = deadline;
        let connection = match self {
            #[cfg(feature = "database-mysql")]
            Self::MySql(place) => {
                let session = place.open(patience, deadline)?;
                Connection::MySql(Box::new(session))
            }
            #[cfg(feature = "database-postgres")]
            Self::Postgres(place) => {
                let session = place.open(patience, deadline)?;
                Connection::Postgres(Box::new(session))
            }
            #[cfg(feature = "database-sqlite")]
            Self::Sqlite(place) => Connection::Sqlite(place.open(patience)?),
        };
        Ok(Session {
            connection,
            is_changed: AtomicBool::new(false),
        })
    }
}

/// One open connection.
pub(super) struct Session {
    connection: Connection,
    /// True where a statement may have left something on it.
    is_changed: AtomicBool,
}

enum Connection {
    #[cfg(feature = "database-mysql")]
    MySql(Box<mysql::Session>),
    #[cfg(feature = "database-postgres")]
    Postgres(Box<postgres::Session>),
    #[cfg(feature = "database-sqlite")]
    Sqlite(sqlite::Session),
}

/// Servers have one face; SQLite's may be another.
macro_rules! each {
    ($session:expr, $known:ident => $server:expr, $sqlite:expr) => {
        match &$session.connection {
            #[cfg(feature = "database-mysql")]
            Connection::MySql($known) => $server,
            #[cfg(feature = "database-postgres")]
            Connection::Postgres($known) => $server,
            #[cfg(feature = "database-sqlite")]
            Connection::Sqlite($known) => $sqlite,
        }
    };
}

impl Session {
    pub(super) fn query(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Rows, DatabaseError> {
        self.note(statement)?;
        each!(self, known => known.query(statement, parameters), known.query(statement, parameters))
    }

    pub(super) fn execute(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Executed, DatabaseError> {
        self.note(statement)?;
        each!(
            self,
            known => known.execute(statement, parameters),
            known.execute(statement, parameters)
        )
    }

    pub(super) fn begin(&self) -> Result<(), DatabaseError> {
        each!(self, known => known.begin(), known.run("BEGIN IMMEDIATE"))
    }

    pub(super) fn commit(&self) -> Result<(), DatabaseError> {
        each!(self, known => known.commit(), known.run("COMMIT"))
    }

    pub(super) fn rollback(&self) -> Result<(), DatabaseError> {
        each!(self, known => known.rollback(), known.run("ROLLBACK"))
    }

    /// Begins what can be undone without the rest of its transaction.
    pub(super) fn mark(&self) -> Result<(), DatabaseError> {
        self.run("SAVEPOINT apifrom_many")
    }

    /// Leaves it done.
    pub(super) fn unmark(&self) -> Result<(), DatabaseError> {
        self.run("RELEASE SAVEPOINT apifrom_many")
    }

    /// Undoes it.
    pub(super) fn undo_to_mark(&self) -> Result<(), DatabaseError> {
        self.run("ROLLBACK TO SAVEPOINT apifrom_many")?;
        self.unmark()
    }

    /// Runs text of our own.
    fn run(&self, sql: &'static str) -> Result<(), DatabaseError> {
        each!(self, known => known.run_own(sql), known.run(sql))
    }

    /// Runs a migration, which may be several statements.
    pub(super) fn run_all(&self, sql: &str) -> Result<(), DatabaseError> {
        self.is_changed.store(true, Ordering::Relaxed);
        match &self.connection {
            #[cfg(feature = "database-mysql")]
            Connection::MySql(known) => known.run_all(sql).map_err(|(_, error)| error),
            #[cfg(feature = "database-postgres")]
            Connection::Postgres(known) => known.run_all(sql),
            #[cfg(feature = "database-sqlite")]
            Connection::Sqlite(known) => known.run_all(sql),
        }
    }

    /// The same, and whether a part of it may have been done where it fails.
    #[cfg(feature = "database-mysql")]
    pub(super) fn run_marked(&self, sql: &str) -> Result<(), (bool, DatabaseError)> {
        match &self.connection {
            Connection::MySql(known) => {
                self.is_changed.store(true, Ordering::Relaxed);
                known.run_all(sql)
            }
            #[cfg(any(feature = "database-postgres", feature = "database-sqlite"))]
            _ => self.run_all(sql).map_err(|error| (true, error)),
        }
    }

    /// Lets other processes run migrations again, where a transaction's end does not.
    #[cfg(feature = "database-mysql")]
    pub(super) fn finish_migrations(&self) -> Result<(), DatabaseError> {
        match &self.connection {
            Connection::MySql(known) => known.finish_migrations(),
            #[cfg(any(feature = "database-postgres", feature = "database-sqlite"))]
            _ => Ok(()),
        }
    }

    /// Makes the table of the migrations, and keeps other processes from running any meanwhile.
    pub(super) fn prepare_migrations(&self) -> Result<(), DatabaseError> {
        each!(
            self,
            known => known.prepare_migrations(),
            known.run(
                "CREATE TABLE IF NOT EXISTS apifrom_migrations (
                    place INTEGER PRIMARY KEY,
                    name TEXT NOT NULL UNIQUE,
                    digest BLOB NOT NULL
                )"
            )
        )
    }

    /// Notes what a statement may leave, before it is run: it may do so though it fails.
    fn note(&self, statement: &Statement) -> Result<(), DatabaseError> {
        match statement.lasting() {
            Lasting::Connection => self.is_changed.store(true, Ordering::Relaxed),
            Lasting::Transaction if !self.is_in_transaction() => {
                return Err(DatabaseError::statement(
                    "the statement is one for a transaction, and stands in none",
                ));
            }
            Lasting::Nothing | Lasting::Transaction => {}
        }
        Ok(())
    }

    /// Undoes what statements left, for the next caller. False where it cannot be undone, or only by closing
    /// the connection.
    pub(super) fn is_clean(&self) -> bool {
        let is_clean = !self.is_changed.load(Ordering::Relaxed)
            || match &self.connection {
                #[cfg(feature = "database-mysql")]
                Connection::MySql(known) => known.reset().is_ok(),
                #[cfg(feature = "database-postgres")]
                Connection::Postgres(_) => false,
                #[cfg(feature = "database-sqlite")]
                Connection::Sqlite(known) => known.reset(),
            };
        self.is_changed.store(!is_clean, Ordering::Relaxed);
        is_clean
    }

    /// True while a transaction is open.
    pub(super) fn is_in_transaction(&self) -> bool {
        each!(self, known => known.is_in_transaction(), known.is_in_transaction())
    }

    /// False where it must not be used again.
    pub(super) fn is_usable(&self) -> bool {
        each!(self, known => known.is_usable(), {
            let _ = known;
            true
        })
    }
}

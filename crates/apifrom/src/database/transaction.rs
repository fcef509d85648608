//! Transactions: all of it is kept, or nothing.

use std::sync::{Mutex, PoisonError};

use super::backend::{Executed, Session};
use super::error::DatabaseError;
use super::rows::{Row, Rows};
use super::statement::Sql;
use super::value::Parameters;
use super::{Database, Lent, only};

/// A transaction. What is not committed when it is dropped is rolled back.
///
/// On SQLite it takes the right to write when it begins, so that two never wait for each other in a circle.
/// On PostgreSQL it has the server's own isolation, by default "read committed": what is read to be written
/// again is read with `FOR UPDATE`. A statement that failed there ends it: it can only be rolled back.
/// On MySQL the server's own isolation is "repeatable read" by default, and `FOR UPDATE` is needed as well; a
/// statement that failed is undone alone, a deadlock undoes all of it, and what changes a schema is refused.
pub struct Transaction {
    database: Database,
    /// `None` when it is over.
    lent: Mutex<Option<Lent>>,
}

impl Transaction {
    pub(super) fn begin(database: &Database) -> Result<Self, DatabaseError> {
        let lent = Lent::new(database)?;
        lent.get()?.begin()?;
        Ok(Self {
            database: database.clone(),
            lent: Mutex::new(Some(lent)),
        })
    }

    /// As [`Database::query`].
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn query(
        &self,
        sql: impl Into<Sql>,
        parameters: impl Into<Parameters>,
    ) -> Result<Rows, DatabaseError> {
        self.query_text(&sql.into().0, &parameters.into())
    }

    /// As [`Database::query_one`].
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn query_one(
        &self,
        sql: impl Into<Sql>,
        parameters: impl Into<Parameters>,
    ) -> Result<Option<Row>, DatabaseError> {
        only(&self.query(sql, parameters)?)
    }

    /// As [`Database::execute`].
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn execute(
        &self,
        sql: impl Into<Sql>,
        parameters: impl Into<Parameters>,
    ) -> Result<Executed, DatabaseError> {
        self.execute_text(&sql.into().0, &parameters.into())
    }

    /// As [`Database::execute_many`]: all of it is done, or nothing, after which the transaction goes on.
    ///
    /// # Errors
    /// [`DatabaseError`], the first one.
    pub fn execute_many<P: Into<Parameters>>(
        &self,
        sql: impl Into<Sql>,
        all: impl IntoIterator<Item = P>,
    ) -> Result<u64, DatabaseError> {
        let sql = sql.into();
        let all: Vec<Parameters> = all.into_iter().map(Into::into).collect();
        self.execute_many_text(&sql.0, &all)
    }

    /// Keeps what was done.
    ///
    /// # Errors
    /// [`DatabaseError`]: nothing of it is kept.
    pub fn commit(&self) -> Result<(), DatabaseError> {
        self.end(Session::commit)
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// [`DatabaseError`]; nothing of it is kept either way.
    pub fn rollback(&self) -> Result<(), DatabaseError> {
        self.end(Session::rollback)
    }

    /// [`Transaction::query`], for text that is known to be a literal elsewhere.
    #[doc(hidden)]
    pub fn query_text(&self, sql: &str, parameters: &Parameters) -> Result<Rows, DatabaseError> {
        let statement = self.database.statement(sql)?;
        self.with(|session| session.query(&statement, parameters))
    }

    /// [`Transaction::execute`], for text that is known to be a literal elsewhere.
    #[doc(hidden)]
    pub fn execute_text(
        &self,
        sql: &str,
        parameters: &Parameters,
    ) -> Result<Executed, DatabaseError> {
        let statement = self.database.statement(sql)?;
        self.with(|session| session.execute(&statement, parameters))
    }

    /// [`Transaction::execute_many`], for text that is known to be a literal elsewhere.
    #[doc(hidden)]
    pub fn execute_many_text(&self, sql: &str, all: &[Parameters]) -> Result<u64, DatabaseError> {
        let statement = self.database.statement(sql)?;
        // Nobody else's statement comes in between.
        self.with(|session| {
            session.mark()?;
            let done = all.iter().try_fold(0, |rows, parameters| {
                let done = session.execute(&statement, parameters)?;
                Ok(rows + done.rows)
            });
            // Where the transaction is over, why the statement failed says more.
            let ended = if done.is_ok() {
                session.unmark()
            } else {
                session.undo_to_mark()
            };
            let rows = done?;
            ended.map(|()| rows)
        })
    }

    pub(super) fn prepare_migrations(&self) -> Result<(), DatabaseError> {
        self.with(Session::prepare_migrations)
    }

    pub(super) fn run_all(&self, sql: &str) -> Result<(), DatabaseError> {
        self.with(|session| session.run_all(sql))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = lent.as_ref().ok_or_else(over)?;
        let session = lent.get()?;
        let result = work(session);
        if session.is_in_transaction() {
            return result;
        }
        // Where a connection is lost its own error says so. SQLite ends a transaction by itself where it cannot go on; a COMMIT in a statement does too.
        result.and(Err(DatabaseError::statement(
            "the transaction was ended by a statement; use commit() or rollback()",
        )))
    }

    fn end(
        &self,
        how: impl FnOnce(&Session) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        // Going back, it rolls back what could not be committed.
        let lent = lent.take().ok_or_else(over)?;
        how(lent.get()?)
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transaction")
    }
}

fn over() -> DatabaseError {
    DatabaseError::statement("the transaction is over")
}

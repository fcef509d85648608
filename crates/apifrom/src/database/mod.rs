//! Databases: statements with placeholders, and nothing spliced into them.
//!
//! 1. A statement is a literal of the program, or composed of literals by [`sql`]; there is no way from
//!    a `String` to it but [`insecure_raw`].
//! 2. What a request sent travels beside the statement, for its placeholders, and is never part of it.
//! 3. A call is one statement. Parameters that are missing, too many, or of a kind that no database keeps
//!    are an error that names them and shows no value.
//! 4. A caller uses one connection of a pool, and waits so long for one as [`Database::patience`] says.
//!    A transaction keeps its connection until it is committed; otherwise it is rolled back.
//! 5. Nothing of a caller reaches the next one: what changes a connection is refused where it can never be
//!    right, and otherwise undone, or the connection closed.
//!
//! An error answers 503 where the database cannot be asked now, 422 for a value that no column holds, else
//! 500; why is in the log.
//!
//! # Deployment
//! SQLite is one file on one machine: processes there share it, others cannot. Keep it out of folders
//! that a server hands out. Another SQLite in the same process (Python's `sqlite3`) must not have the file
//! open at the same time: the locks of a process do not hold against itself.
//!
//! # Examples
//! ```
//! use apifrom::database::Database;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, DatabaseError, Json, Path, State, api, endpoints, params};
//! use apifrom::database::Row;
//!
//! #[api(route = "/users/{user_id}", method = "GET")]
//! fn user(user_id: i64, db: State<Database>) -> Result<Option<Row>, DatabaseError> {
//!     db.query_one("SELECT id, name FROM users WHERE id = ?", params![user_id])
//! }
//!
//! let db = Database::open("sqlite://:memory:")?;
//! db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)", ())?;
//! db.execute("INSERT INTO users (name) VALUES (?)", params!["Ann"])?;
//! let client = TestClient::new(Api::new().state(db).endpoints(endpoints![user]).build()?);
//!
//! assert_eq!(client.get("/users/1").send()?.text(), r#"{"id":1,"name":"Ann"}"#);
//! assert_eq!(client.get("/users/2").send()?.status(), 404);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod compose;
mod error;
mod lasting;
mod migration;
#[cfg(feature = "database-mysql")]
mod mysql;
mod pool;
#[cfg(feature = "database-postgres")]
mod postgres;
mod reader;
#[cfg(any(feature = "database-mysql", feature = "database-postgres"))]
mod remote;
mod rows;
#[cfg(feature = "database-sqlite")]
mod sqlite;
mod statement;
mod transaction;
mod value;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use self::backend::Executed;
use self::backend::{Place, Session};
#[doc(hidden)]
pub use self::compose::compose;
pub use self::compose::{Identifier, ident, insecure_raw, sql};
pub use self::error::{DatabaseError, DatabaseErrorKind};
pub use self::migration::Migration;
pub use self::pool::DatabaseStats;
use self::pool::Pool;
pub use self::rows::{Row, Rows};
pub use self::statement::Sql;
use self::statement::Statement;
pub use self::transaction::Transaction;
pub use self::value::{Parameter, Parameters, Value, list};
use crate::error::ConfigError;

/// How many statements are kept read.
const KNOWN: usize = 512;

/// A database. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    place: Place,
    pool: Pool<Session>,
    patience: Duration,
    deadline: Duration,
    known: RwLock<HashMap<Box<str>, Arc<Statement>>>,
}

/// How a database is opened. See [`Database::open_with`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DatabaseOptions {
    /// How many connections there may be: 1 to 1,000. A database in memory has one. Defaults to `16`.
    pub pool_size: usize,
    /// How long a caller waits for a connection, or for a lock: a millisecond to an hour. Defaults to
    /// five seconds.
    pub patience: Duration,
    /// How long a statement may run on PostgreSQL or MySQL before it is cancelled: a millisecond to an
    /// hour. Not for migrations. Defaults to thirty seconds.
    pub deadline: Duration,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            pool_size: 16,
            patience: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
        }
    }
}

impl Database {
    /// The database at `url`: `sqlite:///app.db` in the working directory, `sqlite:////var/app.db`,
    /// `sqlite://:memory:`, `postgresql://user:password@host:5432/name`, or
    /// `mysql://user:password@host:3306/name` (`mariadb://` as well). Nothing is opened before it is used, so
    /// that a server starts though its database does not answer yet; [`Database::ping`] opens it.
    ///
    /// # Errors
    /// When `url` names no database that is known.
    pub fn open(url: &str) -> Result<Self, ConfigError> {
        Self::open_with(url, &DatabaseOptions::default()).map_err(|mut errors| errors.remove(0))
    }

    /// The database at `url`, under `options`.
    ///
    /// # Errors
    /// All that is wrong, at once: at least one.
    pub fn open_with(url: &str, options: &DatabaseOptions) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut wrong = |field, message: String| errors.push(ConfigError::new(field, message));
        let place = Place::parse(url)
            .map_err(|why| wrong("database.url", why))
            .ok();
        if !(1..=1_000).contains(&options.pool_size) {
            let message = format!("expected 1 to 1000, found {}", options.pool_size);
            wrong("database.pool_size", message);
        }
        for (field, time) in [
            ("database.patience", options.patience),
            ("database.deadline", options.deadline),
        ] {
            if !(Duration::from_millis(1)..=Duration::from_hours(1)).contains(&time) {
                let message = format!("expected a millisecond to an hour, found {time:?}");
                wrong(field, message);
            }
        }
        let Some(place) = place.filter(|_| errors.is_empty()) else {
            return Err(errors);
        };
        let size = if place.is_single() {
            1
        } else {
            options.pool_size
        };
        Ok(Self(Arc::new(Inner {
            place,
            pool: Pool::new(size, options.patience),
            patience: options.patience,
            deadline: options.deadline,
            known: RwLock::default(),
        })))
    }

    /// The rows that `sql` gives.
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

    /// The one row that `sql` gives; `None` where it gives none.
    ///
    /// # Errors
    /// [`DatabaseError`]; several rows are one as well.
    pub fn query_one(
        &self,
        sql: impl Into<Sql>,
        parameters: impl Into<Parameters>,
    ) -> Result<Option<Row>, DatabaseError> {
        only(&self.query(sql, parameters)?)
    }

    /// Runs a statement that gives no rows.
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

    /// Runs a statement once for each of `all`, in one transaction: all of it is kept, or nothing.
    /// Returns how many rows were changed.
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

    /// Begins a transaction. What is not committed is rolled back.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn begin(&self) -> Result<Transaction, DatabaseError> {
        Transaction::begin(self)
    }

    /// Does `work` in a transaction, which is committed where it succeeds and rolled back where it
    /// fails, or panics.
    ///
    /// # Errors
    /// Those of `work`, and [`DatabaseError`].
    pub fn transaction<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.begin()?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Brings the schema up to date: runs those of `migrations` that were not run yet, in their order,
    /// each in a transaction. Returns how many these were.
    ///
    /// # Errors
    /// When one that was run is missing, was changed, or stands in another order now; and
    /// [`DatabaseError`] of the one that failed, after which the earlier ones stay.
    pub fn migrate(
        &self,
        migrations: impl IntoIterator<Item = impl Into<Migration>>,
    ) -> Result<usize, DatabaseError> {
        let migrations: Vec<Migration> = migrations.into_iter().map(Into::into).collect();
        migration::run(self, &migrations)
    }

    /// Whether the database can be asked.
    ///
    /// # Errors
    /// Why not.
    pub fn ping(&self) -> Result<(), DatabaseError> {
        self.query("SELECT 1", ()).map(drop)
    }

    /// What the pool of connections does now.
    pub fn stats(&self) -> DatabaseStats {
        self.0.pool.stats()
    }

    /// Closes all connections, those in use when they come back. Whoever asks later is refused.
    pub fn close(&self) {
        self.0.pool.close();
    }

    /// How long a caller waits for a connection, or for a lock.
    pub fn patience(&self) -> Duration {
        self.0.patience
    }

    /// True when a call of [`Database::query`] with `sql` may have to wait for another caller.
    #[doc(hidden)]
    pub fn may_wait(&self, sql: &str) -> bool {
        if self.0.place.is_remote() {
            return true;
        }
        let only_reads = self.statement(sql).map(|known| known.only_reads());
        only_reads == Ok(false) || !self.0.pool.has_room()
    }

    /// [`Database::query`], for text that is known to be a literal elsewhere.
    #[doc(hidden)]
    pub fn query_text(&self, sql: &str, parameters: &Parameters) -> Result<Rows, DatabaseError> {
        let statement = self.statement(sql)?;
        self.with(|session| session.query(&statement, parameters))
    }

    /// [`Database::execute`], for text that is known to be a literal elsewhere.
    #[doc(hidden)]
    pub fn execute_text(
        &self,
        sql: &str,
        parameters: &Parameters,
    ) -> Result<Executed, DatabaseError> {
        let statement = self.statement(sql)?;
        self.with(|session| session.execute(&statement, parameters))
    }

    /// [`Database::execute_many`], for text that is known to be a literal elsewhere.
    #[doc(hidden)]
    pub fn execute_many_text(&self, sql: &str, all: &[Parameters]) -> Result<u64, DatabaseError> {
        self.transaction(|transaction| {
            let mut rows = 0;
            for parameters in all {
                rows += transaction.execute_text(sql, parameters)?.rows;
            }
            Ok(rows)
        })
    }

    /// The statement that `sql` is, read once.
    fn statement(&self, sql: &str) -> Result<Arc<Statement>, DatabaseError> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = known.get(sql) {
            return Ok(Arc::clone(statement));
        }
        drop(known);
        let statement = Arc::new(Statement::parse(sql, self.0.place.dialect())?);
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        // Programs have far fewer; composed ones may be many, and are read again.
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(sql.into(), Arc::clone(&statement));
        Ok(statement)
    }

    /// Lends a connection of the pool.
    fn with<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let session = Lent::new(self)?;
        let result = work(session.get()?);
        // A statement of the program's own may have begun one.
        if session.get()?.is_in_transaction() {
            let undone = session.get()?.rollback();
            // Why the statement itself failed says more.
            return result.and(undone).and(Err(DatabaseError::statement(
                "a transaction is begun by transaction() or begin(), not by a statement",
            )));
        }
        result
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("place", &self.0.place)
            .field("stats", &self.stats())
            .finish()
    }
}

/// A connection that goes back by itself.
struct Lent {
    database: Database,
    session: Option<Session>,
}

impl Lent {
    fn new(database: &Database) -> Result<Self, DatabaseError> {
        let inner = &database.0;
        let session = inner.pool.take(Session::is_usable, || {
            inner.place.open(inner.patience, inner.deadline)
        })?;
        Ok(Self {
            database: database.clone(),
            session: Some(session),
        })
    }

    fn get(&self) -> Result<&Session, DatabaseError> {
        self.session
            .as_ref()
            .ok_or_else(|| DatabaseError::statement("the transaction is over"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        // One that cannot be rolled back must not be handed to anybody else.
        let is_undone = !session.is_in_transaction() || session.rollback().is_ok();
        if !is_undone || !session.is_usable() || !session.is_clean() {
            drop(session);
            self.database.0.pool.forget();
        } else {
            self.database.0.pool.put(session);
        }
    }
}

fn only(rows: &Rows) -> Result<Option<Row>, DatabaseError> {
    if rows.len() > 1 {
        return Err(DatabaseError::statement(format!(
            "expected one row, found {}",
            rows.len()
        )));
    }
    Ok(rows.get(0))
}

#[cfg(test)]
#[cfg(feature = "database-sqlite")]
mod tests;

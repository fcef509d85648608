//! One connection, and what a caller does with it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::super::backend::Executed;
use super::super::error::{DatabaseError, DatabaseErrorKind};
use super::super::remote::{NoResult, wait};
use super::super::rows::Rows;
use super::super::statement::Statement;
use super::super::value::{Parameters, Value};
use super::connection::{Connection, Outcome, Prepared};
use super::place::Server;
use super::values::size;
use super::{Fault, Phase, converted};

/// How many prepared statements a connection keeps.
const PREPARED: usize = 128;

/// How long the server is given to undo what it did.
const ROLLBACK: Duration = Duration::from_secs(5);

/// One open connection.
pub(in super::super) struct Session {
    /// `None` where it is lost.
    open: Mutex<Option<Open>>,
    server: Arc<Server>,
    runtime: Handle,
    deadline: Duration,
    /// How long a packet the server takes.
    longest: usize,
    /// The statement by which a session becomes ours.
    settings: Arc<str>,
    /// True from the beginning of a transaction until somebody ends it here.
    has_begun: AtomicBool,
}

/// A connection and what its server knows.
struct Open {
    connection: Connection,
    prepared: HashMap<Box<str>, Prepared>,
}

type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Why a connection did not do what it was asked.
struct Failure {
    fault: Fault,
    phase: Phase,
}

impl Failure {
    fn preparing(fault: impl Into<Fault>) -> Self {
        Self {
            fault: fault.into(),
            phase: Phase::Preparing,
        }
    }
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        server: Arc<Server>,
        runtime: Handle,
        deadline: Duration,
        longest: usize,
        settings: Arc<str>,
    ) -> Self {
        Self {
            open: Mutex::new(Some(Open {
                connection,
                prepared: HashMap::new(),
            })),
            server,
            runtime,
            deadline,
            longest,
            settings,
            has_begun: AtomicBool::new(false),
        }
    }

    pub(in super::super) fn query(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Rows, DatabaseError> {
        let outcome = self.ask(statement, parameters, true)?;
        let columns = statement.columns(outcome.names.iter().map(|name| &**name))?;
        Ok(Rows::new(columns, outcome.values, outcome.count))
    }

    pub(in super::super) fn execute(
        &self,
        statement: &Statement,
        parameters: &Parameters,
    ) -> Result<Executed, DatabaseError> {
        let outcome = self.ask(statement, parameters, false)?;
        if outcome.names.is_empty() {
            return Ok(Executed {
                rows: outcome.done.rows,
                last_id: i64::try_from(outcome.done.last_id).unwrap_or_default(),
            });
        }
        let last = outcome.count.saturating_sub(1) * outcome.names.len();
        Ok(Executed {
            rows: outcome.count as u64,
            last_id: match outcome.values.get(last) {
                Some(Value::Integer(number)) => *number,
                _ => 0,
            },
        })
    }

    pub(in super::super) fn begin(&self) -> Result<(), DatabaseError> {
        self.run("START TRANSACTION", self.deadline)?;
        self.has_begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(in super::super) fn commit(&self) -> Result<(), DatabaseError> {
        self.check()?;
        // Whether it was kept is not known where there is no answer; the connection is not used again.
        self.run("COMMIT", self.deadline)?;
        self.has_begun.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(in super::super) fn rollback(&self) -> Result<(), DatabaseError> {
        self.has_begun.store(false, Ordering::Relaxed);
        if !self.is_usable() {
            // The server undoes what a lost connection did.
            return Ok(());
        }
        self.run("ROLLBACK", ROLLBACK)
    }

    /// Runs a migration; returns true where a statement of it was done before one failed.
    pub(in super::super) fn run_all(&self, sql: &str) -> Result<(), (bool, DatabaseError)> {
        let sql = sql.to_owned();
        let hour = Duration::from_hours(1);
        let run = self.with(hour, move |open| {
            Box::pin(async move {
                let (done, result) = open.connection.run_all(&sql).await;
                // One that was lost is not known to have done nothing.
                if let Err(fault @ Fault::Lost(_)) = result {
                    return Err(Failure::preparing(fault));
                }
                Ok((done, result))
            })
        });
        let (done, result) = run.map_err(|error| (true, error))?;
        if let Err(fault) = result {
            let is_plain = self.is_plain();
            if !is_plain {
                self.lose();
            }
            return Err((done > 0 || !is_plain, converted(fault, Phase::Preparing)));
        }
        if self.is_in_transaction() {
            self.lose();
            return Err((
                true,
                DatabaseError::statement("the migration begins a transaction and does not end it"),
            ));
        }
        Ok(())
    }

    /// Makes the table of the migrations, and keeps other processes from running any meanwhile.
    pub(in super::super) fn prepare_migrations(&self) -> Result<(), DatabaseError> {
        let hour = Duration::from_hours(1);
        // It would go on without the lock after its own time, which is never reached.
        self.run(
            "DO GET_LOCK(CONCAT('apifrom.', MD5(DATABASE())), 7200)",
            hour,
        )?;
        self.run(
            "CREATE TABLE IF NOT EXISTS apifrom_migrations (
                 place INTEGER PRIMARY KEY,
                 name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
                 digest VARBINARY(32) NOT NULL
             )",
            hour,
        )
    }

    /// Lets other processes run theirs.
    pub(in super::super) fn finish_migrations(&self) -> Result<(), DatabaseError> {
        let released = self.run(
            "DO RELEASE_LOCK(CONCAT('apifrom.', MD5(DATABASE())))",
            ROLLBACK,
        );
        // The lock ends with its connection.
        released.inspect_err(|_| self.lose())
    }

    /// Makes the session as it was at first, whatever statements left of it.
    pub(in super::super) fn reset(&self) -> Result<(), DatabaseError> {
        let settings = Arc::clone(&self.settings);
        let reset = self.with(ROLLBACK, move |open| {
            Box::pin(async move {
                open.prepared.clear();
                let connection = &mut open.connection;
                connection.reset().await.map_err(Failure::preparing)?;
                connection
                    .run(&settings)
                    .await
                    .1
                    .map_err(Failure::preparing)
            })
        });
        reset.inspect_err(|_| self.lose())
    }

    pub(in super::super) fn is_in_transaction(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
            || self
                .open()
                .as_ref()
                .is_some_and(|open| open.connection.is_in_transaction())
    }

    /// True where no transaction is open, and none begins by itself.
    fn is_plain(&self) -> bool {
        self.open().as_ref().is_some_and(|open| {
            open.connection.has_autocommit() && !open.connection.is_in_transaction()
        })
    }

    pub(in super::super) fn is_usable(&self) -> bool {
        self.open()
            .as_ref()
            .is_some_and(|open| open.connection.is_quiet())
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection, whose state is not known.
    fn lose(&self) {
        drop(self.open().take());
    }

    /// Refuses to go on where what the server did is not known, or is undone: what comes next would be
    /// kept by itself.
    fn check(&self) -> Result<(), DatabaseError> {
        let open = self.open();
        let Some(open) = open.as_ref() else {
            return Err(DatabaseError::unavailable(
                "the connection to MySQL is lost, and what its transaction did is undone",
            ));
        };
        if self.has_begun.load(Ordering::Relaxed) && !open.connection.is_in_transaction() {
            return Err(DatabaseError::statement(
                "the transaction is over: a statement failed and undid it, or ended it",
            ));
        }
        Ok(())
    }

    fn ask(
        &self,
        statement: &Statement,
        parameters: &Parameters,
        needs_rows: bool,
    ) -> Result<Outcome, DatabaseError> {
        self.check()?;
        let has_begun = self.has_begun.load(Ordering::Relaxed);
        if has_begun && statement.ends_transaction() {
            return Err(DatabaseError::statement(
                "MySQL ends a transaction where a schema is changed; run the statement outside of it",
            ));
        }
        let bound = statement.bind(parameters)?;
        let text: Box<str> = (*bound.text).into();
        let values: Vec<Value> = bound.values.iter().map(|value| (*value).clone()).collect();
        if size(&values) + 1_024 > self.longest {
            return Err(DatabaseError::new(
                DatabaseErrorKind::UnstorableValue,
                format!(
                    "the values are longer than the server takes at once, which is {} bytes; see its \
                     max_allowed_packet",
                    self.longest
                ),
            ));
        }
        let outcome = self.with(self.deadline, move |open| {
            Box::pin(async move { open.answered(text, &values, needs_rows).await })
        });
        let (has_autocommit, is_in_transaction) =
            self.open().as_ref().map_or((true, false), |open| {
                let connection = &open.connection;
                (connection.has_autocommit(), connection.is_in_transaction())
            });
        // Why the statement itself failed says more than what it left.
        if !has_autocommit {
            self.lose();
            return outcome.and(Err(DatabaseError::statement(
                "the statement turns autocommit off; use transaction() or begin()",
            )));
        }
        if has_begun && !is_in_transaction {
            return outcome.and(Err(DatabaseError::statement(
                "the transaction was ended by a statement; use commit() or rollback()",
            )));
        }
        outcome
    }

    /// Runs text of our own in a transaction.
    pub(in super::super) fn run_own(&self, sql: &'static str) -> Result<(), DatabaseError> {
        self.check()?;
        self.run(sql, self.deadline)
    }

    /// Runs text of our own.
    fn run(&self, sql: &'static str, limit: Duration) -> Result<(), DatabaseError> {
        self.with(limit, move |open| {
            Box::pin(async move {
                let (_, result) = open.connection.run(sql).await;
                result.map_err(Failure::preparing)
            })
        })
    }

    /// Does `work` with the connection, so long; what takes longer is ended at the server.
    fn with<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl for<'a> FnOnce(&'a mut Open) -> Work<'a, T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let Some(mut open) = self.open().take() else {
            return Err(DatabaseError::unavailable(
                "the connection to MySQL is lost",
            ));
        };
        let id = open.connection.id;
        let waited = wait(&self.runtime, limit, async move {
            let result = work(&mut open).await;
            let is_lost =
                matches!(&result, Err(failure) if matches!(failure.fault, Fault::Lost(_)));
            let is_known = !is_lost && open.connection.learn().await.is_ok();
            (is_known.then_some(open), result)
        });
        match waited {
            Ok((open, result)) => {
                *self.open() = open;
                result.map_err(|failure| converted(failure.fault, failure.phase))
            }
            Err(NoResult::TooLate) => {
                let server = Arc::clone(&self.server);
                self.runtime.spawn(async move {
                    // A server that does not answer this either notices the closed connection.
                    let _ = tokio::time::timeout(ROLLBACK, server.kill(id, ROLLBACK)).await;
                });
                Err(DatabaseError::unavailable(format!(
                    "the statement did not end within {limit:?} and was cancelled"
                )))
            }
            Err(NoResult::Lost) => Err(DatabaseError::unavailable(
                "the connection to MySQL is lost",
            )),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(open) = self.open().take() {
            self.runtime.spawn(async move {
                let _ = tokio::time::timeout(ROLLBACK, open.connection.quit()).await;
            });
        }
    }
}

impl Open {
    async fn answered(
        &mut self,
        text: Box<str>,
        values: &[Value],
        needs_rows: bool,
    ) -> Result<Outcome, Failure> {
        if !self.prepared.contains_key(&text) {
            let prepared = self.prepare(&text).await.map_err(Failure::preparing)?;
            self.prepared.insert(text.clone(), prepared);
        }
        let Some(prepared) = self.prepared.get(&text) else {
            return Err(Failure::preparing(Fault::Lost(
                "a statement is gone".into(),
            )));
        };
        let phase = Phase::Running {
            has_values: !values.is_empty(),
        };
        self.connection
            .execute(prepared, values, needs_rows)
            .await
            .map_err(|fault| Failure { fault, phase })
    }

    async fn prepare(&mut self, text: &str) -> Result<Prepared, Fault> {
        // Programs have far fewer; composed ones may be many, and are prepared again.
        if self.prepared.len() >= PREPARED {
            for (_, prepared) in self.prepared.drain() {
                self.connection.close(&prepared).await?;
            }
        }
        self.connection.prepare(text).await
    }
}

//! One connection.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::Stream as _;
use tokio::runtime::Handle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement as Prepared};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::backend::Executed;
use super::super::error::DatabaseError;
use super::super::remote::{NoResult, wait};
use super::super::rows::{Columns, Rows};
use super::super::statement::{Bound, Statement};
use super::super::value::{Parameters, Value};
use super::values::{Given, Read, fit, is_read};
use super::{Phase, converted};

/// How many prepared statements a connection keeps.
const PREPARED: usize = 128;

/// How long the server is given to undo what it did.
const ROLLBACK: Duration = Duration::from_secs(5);

/// One open connection.
pub(in super::super) struct Session {
    client: Arc<Client>,
    tls: MakeRustlsConnect,
    runtime: Handle,
    deadline: Duration,
    prepared: Arc<Mutex<HashMap<Box<str>, Prepared>>>,
    is_in_transaction: AtomicBool,
    /// True where a statement of the transaction failed: the server does nothing more in it.
    has_failed: AtomicBool,
    is_broken: AtomicBool,
    /// True once the server read `\` in strings in another way than we do.
    is_misread: Arc<AtomicBool>,
}

/// What a statement gave.
struct Outcome {
    names: Vec<Box<str>>,
    values: Vec<Value>,
    count: usize,
    changed: u64,
}

/// What a failed statement leaves.
struct Failure {
    error: DatabaseError,
    /// The server's plan is out of date.
    is_stale: bool,
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self {
            error,
            is_stale: false,
        }
    }
}

impl Session {
    pub(super) fn new(
        client: Client,
        tls: MakeRustlsConnect,
        runtime: Handle,
        deadline: Duration,
        is_misread: Arc<AtomicBool>,
    ) -> Self {
        Self {
            client: Arc::new(client),
            tls,
            runtime,
            deadline,
            prepared: Arc::default(),
            is_in_transaction: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            is_misread,
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
        let last = outcome.count.saturating_sub(1) * outcome.names.len();
        let last_id = match outcome.values.get(last) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        };
        Ok(Executed {
            rows: outcome.changed,
            last_id,
        })
    }

    pub(in super::super) fn begin(&self) -> Result<(), DatabaseError> {
        self.run("BEGIN", self.deadline)?;
        self.has_failed.store(false, Ordering::Relaxed);
        self.is_in_transaction.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(in super::super) fn commit(&self) -> Result<(), DatabaseError> {
        // A statement that was cancelled, or whose answer never came, undid it.
        self.check()?;
        // It would answer COMMIT as if nothing had happened, and keep nothing.
        if self.has_failed.load(Ordering::Relaxed) {
            self.rollback()?;
            return Err(DatabaseError::statement(
                "a statement of the transaction failed, so nothing of it is kept",
            ));
        }
        // Whether it was kept is not known where there is no answer; the connection is not used again.
        self.run("COMMIT", self.deadline)?;
        self.is_in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(in super::super) fn rollback(&self) -> Result<(), DatabaseError> {
        if !self.is_usable() {
            // The server undoes what a lost connection did.
            self.is_in_transaction.store(false, Ordering::Relaxed);
            return Ok(());
        }
        self.run("ROLLBACK", ROLLBACK)?;
        self.is_in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(in super::super) fn run_all(&self, sql: &str) -> Result<(), DatabaseError> {
        let hour = Duration::from_hours(1);
        self.run(sql, hour)?;
        // It works in a transaction alone, and a migration may have ended it.
        let check = self.run(
            "SAVEPOINT apifrom_step; RELEASE apifrom_step",
            self.deadline,
        );
        check.map_err(|_| {
            self.is_in_transaction.store(false, Ordering::Relaxed);
            self.is_broken.store(true, Ordering::Relaxed);
            DatabaseError::statement("the migration ends the transaction that it runs in")
        })
    }

    pub(in super::super) fn prepare_migrations(&self) -> Result<(), DatabaseError> {
        // The number is "apifrom" as ASCII: nobody else's lock by chance.
        self.run(
            "SELECT pg_advisory_xact_lock(27425349543718765);
             CREATE TABLE IF NOT EXISTS apifrom_migrations (
                 place INTEGER PRIMARY KEY,
                 name TEXT NOT NULL UNIQUE,
                 digest BYTEA NOT NULL
             )",
            Duration::from_hours(1),
        )
    }

    pub(in super::super) fn is_in_transaction(&self) -> bool {
        self.is_in_transaction.load(Ordering::Relaxed)
    }

    pub(in super::super) fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed)
            && !self.is_misread.load(Ordering::Relaxed)
            && !self.client.is_closed()
    }

    /// Refuses to go on where what the server did is not known.
    fn check(&self) -> Result<(), DatabaseError> {
        if self.is_usable() {
            return Ok(());
        }
        if self.is_misread.load(Ordering::Relaxed) {
            return Err(DatabaseError::statement(
                "standard_conforming_strings was turned off, without which no statement can be read",
            ));
        }
        Err(DatabaseError::unavailable(
            "the connection to PostgreSQL is lost, and what its transaction did is undone",
        ))
    }

    /// Runs text of our own in a transaction.
    pub(in super::super) fn run_own(&self, sql: &'static str) -> Result<(), DatabaseError> {
        self.check()?;
        self.run(sql, self.deadline)?;
        // ROLLBACK TO is all that succeeds in a failed transaction.
        self.has_failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Runs text that holds no values.
    fn run(&self, sql: &str, limit: Duration) -> Result<(), DatabaseError> {
        let client = Arc::clone(&self.client);
        let sql = sql.to_owned();
        let result = self.waited(limit, async move { client.batch_execute(&sql).await })?;
        result.map_err(|error| {
            self.note(&error);
            converted(&error, Phase::Preparing)
        })
    }

    fn ask(
        &self,
        statement: &Statement,
        parameters: &Parameters,
        needs_rows: bool,
    ) -> Result<Outcome, DatabaseError> {
        self.check()?;
        let bound = statement.bind(parameters)?;
        for (value, place) in bound.values.iter().zip(&bound.places) {
            fit(value, &statement.called(*place))?;
        }
        let names: Arc<[String]> = bound
            .places
            .iter()
            .map(|place| statement.called(*place))
            .collect();
        let mut is_again = false;
        loop {
            let failure = match self.try_ask(&bound, &names, needs_rows)? {
                Ok(outcome) => {
                    // ROLLBACK TO is all that succeeds in a failed transaction.
                    self.has_failed.store(false, Ordering::Relaxed);
                    return Ok(outcome);
                }
                Err(failure) => failure,
            };
            if !failure.is_stale || is_again || self.is_in_transaction() {
                return Err(failure.error);
            }
            is_again = true;
        }
    }

    fn try_ask(
        &self,
        bound: &Bound<'_>,
        names: &Arc<[String]>,
        needs_rows: bool,
    ) -> Result<Result<Outcome, Failure>, DatabaseError> {
        let text: Box<str> = (*bound.text).into();
        let known = self.known().get(&text).cloned();
        let values: Vec<Value> = bound.values.iter().map(|value| (*value).clone()).collect();
        let client = Arc::clone(&self.client);
        let cache = Arc::clone(&self.prepared);
        let names = Arc::clone(names);
        let (result, failed) = self.waited(self.deadline, async move {
            let mut failed = None;
            let result = async {
                let prepared = match known {
                    Some(prepared) => prepared,
                    None => prepare(&client, &cache, text, &mut failed).await?,
                };
                answered(&client, &prepared, values, &names, needs_rows, &mut failed).await
            };
            let result = result.await;
            (result, failed)
        })?;
        if let Some(error) = failed {
            self.note(&error);
        }
        if matches!(&result, Err(failure) if failure.is_stale) {
            self.known().clear();
        }
        Ok(result)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Prepared>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an error of the server's means for those that come after it.
    fn note(&self, error: &Error) {
        if error.as_db_error().is_some() {
            if self.is_in_transaction() {
                self.has_failed.store(true, Ordering::Relaxed);
            }
        } else if error.is_closed() || !is_own(error) {
            self.is_broken.store(true, Ordering::Relaxed);
        }
    }

    /// Waits so long for `work`; what takes longer is cancelled at the server.
    fn waited<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        wait(&self.runtime, limit, work).map_err(|why| {
            self.is_broken.store(true, Ordering::Relaxed);
            match why {
                NoResult::TooLate => {
                    let (token, tls) = (self.client.cancel_token(), self.tls.clone());
                    self.runtime.spawn(async move {
                        let cancelled = token.cancel_query(tls);
                        // A server that does not answer this either notices the closed connection.
                        let _ = tokio::time::timeout(ROLLBACK, cancelled).await;
                    });
                    DatabaseError::unavailable(format!(
                        "the statement did not end within {limit:?} and was cancelled"
                    ))
                }
                NoResult::Lost => {
                    DatabaseError::unavailable("the connection to PostgreSQL is lost")
                }
            }
        })
    }
}

/// True for an error about a value, before anything was sent.
fn is_own(error: &Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<super::values::Misfit>)
}

async fn prepare(
    client: &Client,
    cache: &Mutex<HashMap<Box<str>, Prepared>>,
    text: Box<str>,
    failed: &mut Option<Error>,
) -> Result<Prepared, Failure> {
    let prepared = match client.prepare(&text).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let converted = converted(&error, Phase::Preparing);
            *failed = Some(error);
            return Err(converted.into());
        }
    };
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    // Programs have far fewer; composed ones may be many, and are prepared again.
    if cache.len() >= PREPARED {
        cache.clear();
    }
    cache.insert(text, prepared.clone());
    Ok(prepared)
}

async fn answered(
    client: &Client,
    prepared: &Prepared,
    values: Vec<Value>,
    names: &[String],
    needs_rows: bool,
    failed: &mut Option<Error>,
) -> Result<Outcome, Failure> {
    if prepared.params().len() != values.len() {
        return Err(DatabaseError::statement(format!(
            "PostgreSQL finds {} placeholders in the statement, and {} are meant",
            prepared.params().len(),
            values.len()
        ))
        .into());
    }
    if needs_rows && prepared.columns().is_empty() {
        return Err(DatabaseError::statement("the statement gives no rows; use execute").into());
    }
    let columns = prepared.columns().iter();
    let mut outcome = Outcome {
        names: columns.map(|column| column.name().into()).collect(),
        values: Vec::new(),
        count: 0,
        changed: 0,
    };
    if needs_rows {
        // What cannot be answered must not be done either.
        Columns::new(outcome.names.clone())?;
        for column in prepared.columns() {
            if !is_read(column.type_()) {
                return Err(unread(column.name(), column.type_()).into());
            }
        }
    }
    let has_values = !values.is_empty();
    let given: Vec<Given> = values
        .into_iter()
        .zip(names)
        .map(|(value, name)| Given::new(value, name))
        .collect();
    let mut fail = |error: Error| {
        let failure = Failure {
            is_stale: error.code().is_some_and(|code| code.code() == "0A000"),
            error: converted(&error, Phase::Running { has_values }),
        };
        *failed = Some(error);
        failure
    };
    let rows = client.query_raw(prepared, given).await.map_err(&mut fail)?;
    let mut rows = pin!(rows);
    let mut misread = None;
    while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
        let row = row.map_err(&mut fail)?;
        outcome.count += 1;
        for (index, column) in prepared.columns().iter().enumerate() {
            let value = row.try_get(index).map(|Read(value)| value);
            // What comes behind it must be read all the same.
            let value = value.unwrap_or_else(|_| {
                misread.get_or_insert_with(|| (column.name().to_owned(), column.type_().clone()));
                Value::Null
            });
            outcome.values.push(value);
        }
    }
    outcome.changed = rows.rows_affected().unwrap_or_default();
    match misread.filter(|_| needs_rows) {
        None => Ok(outcome),
        Some((name, kind)) => Err(unread(&name, &kind).into()),
    }
}

fn unread(name: &str, kind: &Type) -> DatabaseError {
    DatabaseError::statement(format!(
        "the column {name} of the type {kind} holds what is no value here; cast it: {name}::text"
    ))
}

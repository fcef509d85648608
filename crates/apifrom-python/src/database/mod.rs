//! `apifrom.database`: the engine's databases for Python.
//!
//! 1. Whatever may wait (a statement that writes, a transaction, a pool without a free connection) says so
//!    first, so that its route never again runs on the loop's thread; a plain query does not.
//! 2. The interpreter is let go of while a database works.
//! 3. Rows stay the engine's until Python looks at them: a handler that returns them is answered without
//!    an object for each.

mod convert;
mod rows;

pub(crate) use self::rows::{PyRow, PyRows, Shown, shown};

use std::time::Duration;

use apifrom::ConfigError;
use apifrom::database::{
    Database, DatabaseError, DatabaseErrorKind, DatabaseOptions, DatabaseStats, Executed,
    Identifier, Migration, Parameters, Rows, Sql, Transaction, compose, insecure_raw,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use self::convert::parameters;
use crate::dispatch::about_to_wait;
use crate::security::text_of;

/// The Python exception for `error`.
fn raised(py: Python<'_>, error: &DatabaseError) -> PyErr {
    static CLASSES: [PyOnceLock<Py<PyAny>>; 5] = [const { PyOnceLock::new() }; 5];
    let [statement, integrity, unavailable, unstorable, unknown] = &CLASSES;
    let (class, name) = match error.kind() {
        DatabaseErrorKind::Integrity => (integrity, "IntegrityError"),
        DatabaseErrorKind::UnstorableValue => (unstorable, "UnstorableValue"),
        DatabaseErrorKind::UnknownName => (unknown, "UnknownName"),
        DatabaseErrorKind::Unavailable => (unavailable, "DatabaseUnavailable"),
        _ => (statement, "StatementError"),
    };
    let made = class
        .import(py, "apifrom.exceptions", name)
        .and_then(|class| class.call1((error.to_string(),)));
    made.map_or_else(|error| error, PyErr::from_value)
}

fn unstorable(py: Python<'_>, message: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = CLASS
        .import(py, "apifrom.exceptions", "UnstorableValue")
        .and_then(|class| class.call1((message,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

fn misused(py: Python<'_>, message: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = CLASS
        .import(py, "apifrom.exceptions", "StatementError")
        .and_then(|class| class.call1((message,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// A statement that was composed, or is not a literal.
#[pyclass(frozen, name = "Sql", module = "apifrom.database")]
pub(crate) struct PySql(Sql);

#[pymethods]
impl PySql {
    fn __repr__(&self) -> String {
        format!("Sql({:?})", self.0.as_str())
    }
}

/// A name that may stand in a statement.
#[pyclass(frozen, name = "Identifier", module = "apifrom.database")]
pub(crate) struct PyIdentifier(Identifier);

/// The name `name`, where it is one of `allowed`.
#[pyfunction]
#[pyo3(signature = (name, /, *, allowed))]
pub(crate) fn ident(
    py: Python<'_>,
    name: &str,
    allowed: &Bound<'_, PyAny>,
) -> PyResult<PyIdentifier> {
    let allowed: Vec<PyBackedStr> = allowed.extract()?;
    let allowed: Vec<&str> = allowed.iter().map(|name| &**name).collect();
    apifrom::database::ident(name, &allowed)
        .map(PyIdentifier)
        .map_err(|error| raised(py, &error))
}

/// The statement `template`, with names in the places of its `{}`.
#[pyfunction]
#[pyo3(signature = (template, /, *names))]
pub(crate) fn sql(py: Python<'_>, template: &str, names: &Bound<'_, PyTuple>) -> PyResult<PySql> {
    let names: Vec<Identifier> = names
        .iter()
        .map(|name| {
            let name = name.cast_into::<PyIdentifier>().map_err(|_| {
                PyTypeError::new_err("expected names that ident(…, allowed=[…]) made")
            })?;
            Ok(name.get().0.clone())
        })
        .collect::<PyResult<_>>()?;
    compose(template, &names)
        .map(PySql)
        .map_err(|error| raised(py, &error))
}

/// The statement `text`, whatever it is.
#[pyfunction(name = "insecure_raw")]
pub(crate) fn raw_sql(text: String) -> PySql {
    PySql(insecure_raw(text))
}

/// The text of a statement.
fn text<'a>(sql: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    if let Ok(text) = sql.cast::<PyString>() {
        return text.to_str();
    }
    match sql.cast::<PySql>() {
        Ok(sql) => Ok(sql.get().0.as_str()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "expected a statement as a str, or what sql(…) made; found {}",
            sql.get_type().name()?
        ))),
    }
}

/// What a statement did that gives no rows.
#[pyclass(frozen, name = "Executed", module = "apifrom.database")]
pub(crate) struct PyExecuted(Executed);

#[pymethods]
impl PyExecuted {
    #[getter]
    fn rows(&self) -> u64 {
        self.0.rows
    }

    #[getter]
    fn last_id(&self) -> i64 {
        self.0.last_id
    }

    fn __repr__(&self) -> String {
        format!("Executed(rows={}, last_id={})", self.0.rows, self.0.last_id)
    }
}

/// What a pool of connections does.
#[pyclass(frozen, name = "DatabaseStats", module = "apifrom.database")]
pub(crate) struct PyStats(DatabaseStats);

#[pymethods]
impl PyStats {
    #[getter]
    fn size(&self) -> usize {
        self.0.size
    }

    #[getter]
    fn open(&self) -> usize {
        self.0.open
    }

    #[getter]
    fn in_use(&self) -> usize {
        self.0.in_use
    }

    #[getter]
    fn waiting(&self) -> usize {
        self.0.waiting
    }

    fn __repr__(&self) -> String {
        let DatabaseStats {
            size,
            open,
            in_use,
            waiting,
            ..
        } = self.0;
        format!("DatabaseStats(size={size}, open={open}, in_use={in_use}, waiting={waiting})")
    }
}

/// What statements are sent to: a database, or a transaction of one.
trait Asked: Sync {
    fn query(&self, sql: &str, given: &Parameters) -> Result<Rows, DatabaseError>;
    fn execute(&self, sql: &str, given: &Parameters) -> Result<Executed, DatabaseError>;
    fn execute_many(&self, sql: &str, all: &[Parameters]) -> Result<u64, DatabaseError>;
}

impl Asked for Database {
    fn query(&self, sql: &str, given: &Parameters) -> Result<Rows, DatabaseError> {
        self.query_text(sql, given)
    }

    fn execute(&self, sql: &str, given: &Parameters) -> Result<Executed, DatabaseError> {
        self.execute_text(sql, given)
    }

    fn execute_many(&self, sql: &str, all: &[Parameters]) -> Result<u64, DatabaseError> {
        self.execute_many_text(sql, all)
    }
}

impl Asked for Transaction {
    fn query(&self, sql: &str, given: &Parameters) -> Result<Rows, DatabaseError> {
        self.query_text(sql, given)
    }

    fn execute(&self, sql: &str, given: &Parameters) -> Result<Executed, DatabaseError> {
        self.execute_text(sql, given)
    }

    fn execute_many(&self, sql: &str, all: &[Parameters]) -> Result<u64, DatabaseError> {
        self.execute_many_text(sql, all)
    }
}

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn query(asked: &impl Asked, sql: &Bound<'_, PyAny>, given: Given<'_, '_>) -> PyResult<Rows> {
    let py = sql.py();
    let (text, given) = (text(sql)?, parameters(py, given)?);
    py.detach(|| asked.query(text, &given))
        .map_err(|error| raised(py, &error))
}

fn query_one(
    asked: &impl Asked,
    sql: &Bound<'_, PyAny>,
    given: Given<'_, '_>,
) -> PyResult<Option<PyRow>> {
    let rows = query(asked, sql, given)?;
    match rows.len() {
        0 | 1 => Ok(rows.get(0).map(PyRow)),
        several => Err(misused(
            sql.py(),
            format!("expected one row, found {several}"),
        )),
    }
}

fn execute(
    asked: &impl Asked,
    sql: &Bound<'_, PyAny>,
    given: Given<'_, '_>,
) -> PyResult<PyExecuted> {
    let py = sql.py();
    let (text, given) = (text(sql)?, parameters(py, given)?);
    py.detach(|| asked.execute(text, &given))
        .map(PyExecuted)
        .map_err(|error| raised(py, &error))
}

fn execute_many(
    asked: &impl Asked,
    sql: &Bound<'_, PyAny>,
    given: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    let py = sql.py();
    let text = text(sql)?;
    let mut all = Vec::new();
    for each in given.try_iter()? {
        all.push(parameters(py, Some(&each?))?);
    }
    py.detach(|| asked.execute_many(text, &all))
        .map_err(|error| raised(py, &error))
}

/// A time of the options; what is none is refused as no time at all.
fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// What is wrong with a time of the options, as it was given.
fn in_seconds(seconds: f64) -> String {
    format!("expected 0.001 to 3600 seconds, found {seconds:?}")
}

/// A database.
#[pyclass(frozen, subclass, name = "BaseDatabase", module = "apifrom.database")]
pub(crate) struct PyDatabase(Database);

#[pymethods]
impl PyDatabase {
    #[new]
    #[pyo3(signature = (url, *, pool_size = 16, patience = 5.0, deadline = 30.0))]
    fn new(
        py: Python<'_>,
        url: &Bound<'_, PyAny>,
        pool_size: usize,
        patience: f64,
        deadline: f64,
    ) -> PyResult<Self> {
        static ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let mut options = DatabaseOptions::default();
        options.pool_size = pool_size;
        options.patience = time(patience);
        options.deadline = time(deadline);
        let url = text_of(url).ok_or_else(|| {
            PyTypeError::new_err(
                "url: expected text or a Secret, as secret(\"DATABASE_URL\") gives it",
            )
        })?;
        match Database::open_with(url.expose(), &options) {
            Ok(database) => Ok(Self(database)),
            Err(errors) => {
                let class = ERROR.import(py, "apifrom.exceptions", "ConfigurationError")?;
                let shown = |error: &ConfigError| match error.path() {
                    "database.patience" => in_seconds(patience),
                    "database.deadline" => in_seconds(deadline),
                    _ => error.message().to_owned(),
                };
                let errors: Vec<_> = errors
                    .iter()
                    .map(|error| (error.path().to_owned(), shown(error)))
                    .collect();
                Err(PyErr::from_value(class.call1((errors,))?))
            }
        }
    }

    /// The rows that a statement gives.
    #[pyo3(signature = (sql, parameters = None, /))]
    fn query(
        &self,
        sql: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyRows> {
        self.prepare(sql)?;
        query(&self.0, sql, parameters).map(PyRows)
    }

    /// The one row that a statement gives, or `None`.
    #[pyo3(signature = (sql, parameters = None, /))]
    fn query_one(
        &self,
        sql: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<PyRow>> {
        self.prepare(sql)?;
        query_one(&self.0, sql, parameters)
    }

    /// Runs a statement that gives no rows.
    #[pyo3(signature = (sql, parameters = None, /))]
    fn execute(
        &self,
        sql: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyExecuted> {
        about_to_wait();
        execute(&self.0, sql, parameters)
    }

    /// Runs a statement once for each of many, in one transaction.
    #[pyo3(signature = (sql, parameters, /))]
    fn execute_many(&self, sql: &Bound<'_, PyAny>, parameters: &Bound<'_, PyAny>) -> PyResult<u64> {
        about_to_wait();
        execute_many(&self.0, sql, parameters)
    }

    /// Begins a transaction.
    fn transaction(&self, py: Python<'_>) -> PyResult<PyTransaction> {
        about_to_wait();
        py.detach(|| self.0.begin())
            .map(PyTransaction)
            .map_err(|error| raised(py, &error))
    }

    /// Brings the schema up to date.
    fn migrate(&self, py: Python<'_>, migrations: Vec<(String, String)>) -> PyResult<usize> {
        about_to_wait();
        let migrations: Vec<Migration> = migrations
            .into_iter()
            .map(|(name, text)| Migration::new(name, insecure_raw(text)))
            .collect();
        py.detach(|| self.0.migrate(migrations))
            .map_err(|error| raised(py, &error))
    }

    /// Whether the database can be asked.
    fn ping(&self, py: Python<'_>) -> PyResult<()> {
        about_to_wait();
        py.detach(|| self.0.ping())
            .map_err(|error| raised(py, &error))
    }

    /// What the pool of connections does now.
    fn stats(&self) -> PyStats {
        PyStats(self.0.stats())
    }

    /// Closes all connections.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    fn __repr__(&self) -> String {
        let stats = self.0.stats();
        format!("Database(open={}, in_use={})", stats.open, stats.in_use)
    }
}

impl PyDatabase {
    fn prepare(&self, sql: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.0.may_wait(text(sql)?) {
            about_to_wait();
        }
        Ok(())
    }
}

/// A transaction.
#[pyclass(frozen, name = "Transaction", module = "apifrom.database")]
pub(crate) struct PyTransaction(Transaction);

#[pymethods]
impl PyTransaction {
    /// The rows that a statement gives.
    #[pyo3(signature = (sql, parameters = None, /))]
    fn query(
        &self,
        sql: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyRows> {
        query(&self.0, sql, parameters).map(PyRows)
    }

    /// The one row that a statement gives, or `None`.
    #[pyo3(signature = (sql, parameters = None, /))]
    fn query_one(
        &self,
        sql: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<PyRow>> {
        query_one(&self.0, sql, parameters)
    }

    /// Runs a statement that gives no rows.
    #[pyo3(signature = (sql, parameters = None, /))]
    fn execute(
        &self,
        sql: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyExecuted> {
        execute(&self.0, sql, parameters)
    }

    /// Runs a statement once for each of many: all of it is done, or nothing.
    #[pyo3(signature = (sql, parameters, /))]
    fn execute_many(&self, sql: &Bound<'_, PyAny>, parameters: &Bound<'_, PyAny>) -> PyResult<u64> {
        execute_many(&self.0, sql, parameters)
    }

    /// Keeps what was done.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.commit())
            .map_err(|error| raised(py, &error))
    }

    /// Undoes what was done.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.rollback())
            .map_err(|error| raised(py, &error))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// Keeps what was done where the block ended well, and undoes it where it raised.
    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (error, traceback);
        if kind.is_none() {
            self.commit(py)?;
        } else {
            // What was raised says more than that it could not be undone.
            let _ = py.detach(|| self.0.rollback());
        }
        Ok(false)
    }

    #[expect(clippy::unused_self, reason = "a method of Python's")]
    fn __repr__(&self) -> &'static str {
        "Transaction()"
    }
}

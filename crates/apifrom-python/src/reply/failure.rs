//! Exceptions: what the client is told, and what the log is.

use apifrom::{
    Clock, FieldValue, IntoResponse, Level, Logger, Outcome, Problem, Record, Rejection, RequestId,
    Sink, SystemClock,
};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::dispatch::Refusal;
use crate::logging::PythonSink;
use crate::responses::parse;

/// The answer to an exception: an `HTTPException` says it itself, anything else is 500, its text
/// and traceback for the log.
pub(crate) fn from_exception(py: Python<'_>, error: &PyErr) -> Outcome {
    match problem(error.value(py)) {
        Ok(Some(problem)) => problem.into_response(),
        Ok(None) if is_a(py, error, "UnstorableValue") => Err(Rejection::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unstorable_value",
            "a value is out of the range that can be stored",
        )
        .caused_by(text(py, error))),
        Ok(None) if is_a(py, error, "UnknownName") => Err(Rejection::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_name",
            "a name is none of those that can be chosen",
        )
        .caused_by(text(py, error))),
        Ok(None) if is_a(py, error, "DatabaseUnavailable") => Err(Rejection::unavailable(
            "database_unavailable",
            "the database cannot be asked now; try again shortly",
            1,
        )
        .caused_by(text(py, error))
        .traced(traceback(py, error))),
        Ok(None) => Err(internal(py, error)),
        // Such as a header that cannot be sent.
        Err(error) => Err(internal(py, &error)),
    }
}

/// What an `HTTPException` says; `None` for any other exception.
fn problem(error: &Bound<'_, PyAny>) -> PyResult<Option<Problem>> {
    static ANSWER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static REFUSAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    const MODULE: &str = "apifrom.exceptions";
    let py = error.py();
    if !error.is_instance(ANSWER.import(py, MODULE, "HTTPException")?)? {
        return Ok(None);
    }
    let status: u16 = error.getattr(intern!(py, "status"))?.extract()?;
    let mut problem = Problem::new(status);
    let detail = error.getattr(intern!(py, "detail"))?;
    if !detail.is_none() {
        problem = problem.detail(detail.str()?.to_str()?.to_owned());
    }
    if error.is_instance(REFUSAL.import(py, MODULE, "UnreadableRequest")?)? {
        // It stands for a refusal of the engine's, and looks like one.
        let code = error.getattr(intern!(py, "code"))?;
        problem = problem
            .kind(format!("urn:apifrom:problem:{}", code.str()?))
            .header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in &parse(&error.getattr(intern!(py, "headers"))?)? {
        problem = problem.header(name.clone(), value.clone());
    }
    Ok(Some(problem))
}

/// What answers where a handler meant one object and there is no row.
pub(super) fn not_found(py: Python<'_>) -> PyErr {
    static ANSWER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    ANSWER
        .import(py, "apifrom.exceptions", "HTTPException")
        .and_then(|class| class.call1((404,)))
        .map_or_else(|error| error, PyErr::from_value)
}

/// Whether it is an exception of ours called `name`. Asked only where something was raised.
fn is_a(py: Python<'_>, error: &PyErr, name: &str) -> bool {
    py.import(intern!(py, "apifrom.exceptions"))
        .and_then(|module| module.getattr(name))
        .and_then(|class| error.value(py).is_instance(&class))
        .unwrap_or_default()
}

/// 500. The text is formatted here and not before: most exceptions are answers.
fn internal(py: Python<'_>, error: &PyErr) -> Rejection {
    Rejection::internal()
        .caused_by(text(py, error))
        .traced(traceback(py, error))
}

/// The class and the message, as the last line of a traceback has them.
fn text(py: Python<'_>, error: &PyErr) -> String {
    let class = error.get_type(py);
    let name = class
        .fully_qualified_name()
        .map_or_else(|_| "exception".to_owned(), |name| name.to_string());
    let name = name.strip_prefix("builtins.").unwrap_or(&name).to_owned();
    match error.value(py).str() {
        Ok(message) if !message.is_empty().unwrap_or(true) => {
            format!("{name}: {}", message.to_string_lossy())
        }
        _ => name,
    }
}

fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = py
        .import(intern!(py, "traceback"))
        .and_then(|module| {
            // Before 3.12 an exception that Rust holds keeps its traceback beside the value.
            let parts = (error.get_type(py), error.value(py), error.traceback(py));
            module.call_method1(intern!(py, "format_exception"), parts)
        })
        .and_then(|lines| lines.extract::<Vec<String>>());
    match lines {
        Ok(lines) => lines.concat(),
        Err(_) => "(the traceback could not be written)".to_owned(),
    }
}

/// Why a call of ours was not made.
pub(crate) fn refused(refusal: Refusal) -> Rejection {
    match refusal {
        Refusal::Busy | Refusal::Closed => {
            Rejection::unavailable("busy", "the server is busy; try again shortly", 1)
        }
        Refusal::Panicked => {
            Rejection::internal().caused_by("the call into the interpreter panicked")
        }
    }
}

/// Logs an exception that no answer can tell of any more.
pub(crate) fn log_failure(
    py: Python<'_>,
    event: &'static str,
    what: &str,
    request_id: &RequestId,
    error: &PyErr,
) {
    let Some(sink) = sink(py) else { return };
    let message = format!("{what}: {}", text(py, error));
    let traceback = FieldValue::Text(traceback(py, error));
    sink.write(record(event, &message, request_id).with("traceback", traceback));
}

/// Logs a failure that is no exception.
pub(crate) fn log_text(event: &'static str, message: &str, request_id: &RequestId) {
    // At the interpreter's end nothing can be logged any more.
    Python::try_attach(|py| {
        if let Some(sink) = sink(py) {
            sink.write(record(event, message, request_id));
        }
    });
}

fn sink(py: Python<'_>) -> Option<PythonSink> {
    let sink = PythonSink::new(py).ok()?;
    sink.enabled(Logger::Server, Level::Error).then_some(sink)
}

fn record(event: &'static str, message: &str, request_id: &RequestId) -> Record {
    Record::new(
        Logger::Server,
        Level::Error,
        event,
        one_line(message),
        SystemClock.unix(),
    )
    .about(request_id)
}

/// A record is one line, whatever an exception's text holds.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

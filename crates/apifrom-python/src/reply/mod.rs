//! Turns what a handler returned, or raised, into an answer.
//!
//! | returned | answer |
//! |---|---|
//! | `Response` | as it is |
//! | `str` | `text/plain; charset=utf-8` |
//! | `bytes`, `bytearray`, `memoryview` | `application/octet-stream` |
//! | `None` | 204 where the handler is annotated `-> None`, else `null` in JSON |
//! | a generator of either kind | streamed: text where the annotation says `str`, else octets |
//! | `(body, status)`, `(body, status, headers)` | that body, with these |
//! | rows of a database | JSON; the one row where the annotation is for one object, 404 for none |
//! | everything else | JSON, by [`crate::json`] |
//!
//! A tuple is a body with its status when it is exactly a `tuple`, of two elements of which the
//! second is an `int`, or of three of which the third is a mapping or a list of pairs as well. Any
//! other tuple is a list in JSON.
//!
//! A return annotation filters JSON bodies of 2xx answers ([`plan`]). What cannot be answered with
//! (a status outside 200 to 599, a value without form in JSON, a body that does not fit its
//! annotation) is a failure of the handler: 500, and the reason in the log.

mod answer;
mod failure;
mod plan;

pub(crate) use self::answer::{Answer, Asked};
pub(crate) use self::failure::{from_exception, log_failure, log_text, refused};
pub(crate) use self::plan::ReturnPlan;

use apifrom::__private::spare_headers;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};

use crate::database::{Shown, shown};
use crate::json;
use crate::responses::{
    BYTES, Content, Response, State, TEXT, merge, parse, parse_status, read_bytes, read_content,
};

/// The answer to `value`, which a handler returned. `asked` is called for files and streams alone.
///
/// # Errors
/// An exception that says why `value` is no answer.
pub(crate) fn outcome(
    py: Python<'_>,
    value: Py<PyAny>,
    plan: &ReturnPlan,
    asked: impl FnOnce() -> Asked,
) -> PyResult<Answer> {
    let value = value.into_bound(py);
    let state = match value.cast_exact::<PyTuple>() {
        Ok(tuple) => match Stated::read(tuple)? {
            Some(stated) => stated.draft(plan)?,
            None => draft(&value, plan, StatusCode::OK)?,
        },
        Err(_) => draft(&value, plan, StatusCode::OK)?,
    };
    Answer::new(py, state, plan, asked)
}

/// A body with its status, and headers.
struct Stated<'py> {
    body: Bound<'py, PyAny>,
    status: StatusCode,
    headers: Option<HeaderMap>,
}

impl<'py> Stated<'py> {
    fn read(tuple: &Bound<'py, PyTuple>) -> PyResult<Option<Self>> {
        let (body, status, headers) = match tuple.len() {
            2 => (tuple.get_item(0)?, tuple.get_item(1)?, None),
            3 => (
                tuple.get_item(0)?,
                tuple.get_item(1)?,
                Some(tuple.get_item(2)?),
            ),
            _ => return Ok(None),
        };
        if !status.is_instance_of::<PyInt>() || status.is_instance_of::<PyBool>() {
            return Ok(None);
        }
        if headers.as_ref().is_some_and(|given| !may_be_headers(given)) {
            return Ok(None);
        }
        // A number that is too large is as wrong as any other that is no status.
        let status = parse_status(status.extract().unwrap_or_default())
            .map_err(|_| PyValueError::new_err(not_a_status(&status)))?;
        let headers = headers.map(|given| parse(&given)).transpose()?;
        Ok(Some(Self {
            body,
            status,
            headers,
        }))
    }

    fn draft(self, plan: &ReturnPlan) -> PyResult<State> {
        let mut state = draft(&self.body, plan, self.status)?;
        state.status = self.status;
        if let Some(headers) = self.headers {
            merge(&mut state.headers, headers);
        }
        Ok(state)
    }
}

fn not_a_status(status: &Bound<'_, PyAny>) -> String {
    format!("expected a status from 200 to 599, found {status}")
}

/// A mapping, or a list of pairs; whether they are headers is judged later.
fn may_be_headers(given: &Bound<'_, PyAny>) -> bool {
    if let Ok(list) = given.cast::<PyList>() {
        return list
            .iter()
            .all(|pair| pair.cast::<PyTuple>().is_ok_and(|pair| pair.len() == 2));
    }
    given.is_instance_of::<PyDict>() || given.cast::<PyMapping>().is_ok()
}

/// The answer to a body alone.
fn draft(value: &Bound<'_, PyAny>, plan: &ReturnPlan, status: StatusCode) -> PyResult<State> {
    if value.is_exact_instance_of::<PyDict>() || value.is_exact_instance_of::<PyList>() {
        return in_json(value, plan, status);
    }
    if let Ok(response) = value.cast::<Response>() {
        return response.get().take(value.py());
    }
    if let Some(shown) = shown(value) {
        return in_rows(value.py(), &shown, plan, status);
    }
    if value.is_none() && plan.is_nothing() {
        return Ok(State {
            status: StatusCode::NO_CONTENT,
            ..State::default()
        });
    }
    if is_generator(value)? {
        let media_type = if plan.streams_text() { TEXT } else { BYTES };
        let content = Content::Generator(value.clone().unbind());
        return Ok(with_type(content, media_type));
    }
    let is_filtered = plan.filters(status);
    let is_text = value.is_exact_instance_of::<PyString>();
    if is_text && (!is_filtered || plan.takes_text()) && !plan.is_nothing() {
        return Ok(with_type(read_content(value)?.0, TEXT));
    }
    if !is_text
        && (!is_filtered || plan.takes_bytes())
        && !plan.is_nothing()
        && let Some(bytes) = read_bytes(value)
    {
        return Ok(with_type(Content::Bytes(bytes), BYTES));
    }
    in_json(value, plan, status)
}

/// Rows, or the one that an annotation for one object means.
fn in_rows(
    py: Python<'_>,
    shown: &Shown<'_>,
    plan: &ReturnPlan,
    status: StatusCode,
) -> PyResult<State> {
    let one;
    let shown = match shown {
        Shown::Many(rows) if plan.is_single() && status.is_success() => {
            if rows.len() > 1 {
                return Err(PyTypeError::new_err(format!(
                    "{} is annotated to return one object and returned {} rows",
                    plan.name(),
                    rows.len()
                )));
            }
            let Some(row) = rows.get(0) else {
                return Err(failure::not_found(py));
            };
            one = row;
            &Shown::One(&one)
        }
        shown => shown,
    };
    if plan.is_nothing() || plan.filters(status) {
        return in_json(&shown.to_python(py)?, plan, status);
    }
    Ok(with_type(
        Content::Bytes(shown.to_json()?),
        "application/json",
    ))
}

fn in_json(value: &Bound<'_, PyAny>, plan: &ReturnPlan, status: StatusCode) -> PyResult<State> {
    if plan.is_nothing() && status.is_success() {
        return Err(PyTypeError::new_err(format!(
            "{} is annotated to return None and returned {}",
            plan.name(),
            value.get_type().name()?
        )));
    }
    let bytes = if plan.filters(status) {
        plan.filtered(value)?
    } else {
        json::to_bytes(value)?
    };
    Ok(with_type(Content::Bytes(bytes), "application/json"))
}

/// True for what a function with a `yield` returns, of either kind.
fn is_generator(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASSES: [PyOnceLock<Py<PyType>>; 2] = [const { PyOnceLock::new() }; 2];
    let py = value.py();
    let [plain, asynchronous] = &CLASSES;
    let class = value.get_type();
    Ok(class.is(plain.import(py, "types", "GeneratorType")?)
        || class.is(asynchronous.import(py, "types", "AsyncGeneratorType")?))
}

fn with_type(content: Content, media_type: &'static str) -> State {
    let mut state = State {
        content,
        headers: spare_headers(),
        ..State::default()
    };
    let value = HeaderValue::from_static(media_type);
    state.headers.insert(CONTENT_TYPE, value);
    state
}

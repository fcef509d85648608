//! Turns a file into an answer: the whole of it, a part, or what a condition says.

use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap,
    HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{Method, StatusCode};

use super::aside;
use super::body::FileBody;
use super::conditional::{Verdict, judge};
use super::source::{Failure, FileSource, Opened};
use crate::rejection::Rejection;
use crate::response::{Response, ResponseBody};

/// What an answer with a file has to know of its request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// True for GET and HEAD.
    reads: bool,
    /// Conditions and ranges, where there are any.
    conditions: Option<Box<HeaderMap>>,
}

impl Asked {
    /// What a request of `method` with `headers` asks for.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Self::default();
        }
        let mut conditions: Option<Box<HeaderMap>> = None;
        for name in [
            IF_MATCH,
            IF_UNMODIFIED_SINCE,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
            RANGE,
            IF_RANGE,
        ] {
            for value in headers.get_all(&name) {
                let conditions = conditions.get_or_insert_default();
                conditions.append(&name, value.clone());
            }
        }
        Self {
            reads: true,
            conditions,
        }
    }
}

/// Answers with a file. What `response` says of its type and its version is what is sent, and judged;
/// its body is replaced.
///
/// # Errors
/// 404 for what is not below the directory, 412 and 416 as the request's conditions and range say, 500
/// when the file is the program's own and cannot be read.
pub async fn send(
    response: Response,
    source: FileSource,
    asked: Asked,
) -> Result<Response, Rejection> {
    let opened = match aside(move || source.open()) {
        Ok(opening) => opening.await.map_err(std::io::Error::other),
        Err(error) => Err(error),
    };
    match opened {
        Ok(Ok(opened)) => answer(response, opened, &asked),
        Ok(Err(Failure::Absent)) => Err(Rejection::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is nothing at this address",
        )),
        Ok(Err(Failure::Broken(error))) | Err(error) => Err(Rejection::internal().caused_by(error)),
    }
}

/// Opens the file that `response` holds, if it holds one.
///
/// # Errors
/// Those of [`send`].
pub(crate) async fn open(mut response: Response, asked: Asked) -> Result<Response, Rejection> {
    match response.body_mut().take_file() {
        Some(source) => send(response, source, asked).await,
        None => Ok(response),
    }
}

/// Answers with a file that is open, or the part of it that was asked for.
fn answer(mut response: Response, opened: Opened, asked: &Asked) -> Result<Response, Rejection> {
    let Opened {
        file,
        length,
        mut validators,
    } = opened;
    let headers = response.headers_mut();
    // The length is known better here.
    headers.remove(CONTENT_LENGTH);
    validators.agree(headers);
    let is_plain = asked.reads && response.status() == StatusCode::OK;
    if is_plain {
        let headers = response.headers_mut();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let verdict = match &asked.conditions {
        Some(conditions) if is_plain => judge(conditions, &validators, length),
        _ => Verdict::Whole,
    };
    let body = |start, end| ResponseBody::stream(FileBody::new(file, start, end));
    match verdict {
        Verdict::Whole => *response.body_mut() = body(0, length),
        Verdict::Part { start, end } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = end.saturating_sub(1);
            if let Ok(range) = HeaderValue::try_from(format!("bytes {start}-{last}/{length}")) {
                response.headers_mut().insert(CONTENT_RANGE, range);
            }
            *response.body_mut() = body(start, end);
        }
        Verdict::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = ResponseBody::empty();
            // RFC 9110 §15.4.5: what describes the body is not sent without it.
            for name in [CONTENT_TYPE, CONTENT_DISPOSITION, ACCEPT_RANGES] {
                response.headers_mut().remove(name);
            }
        }
        Verdict::PreconditionFailed => {
            return Err(Rejection::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "the file is not in the state that the request expects",
            ));
        }
        Verdict::Unsatisfiable => {
            let mut rejection = Rejection::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                "the range lies outside the file",
            );
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                rejection = rejection.header(CONTENT_RANGE, value);
            }
            return Err(rejection);
        }
    }
    Ok(response)
}

//! What becomes of a draft: an answer at hand, or one that has to be waited for.

use std::fs::File;
use std::sync::Arc;

use apifrom::{Outcome, Rejection, Request, RequestId, ResponseBody};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue,
};
use http::{HeaderMap, Method, StatusCode};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::{ReturnPlan, refused};
use crate::dispatch::{self, Route, Work};
use crate::files::{Failure, FileBody, Opened, Source, Verdict, judge};
use crate::responses::{AfterBody, Afterwards, Content, Pending, State};
use crate::stream::{self, Lanes, Stream};

/// What an answer may need to know of its request.
pub(crate) struct Asked {
    method: Method,
    headers: HeaderMap,
    request_id: RequestId,
}

impl Asked {
    /// What `request` says.
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            method: request.head().method.clone(),
            headers: request.head().headers.clone(),
            request_id: request.context().notes.request_id,
        }
    }

    pub(crate) fn new(method: Method, headers: HeaderMap, request_id: RequestId) -> Self {
        Self {
            method,
            headers,
            request_id,
        }
    }
}

/// The answer to what a handler returned.
pub(crate) enum Answer {
    /// At hand.
    Ready(Outcome),
    /// To wait for: a file to be opened, or the first piece of a generator.
    Later(Box<Later>),
}

/// An answer that has to be waited for.
pub(crate) struct Later {
    /// Everything but its body.
    response: apifrom::Response,
    kind: Kind,
    after: Option<Afterwards>,
}

enum Kind {
    File {
        source: Source,
        asked: Asked,
        route: Arc<Route>,
    },
    Stream(Stream),
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self::Ready(outcome)
    }
}

impl Answer {
    /// Makes an answer of `state`.
    pub(super) fn new(
        py: Python<'_>,
        state: State,
        plan: &ReturnPlan,
        asked: impl FnOnce() -> Asked,
    ) -> PyResult<Self> {
        let State {
            status,
            mut headers,
            content,
            background,
            extensions,
        } = state;
        let is_whole = matches!(
            content,
            Content::Empty | Content::Bytes(_) | Content::Passing(_)
        );
        // The length of what is at hand, and of a file, is known better here.
        let is_known = !matches!(content, Content::Passing(_))
            && headers.keys().any(|name| name == CONTENT_LENGTH);
        let announced = is_known.then(|| headers.remove(CONTENT_LENGTH)).flatten();
        let mut response = apifrom::Response::new(ResponseBody::empty());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        *response.extensions_mut() = extensions;
        if is_whole && background.is_none() {
            *response.body_mut() = whole(content);
            return Ok(Self::Ready(Ok(response)));
        }
        let asked = asked();
        let after = match &background {
            Some(work) => Some(Pending::new(work.bind(py), asked.request_id)?.into()),
            None => None,
        };
        let kind = match content {
            Content::File(source) => Kind::File {
                source: *source,
                asked,
                route: Arc::clone(Lanes::of(py).pool()),
            },
            Content::Stream(ref pieces) | Content::Generator(ref pieces) => {
                let length = announced.as_ref().map(read_length).transpose()?;
                if let Some(announced) = announced {
                    response.headers_mut().insert(CONTENT_LENGTH, announced);
                }
                let is_async = pieces.bind(py).hasattr(intern!(py, "__aiter__"))?;
                let pieces = pieces.clone_ref(py);
                let source = if is_async {
                    stream::Source::Loop(pieces)
                } else {
                    stream::Source::Pool(pieces)
                };
                let stream = Stream::new(py, source, plan.name(), asked.request_id, length);
                if matches!(content, Content::Stream(_)) {
                    *response.body_mut() = with_work(ResponseBody::stream(stream), after);
                    return Ok(Self::Ready(Ok(response)));
                }
                Kind::Stream(stream)
            }
            at_hand => {
                *response.body_mut() = with_work(whole(at_hand), after);
                return Ok(Self::Ready(Ok(response)));
            }
        };
        Ok(Self::Later(Box::new(Later {
            response,
            kind,
            after,
        })))
    }

    /// The outcome, waited for where that is needed.
    pub(crate) async fn complete(self) -> Outcome {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Later(later) => later.complete().await,
        }
    }
}

impl Later {
    async fn complete(self) -> Outcome {
        let Self {
            mut response,
            kind,
            after,
        } = self;
        match kind {
            Kind::Stream(mut stream) => {
                if let Err(outcome) = stream.first().await {
                    return *outcome;
                }
                *response.body_mut() = with_work(ResponseBody::stream(stream), after);
                Ok(response)
            }
            Kind::File {
                source,
                asked,
                route,
            } => {
                let opened = dispatch::call(&route, Open::new(source)).await;
                let opened = opened.map_err(refused)?.map_err(|failure| match failure {
                    Failure::Absent => Rejection::new(
                        StatusCode::NOT_FOUND,
                        "not_found",
                        "there is nothing at this address",
                    ),
                    Failure::Broken(error) => Rejection::internal().caused_by(error),
                })?;
                send(response, opened, &asked, route, after)
            }
        }
    }
}

/// Answers with a file, or the part of it that was asked for.
fn send(
    mut response: apifrom::Response,
    opened: Opened,
    asked: &Asked,
    route: Arc<Route>,
    after: Option<Afterwards>,
) -> Outcome {
    let Opened {
        file,
        length,
        mut validators,
    } = opened;
    let is_plain =
        response.status() == StatusCode::OK && matches!(asked.method, Method::GET | Method::HEAD);
    validators.agree(response.headers_mut());
    let verdict = if is_plain {
        judge(&asked.headers, &validators, length)
    } else {
        Verdict::Whole
    };
    let headers = response.headers_mut();
    if is_plain {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let body = |file: File, start, end| {
        with_work(
            ResponseBody::stream(FileBody::new(file, start, end, route)),
            after,
        )
    };
    match verdict {
        Verdict::Whole => *response.body_mut() = body(file, 0, length),
        Verdict::Part { start, end } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = end.saturating_sub(1);
            content_range(
                response.headers_mut(),
                &format!("bytes {start}-{last}/{length}"),
            );
            *response.body_mut() = body(file, start, end);
        }
        Verdict::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
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
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{length}")) {
                rejection = rejection.header(CONTENT_RANGE, value);
            }
            return Err(rejection);
        }
    }
    Ok(response)
}

fn content_range(headers: &mut HeaderMap, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(CONTENT_RANGE, value);
    }
}

fn whole(content: Content) -> ResponseBody {
    match content {
        Content::Bytes(bytes) => ResponseBody::full(bytes),
        Content::Passing(body) => body,
        _ => ResponseBody::empty(),
    }
}

fn with_work(body: ResponseBody, after: Option<Afterwards>) -> ResponseBody {
    match after {
        Some(after) => ResponseBody::stream(AfterBody::new(body, after)),
        None => body,
    }
}

/// The length that a program announced for a stream.
fn read_length(value: &HeaderValue) -> PyResult<u64> {
    value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| PyValueError::new_err("the Content-Length is not a number of bytes"))
}

/// Opens a file, on a thread of the pool.
struct Open {
    source: Source,
    opened: Option<Result<Opened, Failure>>,
}

impl Open {
    fn new(source: Source) -> Self {
        Self {
            source,
            opened: None,
        }
    }
}

impl Work for Open {
    type Answer = Result<Opened, Failure>;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.opened = Some(py.detach(|| self.source.open()));
        Ok(py.None())
    }

    fn finish(self, _py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Self::Answer {
        outcome.map_err(|error| Failure::Broken(std::io::Error::other(error)))?;
        self.opened.unwrap_or(Err(Failure::Absent))
    }
}

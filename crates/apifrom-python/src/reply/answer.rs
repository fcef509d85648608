//! What becomes of a draft: an answer at hand, or one that has to be waited for.

use std::mem;

use apifrom::files::{self, FileSource};
use apifrom::{Head, Outcome, Request, RequestId, ResponseBody};
use http::header::{CONTENT_LENGTH, HeaderValue};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::ReturnPlan;
use crate::responses::{AfterBody, Afterwards, Content, Pending, State};
use crate::stream::{self, Stream};

/// What an answer may need to know of its request.
pub(crate) struct Asked {
    file: files::Asked,
    request_id: RequestId,
}

impl Asked {
    /// What `request` says.
    pub(crate) fn of(request: &Request) -> Self {
        let head = request.head();
        Self::new(head, request.context().notes.request_id.clone())
    }

    pub(crate) fn new(head: &Head, request_id: RequestId) -> Self {
        Self {
            file: files::Asked::of(&head.method, &head.headers),
            request_id,
        }
    }

    /// What is known of a request that is gone.
    pub(crate) fn nothing(request_id: RequestId) -> Self {
        Self {
            file: files::Asked::default(),
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
        source: FileSource,
        asked: files::Asked,
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
            Some(work) => Some(Pending::new(work.bind(py), asked.request_id.clone())?.into()),
            None => None,
        };
        let kind = match content {
            Content::File(source) => Kind::File {
                source: *source,
                asked: asked.file,
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
            Kind::File { source, asked } => {
                let mut response = files::send(response, source, asked).await?;
                let body = mem::take(response.body_mut());
                *response.body_mut() = with_work(body, after);
                Ok(response)
            }
        }
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

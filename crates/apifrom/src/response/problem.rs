//! Problem details (RFC 9457): the one body in which the engine answers errors.
//!
//! ```json
//! {"type": "urn:apifrom:problem:validation", "title": "Unprocessable Content", "status": 422,
//!  "detail": "…", "request_id": "…", "errors": [{"loc": ["query", "n"], "type": "…", "msg": "…"}]}
//! ```

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{IntoResponse, Response, ResponseBody};
use crate::rejection::Rejection;
use crate::request::RequestId;
use crate::violation::{Violation, Violations};

/// An error that a handler answers with.
///
/// # Examples
/// ```
/// use apifrom::Problem;
///
/// fn find(id: i64) -> Result<String, Problem> {
///     Err(Problem::new(404).detail(format!("no user {id}")))
/// }
/// # assert!(find(7).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    kind: Cow<'static, str>,
    title: Option<Cow<'static, str>>,
    detail: Option<Cow<'static, str>>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem with `status`, which must be 400 to 599; anything else becomes 500.
    pub fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(Box::new(Inner {
            status,
            kind: Cow::Borrowed("about:blank"),
            title: None,
            detail: None,
            headers: HeaderMap::new(),
        }))
    }

    /// What happened, for people. Sent to the client as it is.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// A URI that names the kind of problem. Defaults to `about:blank`.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// A short title. Defaults to the status's own.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.status)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Result<Response, Rejection> {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = self.0.status;
        *response.headers_mut() = std::mem::take(&mut self.0.headers);
        // The body needs the request's id, so it is written on the way out.
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

#[derive(Serialize)]
struct Shape<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [Violation]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<&'a str>,
}

/// What of a failure's inside may be shown to a client.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Disclosure {
    /// The cause's text.
    pub(crate) cause: bool,
    /// The traceback.
    pub(crate) traceback: bool,
}

/// Writes the body of `rejection`.
pub(crate) fn shape(rejection: &Rejection, id: &RequestId, shown: Disclosure) -> Response {
    let status = rejection.status();
    let cause = rejection
        .cause()
        .filter(|_| shown.cause)
        .map(ToString::to_string);
    let kind = format!("urn:apifrom:problem:{}", rejection.code());
    let body = Shape {
        r#type: &kind,
        title: title(status),
        status: status.as_u16(),
        detail: Some(rejection.detail()),
        request_id: id.as_str(),
        errors: rejection.violations().map(Violations::as_slice),
        truncated: rejection.violations().is_some_and(Violations::is_truncated),
        cause: cause.as_deref(),
        traceback: rejection.traceback().filter(|_| shown.traceback),
    };
    let mut response = written(&body, status);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(rejection.headers().clone());
    response
}

/// Writes the body of the problem that a handler answered with, if it did.
pub(crate) fn shape_answered(response: &mut Response, id: &RequestId) {
    let Some(Problem(problem)) = response.extensions_mut().remove::<Problem>() else {
        return;
    };
    let body = Shape {
        r#type: &problem.kind,
        title: problem.title.as_deref().unwrap_or(title(problem.status)),
        status: problem.status.as_u16(),
        detail: problem.detail.as_deref(),
        request_id: id.as_str(),
        errors: None,
        truncated: false,
        cause: None,
        traceback: None,
    };
    let shaped = written(&body, problem.status);
    let (parts, body) = shaped.into_parts();
    *response.body_mut() = body;
    response.headers_mut().extend(parts.headers);
}

fn written(shape: &Shape<'_>, status: StatusCode) -> Response {
    let bytes = serde_json::to_vec(shape).unwrap_or_default();
    let length = bytes.len();
    let mut response = Response::new(ResponseBody::full(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn title(status: StatusCode) -> &'static str {
    // RFC 9110 renamed two statuses since the names that `http` knows.
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

//! Problem details (RFC 9457): the one body in which the engine answers errors.
//!
//! ```json
//! {"type": "urn:apifrom:problem:validation", "title": "Unprocessable Content", "status": 422,
//!  "detail": "…", "request_id": "…", "errors": [{"loc": ["query", "n"], "type": "…", "msg": "…"}]}
//! ```

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::{Serialize, Serializer};

use super::{IntoResponse, Response, ResponseBody, spare};
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
    const MAY_BE_FILE: bool = false;

    fn into_response(mut self) -> Result<Response, Rejection> {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = self.0.status;
        *response.headers_mut() = std::mem::take(&mut self.0.headers);
        // The body needs the request's id, so it is written on the way out.
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Serialize)]
struct Shape<'a> {
    r#type: Kind<'a>,
    title: &'a str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
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

impl Shape<'_> {
    /// Appends the body. A refusal costs the caller little to provoke, so the plain one, which says what
    /// everybody is told, is put together here; the others are left to serde.
    fn write(&self, buffer: &mut Vec<u8>) -> serde_json::Result<()> {
        let (Kind::Ours(code), Some(detail), None) = (&self.r#type, self.detail, self.errors)
        else {
            return serde_json::to_writer(buffer, self);
        };
        let texts = [code, self.title, detail, self.request_id];
        let tells_more = self.truncated || self.cause.is_some() || self.traceback.is_some();
        if tells_more || !texts.into_iter().all(is_plain) {
            return serde_json::to_writer(buffer, self);
        }
        for part in [
            r#"{"type":"urn:apifrom:problem:"#,
            code,
            r#"","title":""#,
            self.title,
            r#"","status":"#,
            self.status.as_str(),
            r#","detail":""#,
            detail,
            r#"","request_id":""#,
            self.request_id,
            r#""}"#,
        ] {
            buffer.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

/// True for a text that stands in JSON as it is (RFC 8259 §7).
fn is_plain(text: &str) -> bool {
    // Without a way out in between, which lets it look at many bytes at once.
    let special =
        |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.bytes().fold(0, |seen, byte| seen | special(byte)) == 0
}

/// The URI of a kind of problem.
enum Kind<'a> {
    /// Of the engine, by its code.
    Ours(&'static str),
    /// Of the program.
    Own(&'a str),
}

impl Serialize for Kind<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ours(code) => serializer.collect_str(&format_args!("urn:apifrom:problem:{code}")),
            Self::Own(kind) => serializer.serialize_str(kind),
        }
    }
}

/// What of a failure's inside may be shown to a client.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Disclosure {
    /// The cause's text.
    pub(crate) cause: bool,
    /// The traceback.
    pub(crate) traceback: bool,
}

/// The answer that `rejection` is sent as.
pub(crate) fn shape(mut rejection: Rejection, id: &RequestId, shown: Disclosure) -> Response {
    let mut headers = rejection.take_headers();
    let status = rejection.status();
    let cause = rejection
        .cause()
        .filter(|_| shown.cause)
        .map(ToString::to_string);
    let body = Shape {
        r#type: Kind::Ours(rejection.code()),
        title: title(status),
        status,
        detail: Some(rejection.detail()),
        request_id: id.as_str(),
        errors: rejection.violations().map(Violations::as_slice),
        truncated: rejection.violations().is_some_and(Violations::is_truncated),
        cause: cause.as_deref(),
        traceback: rejection.traceback().filter(|_| shown.traceback),
    };
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    let mut response = Response::new(write(&body, &mut headers));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Writes the body of the problem that a handler answered with, if it did.
pub(crate) fn shape_answered(response: &mut Response, id: &RequestId) {
    let Some(Problem(problem)) = response.extensions_mut().remove::<Problem>() else {
        return;
    };
    let body = Shape {
        r#type: Kind::Own(&problem.kind),
        title: problem.title.as_deref().unwrap_or(title(problem.status)),
        status: problem.status,
        detail: problem.detail.as_deref(),
        request_id: id.as_str(),
        errors: None,
        truncated: false,
        cause: None,
        traceback: None,
    };
    *response.body_mut() = write(&body, response.headers_mut());
}

/// The body, and in `headers` what it is.
fn write(shape: &Shape<'_>, headers: &mut HeaderMap) -> ResponseBody {
    let bytes = spare::written(|buffer| shape.write(buffer)).unwrap_or_default();
    headers.insert(CONTENT_TYPE, PROBLEM);
    // Of another body; the transport knows the length of this one.
    headers.remove(CONTENT_LENGTH);
    ResponseBody::full(bytes)
}

fn title(status: StatusCode) -> &'static str {
    // RFC 9110 renamed two statuses since the names that `http` knows.
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape<'a>(code: &'static str, detail: &'a str, cause: Option<&'a str>) -> Shape<'a> {
        Shape {
            r#type: Kind::Ours(code),
            title: "Unauthorized",
            status: StatusCode::UNAUTHORIZED,
            detail: Some(detail),
            request_id: "abcdefgh",
            errors: None,
            truncated: false,
            cause,
            traceback: None,
        }
    }

    #[test]
    fn what_is_put_together_is_what_serde_writes() {
        let details = [
            "plain",
            "",
            "quoted \"text\"",
            "back\\slash",
            "line\nbreak",
            "\u{0}\u{1f}\u{7f}",
            "grün, 緑",
        ];
        for detail in details {
            for (code, cause) in [("code", None), ("co\"de", None), ("code", Some("why"))] {
                let shape = shape(code, detail, cause);
                let mut written = Vec::new();
                shape.write(&mut written).unwrap();
                let expected = serde_json::to_vec(&shape).unwrap();
                assert_eq!(written, expected, "{detail:?}");
            }
        }
    }
}

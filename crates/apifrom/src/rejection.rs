//! A refusal: the status, a stable code, a text for everyone and a cause for the log.

use std::borrow::Cow;
use std::fmt;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::response::spare;
use crate::violation::Violations;

/// Why a request is not served. Becomes an `application/problem+json` answer (RFC 9457).
///
/// The public text is the same for everybody and never quotes the request. What went wrong
/// inside travels as the cause, which reaches the log alone.
pub struct Rejection(Box<Inner>);

struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    violations: Option<Violations>,
    headers: HeaderMap,
    cause: Option<Cause>,
    traceback: Option<String>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Rejection {
    /// A refusal with `status`; `code` names the reason for programs, `detail` for people.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            violations: None,
            headers: spare::headers(),
            cause: None,
            traceback: None,
        }))
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 413: more bytes than the endpoint takes.
    pub fn body_too_large(limit: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {limit} bytes"),
        )
    }

    /// 408: the body did not arrive in time.
    pub fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body did not arrive in time",
        )
    }

    /// 400: the body broke off or its framing is wrong.
    pub fn broken_body() -> Self {
        Self::bad_request("broken_body", "the body ended early or is malformed")
    }

    /// 422: what was sent is understood and not acceptable.
    pub fn invalid(violations: Violations) -> Self {
        let mut rejection = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation",
            "the request does not have the expected form",
        );
        rejection.0.violations = Some(violations);
        rejection
    }

    /// 500: something of ours, or of the handler's, failed.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed to answer",
        )
    }

    /// 503: not now; `retry_after` in seconds.
    pub fn unavailable(
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
        retry_after: u32,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .header(RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// Adds the headers that another service gave its own refusal.
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// Keeps what went wrong inside, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Keeps where it went wrong: shown to a client only when the API says so.
    #[must_use]
    pub fn traced(mut self, traceback: String) -> Self {
        self.0.traceback = Some(traceback);
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The reason, for programs.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The reason, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with the input, where that is the reason.
    pub fn violations(&self) -> Option<&Violations> {
        self.0.violations.as_ref()
    }

    /// What went wrong inside. For the log alone.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// Where it went wrong inside.
    pub fn traceback(&self) -> Option<&str> {
        self.0.traceback.as_deref()
    }

    /// The headers of the answer, for it to be made of.
    pub(crate) fn take_headers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.0.headers)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.0.code,
            self.0.detail
        )
    }
}

impl std::error::Error for Rejection {}

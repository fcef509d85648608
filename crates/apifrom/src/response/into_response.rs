//! What a Rust handler may return.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{Response, ResponseBody, spare};
use crate::extract::Json;
use crate::rejection::Rejection;

/// Turns what a handler returned into an answer.
///
/// Implemented for text, bytes, `()` (204), [`Json`], [`Response`] itself,
/// [`Streaming`](super::Streaming), [`Redirect`](super::Redirect),
/// [`FileResponse`](crate::FileResponse), a bare status, `Result` and `Option` (`None` is 404) of these,
/// `(status, body)` and `(status, headers, body)`. Handlers may also return any `Serialize`, which
/// is sent as JSON.
///
/// # Security
/// An `Err` is never sent as a success: one whose answer has a status of 2xx, such as a bare
/// `String`, becomes 500, and what it says reaches the log alone.
///
/// # Examples
/// ```
/// use apifrom::{IntoResponse, Problem, Rejection, Response};
///
/// enum Failure {
///     OutOfStock,
/// }
///
/// impl IntoResponse for Failure {
///     fn into_response(self) -> Result<Response, Rejection> {
///         match self {
///             Failure::OutOfStock => Problem::new(409).detail("out of stock").into_response(),
///         }
///     }
/// }
/// # assert_eq!(Failure::OutOfStock.into_response()?.status(), 409);
/// # Ok::<(), Rejection>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be answered with",
    label = "expected something that can be sent",
    note = "an endpoint returns text, bytes, `()`, a `Serialize`, `Response`, `Problem`, or a \
            `Result` of these; for errors of your own implement `apifrom::IntoResponse`"
)]
pub trait IntoResponse {
    /// Whether the answer may be a file, of whose request the engine then keeps the conditions.
    #[doc(hidden)]
    const MAY_BE_FILE: bool = true;

    /// The answer.
    ///
    /// # Errors
    /// A [`Rejection`] when the value itself is an error, or cannot be written.
    fn into_response(self) -> Result<Response, Rejection>;
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response, Rejection> {
        Ok(self)
    }
}

impl IntoResponse for Rejection {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        Err(self)
    }
}

impl IntoResponse for () {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }
}

impl IntoResponse for ResponseBody {
    fn into_response(self) -> Result<Response, Rejection> {
        Ok(Response::new(self))
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[inline]
pub(super) fn with_type(body: ResponseBody, content_type: HeaderValue) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    spare::furnish(headers);
    headers.insert(CONTENT_TYPE, content_type);
    response
}

impl IntoResponse for String {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        Ok(with_type(self.into(), TEXT))
    }
}

impl IntoResponse for &'static str {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        let body = ResponseBody::full(Bytes::from_static(self.as_bytes()));
        Ok(with_type(body, TEXT))
    }
}

impl IntoResponse for Vec<u8> {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        Ok(with_type(self.into(), OCTETS))
    }
}

impl IntoResponse for Bytes {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        Ok(with_type(self.into(), OCTETS))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        json(&self.0)
    }
}

/// Answers with `value` as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<Response, Rejection> {
    let bytes = spare::json(value).map_err(|error| Rejection::internal().caused_by(error))?;
    Ok(with_type(bytes.into(), JSON))
}

/// The answer to a failure, which must not pass for a success.
pub(super) fn failed(error: impl IntoResponse) -> Result<Response, Rejection> {
    let response = error.into_response()?;
    if !response.status().is_success() {
        return Ok(response);
    }
    let said = response.body().bytes().unwrap_or_default();
    let said = String::from_utf8_lossy(said).into_owned();
    Err(Rejection::internal().caused_by(said))
}

impl IntoResponse for StatusCode {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = self;
        Ok(response)
    }
}

impl IntoResponse for Infallible {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        match self {}
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    const MAY_BE_FILE: bool = T::MAY_BE_FILE;

    fn into_response(self) -> Result<Response, Rejection> {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => failed(error),
        }
    }
}

/// 404, as where no route matches: what is not there is not told apart from what never was.
pub(super) fn nothing() -> Rejection {
    Rejection::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this address",
    )
}

impl<T: IntoResponse> IntoResponse for Option<T> {
    const MAY_BE_FILE: bool = T::MAY_BE_FILE;

    fn into_response(self) -> Result<Response, Rejection> {
        match self {
            Some(value) => value.into_response(),
            None => Err(nothing()),
        }
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    const MAY_BE_FILE: bool = T::MAY_BE_FILE;

    fn into_response(self) -> Result<Response, Rejection> {
        let mut response = self.1.into_response()?;
        *response.status_mut() = self.0;
        Ok(response)
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, HeaderMap, T) {
    const MAY_BE_FILE: bool = T::MAY_BE_FILE;

    fn into_response(self) -> Result<Response, Rejection> {
        let mut response = (self.0, self.2).into_response()?;
        let mut last: Option<HeaderName> = None;
        for (name, value) in self.1 {
            // A name comes with its first value alone; the first replaces what was there.
            match (name, &last) {
                (Some(name), _) => {
                    response.headers_mut().insert(name.clone(), value);
                    last = Some(name);
                }
                (None, Some(name)) => {
                    response.headers_mut().append(name.clone(), value);
                }
                (None, None) => {}
            }
        }
        Ok(response)
    }
}

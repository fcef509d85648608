//! The handlers of the engine itself: 404, 405, OPTIONS, and a service merged from elsewhere.

use std::sync::Mutex;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body::Body as _;
use tower_service::Service;

use super::{Handler, Outcome, Reply};
use crate::rejection::Rejection;
use crate::request::{Body, Request};
use crate::response::{IntoResponse, Problem, Response, ResponseBody, StreamError};

/// Refuses whatever arrives, always in the same way.
pub(crate) struct Refusing {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    allow: Option<HeaderValue>,
}

impl Refusing {
    const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        detail: "there is nothing at this address",
        allow: None,
    };
    const METHOD_NOT_ALLOWED: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method_not_allowed",
        detail: "this address does not answer that method",
        allow: None,
    };

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::NOT_FOUND
    }

    /// 405 with `Allow` (RFC 9110 §15.5.6).
    pub(crate) fn method_not_allowed(allowed: &[Method]) -> Self {
        Self {
            allow: allow_value(allowed),
            ..Self::METHOD_NOT_ALLOWED
        }
    }

    fn rejection(&self) -> Rejection {
        let rejection = Rejection::new(self.status, self.code, self.detail);
        match &self.allow {
            Some(allow) => rejection.header(ALLOW, allow.clone()),
            None => rejection,
        }
    }
}

impl Handler for Refusing {
    fn call(&self, _request: Request) -> Reply {
        Reply::Ready(Err(self.rejection()))
    }
}

/// Answers OPTIONS with the methods of its place.
pub(crate) struct ServesOptions {
    allow: Option<HeaderValue>,
}

impl ServesOptions {
    pub(crate) fn new(allowed: &[Method]) -> Self {
        Self {
            allow: allow_value(allowed),
        }
    }
}

impl Handler for ServesOptions {
    fn call(&self, _request: Request) -> Reply {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Some(allow) = &self.allow {
            response.headers_mut().insert(ALLOW, allow.clone());
        }
        Reply::Ready(Ok(response))
    }
}

fn allow_value(allowed: &[Method]) -> Option<HeaderValue> {
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// A service of the tower family that answers what no endpoint of ours does.
///
/// An error that it answers with and says nothing about, as an axum router does where no route
/// matches, is described as our own are: whoever calls the API finds one shape.
pub(crate) struct Foreign<S> {
    /// A template that each call clones; tower services are called through `&mut`.
    service: Mutex<S>,
}

impl<S> Foreign<S> {
    pub(crate) fn new(service: S) -> Self {
        Self {
            service: Mutex::new(service),
        }
    }
}

impl<S, B> Handler for Foreign<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<StreamError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StreamError>,
{
    fn call(&self, request: Request) -> Reply {
        let mut service = match self.service.lock() {
            Ok(service) => service.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        Reply::wait(async move {
            let failed = |error: S::Error| Rejection::internal().caused_by(error.into());
            std::future::poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(failed)?;
            let response = service.call(request.into_http()).await.map_err(failed)?;
            described(response.map(ResponseBody::stream))
        })
    }
}

/// The answer of a foreign service, with a body where it is an error without one.
fn described(response: Response) -> Outcome {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_bare = response.body().size_hint().exact() == Some(0)
        && !response.headers().contains_key(CONTENT_TYPE);
    if !(is_error && is_bare) {
        return Ok(response);
    }
    let mut headers = response.into_parts().0.headers;
    headers.remove(CONTENT_LENGTH);
    let known = match status {
        StatusCode::NOT_FOUND => Refusing::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => Refusing::METHOD_NOT_ALLOWED,
        _ => {
            let mut problem = Problem::new(status.as_u16()).into_response()?;
            problem.headers_mut().extend(headers);
            return Ok(problem);
        }
    };
    Err(known.rejection().with_headers(headers))
}

//! The way out: questions to authorization servers, within bounds.
//!
//! 1. A URL is `https`, or `http` to this very machine (127.0.0.0/8, `[::1]`, `localhost`), without
//!    user-info and fragment. Anything else is an error at the start.
//! 2. No redirect is followed: whoever answers with one has not answered.
//! 3. A question takes 3 seconds in all, and an answer has at most 1 MiB, counted while it arrives.
//! 4. Questions are asked on a thread of their own, which starts with the first one and ends with the
//!    engine: whoever waits needs no runtime, and whoever goes away stops nothing for the others.
//! 5. At most 256 of them are under way. One more is refused.
//!
//! Certificates are verified by the trust store of the machine.

mod background;
mod url;

pub(crate) use self::background::{Background, Flights};
pub(crate) use self::url::Url;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long a question may take in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// How long a connection is kept for the next question.
const IDLE: Duration = Duration::from_secs(30);

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// Asks other servers. Used on the background thread alone.
#[derive(Clone)]
pub(crate) struct Client {
    legacy: Legacy<Connector, Full<Bytes>>,
}

/// One question.
pub(crate) struct Question {
    pub(crate) url: Url,
    /// The body of a POST, an urlencoded form; a GET without one.
    pub(crate) form: Option<String>,
    /// The value of `Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

/// Why there is no answer. Nothing of what was sent or received is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The server could not be reached, or broke off.
    #[error("the server could not be reached")]
    Unreachable,
    /// It took too long.
    #[error("the server did not answer within 3 seconds")]
    TooSlow,
    /// The answer was too large.
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    /// Another status than 200; a redirect among them.
    #[error("the server answered with status {0}")]
    Status(StatusCode),
}

impl Client {
    /// # Errors
    /// When the machine's trust store cannot be read.
    pub(crate) fn new() -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(PATIENCE));
        let legacy = Legacy::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector(http)?);
        Ok(Self { legacy })
    }

    /// The body of the answer.
    pub(crate) async fn ask(&self, question: Question) -> Result<Bytes, NoAnswer> {
        tokio::time::timeout(PATIENCE, self.answer(question))
            .await
            .unwrap_or(Err(NoAnswer::TooSlow))
    }

    async fn answer(&self, question: Question) -> Result<Bytes, NoAnswer> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = question.url.uri().clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(mut authorization) = question.authorization {
            authorization.set_sensitive(true);
            headers.insert(AUTHORIZATION, authorization);
        }
        if let Some(form) = question.form {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, kind);
            *request.method_mut() = Method::POST;
            *request.body_mut() = Full::from(form);
        }
        let answer = self.legacy.request(request).await;
        let answer = answer.map_err(|_| NoAnswer::Unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(NoAnswer::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        match body {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(NoAnswer::TooLarge),
            Err(_) => Err(NoAnswer::Unreachable),
        }
    }
}

#[cfg(feature = "tls")]
fn connector(http: HttpConnector) -> Result<Connector, String> {
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(rustls::ConfigBuilder::with_platform_verifier)
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(http))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with TLS it may fail")]
fn connector(http: HttpConnector) -> Result<Connector, String> {
    Ok(http)
}

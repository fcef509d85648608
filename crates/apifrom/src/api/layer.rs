//! An API, or one protection alone, as a layer of the tower family: around an axum application that
//! is served as it always was.
//!
//! 1. What is layered holds for everything that the wrapped service answers. It is the engine that
//!    decides, so a layer refuses what an API would, in the same shape.
//! 2. Of several things in one layer the order is the engine's. Of several layers it is the
//!    program's: the one that was added last is asked first. A layer knows of no other one, so what
//!    looks at who calls (limits by identity, CSRF tokens, scopes) stands in one layer with the
//!    protection that finds out.
//! 3. Whoever was let in, the wrapped service finds in the request's extensions: the
//!    [`Identity`](crate::Identity), all [`Identities`](crate::Identities), the
//!    [`Client`](crate::Client) and the [`RequestId`](crate::RequestId).
//! 4. Who is at the other end of the connection is read from there too: an `Arc<`[`Peer`]`>`, or with
//!    the feature `axum` its `ConnectInfo<SocketAddr>`. Where neither is, what counts by client
//!    address (rate limits, the back-off after failed log-ins) would count all clients as one; such a
//!    layer then answers 503 and says why in the log.
//!
//! # Deployment
//! Behind a proxy, every layer that looks at addresses or at the scheme must know it:
//! `ApiConfig::trusted_proxies`. Bodies are bounded by `ApiConfig::max_body_size`, as in an API.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tower_layer::Layer;
use tower_service::Service;

use super::{Api, Install};
use crate::engine::Engine;
use crate::error::ConfigErrors;
use crate::handler::{Foreign, Handler, Reply};
#[cfg(feature = "compression")]
use crate::middleware::Compression;
use crate::middleware::{
    Cors, Csrf, ErrorHandling, HttpsRedirect, RateLimit, SecurityHeaders, Timeout,
};
use crate::rejection::Rejection;
use crate::request::{Body, Request};
use crate::response::{Response, StreamError};
use crate::security::{AuthMethod, Protection};
use crate::service::{Answering, peer, unknown_peer};

impl Api {
    /// Makes the API a layer: what no endpoint of it answers, the wrapped service does.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, at once.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use apifrom::middleware::{RateLimit, SecurityHeaders};
    /// use apifrom::{Api, security::JwtRequired};
    /// use axum::{Router, routing::get};
    ///
    /// let layer = Api::new()
    ///     .auth(JwtRequired::new().secret("a secret of at least thirty-two bytes"))
    ///     .add_middleware(RateLimit::new(100, Duration::from_secs(60)))
    ///     .add_middleware(SecurityHeaders::new())
    ///     .into_layer()?;
    /// let app: Router = Router::new().route("/", get(|| async { "in" })).layer(layer);
    /// # Ok::<(), apifrom::ConfigErrors>(())
    /// ```
    pub fn into_layer(mut self) -> Result<StageLayer, ConfigErrors> {
        let is_merged = self.fallback.is_some();
        self.fallback = Some(("layer", Arc::new(Beneath)));
        let counts_clients = self.counts_clients();
        let built = self.build();
        if is_merged {
            let mut errors = built.err().unwrap_or_default();
            errors.note(
                "merge",
                "contradicts into_layer: what a layer wraps stands where a merged service would",
            );
            return Err(errors);
        }
        Ok(StageLayer {
            engine: built?,
            counts_clients,
        })
    }

    /// True where something counts by the client's address.
    fn counts_clients(&self) -> bool {
        let own = self
            .specs
            .iter()
            .flat_map(|spec| spec.protections.iter().chain(&spec.inherited));
        // By whatever a limit counts, who is not told apart by it is counted by address.
        !self.surround.rate_limits.is_empty()
            || self
                .specs
                .iter()
                .any(|spec| !spec.surround.rate_limits.is_empty())
            || self.protections.iter().chain(own).any(backs_off)
    }
}

/// True unless all of its methods are known to keep no count of failures.
fn backs_off(protection: &Protection) -> bool {
    match protection {
        Protection::Method(method) => {
            !matches!(method.declared_as(), "jwt_required" | "api_key_required")
        }
        Protection::Any(parts) | Protection::All(parts) => parts.iter().any(backs_off),
    }
}

/// What can be a layer by itself.
///
/// # Examples
/// ```
/// use apifrom::middleware::Cors;
/// use apifrom::security::ApiKeyRequired;
/// use apifrom::IntoLayer as _;
/// use axum::{Router, routing::get};
///
/// let app: Router = Router::new()
///     .route("/", get(|| async { "in" }))
///     .layer(ApiKeyRequired::new().key("api-key-1", ["read"]).into_layer()?)
///     // The last is asked first, so that a preflight needs no key.
///     .layer(Cors::new().allow_origins(["https://example.com"]).into_layer()?);
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
pub trait IntoLayer: Sized {
    /// Makes a layer that keeps no access log. Where more is to be said, such as the proxies that are
    /// trusted, [`Api::into_layer`] does it.
    ///
    /// # Errors
    /// Everything that is wrong with the declaration.
    fn into_layer(self) -> Result<StageLayer, ConfigErrors>;
}

fn quiet() -> Api {
    Api::new().configure(|config| config.access_log = false)
}

impl<M: AuthMethod> IntoLayer for M {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        quiet().auth(self).into_layer()
    }
}

impl IntoLayer for Protection {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        quiet().auth(self).into_layer()
    }
}

fn installed(middleware: impl Install) -> Result<StageLayer, ConfigErrors> {
    quiet().add_middleware(middleware).into_layer()
}

impl IntoLayer for Cors {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

#[cfg(feature = "compression")]
impl IntoLayer for Compression {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

impl IntoLayer for Csrf {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

impl IntoLayer for HttpsRedirect {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

impl IntoLayer for SecurityHeaders {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

impl IntoLayer for RateLimit {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

impl IntoLayer for Timeout {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

impl IntoLayer for ErrorHandling {
    fn into_layer(self) -> Result<StageLayer, ConfigErrors> {
        installed(self)
    }
}

/// Protections as a layer. Cheap to clone; what clones and the services they wrap count, they count
/// together.
#[derive(Clone)]
pub struct StageLayer {
    engine: Engine,
    counts_clients: bool,
}

impl fmt::Debug for StageLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StageLayer").field(&self.engine).finish()
    }
}

impl<S, B> Layer<S> for StageLayer
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<StreamError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StreamError>,
{
    type Service = Layered;

    fn layer(&self, inner: S) -> Layered {
        Layered {
            layer: self.clone(),
            inner: Wrapped(Arc::new(Foreign::new(inner))),
        }
    }
}

/// A service behind a [`StageLayer`].
#[derive(Clone)]
pub struct Layered {
    layer: StageLayer,
    inner: Wrapped,
}

impl fmt::Debug for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layered").field(&self.layer.engine).finish()
    }
}

impl<B> Service<http::Request<B>> for Layered
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StreamError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The wrapped service is waited for once a request got through to it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answering {
        let StageLayer {
            engine,
            counts_clients,
        } = &self.layer;
        let (mut head, body) = request.into_parts();
        let peer = match peer(&head.extensions) {
            Some(peer) => peer,
            None if *counts_clients => {
                let why = Rejection::unavailable(
                    "client_unknown",
                    "it cannot be told who sends this request",
                    5,
                );
                let why = why.caused_by(
                    "a layer counts by client address and the request came without one; serve \
                     with into_make_service_with_connect_info::<SocketAddr>() under the feature \
                     axum, or put an Arc<Peer> into the request's extensions",
                );
                return Answering(engine.refuse(head, Arc::new(unknown_peer()), why));
            }
            None => Arc::new(unknown_peer()),
        };
        head.extensions.insert(self.inner.clone());
        Answering(Engine::call(engine, head, Body::stream(body), peer))
    }
}

/// What a request goes on to that gets through.
#[derive(Clone)]
struct Wrapped(Arc<dyn Handler>);

/// Stands in the engine of a layer for the service that is wrapped, which comes with each request.
struct Beneath;

impl Handler for Beneath {
    fn call(&self, request: Request) -> Reply {
        match request.head().extensions.get::<Wrapped>().cloned() {
            Some(wrapped) => wrapped.0.call(request),
            None => Reply::Ready(Err(
                Rejection::internal().caused_by("the request lost what it was on its way to")
            )),
        }
    }
}

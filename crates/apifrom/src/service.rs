//! The engine as a service of the tower family: inside an axum router, or under another server.
//!
//! Every rule of the API holds there as it does under our own server, but for what belongs to the
//! transport:
//! 1. Limits on connections, heads and the time that a body may take are the other server's. The
//!    size of bodies is bounded here all the same.
//! 2. Who is at the other end is read from the request's extensions, where the other server must
//!    put it as an `Arc<`[`Peer`]`>`, or with the feature `axum` as axum's `ConnectInfo<SocketAddr>`.
//!    A request without either counts as coming from `127.0.0.1`.
//!
//! # Deployment
//! Without a peer all clients share one address: limits by client and the access log then know
//! only one. Behind axum, `Router::into_make_service_with_connect_info::<SocketAddr>` and the
//! feature `axum` mend that. Proxy headers are read here and must not be rewritten in front.
//!
//! # Examples
//! ```
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/hello/{name}", method = "GET")]
//! fn hello(name: String) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! let engine = Api::new().endpoints(endpoints![hello]).build()?;
//! let router: axum::Router = axum::Router::new().fallback_service(engine);
//! # Ok::<(), apifrom::ConfigErrors>(())
//! ```

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tower_service::Service;

use crate::engine::{Call, Engine};
use crate::request::{Body, Peer};
use crate::response::{Response, StreamError};

/// The answer to one request, as the future of a service. It never fails.
#[must_use = "a request is answered only when this is awaited"]
pub struct Answering(pub(crate) Call);

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}

impl<B> Service<http::Request<B>> for Engine
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StreamError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // What must wait, waits in the call, where it can be refused.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answering {
        let (head, body) = request.into_parts();
        let peer = peer(&head.extensions).unwrap_or_else(|| Arc::new(unknown_peer()));
        Answering(Engine::call(self, head, Body::stream(body), peer))
    }
}

/// Who is at the other end, where the server says so.
pub(crate) fn peer(extensions: &http::Extensions) -> Option<Arc<Peer>> {
    let known = extensions.get::<Arc<Peer>>().cloned();
    #[cfg(feature = "axum")]
    let known = known.or_else(|| {
        let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()?;
        Some(Arc::new(Peer::ip(info.0, false)))
    });
    known
}

/// Whoever it is, it is nobody from outside: a server that has clients from there says who.
pub(crate) fn unknown_peer() -> Peer {
    Peer::ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false)
}

//! A request as the engine and the handlers see it.

use std::borrow::Cow;
use std::fmt;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Sleep;

use crate::rejection::Rejection;
use crate::response::spare;
use crate::routing::Captures;
use crate::security::Identities;

mod accepted;
mod id;
mod original;

pub(crate) use self::accepted::Accepted;
#[cfg(feature = "compression")]
pub(crate) use self::accepted::Coding;
pub use self::id::{RequestId, TraceParent};
pub use self::original::Original;

/// The head of a request: method, target, version, headers.
pub use http::request::Parts as Head;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: PeerAddress,
    /// True when the connection itself is encrypted.
    pub tls: bool,
}

/// The address of a connection's other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// A TCP connection; IPv4-mapped IPv6 is already IPv4.
    Ip(SocketAddr),
    /// A Unix domain socket.
    Unix,
}

impl Peer {
    /// A TCP peer.
    pub fn ip(address: SocketAddr, tls: bool) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            address: PeerAddress::Ip(address),
            tls,
        }
    }

    /// A peer on a Unix domain socket.
    pub fn unix() -> Self {
        Self {
            address: PeerAddress::Unix,
            tls: false,
        }
    }
}

/// The client: the peer, or whom a trusted proxy named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address; `None` behind a Unix domain socket that names nobody.
    pub ip: Option<IpAddr>,
    /// The port; 0 where it is not known.
    pub port: u16,
}

impl Client {
    /// What counts as one client: an address, of IPv6 the /64 that one subscriber has. Whoever is
    /// behind a Unix domain socket that names nobody is one client as well.
    pub(crate) fn network(&self) -> IpAddr {
        match self.ip {
            Some(IpAddr::V6(ip)) => {
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)))
            }
            Some(ip) => ip,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => fmt::Display::fmt(&ip, f),
            None => f.write_str("unix"),
        }
    }
}

/// How the client reached the service, as the client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS, here or at a trusted proxy.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What the way back needs to know about a request after its handler took it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Notes {
    /// The request as it arrived; only there where own middleware sees the answer to it.
    pub original: Option<Arc<Original>>,
    /// The request's id.
    pub request_id: RequestId,
    /// How the client reached the service.
    pub scheme: Scheme,
    /// The only `Origin` that the request names; none where it names several.
    pub origin: Option<http::HeaderValue>,
    /// Which form of the answer the client takes; only there where some answer is compressed.
    pub(crate) accepted: Option<Accepted>,
    /// What stages left for their own way back.
    pub stages: http::Extensions,
}

impl Notes {
    pub(crate) fn new(request_id: RequestId, scheme: Scheme) -> Self {
        Self {
            original: None,
            request_id,
            scheme,
            origin: None,
            accepted: None,
            stages: http::Extensions::new(),
        }
    }

    /// The same without what stages leave, which comes when they have been asked.
    pub(crate) fn for_the_way_back(&self) -> Self {
        Self {
            original: self.original.clone(),
            request_id: self.request_id.clone(),
            scheme: self.scheme,
            origin: self.origin.clone(),
            accepted: self.accepted,
            stages: http::Extensions::new(),
        }
    }
}

/// What the engine found out about a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Context {
    /// For the way back.
    pub notes: Notes,
    /// The other end of the connection.
    pub peer: Arc<Peer>,
    /// The client's address.
    pub client: Client,
    /// The captures of the path.
    pub captures: Captures,
    /// Who calls, as authentication proved it.
    pub identities: Identities,
    /// What own middleware leaves for the handler.
    pub state: http::Extensions,
}

/// A request on its way to a handler.
#[derive(Debug)]
pub struct Request {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    head: Head,
    body: Body,
    context: Context,
}

impl Drop for Inner {
    fn drop(&mut self) {
        spare::keep(&mut self.head.headers);
    }
}

/// Where a request will be. What is large is put together where it stays, or it is copied on the way.
pub(crate) struct Room(Box<MaybeUninit<Inner>>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Box::new_uninit())
    }
}

impl Request {
    /// Puts together what is known before the request is routed.
    pub(crate) fn new(
        room: Room,
        head: Head,
        body: Body,
        peer: Arc<Peer>,
        client: Client,
        notes: Notes,
    ) -> Self {
        let context = Context {
            notes,
            peer,
            client,
            captures: Captures::default(),
            identities: Identities::default(),
            state: http::Extensions::new(),
        };
        let inner = Inner {
            head,
            body,
            context,
        };
        Self {
            inner: Box::write(room.0, inner),
        }
    }

    /// Method, target, version and headers.
    pub fn head(&self) -> &Head {
        &self.inner.head
    }

    /// The body, still unread.
    pub fn body(&mut self) -> &mut Body {
        &mut self.inner.body
    }

    /// Takes the body out; what is left is empty.
    pub fn take_body(&mut self) -> Body {
        std::mem::replace(&mut self.inner.body, Body::empty())
    }

    /// What the engine found out.
    pub fn context(&self) -> &Context {
        &self.inner.context
    }

    /// What the engine found out, for own middleware to add to.
    pub fn context_mut(&mut self) -> &mut Context {
        &mut self.inner.context
    }

    /// Head and context at once, for the stages.
    pub(crate) fn for_stage(&mut self) -> (&Head, &mut Context) {
        (&self.inner.head, &mut self.inner.context)
    }

    pub(crate) fn take_stage_notes(&mut self) -> http::Extensions {
        std::mem::take(&mut self.inner.context.notes.stages)
    }

    /// The decoded capture at `index`, in the order of the template.
    pub fn capture(&self, index: usize) -> Option<Cow<'_, str>> {
        self.inner
            .context
            .captures
            .value(index, self.inner.head.uri.path())
    }

    /// The request as other services of the tower family take it.
    pub fn into_http(mut self) -> http::Request<Body> {
        let body = self.take_body();
        let mut head =
            std::mem::replace(&mut self.inner.head, http::Request::new(()).into_parts().0);
        let context = &mut self.inner.context;
        head.extensions.insert(context.client);
        head.extensions.insert(context.notes.request_id.clone());
        let first = context.identities.iter().next().cloned();
        if let Some(first) = first {
            let known = head.extensions.remove::<Identities>().unwrap_or_default();
            head.extensions
                .insert(known.and(std::mem::take(&mut context.identities)));
            head.extensions.insert(first);
        }
        http::Request::from_parts(head, body)
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// More bytes than the endpoint takes.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The endpoint's bound in bytes.
        limit: u64,
    },
    /// It did not arrive within its time.
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    /// The client went away or broke the framing.
    #[error("the body ended early or is malformed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Rejection::body_too_large(limit),
            BodyError::TooSlow(_) => Rejection::body_too_slow(),
            BodyError::Broken(cause) => Rejection::broken_body().caused_by(cause),
        }
    }
}

/// The body of a request, bounded in size and, on our own server, in time.
pub struct Body {
    source: Source,
    /// Bytes that may still arrive.
    left: u64,
    limit: u64,
    allowance: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
}

enum Source {
    Empty,
    Full(Bytes),
    Wire(hyper::body::Incoming),
    /// Behind a lock, though nobody ever waits for it: a request that may be looked at from two
    /// threads can be lent to an asynchronous handler.
    Stream(Mutex<Stream>),
}

type Stream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>;

/// Looks at a stream without taking it.
fn peek<T>(stream: &Mutex<Stream>, look: impl FnOnce(&Stream) -> T) -> T {
    look(&stream.lock().unwrap_or_else(PoisonError::into_inner))
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Body {
    fn new(source: Source) -> Self {
        Self {
            source,
            left: u64::MAX,
            limit: u64::MAX,
            allowance: None,
            deadline: None,
        }
    }

    /// No body.
    pub fn empty() -> Self {
        Self::new(Source::Empty)
    }

    /// A body that is at hand.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(if bytes.is_empty() {
            Source::Empty
        } else {
            Source::Full(bytes)
        })
    }

    /// A body from our own server, all of which must arrive within `allowance`.
    pub(crate) fn wire(incoming: hyper::body::Incoming, allowance: Option<Duration>) -> Self {
        if http_body::Body::is_end_stream(&incoming) {
            return Self::empty();
        }
        let mut body = Self::new(Source::Wire(incoming));
        body.allowance = allowance;
        body
    }

    /// A body from another transport.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::new(Source::Stream(Mutex::new(Box::pin(
            body.map_err(Into::into),
        ))))
    }

    /// Bounds what may be read. Reading past it fails with [`BodyError::TooLarge`].
    pub(crate) fn bound(&mut self, limit: u64) {
        self.limit = limit;
        self.left = limit;
    }

    /// The announced length in bytes, where there is one.
    pub fn announced(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`BodyError`]; an announced length past the bound fails before anything is read.
    pub async fn read(&mut self) -> Result<Bytes, BodyError> {
        if http_body::Body::size_hint(self).lower() > self.left {
            return Err(BodyError::TooLarge { limit: self.limit });
        }
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        // Most bodies arrive in one piece, which is then handed on as it is.
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let announced = usize::try_from(self.announced().unwrap_or_default()).unwrap_or_default();
        let mut whole = Vec::with_capacity(first.len() + second.len() + announced.min(1 << 20));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// The next piece of data, or `None` at the end. Trailers are passed over.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn poll_source(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.source {
            Source::Empty => return Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Empty;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Source::Wire(incoming) => ready!(Pin::new(incoming).poll_frame(cx))
                .map(|frame| frame.map_err(|error| BodyError::Broken(error.into()))),
            Source::Stream(stream) => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                ready!(stream.as_mut().poll_frame(cx)).map(|frame| frame.map_err(BodyError::Broken))
            }
        };
        Poll::Ready(frame)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match this.poll_source(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                let Some(left) = this.left.checked_sub(size) else {
                    this.source = Source::Empty;
                    return Poll::Ready(Some(Err(BodyError::TooLarge { limit: this.limit })));
                };
                this.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                // The timer is made only for a body that is not at hand yet.
                if let Some(allowance) = this.allowance {
                    let deadline = this
                        .deadline
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep(allowance)));
                    ready!(deadline.as_mut().poll(cx));
                    this.source = Source::Empty;
                    return Poll::Ready(Some(Err(BodyError::TooSlow(allowance))));
                }
                Poll::Pending
            }
            other @ Poll::Ready(_) => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Wire(incoming) => incoming.is_end_stream(),
            Source::Stream(stream) => peek(stream, http_body::Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Wire(incoming) => incoming.size_hint(),
            Source::Stream(stream) => peek(stream, http_body::Body::size_hint),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("announced", &self.announced())
            .finish_non_exhaustive()
    }
}

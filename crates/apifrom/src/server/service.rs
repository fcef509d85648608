//! From a parsed request to the engine, and from its answer back to the wire.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Shared;
use super::phase::{Held, Pulse};
use super::streams::Flow;
use super::wire;
use crate::engine::{Call, asked_again};
use crate::rejection::Rejection;
use crate::request::{Body, Head, Peer};
use crate::response::{ResponseBody, StreamError};

/// The largest piece of an answer that HTTP is handed at once. What was handed over stays in memory
/// until the client takes it: a copy of it for HTTP/1, and for HTTP/2 the piece itself, which its
/// stream no longer watches over once it is the last.
const PIECE: usize = 64 << 10;

/// The largest body that is read before its request is routed, see [`wire::Body`].
const GATHERED: u64 = 64 << 10;

/// The engine, as one connection calls it.
pub(super) struct Service {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    pulse: Arc<Pulse>,
}

impl Service {
    pub(super) fn new(shared: Arc<Shared>, peer: Arc<Peer>, pulse: Arc<Pulse>) -> Self {
        Self {
            shared,
            peer,
            pulse,
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<WireBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let underway = Underway::begin(&self.pulse);
        let (mut head, body) = request.into_parts();
        // Protocols are not switched here, so nobody may come to believe that they can be.
        head.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let peer = Arc::clone(&self.peer);
        let multiplexed = head.version >= Version::HTTP_2;
        let mut closes = false;
        let mut gathering: Option<Gathering> = None;
        let call = match wire::check(&head, self.shared.max_header_fields) {
            Ok(wire::Body::AtOnce) => {
                let shared = Arc::clone(&self.shared);
                gathering = Some(Box::pin(gathered(shared, head, body, peer)));
                Call::default()
            }
            Ok(wire::Body::WhenAsked) => {
                let body = Body::wire(body, Some(self.shared.timeouts.body));
                self.shared.engine.call(head, body, peer)
            }
            Err(why) => {
                // What comes behind a request that can be read in two ways is nobody's.
                closes = !multiplexed;
                self.shared.engine.refuse(head, peer, why)
            }
        };
        Answer {
            gathering,
            call,
            underway: Some(underway),
            closes,
            multiplexed,
        }
    }
}

/// Reads the body, then calls the engine with it. A body that cannot be read, because it is too
/// slow, too large or malformed, is refused on the same way out.
async fn gathered(shared: Arc<Shared>, head: Head, body: Incoming, peer: Arc<Peer>) -> Call {
    let mut body = Body::wire(body, Some(shared.timeouts.body));
    body.bound(GATHERED);
    match body.read().await {
        Ok(bytes) => shared.engine.call(head, Body::full(bytes), peer),
        Err(error) => shared.engine.refuse(head, peer, Rejection::from(error)),
    }
}

/// Keeps its connection busy.
struct Underway(Arc<Pulse>);

impl Underway {
    fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.request_begins();
        Self(Arc::clone(pulse))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.request_ends();
    }
}

/// The answer to one request, awaited.
pub(super) struct Answer {
    /// Where a body is read first; `call` is what it comes to.
    gathering: Option<Gathering>,
    call: Call,
    underway: Option<Underway>,
    closes: bool,
    multiplexed: bool,
}

type Gathering = Pin<Box<dyn Future<Output = Call> + Send>>;

impl Future for Answer {
    type Output = Result<Response<WireBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(gathering) = &mut this.gathering {
            this.call = ready!(gathering.as_mut().poll(cx));
            this.gathering = None;
        }
        let answer = ready!(this.call.poll_answer(cx));
        if let (true, Some(response)) = (this.closes, answer.as_mut()) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let flow = if this.multiplexed {
            Flow::current()
        } else {
            None
        };
        let underway = this.underway.take();
        let body = |body| WireBody {
            body,
            pieces: flow.map(|flow| Box::new(Pieces::of(flow))),
            underway,
        };
        // In two arms, because an answer that is put together from both is copied once more.
        Poll::Ready(Ok(match answer.take() {
            Some(response) => response.map(body),
            None => asked_again().map(body),
        }))
    }
}

/// The body of an answer on its way out. The request is under way until it is dropped.
pub(super) struct WireBody {
    body: ResponseBody,
    /// Over HTTP/1 only once there is more than a piece.
    pieces: Option<Box<Pieces>>,
    underway: Option<Underway>,
}

/// A piece of an answer in the hands of HTTP.
pub(super) struct Piece {
    bytes: Bytes,
    /// Over HTTP/2, where a piece may wait for the client long after its body is gone.
    held: Option<Held>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(held) = &self.held {
            held.moves();
        }
    }
}

/// Hands out a body in pieces.
#[derive(Default)]
struct Pieces {
    /// Where it is noted when an HTTP/2 client takes them.
    flow: Option<Arc<Flow>>,
    rest: Bytes,
}

impl Pieces {
    fn of(flow: Arc<Flow>) -> Self {
        Self {
            flow: Some(flow),
            ..Self::default()
        }
    }

    fn asked(&self) {
        if let Some(flow) = &self.flow {
            flow.asked();
        }
    }

    /// What may go out of `data` now; the rest is kept.
    fn cut(&mut self, mut data: Bytes) -> Bytes {
        if data.len() > PIECE {
            self.rest = data.split_off(PIECE);
        }
        if let Some(flow) = &self.flow {
            flow.handed_out();
        }
        data
    }
}

impl WireBody {
    fn handed_out(&self, frame: Frame<Bytes>) -> Frame<Piece> {
        frame.map_data(|bytes| Piece {
            bytes,
            held: self
                .underway
                .as_ref()
                .and_then(|underway| underway.0.hold()),
        })
    }

    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let is_large = frame.data_ref().is_some_and(|data| data.len() > PIECE);
        if !is_large && self.pieces.is_none() {
            return frame;
        }
        match frame.into_data() {
            Ok(data) => Frame::data(self.pieces.get_or_insert_default().cut(data)),
            Err(other) => other,
        }
    }
}

impl http_body::Body for WireBody {
    type Data = Piece;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, StreamError>>> {
        let this = &mut *self;
        if let Some(pieces) = &mut this.pieces {
            pieces.asked();
            if !pieces.rest.is_empty() {
                let rest = std::mem::take(&mut pieces.rest);
                let frame = Frame::data(pieces.cut(rest));
                return Poll::Ready(Some(Ok(this.handed_out(frame))));
            }
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = this.cut(frame?);
            Ok(this.handed_out(frame))
        }))
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.pieces.as_ref().map(|pieces| &pieces.rest);
        rest.is_none_or(Bytes::is_empty) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        if let Some(pieces) = &self.pieces {
            let rest = pieces.rest.len() as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(rest));
            }
            hint.set_lower(hint.lower().saturating_add(rest));
        }
        hint
    }
}

//! Answers that are sent while they are made.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::{Body, Frame};

use super::into_response::with_type;
use super::{IntoResponse, Response, ResponseBody, StreamError};
use crate::rejection::Rejection;

/// An answer that is a stream of pieces: texts, bytes, or `Result`s of them.
///
/// A piece is asked for when the client has taken those before it, so a slow client holds back the
/// stream and costs no memory. A piece that is an error breaks the answer off; its head is long
/// gone by then, so the client sees an incomplete answer and the log the reason.
///
/// # Examples
/// ```
/// use apifrom::{Streaming, api};
/// use tokio_stream::iter;
///
/// #[api(route = "/countdown", method = "GET")]
/// fn countdown() -> Streaming<impl futures_core::Stream<Item = String>> {
///     Streaming::new(iter((0..3).rev().map(|n| format!("{n}\n"))))
/// }
/// # use apifrom::{Api, endpoints, testing::TestClient};
/// # let client = TestClient::new(Api::new().endpoints(endpoints![countdown]).build()?);
/// # assert_eq!(client.get("/countdown").send()?.text(), "2\n1\n0\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Streaming<S> {
    stream: S,
    content_type: Option<HeaderValue>,
}

impl<S> Streaming<S> {
    /// Streams `stream`: texts as `text/plain`, bytes as `application/octet-stream`.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            content_type: None,
        }
    }

    /// Announces another type, such as `text/event-stream`.
    #[must_use]
    pub fn content_type(mut self, content_type: HeaderValue) -> Self {
        self.content_type = Some(content_type);
        self
    }
}

/// A piece of a streamed answer.
pub trait Piece {
    /// What a stream of such pieces is announced as.
    const CONTENT_TYPE: &'static str;

    /// The bytes of this piece.
    ///
    /// # Errors
    /// When the piece is an error, which ends the stream.
    fn into_bytes(self) -> Result<Bytes, StreamError>;
}

impl Piece for String {
    const CONTENT_TYPE: &'static str = "text/plain; charset=utf-8";

    fn into_bytes(self) -> Result<Bytes, StreamError> {
        Ok(self.into())
    }
}

impl Piece for &'static str {
    const CONTENT_TYPE: &'static str = "text/plain; charset=utf-8";

    fn into_bytes(self) -> Result<Bytes, StreamError> {
        Ok(Bytes::from_static(self.as_bytes()))
    }
}

impl Piece for Bytes {
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    fn into_bytes(self) -> Result<Bytes, StreamError> {
        Ok(self)
    }
}

impl Piece for Vec<u8> {
    const CONTENT_TYPE: &'static str = "application/octet-stream";

    fn into_bytes(self) -> Result<Bytes, StreamError> {
        Ok(self.into())
    }
}

impl<P: Piece, E: Into<StreamError>> Piece for Result<P, E> {
    const CONTENT_TYPE: &'static str = P::CONTENT_TYPE;

    fn into_bytes(self) -> Result<Bytes, StreamError> {
        self.map_err(Into::into)?.into_bytes()
    }
}

impl<S> IntoResponse for Streaming<S>
where
    S: Stream + Send + 'static,
    S::Item: Piece,
{
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        let body = ResponseBody::stream(Pieces(Box::pin(self.stream)));
        let mut response = with_type(body, HeaderValue::from_static(S::Item::CONTENT_TYPE));
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        Ok(response)
    }
}

struct Pieces<S>(Pin<Box<S>>);

impl<S> Body for Pieces<S>
where
    S: Stream,
    S::Item: Piece,
{
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let piece = std::task::ready!(self.0.as_mut().poll_next(cx));
        Poll::Ready(piece.map(|piece| piece.into_bytes().map(Frame::data)))
    }
}

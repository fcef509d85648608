//! The body of an answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::files::FileSource;

/// Why a streamed answer broke off after its head was sent.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// Nothing, bytes that are at hand, a stream, or a file.
#[derive(Default)]
pub struct ResponseBody(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = StreamError> + Send>>),
    /// A file that the engine opens before the answer leaves.
    File(Box<FileSource>),
}

impl ResponseBody {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Bytes that are at hand.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(bytes.into()))
    }

    /// Bytes that come as they are made. They are asked for no faster than the client reads.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StreamError>,
    {
        Self(Kind::Stream(Box::pin(body.map_err(Into::into))))
    }

    /// A file, to be opened by the engine.
    pub(crate) fn file(source: FileSource) -> Self {
        Self(Kind::File(Box::new(source)))
    }

    /// True for a file that is not open yet.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.0, Kind::File(_))
    }

    /// Takes out the file that is to be opened.
    pub(crate) fn take_file(&mut self) -> Option<FileSource> {
        match std::mem::take(&mut self.0) {
            Kind::File(source) => Some(*source),
            other => {
                self.0 = other;
                None
            }
        }
    }

    /// The bytes, unless this is a stream or a file.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Empty => Some(&[]),
            Kind::Full(bytes) => Some(bytes),
            Kind::Stream(_) | Kind::File(_) => None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.as_mut().poll_frame(cx),
            Kind::File(_) => Poll::Ready(Some(Err("the file was never opened".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.is_end_stream(),
            Kind::File(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
            Kind::File(_) => SizeHint::default(),
        }
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::full(bytes)
    }
}

impl From<String> for ResponseBody {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Empty"),
            Kind::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Stream"),
            Kind::File(_) => f.write_str("File"),
        }
    }
}

//! The body of an answer that is read from a file.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apifrom::StreamError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pyo3::prelude::*;

use crate::dispatch::{self, Call, Refusal, Route, Work};

/// How much is read at a time: each time costs a hop to a thread of the pool.
const PIECE: u64 = 128 << 10;

/// The bytes of a file from one place to another.
pub(crate) struct FileBody {
    file: Arc<File>,
    at: u64,
    end: u64,
    route: Arc<Route>,
    reading: Option<Call<Read>>,
}

impl FileBody {
    /// The bytes from `start` up to, and without, `end`. `route` is one of the pool.
    pub(crate) fn new(file: File, start: u64, end: u64, route: Arc<Route>) -> Self {
        Self {
            file: Arc::new(file),
            at: start,
            end,
            route,
            reading: None,
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        if this.at >= this.end {
            return Poll::Ready(None);
        }
        let reading = this.reading.get_or_insert_with(|| {
            let work = Read {
                file: Arc::clone(&this.file),
                at: this.at,
                length: PIECE.min(this.end - this.at),
                piece: Err(io::ErrorKind::Interrupted.into()),
            };
            dispatch::call(&this.route, work)
        });
        let read = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let piece = match read {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Err(refusal) => return Poll::Ready(Some(Err(refused(refusal)))),
        };
        this.at += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end.saturating_sub(self.at))
    }
}

fn refused(refusal: Refusal) -> StreamError {
    format!("a piece of the file could not be read: {refusal:?}").into()
}

/// Reads one piece, on a thread of the pool.
struct Read {
    file: Arc<File>,
    at: u64,
    length: u64,
    piece: io::Result<Bytes>,
}

impl Work for Read {
    type Answer = io::Result<Bytes>;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.piece = py.detach(|| read(&self.file, self.at, self.length));
        Ok(py.None())
    }

    fn finish(self, _py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> io::Result<Bytes> {
        outcome.map_err(io::Error::other)?;
        self.piece
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
    let count = file.read_at(&mut piece, at)?;
    if count == 0 {
        // The length was announced already.
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file became shorter while it was sent",
        ));
    }
    piece.truncate(count);
    Ok(piece.into())
}

//! The body of an answer that is read from a file.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::aside;
use crate::response::StreamError;

/// How much is read at a time: each time costs a hop to another thread.
const PIECE: u64 = 128 << 10;

/// The bytes of a file from one place to another.
pub(super) struct FileBody {
    file: Arc<File>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// The bytes from `start` up to, and without, `end`.
    pub(super) fn new(file: File, start: u64, end: u64) -> Self {
        Self {
            file: Arc::new(file),
            at: start,
            end,
            reading: None,
        }
    }

    fn read(&self) -> io::Result<JoinHandle<io::Result<Bytes>>> {
        let file = Arc::clone(&self.file);
        let (at, length) = (self.at, PIECE.min(self.end - self.at));
        aside(move || read(&file, at, length))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.read() {
                Ok(reading) => reading,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            },
        };
        let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        Poll::Ready(Some(match read {
            Ok(Ok(piece)) => {
                self.at += piece.len() as u64;
                Ok(Frame::data(piece))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(lost) => Err(lost.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end.saturating_sub(self.at))
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

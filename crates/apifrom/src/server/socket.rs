//! The connection's socket: TCP or Unix, in clear or under TLS, with a [`Pulse`] that sees bytes
//! come and go.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::frames::Frames;
use super::phase::Pulse;
use super::tls::TlsStream;

/// What HTTP/2 begins with (RFC 9113 §3.4). No other protocol has this method.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket as it was accepted.
#[derive(Debug)]
pub(super) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket as HTTP is spoken on it.
pub(super) enum Transport {
    Plain(Plain),
    Tls(Box<TlsStream>),
}

/// Forwards one method of the socket traits to whatever socket this is.
macro_rules! forward {
    ($this:expr, $kind:ident::{$one:ident, $other:ident}, $method:ident $arguments:tt) => {
        match $this {
            $kind::$one(socket) => Pin::new(socket).$method $arguments,
            $kind::$other(socket) => Pin::new(socket).$method $arguments,
        }
    };
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self.get_mut(), Self::{Tcp, Unix}, poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self.get_mut(), Self::{Tcp, Unix}, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self.get_mut(), Self::{Tcp, Unix}, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.get_mut(), Self::{Tcp, Unix}, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self.get_mut(), Self::{Tcp, Unix}, poll_shutdown(cx))
    }
}

/// A socket whose bytes are counted into the phases of its connection.
pub(super) struct Socket {
    transport: Transport,
    pulse: Arc<Pulse>,
    /// What was read to tell the protocols apart, and still belongs to the parser.
    sniffed: Sniffed,
    /// Over HTTP/2; boxed, because most connections have none.
    frames: Option<Box<Frames>>,
    /// True once the sending half is shut down.
    sent_all: bool,
}

/// Bytes that were read before it was known whose they are.
#[derive(Debug, Default)]
pub(super) struct Sniffed {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    taken: usize,
}

impl Sniffed {
    /// Reads from `transport` until it is clear whether HTTP/2 is spoken, and says so.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Plain,
    ) -> Poll<io::Result<bool>> {
        loop {
            let Some(room) = self.bytes.get_mut(self.filled..) else {
                return Poll::Ready(Ok(false));
            };
            let mut buf = ReadBuf::new(room);
            ready!(Pin::new(&mut *transport).poll_read(cx, &mut buf))?;
            let read = buf.filled().len();
            self.filled += read;
            let so_far = self.bytes.get(..self.filled).unwrap_or_default();
            // The end of the stream as well is something that the parser deals with.
            if read == 0 || !PREFACE.starts_with(so_far) {
                return Poll::Ready(Ok(false));
            }
            if so_far.len() == PREFACE.len() {
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Hands over what fits into `buf`. True when there was anything.
    fn take(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.taken == self.filled {
            return false;
        }
        let left = self.bytes.get(self.taken..self.filled).unwrap_or_default();
        let now = left.get(..left.len().min(buf.remaining())).unwrap_or(left);
        buf.put_slice(now);
        self.taken += now.len();
        !now.is_empty()
    }
}

impl Socket {
    pub(super) fn new(
        transport: Transport,
        sniffed: Sniffed,
        pulse: Arc<Pulse>,
        frames: Option<Frames>,
    ) -> Self {
        Self {
            transport,
            pulse,
            sniffed,
            frames: frames.map(Box::new),
            sent_all: false,
        }
    }

    /// Notes that what `buf` holds behind its first `before` bytes has arrived.
    fn received(&mut self, buf: &ReadBuf<'_>, before: usize) {
        if let Some(frames) = &mut self.frames {
            let ended = frames.follow(buf.filled().get(before..).unwrap_or_default());
            self.pulse.followed(ended, frames.is_open());
        } else {
            self.pulse.received();
        }
    }

    fn poll_transport(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(&mut self.transport, Transport::{Plain, Tls}, poll_read(cx, buf))
    }

    /// Notes how a write went.
    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.pulse.write_waits(),
            Poll::Ready(_) => self.pulse.wrote(),
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if this.sniffed.take(buf) {
            // Handed over together with what follows, since a parser that gets a head in two pieces
            // doubles its buffer. Whatever else there is to know will be known at the next read.
            if buf.remaining() > 0 {
                let _ = this.poll_transport(cx, buf);
            }
            this.received(buf, before);
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_transport(cx, buf))?;
        if buf.filled().len() > before {
            this.received(buf, before);
        } else if this.pulse.withholds_end() {
            // The connection asks again when the answer is out or the patience is over.
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = forward!(&mut this.transport, Transport::{Plain, Tls}, poll_write(cx, buf));
        this.noted(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written =
            forward!(&mut this.transport, Transport::{Plain, Tls}, poll_write_vectored(cx, bufs));
        this.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => socket.is_write_vectored(),
            Transport::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.transport {
            // Nothing is held back that could be flushed.
            Transport::Plain(_) => Poll::Ready(Ok(())),
            Transport::Tls(socket) => {
                let flushed = Pin::new(socket).poll_flush(cx).map_ok(|()| 0);
                this.noted(flushed).map_ok(|_| ())
            }
        }
    }

    /// Shuts down the sending half, and where the connection lingers, reads to the client's end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.sent_all {
            this.pulse.close();
            ready!(forward!(&mut this.transport, Transport::{Plain, Tls}, poll_shutdown(cx)))?;
            this.sent_all = true;
        }
        let mut scrap = [0; 4096];
        while this.pulse.lingers() {
            let mut buf = ReadBuf::new(&mut scrap);
            ready!(this.poll_transport(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

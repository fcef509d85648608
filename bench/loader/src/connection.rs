//! One keep-alive connection: sending a request, and collecting the bytes of its answer.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, net::TcpStream};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BUFFER: usize = 16 * 1024;

/// A request that has been sent and not yet answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// Which of the stream's requests it is.
    pub(crate) request: usize,
    /// When it was sent or, at a fixed rate, when it was due.
    pub(crate) since: Instant,
}

/// A connection and what is under way on it.
pub(crate) struct Connection {
    /// The stream that it belongs to.
    pub(crate) stream: usize,
    /// The request under way.
    pub(crate) pending: Option<Pending>,
    socket: TcpStream,
    written: usize,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects and registers under `token`.
    pub(crate) fn open(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
        stream: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            stream,
            pending: None,
            socket: connect(address, registry, token)?,
            written: 0,
            buffer: vec![0; FIRST_BUFFER],
            filled: 0,
        })
    }

    /// Replaces the socket by a fresh one, forgetting what was under way.
    pub(crate) fn reopen(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        registry.deregister(&mut self.socket)?;
        self.pending = None;
        self.written = 0;
        self.filled = 0;
        self.socket = connect(address, registry, token)?;
        Ok(())
    }

    /// Starts a request.
    pub(crate) fn send(&mut self, pending: Pending, wire: &[u8]) -> io::Result<()> {
        self.pending = Some(pending);
        self.written = 0;
        self.write(wire)
    }

    /// Writes what the socket takes of what is left of a request.
    pub(crate) fn write(&mut self, wire: &[u8]) -> io::Result<()> {
        while let Some(rest) = wire.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has arrived, and says whether the connection is still open.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let room = free.len();
            match self.socket.read(free) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.filled += count;
                    // A short read has emptied the socket; what comes later is a new event,
                    // so the read that would only say so is saved.
                    if count < room {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The bytes received and not yet taken.
    pub(crate) fn received(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// Forgets the first `count` received bytes.
    pub(crate) fn take(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

fn connect(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let socket = std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(socket);
    registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(socket)
}

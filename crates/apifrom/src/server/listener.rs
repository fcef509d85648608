//! What the server listens on: TCP addresses, a Unix domain socket, or a socket that was opened
//! elsewhere.
//!
//! Sockets are opened without a runtime, so that a program learns of an occupied port before it
//! starts anything else.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::socket::Plain;
use crate::config::ServerConfig;
use crate::error::ServeError;
use crate::request::{Peer, PeerAddress};

/// How many bytes of an answer the system takes ahead of what it can send.
///
/// Left to itself it takes megabytes, for each client that reads slowly, and then reports nothing
/// for as long as it takes to send a third of them: a slow client would look like one that stalls.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SEND_AHEAD: u32 = 128 << 10;

/// An open listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    address: BoundAddress,
    /// Our own socket file, removed in the end.
    file: Option<SocketFile>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoundAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix domain socket; empty where the socket has none.
    Unix(PathBuf),
}

impl BoundAddress {
    /// What a client is told to open.
    pub(super) fn url(&self, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        match self {
            Self::Tcp(address) => format!("{scheme}://{address}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Opens what `config` asks for.
pub(super) fn open(config: &ServerConfig) -> Result<Vec<Listener>, ServeError> {
    let named = |address: String| move |source| ServeError::Listen { address, source };
    if let Some(fd) = config.fd {
        let listener = inherited(fd).map_err(named(format!("descriptor {fd}")))?;
        return Ok(vec![listener]);
    }
    if let Some(path) = &config.uds {
        let listener = unix(Path::new(path), config.backlog).map_err(named(path.clone()))?;
        return Ok(vec![listener]);
    }
    let host = &config.host;
    let address = if host.contains(':') {
        format!("[{host}]:{}", config.port)
    } else {
        format!("{host}:{}", config.port)
    };
    tcp(host, config.port, config.backlog).map_err(named(address))
}

/// Opens what `config` asks for, as often as there are processes to take connections from it.
///
/// On TCP each has a socket of its own, among which the system divides new connections; what waits at
/// one waits for whoever holds it. Where the system does not divide them, and on a Unix domain socket,
/// all have the same.
///
/// The first socket is opened and listens before it lets others beside it, so that a second server on
/// the same address fails as it does beside any other.
pub(super) fn open_for(
    config: &ServerConfig,
    processes: usize,
) -> Result<Vec<Vec<Listener>>, ServeError> {
    let first = open(config)?;
    let is_divided = cfg!(target_os = "linux") && config.fd.is_none() && config.uds.is_none();
    let mut others = Vec::new();
    for _ in 1..processes {
        let beside = first.iter().map(|listener| {
            let beside = if is_divided {
                listener.beside(config.backlog)
            } else {
                listener.same()
            };
            beside.map_err(|source| ServeError::Listen {
                address: listener.address.to_string(),
                source,
            })
        });
        others.push(beside.collect::<Result<Vec<_>, _>>()?);
    }
    others.insert(0, first);
    Ok(others)
}

/// Takes over what a supervisor opened.
pub(super) fn handed_over(descriptors: &[RawFd]) -> Result<Vec<Listener>, ServeError> {
    let taken = descriptors.iter().map(|&descriptor| {
        let listener = inherited(descriptor).and_then(|listener| {
            // It came through the start of this process, and goes no further.
            listener.socket.set_cloexec(true)?;
            Ok(listener)
        });
        listener.map_err(|source| ServeError::Listen {
            address: format!("descriptor {descriptor}"),
            source,
        })
    });
    taken.collect()
}

/// Listens on every address that `host` stands for, all with the same port.
fn tcp(host: &str, port: u16, backlog: u32) -> io::Result<Vec<Listener>> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.dedup();
    let several = addresses.len() > 1;
    let mut listeners: Vec<Listener> = Vec::new();
    let mut unavailable = None;
    for mut address in addresses {
        // Where the system chose a port for the first address, the others take the same.
        if let Some(BoundAddress::Tcp(first)) = listeners.first().map(|first| &first.address) {
            address.set_port(first.port());
        }
        match tcp_at(address, backlog, several) {
            Ok(listener) => listeners.push(listener),
            // `localhost` may stand for an IPv6 address on a machine without IPv6.
            Err(error) if several && is_unavailable(&error) => unavailable = Some(error),
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() {
        let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(unavailable.unwrap_or_else(nothing));
    }
    Ok(listeners)
}

fn tcp_at(address: SocketAddr, backlog: u32, only_v6: bool) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `::` alone serves both families; beside an IPv4 address it must leave that one alone.
        socket.set_only_v6(only_v6)?;
    }
    // A restart need not wait for the connections of the last run to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    listen(socket, backlog)
}

fn unix(path: &Path, backlog: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let mut listener = listen(socket, backlog)?;
    listener.file = SocketFile::at(path);
    Ok(listener)
}

/// Takes a socket over that was opened elsewhere and listens already.
fn inherited(fd: RawFd) -> io::Result<Listener> {
    let socket = adopted(fd, |socket| {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "not a listening socket");
        socket.is_listener()?.then_some(()).ok_or_else(wrong)
    })?;
    finished(socket)
}

/// Takes a socket over by its descriptor, if it is what `check` expects.
pub(super) fn adopted(
    fd: RawFd,
    check: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: whoever names `fd` hands the descriptor over to this server. One that turns out not to
    // be the expected socket was not meant, and is let go again below without being closed.
    #[expect(
        unsafe_code,
        reason = "the standard library has no safe way to take over a descriptor by its number"
    )]
    let socket = unsafe { Socket::from_raw_fd(fd) };
    match check(&socket) {
        Ok(()) => Ok(socket),
        Err(error) => {
            let _ = socket.into_raw_fd();
            Err(error)
        }
    }
}

fn listen(socket: Socket, backlog: u32) -> io::Result<Listener> {
    socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
    finished(socket)
}

fn finished(socket: Socket) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let address = match address.as_socket() {
        Some(address) => {
            // Every accepted socket takes both over from the one that listens. An answer is written
            // in one go, so waiting for more would only delay it.
            socket.set_tcp_nodelay(true)?;
            #[cfg(any(target_os = "linux", target_os = "android"))]
            socket.set_tcp_notsent_lowat(SEND_AHEAD)?;
            BoundAddress::Tcp(address)
        }
        None => BoundAddress::Unix(address.as_pathname().unwrap_or(Path::new("")).into()),
    };
    Ok(Listener {
        socket,
        address,
        file: None,
    })
}

fn is_unavailable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    )
}

/// Removes the socket file of a server that is gone. Anything else at `path` stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        let wrong = "there is a file of another kind";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, wrong));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// The file of a Unix domain socket that this server made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode, so that the file of a successor is not taken for ours.
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> Option<Self> {
        Some(Self {
            path: path.into(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.identity) {
            // Whoever starts next on this path removes what could not be removed here.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Listener {
    pub(super) fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// The socket for another process that is started now.
    pub(super) fn for_another(&self) -> io::Result<OwnedFd> {
        Ok(self.socket.try_clone()?.into())
    }

    /// Another socket on the same address.
    fn beside(&self, backlog: u32) -> io::Result<Self> {
        let BoundAddress::Tcp(address) = self.address else {
            return self.same();
        };
        #[cfg(target_os = "linux")]
        self.socket.set_reuse_port(true)?;
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(self.socket.only_v6()?)?;
        }
        socket.set_reuse_address(true)?;
        #[cfg(target_os = "linux")]
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        listen(socket, backlog)
    }

    /// The same socket once more. Its file stays with this one.
    fn same(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            address: self.address.clone(),
            file: None,
        })
    }

    /// Hands the socket to the runtime that this is called in.
    pub(super) fn start(self) -> io::Result<Accepting> {
        let source = match self.address {
            BoundAddress::Tcp(_) => {
                Source::Tcp(tokio::net::TcpListener::from_std(self.socket.into())?)
            }
            BoundAddress::Unix(_) => {
                Source::Unix(tokio::net::UnixListener::from_std(self.socket.into())?)
            }
        };
        Ok(Accepting {
            source,
            _file: self.file,
        })
    }
}

/// A listening socket that connections are taken from.
#[derive(Debug)]
pub(super) struct Accepting {
    source: Source,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Source {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Accepting {
    /// The next connection, and who is at its other end.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Plain, Peer)>> {
        Poll::Ready(match &self.source {
            Source::Tcp(listener) => ready!(listener.poll_accept(cx))
                .map(|(stream, address)| (Plain::Tcp(stream), Peer::ip(address, false))),
            Source::Unix(listener) => ready!(listener.poll_accept(cx))
                .map(|(stream, _)| (Plain::Unix(stream), Peer::unix())),
        })
    }
}

/// True when a failed accept concerns that one connection and not the listener (see accept(2)).
pub(super) fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// `peer` over an encrypted connection.
pub(super) fn encrypted(peer: &Peer) -> Peer {
    Peer {
        tls: true,
        ..peer.clone()
    }
}

/// `peer` as a log line names it.
pub(super) fn name(peer: &Peer) -> String {
    match peer.address {
        PeerAddress::Ip(address) => address.to_string(),
        PeerAddress::Unix => "unix".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_sockets_take_over_what_the_listener_was_told() {
        let config = ServerConfig {
            port: 0,
            ..ServerConfig::default()
        };
        let listener = open(&config).unwrap().remove(0);
        let BoundAddress::Tcp(address) = *listener.address() else {
            panic!("not on TCP");
        };
        let accepting = listener.start().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let accepted = std::future::poll_fn(|cx| accepting.poll_accept(cx)).await;
        let (Plain::Tcp(socket), _) = accepted.unwrap() else {
            panic!("not on TCP");
        };
        assert!(socket.nodelay().unwrap());
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert_eq!(
            socket2::SockRef::from(&socket).tcp_notsent_lowat().unwrap(),
            SEND_AHEAD
        );
    }
}

//! The server: takes connections, serves each in a task of its own, and ends when it is asked to.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::connection::{self, Shared};
use super::limits::{Bursts, Limits, Refused};
use super::listener::{self, Accepting, BoundAddress, Listener, concerns_one_connection, name};
use super::shutdown::{Ended, Stage, Stopper};
use super::socket::Plain;
use super::tls::Tls;
use super::workers::{Assignment, Post};
use crate::clock::{Clock, SystemClock, instant};
use crate::config::ServerConfig;
use crate::engine::Engine;
use crate::error::ServeError;
use crate::logging::{FieldValue, Level, Logger, Record, Sink};
use crate::request::Peer;

/// How long nothing is accepted after the system had no descriptor or no memory left for it.
const BREATH: Duration = Duration::from_millis(100);

/// How long a connection that is being cut may take to notice.
const CUT: Duration = Duration::from_secs(1);

/// A server that listens and does not serve yet.
///
/// Its socket is open, so clients can connect and wait. Any runtime of tokio can serve it, of one
/// thread or of many.
///
/// # Examples
/// ```
/// use apifrom::server::Server;
/// use apifrom::{Api, ServerConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Api::new().build()?;
/// let mut config = ServerConfig::default();
/// config.port = 0;
/// let server = Server::bind(&config)?;
/// println!("listening on {:?}", server.local_address());
///
/// // Accepts connections until the future is ready, then lets running requests finish.
/// let ended = server.serve(engine, async { /* … */ }).await?;
/// assert!(ended.in_time());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: ServerConfig,
    listeners: Vec<Listener>,
    tls: Option<Tls>,
    /// What is worth a warning once there is somebody to tell.
    warning: Option<String>,
    stopper: Stopper,
    /// Where a supervisor is told that this process serves.
    post: Option<Post>,
}

impl Server {
    /// Opens the sockets that `config` asks for. Needs no runtime.
    ///
    /// # Errors
    /// [`ServeError::Config`] with everything that is wrong with the options and the certificate
    /// files, before anything is opened; [`ServeError::Listen`] with the address that cannot be
    /// listened on.
    pub fn bind(config: &ServerConfig) -> Result<Self, ServeError> {
        let (tls, warning) = match config.prepared()? {
            Some(loaded) => (Some(loaded.tls), loaded.warning),
            None => (None, None),
        };
        Ok(Self {
            config: config.clone(),
            listeners: listener::open(config)?,
            tls,
            warning,
            stopper: Stopper::new(),
            post: None,
        })
    }

    /// Serves on the sockets that [`Workers`](super::Workers) opened. It tells them when it serves, and
    /// ends when they are gone.
    ///
    /// # Errors
    /// [`ServeError::Config`] with everything that is wrong with the options and the certificate files.
    pub fn assigned(config: &ServerConfig, assignment: Assignment) -> Result<Self, ServeError> {
        let tls = config.prepared()?.map(|loaded| loaded.tls);
        let (listeners, post) = assignment.split();
        Ok(Self {
            config: config.clone(),
            listeners,
            tls,
            // The supervisor gives it.
            warning: None,
            stopper: Stopper::new(),
            post: Some(post),
        })
    }

    /// Where the server listens; a name may stand for several addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &BoundAddress> {
        self.listeners.iter().map(Listener::address)
    }

    /// The first address with its port, where the server listens on TCP.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.addresses().find_map(|address| match address {
            BoundAddress::Tcp(address) => Some(*address),
            BoundAddress::Unix(_) => None,
        })
    }

    /// Ends this server from elsewhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves `engine` until `shutdown` is ready, or the [`Stopper`] is asked, then finishes what
    /// runs.
    ///
    /// # Errors
    /// [`ServeError::Start`] when the runtime does not take the sockets.
    pub async fn serve(
        self,
        engine: Engine,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Ended, ServeError> {
        let log = Log(Arc::clone(engine.sink()));
        if let Some(warning) = self.warning {
            log.write(Level::Warning, "certificate", warning);
        }
        let urls: Vec<_> = self
            .listeners
            .iter()
            .map(|listener| listener.address().url(self.tls.is_some()))
            .collect();
        let sockets: io::Result<Vec<_>> = self.listeners.into_iter().map(Listener::start).collect();
        let config = &self.config;
        let stopper = self.stopper;
        let mut accepting = AcceptLoop {
            sockets: sockets.map_err(ServeError::Start)?,
            limits: Limits::new(
                config.limit_connections,
                config.limit_connections_per_client,
            ),
            bursts: Bursts::default(),
            breathless: Bursts::default(),
            shared: Arc::new(Shared::new(engine, config, self.tls, stopper.clone())),
            log,
        };
        let level = match self.post {
            Some(post) => {
                post.serves(&stopper, config.timeout_graceful_shutdown)
                    .map_err(ServeError::Start)?;
                Level::Debug
            }
            None => Level::Info,
        };
        for url in urls {
            let message = format!("listening on {url}");
            accepting.log.write(level, "listening", message);
        }
        tokio::select! {
            () = shutdown => stopper.stop(),
            () = stopper.reached(Stage::Stopping) => {}
            never = accepting.run() => match never {},
        }
        let AcceptLoop {
            sockets,
            limits,
            log,
            ..
        } = accepting;
        // From here on connecting is refused, and other servers may have the address.
        drop(sockets);
        Ok(finish(&limits, &stopper, config.timeout_graceful_shutdown, &log).await)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listeners)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Waits for what runs, for as long as it may, and cuts the rest.
async fn finish(limits: &Limits, stopper: &Stopper, patience: Duration, log: &Log) -> Ended {
    let message = format!("shutting down, {} connections open", limits.held());
    log.write(Level::Info, "shutting_down", message);
    tokio::select! {
        biased;
        () = limits.emptied() => {}
        () = tokio::time::sleep(patience) => stopper.cut(),
        () = stopper.reached(Stage::Cutting) => {}
    }
    // One that blocks its thread cannot be cut; it ends with the process.
    let _ = tokio::time::timeout(CUT, limits.emptied()).await;
    // Counted last: on other threads they notice as soon as this does.
    let cut = stopper.noted() + limits.held();
    if cut > 0 {
        let message = format!("{cut} connections did not end in time and were cut");
        log.write(Level::Warning, "connections_cut", message);
    }
    Ended { cut }
}

struct AcceptLoop {
    sockets: Vec<Accepting>,
    limits: Arc<Limits>,
    bursts: Bursts,
    breathless: Bursts,
    shared: Arc<Shared>,
    log: Log,
}

impl AcceptLoop {
    async fn run(&mut self) -> Infallible {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok((socket, peer)) => self.admit(socket, peer),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    // Most likely there are no descriptors left, and the connection that could not
                    // be accepted is still there: trying at once would only burn the processor.
                    if self.breathless.begins(instant()) {
                        let message = format!("cannot accept connections: {error}");
                        self.log.write(Level::Error, "accept_failed", message);
                    }
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Plain, Peer)>> {
        let mut ready = self
            .sockets
            .iter()
            .map(|socket| socket.poll_accept(cx))
            .filter(Poll::is_ready);
        ready.next().unwrap_or(Poll::Pending)
    }

    fn admit(&mut self, socket: Plain, peer: Peer) {
        let exempt = self.shared.engine.trusts_peer(&peer);
        match self.limits.admit(&peer, exempt) {
            Ok(place) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(connection::serve(shared, socket, peer, place));
            }
            Err(refused) => {
                drop(socket);
                self.note(refused, &peer);
            }
        }
    }

    fn note(&mut self, refused: Refused, peer: &Peer) {
        if !self.bursts.begins(instant()) {
            return;
        }
        let peer = name(peer);
        let message = match refused {
            Refused::Full => "closing new connections: limit_connections is reached".to_owned(),
            Refused::ClientFull => format!(
                "closing new connections of {peer}: limit_connections_per_client is reached"
            ),
        };
        let record = Log::record(Level::Warning, "connections_refused", message);
        self.log
            .0
            .write(record.with("peer", FieldValue::Text(peer)));
    }
}

/// What the server says about itself.
pub(super) struct Log(pub(super) Arc<dyn Sink>);

impl Log {
    pub(super) fn write(&self, level: Level, event: &'static str, message: String) {
        if self.0.enabled(Logger::Server, level) {
            self.0.write(Self::record(level, event, message));
        }
    }

    fn record(level: Level, event: &'static str, message: String) -> Record {
        Record::new(Logger::Server, level, event, message, SystemClock.unix())
    }
}

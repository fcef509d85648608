//! Our own server: listener, TLS, connection limits and shutdown; and who the client is, which
//! every transport asks.
//!
//! [`Server`] serves a finished [`Engine`] on any runtime of tokio, over HTTP/1.1 and HTTP/2.
//! HTTP/2 is spoken where ALPN chose it, or in clear text where the client begins with it, and
//! never by `Upgrade`. A connection goes through
//!
//! ```text
//! listener → limits → TLS (tls) or protocol (socket) → phases (connection) → wire guard → engine
//! ```
//!
//! Every wait has a bound of its own, see `phase` and [`ServerConfig`].

mod accept;
mod client_address;
mod connection;
mod frames;
mod limits;
mod listener;
mod options;
mod phase;
mod service;
mod shutdown;
mod socket;
mod streams;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_absent.rs"]
mod tls;
mod wire;
mod workers;

pub use self::accept::Server;
pub(crate) use self::client_address::{TrustedProxies, speaks_as_proxy};
pub use self::listener::BoundAddress;
pub use self::shutdown::{Ended, Stopper};
pub use self::workers::{Assignment, Workers};

use self::shutdown::Signals;
use crate::clock::runtime_has_timers;
use crate::config::ServerConfig;
use crate::engine::Engine;
use crate::error::{ConfigErrors, ServeError};

/// Everything that is wrong with `config`, certificate files included.
pub(crate) fn faults(config: &ServerConfig) -> ConfigErrors {
    config.prepared().err().unwrap_or_default()
}

/// Serves `engine` on a runtime of its own, with a thread for each core, until SIGTERM or SIGINT.
pub(crate) fn run(engine: &Engine, config: &ServerConfig) -> Result<Ended, ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(runtime_has_timers)
        .build()
        .map_err(ServeError::Start)?;
    let ended = runtime.block_on(async {
        // Watched before the port is open: who can connect can also expect a clean end.
        let signals = Signals::watch()?;
        let server = Server::bind(config)?;
        let signals = tokio::spawn(signals.obey(server.stopper()));
        let ended = server.serve(engine.clone(), std::future::pending()).await;
        signals.abort();
        ended
    });
    // A handler that blocks its thread must not keep the process: it had its time.
    runtime.shutdown_background();
    ended
}

//! What stands for TLS in a build without the feature `tls`: nothing that could exist.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use super::socket::Plain;
use crate::config::TlsConfig;
use crate::error::{ConfigError, ConfigErrors};

/// A connection under TLS, of which there are none.
pub(super) type TlsStream = tokio::io::DuplexStream;

#[derive(Clone)]
pub(super) struct Tls(Infallible);

pub(super) struct Loaded {
    pub(super) tls: Tls,
    pub(super) warning: Option<String>,
}

impl Tls {
    /// Refuses to start, because certificates that are asked for must be served.
    pub(super) fn load(_config: &TlsConfig, _now: Duration) -> Result<Loaded, ConfigErrors> {
        let error = ConfigError::new("ssl_certfile", "this build has no TLS; add the feature tls");
        Err(error.into())
    }

    #[expect(clippy::unused_async, reason = "stands for the handshake, which waits")]
    pub(super) async fn accept(&self, _socket: Plain) -> io::Result<(Box<TlsStream>, bool)> {
        match self.0 {}
    }
}

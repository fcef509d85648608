//! TLS 1.2 and 1.3 with the certificate of two PEM files.
//!
//! 1. Both files are read once, at start. A file that is missing, holds no PEM, no certificate or no
//!    key, an encrypted key that the password does not open, and a key that does not belong to the
//!    certificate are start-up errors that name the file. See [`key`] for what may be encrypted how.
//! 2. HTTP/2 and HTTP/1.1 are offered by ALPN, in this order; who offers neither of them is refused,
//!    and who does not speak ALPN gets HTTP/1.1.
//! 3. Sessions are resumed by tickets, whose keys live in memory and are replaced every six hours.
//!    Early data, which can be replayed, is never accepted.
//! 4. A certificate that is not valid now is served all the same, with a warning: a machine with a
//!    wrong clock is better reached than not.
//!
//! # Deployment
//! Renewed files are seen at the next start.

mod key;
mod validity;

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig, version};
use tokio_rustls::TlsAcceptor;

use super::socket::Plain;
use crate::config::TlsConfig;
use crate::error::{ConfigError, ConfigErrors};

/// A connection under TLS.
pub(super) type TlsStream = tokio_rustls::server::TlsStream<Plain>;

const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Opens connections under TLS.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
}

/// What was loaded, and what is odd about it.
pub(super) struct Loaded {
    pub(super) tls: Tls,
    pub(super) warning: Option<String>,
}

impl Tls {
    /// Reads the files of `config`; `now` is the time since the Unix epoch.
    pub(super) fn load(config: &TlsConfig, now: Duration) -> Result<Loaded, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let chain = errors.keep(read_chain(&config.ssl_certfile));
        let key = errors.keep(key::read(config));
        let (true, Some(chain), Some(key)) = (errors.is_empty(), chain, key) else {
            return Err(errors);
        };
        let warning = chain
            .first()
            .and_then(|certificate| validity::complaint(certificate, now))
            .map(|complaint| format!("the certificate of {} {complaint}", config.ssl_certfile));
        let tls = Self {
            acceptor: TlsAcceptor::from(Arc::new(server_config(chain, key, config)?)),
        };
        Ok(Loaded { tls, warning })
    }

    /// Shakes hands over `socket`. True when HTTP/2 was agreed on.
    pub(super) async fn accept(&self, socket: Plain) -> io::Result<(Box<TlsStream>, bool)> {
        let stream = self.acceptor.accept(socket).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok((Box::new(stream), http2))
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    files: &TlsConfig,
) -> Result<ServerConfig, ConfigError> {
    let wrong = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => ConfigError::new(
            "ssl_keyfile",
            format!(
                "the key in {} does not belong to the certificate in {}",
                files.ssl_keyfile, files.ssl_certfile
            ),
        ),
        rustls::Error::InvalidCertificate(_) => ConfigError::new(
            "ssl_certfile",
            format!("{} holds no valid certificate: {error}", files.ssl_certfile),
        ),
        error => ConfigError::new(
            "ssl_keyfile",
            format!(
                "{} holds no key that can be used: {error}",
                files.ssl_keyfile
            ),
        ),
    };
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Unknown is what a key is that does not say its public half.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(error) => return Err(wrong(error)),
    }
    // Given by hand, so that it does not matter which provider a program has made its default.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(wrong)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![HTTP_2.into(), HTTP_1_1.into()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(wrong)?;
    Ok(config)
}

fn read_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let wrong = |message| ConfigError::new("ssl_certfile", message);
    let pem = read("ssl_certfile", path)?;
    let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| wrong(format!("{path} is not valid PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(format!(
            "{path} holds no certificate; expected PEM with BEGIN CERTIFICATE"
        )));
    }
    Ok(chain)
}

fn read(field: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| ConfigError::new(field, format!("cannot read {path}: {error}")))
}

//! What an API is configured with, on both faces, and the bounds that are on by default.

use std::time::Duration;

use crate::middleware::ErrorHandling;
use crate::secret::Secret;

/// Everything that holds for every transport of an API.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApiConfig {
    /// The API's name. Defaults to `API`.
    pub title: String,
    /// The API's own version. Defaults to `0.1.0`.
    pub version: String,
    /// What the API is for. Defaults to nothing.
    pub description: String,
    /// The hosts that may be asked for, `example.com` or `*.example.com`; empty: any. Defaults
    /// to empty.
    pub trusted_hosts: Vec<String>,
    /// The proxies whose forwarding headers are believed: addresses, CIDR ranges, `unix`.
    /// Defaults to none, loopback included.
    pub trusted_proxies: Vec<String>,
    /// The one header in which trusted proxies name the client. Defaults to
    /// `x-forwarded-for`.
    pub forwarded_header: String,
    /// The most bytes a body may have. Defaults to 1 MiB.
    pub max_body_size: u64,
    /// How deep JSON may nest. Defaults to 64.
    pub max_json_depth: usize,
    /// The most bytes a request target may have. Defaults to 8 KiB.
    pub max_target_size: usize,
    /// A path that a proxy strips before requests arrive. Defaults to nothing.
    pub root_path: String,
    /// What an endpoint is that declares nothing about its callers. Defaults to
    /// [`DefaultAccess::Open`].
    pub default: DefaultAccess,
    /// Turns findings that are warnings otherwise into start-up errors. Defaults to `false`.
    pub strict: bool,
    /// Relaxes what would get in the way on a developer's machine. Defaults to `false`.
    pub development: bool,
    /// What a failure shows.
    pub error_handling: ErrorHandling,
    /// Writes a line for each answer. Defaults to `true`.
    pub access_log: bool,
    /// How many processes answer for this API, on this machine and on others. With more than one,
    /// counts and revocations that would be kept in the memory of each are start-up errors, and the
    /// back-off after failed log-ins is divided among them. Defaults to 1.
    pub processes: u32,
}

/// What an endpoint is that declares nothing about its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultAccess {
    /// Everybody may call it.
    #[default]
    Open,
    /// The API does not start before it is protected, or said to be public and why.
    Deny,
}

impl ApiConfig {
    /// True where warnings are errors: [`ApiConfig::strict`], or `APIFROM_STRICT=1` in the
    /// environment.
    pub fn is_strict(&self) -> bool {
        #[expect(clippy::disallowed_methods, reason = "the one home of this variable")]
        let variable = std::env::var_os("APIFROM_STRICT");
        // Whatever is no clear "off" is "on": a typing error must not weaken anything.
        self.strict || variable.is_some_and(|value| value != "0" && !value.is_empty())
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            title: "API".into(),
            version: "0.1.0".into(),
            description: String::new(),
            trusted_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: "x-forwarded-for".into(),
            max_body_size: 1 << 20,
            max_json_depth: 64,
            max_target_size: 8 << 10,
            root_path: String::new(),
            default: DefaultAccess::Open,
            strict: false,
            development: false,
            error_handling: ErrorHandling::default(),
            access_log: true,
            processes: 1,
        }
    }
}

/// What our own server listens on and how long it waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address to listen on. Defaults to `127.0.0.1`.
    pub host: String,
    /// The port; 0 lets the system choose. Defaults to 8000.
    pub port: u16,
    /// A Unix domain socket to listen on instead. Defaults to none.
    pub uds: Option<String>,
    /// A listening socket that was opened elsewhere, by its descriptor. Defaults to none.
    pub fd: Option<i32>,
    /// How many connections may wait to be accepted. Defaults to 2048.
    pub backlog: u32,
    /// TLS, when both its files are given. Defaults to none.
    pub tls: Option<TlsConfig>,
    /// The most connections at once. Defaults to 16,384.
    pub limit_connections: usize,
    /// The most connections of one client address; listed proxies are exempt. Defaults to 256.
    pub limit_connections_per_client: usize,
    /// The most bytes a request head may have, 1 KiB or more. Defaults to 64 KiB.
    pub max_head_size: usize,
    /// The most header fields. Defaults to 100.
    pub max_header_fields: usize,
    /// How long a request head may take, and over HTTP/2 any frame that is no part of a body. Defaults
    /// to 10 s.
    pub timeout_head: Duration,
    /// How long a body may take in all. Defaults to 30 s.
    pub timeout_body: Duration,
    /// How long a connection may idle between requests. Defaults to 75 s.
    pub timeout_keep_alive: Duration,
    /// How long a client may stall a streamed answer. Defaults to 30 s.
    pub timeout_write: Duration,
    /// How long running requests have when the server is asked to stop. Defaults to 30 s.
    pub timeout_graceful_shutdown: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8000,
            uds: None,
            fd: None,
            backlog: 2048,
            tls: None,
            limit_connections: 16_384,
            limit_connections_per_client: 256,
            max_head_size: 64 << 10,
            max_header_fields: 100,
            timeout_head: Duration::from_secs(10),
            timeout_body: Duration::from_secs(30),
            timeout_keep_alive: Duration::from_secs(75),
            timeout_write: Duration::from_secs(30),
            timeout_graceful_shutdown: Duration::from_secs(30),
        }
    }
}

/// The certificate that is served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsConfig {
    /// A PEM file with the private key.
    pub ssl_keyfile: String,
    /// A PEM file with the certificate and its chain.
    pub ssl_certfile: String,
    /// What the key file is encrypted with: PKCS#8 (`BEGIN ENCRYPTED PRIVATE KEY`) under PBES2, as
    /// `openssl pkcs8 -topk8` writes it. Without encryption there must be none. Defaults to none.
    pub ssl_keyfile_password: Option<Secret<String>>,
}

impl TlsConfig {
    /// Serves the certificate of `ssl_certfile` with the key of `ssl_keyfile`.
    pub fn new(ssl_keyfile: impl Into<String>, ssl_certfile: impl Into<String>) -> Self {
        Self {
            ssl_keyfile: ssl_keyfile.into(),
            ssl_certfile: ssl_certfile.into(),
            ssl_keyfile_password: None,
        }
    }
}

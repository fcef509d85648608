//! The guide's block on HTTPS: `key.pem` and `cert.pem` of the current folder are served.

mod ping;
mod start;

use apifrom::{Api, ServeError, TlsConfig, endpoints};

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![ping::ping, ping::boom])
        .serve_with(|server| server.tls = Some(TlsConfig::new("key.pem", "cert.pem")))
        .run(&start::address())
}

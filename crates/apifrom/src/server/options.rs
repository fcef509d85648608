//! What the server's options may hold.

use super::tls::{Loaded, Tls};
use crate::clock::{Clock, SystemClock};
use crate::config::ServerConfig;
use crate::error::{ConfigError, ConfigErrors};

/// The least that a request head may be bounded to: less than any client sends would serve nobody.
const LEAST_HEAD: usize = 1 << 10;

impl ServerConfig {
    /// This configuration with the address taken from `host:port`.
    pub(crate) fn listening_on(mut self, address: &str) -> Result<Self, ConfigError> {
        let parts = address.rsplit_once(':').and_then(|(host, port)| {
            let bare = host
                .strip_prefix('[')
                .map_or(Some(host), |host| host.strip_suffix(']'))?;
            Some((bare.to_owned(), port.parse().ok()?))
        });
        let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
            return Err(ConfigError::new(
                "address",
                format!("expected host:port such as '127.0.0.1:8000', found {address:?}"),
            ));
        };
        self.host = host;
        self.port = port;
        Ok(self)
    }

    /// Everything that is wrong with these options, and what they load: the certificate.
    pub(super) fn prepared(&self) -> Result<Option<Loaded>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if self.host.is_empty() {
            errors.note(
                "host",
                "expected an address or a name such as '127.0.0.1', found nothing",
            );
        }
        // The system would take no path for a name of its own choice, which nobody can know.
        if self.uds.as_deref() == Some("") {
            errors.note("uds", "expected a path, found nothing");
        }
        if self.uds.is_some() && self.fd.is_some() {
            errors.note("uds", "cannot stand beside fd: each says where to listen");
        }
        if self.fd.is_some_and(|fd| fd < 0) {
            errors.note("fd", "expected 0 or more");
        }
        for (field, value) in [
            ("limit_connections", self.limit_connections),
            (
                "limit_connections_per_client",
                self.limit_connections_per_client,
            ),
            ("max_header_fields", self.max_header_fields),
        ] {
            if value == 0 {
                errors.note(field, "expected 1 or more, found 0");
            }
        }
        if self.max_head_size < LEAST_HEAD {
            let found = self.max_head_size;
            errors.note(
                "max_head_size",
                format!("expected {LEAST_HEAD} bytes or more, found {found}"),
            );
        }
        for (field, value) in [
            ("timeout_head", self.timeout_head),
            ("timeout_body", self.timeout_body),
            ("timeout_keep_alive", self.timeout_keep_alive),
            ("timeout_write", self.timeout_write),
        ] {
            if value.is_zero() {
                errors.note(field, "expected more than no time at all");
            }
        }
        let tls = self.tls.as_ref().and_then(|tls| {
            Tls::load(tls, SystemClock.unix())
                .map_err(|found| errors.append(found))
                .ok()
        });
        errors.into_result()?;
        Ok(tls)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(address: &str) -> Option<(String, u16)> {
        let config = ServerConfig::default().listening_on(address).ok()?;
        Some((config.host, config.port))
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(parsed("127.0.0.1:80"), Some(("127.0.0.1".into(), 80)));
        assert_eq!(parsed("localhost:0"), Some(("localhost".into(), 0)));
        assert_eq!(parsed("[::1]:8000"), Some(("::1".into(), 8000)));
        for wrong in [
            "", "8000", ":8000", "[]:1", "[::1:1", "a:", "a:65536", "a:-1",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let config = ServerConfig {
            host: String::new(),
            uds: Some("/tmp/a".into()),
            fd: Some(-1),
            limit_connections: 0,
            timeout_head: Duration::ZERO,
            ..ServerConfig::default()
        };
        let errors = config.prepared().err().unwrap();
        let fields: Vec<_> = errors.iter().map(ConfigError::path).collect();
        assert_eq!(
            fields,
            ["host", "uds", "fd", "limit_connections", "timeout_head"]
        );
        assert!(ServerConfig::default().prepared().is_ok());
    }

    #[test]
    fn a_socket_has_a_path_and_a_head_has_room() {
        let refused = |uds: Option<&str>, max_head_size| {
            let config = ServerConfig {
                uds: uds.map(Into::into),
                max_head_size,
                ..ServerConfig::default()
            };
            let errors = config.prepared().err().unwrap_or_default();
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            refused(Some(""), 1023),
            [
                "uds: expected a path, found nothing",
                "max_head_size: expected 1024 bytes or more, found 1023"
            ]
        );
        assert!(refused(Some("/tmp/a"), 1024).is_empty());
    }
}

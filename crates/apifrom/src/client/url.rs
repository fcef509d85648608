//! URLs that may be asked.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// A URL that is `https`, or `http` to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    uri: Uri,
    text: Box<str>,
}

impl Url {
    /// # Errors
    /// What is wrong with it, in words that follow the name of a field.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected a URL with https, or with http to this machine";
        if text.contains(['#', '@', '\\']) || text.chars().any(|c| c.is_control() || c == ' ') {
            return Err("expected a URL without user, fragment, backslash and spaces");
        }
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        let host = uri.host().ok_or(EXPECTED)?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => {
                if cfg!(not(feature = "tls")) {
                    return Err("this build has no TLS; add the feature tls");
                }
            }
            Some(scheme) if *scheme == Scheme::HTTP && is_here(host) => {}
            _ => return Err(EXPECTED),
        }
        Ok(Self {
            uri,
            text: text.into(),
        })
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, as `https://auth.example.com` (RFC 6454 §6.2).
    pub(crate) fn origin(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let host = self.uri.host().unwrap_or_default().to_ascii_lowercase();
        let default = if scheme == "https" { 443 } else { 80 };
        match self.uri.port_u16() {
            Some(port) if port != default => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }
}

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_this_machine_may_be_asked() {
        for good in [
            "http://127.0.0.1:8080/token",
            "http://127.9.9.9/",
            "http://[::1]:1/x?y=z",
            "http://LOCALHOST/",
        ] {
            assert!(Url::parse(good).is_ok(), "{good}");
        }
        assert_eq!(
            Url::parse("https://auth.example.com/token").is_ok(),
            cfg!(feature = "tls")
        );
        for bad in [
            "",
            "auth.example.com",
            "/token",
            "http://auth.example.com/token",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://user@localhost/",
            "https://a@b.example.com/",
            "https://auth.example.com/#x",
            "ftp://localhost/",
            "file:///etc/passwd",
            "http://localhost\\@example.com/",
            "http://local host/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_leaves_out_the_usual_port() {
        let origin = |text| Url::parse(text).unwrap().origin();
        assert_eq!(origin("http://LocalHost:80/a/b"), "http://localhost");
        assert_eq!(origin("http://localhost:8080/a"), "http://localhost:8080");
    }
}

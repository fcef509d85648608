//! Web origins: scheme, host and port, spelled as browsers spell them.
//!
//! 1. An origin in a configuration is `scheme://host` or `scheme://host:port` and nothing more, in
//!    lower case, in ASCII, without the scheme's own port: browsers send no other spelling (RFC 6454
//!    §6.2), so any other would be listed in vain.
//! 2. `https://*.example.com` stands for whole labels below the domain, never for the domain itself.
//! 3. What a request sends is compared byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::HeaderValue;

use crate::error::ConfigError;

/// A list of origins, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// Sorted, so that a long list costs a request little.
    exact: Box<[Box<str>]>,
    below: Box<[Below]>,
}

/// The hosts below a domain.
#[derive(Debug)]
struct Below {
    /// The scheme with its `://`.
    before: Box<str>,
    /// From the dot before the domain on, the port included.
    after: Box<str>,
}

impl Origins {
    /// Parses a list; errors name `field` and the place in it.
    pub(crate) fn parse<'a>(
        given: impl IntoIterator<Item = (usize, &'a str)>,
        field: &str,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let mut exact: Vec<Box<str>> = Vec::new();
        let mut below = Vec::new();
        for (index, text) in given {
            if text == "null" {
                exact.push(text.into());
                continue;
            }
            match parse(text) {
                Ok(None) => exact.push(text.into()),
                Ok(Some(pattern)) => below.push(pattern),
                Err(why) => errors.push(ConfigError::new(
                    format!("{field}[{index}]"),
                    format!("{why}; found {text:?}"),
                )),
            }
        }
        exact.sort_unstable();
        Self {
            exact: exact.into(),
            below: below.into(),
        }
    }

    /// Whether `origin`, as a request sent it, is listed.
    pub(crate) fn lists(&self, origin: &HeaderValue) -> bool {
        let origin = origin.as_bytes();
        self.exact
            .binary_search_by(|known| known.as_bytes().cmp(origin))
            .is_ok()
            || self.below.iter().any(|below| below.covers(origin))
    }
}

impl Below {
    fn covers(&self, origin: &[u8]) -> bool {
        let labels = origin
            .strip_prefix(self.before.as_bytes())
            .and_then(|rest| rest.strip_suffix(self.after.as_bytes()));
        labels.is_some_and(|labels| labels.split(|byte| *byte == b'.').all(is_label))
    }
}

fn is_label(label: &[u8]) -> bool {
    let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    !label.is_empty() && label.iter().all(allowed)
}

/// The pattern that `text` is, or nothing where it is one origin.
fn parse(text: &str) -> Result<Option<Below>, &'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("expected ASCII without spaces (an international name in its xn-- form)");
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("expected lower case, as browsers send it");
    }
    let (scheme, authority) = text
        .split_once("://")
        .ok_or("expected scheme://host or scheme://host:port")?;
    let mut letters = scheme.bytes();
    let starts = letters.next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !starts || !letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return Err("expected a scheme such as https");
    }
    if authority.contains('@') {
        return Err("expected no user-info");
    }
    if authority.contains(['/', '?', '#', '\\']) {
        return Err("expected no path, not even a slash");
    }
    let (host, port) = split_port(authority)?;
    if let Some(port) = port {
        let number: Option<u16> = port.parse().ok().filter(|number| *number != 0);
        match number {
            Some(number) if number.to_string() != port => {
                return Err("expected a port without leading zeros");
            }
            Some(80) if scheme == "http" => return Err("expected no :80, which http implies"),
            Some(443) if scheme == "https" => return Err("expected no :443, which https implies"),
            Some(_) => {}
            None => return Err("expected a port from 1 to 65535"),
        }
    }
    let (domain, is_pattern) = match host.strip_prefix("*.") {
        Some(domain) => (domain, true),
        None => (host, false),
    };
    check_host(domain)?;
    if !is_pattern {
        return Ok(None);
    }
    if domain.starts_with('[') || domain.parse::<Ipv4Addr>().is_ok() {
        return Err("expected a domain after *., not an address");
    }
    if !domain.contains('.') && domain != "localhost" {
        return Err("expected a domain of your own after *., not a whole top-level domain");
    }
    let after = authority.strip_prefix('*').unwrap_or(authority);
    Ok(Some(Below {
        before: format!("{scheme}://").into(),
        after: after.into(),
    }))
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if !authority.starts_with('[') {
        return Ok(match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        });
    }
    let (host, rest) = authority
        .find(']')
        .and_then(|end| authority.split_at_checked(end + 1))
        .ok_or("expected a closing ]")?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err("expected nothing but a port after ]"),
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address: Option<Ipv6Addr> = inner.parse().ok();
        return match address {
            Some(address) if address.to_string() == inner => Ok(()),
            _ => Err("expected an IPv6 address in its shortest form"),
        };
    }
    if host.ends_with('.') {
        return Err("expected no dot at the end, which makes it another origin");
    }
    if host.contains('*') {
        return Err("expected * only as the whole first label, as in https://*.example.com");
    }
    if !host.split('.').all(|label| is_label(label.as_bytes())) {
        return Err("expected a host name or an address");
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("expected an IPv4 address of four decimal numbers");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(patterns: &[&str], origin: &str) -> bool {
        let mut errors = Vec::new();
        let origins = Origins::parse(patterns.iter().copied().enumerate(), "o", &mut errors);
        assert_eq!(errors, []);
        origins.lists(&HeaderValue::from_str(origin).unwrap())
    }

    #[test]
    fn an_exact_origin_covers_itself_and_nothing_that_resembles_it() {
        let known = [
            "https://example.com",
            "http://[::1]:3000",
            "http://10.0.0.1",
        ];
        for origin in known {
            assert!(listed(&known, origin), "{origin}");
        }
        for origin in [
            "http://example.com",
            "https://example.com:8443",
            "https://example.com.",
            "https://example.com/",
            "https://EXAMPLE.com",
            "https://example.com.evil.test",
            "https://evil-example.com",
            "https://user@example.com",
            "https://a.example.com",
            "https://example.com, https://evil.test",
            "null",
            "",
        ] {
            assert!(!listed(&known, origin), "{origin}");
        }
        assert!(listed(&["null"], "null"));
    }

    #[test]
    fn a_pattern_covers_whole_labels_below_its_domain() {
        let known = ["https://*.example.com", "http://*.dev.test:8080"];
        for origin in [
            "https://a.example.com",
            "https://a.b-1.example.com",
            "http://x.dev.test:8080",
        ] {
            assert!(listed(&known, origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://a..example.com",
            "https://aexample.com",
            "https://evil.test/.example.com",
            "https://evil.test#.example.com",
            "https://user@a.example.com",
            "https://A.example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "http://x.dev.test",
        ] {
            assert!(!listed(&known, origin), "{origin}");
        }
    }

    #[test]
    fn a_spelling_that_no_browser_sends_is_an_error() {
        for text in [
            "",
            "*",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com/app",
            "https://example.com?x",
            "https://user@example.com",
            "https://Example.com",
            "HTTPS://example.com",
            "https://example.com.",
            "https://example.com:443",
            "http://example.com:80",
            "https://example.com:0",
            "https://example.com:08443",
            "https://example.com:65536",
            "https://example.com:",
            "https://exa mple.com",
            "https://example.com\r\n",
            "https://b\u{fc}cher.example",
            "https://a.*.example.com",
            "https://*example.com",
            "https://*.com",
            "https://*.10.0.0.1",
            "https://*",
            "https://[::1",
            "https://[0:0::1]",
            "https://[::1]x",
            "https://127.1",
            "https://0x7f.1",
            "1s://example.com",
            "NULL",
        ] {
            let mut errors = Vec::new();
            Origins::parse([(3, text)], "cors.allow_origins", &mut errors);
            assert_eq!(errors.len(), 1, "{text}");
            assert_eq!(errors[0].path(), "cors.allow_origins[3]");
        }
    }
}

//! Trusted hosts: which names this API answers to.
//!
//! 1. A request names exactly one host (RFC 9112 §3.2): `Host` and `:authority` must agree where
//!    both are there; HTTP/1.0 may leave it out only while any host is trusted.
//! 2. The name must be well formed: no user-info, no path, no list.
//! 3. With `trusted_hosts`, the name must be listed, exactly or below a `*.example.com`; the port
//!    is not compared.
//!
//! A refused caller gets 400.
//!
//! # Deployment
//! Without `trusted_hosts` any name is answered, and a link built from it is the caller's choice.

use std::cell::Cell;

use http::Version;
use http::header::HOST;
use http::uri::Authority;

use crate::error::ConfigError;
use crate::rejection::Rejection;
use crate::request::Head;

/// The longest name that is looked at; DNS has none that is longer (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// The hosts that may be asked for.
#[doc(alias = "TrustedHostMiddleware")]
#[derive(Debug, Clone, Default)]
pub struct TrustedHosts {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// Whole labels below the domain, never the domain itself; kept with its leading dot.
    Below(String),
}

impl TrustedHosts {
    /// Parses the list; an empty one trusts any host.
    ///
    /// # Errors
    /// Names the entry that is no host.
    pub fn new(hosts: &[String]) -> Result<Self, Vec<ConfigError>> {
        let mut patterns = Vec::new();
        let mut errors = Vec::new();
        for (index, host) in hosts.iter().enumerate() {
            let (name, below) = match host.strip_prefix("*.") {
                Some(name) => (name, true),
                None => (host.as_str(), false),
            };
            let plain = name.parse::<Authority>().is_ok_and(|authority| {
                authority.as_str() == name
                    && authority.host() == name
                    && host_of(name.as_bytes()) == Some(name.as_bytes())
            });
            if !plain || (below && name.starts_with('[')) {
                errors.push(ConfigError::new(
                    format!("trusted_hosts[{index}]"),
                    format!("expected a host name without scheme, port or path, such as 'example.com' or '*.example.com'; found {host:?}"),
                ));
                continue;
            }
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            patterns.push(if below {
                Pattern::Below(format!(".{name}"))
            } else {
                Pattern::Exact(name)
            });
        }
        if errors.is_empty() {
            Ok(Self { patterns })
        } else {
            Err(errors)
        }
    }

    /// Checks the host that `head` asks for.
    pub(crate) fn check(&self, head: &Head) -> Result<(), Rejection> {
        // One walk over the few fields that there are costs less than a look-up.
        let mut given = head.headers.iter().filter(|(name, _)| *name == HOST);
        let header = given.next().map(|(_, value)| value);
        if given.next().is_some() {
            return Err(refused("the request names more than one host"));
        }
        let authority = head.uri.authority();
        let text = match (header, authority) {
            (Some(header), None) => header.as_bytes(),
            (None, Some(authority)) => authority.as_str().as_bytes(),
            (Some(header), Some(authority)) => {
                if !header
                    .as_bytes()
                    .eq_ignore_ascii_case(authority.as_str().as_bytes())
                {
                    return Err(refused("the request names more than one host"));
                }
                authority.as_str().as_bytes()
            }
            (None, None) if head.version <= Version::HTTP_10 && self.patterns.is_empty() => {
                return Ok(());
            }
            (None, None) => return Err(refused("the request names no host")),
        };
        let name = known_host(text)
            .or_else(|| remembered(text))
            .ok_or_else(|| refused("the host is malformed"))?;
        if self.patterns.is_empty() || self.trusts(name) {
            Ok(())
        } else {
            Err(Rejection::bad_request(
                "untrusted_host",
                "this API does not answer to that host",
            ))
        }
    }

    fn trusts(&self, name: &[u8]) -> bool {
        // One dot at the end is the same name, written in full.
        let name = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Exact(exact) => exact.as_bytes() == name,
            Pattern::Below(suffix) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_bytes())
            }
        })
    }
}

fn refused(detail: &'static str) -> Rejection {
    Rejection::bad_request("bad_host", detail)
}

/// The host that was well formed last, which most requests name again.
#[derive(Clone, Copy)]
struct Known {
    text: [u8; Known::ROOM],
    length: u8,
    name: u8,
}

impl Known {
    const ROOM: usize = 46;
    /// Longer than its room, so it is no text at all.
    const NONE: Self = Self {
        text: [0; Self::ROOM],
        length: u8::MAX,
        name: 0,
    };

    fn of(text: &[u8], name: &[u8]) -> Option<Self> {
        let mut known = Self::NONE;
        known.text.get_mut(..text.len())?.copy_from_slice(text);
        known.length = u8::try_from(text.len()).ok()?;
        known.name = u8::try_from(name.len()).ok()?;
        Some(known)
    }
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::NONE) };
}

/// What [`host_of`] says of `text`, where that is known already.
fn known_host(text: &[u8]) -> Option<&[u8]> {
    let known = KNOWN.get();
    let is_known = known.text.get(..known.length.into()) == Some(text);
    is_known.then(|| text.get(..known.name.into()))?
}

/// What [`host_of`] says of `text`, which is known from then on where it is well formed and short.
fn remembered(text: &[u8]) -> Option<&[u8]> {
    let name = host_of(text)?;
    if let Some(known) = Known::of(text, name) {
        KNOWN.set(known);
    }
    Some(name)
}

/// The name in `host[:port]`, when the whole is well formed, and so ASCII.
fn host_of(text: &[u8]) -> Option<&[u8]> {
    let end = if text.first() == Some(&b'[') {
        text.iter().position(|byte| *byte == b']')? + 1
    } else {
        // What ends the name here is a colon, or is of no name.
        let end = text.iter().position(|byte| !is_of_a_name(*byte));
        end.unwrap_or(text.len())
    };
    let (name, port) = text.split_at_checked(end)?;
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    };
    let is_name = if text.first() == Some(&b'[') {
        is_address(name)
    } else {
        (1..=MAX_NAME).contains(&name.len())
    };
    (is_port && is_name).then_some(name)
}

/// True for digits that 16 bits hold, and for none.
fn is_port(digits: &[u8]) -> bool {
    let mut port = 0_u32;
    digits.iter().all(|digit| {
        let value = u32::from(digit.wrapping_sub(b'0'));
        port = port * 10 + value;
        value < 10 && u16::try_from(port).is_ok()
    })
}

/// True for an IPv6 address in brackets.
fn is_address(name: &[u8]) -> bool {
    let [b'[', address @ .., b']'] = name else {
        return false;
    };
    let address = std::str::from_utf8(address).ok();
    address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_of_a_name(byte: u8) -> bool {
    static NAMES: [bool; 256] = of_a_name();
    NAMES.get(usize::from(byte)).is_some_and(|is| *is)
}

#[expect(
    clippy::indexing_slicing,
    reason = "it is run by the compiler, which would say so"
)]
const fn of_a_name() -> [bool; 256] {
    let mut names = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        names[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        byte += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: Version, uri: &str, hosts: &[&str]) -> Head {
        let mut request = http::Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn hosts(list: &[&str]) -> TrustedHosts {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        TrustedHosts::new(&list).unwrap()
    }

    fn code(trusted: &TrustedHosts, version: Version, uri: &str, given: &[&str]) -> &'static str {
        match trusted.check(&head(version, uri, given)) {
            Ok(()) => "ok",
            Err(rejection) => rejection.code(),
        }
    }

    #[test]
    fn exactly_one_well_formed_host_is_needed() {
        let any = TrustedHosts::default();
        let h11 = |given: &[&str]| code(&any, Version::HTTP_11, "/", given);
        for good in [
            "a",
            "example.com",
            "example.com:8000",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "a_b.c",
            "a:",
        ] {
            assert_eq!(h11(&[good]), "ok", "{good}");
        }
        for bad in [
            "", "a b", "a, b", "u@a", "a/b", "a:b", "a:99999", "[::1", "[::zz]", "a:1:2", "::1",
            ":80", "[]", "[]:80", "[::1]a", "[::1]]", "a[::1]", "a\u{e9}",
        ] {
            assert_eq!(h11(&[bad]), "bad_host", "{bad}");
        }
        // What was asked for before is judged as it was then, and changes nothing for others.
        for (host, judged) in [
            ("b:8", "ok"),
            ("b:", "ok"),
            ("b", "ok"),
            ("b:x", "bad_host"),
        ] {
            for given in [host, host, "a.example", host, ""] {
                let judged = match given {
                    "" => "bad_host",
                    "a.example" => "ok",
                    _ => judged,
                };
                assert_eq!(h11(&[given]), judged, "{given}");
            }
        }
        let long = "a".repeat(MAX_NAME);
        assert_eq!(h11(&[&long]), "ok");
        assert_eq!(h11(&[&format!("{long}:80")]), "ok");
        assert_eq!(h11(&[&format!("{long}a")]), "bad_host");
        assert_eq!(h11(&[]), "bad_host");
        assert_eq!(h11(&["a", "a"]), "bad_host");
    }

    #[test]
    fn host_and_authority_must_agree() {
        let any = TrustedHosts::default();
        assert_eq!(code(&any, Version::HTTP_11, "http://a/", &["a"]), "ok");
        assert_eq!(code(&any, Version::HTTP_11, "http://a/", &["A"]), "ok");
        assert_eq!(
            code(&any, Version::HTTP_11, "http://a/", &["b"]),
            "bad_host"
        );
        assert_eq!(code(&any, Version::HTTP_2, "https://a/", &[]), "ok");
        assert_eq!(code(&any, Version::HTTP_2, "https://u@a/", &[]), "bad_host");
    }

    #[test]
    fn http_10_may_leave_the_host_out_only_while_any_is_trusted() {
        assert_eq!(
            code(&TrustedHosts::default(), Version::HTTP_10, "/", &[]),
            "ok"
        );
        assert_eq!(code(&hosts(&["a"]), Version::HTTP_10, "/", &[]), "bad_host");
        assert_eq!(code(&hosts(&["a"]), Version::HTTP_10, "/", &["a"]), "ok");
    }

    #[test]
    fn listed_hosts_alone_are_answered() {
        let trusted = hosts(&["example.com", "*.example.org", "[::1]"]);
        let asks = |given: &str| code(&trusted, Version::HTTP_11, "/", &[given]);
        for good in [
            "example.com",
            "EXAMPLE.com:443",
            "example.com.",
            "a.example.org",
            "a.b.example.org",
            "[::1]:8000",
        ] {
            assert_eq!(asks(good), "ok", "{good}");
        }
        // Known to be well formed, from a server that answers to any; trusted only where it is listed.
        assert_eq!(
            code(
                &TrustedHosts::default(),
                Version::HTTP_11,
                "/",
                &["other.example"]
            ),
            "ok"
        );
        assert_eq!(asks("other.example"), "untrusted_host");
        for bad in [
            "example.com.evil",
            "evilexample.com",
            "example.org",
            ".example.org",
            "evilexample.org",
            "a.example.com",
        ] {
            assert_eq!(asks(bad), "untrusted_host", "{bad}");
        }
    }

    #[test]
    fn entries_that_are_no_host_are_named() {
        let list = [
            "https://a".to_owned(),
            "a:80".into(),
            "a/b".into(),
            "*".into(),
            "*.".into(),
            "ok.example".into(),
        ];
        let errors = TrustedHosts::new(&list).unwrap_err();
        let paths: Vec<_> = errors.iter().map(ConfigError::path).collect();
        assert_eq!(
            paths,
            [
                "trusted_hosts[0]",
                "trusted_hosts[1]",
                "trusted_hosts[2]",
                "trusted_hosts[3]",
                "trusted_hosts[4]"
            ]
        );
    }
}

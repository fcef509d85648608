//! Who the client is: the peer, or whom a trusted proxy names.
//!
//! 1. A peer that is not in `trusted_proxies` is the client, whatever headers it sends.
//! 2. From a trusted proxy exactly one header is read, the configured one, its lines joined in
//!    order and walked from the right over trusted hops to the first that is not.
//! 3. An unreadable element ends the walk at the hop before it.
//! 4. The scheme is the connection's own, or what the nearest trusted proxy says in
//!    `X-Forwarded-Proto` (or `proto=` of `Forwarded`).
//! 5. `X-Forwarded-Host` and `X-Forwarded-Prefix` are never read.
//! 6. The first that sends such a header and is not trusted is warned of, once.
//!
//! # Deployment
//! A proxy must append to the header, never pass on what a client sent as if it were its own;
//! nginx's `$proxy_add_x_forwarded_for` does. Loopback is no proxy unless it is listed.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

use crate::error::ConfigError;
use crate::request::{Client, Head, Peer, PeerAddress, Scheme};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies that are believed, and the header they speak in.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
    family: Family,
}

/// True where `head` says something that only a proxy has to say.
pub(crate) fn speaks_as_proxy(head: &Head) -> bool {
    let said = [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO];
    // One walk over the few fields that there are costs less than several look-ups.
    head.headers.keys().any(|name| said.contains(name))
}

/// Which header names the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Family {
    #[default]
    XForwarded,
    /// RFC 7239.
    Forwarded,
}

impl TrustedProxies {
    /// Parses the options `trusted_proxies` and `forwarded_header`.
    pub(crate) fn new(proxies: &[String], header: &str) -> Result<Self, Vec<ConfigError>> {
        let mut parsed = Self::default();
        let mut errors = Vec::new();
        for (index, proxy) in proxies.iter().enumerate() {
            let network = proxy
                .parse::<IpNet>()
                .or_else(|_| proxy.parse::<IpAddr>().map(IpNet::from));
            match network {
                _ if proxy == "unix" => parsed.unix = true,
                Ok(network) => parsed.networks.push(network.trunc()),
                Err(_) => errors.push(ConfigError::new(
                    format!("trusted_proxies[{index}]"),
                    format!("expected an address, a CIDR range or 'unix', found {proxy:?}"),
                )),
            }
        }
        match header.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => {}
            "forwarded" => parsed.family = Family::Forwarded,
            _ => errors.push(ConfigError::new(
                "forwarded_header",
                format!("expected 'x-forwarded-for' or 'forwarded', found {header:?}"),
            )),
        }
        if errors.is_empty() {
            Ok(parsed)
        } else {
            Err(errors)
        }
    }

    /// True when `peer` is a listed proxy.
    pub(crate) fn trusts(&self, peer: &Peer) -> bool {
        match peer.address {
            PeerAddress::Ip(address) => self.lists(address.ip()),
            PeerAddress::Unix => self.unix,
        }
    }

    fn lists(&self, ip: IpAddr) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// The client and the scheme; `trusted` is [`TrustedProxies::trusts`] of the peer.
    pub(crate) fn resolve(&self, head: &Head, peer: &Peer, trusted: bool) -> (Client, Scheme) {
        let mut client = match peer.address {
            PeerAddress::Ip(address) => Client {
                ip: Some(address.ip()),
                port: address.port(),
            },
            PeerAddress::Unix => Client { ip: None, port: 0 },
        };
        let mut scheme = if peer.tls {
            Scheme::Https
        } else {
            Scheme::Http
        };
        if !trusted {
            return (client, scheme);
        }
        match self.family {
            Family::XForwarded => {
                let hops = elements(head, &X_FORWARDED_FOR);
                self.walk(hops.rev().map(parse_node), &mut client);
                if let Some(Some(proto)) = elements(head, &X_FORWARDED_PROTO).next_back() {
                    scheme = read_scheme(proto).unwrap_or(scheme);
                }
            }
            Family::Forwarded => {
                let hops = elements(head, &FORWARDED);
                let nodes = hops.rev().map(|hop| {
                    let node = hop.and_then(|hop| parameter(hop, "for"));
                    node.as_deref().and_then(|node| parse_node(Some(node)))
                });
                self.walk(nodes, &mut client);
                if let Some(Some(nearest)) = elements(head, &FORWARDED).next_back() {
                    let proto = parameter(nearest, "proto");
                    scheme = proto.as_deref().and_then(read_scheme).unwrap_or(scheme);
                }
            }
        }
        (client, scheme)
    }

    fn walk(&self, nodes: impl Iterator<Item = Option<(IpAddr, u16)>>, client: &mut Client) {
        for node in nodes {
            let Some((ip, port)) = node else { return };
            *client = Client { ip: Some(ip), port };
            if !self.lists(ip) {
                return;
            }
        }
    }
}

/// The comma-separated elements of all lines of `name`; `None` for one that is not text. A comma
/// inside quotes separates nothing.
fn elements<'h>(
    head: &'h Head,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = Option<&'h str>> + use<'h> {
    let mut found = Vec::new();
    for line in head.headers.get_all(name) {
        let Ok(line) = line.to_str() else {
            found.push(None);
            continue;
        };
        let mut quoted = false;
        let parts = line.split(move |c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        found.extend(parts.map(|part| Some(part.trim())));
    }
    found.into_iter()
}

/// The value of a parameter of one `Forwarded` element; `None` when it is missing or doubled.
fn parameter(element: &str, name: &str) -> Option<String> {
    let mut found = None;
    for pair in element.split(';') {
        let (key, value) = pair.split_once('=')?;
        if key.trim().eq_ignore_ascii_case(name) {
            if found.is_some() {
                return None;
            }
            let value = value.trim();
            let plain = value
                .strip_prefix('"')
                .map_or(Some(value), |rest| rest.strip_suffix('"'))?;
            found = Some(plain.replace('\\', ""));
        }
    }
    found
}

/// An address with or without a port; IPv6 with a port, and always in `Forwarded`, in brackets.
fn parse_node(node: Option<&str>) -> Option<(IpAddr, u16)> {
    let node = node?;
    if let Ok(ip) = node.parse::<IpAddr>() {
        return Some((ip.to_canonical(), 0));
    }
    if let Ok(address) = node.parse::<std::net::SocketAddr>() {
        return Some((address.ip().to_canonical(), address.port()));
    }
    let bare = node.strip_prefix('[')?.strip_suffix(']')?;
    let ip = bare.parse::<std::net::Ipv6Addr>().ok()?;
    Some((IpAddr::V6(ip).to_canonical(), 0))
}

fn read_scheme(proto: &str) -> Option<Scheme> {
    if proto.eq_ignore_ascii_case("https") {
        Some(Scheme::Https)
    } else if proto.eq_ignore_ascii_case("http") {
        Some(Scheme::Http)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str], header: &str) -> TrustedProxies {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        TrustedProxies::new(&list, header).unwrap()
    }

    fn seen(
        proxies: &TrustedProxies,
        peer: &str,
        headers: &[(&str, &str)],
    ) -> (String, &'static str) {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let peer = Peer::ip(format!("{peer}:1000").parse().unwrap(), false);
        let (client, scheme) = proxies.resolve(&head, &peer, proxies.trusts(&peer));
        (client.to_string(), scheme.as_str())
    }

    #[test]
    fn headers_of_an_untrusted_peer_change_nothing() {
        let none = proxies(&[], "x-forwarded-for");
        let sent = [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=9.9.9.9"),
        ];
        assert_eq!(
            seen(&none, "127.0.0.1", &sent),
            ("127.0.0.1".into(), "http")
        );
    }

    #[test]
    fn the_walk_ends_at_the_first_hop_that_is_not_trusted() {
        let proxies = proxies(&["10.0.0.0/8"], "x-forwarded-for");
        let sees = |value: &str| seen(&proxies, "10.0.0.1", &[("x-forwarded-for", value)]).0;
        assert_eq!(sees("1.1.1.1"), "1.1.1.1");
        assert_eq!(sees("9.9.9.9, 1.1.1.1"), "1.1.1.1");
        assert_eq!(sees("9.9.9.9, 1.1.1.1, 10.0.0.2"), "1.1.1.1");
        assert_eq!(sees("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(sees("1.1.1.1:8080"), "1.1.1.1");
        assert_eq!(sees("[2001:db8::1]:80"), "2001:db8::1");
        assert_eq!(sees("2001:db8::1"), "2001:db8::1");
    }

    #[test]
    fn an_unreadable_element_ends_the_walk_at_the_hop_before_it() {
        let proxies = proxies(&["10.0.0.0/8"], "x-forwarded-for");
        let sees = |value: &str| seen(&proxies, "10.0.0.1", &[("x-forwarded-for", value)]).0;
        assert_eq!(sees("1.1.1.1, unknown, 10.0.0.2"), "10.0.0.2");
        assert_eq!(sees("1.1.1.1, garbage"), "10.0.0.1");
        assert_eq!(sees(""), "10.0.0.1");
        assert_eq!(sees("1.1.1.1,"), "10.0.0.1");
    }

    #[test]
    fn lines_are_joined_in_order() {
        let proxies = proxies(&["10.0.0.1"], "x-forwarded-for");
        let lines = [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-for", "1.1.1.1"),
        ];
        assert_eq!(seen(&proxies, "10.0.0.1", &lines).0, "1.1.1.1");
    }

    #[test]
    fn only_the_configured_family_is_read() {
        let forwarded = proxies(&["10.0.0.1"], "forwarded");
        let sent = [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "https"),
            (
                "forwarded",
                "for=8.8.8.8;proto=http, for=\"[2001:db8::7]:4711\";proto=https",
            ),
        ];
        assert_eq!(
            seen(&forwarded, "10.0.0.1", &sent),
            ("2001:db8::7".into(), "https")
        );
        let other = proxies(&["10.0.0.1"], "x-forwarded-for");
        assert_eq!(seen(&other, "10.0.0.1", &sent), ("9.9.9.9".into(), "https"));
    }

    #[test]
    fn an_obfuscated_forwarded_node_ends_the_walk() {
        let forwarded = proxies(&["10.0.0.1"], "forwarded");
        let sees = |value: &str| seen(&forwarded, "10.0.0.1", &[("forwarded", value)]).0;
        assert_eq!(sees("for=_hidden"), "10.0.0.1");
        assert_eq!(sees("for=1.1.1.1;for=2.2.2.2"), "10.0.0.1");
        assert_eq!(sees("by=3.3.3.3"), "10.0.0.1");
        assert_eq!(sees("For=\"1.1.1.1\""), "1.1.1.1");
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let proxies = proxies(&["10.0.0.1"], "x-forwarded-for");
        assert!(proxies.trusts(&Peer::ip("[::ffff:10.0.0.1]:5".parse().unwrap(), false)));
        let (client, _) = seen(
            &proxies,
            "10.0.0.1",
            &[("x-forwarded-for", "::ffff:1.2.3.4")],
        );
        assert_eq!(client, "1.2.3.4");
    }

    #[test]
    fn entries_that_are_no_address_are_named() {
        let list = [
            "localhost".to_owned(),
            "10.0.0.0/33".into(),
            "unix".into(),
            "::1".into(),
        ];
        let errors = TrustedProxies::new(&list, "via").unwrap_err();
        let paths: Vec<_> = errors.iter().map(ConfigError::path).collect();
        assert_eq!(
            paths,
            [
                "trusted_proxies[0]",
                "trusted_proxies[1]",
                "forwarded_header"
            ]
        );
    }
}

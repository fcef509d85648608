//! Connection limits: how many connections are held at once, in all and for one client address.
//!
//! 1. More than `limit_connections` in all: closed at once.
//! 2. More than `limit_connections_per_client` from one address, an IPv6 client being its /64:
//!    closed at once. Listed proxies and Unix domain sockets, which speak for many, are exempt.
//!
//! A refused client is accepted and closed before a byte is read, so that it learns of it and can
//! go elsewhere; left in the backlog it would wait for a place that it may never get.
//!
//! # Deployment
//! Behind a proxy that is not listed in `trusted_proxies`, all clients share the proxy's quota.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::request::{Peer, PeerAddress};

/// Refusals that lie closer together than this are one burst, and one line in the log.
const BURST: Duration = Duration::from_secs(10);

/// What counts as one client: an IPv4 address, or the network of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ClientKey(IpAddr);

impl ClientKey {
    fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            // One subscriber is given a whole /64 (RFC 6177), so counting single addresses would
            // count nothing.
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        })
    }
}

/// The connections that are held, and how many may be.
#[derive(Debug)]
pub(super) struct Limits {
    most: usize,
    most_per_client: usize,
    held: AtomicUsize,
    /// Holds no more entries than there are connections.
    clients: Mutex<HashMap<ClientKey, usize>>,
    empty: Notify,
}

/// Why a connection is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are as many connections as may be.
    Full,
    /// This client has as many connections as one may have.
    ClientFull,
}

impl Limits {
    pub(super) fn new(most: usize, most_per_client: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_client,
            held: AtomicUsize::new(0),
            clients: Mutex::default(),
            empty: Notify::new(),
        })
    }

    /// Takes a place for a connection of `peer`, which is given back when the place is dropped.
    /// An exempt peer counts in the total alone.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer, exempt: bool) -> Result<Place, Refused> {
        // Only the one accepting task adds, so nothing comes between the look and the step.
        if self.held() >= self.most {
            return Err(Refused::Full);
        }
        let client = match peer.address {
            PeerAddress::Ip(address) if !exempt => Some(ClientKey::of(address.ip())),
            _ => None,
        };
        if let Some(client) = client {
            match self.clients().entry(client) {
                Entry::Occupied(held) if *held.get() >= self.most_per_client => {
                    return Err(Refused::ClientFull);
                }
                Entry::Occupied(mut held) => *held.get_mut() += 1,
                Entry::Vacant(place) => _ = place.insert(1),
            }
        }
        self.held.fetch_add(1, Ordering::AcqRel);
        Ok(Place {
            limits: Arc::clone(self),
            client,
        })
    }

    /// How many connections are held.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Waits until no connection is held.
    pub(super) async fn emptied(&self) {
        // A place given back between the look and the wait leaves its notice behind.
        while self.held() > 0 {
            self.empty.notified().await;
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<ClientKey, usize>> {
        // The counts are whole even if a holder panicked: nothing that runs under the lock can.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    limits: Arc<Limits>,
    client: Option<ClientKey>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            let mut clients = self.limits.clients();
            if let Entry::Occupied(mut held) = clients.entry(client) {
                *held.get_mut() -= 1;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
        if self.limits.held.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.limits.empty.notify_one();
        }
    }
}

/// Says once per burst that connections are refused.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    last: Option<Instant>,
}

impl Bursts {
    /// Notes a refusal at `now`; true when it is the first of a burst.
    pub(super) fn begins(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::ip((ip.parse::<IpAddr>().unwrap(), 1).into(), false)
    }

    #[test]
    fn one_client_gets_its_share_and_gets_it_back() {
        let limits = Limits::new(10, 2);
        let first = limits.admit(&peer("10.0.0.1"), false).unwrap();
        let _second = limits.admit(&peer("10.0.0.1"), false).unwrap();
        let third = limits.admit(&peer("10.0.0.1"), false);
        assert_eq!(third.unwrap_err(), Refused::ClientFull);
        assert!(limits.admit(&peer("10.0.0.2"), false).is_ok());
        drop(first);
        assert!(limits.admit(&peer("10.0.0.1"), false).is_ok());
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_address_is_ipv4() {
        let limits = Limits::new(10, 1);
        let _first = limits.admit(&peer("2001:db8::1"), false).unwrap();
        assert!(limits.admit(&peer("2001:db8::ffff:1"), false).is_err());
        assert!(limits.admit(&peer("2001:db8:0:1::1"), false).is_ok());
        let _mapped = limits.admit(&peer("::ffff:10.0.0.1"), false).unwrap();
        assert!(limits.admit(&peer("10.0.0.1"), false).is_err());
    }

    #[test]
    fn exempt_peers_count_in_the_total_alone() {
        let limits = Limits::new(3, 1);
        let _proxy: Vec<_> = (0..2)
            .map(|_| limits.admit(&peer("10.0.0.1"), true).unwrap())
            .collect();
        let _unix = limits.admit(&Peer::unix(), false).unwrap();
        assert_eq!(
            limits.admit(&peer("10.0.0.9"), false).unwrap_err(),
            Refused::Full
        );
    }

    #[test]
    fn nothing_is_remembered_of_a_client_that_left() {
        let limits = Limits::new(3, 3);
        drop(limits.admit(&peer("10.0.0.1"), false).unwrap());
        assert_eq!(limits.held(), 0);
        assert!(limits.clients().is_empty());
    }

    #[test]
    fn a_burst_is_reported_once() {
        let mut bursts = Bursts::default();
        let start = crate::clock::instant();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(bursts.begins(start));
        assert!(!bursts.begins(at(9)));
        assert!(!bursts.begins(at(18)));
        assert!(bursts.begins(at(28)));
    }
}

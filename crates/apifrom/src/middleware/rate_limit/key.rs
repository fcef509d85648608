//! The bytes that a request is counted under.

use std::net::IpAddr;

use crate::key::{KeyPart, encoded};
use crate::request::{Client, Context};

/// The client's address.
pub(super) fn of_client(client: &Client) -> ([u8; 17], usize) {
    let mut bytes = [b'c'; 17];
    let length = match client.network() {
        IpAddr::V4(ip) => copy(&mut bytes, &ip.octets()),
        IpAddr::V6(ip) => copy(&mut bytes, &ip.octets()),
    };
    (bytes, length)
}

/// Puts `octets` behind the first byte, and returns where they end.
fn copy(bytes: &mut [u8; 17], octets: &[u8]) -> usize {
    for (to, from) in bytes.iter_mut().skip(1).zip(octets) {
        *to = *from;
    }
    octets.len() + 1
}

/// Whom authentication proved; `None` where it was nobody.
pub(super) fn of_identity(context: &Context) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    for identity in context.identities.iter() {
        // A key without a public id is known by itself.
        let proved: KeyPart = match (identity.subject(), identity.credential()) {
            (Some(subject), _) => subject.into(),
            (None, Some(credential)) => credential.into(),
            (None, None) => continue,
        };
        // The same subject of another declaration may be somebody else.
        parts.push(identity.method().as_str().into());
        parts.push(identity.name().into());
        parts.push(proved);
    }
    (!parts.is_empty()).then(|| encoded(&parts))
}

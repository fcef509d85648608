//! Request ids: one name for a request in its answer and in every log line.
//!
//! 1. A trusted proxy's `X-Request-ID` of 8 to 64 characters of `[A-Za-z0-9._-]` is kept.
//! 2. Everything else gets an id of ours: 22 characters, unique, and not a secret.
//! 3. Whoever sends a valid `traceparent` has its trace in the records as well.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

use http::header::HeaderName;

use crate::request::{Head, RequestId, TraceParent};

/// The header of the id, in both directions.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

thread_local! {
    static STATE: Cell<(u64, u64)> = Cell::new((seed(), seed()));
}

/// A value that the operating system chose: the keys of the standard hasher are random.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The id of a request; `trusted` when the peer's own may be kept.
pub(crate) fn name(head: &Head, trusted: bool) -> RequestId {
    own_name(head, trusted).within(TraceParent::of(head))
}

fn own_name(head: &Head, trusted: bool) -> RequestId {
    if trusted {
        let mut given = head.headers.get_all(X_REQUEST_ID).iter();
        if let (Some(first), None) = (given.next(), given.next())
            && let Some(id) = RequestId::parse(first.as_bytes())
        {
            return id;
        }
    }
    make()
}

/// A fresh id.
pub(crate) fn make() -> RequestId {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (high, low) = STATE.with(|state| {
        let (mut a, b) = state.get();
        // xorshift128+: unique enough for a name, and nothing rests on it being secret.
        a ^= a << 23;
        let next = a ^ b ^ (a >> 17) ^ (b >> 26);
        state.set((b, next));
        (b, next.wrapping_add(b))
    });
    let mut text = [b'A'; RequestId::OURS];
    // Six bits a character: ten of one half, ten of the other, and two of what is left of both.
    let (first, rest) = text.split_at_mut(10);
    let (second, last) = rest.split_at_mut(10);
    let left = high >> 60 | (low >> 60) << 4;
    for (part, mut bits) in [(first, high), (second, low), (last, left)] {
        for byte in part {
            // Never out of its bounds, which the compiler sees.
            *byte = ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'A');
            bits >>= 6;
        }
    }
    RequestId::ours(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(ids: &[&str]) -> Head {
        let mut request = http::Request::builder();
        for id in ids {
            request = request.header(X_REQUEST_ID, *id);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn ids_are_distinct_and_of_the_allowed_characters() {
        let ids: std::collections::HashSet<String> =
            (0..10_000).map(|_| make().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 22 && RequestId::parse(id.as_bytes()).is_some())
        );
    }

    #[test]
    fn a_proxys_id_is_kept_only_when_trusted_single_and_well_formed() {
        let kept = |ids: &[&str], trusted| {
            let id = name(&head(ids), trusted);
            ids.contains(&id.as_str())
        };
        assert!(kept(&["abcDEF-._12"], true));
        assert!(!kept(&["abcDEF-._12"], false));
        assert!(!kept(&["short"], true));
        assert!(!kept(&["has space here"], true));
        assert!(!kept(&["12345678", "12345678"], true));
        let long = "a".repeat(64);
        assert!(kept(&[&long], true));
        assert!(!kept(&[&format!("{long}a")], true));
    }
}

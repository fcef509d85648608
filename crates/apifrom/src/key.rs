//! Keys: what tells one caller from another, where the program says so.
//!
//! 1. A key is one part or several; parts of other kinds and lengths never make the same key, and none
//!    makes the key that an address is.
//! 2. Nothing of a key is kept but digests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::rejection::Rejection;
use crate::request::{Context, Head};

/// One part of a key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPart {
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A whole number, in digits.
    Integer(String),
}

/// Shows no value: a key may be a credential.
impl fmt::Debug for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(***)",
            Self::Bytes(_) => "Bytes(***)",
            Self::Integer(_) => "Integer(***)",
        })
    }
}

impl From<&str> for KeyPart {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for KeyPart {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for KeyPart {
    fn from(number: i64) -> Self {
        Self::Integer(number.to_string())
    }
}

impl From<&[u8]> for KeyPart {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

/// What a key function came to.
#[non_exhaustive]
pub enum Keyed {
    /// This key.
    Key(Vec<KeyPart>),
    /// None of its own: the client's address, where something is counted.
    Client,
    /// It failed. Why is for the log; the caller is answered 503.
    Failed(Rejection),
    /// It has to be waited for.
    Wait(Pin<Box<dyn Future<Output = Keyed> + Send>>),
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(***)",
            Self::Client => "Client",
            Self::Failed(_) => "Failed",
            Self::Wait(_) => "Wait",
        })
    }
}

impl<P: Into<KeyPart>> From<P> for Keyed {
    fn from(part: P) -> Self {
        Self::Key(vec![part.into()])
    }
}

impl<P: Into<KeyPart>> From<Option<P>> for Keyed {
    fn from(part: Option<P>) -> Self {
        part.map_or(Self::Client, Into::into)
    }
}

/// A function of the program's own that says who calls.
pub trait KeyFunction: Send + Sync + 'static {
    /// The key of a request to the path template `route`, from its head and what is known about the
    /// caller.
    fn key(&self, route: &str, head: &Head, context: &Context) -> Keyed;
}

impl<F, K> KeyFunction for F
where
    F: Fn(&Head, &Context) -> K + Send + Sync + 'static,
    K: Into<Keyed>,
{
    fn key(&self, _route: &str, head: &Head, context: &Context) -> Keyed {
        self(head, context).into()
    }
}

/// The bytes of a key, of which no two keys have the same.
pub(crate) fn encoded(parts: &[KeyPart]) -> Vec<u8> {
    let mut bytes = vec![b'k'];
    for part in parts {
        let (kind, value) = match part {
            KeyPart::Text(text) => (b't', text.as_bytes()),
            KeyPart::Bytes(bytes) => (b'b', bytes.as_slice()),
            KeyPart::Integer(digits) => (b'i', digits.as_bytes()),
        };
        bytes.push(kind);
        bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// A key function that is shown by no more than that it is one.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<dyn KeyFunction>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFunction")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_parts_are_other_bytes() {
        let keys: [&[KeyPart]; 9] = [
            &["a".into(), "bc".into()],
            &["ab".into(), "c".into()],
            &["abc".into()],
            &["abc".into(), "".into()],
            &[1.into()],
            &["1".into()],
            &[b"1".as_slice().into()],
            &[1.into(), 1.into()],
            &[],
        ];
        for (index, one) in keys.iter().enumerate() {
            for other in keys.iter().skip(index + 1) {
                assert_ne!(encoded(one), encoded(other));
            }
        }
    }
}

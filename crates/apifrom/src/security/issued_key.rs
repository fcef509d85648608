//! API keys that are made here, and tell their public id.
//!
//! A key is `apifrom_`, an id of 50 random bits, `_`, a secret of 256 random bits, and 30 bits of a
//! digest over all of it before. All are in the lower-case base32 of RFC 4648 without padding, so that a
//! double click marks the whole key and programs that look for leaked secrets find it.
//!
//! The id is no secret: logs name a key by it. The digest at the end tells a key that was typed wrong
//! from one that nobody knows; it guards nothing.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use crate::secret::Secret;

const PREFIX: &str = "apifrom_";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// In letters of five bits each.
const ID: usize = 10;
const SECRET: usize = 52;
const CHECK: usize = 6;

/// A key that was just made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuedKey {
    /// The key itself, for whom it is made.
    pub key: Secret<String>,
    /// What logs call it.
    pub id: String,
    /// Its digest, for the program that is to know it: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes are to be had")]
pub struct NoRandomness;

impl IssuedKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`NoRandomness`].
    ///
    /// # Examples
    /// ```
    /// use apifrom::security::{ApiKeyRequired, IssuedKey};
    ///
    /// let issued = IssuedKey::new()?;
    /// assert!(issued.key.expose().starts_with(&format!("apifrom_{}_", issued.id)));
    /// // The program keeps the digest alone.
    /// let keys = ApiKeyRequired::new().key(issued.digest, ["read"]);
    /// # Ok::<(), apifrom::security::NoRandomness>(())
    /// ```
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0; ID + SECRET];
        rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        let mut letters = bytes.iter().copied().map(letter);
        let id: String = letters.by_ref().take(ID).collect();
        let mut key = format!("{PREFIX}{id}_");
        key.extend(letters);
        let check = check(&key);
        key.push_str(&check);
        let mut text = "sha256:".to_owned();
        for byte in digest(&SHA256, key.as_bytes()).as_ref() {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self {
            key: Secret::from(key),
            id,
            digest: text,
        })
    }
}

/// What a key says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::security) enum Form<'a> {
    /// It was made here, and this is its id.
    Issued(&'a str),
    /// It looks as if it was made here, and was typed wrong.
    Mistyped,
    /// It is of another make.
    Other,
}

/// Reads the form of a key. Nothing in it is proved by that.
pub(in crate::security) fn form(key: &str) -> Form<'_> {
    let Some(rest) = key.strip_prefix(PREFIX) else {
        return Form::Other;
    };
    let Some((id, secret)) = rest.split_once('_') else {
        return Form::Other;
    };
    if id.len() != ID || secret.len() != SECRET + CHECK || !is_base32(id) || !is_base32(secret) {
        return Form::Other;
    }
    let Some((signed, sent)) = key.split_at_checked(key.len() - CHECK) else {
        return Form::Other;
    };
    if check(signed) == sent {
        Form::Issued(id)
    } else {
        Form::Mistyped
    }
}

fn is_base32(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

fn letter(byte: u8) -> char {
    // 256 is a multiple of 32, so no letter is likelier than another.
    let index = usize::from(byte & 31);
    ALPHABET.get(index).copied().map_or('a', char::from)
}

fn check(text: &str) -> String {
    let whole = digest(&SHA256, text.as_bytes());
    whole
        .as_ref()
        .iter()
        .take(CHECK)
        .copied()
        .map(letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_here_tells_its_id() {
        let issued = IssuedKey::new().unwrap();
        let key = issued.key.expose();
        assert_eq!(key.len(), PREFIX.len() + ID + 1 + SECRET + CHECK);
        assert_eq!(form(key), Form::Issued(&issued.id));
        assert_ne!(IssuedKey::new().unwrap().key, issued.key);
        assert!(!format!("{issued:?}").contains(key));
    }

    #[test]
    fn a_letter_that_was_typed_wrong_is_told_from_another_make() {
        let issued = IssuedKey::new().unwrap();
        let key = issued.key.expose();
        let swapped = |at: usize| {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            String::from_utf8(bytes).unwrap()
        };
        for at in [PREFIX.len(), PREFIX.len() + ID + 1, key.len() - 1] {
            assert_eq!(form(&swapped(at)), Form::Mistyped);
        }
        for other in [
            "",
            "apifrom_",
            "apifrom_a_b",
            "api-key-1",
            &key[1..],
            &format!("{key}a"),
        ] {
            assert_eq!(form(other), Form::Other, "{other}");
        }
        assert_eq!(form(&key.to_uppercase()), Form::Other);
    }
}

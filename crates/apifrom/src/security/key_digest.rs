//! The digest by which an API key is known.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

/// The SHA-256 digest of an API key. Two are compared in constant time.
///
/// `Display` writes all of it, as 64 hexadecimal digits in lower case; `Debug` writes as much as tells
/// keys apart in a log.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of `key`.
    ///
    /// # Examples
    /// ```
    /// use apifrom::security::KeyDigest;
    ///
    /// let digest = KeyDigest::of("api-key-1");
    /// assert!(digest.to_string().starts_with("5e7bd0afcf2a7316"));
    /// assert_eq!(KeyDigest::from_hex(&digest.to_string()), Some(digest));
    /// ```
    pub fn of(key: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, in either case.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = hex.get(index * 2..index * 2 + 2)?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As much of it as tells keys apart in a log.
    pub(in crate::security) fn short(&self) -> String {
        let hex = self.to_string();
        format!("sha256:{}", hex.get(..16).unwrap_or_default())
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyDigest {}

impl Hash for KeyDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

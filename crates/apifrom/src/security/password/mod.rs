//! Passwords: how they are stored, and how one is compared with what is stored.
//!
//! 1. What is stored is an Argon2id or scrypt string in PHC form, a bcrypt string in its modular form
//!    (`$2a$`, `$2b$`, `$2x$` is refused, `$2y$`), or the password itself. A text that looks like a
//!    hash of another kind is an error, and never taken for a password.
//! 2. A stored hash that would cost more than 1 GiB of memory, or seconds of time, is an error.
//! 3. A password over 1 KiB, or over 72 bytes where bcrypt would cut it, is refused.
//!
//! Standards: [RFC 9106](https://www.rfc-editor.org/rfc/rfc9106) (Argon2),
//! [RFC 7914](https://www.rfc-editor.org/rfc/rfc7914) (scrypt).

mod pool;

pub(in crate::security) use self::pool::{Full, Pool};

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use aws_lc_rs::hmac;
use scrypt::Scrypt;
use subtle::ConstantTimeEq;

/// The most bytes a password may have.
pub(in crate::security) const MAX: usize = 1 << 10;
/// Where bcrypt cuts.
const BCRYPT_MAX: usize = 72;
/// The most memory that a stored hash may ask for, in KiB.
const MAX_KIB: u64 = 1 << 20;
/// The most that a stored hash may cost, in about microseconds.
const MAX_COST: u64 = 10_000_000;

/// Why a password cannot be hashed, or a stored value is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// More than 1024 bytes.
    #[error("a password has at most 1024 bytes")]
    TooLong,
    /// No byte at all.
    #[error("expected a password, found none")]
    Empty,
    /// A hash of a kind that is not taken, or a broken one.
    #[error("expected an Argon2id or scrypt string in PHC form, or a bcrypt string")]
    Unknown,
    /// A hash that would take too much memory or time.
    #[error("its parameters would cost more than 1 GiB of memory or ten seconds")]
    TooDear,
    /// The system gives no random bytes.
    #[error("no random bytes are to be had")]
    NoRandomness,
}

/// Hashes a password with Argon2id (19 MiB, two passes) and a random salt, in PHC form.
///
/// # Errors
/// [`PasswordError::Empty`], [`PasswordError::TooLong`], [`PasswordError::NoRandomness`].
///
/// # Examples
/// ```
/// use apifrom::security::{hash_password, verify_password};
///
/// let stored = hash_password("correct horse")?;
/// assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// assert!(verify_password("correct horse", &stored)?);
/// assert!(!verify_password("battery staple", &stored)?);
/// # Ok::<(), apifrom::security::PasswordError>(())
/// ```
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    check(password)?;
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordError::NoRandomness)?;
    Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Unknown)
}

/// Whether `password` is the one that `stored` was made of. It takes as long as that hash asks for.
///
/// # Errors
/// [`PasswordError::Unknown`] and [`PasswordError::TooDear`] for what is stored,
/// [`PasswordError::TooLong`] for a password that could not have been stored.
pub fn verify_password(password: &str, stored: &str) -> Result<bool, PasswordError> {
    check(password)?;
    match Hash::parse(stored)? {
        Some(hash) => Ok(hash.matches(password)),
        None => Err(PasswordError::Unknown),
    }
}

fn check(password: &str) -> Result<(), PasswordError> {
    match password.len() {
        0 => Err(PasswordError::Empty),
        1..=MAX => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

/// A stored hash, read once.
pub(in crate::security) enum Hash {
    Argon2(Box<PasswordHash>),
    Scrypt(Box<PasswordHash>),
    Bcrypt(Box<str>),
}

impl Hash {
    /// Reads what is stored; `None` for a password that is stored as it is.
    pub(in crate::security) fn parse(stored: &str) -> Result<Option<Self>, PasswordError> {
        let Some((kind, rest)) = stored
            .strip_prefix('$')
            .and_then(|rest| rest.split_once('$'))
        else {
            return Ok(None);
        };
        let phc = || PasswordHash::new(stored).map_err(|_| PasswordError::Unknown);
        let hash = match kind {
            "argon2id" => Self::Argon2(Box::new(phc()?)),
            "scrypt" => Self::Scrypt(Box::new(phc()?)),
            // `$2x$` marks hashes of an implementation that was broken.
            "2a" | "2b" | "2y" => {
                let cost: u32 = rest
                    .split_once('$')
                    .and_then(|(cost, _)| cost.parse().ok())
                    .ok_or(PasswordError::Unknown)?;
                let is_whole = stored.len() == 60 && stored.is_ascii();
                if !is_whole || !(4..=31).contains(&cost) {
                    return Err(PasswordError::Unknown);
                }
                Self::Bcrypt(stored.into())
            }
            _ => return Err(PasswordError::Unknown),
        };
        let (cost, kib) = hash.cost().ok_or(PasswordError::Unknown)?;
        if cost > MAX_COST || kib > MAX_KIB {
            return Err(PasswordError::TooDear);
        }
        Ok(Some(hash))
    }

    /// What a comparison costs: about microseconds, and KiB of memory.
    pub(in crate::security) fn cost(&self) -> Option<(u64, u64)> {
        let parameter = |hash: &PasswordHash, name: &str| {
            let value = hash.params.get_decimal(name)?;
            Some(u64::from(value))
        };
        Some(match self {
            Self::Argon2(hash) => {
                let kib = parameter(hash, "m")?;
                let passes = parameter(hash, "t")?;
                let lanes = parameter(hash, "p")?;
                if passes == 0 || lanes == 0 || hash.hash.is_none() || hash.salt.is_none() {
                    return None;
                }
                (kib.saturating_mul(passes), kib)
            }
            Self::Scrypt(hash) => {
                let log_n = u32::try_from(parameter(hash, "ln")?).ok()?;
                let r = parameter(hash, "r")?;
                let p = parameter(hash, "p")?;
                let n = 1_u64.checked_shl(log_n).filter(|_| log_n < 40)?;
                if r == 0 || p == 0 || hash.hash.is_none() || hash.salt.is_none() {
                    return None;
                }
                let blocks = n.saturating_mul(r);
                (blocks.saturating_mul(p) / 3, blocks / 8)
            }
            Self::Bcrypt(text) => {
                let cost: u32 = text.get(4..6)?.parse().ok()?;
                (60_u64.checked_shl(cost)?, 4)
            }
        })
    }

    /// True for passwords that this kind of hash would cut.
    pub(in crate::security) fn cuts(&self, password: &str) -> bool {
        matches!(self, Self::Bcrypt(_)) && password.len() > BCRYPT_MAX
    }

    /// Compares; takes as long as the hash asks for.
    pub(in crate::security) fn matches(&self, password: &str) -> bool {
        let bytes = password.as_bytes();
        match self {
            _ if self.cuts(password) => false,
            Self::Argon2(hash) => Argon2::default().verify_password(bytes, &**hash).is_ok(),
            Self::Scrypt(hash) => Scrypt::default().verify_password(bytes, &**hash).is_ok(),
            Self::Bcrypt(text) => bcrypt::verify(bytes, text).unwrap_or(false),
        }
    }

    /// The text that was stored.
    pub(in crate::security) fn kind(&self) -> &'static str {
        match self {
            Self::Argon2(_) => "argon2id",
            Self::Scrypt(_) => "scrypt",
            Self::Bcrypt(_) => "bcrypt",
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// A password that is stored as it is, of which a keyed digest is kept. Two of them are compared in a
/// time that tells nothing.
pub(in crate::security) struct Plain(hmac::Tag);

impl Plain {
    pub(in crate::security) fn new(password: &str, key: &hmac::Key) -> Self {
        Self(hmac::sign(key, password.as_bytes()))
    }

    pub(in crate::security) fn matches(&self, password: &str, key: &hmac::Key) -> bool {
        let sent = hmac::sign(key, password.as_bytes());
        sent.as_ref().ct_eq(self.0.as_ref()).into()
    }
}

#[cfg(test)]
mod tests;

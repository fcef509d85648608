//! Signed tokens (JOSE): their keys, their signatures and their claims.
//!
//! A token is judged in this order, and refused at the first rule that it breaks:
//! 1. It has at most [`MAX_TOKEN`] bytes and three parts of base64url in the one canonical
//!    spelling, without padding.
//! 2. Its header is a JSON object without doubled members, with an `alg` that this library knows
//!    by exactly that name. `none` is not among them. `kid` and `typ` are strings where they stand.
//! 3. `crit` is refused, whatever it names; RFC 7797's `b64` alone may stand there, and must be
//!    `true`.
//! 4. `alg` is on the list of the program. Only keys of the algorithm's own family are looked at:
//!    a key's type fixes what it verifies, so that an RSA public key never verifies an HMAC
//!    (RFC 8725 §3.1).
//! 5. Where the token names a key, the keys of that name and those without one are tried, else all
//!    of them. `jwk`, `jku`, `x5u` and `x5c` are never used.
//! 6. The signature is one by such a key.
//! 7. The payload is a JSON object without doubled members.
//! 8. `exp`, `nbf` and `iat` are numbers where they stand; then `exp`, `nbf`, `iat`, `aud`, `iss`,
//!    `sub`, `jti` and `at_hash` are judged by the [`Rules`] of the program.
//!
//! Nothing of the payload is read before the signature was verified. A caller learns nothing of
//! the [`Refusal`]; the log does.
//!
//! # Deployment
//! Rule 8 needs a clock that is right. Keys that were given as texts are prepared once; to change
//! them means to start again.
//!
//! # Examples
//! ```
//! # use apifrom::security::jose::{Algorithm, Refusal, Scratch, SharedSecrets, Token, VerificationKeys};
//! let mut keys = VerificationKeys::new(&[Algorithm::Hs256]);
//! keys.add(&"a secret of at least thirty-two bytes".into(), SharedSecrets::Allowed)?;
//!
//! let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
//! let mut scratch = Scratch::new();
//! let refused = Token::parse(forged.as_bytes(), &mut scratch).and_then(|token| keys.verify(&token));
//! assert_eq!(refused.unwrap_err(), Refusal::UnknownAlgorithm);
//! # Ok::<(), String>(())
//! ```
//!
//! Standards: [RFC 7515](https://www.rfc-editor.org/rfc/rfc7515), [RFC
//! 7517](https://www.rfc-editor.org/rfc/rfc7517), [RFC
//! 7518](https://www.rfc-editor.org/rfc/rfc7518), [RFC
//! 7519](https://www.rfc-editor.org/rfc/rfc7519), [RFC
//! 8037](https://www.rfc-editor.org/rfc/rfc8037), [RFC
//! 8725](https://www.rfc-editor.org/rfc/rfc8725).

mod algorithm;
mod base64url;
mod claims;
mod compact;
mod disguise;
mod jwk;
mod key;
mod pem;
mod refusal;
mod signing;
#[cfg(test)]
mod tests;
mod text;

pub use self::algorithm::{Algorithm, AlgorithmError};
pub(in crate::security) use self::base64url::{decode, encode};
pub use self::claims::{Caller, MAX_ROLES, Rules, access_token_hash};
pub(in crate::security) use self::compact::scan_object;
pub use self::compact::{MAX_TOKEN, Scratch, Token};
pub use self::key::{SharedSecrets, VerificationKeys, Verified};
pub use self::refusal::Refusal;
pub use self::signing::{SigningError, SigningKey};
pub use self::text::{GivenKey, KeyText};

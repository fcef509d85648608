//! The keys that verify tokens, prepared once.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKey as RsaPublicKey;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm};

use super::algorithm::{Algorithm, Family};
use super::base64url;
use super::compact::{Token, scan_object};
use super::jwk::{self, Document, Jwk, Purpose};
use super::pem;
use super::refusal::Refusal;
use super::text::{Form, KeyText, form};

/// The longest signature that is verified, that of an RSA key with 8192 bits, and what the decoder
/// may ask for beyond it.
const MAX_SIGNATURE: usize = 1024 + 8;

const ED25519_SIZE: usize = 32;

/// The family of a public key in DER. Bare points and the 32 bytes of Ed25519 are none: they could
/// be a secret just as well.
pub(super) fn family_of(der: &[u8]) -> Option<Family> {
    const SEQUENCE: u8 = 0x30;

    if der.first() != Some(&SEQUENCE) || der.len() == ED25519_SIZE {
        return None;
    }
    [
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
    ]
    .into_iter()
    .find(|algorithm| parse(*algorithm, der).is_some())
    .map(Algorithm::family)
}

/// Reads a public key for `algorithm`: DER, or the bare point of a curve.
fn parse(algorithm: Algorithm, key: &[u8]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(verification(algorithm)?, key).ok()
}

/// How a signature of `algorithm` is verified; `None` for shared secrets.
fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        // RFC 7518 §3.5: the salt is as long as the hash, which is what these demand.
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDsa => &signature::ED25519,
    })
}

/// A key, ready for one algorithm.
struct Prepared {
    algorithm: Algorithm,
    id: Option<Box<str>>,
    verifier: Verifier,
}

enum Verifier {
    Shared(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Prepared {
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Shared(key) => hmac::verify(key, message, signature).is_ok(),
            Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// The keys that tokens are verified with, each ready for the algorithms that it may be used with.
///
/// It is never changed. To replace keys at run time, make another one and swap.
pub struct VerificationKeys {
    algorithms: Box<[Algorithm]>,
    keys: Vec<Prepared>,
}

/// Whether shared secrets in a JWK or JWK Set are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedSecrets {
    /// They are: the text comes from the program itself.
    Allowed,
    /// They are not: who can fetch a secret from a URL can sign with it.
    Refused,
}

impl VerificationKeys {
    /// No key yet, for tokens with one of `algorithms`.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        Self {
            algorithms: algorithms.into(),
            keys: Vec::new(),
        }
    }

    /// Adds the key, or the keys, in `text`. Returns the algorithm, if there is one, for which a
    /// shared secret in it is shorter than the hash (RFC 7518 §3.2).
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the name of a field and hold nothing of the
    /// text.
    pub fn add(
        &mut self,
        text: &KeyText,
        shared: SharedSecrets,
    ) -> Result<Option<Algorithm>, String> {
        if text.is_empty() {
            return Err("expected a secret or a key, found an empty text".to_owned());
        }
        match form(text.bytes())? {
            Form::Pem(text) => self.add_pem(text),
            Form::Json => self.add_json(text.bytes(), shared),
            Form::Bytes if self.algorithms.iter().any(|one| one.is_symmetric()) => {
                self.add_secret(text.bytes(), None, |_| true)
            }
            Form::Bytes => Err(format!(
                "expected a public key in PEM or JSON for {}",
                self.names()
            )),
        }
    }

    /// True while there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The algorithms that no key is there for.
    pub fn unserved(&self) -> impl Iterator<Item = Algorithm> + '_ {
        let is_served = |algorithm| self.keys.iter().any(|key| key.algorithm == algorithm);
        self.algorithms
            .iter()
            .copied()
            .filter(move |algorithm| !is_served(*algorithm))
    }

    /// Verifies the signature of `token`.
    ///
    /// # Errors
    /// [`Refusal`]: [`WrongAlgorithm`](Refusal::WrongAlgorithm),
    /// [`UnknownKey`](Refusal::UnknownKey), [`BadSignature`](Refusal::BadSignature), and
    /// [`MalformedClaims`](Refusal::MalformedClaims) when what was signed is no JSON object.
    pub fn verify(&self, token: &Token<'_>) -> Result<Verified, Refusal> {
        let payload = self.signed(token)?;
        scan_object(&payload).ok_or(Refusal::MalformedClaims)?;
        let algorithm = token.algorithm();
        Ok(Verified { payload, algorithm })
    }

    /// What `token` signs, whatever it is.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify), the last one excepted.
    pub(in crate::security) fn signed(&self, token: &Token<'_>) -> Result<Vec<u8>, Refusal> {
        let algorithm = token.algorithm();
        if !self.algorithms.contains(&algorithm) {
            return Err(Refusal::WrongAlgorithm);
        }
        let mut buffer = [0; MAX_SIGNATURE];
        let signature = base64url::decode_into(token.signature, &mut buffer);
        let mut candidates = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm)
            .filter(|key| match (&key.id, token.key_id()) {
                (Some(own), Some(named)) => **own == *named,
                // Without a name on one of the sides there is nothing to choose by.
                _ => true,
            })
            .peekable();
        if candidates.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        let signature = signature.ok_or(Refusal::BadSignature)?;
        if !candidates.any(|key| key.verifies(token.signed, signature)) {
            return Err(Refusal::BadSignature);
        }
        base64url::decode(token.payload).ok_or(Refusal::Malformed)
    }

    fn add_pem(&mut self, text: &str) -> Result<Option<Algorithm>, String> {
        let block = pem::read(text)?;
        let der: &[u8] = match block.label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => &block.der,
            "CERTIFICATE" => pem::certified_key(&block.der)
                .ok_or_else(|| "is a certificate that cannot be read".to_owned())?,
            label if label.ends_with("PRIVATE KEY") => {
                return Err("is a private key; give the public one".to_owned());
            }
            _ => return Err("is PEM, and no public key".to_owned()),
        };
        let family = family_of(der)
            .ok_or_else(|| "is no RSA, P-256, P-384, P-521 or Ed25519 key".to_owned())?;
        self.add_public(family, None, |_| true, der)
    }

    fn add_json(
        &mut self,
        text: &[u8],
        shared: SharedSecrets,
    ) -> Result<Option<Algorithm>, String> {
        let keys = match jwk::read(text)? {
            Document::Key(key) => return self.add_jwk(&key, shared),
            Document::Set(keys) => keys,
        };
        let mut added = None;
        let mut wrong = None::<String>;
        for key in keys {
            match self.add_jwk(&key, shared) {
                Ok(weak) => added = Some(added.flatten().or(weak)),
                Err(why) => {
                    wrong.get_or_insert(why);
                }
            }
        }
        match wrong {
            _ if added.is_some() => Ok(added.flatten()),
            None => Err("is a JWK Set without a key that can be read".to_owned()),
            Some(why) => Err(format!(
                "is a JWK Set without a key that can be used: the first one {why}"
            )),
        }
    }

    fn add_jwk(&mut self, key: &Jwk, shared: SharedSecrets) -> Result<Option<Algorithm>, String> {
        let family = key.family()?;
        let permits = |algorithm| key.permits(Purpose::Verify, algorithm);
        let public = match family {
            Family::Hmac if shared == SharedSecrets::Refused => {
                return Err("is a shared secret, which is not taken from there".to_owned());
            }
            Family::Hmac => return self.add_secret(&key.secret()?, key.id(), permits),
            _ if key.is_private() => return Err("is a private key; give the public one".to_owned()),
            Family::Rsa => key.rsa()?.to_der(),
            Family::P256 | Family::P384 | Family::P521 => key.point()?,
            Family::Ed25519 => key.edwards_point()?,
        };
        self.add_public(family, key.id(), permits, &public)
    }

    fn add_secret(
        &mut self,
        secret: &[u8],
        id: Option<&str>,
        permits: impl Fn(Algorithm) -> bool,
    ) -> Result<Option<Algorithm>, String> {
        if secret.is_empty() {
            return Err("is an empty secret".to_owned());
        }
        let before = self.keys.len();
        let mut weak = None;
        for algorithm in self.algorithms.iter().copied().filter(|one| permits(*one)) {
            let Some(hmac) = algorithm.hmac() else {
                continue;
            };
            if secret.len() < hmac.tag_len() {
                weak.get_or_insert(algorithm);
            }
            self.keys.push(Prepared {
                algorithm,
                id: id.map(Into::into),
                verifier: Verifier::Shared(Box::new(hmac::Key::new(hmac, secret))),
            });
        }
        self.added_since(before, Family::Hmac).map(|()| weak)
    }

    fn add_public(
        &mut self,
        family: Family,
        id: Option<&str>,
        permits: impl Fn(Algorithm) -> bool,
        key: &[u8],
    ) -> Result<Option<Algorithm>, String> {
        if family == Family::Rsa {
            check_modulus(key)?;
        }
        let before = self.keys.len();
        for algorithm in self.algorithms.iter().copied() {
            if algorithm.family() != family || !permits(algorithm) {
                continue;
            }
            let key = parse(algorithm, key)
                .ok_or_else(|| format!("is broken: it is no valid {}", family.noun()))?;
            self.keys.push(Prepared {
                algorithm,
                id: id.map(Into::into),
                verifier: Verifier::Public(key),
            });
        }
        self.added_since(before, family).map(|()| None)
    }

    fn added_since(&self, before: usize, family: Family) -> Result<(), String> {
        if self.keys.len() > before {
            return Ok(());
        }
        let names = self.names();
        Err(
            if self.algorithms.iter().any(|one| one.family() == family) {
                format!("is a key that its own use, key_ops or alg keeps from verifying {names}")
            } else {
                format!("is an {}, which cannot verify {names}", family.noun())
            },
        )
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.algorithms.iter().map(|one| one.as_str()).collect();
        names.join(", ")
    }
}

/// Shows nothing of the keys.
impl fmt::Debug for VerificationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKeys")
            .field("algorithms", &self.algorithms)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// What a signature was found to be over.
pub struct Verified {
    payload: Vec<u8>,
    algorithm: Algorithm,
}

impl Verified {
    /// The payload: a JSON object without doubled members.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload itself.
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// What it was signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Shows nothing of the payload.
impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// RFC 7518 §3.3: an RSA key has 2048 bits or more. The library looks at that only when it verifies.
fn check_modulus(der: &[u8]) -> Result<(), String> {
    let bits = RsaPublicKey::from_der(der)
        .ok()
        .and_then(|key| RsaParameters::public_modulus_len(key.as_ref()).ok())
        .ok_or_else(|| "is broken: it is no valid RSA key".to_owned())?;
    match bits {
        0..2048 => Err(format!(
            "is an RSA key of {bits} bits; expected 2048 or more"
        )),
        2048..=8192 => Ok(()),
        _ => Err(format!(
            "is an RSA key of {bits} bits; expected 8192 or less"
        )),
    }
}

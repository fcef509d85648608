//! The keys that sign tokens.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaEncoding,
};

use super::algorithm::{Algorithm, Family};
use super::base64url;
use super::jwk::{self, Document, Jwk, Purpose, RsaPrivate};
use super::pem;
use super::text::{Form, KeyText, form};

/// A key that signs with one algorithm.
pub struct SigningKey {
    algorithm: Algorithm,
    id: Option<Box<str>>,
    signer: Signer,
    weak: bool,
}

enum Signer {
    Shared(Box<hmac::Key>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The cryptographic library could not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SigningError;

impl SigningKey {
    /// Reads the shared secret or the private key in `text`: PKCS#8, SEC 1 or PKCS#1 in PEM, or a
    /// private JWK.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the name of a field and hold nothing of the
    /// text.
    pub fn read(text: &KeyText, algorithm: Algorithm) -> Result<Self, String> {
        if text.is_empty() {
            return Err("expected a secret or a key, found an empty text".to_owned());
        }
        let mut id = None;
        let mut weak = false;
        let mut shared = |secret: &[u8]| {
            let hmac = algorithm
                .hmac()
                .ok_or_else(|| mismatch(Family::Hmac, algorithm))?;
            if secret.is_empty() {
                return Err("is an empty secret".to_owned());
            }
            weak = secret.len() < hmac.tag_len();
            Ok(Signer::Shared(Box::new(hmac::Key::new(hmac, secret))))
        };
        let signer = match form(text.bytes())? {
            Form::Pem(text) => from_pem(text, algorithm)?,
            Form::Bytes if algorithm.is_symmetric() => shared(text.bytes())?,
            Form::Bytes => {
                return Err(format!(
                    "expected a private key in PEM or JSON for {algorithm}"
                ));
            }
            Form::Json => {
                let Document::Key(key) = jwk::read(text.bytes())? else {
                    return Err("is a JWK Set; give the one key to sign with".to_owned());
                };
                id = key.id().map(Into::into);
                if !key.permits(Purpose::Sign, algorithm) {
                    return Err(format!(
                        "is a key that its own use, key_ops or alg keeps from signing {algorithm}"
                    ));
                }
                match key.family()? {
                    Family::Hmac => shared(&key.secret()?)?,
                    family if family != algorithm.family() => {
                        return Err(mismatch(family, algorithm));
                    }
                    family => from_jwk(&key, family, algorithm)?,
                }
            }
        };
        Ok(Self {
            algorithm,
            id,
            signer,
            weak,
        })
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name that its JWK has.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// True for a shared secret that is shorter than its hash (RFC 7518 §3.2).
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// Signs `payload` under `header`, which has to name this algorithm, and returns the token.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn token(&self, header: &[u8], payload: &[u8]) -> Result<String, SigningError> {
        let mut token = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 128);
        base64url::encode_onto(header, &mut token);
        token.push('.');
        base64url::encode_onto(payload, &mut token);
        let message = token.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.signer {
            Signer::Shared(key) => hmac::sign(key, message).as_ref().to_vec(),
            Signer::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature)
                    .map_err(|_| SigningError)?;
                signature
            }
            Signer::Ec(key) => {
                let signature = key.sign(&random, message).map_err(|_| SigningError)?;
                signature.as_ref().to_vec()
            }
            Signer::Ed25519(key) => {
                let signature = key.try_sign(message).map_err(|_| SigningError)?;
                signature.as_ref().to_vec()
            }
        };
        token.push('.');
        base64url::encode_onto(&signature, &mut token);
        Ok(token)
    }
}

/// Shows nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn mismatch(family: Family, algorithm: Algorithm) -> String {
    format!("is an {}, which cannot sign {algorithm}", family.noun())
}

fn unreadable(algorithm: Algorithm) -> String {
    format!(
        "cannot be read as a private {} for {algorithm}",
        algorithm.family().noun()
    )
}

fn from_pem(text: &str, algorithm: Algorithm) -> Result<Signer, String> {
    let block = pem::read(text)?;
    let der = match block.label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => &block.der,
        "ENCRYPTED PRIVATE KEY" => {
            return Err("is an encrypted key; give it without a passphrase".to_owned());
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => {
            return Err("is a public key, which cannot sign".to_owned());
        }
        _ => return Err("is PEM, and no private key".to_owned()),
    };
    let signer = match algorithm.family() {
        Family::Hmac => {
            return Err(format!(
                "is a private key, which cannot be the secret of {algorithm}"
            ));
        }
        Family::Rsa => RsaKeyPair::from_pkcs8(der)
            .or_else(|_| RsaKeyPair::from_der(der))
            .ok()
            .and_then(|key| rsa(key, algorithm)),
        Family::P256 | Family::P384 | Family::P521 => curve(algorithm)
            .and_then(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())
            .map(Signer::Ec),
        Family::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .ok()
            .map(Signer::Ed25519),
    };
    signer.ok_or_else(|| unreadable(algorithm))
}

fn from_jwk(key: &Jwk, family: Family, algorithm: Algorithm) -> Result<Signer, String> {
    if !key.is_private() {
        return Err("is a public key, which cannot sign".to_owned());
    }
    let signer = match family {
        Family::Hmac => None,
        Family::Rsa => rsa_from_numbers(&key.rsa_private()?).and_then(|key| rsa(key, algorithm)),
        Family::Ed25519 => {
            Ed25519KeyPair::from_seed_and_public_key(&key.private()?, &key.edwards_point()?)
                .ok()
                .map(Signer::Ed25519)
        }
        Family::P256 | Family::P384 | Family::P521 => {
            let (private, point) = (key.private()?, key.point()?);
            curve(algorithm)
                .and_then(|curve| {
                    EcdsaKeyPair::from_private_key_and_public_key(curve, &private, &point).ok()
                })
                .map(Signer::Ec)
        }
    };
    signer.ok_or_else(|| unreadable(algorithm))
}

fn rsa_from_numbers(key: &RsaPrivate) -> Option<RsaKeyPair> {
    RsaKeyPair::from_components(&KeyPairComponents {
        public_key: PublicKeyComponents {
            n: key.public.n.as_slice(),
            e: key.public.e.as_slice(),
        },
        d: key.d.as_slice(),
        p: key.p.as_slice(),
        q: key.q.as_slice(),
        dP: key.dp.as_slice(),
        dQ: key.dq.as_slice(),
        qInv: key.qi.as_slice(),
    })
    .ok()
}

fn rsa(key: RsaKeyPair, algorithm: Algorithm) -> Option<Signer> {
    let encoding: &'static dyn RsaEncoding = match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    };
    Some(Signer::Rsa(key, encoding))
}

fn curve(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Some(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => None,
    }
}

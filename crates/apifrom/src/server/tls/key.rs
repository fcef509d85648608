//! The private key of a PEM file, which may be encrypted.
//!
//! 1. A key is taken as PKCS#8, PKCS#1 or SEC 1. An encrypted one is taken as PKCS#8
//!    (`BEGIN ENCRYPTED PRIVATE KEY`) under PBES2 (RFC 8018 §6.2): PBKDF2 with HMAC-SHA-2 or scrypt,
//!    and AES in CBC or GCM. Everything older is refused, because what it derives from a password
//!    is too quickly tried.
//! 2. An encrypted key without a password, another password, and a password for a key that is not
//!    encrypted are errors: the last would let a key that lies open pass for one that does not.
//! 3. What was decrypted and what was read are overwritten once the key is prepared.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::{ErrorKind, Tag};
use pkcs8::pkcs5::{EncryptionScheme, Error as SchemeError};
use pkcs8::{EncryptedPrivateKeyInfoRef, Error as KeyError, PrivateKeyInfoRef};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use zeroize::Zeroizing;

use crate::config::TlsConfig;
use crate::error::ConfigError;

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// What marks a key that OpenSSL encrypted before PKCS#8 (RFC 1421 §4.6.1.1).
const OLD: &str = "Proc-Type: 4,ENCRYPTED";

const ENCRYPT_AGAIN: &str =
    "encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem";

/// Reads and prepares the key of `config`.
pub(super) fn read(config: &TlsConfig) -> Result<Arc<dyn SigningKey>, ConfigError> {
    let path = &config.ssl_keyfile;
    let pem = Zeroizing::new(super::read("ssl_keyfile", path)?);
    let text = std::str::from_utf8(&pem).unwrap_or_default();
    if text.contains(OLD) {
        return Err(wrong(format!(
            "{path} is encrypted in an old form, which is not supported; {ENCRYPT_AGAIN}"
        )));
    }
    if let Some((_, rest)) = text.split_once(BEGIN) {
        let der = binary(rest)
            .ok_or_else(|| wrong(format!("{path} is not valid PEM: the key is not base64")))?;
        return decrypted(&der, config);
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        wrong(match error {
            PemError::NoItemsFound => {
                format!("{path} holds no private key; expected PEM with BEGIN PRIVATE KEY")
            }
            error => format!("{path} is not valid PEM: {error}"),
        })
    })?;
    let key = Zeroizing::new(key);
    if config.ssl_keyfile_password.is_some() {
        return Err(wrong_password(format!(
            "the key in {path} is not encrypted; leave the password out, or {ENCRYPT_AGAIN}"
        )));
    }
    prepared(&key, path)
}

/// The bytes of the block whose text begins `rest`.
fn binary(rest: &str) -> Option<Vec<u8>> {
    let (body, _) = rest.split_once(END)?;
    let digits: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    STANDARD.decode(digits).ok()
}

fn decrypted(der: &[u8], config: &TlsConfig) -> Result<Arc<dyn SigningKey>, ConfigError> {
    let path = &config.ssl_keyfile;
    let unsupported = || {
        wrong(format!(
            "{path} is encrypted in a way that is not supported; {ENCRYPT_AGAIN}"
        ))
    };
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| match error {
        KeyError::Asn1(error) if names_another_scheme(error.kind()) => unsupported(),
        error => wrong(format!("{path} holds no valid encrypted key: {error}")),
    })?;
    let EncryptionScheme::Pbes2(scheme) = &info.encryption_algorithm else {
        return Err(unsupported());
    };
    let Some(password) = &config.ssl_keyfile_password else {
        return Err(wrong_password(format!(
            "is missing: the key in {path} is encrypted; give what it is encrypted with"
        )));
    };
    let mut buffer = Zeroizing::new(info.encrypted_data.as_bytes().to_vec());
    let plain = match scheme.decrypt_in_place(password.expose(), &mut buffer) {
        // One wrong password in 256 passes for the right one until its outcome is looked at.
        Ok(plain) if PrivateKeyInfoRef::try_from(plain).is_ok() => plain,
        Ok(_) | Err(SchemeError::DecryptFailed) => {
            return Err(wrong_password(format!(
                "does not open {path}; give what the key is encrypted with"
            )));
        }
        Err(_) => return Err(unsupported()),
    };
    prepared(&PrivatePkcs8KeyDer::from(plain).into(), path)
}

/// True when a key could not be read because of the algorithm that it names.
fn names_another_scheme(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::OidUnknown { .. }
            | ErrorKind::Value {
                tag: Tag::ObjectIdentifier
            }
    )
}

fn prepared(key: &PrivateKeyDer<'_>, path: &str) -> Result<Arc<dyn SigningKey>, ConfigError> {
    any_supported_type(key)
        .map_err(|error| wrong(format!("{path} holds no key that can be used: {error}")))
}

fn wrong(message: String) -> ConfigError {
    ConfigError::new("ssl_keyfile", message)
}

fn wrong_password(message: String) -> ConfigError {
    ConfigError::new("ssl_keyfile_password", message)
}

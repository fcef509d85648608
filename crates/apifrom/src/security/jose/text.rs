//! Keys as a program gives them, and what can be told from their looks.

use std::fmt;

use super::{disguise, jwk, pem};
use crate::error::ConfigError;
use crate::secret::Secret;

/// A key as a program gives it: a shared secret, or a text in PEM or JSON. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Secret<Vec<u8>>);

impl KeyText {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// True when it looks like a JWK or a JWK Set.
    pub fn is_json(&self) -> bool {
        matches!(form(self.bytes()), Ok(Form::Json))
    }

    /// The secret in it, where it is no key of a pair; of a set of keys the first.
    pub(in crate::security) fn shared_secret(&self) -> Option<Secret<Vec<u8>>> {
        match form(self.bytes()).ok()? {
            Form::Pem(_) => None,
            Form::Bytes => Some(self.0.clone()),
            Form::Json => {
                let keys = match jwk::read(self.bytes()).ok()? {
                    jwk::Document::Key(key) => vec![*key],
                    jwk::Document::Set(keys) => keys,
                };
                let secret = keys.iter().find_map(|key| key.secret().ok())?;
                Some(Secret::from(&secret[..]))
            }
        }
    }

    /// True when nothing stands in it.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<Secret<Vec<u8>>> for KeyText {
    fn from(secret: Secret<Vec<u8>>) -> Self {
        Self(secret)
    }
}

impl From<Secret<String>> for KeyText {
    fn from(secret: Secret<String>) -> Self {
        Self::from(secret.expose().as_bytes())
    }
}

impl From<&Secret<String>> for KeyText {
    fn from(secret: &Secret<String>) -> Self {
        Self::from(secret.expose().as_bytes())
    }
}

impl From<&[u8]> for KeyText {
    fn from(bytes: &[u8]) -> Self {
        Self(Secret::from(bytes))
    }
}

impl From<Vec<u8>> for KeyText {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Secret::from(bytes))
    }
}

impl From<&str> for KeyText {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

/// A key as a declaration is given it: there, missing, or an error of whoever looked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenKey(Result<Option<KeyText>, ConfigError>);

impl GivenKey {
    /// The key, or why there is none.
    pub(in crate::security) fn text(&self) -> Result<&KeyText, String> {
        match &self.0 {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err("expected a secret, found none".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl<T: Into<KeyText>> From<T> for GivenKey {
    fn from(text: T) -> Self {
        Self(Ok(Some(text.into())))
    }
}

impl<T: Into<KeyText>> From<Option<T>> for GivenKey {
    fn from(text: Option<T>) -> Self {
        Self(Ok(text.map(Into::into)))
    }
}

impl<T: Into<KeyText>> From<Result<T, ConfigError>> for GivenKey {
    fn from(text: Result<T, ConfigError>) -> Self {
        Self(text.map(|text| Some(text.into())))
    }
}

/// What a text can be, by its looks alone.
pub(super) enum Form<'a> {
    Pem(&'a str),
    Json,
    Bytes,
}

/// What `text` looks like. Whatever looks like a key of a pair is never taken for a shared secret,
/// or a public key would sign tokens (RFC 8725 §2.1).
pub(super) fn form(text: &[u8]) -> Result<Form<'_>, String> {
    if pem::looks_like_a_key(text) {
        return std::str::from_utf8(text)
            .map(Form::Pem)
            .map_err(|_| "is broken PEM: it is not UTF-8".to_owned());
    }
    if jwk::looks_like_a_key(text) {
        return Ok(Form::Json);
    }
    match disguise::of(text) {
        Some(what) => Err(what.to_owned()),
        None => Ok(Form::Bytes),
    }
}

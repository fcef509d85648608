//! Tokens: 32 random bytes, and an HMAC over them and the session that they belong to.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context as Digest, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Forgery;
use crate::request::Context;

const RANDOM: usize = 32;
const TAG: usize = 32;
/// The characters of a token: base64url of both halves, without padding.
const LENGTH: usize = (RANDOM + TAG) * 4 / 3 + 1;

/// Keeps tokens apart from whatever else the secret may sign.
const PURPOSE: &[u8] = b"apifrom csrf 1\0";

/// A token that was made or verified here.
#[derive(Clone)]
pub(super) struct Token(Arc<str>);

impl Token {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// It is worth as much as the cookie.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Whose tokens they are: what the ambient credential proved, or nobody in particular.
#[derive(Clone)]
pub(super) struct Session([u8; 32]);

impl Session {
    /// A digest of the credentials that browsers attach by themselves, and of what the program says.
    pub(super) fn of(context: &Context, kept: &[u8]) -> Self {
        let mut digest = Digest::new(&SHA256);
        digest.update(&(kept.len() as u64).to_be_bytes());
        digest.update(kept);
        let identities = context.identities.iter();
        for identity in identities.filter(|identity| identity.is_ambient()) {
            let proof = match identity.credential() {
                Some(credential) => credential,
                // Of Basic the name alone is kept, and that is who it is.
                None => identity.subject().unwrap_or_default().as_bytes(),
            };
            digest.update(identity.method().as_str().as_bytes());
            // Lengths keep two credentials from being read as one.
            digest.update(&(proof.len() as u64).to_be_bytes());
            digest.update(proof);
        }
        let mut session = [0; 32];
        for (to, from) in session.iter_mut().zip(digest.finish().as_ref()) {
            *to = *from;
        }
        Self(session)
    }

    #[cfg(test)]
    pub(super) fn raw(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// What makes and verifies tokens.
pub(super) struct Tokens {
    /// The first signs.
    keys: Box<[hmac::Key]>,
    random: SystemRandom,
}

impl Tokens {
    /// Tokens under `secrets`, of which there is at least one.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self {
            keys: secrets.into_iter().map(key).collect(),
            random: SystemRandom::new(),
        }
    }

    /// A new token, or nothing where there is no randomness or no key.
    pub(super) fn make(&self, session: &Session) -> Option<Token> {
        let mut bytes = [0; RANDOM + TAG];
        let (random, tag) = bytes.split_at_mut(RANDOM);
        self.random.fill(random).ok()?;
        let signed = sign(self.keys.first()?, session, random);
        tag.copy_from_slice(signed.as_ref().get(..TAG)?);
        Some(Token(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// The token that `sent` is.
    ///
    /// # Errors
    /// When it was not made here, for this session.
    pub(super) fn verify(&self, sent: &str, session: &Session) -> Result<Token, Forgery> {
        let mut bytes = [0; RANDOM + TAG];
        if sent.len() != LENGTH {
            return Err(Forgery::NotOurs);
        }
        let decoded = URL_SAFE_NO_PAD.decode_slice(sent, &mut bytes);
        if decoded != Ok(RANDOM + TAG) {
            return Err(Forgery::NotOurs);
        }
        let (random, tag) = bytes.split_at(RANDOM);
        let ours = self.keys.iter().any(|key| {
            let message = message(session, random);
            hmac::verify(key, &message, tag).is_ok()
        });
        if ours {
            Ok(Token(sent.into()))
        } else {
            Err(Forgery::NotOurs)
        }
    }
}

fn sign(key: &hmac::Key, session: &Session, random: &[u8]) -> hmac::Tag {
    hmac::sign(key, &message(session, random))
}

fn message(session: &Session, random: &[u8]) -> Vec<u8> {
    [PURPOSE, &session.0, random].concat()
}

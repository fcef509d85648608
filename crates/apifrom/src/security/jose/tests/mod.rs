//! Tests of keys, signatures and claims.

mod claims;
mod disguise;
mod keys;
mod tokens;
mod vectors;

use std::time::Duration;

use super::{
    Algorithm, Caller, KeyText, Refusal, Rules, Scratch, SharedSecrets, SigningKey, Token,
    VerificationKeys, Verified, base64url,
};

/// 64 bytes, enough for every hash.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const RSA_PRIVATE: &str = include_str!("keys/rsa.pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("keys/rsa.public.pem");

fn keys(texts: &[&str], algorithms: &[Algorithm]) -> VerificationKeys {
    let mut keys = VerificationKeys::new(algorithms);
    for text in texts {
        keys.add(&KeyText::from(*text), SharedSecrets::Allowed)
            .unwrap();
    }
    keys
}

/// Why `text` is refused as a key for `algorithm`.
fn refused_key(text: &str, algorithm: Algorithm) -> String {
    let mut keys = VerificationKeys::new(&[algorithm]);
    let why = keys
        .add(&KeyText::from(text), SharedSecrets::Allowed)
        .unwrap_err();
    assert!(keys.is_empty());
    why
}

fn verify(keys: &VerificationKeys, token: &str) -> Result<Verified, Refusal> {
    let mut scratch = Scratch::new();
    keys.verify(&Token::parse(token.as_bytes(), &mut scratch)?)
}

fn sign(key: &str, algorithm: Algorithm, header: &str, payload: &str) -> String {
    SigningKey::read(&KeyText::from(key), algorithm)
        .unwrap()
        .token(header.as_bytes(), payload.as_bytes())
        .unwrap()
}

/// A token over `payload`, under the secret of these tests.
fn hs256(payload: &str) -> String {
    sign(SECRET, Algorithm::Hs256, r#"{"alg":"HS256"}"#, payload)
}

/// A token of arbitrary parts, none of which needs to make sense.
fn parts(header: &[u8], payload: &[u8], signature: &[u8]) -> String {
    [header, payload, signature]
        .map(base64url::encode)
        .join(".")
}

/// What `rules` say about `payload` at second `now`.
fn judge(rules: &Rules, payload: &str, now: u64) -> Result<Caller<'static>, Refusal> {
    judge_beside(rules, payload, now, None)
}

fn judge_beside(
    rules: &Rules,
    payload: &str,
    now: u64,
    access_token: Option<&[u8]>,
) -> Result<Caller<'static>, Refusal> {
    let verified = verify(&keys(&[SECRET], &[Algorithm::Hs256]), &hs256(payload))?;
    let caller = rules.judge(&verified, Duration::from_secs(now), access_token)?;
    Ok(Caller {
        subject: caller.subject.map(|text| text.into_owned().into()),
        id: caller.id.map(|text| text.into_owned().into()),
        ..caller
    })
}

//! Signed tokens: their form, and what is read from them once they are verified.

#![no_main]

use std::time::Duration;

use apifrom::json::{JsonLimits, scan};
use apifrom::security::jose::{
    Algorithm, MAX_TOKEN, Refusal, Rules, Scratch, SharedSecrets, SigningKey, Token,
    VerificationKeys,
};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fuzz_target!(|input: &[u8]| {
    let mut keys = VerificationKeys::new(&Algorithm::ALL);
    keys.add(&SECRET.into(), SharedSecrets::Allowed)
        .expect("a secret");
    // Nobody but this target has the secret, so whatever is sent was forged.
    let mut scratch = Scratch::new();
    let forged = Token::parse(input, &mut scratch).and_then(|token| keys.verify(&token));
    assert!(forged.is_err());

    let key = SigningKey::read(&SECRET.into(), Algorithm::Hs256).expect("a secret");
    check_payload(&keys, &key, input);
    check_header(&keys, &key, input);
});

/// What was signed is accepted if it is one JSON object that all readers understand alike.
fn check_payload(keys: &VerificationKeys, key: &SigningKey, payload: &[u8]) {
    let token = key.token(br#"{"alg":"HS256"}"#, payload).expect("signed");
    let mut scratch = Scratch::new();
    let verified =
        Token::parse(token.as_bytes(), &mut scratch).and_then(|token| keys.verify(&token));
    let limits = JsonLimits {
        max_depth: 32,
        ..JsonLimits::default()
    };
    let object = payload.trim_ascii_start().starts_with(b"{") && scan(payload, &limits).is_ok();
    match &verified {
        Ok(verified) => {
            assert!(object && verified.payload() == payload);
            let rules = Rules {
                roles: vec!["admin".to_owned()],
                audience: Some(vec!["api".to_owned()]),
                verify_sub: true,
                ..Rules::default()
            };
            let now = Duration::from_secs(1_000);
            let judged = rules.judge(verified, now, None);
            assert!(!judged.is_ok_and(|caller| caller.subject.is_none()));
        }
        Err(Refusal::TooLarge) => assert!(token.len() > MAX_TOKEN),
        Err(why) => assert!(!object && *why == Refusal::MalformedClaims, "{why}"),
    }
}

/// A header that is accepted names the algorithm that it was signed with.
fn check_header(keys: &VerificationKeys, key: &SigningKey, header: &[u8]) {
    let token = key.token(header, b"{}").expect("signed");
    let mut scratch = Scratch::new();
    let Ok(token) = Token::parse(token.as_bytes(), &mut scratch) else {
        return;
    };
    let accepted = keys.verify(&token).is_ok();
    assert_eq!(accepted, token.algorithm() == Algorithm::Hs256);
}

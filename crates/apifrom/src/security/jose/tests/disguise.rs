//! Public keys in other forms, told from secrets.

use aws_lc_rs::digest::{SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;

const JWK: &str = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
const CERTIFICATE: &str = include_str!("keys/rsa.certificate.pem");
const P256: &str = include_str!("keys/p256.public.pem");
const ED25519: &str = include_str!("keys/ed25519.public.pem");
const SECP256K1: &str = include_str!("keys/secp256k1.public.pem");
const PKCS1: &str = include_str!("keys/rsa.public.pkcs1.pem");

fn der(pem: &str) -> Vec<u8> {
    super::super::pem::read(pem).unwrap().der.to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    let pairs = bytes.iter().map(|byte| [byte >> 4, byte & 0xf]);
    pairs.flatten().map(digit).collect()
}

/// Checks that `text` verifies nothing and signs nothing as a shared secret.
#[track_caller]
fn no_secret(text: impl AsRef<[u8]>) -> String {
    let text = KeyText::from(text.as_ref());
    let mut keys = VerificationKeys::new(&[Algorithm::Hs256]);
    let why = keys.add(&text, SharedSecrets::Allowed).unwrap_err();
    assert!(keys.is_empty());
    assert!(SigningKey::read(&text, Algorithm::Hs256).is_err());
    assert!(text.shared_secret().is_none());
    why
}

#[test]
fn der_in_whatever_spelling_is_no_secret() {
    for pem in [RSA_PUBLIC, PKCS1, CERTIFICATE, P256, ED25519, SECP256K1] {
        let der = der(pem);
        assert!(no_secret(&der).contains("is a public key in DER; give it in PEM"));
        let body: Vec<_> = pem
            .trim()
            .lines()
            .filter(|line| !line.contains("--"))
            .collect();
        for text in [
            STANDARD.encode(&der),
            STANDARD.encode(&der).trim_end_matches('=').to_owned(),
            URL_SAFE.encode(&der),
            URL_SAFE_NO_PAD.encode(&der),
            body.join("\n"),
            body.join("\r\n"),
            body.join("\\n"),
            format!(" \"{}\"\n", body.join(" ")),
            format!("\u{feff}{}", body.concat()),
            hex(&der),
            hex(&der).to_uppercase(),
        ] {
            let why = no_secret(&text);
            assert!(why.contains("is a public key in base64"), "{text}: {why}");
        }
    }
    let blob = STANDARD.encode(b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01\0\0\0\x01\x01");
    no_secret(blob);
}

#[test]
fn documents_in_whatever_wrapping_are_no_secrets() {
    let utf16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(RSA_PUBLIC.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    no_secret(utf16);
    for text in [
        RSA_PUBLIC,
        P256,
        JWK,
        r#"{"keys":[]}"#,
        r#"{"n":"AQAB","e":"AQAB"}"#,
    ] {
        no_secret(STANDARD.encode(text));
        no_secret(URL_SAFE_NO_PAD.encode(text));
        no_secret(format!("\u{feff}{text}"));
    }
    for text in [
        format!("[{JWK}]"),
        format!("\u{feff} [{JWK}]"),
        r#"{"n":"AQAB","e":"AQAB"}"#.to_owned(),
        r#"{"crv":"P-256","x":"AA","y":"AA"}"#.to_owned(),
        r#"{"crv":"Ed25519","x":"AA"}"#.to_owned(),
        r#"{"realm":{"key":{"n":"AQAB","e":"AQAB"}}}"#.to_owned(),
        r#"{"\u006bty":"RSA"}"#.to_owned(),
        "{'kty': 'RSA', 'n': 'AQAB', 'e': 'AQAB'}".to_owned(),
        format!(r#"{{"public_key":"{}"}}"#, STANDARD.encode(der(RSA_PUBLIC))),
        format!(r#"["{}"]"#, STANDARD.encode(der(CERTIFICATE))),
        RSA_PUBLIC.replace("BEGIN", "begin"),
        RSA_PUBLIC.to_lowercase(),
        RSA_PUBLIC.replace("-----", "----"),
        RSA_PUBLIC.replace("-----", "\u{2014}"),
        RSA_PUBLIC.replace("-----BEGIN PUBLIC KEY-----\n", ""),
        CERTIFICATE.replace("-----", "- "),
    ] {
        no_secret(text);
    }
}

#[test]
fn a_secret_is_taken_whatever_it_is_made_of() {
    let taken = |text: &[u8]| {
        let mut keys = VerificationKeys::new(&[Algorithm::Hs256]);
        let added = keys.add(&KeyText::from(text), SharedSecrets::Allowed);
        assert!(added.is_ok() && !keys.is_empty(), "{text:?}: {added:?}");
    };
    for number in 0_u32..1_000 {
        let random = digest(&SHA512, &number.to_le_bytes());
        for length in [16, 24, 32, 48, 64] {
            let secret = &random.as_ref()[..length];
            taken(secret);
            taken(STANDARD.encode(secret).as_bytes());
            taken(URL_SAFE_NO_PAD.encode(secret).as_bytes());
            taken(hex(secret).as_bytes());
        }
        // As if it were a sequence of DER.
        let mut sequence = random.as_ref().to_vec();
        sequence[..2].copy_from_slice(&[0x30, 62]);
        taken(&sequence);
        taken(STANDARD.encode(&sequence).as_bytes());
    }
    for secret in [
        "your-secret-key",
        "correct horse battery staple: begin again, and end",
        "{}",
        "[]",
        "{x9!kty",
        "[1, 2, 3]",
        r#"{"a":1}"#,
        r#"{"e":"AQAB","x":1}"#,
        r#"{"x":1,"y":2}"#,
        r#"{"secret":"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"}"#,
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
        "'quoted'",
        "\"",
        " ",
        "3082",
    ] {
        taken(secret.as_bytes());
    }
}

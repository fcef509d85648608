//! Which keys are taken, and what they verify.

use super::*;

const RSA_PRIVATE_PKCS1: &str = include_str!("keys/rsa.pkcs1.pem");
const RSA_PUBLIC_PKCS1: &str = include_str!("keys/rsa.public.pkcs1.pem");
const RSA_CERTIFICATE: &str = include_str!("keys/rsa.certificate.pem");
const RSA_1024: &str = include_str!("keys/rsa1024.public.pem");
const P256: [&str; 3] = [
    include_str!("keys/p256.sec1.pem"),
    include_str!("keys/p256.pkcs8.pem"),
    include_str!("keys/p256.public.pem"),
];
const P256_ENCRYPTED: &str = include_str!("keys/p256.encrypted.pem");
const P384: [&str; 3] = [
    include_str!("keys/p384.sec1.pem"),
    include_str!("keys/p384.pkcs8.pem"),
    include_str!("keys/p384.public.pem"),
];
const P521: [&str; 3] = [
    include_str!("keys/p521.sec1.pem"),
    include_str!("keys/p521.pkcs8.pem"),
    include_str!("keys/p521.public.pem"),
];
const ED25519: [&str; 2] = [
    include_str!("keys/ed25519.pkcs8.pem"),
    include_str!("keys/ed25519.public.pem"),
];
const SECP256K1: &str = include_str!("keys/secp256k1.public.pem");

const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// Every algorithm with the texts that sign and the texts that verify.
fn pairs() -> Vec<(Algorithm, Vec<&'static str>, Vec<&'static str>)> {
    let mut pairs = vec![
        (Algorithm::Es256, P256[..2].to_vec(), vec![P256[2]]),
        (Algorithm::Es384, P384[..2].to_vec(), vec![P384[2]]),
        (Algorithm::Es512, P521[..2].to_vec(), vec![P521[2]]),
        (Algorithm::EdDsa, vec![ED25519[0]], vec![ED25519[1]]),
    ];
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        pairs.push((algorithm, vec![SECRET], vec![SECRET]));
    }
    for algorithm in RSA {
        pairs.push((
            algorithm,
            vec![RSA_PRIVATE, RSA_PRIVATE_PKCS1],
            vec![RSA_PUBLIC, RSA_PUBLIC_PKCS1, RSA_CERTIFICATE],
        ));
    }
    pairs
}

fn header(algorithm: Algorithm) -> String {
    format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#)
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_no_other_does() {
    let pairs = pairs();
    assert_eq!(pairs.len(), Algorithm::ALL.len());
    for (algorithm, signing, verifying) in &pairs {
        for private in signing {
            let token = sign(private, *algorithm, &header(*algorithm), r#"{"sub":"ada"}"#);
            for public in verifying {
                let own = keys(&[public], &[*algorithm]);
                assert!(verify(&own, &token).is_ok(), "{algorithm}");
            }
            for (other, _, verifying) in &pairs {
                if other != algorithm {
                    let others = keys(&verifying[..1], &[*other]);
                    let refused = verify(&others, &token).unwrap_err();
                    assert_eq!(refused, Refusal::WrongAlgorithm, "{algorithm} by {other}");
                }
            }
        }
    }
}

#[test]
fn a_key_serves_only_the_algorithms_of_its_own_family() {
    for (algorithm, signing, verifying) in pairs() {
        for other in Algorithm::ALL {
            if other.family() == algorithm.family() {
                continue;
            }
            let mut keys = VerificationKeys::new(&[other]);
            let text = KeyText::from(verifying[0]);
            assert!(
                keys.add(&text, SharedSecrets::Allowed).is_err(),
                "{algorithm} key for {other}"
            );
            assert!(keys.is_empty());
            let text = KeyText::from(signing[0]);
            assert!(
                SigningKey::read(&text, other).is_err(),
                "{algorithm} key for {other}"
            );
        }
    }
}

#[test]
fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    // The attack of RFC 8725 §2.1: whoever knows the public key signs an HMAC with its text.
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, RSA_PUBLIC.as_bytes());
    let signed = parts(br#"{"alg":"HS256"}"#, br#"{"sub":"admin"}"#, b"");
    let signed = signed.trim_end_matches('.');
    let tag = aws_lc_rs::hmac::sign(&hmac, signed.as_bytes());
    let token = format!("{signed}.{}", base64url::encode(tag.as_ref()));
    let rsa = keys(&[RSA_PUBLIC], &RSA);
    assert_eq!(verify(&rsa, &token).unwrap_err(), Refusal::WrongAlgorithm);
    // And where a program allows both, there is no secret to verify it with.
    let both = keys(&[RSA_PUBLIC], &[Algorithm::Rs256, Algorithm::Hs256]);
    assert_eq!(verify(&both, &token).unwrap_err(), Refusal::UnknownKey);
    let both = keys(&[RSA_PUBLIC, SECRET], &[Algorithm::Rs256, Algorithm::Hs256]);
    assert_eq!(verify(&both, &token).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn what_looks_like_a_key_is_no_secret() {
    let jwk = r#" {"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
    let broken = r#"{"kty":"#;
    let set = r#"{"keys":[]}"#;
    let der = super::super::pem::read(RSA_PUBLIC).unwrap().der;
    let ssh = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB";
    for text in [
        RSA_PUBLIC,
        RSA_CERTIFICATE,
        P256[2],
        RSA_PRIVATE,
        jwk,
        broken,
        set,
        ssh,
    ] {
        refused_key(text, Algorithm::Hs256);
        assert!(SigningKey::read(&KeyText::from(text), Algorithm::Hs256).is_err());
    }
    let der = KeyText::from(der.as_slice());
    assert!(SigningKey::read(&der, Algorithm::Hs256).is_err());
    // A secret may begin with a brace all the same.
    for secret in ["{}", "{x9!kty", r#"{"a":1}"#] {
        assert!(!keys(&[secret], &[Algorithm::Hs256]).is_empty());
    }
}

#[test]
fn keys_that_are_unfit_say_why() {
    for (text, algorithm, why) in [
        ("", Algorithm::Hs256, "found an empty text"),
        (
            "just a word",
            Algorithm::Rs256,
            "expected a public key in PEM or JSON for RS256",
        ),
        (
            RSA_1024,
            Algorithm::Rs256,
            "1024 bits; expected 2048 or more",
        ),
        (RSA_PRIVATE, Algorithm::Rs256, "is a private key"),
        (P256[0], Algorithm::Es256, "is a private key"),
        (
            SECP256K1,
            Algorithm::Es256,
            "is no RSA, P-256, P-384, P-521 or Ed25519 key",
        ),
        (
            P384[2],
            Algorithm::Es256,
            "is an EC key on P-384, which cannot verify ES256",
        ),
        (
            RSA_PUBLIC,
            Algorithm::Hs256,
            "is an RSA key, which cannot verify HS256",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA",
            Algorithm::Rs256,
            "does not end",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----",
            Algorithm::Rs256,
            "not base64",
        ),
    ] {
        let found = refused_key(text, algorithm);
        assert!(found.contains(why), "{text}: {found}");
    }
}

#[test]
fn keys_in_json_that_are_unfit_say_why() {
    for (text, algorithm, why) in [
        (r#"{"kty":"oct","k":""}"#, Algorithm::Hs256, "empty secret"),
        (
            r#"{"kty":"oct","k":"a="}"#,
            Algorithm::Hs256,
            "is not base64url",
        ),
        (r#"{"kty":"oct"}"#, Algorithm::Hs256, "lacks the member k"),
        (
            r#"{"kty":"oct","k":"AAAA","kty":"oct"}"#,
            Algorithm::Hs256,
            "two members",
        ),
        (
            r#"{"kty":"oct","k":"AAAA","use":"enc"}"#,
            Algorithm::Hs256,
            "its own use",
        ),
        (
            r#"{"kty":"oct","k":"AAAA","key_ops":["sign"]}"#,
            Algorithm::Hs256,
            "its own use, key_ops or alg",
        ),
        (
            r#"{"kty":"oct","k":"AAAA","alg":"HS384"}"#,
            Algorithm::Hs256,
            "or alg",
        ),
        (r#"{"kty":"oct","k":3}"#, Algorithm::Hs256, "is no JWK"),
        (
            r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#,
            Algorithm::Es256,
            "wrong length",
        ),
        (
            r#"{"kty":"OKP","crv":"X25519","x":"AAAA"}"#,
            Algorithm::EdDsa,
            "type or curve",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
            Algorithm::EdDsa,
            "is broken",
        ),
        (
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            Algorithm::Rs256,
            "17 bits; expected 2048 or more",
        ),
        (
            r#"{"keys":{}}"#,
            Algorithm::Hs256,
            "expected a list under keys",
        ),
        (r#"{"keys":[]}"#, Algorithm::Hs256, "without a key"),
        (
            r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"},{"kty":"RSA","kid":"a"}]}"#,
            Algorithm::Hs256,
            "two keys of the set have one kid",
        ),
    ] {
        let found = refused_key(text, algorithm);
        assert!(found.contains(why), "{text}: {found}");
    }
}

#[test]
fn signing_keys_that_are_unfit_say_why() {
    for (text, algorithm, why) in [
        ("", Algorithm::Hs256, "found an empty text"),
        (
            RSA_PUBLIC,
            Algorithm::Rs256,
            "is a public key, which cannot sign",
        ),
        (
            RSA_CERTIFICATE,
            Algorithm::Rs256,
            "is a public key, which cannot sign",
        ),
        (P256_ENCRYPTED, Algorithm::Es256, "without a passphrase"),
        (
            P384[1],
            Algorithm::Es256,
            "cannot be read as a private EC key on P-256 for ES256",
        ),
        (
            ED25519[0],
            Algorithm::Rs256,
            "cannot be read as a private RSA key",
        ),
        (
            RSA_PRIVATE,
            Algorithm::Hs256,
            "cannot be the secret of HS256",
        ),
        ("word", Algorithm::EdDsa, "expected a private key"),
        (
            r#"{"keys":[]}"#,
            Algorithm::Hs256,
            "give the one key to sign with",
        ),
        (
            r#"{"kty":"oct","k":"AAAA"}"#,
            Algorithm::Rs256,
            "is an HMAC secret",
        ),
    ] {
        let found = SigningKey::read(&KeyText::from(text), algorithm).unwrap_err();
        assert!(found.contains(why), "{text}: {found}");
    }
}

#[test]
fn a_broken_pair_does_not_sign() {
    // The halves belong to two pairs.
    let mixed = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"AAAAnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    assert!(SigningKey::read(&KeyText::from(mixed), Algorithm::Es256).is_err());
}

#[test]
fn a_secret_shorter_than_its_hash_is_weak() {
    let weak = |secret: &str, algorithm| {
        let mut keys = VerificationKeys::new(&[algorithm]);
        keys.add(&secret.into(), SharedSecrets::Allowed).unwrap()
    };
    assert_eq!(
        weak(&SECRET[..31], Algorithm::Hs256),
        Some(Algorithm::Hs256)
    );
    assert_eq!(weak(&SECRET[..32], Algorithm::Hs256), None);
    assert_eq!(
        weak(&SECRET[..47], Algorithm::Hs384),
        Some(Algorithm::Hs384)
    );
    assert_eq!(
        weak(&SECRET[..63], Algorithm::Hs512),
        Some(Algorithm::Hs512)
    );
    assert_eq!(weak(&SECRET[..64], Algorithm::Hs512), None);
    let signs = |secret: &str| SigningKey::read(&secret.into(), Algorithm::Hs256).unwrap();
    assert!(signs(&SECRET[..31]).is_weak() && !signs(&SECRET[..32]).is_weak());
}

/// A set of two secrets with names and one without.
const SET: &str = r#"{"keys":[
    {"kty":"oct","kid":"old","k":"b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"},
    {"kty":"oct","kid":"new","k":"bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"},
    {"kty":"unheard of","kid":"odd"},
    {"kid":"broken"},
    "no key"
]}"#;
const OLD: &str = "oldoldoldoldoldoldoldoldoldoldold";
const NEW: &str = "newnewnewnewnewnewnewnewnewnewnew";

#[test]
fn the_named_key_verifies_and_no_other_named_one() {
    let set = keys(&[SET], &[Algorithm::Hs256]);
    let token = |secret: &str, header: &str| sign(secret, Algorithm::Hs256, header, "{}");
    let found = |token: &str| verify(&set, token).map(drop);
    assert_eq!(found(&token(OLD, r#"{"alg":"HS256","kid":"old"}"#)), Ok(()));
    assert_eq!(found(&token(NEW, r#"{"alg":"HS256","kid":"new"}"#)), Ok(()));
    assert_eq!(found(&token(NEW, r#"{"alg":"HS256"}"#)), Ok(()));
    assert_eq!(
        found(&token(NEW, r#"{"alg":"HS256","kid":"old"}"#)),
        Err(Refusal::BadSignature)
    );
    assert_eq!(
        found(&token(NEW, r#"{"alg":"HS256","kid":"odd"}"#)),
        Err(Refusal::UnknownKey)
    );
}

#[test]
fn keys_without_a_name_are_tried_for_every_name() {
    let rotating = keys(&[SECRET, NEW], &[Algorithm::Hs256]);
    for secret in [SECRET, NEW] {
        let token = sign(
            secret,
            Algorithm::Hs256,
            r#"{"alg":"HS256","kid":"2024"}"#,
            "{}",
        );
        assert!(verify(&rotating, &token).is_ok());
    }
    let other = sign(OLD, Algorithm::Hs256, r#"{"alg":"HS256"}"#, "{}");
    assert_eq!(
        verify(&rotating, &other).unwrap_err(),
        Refusal::BadSignature
    );
}

#[test]
fn secrets_are_not_taken_from_where_they_could_be_fetched() {
    let mut keys = VerificationKeys::new(&[Algorithm::Hs256]);
    let refused = keys.add(&KeyText::from(SET), SharedSecrets::Refused);
    assert!(
        refused
            .unwrap_err()
            .contains("which is not taken from there")
    );
    assert!(keys.is_empty());
}

#[test]
fn nothing_prints_a_key() {
    let text = KeyText::from(SECRET);
    let verifying = keys(&[SECRET], &[Algorithm::Hs256]);
    let signing = SigningKey::read(&text, Algorithm::Hs256).unwrap();
    for printed in [
        format!("{text:?}"),
        format!("{verifying:?}"),
        format!("{signing:?}"),
        format!("{:?}", verify(&verifying, &hs256(r#"{"a":"payload"}"#))),
    ] {
        assert!(
            !printed.contains("0123") && !printed.contains("payload"),
            "{printed}"
        );
    }
    for bad in [
        "{\"kty\":\"oct\",\"k\":\"hidden!\"}",
        "-----BEGIN hidden",
        "{\"kty\":\"hidden\"}",
    ] {
        assert!(!refused_key(bad, Algorithm::Hs256).contains("hidden"));
    }
}

/// A JWK of the RSA modulus of these tests with another exponent.
fn rsa_with_exponent(exponent: &[u8]) -> String {
    let der = super::super::pem::read(RSA_PUBLIC_PKCS1).unwrap().der;
    // SEQUENCE of an INTEGER with 257 bytes, the first of which is zero.
    let modulus = base64url::encode(&der[9..9 + 256]);
    let exponent = base64url::encode(exponent);
    format!(r#"{{"kty":"RSA","n":"{modulus}","e":"{exponent}"}}"#)
}

#[test]
fn an_rsa_key_without_a_sound_exponent_is_refused() {
    let token = sign(
        RSA_PRIVATE,
        Algorithm::Rs256,
        &header(Algorithm::Rs256),
        "{}",
    );
    let sound = keys(&[&rsa_with_exponent(&[1, 0, 1])], &[Algorithm::Rs256]);
    assert!(verify(&sound, &token).is_ok());
    let padded = keys(&[&rsa_with_exponent(&[0, 1, 0, 1])], &[Algorithm::Rs256]);
    assert!(verify(&padded, &token).is_ok());
    // With 1 every signature is its own message.
    for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[3, 0, 0, 0, 0, 1]] {
        let refused = refused_key(&rsa_with_exponent(exponent), Algorithm::Rs256);
        assert!(
            refused.contains("is no valid RSA key"),
            "{exponent:?}: {refused}"
        );
    }
}

#[test]
fn a_point_that_is_not_on_its_curve_is_no_key() {
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    for (x, y) in [
        (x, x),
        (x, &"A".repeat(43)),
        (&"A".repeat(43), &"A".repeat(43)),
    ] {
        let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
        let refused = refused_key(&jwk, Algorithm::Es256);
        assert!(refused.contains("is no valid EC key on P-256"), "{refused}");
    }
}

#[test]
fn signatures_that_need_no_key_do_not_verify() {
    for (algorithm, public, size) in [
        (Algorithm::Es256, P256[2], 64),
        (Algorithm::Es384, P384[2], 96),
        (Algorithm::Es512, P521[2], 132),
        (Algorithm::EdDsa, ED25519[1], 64),
        (Algorithm::Rs256, RSA_PUBLIC, 256),
        (Algorithm::Ps256, RSA_PUBLIC, 256),
        (Algorithm::Hs256, SECRET, 32),
    ] {
        let own = keys(&[public], &[algorithm]);
        for signature in [
            vec![0; size],
            vec![0xff; size],
            vec![],
            vec![0; size - 1],
            vec![0; 1024],
        ] {
            let token = parts(header(algorithm).as_bytes(), b"{}", &signature);
            let refused = verify(&own, &token).unwrap_err();
            assert_eq!(refused, Refusal::BadSignature, "{algorithm}");
        }
    }
}

#[test]
fn a_signature_of_ecdsa_in_der_is_refused() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

    let der = super::super::pem::read(P256[1]).unwrap().der;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
    let signed = parts(header(Algorithm::Es256).as_bytes(), b"{}", b"");
    let message = signed.trim_end_matches('.');
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let token = format!("{message}.{}", base64url::encode(signature.as_ref()));
    let own = keys(&[P256[2]], &[Algorithm::Es256]);
    assert_eq!(verify(&own, &token).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn there_are_at_most_so_many_keys() {
    let set = |count: usize| {
        let keys: Vec<_> = (0..count)
            .map(|id| format!(r#"{{"kty":"oct","kid":"{id}","k":"AAAA"}}"#))
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    };
    keys(&[&set(128)], &[Algorithm::Hs256]);
    let refused = refused_key(&set(129), Algorithm::Hs256);
    assert!(refused.contains("at most 128 keys"), "{refused}");
}

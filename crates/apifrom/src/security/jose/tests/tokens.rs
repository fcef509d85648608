//! What a token must look like.

use proptest::prelude::*;

use super::*;

fn parse(token: &str) -> Result<Algorithm, Refusal> {
    let mut scratch = Scratch::new();
    Token::parse(token.as_bytes(), &mut scratch).map(|token| token.algorithm())
}

fn parse_header(header: &str) -> Result<Algorithm, Refusal> {
    parse(&parts(header.as_bytes(), b"{}", b"signature"))
}

#[test]
fn a_header_that_is_known_by_heart_says_what_reading_it_would() {
    let read = |header: &str| {
        let text = format!("{}.e30.AA", base64url::encode(header.as_bytes()));
        let mut scratch = Scratch::new();
        let token = Token::parse(text.as_bytes(), &mut scratch).unwrap();
        let [key_id, kind] = [token.key_id(), token.kind()].map(|text| text.map(str::to_owned));
        (token.algorithm(), key_id, kind)
    };
    for algorithm in Algorithm::ALL {
        let alg = algorithm.as_str();
        for known in [
            format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#),
            format!(r#"{{"typ":"JWT","alg":"{alg}"}}"#),
            format!(r#"{{"alg":"{alg}"}}"#),
        ] {
            let spaced = format!(" {known}");
            assert_eq!(read(&known), read(&spaced), "{known}");
            assert_eq!(read(&known).0, algorithm);
        }
    }
}

#[test]
fn names_of_algorithms_are_exact_and_none_is_none() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        assert_eq!(
            parse_header(&format!(r#"{{"alg":"{algorithm}"}}"#)),
            Ok(algorithm)
        );
    }
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "hs256",
        "HS256 ",
        "HS1",
        "ES256K",
        "Ed25519",
        "ED25519",
        "RS1",
        "HS256\\u0000",
    ] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        assert_eq!(
            parse_header(&header),
            Err(Refusal::UnknownAlgorithm),
            "{name}"
        );
    }
    assert!(
        "none"
            .parse::<Algorithm>()
            .unwrap_err()
            .to_string()
            .contains("never accepted")
    );
    assert!(
        "hs256"
            .parse::<Algorithm>()
            .unwrap_err()
            .to_string()
            .contains("found \"hs256\"")
    );
    // The one spelling may be written with escapes.
    assert_eq!(
        parse_header(r#"{"alg":"\u0048S256"}"#),
        Ok(Algorithm::Hs256)
    );
}

#[test]
fn a_header_that_is_no_header_is_malformed() {
    for header in [
        "",
        "{",
        "null",
        "[]",
        r#"["HS256"]"#,
        r#"["HS256",null,null,null,null]"#,
        r#""HS256""#,
        "{}",
        r#"{"alg":null}"#,
        r#"{"alg":256}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"ALG":"HS256"}"#,
        r#"{"alg":"HS256"}x"#,
        r#"{"alg":"HS256",}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","typ":{}}"#,
        r#"{"alg":"HS256","x":NaN}"#,
        r#"{"alg":"HS256","crit":"b64"}"#,
        r#"{"alg":"HS256","crit":[1]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","crit":{}}"#,
        r#"{"alg":"HS256","b64":"true"}"#,
        r#"{"alg":"HS256","b64":null}"#,
    ] {
        assert_eq!(parse_header(header), Err(Refusal::Malformed), "{header}");
    }
    let deep = format!(
        r#"{{"alg":"HS256","x":{}{}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    assert_eq!(parse_header(&deep), Err(Refusal::Malformed));
    let bom = "\u{feff}{\"alg\":\"HS256\"}";
    assert_eq!(parse_header(bom), Err(Refusal::Malformed));
}

#[test]
fn what_is_critical_and_not_understood_is_refused() {
    for crit in [
        r#""crit":[]"#,
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["alg"]"#,
        r#""crit":["kid"],"kid":"a""#,
        r#""crit":["b64"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false"#,
        r#""crit":["b64","b64"],"b64":true"#,
        r#""crit":["b64","x"],"b64":true,"x":1"#,
    ] {
        let header = format!(r#"{{"alg":"HS256",{crit}}}"#);
        assert_eq!(
            parse_header(&header),
            Err(Refusal::CriticalHeader),
            "{crit}"
        );
    }
    for harmless in [r#""b64":true"#, r#""crit":["b64"],"b64":true"#] {
        let header = format!(r#"{{"alg":"HS256",{harmless}}}"#);
        assert_eq!(parse_header(&header), Ok(Algorithm::Hs256), "{harmless}");
    }
}

#[test]
fn keys_inside_the_token_are_never_used() {
    let own = r#"{"kty":"oct","k":"bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"}"#;
    let secret = "newnewnewnewnewnewnewnewnewnewnew";
    for member in [
        format!(r#""jwk":{own}"#),
        r#""jku":"https://attacker.example/keys""#.to_owned(),
        r#""x5u":"https://attacker.example/cert""#.to_owned(),
        format!(r#""x5c":["{}"]"#, "A".repeat(1500)),
    ] {
        let header = format!(r#"{{"alg":"HS256",{member}}}"#);
        let keys = keys(&[SECRET], &[Algorithm::Hs256]);
        let attack = sign(secret, Algorithm::Hs256, &header, "{}");
        assert_eq!(verify(&keys, &attack).unwrap_err(), Refusal::BadSignature);
        // Their presence alone refuses nothing.
        let honest = sign(SECRET, Algorithm::Hs256, &header, "{}");
        assert!(verify(&keys, &honest).is_ok(), "{member}");
    }
}

#[test]
fn a_token_is_three_parts_of_canonical_base64url() {
    let good = hs256(r#"{"sub":"ada"}"#);
    let keys = keys(&[SECRET], &[Algorithm::Hs256]);
    assert!(verify(&keys, &good).is_ok());
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header} .{payload}.{signature}"),
        format!(" {good}"),
    ] {
        assert_eq!(
            verify(&keys, &bad).unwrap_err(),
            Refusal::Malformed,
            "{bad}"
        );
    }
    for bad in [
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{good}\n"),
        format!("{header}.{payload}.+{}", &signature[1..]),
        format!("{header}.{payload}./{}", &signature[1..]),
        format!("{header}.{payload}.{}", "A".repeat(4000)),
    ] {
        assert_eq!(
            verify(&keys, &bad).unwrap_err(),
            Refusal::BadSignature,
            "{bad}"
        );
    }
    // 43 characters stand for 256 bits and two more, which must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let twin = &alphabet[place + 1..place + 2];
    let other = format!("{header}.{payload}.{}{twin}", &signature[..42]);
    assert_eq!(verify(&keys, &other).unwrap_err(), Refusal::BadSignature);
}

#[test]
fn a_signature_of_the_right_key_does_not_excuse_a_payload() {
    let keys = keys(&[SECRET], &[Algorithm::Hs256]);
    for payload in [
        "",
        "null",
        "[]",
        r#""text""#,
        "{",
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        "{}x",
        r#"{"a":Infinity}"#,
        r#"{"a":"\ud800"}"#,
        "\u{feff}{}",
    ] {
        let refused = verify(&keys, &hs256(payload)).unwrap_err();
        assert_eq!(refused, Refusal::MalformedClaims, "{payload}");
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(
        verify(&keys, &hs256(&deep)).unwrap_err(),
        Refusal::MalformedClaims
    );
    // Signed as it stands, but with a payload in a second spelling.
    let key = SigningKey::read(&SECRET.into(), Algorithm::Hs256).unwrap();
    let token = key.token(br#"{"alg":"HS256"}"#, b"{}").unwrap();
    assert!(verify(&keys, &token).is_ok());
}

#[test]
fn a_token_has_a_longest_length() {
    let keys = keys(&[SECRET], &[Algorithm::Hs256]);
    let token = |length: usize| hs256(&format!(r#"{{"a":"{}"}}"#, "x".repeat(length)));
    let overhead = token(0).len();
    let fits = (crate::security::jose::MAX_TOKEN - overhead) / 4 * 3;
    assert!(verify(&keys, &token(fits)).is_ok());
    let longer = token(fits + 4);
    assert!(longer.len() > crate::security::jose::MAX_TOKEN);
    assert_eq!(verify(&keys, &longer).unwrap_err(), Refusal::TooLarge);
}

#[test]
fn the_media_type_is_read_without_its_prefix() {
    for (typ, kind) in [
        ("at+jwt", "at+jwt"),
        ("application/at+jwt", "at+jwt"),
        ("Application/AT+JWT", "AT+JWT"),
        ("JWT", "JWT"),
        ("aaaaaaaaaaa\u{e9}n", "aaaaaaaaaaa\u{e9}n"),
    ] {
        let token = parts(
            format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#).as_bytes(),
            b"",
            b"",
        );
        let mut scratch = Scratch::new();
        let token = Token::parse(token.as_bytes(), &mut scratch).unwrap();
        assert_eq!(token.kind(), Some(kind));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut scratch = Scratch::new();
        prop_assert!(Token::parse(&bytes, &mut scratch).is_err());
    }

    #[test]
    fn arbitrary_parts_are_refused_without_a_panic(
        header in r#"\{"alg":"(HS256|none|RS256)"(,"(kid|crit|b64|typ)":[\[\]"a-z0-9]{0,8})?\}"#,
        payload in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let keys = keys(&[SECRET], &[Algorithm::Hs256]);
        prop_assert!(verify(&keys, &parts(header.as_bytes(), &payload, &signature)).is_err());
    }

    #[test]
    fn arbitrary_signed_payloads_are_judged_without_a_panic(payload in ".{0,80}") {
        let _ = judge(&Rules::default(), &payload, 0);
    }

    #[test]
    fn a_changed_byte_is_noticed(place in 0_usize..1000, bit in 0_u8..7) {
        let keys = keys(&[SECRET], &[Algorithm::Hs256]);
        let mut token = hs256(r#"{"sub":"ada","exp":4102444800}"#).into_bytes();
        let place = place % token.len();
        token[place] ^= 1 << bit;
        let token = String::from_utf8(token).unwrap();
        prop_assert!(verify(&keys, &token).is_err());
    }
}

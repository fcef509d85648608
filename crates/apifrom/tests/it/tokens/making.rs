//! Makes the tokens that `tests/vectors/tokens.json` describes. The twin of `tests/tokens.py`.

use std::path::Path;
use std::time::SystemTime;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use aws_lc_rs::{hmac, signature::RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The table.
pub(super) struct Table(Value);

impl Table {
    pub(super) fn read() -> Self {
        Self(serde_json::from_str(&text_of("tests/vectors/tokens.json")).unwrap())
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["routes"].as_object().unwrap().iter()
    }

    pub(super) fn declarations(&self) -> impl Iterator<Item = &Value> {
        self.0["declarations"].as_array().unwrap().iter()
    }

    /// The cases, one for each route.
    pub(super) fn cases(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for case in self.0["cases"].as_array().unwrap() {
            let routes = match &case["route"] {
                Value::Null => vec![json!("/HS256")],
                Value::Array(routes) => routes.clone(),
                one => vec![one.clone()],
            };
            for route in routes {
                let mut one = case.clone();
                let name = format!("{}: {}", text(&route), text(&case["name"]));
                one["name"] = name.into();
                one["route"] = route;
                found.push(one);
            }
        }
        found
    }

    /// A key as a program gives it to what verifies.
    pub(super) fn verifying(&self, name: &Value) -> String {
        let key = &self.0["keys"][text(name)];
        match key["text"].as_str() {
            Some(text) => text.to_owned(),
            None => text_of(text(&key["public"])),
        }
    }

    /// The token of a case; `now` in seconds since the epoch.
    pub(super) fn token(&self, case: &Value, now: u64, canary: &str) -> String {
        let route = &self.0["routes"][text(&case["route"])];
        let sign = case.get("sign").cloned().unwrap_or_else(|| {
            let own = route["algorithm"].get(0).unwrap_or(&route["algorithm"]);
            json!({"with": own, "key": route["secret"]})
        });
        let algorithm = text(&sign["with"]);
        let header = case.get("header").cloned();
        let header = header.unwrap_or_else(|| json!({"alg": algorithm}));
        let claims = case.get("claims").cloned();
        let claims = claims.unwrap_or_else(|| json!({"sub": "ada", "exp": "@+600"}));
        let part = |given| URL_SAFE_NO_PAD.encode(self.part(case, given, now, canary));
        let mut parts = Parts {
            header: part(&header),
            payload: part(&claims),
            signature: String::new(),
        };
        parts.change(&case["spell"]);
        let signed = format!("{}.{}", parts.header, parts.payload);
        parts.signature = URL_SAFE_NO_PAD.encode(self.signature(&sign, signed.as_bytes()));
        parts.change(&case["change"]);
        let template = case["template"].as_str();
        template
            .unwrap_or("{header}.{payload}.{signature}")
            .replace("{header}", &parts.header)
            .replace("{payload}", &parts.payload)
            .replace("{signature}", &parts.signature)
    }

    fn part(&self, case: &Value, given: &Value, now: u64, canary: &str) -> Vec<u8> {
        let expand = |text: &str| expand(text, now).replace("{canary}", canary);
        if let Some(text) = given["latin1"].as_str() {
            let bytes = expand(text);
            return bytes
                .chars()
                .map(|one| u8::try_from(one).unwrap())
                .collect();
        }
        if let Some(text) = given["utf16"].as_str() {
            return text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        }
        if given.get("nested").is_some() {
            let inner = json!({"route": case["route"]});
            return self.token(&inner, now, canary).into_bytes();
        }
        match given.as_str() {
            Some(text) => expand(text).into_bytes(),
            None => expand(&given.to_string()).into_bytes(),
        }
    }

    fn signature(&self, sign: &Value, message: &[u8]) -> Vec<u8> {
        let algorithm = text(&sign["with"]);
        let mac = match algorithm {
            "HS256" => Some(hmac::HMAC_SHA256),
            "HS384" => Some(hmac::HMAC_SHA384),
            "HS512" => Some(hmac::HMAC_SHA512),
            _ => None,
        };
        if let Some(mac) = mac {
            let key = hmac::Key::new(mac, &self.secret(sign));
            return hmac::sign(&key, message).as_ref().to_vec();
        }
        let key = decode_pem(&text_of(text(
            &self.0["keys"][text(&sign["key"])]["private"],
        )));
        let random = SystemRandom::new();
        let curve = match algorithm {
            "EdDSA" => {
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key).unwrap();
                return key.sign(message).as_ref().to_vec();
            }
            "ES256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            "ES384" => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            "ES512" => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            _ => {
                let key = RsaKeyPair::from_pkcs8(&key).unwrap();
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(padding(algorithm), &random, message, &mut signed)
                    .unwrap();
                return signed;
            }
        };
        let key = EcdsaKeyPair::from_pkcs8(curve, &key).unwrap();
        key.sign(&random, message).unwrap().as_ref().to_vec()
    }

    fn secret(&self, sign: &Value) -> Vec<u8> {
        if let Some(name) = sign["key"].as_str() {
            return text(&self.0["keys"][name]["text"]).as_bytes().to_vec();
        }
        let (form, value) = sign["hmac"].as_object().unwrap().iter().next().unwrap();
        let value = text(value);
        match form.as_str() {
            "text" => value.as_bytes().to_vec(),
            "base64url" => URL_SAFE_NO_PAD.decode(value).unwrap(),
            "file" => text_of(value).into_bytes(),
            "trimmed" => text_of(value).trim().as_bytes().to_vec(),
            "der" => decode_pem(&text_of(value)),
            other => panic!("{other} is no form of a secret"),
        }
    }
}

/// The encoded parts of a token.
struct Parts {
    header: String,
    payload: String,
    signature: String,
}

impl Parts {
    fn change(&mut self, steps: &Value) {
        for step in steps.as_array().into_iter().flatten() {
            let part = match text(&step[0]) {
                "header" => &mut self.header,
                "payload" => &mut self.payload,
                "signature" => &mut self.signature,
                other => panic!("{other} is no part of a token"),
            };
            let changed = changed(part, text(&step[1]), &step[2], &step[3]);
            assert_ne!(*part, changed, "{step}");
            *part = changed;
        }
    }
}

/// Changes the text where that is what is wrong with it, else the bytes in it.
fn changed(part: &str, kind: &str, first: &Value, second: &Value) -> String {
    match kind {
        "clear" => String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap(),
        "pad" => format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4)),
        "insert" => {
            let place = first.as_i64().unwrap();
            let place = usize::try_from(place).unwrap_or(part.len());
            format!("{}{}{}", &part[..place], text(second), &part[place..])
        }
        "trailing bits" => {
            assert!(matches!(part.len() % 4, 2 | 3));
            let (rest, last) = part.split_at(part.len() - 1);
            let place = ALPHABET.iter().position(|one| [*one] == *last.as_bytes());
            format!("{rest}{}", char::from(ALPHABET[place.unwrap() + 1]))
        }
        "other alphabet" => part.replace('-', "+").replace('_', "/"),
        _ => {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            URL_SAFE_NO_PAD.encode(changed_bytes(bytes, kind, first))
        }
    }
}

fn changed_bytes(mut bytes: Vec<u8>, kind: &str, value: &Value) -> Vec<u8> {
    let half = bytes.len() / 2;
    let zeros = vec![0; half];
    let (first, second) = bytes.split_at(half);
    match kind {
        "text" => text(value).as_bytes().to_vec(),
        "set" => hex(value),
        "empty" => Vec::new(),
        "zero" => vec![0; bytes.len()],
        "ones" => vec![0xff; bytes.len()],
        "cut" => {
            let length = value.as_i64().unwrap();
            bytes.truncate(usize::try_from(length).unwrap_or(bytes.len() - 1));
            bytes
        }
        "append" => [bytes, hex(value)].concat(),
        "prepend" => [hex(value), bytes].concat(),
        "flip" => {
            match bytes.as_mut_slice() {
                [first, ..] if *value == 0 => *first ^= 0x80,
                [.., last] => *last ^= 1,
                [] => {}
            }
            bytes
        }
        "double" => bytes.repeat(2),
        "swap" => [second, first].concat(),
        "widen" => [&[0], first, &[0], second].concat(),
        "zero first half" => [&zeros, second].concat(),
        "zero second half" => [first, &zeros].concat(),
        "one and one" => {
            let mut one = zeros;
            *one.last_mut().unwrap() = 1;
            one.repeat(2)
        }
        "spaced" => [&bytes[..], b" "].concat(),
        "der" => der(first, second),
        "add order" => [first, &sum(second, &hex(value))].concat(),
        other => panic!("{other} is no change"),
    }
}

/// The sum of two numbers of equal length, their lowest bytes first.
fn sum(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let added = one.iter().zip(other).map(|(one, other)| {
        let sum = u16::from(*one) + u16::from(*other) + carry;
        carry = sum >> 8;
        u8::try_from(sum & 0xff).unwrap()
    });
    let added = added.collect();
    assert_eq!(carry, 0);
    added
}

/// A signature of ECDSA as RFC 3279 §2.2.3 writes it.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    for number in [r, s] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut content = number[zeros..].to_vec();
        if content[0] & 0x80 != 0 {
            content.insert(0, 0);
        }
        numbers.extend([2, u8::try_from(content.len()).unwrap()]);
        numbers.extend(content);
    }
    let length = u8::try_from(numbers.len()).unwrap();
    let mut sequence = vec![0x30];
    if length > 127 {
        sequence.push(0x81);
    }
    sequence.push(length);
    sequence.extend(numbers);
    sequence
}

fn padding(algorithm: &str) -> &'static dyn RsaEncoding {
    match algorithm {
        "RS256" => &signature::RSA_PKCS1_SHA256,
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        "PS512" => &signature::RSA_PSS_SHA512,
        other => panic!("{other} is no algorithm"),
    }
}

/// Puts in what only the run knows, and what is too long to be written down.
fn expand(text: &str, now: u64) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once("\"@") {
        let (mark, after) = marked.split_once('"').unwrap();
        expanded.push_str(before);
        if let Some(times) = mark.strip_prefix("long ") {
            expanded.push('"');
            expanded.push_str(&"a".repeat(times.parse().unwrap()));
            expanded.push('"');
        } else if let Some(times) = mark.strip_prefix("deep ") {
            let times = times.parse().unwrap();
            expanded.push_str(&"[".repeat(times));
            expanded.push_str(&"]".repeat(times));
        } else {
            let (seconds, fraction) = mark.split_once('.').unwrap_or((mark, ""));
            let seconds = i64::try_from(now).unwrap() + seconds.parse::<i64>().unwrap();
            expanded.push_str(&seconds.to_string());
            if !fraction.is_empty() {
                expanded.push('.');
                expanded.push_str(fraction);
            }
        }
        rest = after;
    }
    expanded + rest
}

pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn text_of(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

fn decode_pem(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = text(value).as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

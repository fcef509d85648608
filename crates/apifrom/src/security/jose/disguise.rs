//! Keys of a pair in forms that are not read, told from shared secrets.
//!
//! What is public makes no secret, or everybody could sign (RFC 8725 §2.1). No secret is therefore:
//! 1. A public key or a certificate in DER.
//! 2. JSON that holds a JWK somewhere: in a list, behind a byte order mark, without `kty`.
//! 3. Either of them, PEM, or a key of OpenSSH, in base64, base64url or hexadecimal digits, however
//!    the lines are broken.
//!
//! Random bytes and their spellings are none of these: each asks for several bytes in their places.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use super::key::family_of;
use super::pem;

/// Either alphabet is brought to this one, and its padding left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    NO_PAD.with_decode_allow_trailing_bits(true),
);

/// What `text` is, where it is such a key.
pub(super) fn of(text: &[u8]) -> Option<&'static str> {
    if is_public_der(text) {
        return Some("is a public key in DER; give it in PEM");
    }
    let text = bare(text);
    if is_key_text(&text) {
        return Some("is a key in a form that is not read; give it in PEM or as a JWK");
    }
    let hides_a_key =
        |found: Zeroizing<Vec<u8>>| is_public_bytes(&found) || is_key_text(&bare(&found));
    if spelled(&text).into_iter().flatten().any(hides_a_key) {
        return Some("is a public key in base64 or the like; give it in PEM");
    }
    None
}

fn is_public_der(der: &[u8]) -> bool {
    family_of(der).is_some() || pem::is_key_info(der) || pem::certified_key(der).is_some()
}

/// DER, or what OpenSSH writes in base64: the length of a name, and the name (RFC 4253 §6.6).
fn is_public_bytes(bytes: &[u8]) -> bool {
    is_public_der(bytes)
        || matches!(bytes, [0, 0, 0, _, name @ ..]
            if name.starts_with(b"ssh-") || name.starts_with(b"ecdsa-") || name.starts_with(b"sk-"))
}

fn is_key_text(text: &[u8]) -> bool {
    pem::looks_like_a_key(text) || is_json_key(text)
}

fn is_json_key(text: &[u8]) -> bool {
    if !matches!(text, [b'{' | b'[', ..]) {
        return false;
    }
    // Python shows a dict with quotation marks of the other kind.
    let names = [&b"\"kty\""[..], b"'kty'", b"\"keys\"", b"'keys'"];
    names
        .iter()
        .any(|name| memchr::memmem::find(text, name).is_some())
        || serde_json::from_slice(text).is_ok_and(|value| holds_a_key(&value))
}

fn holds_a_key(value: &Value) -> bool {
    match value {
        Value::Array(listed) => listed.iter().any(holds_a_key),
        Value::Object(members) => {
            let has = |name| members.get(name).is_some_and(Value::is_string);
            members.contains_key("kty")
                || members.contains_key("keys")
                || has("n") && has("e")
                || has("x") && (has("crv") || has("y"))
                || members.values().any(holds_a_key)
        }
        Value::String(text) => spelled(text.as_bytes())
            .into_iter()
            .flatten()
            .any(|found| is_public_bytes(&found)),
        _ => false,
    }
}

/// Without what stands around it: a byte order mark, white space, quotation marks, and the zeros of
/// UTF-16.
fn bare(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let marks = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"];
    let mut rest = text;
    while let Some(after) = marks.iter().find_map(|mark| rest.strip_prefix(*mark)) {
        rest = after;
    }
    let mut found = Zeroizing::new(Vec::with_capacity(rest.len()));
    found.extend(rest.iter().copied().filter(|byte| *byte != 0));
    let is_around = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'');
    let end = found.iter().rposition(|byte| !is_around(byte));
    found.truncate(end.map_or(0, |end| end + 1));
    let start = found.iter().position(|byte| !is_around(byte));
    found.drain(..start.unwrap_or_default());
    found
}

/// The bytes that `text` spells in base64, and in hexadecimal digits.
fn spelled(text: &[u8]) -> [Option<Zeroizing<Vec<u8>>>; 2] {
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            // A line break that was written out.
            b'\\' if matches!(bytes.peek(), Some(b'n' | b'r')) => {
                bytes.next();
            }
            b'=' | b':' | b'"' | b'\'' => {}
            b'-' => digits.push(b'+'),
            b'_' => digits.push(b'/'),
            byte if byte.is_ascii_whitespace() => {}
            byte => digits.push(byte),
        }
    }
    let base64 = BASE64.decode(&*digits).ok().map(Zeroizing::new);
    [base64, from_hex(&digits)]
}

fn from_hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let mut found = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks(2) {
        let [high, low] = pair else { return None };
        found.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(found)
}

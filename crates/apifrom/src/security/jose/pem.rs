//! Keys in PEM (RFC 7468): one labelled block of base64, with anything around it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block.
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// True when `text` can be meant as PEM, or as a key of OpenSSH, and so for no shared secret.
pub(super) fn looks_like_a_key(text: &[u8]) -> bool {
    let begins = |with: &[u8]| text.trim_ascii_start().starts_with(with);
    memchr::memmem::find(text, b"-----BEGIN").is_some()
        || begins(b"ssh-")
        || begins(b"ecdsa-sha2-")
        || names_a_key(text)
}

/// True where a key is announced as PEM does it, whatever the case and the dashes.
fn names_a_key(text: &[u8]) -> bool {
    /// The longest label, and some room.
    const LABEL: usize = 40;

    let text = Zeroizing::new(text.to_ascii_lowercase());
    let holds = |text: &[u8], word: &str| memchr::memmem::find(text, word.as_bytes()).is_some();
    ["begin ", "-end "].iter().any(|mark| {
        memchr::memmem::find_iter(&text, mark).any(|at| {
            let label = text.get(at + mark.len()..).unwrap_or_default();
            let label = label.get(..LABEL).unwrap_or(label);
            ["public key", "private key", "certificate"]
                .iter()
                .any(|word| holds(label, word))
        })
    })
}

/// The one key in `text`.
pub(super) fn read(text: &str) -> Result<Block<'_>, String> {
    let mut rest = text;
    let mut found = None;
    while let Some((block, after)) = next(rest)? {
        rest = after;
        // OpenSSL writes the curve in a block of its own before the key.
        if block.label == "EC PARAMETERS" {
            continue;
        }
        if found.replace(block).is_some() {
            return Err("holds several keys in PEM; give one text for each".to_owned());
        }
    }
    found.ok_or_else(|| "is no PEM: the block does not begin or end as it should".to_owned())
}

/// The first block of `text`, and what follows it.
fn next(text: &str) -> Result<Option<(Block<'_>, &str)>, String> {
    let Some((_, rest)) = text.split_once("-----BEGIN ") else {
        return Ok(None);
    };
    let parts = rest.split_once("-----").and_then(|(label, rest)| {
        let end = format!("-----END {label}-----");
        let (body, after) = rest.split_once(end.as_str())?;
        Some((label, body, after))
    });
    let Some((label, body, after)) = parts else {
        return Err("is broken PEM: a block does not end".to_owned());
    };
    if body.contains(':') {
        return Err(format!(
            "is an encrypted {label}; give it without a passphrase"
        ));
    }
    let mut digits = Zeroizing::new(Vec::with_capacity(body.len()));
    digits.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let der = STANDARD
        .decode(&*digits)
        .map_err(|_| format!("is broken PEM: the {label} is not base64"))?;
    let der = Zeroizing::new(der);
    Ok(Some((Block { label, der }, after)))
}

/// True for a public key of any algorithm (`SubjectPublicKeyInfo`, RFC 5280 §4.1).
pub(super) fn is_key_info(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const BIT_STRING: u8 = 0x03;

    let after_the_key = || {
        let (key, _) = element(der, SEQUENCE)?;
        let (algorithm, rest) = element(key.content, SEQUENCE)?;
        element(algorithm.content, OBJECT_IDENTIFIER)?;
        element(rest, BIT_STRING).map(|(_, rest)| rest)
    };
    after_the_key().is_some_and(<[u8]>::is_empty)
}

/// The public key (`SubjectPublicKeyInfo`) inside an X.509 certificate (RFC 5280 §4.1).
pub(super) fn certified_key(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;

    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate.content, SEQUENCE)?;
    let mut fields = {
        if fields.content.first() == Some(&VERSION) {
            let (_, rest) = element(fields.content, VERSION)?;
            fields.content = rest;
        }
        fields.content
    };
    // Serial number, signature algorithm, issuer, validity, subject.
    for tag in [0x02, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, fields) = element(fields, tag)?;
    }
    element(fields, SEQUENCE).map(|(key, _)| key.whole)
}

/// One element of DER.
struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The element that `der` begins with, if its tag is `tag`, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x83 => {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit))
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let (whole, _) = der.split_at_checked(der.len() - after.len())?;
    (found == tag).then_some((Element { whole, content }, after))
}

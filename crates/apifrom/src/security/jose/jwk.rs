//! Keys in JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, Family};
use super::base64url;
use crate::json::{self, JsonLimits};
use crate::secret::Secret;

/// The most keys that one set may hold.
const MAX_KEYS: usize = 128;

/// A key as it is written. Members that are not read here are passed over.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    k: Option<Secret<String>>,
    #[serde(default)]
    d: Option<Secret<String>>,
    #[serde(default)]
    p: Option<Secret<String>>,
    #[serde(default)]
    q: Option<Secret<String>>,
    #[serde(default)]
    dp: Option<Secret<String>>,
    #[serde(default)]
    dq: Option<Secret<String>>,
    #[serde(default)]
    qi: Option<Secret<String>>,
}

/// One key, or a set of them.
pub(super) enum Document {
    Key(Box<Jwk>),
    /// The keys that could be read, in a set that holds no `kid` twice.
    Set(Vec<Jwk>),
}

/// What a key is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Verify,
    Sign,
}

/// The numbers of a public RSA key.
pub(super) struct RsaPublic {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
}

impl RsaPublic {
    /// The key as RFC 8017 §A.1.1 writes it, which the library reads and judges.
    pub(super) fn to_der(&self) -> Vec<u8> {
        const SEQUENCE: u8 = 0x30;
        const INTEGER: u8 = 0x02;

        let mut numbers = Vec::new();
        for number in [&self.n, &self.e] {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            let mut content = number.get(zeros..).unwrap_or_default().to_vec();
            // A first bit that is set would be a sign.
            if content.first().is_none_or(|byte| byte & 0x80 != 0) {
                content.insert(0, 0);
            }
            write_der(INTEGER, &content, &mut numbers);
        }
        let mut der = Vec::new();
        write_der(SEQUENCE, &numbers, &mut der);
        der
    }
}

/// Writes one element of DER.
fn write_der(tag: u8, content: &[u8], into: &mut Vec<u8>) {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let length = length.get(zeros..).unwrap_or_default();
    into.push(tag);
    match length {
        [] => into.push(0),
        [short @ ..=0x7f] => into.push(*short),
        // `length` is at most eight bytes.
        _ => {
            into.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            into.extend(length);
        }
    }
    into.extend(content);
}

/// The numbers of a private RSA key.
pub(super) struct RsaPrivate {
    pub(super) public: RsaPublic,
    pub(super) d: Zeroizing<Vec<u8>>,
    pub(super) p: Zeroizing<Vec<u8>>,
    pub(super) q: Zeroizing<Vec<u8>>,
    pub(super) dp: Zeroizing<Vec<u8>>,
    pub(super) dq: Zeroizing<Vec<u8>>,
    pub(super) qi: Zeroizing<Vec<u8>>,
}

/// True when `text` can be meant as a JWK or a set of them, whole or broken, and so for no shared
/// secret.
pub(super) fn looks_like_a_key(text: &[u8]) -> bool {
    let names = |name: &[u8]| memchr::memmem::find(text, name).is_some();
    text.trim_ascii_start().starts_with(b"{") && (names(b"\"kty\"") || names(b"\"keys\""))
}

/// Reads a JWK or a JWK Set.
///
/// # Errors
/// What is wrong with the text; with a set, only what is wrong with it as a whole (RFC 7517 §5: a
/// key in it that is not understood is passed over).
pub(super) fn read(text: &[u8]) -> Result<Document, String> {
    json::scan(text, &JsonLimits::default()).map_err(|fault| format!("is no JWK: {fault}"))?;
    let Ok(Value::Object(mut document)) = serde_json::from_slice(text) else {
        return Err("is no JWK: expected a JSON object".to_owned());
    };
    if !document.contains_key("keys") {
        // serde's own text could quote the key.
        return serde_json::from_value(Value::Object(document))
            .map(|key| Document::Key(Box::new(key)))
            .map_err(|_| "is no JWK: a member is missing or of the wrong type".to_owned());
    }
    let Some(Value::Array(keys)) = document.remove("keys") else {
        return Err("is no JWK Set: expected a list under keys".to_owned());
    };
    // A token without a name is held against each of them.
    if keys.len() > MAX_KEYS {
        return Err(format!(
            "is a JWK Set of {} keys; expected at most {MAX_KEYS} keys",
            keys.len()
        ));
    }
    let mut ids = HashSet::new();
    for id in keys.iter().filter_map(|key| key.get("kid")?.as_str()) {
        if !ids.insert(id) {
            return Err("is ambiguous: two keys of the set have one kid".to_owned());
        }
    }
    let readable = keys
        .into_iter()
        .filter_map(|key| serde_json::from_value(key).ok())
        .collect();
    Ok(Document::Set(readable))
}

impl Jwk {
    /// The key's family, from its type and curve.
    pub(super) fn family(&self) -> Result<Family, String> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => Ok(Family::Hmac),
            ("RSA", _) => Ok(Family::Rsa),
            ("EC", Some("P-256")) => Ok(Family::P256),
            ("EC", Some("P-384")) => Ok(Family::P384),
            ("EC", Some("P-521")) => Ok(Family::P521),
            ("OKP", Some("Ed25519")) => Ok(Family::Ed25519),
            _ => Err("is of a type or curve that no algorithm here uses".to_owned()),
        }
    }

    /// Whether the key says that it may be used for `purpose` with `algorithm`.
    pub(super) fn permits(&self, purpose: Purpose, algorithm: Algorithm) -> bool {
        let operation = match purpose {
            Purpose::Verify => "verify",
            Purpose::Sign => "sign",
        };
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == operation))
            && self
                .alg
                .as_deref()
                .is_none_or(|name| name == algorithm.as_str())
    }

    /// The key's name.
    pub(super) fn id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// True for the private half of a pair.
    pub(super) fn is_private(&self) -> bool {
        self.d.is_some()
    }

    /// The shared secret.
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        private("k", self.k.as_ref())
    }

    /// The public numbers of an RSA key.
    pub(super) fn rsa(&self) -> Result<RsaPublic, String> {
        Ok(RsaPublic {
            n: public("n", self.n.as_deref())?,
            e: public("e", self.e.as_deref())?,
        })
    }

    /// The public point of an EC key, uncompressed (SEC 1 §2.3.3).
    pub(super) fn point(&self) -> Result<Vec<u8>, String> {
        let size = match self.family()? {
            Family::P256 => 32,
            Family::P384 => 48,
            _ => 66,
        };
        let mut point = Vec::with_capacity(1 + 2 * size);
        point.push(0x04);
        for (name, coordinate) in [("x", &self.x), ("y", &self.y)] {
            let coordinate = public(name, coordinate.as_deref())?;
            // RFC 7518 §6.2.1.2: the length is the curve's, leading zeros included.
            if coordinate.len() != size {
                return Err(format!("has a member {name} of the wrong length"));
            }
            point.extend(coordinate);
        }
        Ok(point)
    }

    /// The public key of Ed25519.
    pub(super) fn edwards_point(&self) -> Result<Vec<u8>, String> {
        public("x", self.x.as_deref())
    }

    /// The private number of an EC key, or the seed of Ed25519.
    pub(super) fn private(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        private("d", self.d.as_ref())
    }

    /// The private numbers of an RSA key.
    pub(super) fn rsa_private(&self) -> Result<RsaPrivate, String> {
        Ok(RsaPrivate {
            public: self.rsa()?,
            d: private("d", self.d.as_ref())?,
            p: private("p", self.p.as_ref())?,
            q: private("q", self.q.as_ref())?,
            dp: private("dp", self.dp.as_ref())?,
            dq: private("dq", self.dq.as_ref())?,
            qi: private("qi", self.qi.as_ref())?,
        })
    }
}

fn public(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("lacks the member {name}"))?;
    base64url::decode(text.as_bytes())
        .ok_or_else(|| format!("has a member {name} that is not base64url"))
}

fn private(name: &str, text: Option<&Secret<String>>) -> Result<Zeroizing<Vec<u8>>, String> {
    public(name, text.map(|text| text.expose().as_str())).map(Zeroizing::new)
}

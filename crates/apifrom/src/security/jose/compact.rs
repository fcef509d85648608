//! A token as it is sent: three parts with dots between them (RFC 7515 §7.1).

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::algorithm::Algorithm;
use super::base64url;
use super::refusal::Refusal;
use crate::json::{self, JsonLimits};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 << 10;

/// How deeply a header or a payload may be nested.
pub(super) const LIMITS: JsonLimits = JsonLimits {
    max_depth: 32,
    max_number_digits: 4300,
};

/// Where the header of a token is decoded to: on the stack, unless it brings certificates along.
pub struct Scratch {
    short: [u8; Self::SHORT],
    long: Vec<u8>,
}

impl Scratch {
    const SHORT: usize = 512;

    /// An empty one.
    pub fn new() -> Self {
        Self {
            short: [0; Self::SHORT],
            long: Vec::new(),
        }
    }

    fn decode(&mut self, text: &[u8]) -> Option<&[u8]> {
        if text.len() <= Self::SHORT {
            return base64url::decode_into(text, &mut self.short);
        }
        self.long = base64url::decode(text)?;
        Some(&self.long)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

/// A token whose header was read, and whose signature was not verified yet.
pub struct Token<'a> {
    pub(super) signed: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a [u8],
    algorithm: Algorithm,
    key_id: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
}

impl<'a> Token<'a> {
    /// Reads the header of `text`.
    ///
    /// # Errors
    /// [`Refusal`], when the text is no token, or one that must not be accepted whatever key it
    /// was signed with.
    pub fn parse(text: &'a [u8], scratch: &'a mut Scratch) -> Result<Self, Refusal> {
        if text.len() > MAX_TOKEN {
            return Err(Refusal::TooLarge);
        }
        let mut dots = memchr::memchr_iter(b'.', text);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(Refusal::Malformed);
        };
        let part = |from, to| text.get(from..to).ok_or(Refusal::Malformed);
        let header = part(0, first)?;
        let payload = part(first + 1, second)?;
        let signature = part(second + 1, text.len())?;
        let signed = part(0, second)?;

        let token = |algorithm, key_id, kind| Self {
            signed,
            payload,
            signature,
            algorithm,
            key_id,
            kind,
        };
        if let Some(common) = common(header) {
            return Ok(token(
                common.algorithm,
                None,
                common.kind.map(Cow::Borrowed),
            ));
        }
        let header = scratch.decode(header).ok_or(Refusal::Malformed)?;
        scan_object(header).ok_or(Refusal::Malformed)?;
        let header: Header<'a> = serde_json::from_slice(header).map_err(|_| Refusal::Malformed)?;
        header.check_critical()?;
        let algorithm = Algorithm::named(&header.alg.0).ok_or(Refusal::UnknownAlgorithm)?;
        let [key_id, kind] = [header.kid, header.typ].map(|text| text.map(|text| text.0));
        Ok(token(algorithm, key_id, kind))
    }

    /// What the token says it was signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Which key it names.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Its media type without `application/`, as it stands in `typ`. Compare without regard to
    /// case.
    pub fn kind(&self) -> Option<&str> {
        let kind = self.kind.as_deref()?;
        // RFC 7515 §4.1.9: the prefix may be left out where no other slash follows.
        match kind.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => Some(rest),
            _ => Some(kind),
        }
    }
}

/// A header of nothing but an algorithm and a type, as most tokens have one.
struct Common {
    encoded: Box<[u8]>,
    algorithm: Algorithm,
    kind: Option<&'static str>,
}

/// The header whose encoding is `encoded`, if it is known by heart: reading it would find nothing else.
fn common(encoded: &[u8]) -> Option<&'static Common> {
    static COMMON: LazyLock<Vec<Common>> = LazyLock::new(|| {
        let headers = Algorithm::ALL.into_iter().flat_map(|algorithm| {
            let alg = algorithm.as_str();
            [
                (format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#), Some("JWT")),
                (format!(r#"{{"typ":"JWT","alg":"{alg}"}}"#), Some("JWT")),
                (format!(r#"{{"alg":"{alg}"}}"#), None),
            ]
            .map(|(text, kind)| Common {
                encoded: base64url::encode(text.as_bytes()).into_bytes().into(),
                algorithm,
                kind,
            })
        });
        headers.collect()
    });
    COMMON.iter().find(|common| *common.encoded == *encoded)
}

/// Shows nothing of what was sent but the algorithm.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The members of a header that are read. The others, `jwk`, `jku`, `x5u` and `x5c` among them,
/// are the sender's word on which key to trust, and are passed over.
#[derive(Deserialize)]
#[serde(expecting = "a JOSE header")]
struct Header<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    kid: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    typ: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Critical>,
    #[serde(default, deserialize_with = "present")]
    b64: Option<bool>,
}

impl Header<'_> {
    /// RFC 7515 §4.1.11: what is critical must be understood, or the token is refused. The one
    /// extension that is known here is RFC 7797's `b64`, in the value that changes nothing.
    fn check_critical(&self) -> Result<(), Refusal> {
        if self.b64 == Some(false) {
            return Err(Refusal::CriticalHeader);
        }
        match self.crit {
            None => Ok(()),
            Some(Critical::OnlyB64) if self.b64 == Some(true) => Ok(()),
            Some(_) => Err(Refusal::CriticalHeader),
        }
    }
}

/// Lets pass what every reader takes for the same JSON object. serde alone would also read the
/// members of a struct from a list.
pub(in crate::security) fn scan_object(text: &[u8]) -> Option<()> {
    json::scan(text, &LIMITS).ok()?;
    text.trim_ascii_start().starts_with(b"{").then_some(())
}

/// A member that must be of its type where it stands: `null` is none.
fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

/// A string that is borrowed where no escape stands in it.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        from.deserialize_str(Reader)
    }
}

/// What a `crit` names.
enum Critical {
    /// `b64`, once, and nothing else.
    OnlyB64,
    /// Nothing, something unknown, or a member of the standard.
    Other,
}

impl<'de> Deserialize<'de> for Critical {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Critical;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Critical, A::Error> {
                let mut all = 0;
                let mut b64 = 0;
                while let Some(name) = names.next_element::<Text<'de>>()? {
                    all += 1;
                    b64 += usize::from(name.0 == "b64");
                }
                Ok(if (all, b64) == (1, 1) {
                    Critical::OnlyB64
                } else {
                    Critical::Other
                })
            }
        }

        from.deserialize_seq(Reader)
    }
}

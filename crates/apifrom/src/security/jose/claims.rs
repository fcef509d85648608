//! What the claims of a verified token must say (RFC 7519 §4.1).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use subtle::ConstantTimeEq;

use super::algorithm::Algorithm;
use super::base64url;
use super::compact::Text;
use super::key::Verified;
use super::refusal::Refusal;
use crate::security::scope::Scopes;

/// How far `nbf` and `iat` may be ahead at least: what the clocks of two machines may differ by.
const SKEW: Duration = Duration::from_mins(1);

/// The most roles that one declaration can require.
pub const MAX_ROLES: usize = 64;

/// What is asked of the claims.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own, by the name that a program gives"
)]
pub struct Rules {
    /// Whether `exp` must be there and lie ahead. Defaults to `true`.
    pub verify_exp: bool,
    /// Of whom `aud` must name one. Defaults to `None`, which leaves it unread.
    pub audience: Option<Vec<String>>,
    /// Of whom `iss` must name one. Defaults to `None`, which leaves it unread.
    pub issuer: Option<Vec<String>>,
    /// Whether `sub` must be a string with something in it. Defaults to `false`.
    pub verify_sub: bool,
    /// Whether `jti` must be a string with something in it. Defaults to `false`.
    pub verify_jti: bool,
    /// Whether `at_hash` must belong to the access token beside this one. Defaults to `false`.
    pub verify_at_hash: bool,
    /// For how long after `exp` a token is still taken. Defaults to none.
    pub leeway: Duration,
    /// The roles that must all be held, [`MAX_ROLES`] at most. Defaults to none.
    pub roles: Vec<String>,
    /// Which claim holds the roles. Defaults to `roles`.
    pub roles_claim: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            verify_exp: true,
            audience: None,
            issuer: None,
            verify_sub: false,
            verify_jti: false,
            verify_at_hash: false,
            leeway: Duration::ZERO,
            roles: Vec::new(),
            roles_claim: "roles".to_owned(),
        }
    }
}

/// What claims that are in order say about the caller.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// Who it is.
    pub subject: Option<Cow<'a, str>>,
    /// The token's own name.
    pub id: Option<Cow<'a, str>>,
    /// When it was issued, in seconds since the epoch.
    pub issued_at: Option<f64>,
    /// What the token may be used for.
    pub scopes: Scopes,
    /// Whether every role is held that is required.
    pub holds_roles: bool,
}

impl Rules {
    /// Judges the claims of `token` at the time `now`. `access_token` is what came beside it.
    ///
    /// # Errors
    /// The first rule that is not met, in the order of the [module](super).
    pub fn judge<'a>(
        &self,
        token: &'a Verified,
        now: Duration,
        access_token: Option<&[u8]>,
    ) -> Result<Caller<'a>, Refusal> {
        let mut reader = serde_json::Deserializer::from_slice(token.payload());
        let claims = Reading { rules: self }
            .deserialize(&mut reader)
            .map_err(|_| Refusal::MalformedClaims)?;
        self.judge_times(&claims, now.as_secs_f64())?;
        if self.audience.is_some() {
            match claims.audience {
                Listed::Absent => return Err(Refusal::MissingAudience),
                Listed::Malformed => return Err(Refusal::MalformedClaims),
                Listed::Other => return Err(Refusal::WrongAudience),
                Listed::Found => {}
            }
        }
        if let Some(issuers) = &self.issuer {
            match &claims.issuer {
                Single::Absent => return Err(Refusal::MissingIssuer),
                Single::Other => return Err(Refusal::MalformedClaims),
                Single::Text(found) if issuers.iter().any(|one| one == found) => {}
                Single::Text(_) => return Err(Refusal::WrongIssuer),
            }
        }
        if self.verify_sub && claims.subject.text().is_none() {
            return Err(Refusal::MissingSubject);
        }
        if self.verify_jti && claims.id.text().is_none() {
            return Err(Refusal::MissingId);
        }
        if self.verify_at_hash {
            let (Some(hash), Some(access_token)) = (claims.at_hash.text(), access_token) else {
                return Err(Refusal::MissingAccessTokenHash);
            };
            let expected = access_token_hash(token.algorithm(), access_token);
            if !bool::from(expected.as_bytes().ct_eq(hash.as_bytes())) {
                return Err(Refusal::WrongAccessTokenHash);
            }
        }
        Ok(Caller {
            holds_roles: claims.roles.count_ones() as usize == self.roles.len(),
            scopes: claims.scope.or(claims.scp).unwrap_or(Scopes::NONE),
            subject: claims.subject.into_text(),
            id: claims.id.into_text(),
            issued_at: claims.issued_at,
        })
    }

    fn judge_times(&self, claims: &Claims<'_>, now: f64) -> Result<(), Refusal> {
        if self.verify_exp {
            let exp = claims.expires.ok_or(Refusal::MissingExpiry)?;
            // RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted".
            if now >= exp + self.leeway.as_secs_f64() {
                return Err(Refusal::Expired);
            }
        }
        let horizon = now + self.leeway.max(SKEW).as_secs_f64();
        if claims.not_before.is_some_and(|nbf| nbf > horizon) {
            return Err(Refusal::NotYetValid);
        }
        if claims.issued_at.is_some_and(|iat| iat > horizon) {
            return Err(Refusal::IssuedInFuture);
        }
        Ok(())
    }
}

/// The `at_hash` of `access_token`: the left half of the hash that `algorithm` names, as text
/// (OIDC Core 1.0 §3.1.3.6).
pub fn access_token_hash(algorithm: Algorithm, access_token: &[u8]) -> String {
    let hash = digest::digest(algorithm.hash(), access_token);
    let half = hash.as_ref().len() / 2;
    base64url::encode(hash.as_ref().get(..half).unwrap_or_default())
}

/// A claim that should be a string.
#[derive(Default)]
enum Single<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Other,
}

impl<'a> Single<'a> {
    /// The string itself, if something stands in it.
    fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The string, if something stands in it.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl<'a> From<Shape<'a>> for Single<'a> {
    fn from(shape: Shape<'a>) -> Self {
        match shape {
            Shape::Text(text) => Self::Text(text),
            Shape::Strings | Shape::Other => Self::Other,
        }
    }
}

/// A claim of strings among which one is looked for.
#[derive(Default)]
enum Listed {
    #[default]
    Absent,
    Malformed,
    Other,
    Found,
}

/// The claims that some rule asks for.
#[derive(Default)]
struct Claims<'a> {
    expires: Option<f64>,
    not_before: Option<f64>,
    issued_at: Option<f64>,
    audience: Listed,
    issuer: Single<'a>,
    subject: Single<'a>,
    id: Single<'a>,
    at_hash: Single<'a>,
    scope: Option<Scopes>,
    scp: Option<Scopes>,
    /// A bit for each required role that is held.
    roles: u64,
}

/// Reads the claims in one pass.
struct Reading<'r> {
    rules: &'r Rules,
}

impl Reading<'_> {
    fn audience<'de, A: MapAccess<'de>>(&self, members: &mut A) -> Result<Listed, A::Error> {
        let Some(audience) = &self.rules.audience else {
            members.next_value::<IgnoredAny>()?;
            return Ok(Listed::Absent);
        };
        let mut found = false;
        let shape = members.next_value_seed(Loose(&mut |one| {
            found |= audience.iter().any(|ours| ours == one);
        }))?;
        Ok(match shape {
            Shape::Other => Listed::Malformed,
            _ if found => Listed::Found,
            _ => Listed::Other,
        })
    }

    fn roles<'de, A: MapAccess<'de>>(&self, members: &mut A) -> Result<u64, A::Error> {
        let mut held = 0;
        members.next_value_seed(Loose(&mut |role| {
            for (place, required) in self.rules.roles.iter().enumerate().take(MAX_ROLES) {
                held |= u64::from(required == role) << place;
            }
        }))?;
        Ok(held)
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Claims<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Claims<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Claims<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims<'de>, A::Error> {
        let mut claims = Claims::default();
        while let Some(Text(name)) = members.next_key()? {
            match &*name {
                "exp" => claims.expires = Some(members.next_value_seed(Date)?),
                "nbf" => claims.not_before = Some(members.next_value_seed(Date)?),
                "iat" => claims.issued_at = Some(members.next_value_seed(Date)?),
                "aud" => claims.audience = self.audience(&mut members)?,
                "iss" => claims.issuer = single(&mut members)?,
                "sub" => claims.subject = single(&mut members)?,
                "jti" => claims.id = single(&mut members)?,
                "at_hash" => claims.at_hash = single(&mut members)?,
                "scope" => claims.scope = scopes(&mut members, false)?,
                "scp" => claims.scp = scopes(&mut members, true)?,
                name if !self.rules.roles.is_empty() && name == self.rules.roles_claim => {
                    claims.roles = self.roles(&mut members)?;
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(claims)
    }
}

fn single<'de, A: MapAccess<'de>>(members: &mut A) -> Result<Single<'de>, A::Error> {
    members
        .next_value_seed(Loose(&mut |_| {}))
        .map(Single::from)
}

/// Scopes in a string, or in a list where `listed` says that there may be one.
fn scopes<'de, A>(members: &mut A, listed: bool) -> Result<Option<Scopes>, A::Error>
where
    A: MapAccess<'de>,
{
    let mut elements = Vec::new();
    let shape = members.next_value_seed(Loose(&mut |one| {
        if listed {
            elements.push(one.to_owned());
        }
    }))?;
    Ok(match shape {
        Shape::Text(text) => Some(Scopes::from_text(&text)),
        Shape::Strings if listed => Some(Scopes::from_list(elements.iter().map(String::as_str))),
        _ => None,
    })
}

/// What a claim was found to hold.
enum Shape<'a> {
    Text(Cow<'a, str>),
    /// A list of strings and of nothing else.
    Strings,
    Other,
}

/// Reads any value, and shows the string that it is, or the strings in the list that it is.
struct Loose<'f>(&'f mut dyn FnMut(&str));

impl<'de> DeserializeSeed<'de> for Loose<'_> {
    type Value = Shape<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Shape<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Loose<'_> {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Shape<'de>, E> {
        (self.0)(text);
        Ok(Shape::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape<'de>, E> {
        (self.0)(text);
        Ok(Shape::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Shape<'de>, A::Error> {
        let mut shape = Shape::Strings;
        while let Some(element) = elements.next_element_seed(Loose(&mut |_| {}))? {
            match element {
                Shape::Text(text) => (self.0)(&text),
                Shape::Strings | Shape::Other => shape = Shape::Other,
            }
        }
        Ok(shape)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Shape<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Shape::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape<'de>, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape<'de>, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape<'de>, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape<'de>, E> {
        Ok(Shape::Other)
    }

    fn visit_unit<E>(self) -> Result<Shape<'de>, E> {
        Ok(Shape::Other)
    }
}

/// Reads a `NumericDate` (RFC 7519 §2): seconds, with or without a fraction.
struct Date;

impl<'de> DeserializeSeed<'de> for Date {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<f64, D::Error> {
        from.deserialize_f64(self)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what a float rounds lies hundreds of millions of years away"
)]
impl Visitor<'_> for Date {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<f64, E> {
        Ok(seconds as f64)
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<f64, E> {
        Ok(seconds as f64)
    }

    fn visit_f64<E>(self, seconds: f64) -> Result<f64, E> {
        Ok(seconds)
    }
}

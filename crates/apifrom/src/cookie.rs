//! The cookies of a request.
//!
//! Rules, in this order:
//! 1. The `Cookie` lines are read in order, as if joined by `; ` (HTTP/2 may send one cookie a
//!    line). Each is split at `;`; nothing is quoted or escaped, so a `;` always separates.
//! 2. Spaces and tabs around a piece, and around its first `=`, are passed over, and so is a piece
//!    without `=`, which has no name to ask for, and one with an empty name.
//! 3. There are at most [`CookieLimits::max_cookies`] others; one more is a [`CookieFault`].
//! 4. Names are compared byte by byte, letter case included, and values are handed out as they
//!    came: quotes are part of the value, as RFC 6265bis has it, and `%` is a character like others.
//! 5. A cookie that occurs twice stays visible as [`Found::Doubled`], whatever its values: the order
//!    is the browser's choice, so another host of the same domain may have planted either.
//!
//! RFC 6265bis forbids servers to send what rules 2 and 4 let pass (spaces, commas, backslashes,
//! bytes above 127). Cookies of other software under the same domain come along with ours, so one
//! of those must not make the request unreadable; a value that is not UTF-8 is
//! [`Found::Unreadable`], and only whoever asks for that very cookie has to refuse.
//!
//! # Deployment
//! Any host of the same site can set cookies that arrive here, names with `__Host-` excepted.
//!
//! # Examples
//! ```
//! # use apifrom::cookie::{CookieLimits, Cookies, Found};
//! let lines = [&b"theme=dark; sid=1"[..], b"sid=2"];
//! let cookies = Cookies::parse(lines, &CookieLimits::default())?;
//! assert_eq!(cookies.find("theme"), Found::One("dark"));
//! assert_eq!(cookies.find("sid"), Found::Doubled);
//! assert_eq!(cookies.find("SID"), Found::Absent);
//! # Ok::<(), apifrom::cookie::CookieFault>(())
//! ```
//!
//! Standard: [RFC 6265bis](https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/).

use std::fmt;

use memchr::memchr;

#[cfg(test)]
mod tests;

/// What the cookies of a request may ask of their reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieLimits {
    /// How many cookies there may be. Defaults to `256`, more than browsers keep for one domain.
    pub max_cookies: usize,
}

impl Default for CookieLimits {
    fn default() -> Self {
        Self { max_cookies: 256 }
    }
}

/// On which of the requests that other sites cause a browser sends a cookie (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// On those by which the user comes here: a link, and no form that posts.
    #[default]
    Lax,
    /// On none.
    Strict,
    /// On all of them.
    None,
}

impl SameSite {
    /// The value that `text` names, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Lax, Self::Strict, Self::None]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
    }

    /// As it stands in `Set-Cookie`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// More cookies than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CookieFault {
    /// How many are allowed.
    pub max_cookies: usize,
}

impl CookieFault {
    /// The reason, for programs; never changes.
    pub fn code(&self) -> &'static str {
        "cookie_too_many"
    }

    /// The reason, for people; the same for every input.
    pub fn text(&self) -> &'static str {
        "too many cookies"
    }
}

impl fmt::Display for CookieFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, more than {}", self.text(), self.max_cookies)
    }
}

impl std::error::Error for CookieFault {}

/// The cookies of one request, in the order of the wire, doubled ones included.
#[derive(Clone, Default)]
pub struct Cookies<'a> {
    pairs: Vec<(&'a [u8], &'a [u8])>,
}

/// What a request holds under one cookie name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// No cookie of that name.
    Absent,
    /// One, with this value.
    One(&'a str),
    /// One whose value is not UTF-8.
    Unreadable,
    /// Two or more.
    Doubled,
}

impl<'a> Cookies<'a> {
    /// Reads the values of all `Cookie` headers of a request.
    ///
    /// # Errors
    /// When there are more cookies than the limit.
    pub fn parse(
        lines: impl IntoIterator<Item = &'a [u8]>,
        limits: &CookieLimits,
    ) -> Result<Self, CookieFault> {
        let mut pairs = Vec::new();
        let pieces = lines
            .into_iter()
            .flat_map(|line| line.split(|byte| *byte == b';'));
        for piece in pieces {
            let Some((name, value)) = split(piece) else {
                continue;
            };
            if pairs.len() >= limits.max_cookies {
                return Err(CookieFault {
                    max_cookies: limits.max_cookies,
                });
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// What there is under `name`.
    pub fn find(&self, name: &str) -> Found<'a> {
        let mut values = self
            .pairs
            .iter()
            .filter(|(other, _)| *other == name.as_bytes())
            .map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (None, _) => Found::Absent,
            (Some(value), None) => std::str::from_utf8(value).map_or(Found::Unreadable, Found::One),
            (Some(_), Some(_)) => Found::Doubled,
        }
    }

    /// The cookies whose name and value are UTF-8, doubled ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.pairs.iter().filter_map(|(name, value)| {
            let name = std::str::from_utf8(name).ok()?;
            let value = std::str::from_utf8(value).ok()?;
            Some((name, value))
        })
    }

    /// How many cookies there are, unreadable ones included.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Shows the names alone: values are credentials.
impl fmt::Debug for Cookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .pairs
            .iter()
            .map(|(name, _)| name.escape_ascii().to_string());
        f.debug_list().entries(names).finish()
    }
}

/// The name and value of a piece that has both.
fn split(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = piece.split_at_checked(memchr(b'=', piece)?)?;
    let name = trim(name);
    let value = trim(value.strip_prefix(b"=")?);
    (!name.is_empty()).then_some((name, value))
}

/// Without the spaces and tabs around it. `trim_ascii` would take line breaks and form feeds too.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

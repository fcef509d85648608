//! Where a credential stands in a request, and what stands there.
//!
//! 1. A header is looked up whatever the case of its name; two lines of it are two credentials.
//! 2. `Authorization` and its like hold a scheme, in whatever case, one or more spaces, and one
//!    token (RFC 9110 §11.4). Another scheme is somebody else's credential: absent.
//! 3. Two query fields, or two cookies, of the name are two credentials, whatever their values.
//! 4. What cannot be read (an empty value, text that is not UTF-8, a malformed query) is malformed.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderName, HeaderValue};

use super::authenticator::{Attempt, FailureKind};
use crate::cookie::{CookieLimits, Cookies, Found};
use crate::request::Head;
use crate::urlencoded::{UrlencodedLimits, fields};

/// A place where a credential is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::security) enum Place {
    /// A header that holds the credential and nothing else.
    Header(HeaderName),
    /// A header that holds a scheme and the credential.
    Scheme {
        header: HeaderName,
        scheme: Box<str>,
    },
    /// A field of the query.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

/// Headers that browsers write by themselves, or let any page write without asking (Fetch §2.2.2), beside
/// those that begin as [`NOT_FOR_PROGRAMS`] says.
const WRITTEN_BY_BROWSERS: [&str; 36] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-language",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-event-id",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "width",
];
const NOT_FOR_PROGRAMS: [&str; 3] = ["access-control-", "proxy-", "sec-"];
const NO_COOKIE: &str =
    "expected the name of a cookie: no spaces around it, and no `=` or `;` in it";

/// The header that a declaration names for a credential. One that browsers write by themselves would
/// prove nothing of who made them send it.
///
/// # Errors
/// What is wrong with it.
pub(in crate::security) fn header_named(name: &str) -> Result<HeaderName, &'static str> {
    let header =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| "expected the name of a header")?;
    let text = header.as_str();
    if WRITTEN_BY_BROWSERS.contains(&text)
        || NOT_FOR_PROGRAMS.iter().any(|begin| text.starts_with(begin))
    {
        return Err(
            "is a header that browsers write by themselves; expected another, or cookie_name",
        );
    }
    Ok(header)
}

/// The cookie that a declaration names for a credential.
///
/// # Errors
/// What is wrong with it: a request could never hold it.
pub(in crate::security) fn cookie_named(name: &str) -> Result<Box<str>, &'static str> {
    if name.is_empty() {
        return Err("expected a name, found none");
    }
    let line = HeaderValue::from_str(&format!("{name}=1"));
    let line = line.map_err(|_| NO_COOKIE)?;
    match Cookies::parse([line.as_bytes()], &CookieLimits::default()) {
        Ok(cookies) if matches!(cookies.find(name), Found::One("1")) => Ok(name.into()),
        _ => Err(NO_COOKIE),
    }
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::security) enum Sent<'a> {
    /// Nothing of this kind.
    Absent,
    /// One credential.
    One(Cow<'a, str>),
    /// Two or more.
    Doubled,
    /// Something that is no credential.
    Malformed,
}

impl Place {
    /// Looks at this place.
    pub(in crate::security) fn find<'a>(&self, head: &'a Head) -> Sent<'a> {
        match self {
            Self::Header(name) => match line(head, name) {
                Line::Absent => Sent::Absent,
                Line::Doubled => Sent::Doubled,
                Line::One(value) => one(std::str::from_utf8(value).ok().map(Cow::Borrowed)),
            },
            Self::Scheme { header, scheme } => match line(head, header) {
                Line::Absent => Sent::Absent,
                Line::Doubled => Sent::Doubled,
                Line::One(value) => token(value, scheme),
            },
            Self::Query(name) => query(head, name),
            Self::Cookie(name) => cookie(head, name),
        }
    }

    /// The one credential at this place.
    ///
    /// # Errors
    /// What comes of a request that has none here, or several, or something that is none.
    pub(in crate::security) fn only<'a>(&self, head: &'a Head) -> Result<Cow<'a, str>, Attempt> {
        match self.find(head) {
            Sent::One(credential) => Ok(credential),
            Sent::Absent => Err(Attempt::Absent),
            Sent::Doubled => Err(Attempt::failed(FailureKind::Ambiguous, "doubled")),
            Sent::Malformed => Err(Attempt::failed(FailureKind::Invalid, "malformed")),
        }
    }

    /// True where something stands at this place, whatever it is.
    pub(in crate::security) fn is_taken(&self, head: &Head) -> bool {
        self.find(head) != Sent::Absent
    }

    /// True where a browser sends the credential without being asked.
    pub(in crate::security) fn is_ambient(&self) -> bool {
        matches!(self, Self::Cookie(_))
    }
}

enum Line<'a> {
    Absent,
    One(&'a [u8]),
    Doubled,
}

fn line<'a>(head: &'a Head, name: &HeaderName) -> Line<'a> {
    let mut lines = head.headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Line::Absent,
        (Some(value), None) => Line::One(value.as_bytes()),
        (Some(_), Some(_)) => Line::Doubled,
    }
}

fn one(value: Option<Cow<'_, str>>) -> Sent<'_> {
    match value {
        Some(value) if !value.is_empty() => Sent::One(value),
        _ => Sent::Malformed,
    }
}

fn token<'a>(value: &'a [u8], scheme: &str) -> Sent<'a> {
    let end = memchr::memchr(b' ', value).unwrap_or(value.len());
    let (found, rest) = value.split_at_checked(end).unwrap_or((value, &[]));
    if !found.eq_ignore_ascii_case(scheme.as_bytes()) {
        return Sent::Absent;
    }
    let token = rest.trim_ascii_start();
    // token68 and its like hold neither spaces nor commas, so there is one of them at most.
    if memchr::memchr3(b' ', b',', b'\t', token).is_some() {
        return Sent::Malformed;
    }
    one(std::str::from_utf8(token).ok().map(Cow::Borrowed))
}

fn query<'a>(head: &'a Head, name: &str) -> Sent<'a> {
    let Some(query) = head.uri.query() else {
        return Sent::Absent;
    };
    let mut found = Sent::Absent;
    for field in fields(query.as_bytes(), &UrlencodedLimits::default()) {
        match field {
            Ok((field, value)) if field == name => {
                if found != Sent::Absent {
                    return Sent::Doubled;
                }
                found = one(Some(value));
            }
            Ok(_) => {}
            Err(_) => return Sent::Malformed,
        }
    }
    found
}

fn cookie<'a>(head: &'a Head, name: &str) -> Sent<'a> {
    let lines = head.headers.get_all(COOKIE).iter();
    let lines = lines.map(HeaderValue::as_bytes);
    match Cookies::parse(lines, &CookieLimits::default()) {
        Err(_) => Sent::Malformed,
        Ok(cookies) => match cookies.find(name) {
            Found::Absent => Sent::Absent,
            Found::Doubled => Sent::Doubled,
            Found::Unreadable => Sent::Malformed,
            Found::One(value) => one(Some(Cow::Borrowed(value))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str, lines: &[(&str, &str)]) -> Head {
        let mut request = http::Request::new(());
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in lines {
            request.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        request.into_parts().0
    }

    fn bearer() -> Place {
        Place::Scheme {
            header: http::header::AUTHORIZATION,
            scheme: "Bearer".into(),
        }
    }

    #[test]
    fn a_scheme_is_told_from_others_whatever_its_case() {
        let find = |value: &str| match bearer().find(&head("/", &[("authorization", value)])) {
            Sent::One(token) => format!("one {token}"),
            other => format!("{other:?}"),
        };
        for (value, expected) in [
            ("Bearer abc", "one abc"),
            ("bEARER   abc", "one abc"),
            ("Basic abc", "Absent"),
            ("Bearerabc", "Absent"),
            ("", "Absent"),
            ("Bearer", "Malformed"),
            ("Bearer ", "Malformed"),
            ("Bearer a b", "Malformed"),
            ("Bearer a,b", "Malformed"),
            ("Bearer a, Bearer b", "Malformed"),
        ] {
            assert_eq!(find(value), expected, "{value:?}");
        }
        assert_eq!(bearer().find(&head("/", &[])), Sent::Absent);
        let twice = [("authorization", "Bearer a"), ("Authorization", "Basic b")];
        assert_eq!(bearer().find(&head("/", &twice)), Sent::Doubled);
    }

    #[test]
    fn a_header_holds_one_credential() {
        let place = Place::Header(HeaderName::from_static("x-api-key"));
        let find = |lines: &[(&str, &str)]| format!("{:?}", place.find(&head("/", lines)));
        assert_eq!(find(&[("X-API-KEY", "k")]), r#"One("k")"#);
        assert_eq!(find(&[("x-api-key", "")]), "Malformed");
        assert_eq!(find(&[("x-api-key", "k"), ("x-api-key", "k")]), "Doubled");
        assert_eq!(find(&[]), "Absent");
        assert!(!place.is_ambient());
    }

    #[test]
    fn a_query_field_is_decoded_and_stands_once() {
        let place = Place::Query("key".into());
        let find = |target: &str| format!("{:?}", place.find(&head(target, &[])));
        assert_eq!(find("/?a=1&key=a%2Bb"), r#"One("a+b")"#);
        assert_eq!(find("/?key=a&key=a"), "Doubled");
        assert_eq!(find("/?key="), "Malformed");
        assert_eq!(find("/?key=%ff"), "Malformed");
        assert_eq!(find("/?KEY=a"), "Absent");
        assert_eq!(find("/"), "Absent");
    }

    #[test]
    fn a_cookie_stands_once_and_is_ambient() {
        let place = Place::Cookie("key".into());
        let find = |value: &str| format!("{:?}", place.find(&head("/", &[("cookie", value)])));
        assert_eq!(find("a=1; key=k"), r#"One("k")"#);
        assert_eq!(find("key=k; key=k"), "Doubled");
        assert_eq!(find("key="), "Malformed");
        assert_eq!(find("a=key"), "Absent");
        assert!(place.is_ambient());
    }
}

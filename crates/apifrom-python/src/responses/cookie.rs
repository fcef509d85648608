//! Writes `Set-Cookie` (RFC 6265bis), strictly.
//!
//! A cookie is refused when
//! 1. its name is not a token, or its value holds anything but the visible ASCII that a cookie may
//!    hold (no space, quote, comma, semicolon or backslash);
//! 2. its path does not begin with `/` or holds a `;` or a control character, or its domain is no
//!    host name;
//! 3. `samesite` is `none` without `secure`, which browsers drop;
//! 4. its name begins with `__Secure-` without `secure`, or with `__Host-` without `secure`, with
//!    another path than `/`, or with a domain;
//! 5. name and value together have more than 4,096 bytes, which browsers drop.
//!
//! No message shows the value. One name, path and domain is sent once: the last one set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apifrom::cookie::SameSite;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

/// The most bytes of name and value that every browser keeps.
const MAX_SIZE: usize = 4_096;

/// What `set_cookie` was given.
pub(super) struct Cookie<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) max_age: Option<i64>,
    pub(super) expires: Option<SystemTime>,
    pub(super) path: &'a str,
    pub(super) domain: Option<&'a str>,
    pub(super) secure: bool,
    pub(super) httponly: bool,
    pub(super) samesite: SameSite,
}

/// The `samesite` that `text` names.
pub(super) fn same_site(text: &str) -> PyResult<SameSite> {
    SameSite::parse(text)
        .ok_or_else(|| invalid("expected samesite to be 'lax', 'strict' or 'none'"))
}

impl Cookie<'_> {
    /// Puts the cookie among `headers`, in the place of one of the same name, path and domain.
    pub(super) fn put(&self, headers: &mut HeaderMap) -> PyResult<()> {
        self.check()?;
        let start = format!("{}=", self.name);
        let scope = self.scope();
        let line = format!("{start}{}{scope}{}", self.value, self.attributes());
        let line = HeaderValue::from_str(&line).map_err(|_| invalid("the cookie is malformed"))?;
        let kept: Vec<HeaderValue> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|line| !is_same(line, &start, &scope))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for line in kept {
            headers.append(SET_COOKIE, line);
        }
        headers.append(SET_COOKIE, line);
        Ok(())
    }

    fn check(&self) -> PyResult<()> {
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(invalid(format!("{:?} is no cookie name", self.name)));
        }
        if !self.value.bytes().all(is_cookie_octet) {
            return Err(invalid(format!(
                "the value of the cookie {} holds a character that a cookie cannot; encode it",
                self.name
            )));
        }
        if self.name.len() + self.value.len() > MAX_SIZE {
            return Err(invalid(format!(
                "the cookie {} has more than {MAX_SIZE} bytes, which browsers drop",
                self.name
            )));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(is_path_octet) {
            return Err(invalid(
                "expected the cookie's path to begin with / and hold no ;",
            ));
        }
        if self.domain.is_some_and(|domain| !is_host(domain)) {
            return Err(invalid("expected the cookie's domain to be a host name"));
        }
        if self.samesite == SameSite::None && !self.secure {
            return Err(invalid("a cookie with samesite='none' must be secure"));
        }
        self.check_prefix()
    }

    fn check_prefix(&self) -> PyResult<()> {
        // Browsers compare the prefixes without regard to case.
        let begins = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if begins("__Secure-") && !self.secure {
            return Err(invalid(
                "a cookie whose name begins with __Secure- must be secure",
            ));
        }
        if begins("__Host-") && (!self.secure || self.path != "/" || self.domain.is_some()) {
            return Err(invalid(
                "a cookie whose name begins with __Host- must be secure, \
                 have the path / and no domain",
            ));
        }
        Ok(())
    }

    /// What, beside the name, makes a cookie another one. Always the first attributes.
    fn scope(&self) -> String {
        let domain = self.domain.map(|domain| format!("; Domain={domain}"));
        format!("{}; Path={}", domain.unwrap_or_default(), self.path)
    }

    fn attributes(&self) -> String {
        let max_age = self.max_age.map(|seconds| format!("; Max-Age={seconds}"));
        let expires = self.expires.map(httpdate::fmt_http_date);
        let expires = expires.map(|date| format!("; Expires={date}"));
        format!(
            "{}{}{}{}; SameSite={}",
            max_age.unwrap_or_default(),
            expires.unwrap_or_default(),
            if self.secure { "; Secure" } else { "" },
            if self.httponly { "; HttpOnly" } else { "" },
            self.samesite.as_str()
        )
    }
}

/// True for a line that sets the same cookie.
fn is_same(line: &HeaderValue, start: &str, scope: &str) -> bool {
    let Some(rest) = line.as_bytes().strip_prefix(start.as_bytes()) else {
        return false;
    };
    let end = rest.iter().position(|&byte| byte == b';');
    let attributes = end.and_then(|end| rest.get(end..)).unwrap_or_default();
    match attributes.strip_prefix(scope.as_bytes()) {
        Some(after) => after.is_empty() || after.starts_with(b";"),
        None => false,
    }
}

/// The moment of an aware `datetime`.
pub(super) fn moment(value: &Bound<'_, PyAny>) -> PyResult<SystemTime> {
    let py = value.py();
    let is_aware = value
        .getattr(intern!(py, "tzinfo"))
        .is_ok_and(|zone| !zone.is_none());
    if !is_aware {
        return Err(PyTypeError::new_err(
            "expected expires as a datetime with a time zone",
        ));
    }
    let seconds: f64 = value.call_method0(intern!(py, "timestamp"))?.extract()?;
    // What lies before 1970, or past the year 9999, cannot be written.
    let seconds = seconds.clamp(0.0, 253_402_300_799.0);
    Ok(UNIX_EPOCH + Duration::from_secs_f64(seconds))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 6265 §4.1.1, `cookie-octet`.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

fn is_path_octet(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ') && byte != b';'
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(is_label)
}

fn invalid(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

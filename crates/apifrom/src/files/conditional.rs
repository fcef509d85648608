//! Judges the conditions and the range of a request for a file.
//!
//! In the order of RFC 9110 §13.2.2, for GET and HEAD alone:
//! 1. `If-Match` without our tag, else `If-Unmodified-Since` before our date: 412.
//! 2. `If-None-Match` with our tag, else `If-Modified-Since` not before our date: 304.
//! 3. `Range`, unless `If-Range` names another version: one range of bytes is sent as 206, one that
//!    lies outside the file is 416. Several ranges, other units, and what is malformed or was sent
//!    twice are answered with the whole file, as §14.2 allows.
//!
//! A date that cannot be read is passed over (§13.1.3).

use std::time::SystemTime;

use http::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};

/// What tells one version of a file from another.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    /// An entity tag, its quotes included.
    pub(super) tag: String,
    /// When it was last changed, in whole seconds.
    pub(super) modified: SystemTime,
}

impl Validators {
    /// Puts the validators into an answer, or takes them from it where the program set its own.
    pub(super) fn agree(&mut self, headers: &mut HeaderMap) {
        match headers.get(ETAG).and_then(|tag| tag.to_str().ok()) {
            Some(tag) => tag.clone_into(&mut self.tag),
            None => put(headers, ETAG, &self.tag),
        }
        match date(headers, &LAST_MODIFIED) {
            Some(date) => self.modified = date,
            None => put(
                headers,
                LAST_MODIFIED,
                &httpdate::fmt_http_date(self.modified),
            ),
        }
    }

    /// The tag without the mark of a weak one, and whether it is one.
    fn opaque(&self) -> (&str, bool) {
        match self.tag.strip_prefix("W/") {
            Some(opaque) => (opaque, true),
            None => (&self.tag, false),
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// 200.
    Whole,
    /// 206: the bytes from `start` up to, and without, `end`.
    Part {
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Judges the headers of a GET or HEAD request for a file of `length` bytes.
pub(super) fn judge(headers: &HeaderMap, validators: &Validators, length: u64) -> Verdict {
    let (tag, is_weak) = validators.opaque();
    if headers.contains_key(IF_MATCH) {
        if !names_tag(headers, &IF_MATCH, |candidate| candidate == tag && !is_weak) {
            return Verdict::PreconditionFailed;
        }
    } else if let Some(date) = date(headers, &IF_UNMODIFIED_SINCE)
        && validators.modified > date
    {
        return Verdict::PreconditionFailed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        // A weak comparison: for a cache any of our versions of this tag will do.
        let weak = |candidate: &str| candidate.strip_prefix("W/").unwrap_or(candidate) == tag;
        if names_tag(headers, &IF_NONE_MATCH, weak) {
            return Verdict::NotModified;
        }
    } else if let Some(date) = date(headers, &IF_MODIFIED_SINCE)
        && validators.modified <= date
    {
        return Verdict::NotModified;
    }
    match single(headers, &RANGE) {
        Some(range) if same_version(headers, validators) => part(range, length),
        _ => Verdict::Whole,
    }
}

/// True when a list of tags is `*` or holds one that `matches`.
fn names_tag(headers: &HeaderMap, name: &HeaderName, matches: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|candidate| candidate == "*" || matches(candidate))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// RFC 9110 §13.1.5: `If-Range` compares strongly, a date by equality.
fn same_version(headers: &HeaderMap, validators: &Validators) -> bool {
    let Some(value) = single(headers, &IF_RANGE) else {
        return !headers.contains_key(IF_RANGE);
    };
    let (tag, is_weak) = validators.opaque();
    if value.as_bytes() == tag.as_bytes() {
        return !is_weak;
    }
    date(headers, &IF_RANGE) == Some(validators.modified)
}

/// The only value of a header; nothing where it was sent twice.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn part(range: &HeaderValue, length: u64) -> Verdict {
    let Some((first, last)) = range.to_str().ok().and_then(bounds) else {
        return Verdict::Whole;
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Some(first), None) if last.is_empty() => (first, length),
        (None, Some(suffix)) if first.is_empty() => (length.saturating_sub(suffix), length),
        _ => return Verdict::Whole,
    };
    if start < end {
        Verdict::Part { start, end }
    } else {
        Verdict::Unsatisfiable
    }
}

/// The two sides of `bytes=first-last`; `None` for several ranges, or of another unit.
fn bounds(range: &str) -> Option<(&str, &str)> {
    let (unit, ranges) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return None;
    }
    ranges.trim().split_once('-')
}

/// Digits alone; more than fit is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

//! The path of a request, checked and brought to the one form that is matched.
//!
//! Rules, in this order:
//! 1. The path begins with `/`; `*` and an authority alone are no paths.
//! 2. It is split at `/` before anything is decoded, so `%2F` never makes a segment.
//! 3. `\`, NUL, an incomplete or non-hexadecimal `%`, and bytes that are not UTF-8 once decoded
//!    are faults.
//! 4. A segment that reads `.` or `..` once decoded is a fault.
//! 5. Nothing is normalised beyond that: `//`, letter case and a last `/` are significant.
//!
//! A path that fails is answered with 400 before any endpoint is looked for.
//!
//! # Deployment
//! A proxy in front that merges slashes or resolves dot segments sees other paths than the
//! ones that arrive here; rules that it keeps by path do not replace the ones kept here.

use std::borrow::Cow;

use super::template::CapturePlace;

/// The most captures that one template may hold.
pub(crate) const MAX_CAPTURES: usize = 12;

/// What a byte may mean for a path, a bit for each; nearly all mean nothing.
#[expect(
    clippy::indexing_slicing,
    reason = "it is run by the compiler, which would say so"
)]
const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    kinds[b'%' as usize] = RESOLVED;
    kinds[b'\\' as usize] = RESOLVED;
    kinds[0] = RESOLVED;
    kinds[b'.' as usize] = DOT;
    kinds
}

const RESOLVED: u8 = 1;
const DOT: u8 = 2;
static KINDS: [u8; 256] = kinds();

fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(RESOLVED)
}

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// The request target is not a path.
    #[error("the request target is not an absolute path")]
    NotAPath,
    /// `%` without two hexadecimal digits.
    #[error("the path holds a malformed percent-encoding")]
    Encoding,
    /// Not UTF-8 once decoded.
    #[error("the path is not valid UTF-8")]
    Utf8,
    /// A backslash or NUL, plain or encoded.
    #[error("the path holds a character that is not allowed")]
    Character,
    /// A `.` or `..` segment, plain or encoded.
    #[error("the path holds a dot segment")]
    DotSegment,
}

/// A path as it is matched: borrowed as it came, or with its escapes resolved.
///
/// In the resolved form only `/` and `%` stay encoded (as `%2F` and `%25`), which makes the form
/// unique and keeps a decoded slash from becoming a separator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CanonicalPath<'a>(pub(crate) Cow<'a, str>);

impl<'a> CanonicalPath<'a> {
    /// Checks `path` by the rules above.
    pub(crate) fn parse(path: &'a str) -> Result<Self, PathFault> {
        let bytes = path.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathFault::NotAPath);
        }
        let seen = bytes.iter().fold(0, |seen, byte| seen | kind(*byte));
        // A dot may make a dot segment where it follows a slash.
        let resolves =
            seen & RESOLVED != 0 || seen & DOT != 0 && bytes.windows(2).any(|pair| pair == b"/.");
        if resolves {
            resolve(path)
        } else {
            Ok(Self(Cow::Borrowed(path)))
        }
    }
}

fn resolve(path: &str) -> Result<CanonicalPath<'_>, PathFault> {
    let mut resolved = Vec::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        resolved.push(b'/');
        let start = resolved.len();
        decode_segment(segment, &mut resolved)?;
        if matches!(resolved.get(start..), Some(b"." | b"..")) {
            return Err(PathFault::DotSegment);
        }
    }
    let resolved = String::from_utf8(resolved).map_err(|_| PathFault::Utf8)?;
    // A path that holds `%` stays owned even when nothing changed: its captures still have to
    // resolve the escapes that were kept.
    Ok(CanonicalPath(if path.contains('%') {
        Cow::Owned(resolved)
    } else {
        Cow::Borrowed(path)
    }))
}

fn decode_segment(segment: &str, out: &mut Vec<u8>) -> Result<(), PathFault> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' {
            let high = bytes.next().and_then(hex_digit);
            let low = bytes.next().and_then(hex_digit);
            match (high, low) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(PathFault::Encoding),
            }
        } else {
            byte
        };
        match decoded {
            b'\\' | 0 => return Err(PathFault::Character),
            b'/' => out.extend_from_slice(b"%2F"),
            b'%' => out.extend_from_slice(b"%25"),
            other => out.push(other),
        }
    }
    Ok(())
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The parts of the path that a template's captures matched, decoded once.
///
/// Held as spans of the matched path, so that a capture nobody asks for costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    /// The matched path where it differs from the one that was sent.
    resolved: Option<Box<str>>,
    spans: [(u16, u16); MAX_CAPTURES],
    count: u8,
}

impl Captures {
    /// Finds the captures of a template in `path`, which matches it.
    pub(super) fn find(&mut self, path: &str, places: &[CapturePlace]) {
        (self.resolved, self.count) = (None, 0);
        let bytes = path.as_bytes();
        let (mut segment, mut start) = (0, 1);
        for (place, span) in places.iter().zip(&mut self.spans) {
            // A path that matches has as many segments, so both searches find what they look for.
            while segment < place.segment {
                start = end_of_segment(bytes, start) + 1;
                segment += 1;
            }
            let end = if place.takes_rest {
                bytes.len()
            } else {
                end_of_segment(bytes, start)
            };
            // A path is at most 64 KiB (the parser's bound), so both fit; a capture that did not
            // would be empty rather than wrong.
            *span = match (u16::try_from(start), u16::try_from(end)) {
                (Ok(start), Ok(end)) => (start, end),
                _ => (0, 0),
            };
            self.count += 1;
        }
    }

    pub(crate) fn keep_resolved(&mut self, path: String) {
        self.resolved = Some(path.into_boxed_str());
    }

    /// How many captures the template has.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// True when the template has no capture.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The decoded capture at `index`, in the order of the template; `path` is the path of the
    /// request that was matched.
    pub fn value<'a>(&'a self, index: usize, path: &'a str) -> Option<Cow<'a, str>> {
        if index >= self.len() {
            return None;
        }
        let &(start, end) = self.spans.get(index)?;
        let span = usize::from(start)..usize::from(end);
        match &self.resolved {
            None => path.get(span).map(Cow::Borrowed),
            Some(resolved) => resolved.get(span).map(unescape),
        }
    }
}

/// The place of the slash behind the segment that begins at `start`, or of the path's end.
fn end_of_segment(path: &[u8], start: usize) -> usize {
    let rest = path.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == b'/');
    start + length.unwrap_or(rest.len())
}

/// Resolves the two escapes that the canonical form keeps.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    // `%` itself comes last, so that what was sent as `%252F` ends as `%2F` and not as `/`.
    Cow::Owned(text.replace("%2F", "/").replace("%25", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(path: &str) -> Result<String, PathFault> {
        CanonicalPath::parse(path).map(|path| path.0.into_owned())
    }

    #[test]
    fn plain_paths_are_borrowed_as_they_came() {
        for path in [
            "/",
            "/users/12",
            "//a//",
            "/a.b/.c/..d",
            "/caf\u{e9}",
            "/a;b=c",
        ] {
            assert!(
                matches!(CanonicalPath::parse(path), Ok(CanonicalPath(Cow::Borrowed(p))) if p == path),
                "{path}"
            );
        }
    }

    #[test]
    fn escapes_are_resolved_once_and_slashes_stay_escaped() {
        assert_eq!(canonical("/%75sers/a%20b").as_deref(), Ok("/users/a b"));
        assert_eq!(canonical("/a%2fb").as_deref(), Ok("/a%2Fb"));
        assert_eq!(canonical("/a%252Fb").as_deref(), Ok("/a%252Fb"));
        assert_eq!(canonical("/caf%C3%A9").as_deref(), Ok("/caf\u{e9}"));
    }

    #[test]
    fn dot_segments_are_refused_in_every_spelling() {
        for path in [
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/x",
            "/a/%2E",
            "/.%2e",
        ] {
            assert_eq!(canonical(path), Err(PathFault::DotSegment), "{path}");
        }
        assert_eq!(canonical("/...").as_deref(), Ok("/..."));
        assert_eq!(canonical("/%2e%2e%2e").as_deref(), Ok("/..."));
        // An encoded slash makes no segment, so this is one segment with odd text.
        assert_eq!(canonical("/..%2fx").as_deref(), Ok("/..%2Fx"));
    }

    #[test]
    fn backslash_nul_bad_escapes_and_bad_utf8_are_refused() {
        assert_eq!(canonical("/a\\b"), Err(PathFault::Character));
        assert_eq!(canonical("/a%5Cb"), Err(PathFault::Character));
        assert_eq!(canonical("/a%00"), Err(PathFault::Character));
        for path in ["/%", "/%2", "/%zz", "/%%20", "/%+1"] {
            assert_eq!(canonical(path), Err(PathFault::Encoding), "{path}");
        }
        for path in ["/%ff", "/%c3", "/%c0%af", "/%ed%a0%80"] {
            assert_eq!(canonical(path), Err(PathFault::Utf8), "{path}");
        }
    }

    #[test]
    fn targets_that_are_no_path_are_refused() {
        for path in ["", "*", "foo", "a/b"] {
            assert_eq!(canonical(path), Err(PathFault::NotAPath), "{path}");
        }
    }

    #[test]
    fn a_capture_decodes_what_the_canonical_form_kept() {
        assert_eq!(unescape("a%2Fb"), "a/b");
        assert_eq!(unescape("a%252Fb"), "a%2Fb");
        assert_eq!(unescape("100%25"), "100%");
    }
}

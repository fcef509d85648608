//! What a request is called: by an id of its own, and as part of a trace.

use std::fmt;
use std::sync::Arc;

use http::header::{HOST, HeaderName};

use super::Head;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The name of one request, in the answer's `X-Request-ID` and in every record about it, beside the trace
/// that it is part of.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Known);

/// Nearly every request has an id of ours and no trace: its copies are small, and nothing is shared.
#[derive(Clone, PartialEq, Eq)]
enum Known {
    Ours([u8; RequestId::OURS]),
    More(Arc<More>),
}

#[derive(PartialEq, Eq)]
struct More {
    text: Box<[u8]>,
    trace: Option<TraceParent>,
}

impl RequestId {
    /// The longest id that is taken over from a trusted proxy.
    pub const MAX: usize = 64;
    /// The length of an id that is made here.
    pub(crate) const OURS: usize = 22;

    /// An id of 8 to [`RequestId::MAX`] bytes of `[A-Za-z0-9._-]`; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        if !(8..=Self::MAX).contains(&text.len()) || !text.iter().all(allowed) {
            return None;
        }
        Some(Self(Known::More(Arc::new(More {
            text: text.into(),
            trace: None,
        }))))
    }

    /// An id that was made here, of characters that are allowed.
    pub(crate) fn ours(text: [u8; Self::OURS]) -> Self {
        Self(Known::Ours(text))
    }

    /// The same id, of a request that is part of `trace`.
    pub(crate) fn within(self, trace: Option<TraceParent>) -> Self {
        if trace.is_none() {
            return self;
        }
        let text = self.as_bytes().into();
        Self(Known::More(Arc::new(More { text, trace })))
    }

    /// The trace that the request is part of, where its caller named one.
    pub fn trace(&self) -> Option<&TraceParent> {
        match &self.0 {
            Known::Ours(_) => None,
            Known::More(more) => more.trace.as_ref(),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The id as it is sent.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Known::Ours(text) => text,
            Known::More(more) => &more.text,
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The trace that a request is part of, as its caller says by `traceparent` (W3C Trace Context).
///
/// It is anybody's to choose and proves nothing; records hold it so that those of several services can
/// be found together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 32],
    parent: [u8; 16],
}

impl TraceParent {
    /// Reads the value of the header. `None` where it is malformed, names no trace or no parent, or is of
    /// the version that there will never be.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(55)?;
        let [version, trace, parent, flags] = [0..2, 3..35, 36..52, 53..55].map(|at| known.get(at));
        let (version, trace, parent, flags) = (version?, trace?, parent?, flags?);
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let has_dashes = [2, 35, 52].iter().all(|&at| known.get(at) == Some(&b'-'));
        let fields = [version, trace, parent, flags];
        let is_sound = has_dashes
            && fields.iter().all(|field| field.iter().all(is_hex))
            && [trace, parent]
                .iter()
                .all(|id| id.iter().any(|&byte| byte != b'0'))
            && version != b"ff";
        // What later versions append follows a dash.
        let has_end = rest.is_empty() || (version != b"00" && rest.first() == Some(&b'-'));
        if !is_sound || !has_end {
            return None;
        }
        Some(Self {
            trace: trace.try_into().ok()?,
            parent: parent.try_into().ok()?,
        })
    }

    /// The trace that `head` names, if it names one.
    pub(crate) fn of(head: &Head) -> Option<Self> {
        let mut names = head.headers.keys();
        if names.len() == 1 && names.next() == Some(&HOST) {
            return None;
        }
        let mut lines = head.headers.get_all(TRACEPARENT).iter();
        match (lines.next(), lines.next()) {
            (Some(line), None) => Self::parse(line.as_bytes()),
            _ => None,
        }
    }

    /// The trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        std::str::from_utf8(&self.trace).unwrap_or_default()
    }

    /// What the caller was doing: 16 hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        std::str::from_utf8(&self.parent).unwrap_or_default()
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.trace_id(), self.parent_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    fn read(text: &str) -> Option<(String, String)> {
        let found = TraceParent::parse(text.as_bytes())?;
        Some((found.trace_id().to_owned(), found.parent_id().to_owned()))
    }

    #[test]
    fn a_trace_and_its_parent_are_read_of_this_version_and_of_later_ones() {
        for text in [
            format!("00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-ff"),
            format!("01-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01-what the future holds"),
            format!("fe-{TRACE}-{PARENT}-00-"),
        ] {
            assert_eq!(read(&text), Some((TRACE.into(), PARENT.into())), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_sent_names_no_trace() {
        let (zeros, capitals) = ("0".repeat(32), TRACE.to_uppercase());
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("01-{TRACE}-{PARENT}-01more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{zeros}-{PARENT}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{capitals}-{PARENT}-01"),
            format!("0x-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00_{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}{PARENT}-01-0"),
            format!(" 00-{TRACE}-{PARENT}-01"),
            format!("00-{}\n-{PARENT}-01", &TRACE[1..]),
            "\u{e9}".repeat(28),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_what_was_sent(text in "[0-9a-f]{2}-[0-9a-fA]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?") {
            if let Some((trace, parent)) = read(&text) {
                let named = format!("-{trace}-{parent}-");
                proptest::prop_assert!(text[2..].starts_with(&named));
                proptest::prop_assert!(!text.starts_with("ff") && named == named.to_lowercase());
            }
        }

        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let _ = TraceParent::parse(&bytes);
        }
    }

    #[test]
    fn two_lines_of_it_are_none() {
        let head = |count: usize| {
            let mut request = http::Request::builder();
            for _ in 0..count {
                request = request.header(TRACEPARENT, format!("00-{TRACE}-{PARENT}-01"));
            }
            request.body(()).unwrap().into_parts().0
        };
        let named = [0, 1, 2].map(|count| TraceParent::of(&head(count)).is_some());
        assert_eq!(named, [false, true, false]);
    }
}

//! The wire guard: what the HTTP parser forgives and this server does not, decided from the head
//! before the request is routed.
//!
//! 1. More header fields than `max_header_fields`: 431.
//! 2. `Transfer-Encoding` on HTTP/1.0, in more than one field, with any other value than `chunked`
//!    (in any case), or beside a `Content-Length`: 400.
//! 3. More than one `Content-Length`: 400.
//! 4. `CONNECT`: 400. `TRACE`: 405.
//! 5. A chunked body where none is expected (`GET`, `HEAD`, `DELETE`, `OPTIONS`) is read before the
//!    request is routed, at most 64 KiB of it: else 413.
//!
//! Two readers of one connection that disagree about where a request ends let one client put words
//! into another's mouth (request smuggling), so whatever could be read in two ways is refused, and
//! the connection is closed after the answer.
//!
//! # Deployment
//! A head that does not parse at all is answered by the parser itself, with a bare 4xx.

use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::rejection::Rejection;
use crate::request::Head;

/// Every method that an endpoint may have.
const ENDPOINT_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// When the body of a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// When somebody asks for it.
    WhenAsked,
    /// Before anything else happens: hardly any handler reads it, and a chunked one that is left unread
    /// costs the connection and the requests behind it.
    AtOnce,
}

/// Decides whether `head` can be read in one way only, and when its body is read.
pub(super) fn check(head: &Head, max_fields: usize) -> Result<Body, Rejection> {
    if head.headers.len() > max_fields {
        return Err(Rejection::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too_many_header_fields",
            "the request has too many header fields",
        ));
    }
    let (mut lengths, mut codings) = (0, 0);
    // One walk over the few fields that there are costs less than two look-ups.
    for (name, value) in &head.headers {
        if name == CONTENT_LENGTH {
            lengths += 1;
        } else if name == TRANSFER_ENCODING {
            codings += 1;
            if !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(ambiguous(
                    "the only transfer coding understood here is chunked",
                ));
            }
        }
    }
    // RFC 9112 §6.1: a server may refuse a request that holds both a length and a coding.
    if lengths + codings > 1 || (codings > 0 && head.version < Version::HTTP_11) {
        return Err(ambiguous("the framing of the request is ambiguous"));
    }
    match head.method {
        // RFC 9110 §9.3.6: this is no proxy.
        Method::CONNECT => Err(Rejection::bad_request(
            "connect_refused",
            "this server opens no tunnels",
        )),
        // RFC 9110 §9.3.8: TRACE would echo the credentials of the request.
        Method::TRACE => Err(Rejection::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this server does not answer that method",
        )
        .header(ALLOW, HeaderValue::from_static(ENDPOINT_METHODS))),
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS if codings > 0 => {
            Ok(Body::AtOnce)
        }
        _ => Ok(Body::WhenAsked),
    }
}

fn ambiguous(detail: &'static str) -> Rejection {
    Rejection::bad_request("bad_framing", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, version: Version, fields: &[(&str, &str)]) -> Head {
        let mut request = http::Request::builder()
            .method(method)
            .version(version)
            .uri("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn refused(method: &str, version: Version, fields: &[(&str, &str)]) -> Option<u16> {
        let refused = check(&head(method, version, fields), 5).err()?;
        Some(refused.status().as_u16())
    }

    #[test]
    fn one_chunked_coding_or_one_length_passes() {
        let passes = |fields: &[(&str, &str)]| refused("POST", Version::HTTP_11, fields).is_none();
        assert!(passes(&[]));
        assert!(passes(&[("content-length", "5")]));
        assert!(passes(&[("transfer-encoding", "chunked")]));
        assert!(passes(&[("transfer-encoding", "Chunked")]));
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for fields in [
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ][..],
            &[
                ("transfer-encoding", "identity"),
                ("transfer-encoding", "chunked"),
            ],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked, chunked")],
            &[("transfer-encoding", "chunked;q=1")],
            &[("transfer-encoding", "")],
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "5"), ("content-length", "6")],
        ] {
            assert_eq!(
                refused("POST", Version::HTTP_11, fields),
                Some(400),
                "{fields:?}"
            );
        }
        let chunked = [("transfer-encoding", "chunked")];
        assert_eq!(refused("POST", Version::HTTP_10, &chunked), Some(400));
    }

    #[test]
    fn as_many_fields_as_allowed_pass_and_one_more_is_refused() {
        let fields = [("x-a", "1"); 6];
        assert_eq!(refused("GET", Version::HTTP_11, &fields[..5]), None);
        assert_eq!(refused("GET", Version::HTTP_11, &fields), Some(431));
    }

    #[test]
    fn only_chunked_bodies_that_nobody_expects_are_read_ahead() {
        let read =
            |method, fields: &[_]| check(&head(method, Version::HTTP_11, fields), 5).unwrap();
        let chunked = [("transfer-encoding", "chunked")];
        assert_eq!(read("GET", &chunked), Body::AtOnce);
        assert_eq!(read("DELETE", &chunked), Body::AtOnce);
        assert_eq!(read("POST", &chunked), Body::WhenAsked);
        assert_eq!(read("GET", &[("content-length", "5")]), Body::WhenAsked);
        assert_eq!(read("GET", &[]), Body::WhenAsked);
    }

    #[test]
    fn tunnels_and_echoes_are_refused() {
        assert_eq!(refused("CONNECT", Version::HTTP_11, &[]), Some(400));
        assert_eq!(refused("TRACE", Version::HTTP_11, &[]), Some(405));
        assert_eq!(refused("TRACE", Version::HTTP_2, &[]), Some(405));
        assert_eq!(refused("PROPFIND", Version::HTTP_11, &[]), None);
    }
}

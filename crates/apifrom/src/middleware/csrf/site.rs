//! Which site a browser says that a request comes from.

use http::header::{HOST, HeaderName, HeaderValue, ORIGIN};

use crate::origin::Origins;
use crate::request::{Head, Scheme};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// A page of a trusted origin.
    Trusted,
    /// A page of this origin, or the user.
    Own,
    /// Nobody says: no browser of today, or no browser at all.
    Unsaid,
    /// A page of another site, or something that cannot be told from one.
    Other,
}

/// Who sent `head`, which reached this service by `scheme` as its client saw it.
pub(super) fn sender(head: &Head, scheme: Scheme, trusted: &Origins) -> Sender {
    let Ok(origin) = only(head, &ORIGIN) else {
        return Sender::Other;
    };
    if origin.is_some_and(|origin| trusted.lists(origin)) {
        return Sender::Trusted;
    }
    match only(head, &SEC_FETCH_SITE) {
        Ok(Some(site)) if site == "same-origin" || site == "none" => return Sender::Own,
        Err(Several) | Ok(Some(_)) => return Sender::Other,
        Ok(None) => {}
    }
    match origin {
        None => Sender::Unsaid,
        Some(origin) if is_own(origin, head, scheme) => Sender::Own,
        Some(_) => Sender::Other,
    }
}

struct Several;

fn only<'a>(head: &'a Head, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Several> {
    let mut lines = head.headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (line, None) => Ok(line),
        (_, Some(_)) => Err(Several),
    }
}

/// Whether `origin` is the scheme, host and port that the client asked for.
fn is_own(origin: &HeaderValue, head: &Head, scheme: Scheme) -> bool {
    let authority = head.uri.authority().map(|name| name.as_str().as_bytes());
    let host = head.headers.get(HOST).map(HeaderValue::as_bytes);
    let Some(asked) = authority.or(host) else {
        return false;
    };
    let (before, port): (&[u8], &[u8]) = match scheme {
        Scheme::Http => (b"http://", b":80"),
        Scheme::Https => (b"https://", b":443"),
    };
    // Browsers leave out the scheme's own port in an origin; in `Host` it may stand.
    let asked = asked.strip_suffix(port).unwrap_or(asked);
    origin
        .as_bytes()
        .strip_prefix(before)
        .is_some_and(|named| named.eq_ignore_ascii_case(asked))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn told(scheme: Scheme, headers: &[(&str, &str)]) -> Sender {
        let mut request = Request::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let mut errors = Vec::new();
        let trusted = Origins::parse([(0, "https://app.example.com")], "o", &mut errors);
        assert_eq!(errors, []);
        sender(&head, scheme, &trusted)
    }

    const HOST: (&str, &str) = ("host", "api.example.com");

    #[test]
    fn fetch_metadata_decide_where_they_are_sent() {
        for (site, expected) in [
            ("same-origin", Sender::Own),
            ("none", Sender::Own),
            ("same-site", Sender::Other),
            ("cross-site", Sender::Other),
            ("Same-Origin", Sender::Other),
            ("same-origin, none", Sender::Other),
            ("", Sender::Other),
        ] {
            let found = told(Scheme::Https, &[HOST, ("sec-fetch-site", site)]);
            assert_eq!(found, expected, "{site}");
        }
        let twice = [("sec-fetch-site", "none"), ("sec-fetch-site", "none")];
        assert_eq!(told(Scheme::Https, &twice), Sender::Other);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_as_the_client_saw_them() {
        let own = |scheme, host, origin| {
            told(scheme, &[("host", host), ("origin", origin)]) == Sender::Own
        };
        assert!(own(Scheme::Https, "example.com", "https://example.com"));
        assert!(own(Scheme::Https, "example.com:443", "https://example.com"));
        assert!(own(Scheme::Https, "EXAMPLE.com", "https://example.com"));
        assert!(own(Scheme::Http, "127.0.0.1:8000", "http://127.0.0.1:8000"));
        assert!(own(Scheme::Http, "[::1]:80", "http://[::1]"));
        for (scheme, host, origin) in [
            (Scheme::Https, "example.com", "http://example.com"),
            (Scheme::Http, "example.com", "https://example.com"),
            (Scheme::Https, "example.com", "https://example.com:8443"),
            (Scheme::Https, "example.com:8443", "https://example.com"),
            (
                Scheme::Https,
                "example.com",
                "https://example.com.evil.test",
            ),
            (Scheme::Https, "example.com", "https://evil.test"),
            (Scheme::Https, "example.com", "https://user@example.com"),
            (Scheme::Https, "example.com", "null"),
            (Scheme::Https, "example.com", ""),
            (Scheme::Https, "example.com", "https://example.com/"),
        ] {
            assert!(!own(scheme, host, origin), "{host} {origin}");
        }
    }

    #[test]
    fn a_trusted_origin_is_asked_for_its_token_alone() {
        let app = ("origin", "https://app.example.com");
        let across = ("sec-fetch-site", "cross-site");
        assert_eq!(told(Scheme::Https, &[HOST, app, across]), Sender::Trusted);
        assert_eq!(told(Scheme::Https, &[HOST, app, app]), Sender::Other);
        assert_eq!(told(Scheme::Https, &[HOST]), Sender::Unsaid);
        let without_host = ("origin", "https://example.com");
        assert_eq!(told(Scheme::Https, &[without_host]), Sender::Other);
    }
}

//! Answers that lead elsewhere.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};

use super::{IntoResponse, Response, ResponseBody};
use crate::rejection::Rejection;

/// Leads the client to another address: 307, with the same method, unless another status is chosen.
///
/// # Security
/// An address that came with the request leads your users wherever its sender likes: take it from a list
/// of your own.
///
/// # Examples
/// ```
/// use apifrom::testing::TestClient;
/// use apifrom::{Api, Redirect, api, endpoints};
///
/// #[api(route = "/notes", method = "POST")]
/// fn keep() -> Redirect {
///     Redirect::to("/").status(303)
/// }
///
/// let client = TestClient::new(Api::new().endpoints(endpoints![keep]).build()?);
/// let answer = client.post("/notes").send()?;
/// assert_eq!(answer.status(), 303);
/// assert_eq!(answer.header("Location"), Some("/"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "RedirectResponse")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    url: String,
    status: u16,
}

impl Redirect {
    /// Leads to `url`, whole or relative. What no URL may hold is percent-encoded; a control character is
    /// a failure of the handler.
    pub fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            status: 307,
        }
    }

    /// Says how: 301 and 308 for good, 302 and 307 for now, 303 to look elsewhere. Any other status is a
    /// failure of the handler.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for Redirect {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        let Self { url, status } = self;
        let found = StatusCode::from_u16(status);
        let (true, Ok(status)) = (matches!(status, 301 | 302 | 303 | 307 | 308), found) else {
            let why =
                format!("expected a redirect's status (301, 302, 303, 307 or 308), found {status}");
            return Err(Rejection::internal().caused_by(why));
        };
        if url.bytes().any(|byte| byte.is_ascii_control()) {
            let why = "a redirect's URL may not hold control characters";
            return Err(Rejection::internal().caused_by(why));
        }
        let location = location(&url);
        let location = location.map_err(|error| Rejection::internal().caused_by(error))?;
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = status;
        response.headers_mut().insert(LOCATION, location);
        Ok(response)
    }
}

/// Writes `url` in the characters that a `Location` may hold. A backslash, which browsers read as a
/// slash, is encoded like everything else that has no place in a URL.
fn location(url: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut written = String::with_capacity(url.len());
    for byte in url.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
        if is_plain {
            written.push(char::from(byte));
        } else {
            written.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = char::from_digit(half.into(), 16).unwrap_or('0');
                written.push(digit.to_ascii_uppercase());
            }
        }
    }
    HeaderValue::try_from(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_nothing_that_ends_its_line_or_that_browsers_read_as_a_slash() {
        for (url, expected) in [
            ("/notes?page=2#top", "/notes?page=2#top"),
            ("https://example.com/%2F", "https://example.com/%2F"),
            ("/a b", "/a%20b"),
            ("/\\evil.example", "/%5Cevil.example"),
            ("/caf\u{e9}\"<>", "/caf%C3%A9%22%3C%3E"),
            ("", ""),
        ] {
            let response = Redirect::to(url).into_response().unwrap();
            assert_eq!(response.status(), 307);
            assert_eq!(response.headers()[LOCATION], expected, "{url:?}");
        }
    }

    #[test]
    fn what_is_no_redirect_is_a_failure() {
        for status in [301, 302, 303, 307, 308] {
            let response = Redirect::to("/").status(status).into_response().unwrap();
            assert_eq!(response.status(), status);
        }
        for url in ["/a\r\nSet-Cookie: a", "/\0", "/\t"] {
            let refused = Redirect::to(url).into_response();
            assert_eq!(refused.unwrap_err().status(), 500, "{url:?}");
        }
        for status in [0, 200, 300, 304, 306, 399, 404, 1000] {
            let refused = Redirect::to("/").status(status).into_response();
            assert_eq!(refused.unwrap_err().status(), 500, "{status}");
        }
    }
}

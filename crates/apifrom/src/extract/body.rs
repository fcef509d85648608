//! Reads a body whole, for whoever gives it a type.
//!
//! 1. The type must be announced: JSON as `application/json` or `…+json`, a form as
//!    `application/x-www-form-urlencoded`, once, in UTF-8. Anything else is 415.
//!    A form with files is `multipart/form-data`.
//! 2. The size is bounded by the endpoint, announced or not: 413.
//! 3. JSON is scanned ([`crate::json`]) before anything builds a value of it: a fault is 400, too
//!    deep is 413.
//! 4. No body at all, where one is required, is the violation `missing` at `body`.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::multipart::{Multipart, multipart_at_hand, read_multipart};
use crate::json::{JsonFault, JsonFaultKind, JsonLimits, scan};
use crate::rejection::Rejection;
use crate::request::{Head, Request};
use crate::violation::{Location, Violation, Violations};

const MULTIPART: &str = "multipart/form-data";
const EITHER: &str = "application/x-www-form-urlencoded or multipart/form-data";

/// Reads a JSON body and scans it; nothing when there is none and none is required.
///
/// # Errors
/// 415 for another type, 413 for too many bytes or too deep a nesting, 400 for what is no JSON, and
/// 422 for no body where one is required.
pub async fn read_json(
    request: &mut Request,
    max_depth: usize,
    required: bool,
) -> Result<Option<Bytes>, Rejection> {
    let announced = media_type(request.head());
    if announced == Media::Absent {
        let bytes = request.body().read().await?;
        return match (bytes.is_empty(), required) {
            (true, false) => Ok(None),
            (true, true) => Err(missing()),
            (false, _) => Err(unsupported("application/json")),
        };
    }
    if announced != Media::Json {
        return Err(unsupported("application/json"));
    }
    let bytes = request.body().read().await?;
    let limits = JsonLimits {
        max_depth,
        ..JsonLimits::default()
    };
    scan(&bytes, &limits).map_err(|fault| refused(&fault))?;
    Ok(Some(bytes))
}

/// Reads an urlencoded form; an absent body is an empty one.
///
/// # Errors
/// 415 for another type, and 413 for too many bytes.
pub async fn read_form(request: &mut Request) -> Result<Bytes, Rejection> {
    let announced = media_type(request.head());
    let bytes = match announced {
        Media::Form => return Ok(request.body().read().await?),
        Media::Absent => request.body().read().await?,
        Media::Json | Media::Multipart | Media::Other => {
            return Err(unsupported("application/x-www-form-urlencoded"));
        }
    };
    if bytes.is_empty() {
        Ok(bytes)
    } else {
        Err(unsupported("application/x-www-form-urlencoded"))
    }
}

/// Reads a form in either type; an absent body is an empty one. With `needs_files` it must be the type
/// that can hold some.
///
/// # Errors
/// 415 for another type, and what [`read_form`] and [`read_multipart`] refuse.
pub async fn read_any_form(request: &mut Request, needs_files: bool) -> Result<AnyForm, Rejection> {
    match media_type(request.head()) {
        Media::Multipart => Ok(AnyForm::Multipart(read_multipart(request).await?)),
        Media::Form if !needs_files => Ok(AnyForm::Urlencoded(request.body().read().await?)),
        Media::Absent if request.body().read().await?.is_empty() => {
            Ok(AnyForm::Urlencoded(Bytes::new()))
        }
        _ if needs_files => Err(unsupported(MULTIPART)),
        _ => Err(unsupported(EITHER)),
    }
}

/// A form in either type, whose body is in memory already; an absent one is an empty form.
///
/// # Errors
/// 415 for another type, and what a form with files is refused for.
pub fn form_at_hand(head: &Head, body: Bytes) -> Result<AnyForm, Rejection> {
    match media_type(head) {
        Media::Multipart => Ok(AnyForm::Multipart(multipart_at_hand(head, body)?)),
        Media::Form => Ok(AnyForm::Urlencoded(body)),
        Media::Absent if body.is_empty() => Ok(AnyForm::Urlencoded(body)),
        _ => Err(unsupported(EITHER)),
    }
}

/// A form in either type.
#[derive(Debug)]
pub enum AnyForm {
    /// Its bytes.
    Urlencoded(Bytes),
    /// Its fields and files.
    Multipart(Multipart),
}

/// The boundary of a form with files.
///
/// # Errors
/// 415 for another type, 400 for one without a boundary.
pub(super) fn boundary(head: &Head) -> Result<String, Rejection> {
    if media_type(head) != Media::Multipart {
        return Err(unsupported(MULTIPART));
    }
    let line = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|line| line.to_str().ok());
    let boundary = line.and_then(|line| multer::parse_boundary(line).ok());
    // RFC 2046 §5.1.1: 1 to 70 characters.
    boundary
        .filter(|boundary| (1..=70).contains(&boundary.len()))
        .ok_or_else(|| Rejection::bad_request("form_malformed", "the form has no boundary"))
}

/// What a fault in a JSON text is answered with.
pub fn refused(fault: &JsonFault) -> Rejection {
    let status = match fault.kind {
        JsonFaultKind::TooDeep => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Rejection::new(
        status,
        fault.code(),
        format!("the body is not acceptable JSON: {fault}"),
    )
}

fn missing() -> Rejection {
    let violation = Violation::new(vec![Location::Body.into()], "missing", &());
    Rejection::invalid(Violations::from(violation))
}

fn unsupported(expected: &'static str) -> Rejection {
    Rejection::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("expected a body of type {expected}"),
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Media {
    Absent,
    Json,
    Form,
    Multipart,
    Other,
}

fn media_type(head: &Head) -> Media {
    let mut lines = head.headers.get_all(CONTENT_TYPE).iter();
    let Some(line) = lines.next() else {
        return Media::Absent;
    };
    let (None, Ok(text)) = (lines.next(), line.to_str()) else {
        return Media::Other;
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim().to_ascii_lowercase();
    if !is_utf8(parameters) {
        return Media::Other;
    }
    let is_json = essence == "application/json"
        || essence
            .strip_prefix("application/")
            .and_then(|subtype| subtype.strip_suffix("+json"))
            .is_some_and(|name| !name.is_empty());
    match essence.as_str() {
        _ if is_json => Media::Json,
        "application/x-www-form-urlencoded" => Media::Form,
        MULTIPART => Media::Multipart,
        _ => Media::Other,
    }
}

/// RFC 8259 §8.1: JSON between systems is UTF-8; a form that says otherwise is not read either.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return true;
        };
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(lines: &[&str]) -> Media {
        let mut request = http::Request::builder();
        for line in lines {
            request = request.header(CONTENT_TYPE, *line);
        }
        media_type(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn json_is_announced_as_such_and_in_utf8() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/problem+json",
            "application/json;charset=\"utf-8\";x=y",
        ] {
            assert_eq!(media(&[good]), Media::Json, "{good}");
        }
        for bad in [
            "text/json",
            "application/+json",
            "application/jsonp",
            "application/json; charset=latin-1",
            "application/json, text/plain",
            "",
        ] {
            assert_eq!(media(&[bad]), Media::Other, "{bad}");
        }
        assert_eq!(
            media(&["application/json", "application/json"]),
            Media::Other
        );
        assert_eq!(media(&[]), Media::Absent);
    }
}

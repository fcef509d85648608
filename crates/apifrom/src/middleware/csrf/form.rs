//! Finds the token in a form: exactly one field of its name.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::header::CONTENT_TYPE;

use super::Forgery;
use crate::request::Head;
use crate::urlencoded::{UrlencodedLimits, fields};

/// How many parts a multipart form may have.
const MAX_PARTS: usize = 1_000;

/// A token is far shorter. What is longer is another field that has the name.
const MAX_FIELD: u64 = 4 << 10;

/// How a form is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Urlencoded,
    Multipart { boundary: String },
}

/// How the body of a request is a form; nothing where it is none.
pub(super) fn kind(head: &Head) -> Option<Kind> {
    let mut lines = head.headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let line = line.to_str().ok()?;
    let essence = line.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Some(Kind::Urlencoded);
    }
    let boundary = multer::parse_boundary(line).ok()?;
    Some(Kind::Multipart { boundary })
}

/// The value of the one field called `name`.
///
/// # Errors
/// When there is none, or several, or the form cannot be read.
pub(super) async fn field(kind: &Kind, body: Bytes, name: &str) -> Result<String, Forgery> {
    let found = match kind {
        Kind::Urlencoded => urlencoded(&body, name)?,
        Kind::Multipart { boundary } => multipart(body, boundary, name).await?,
    };
    found.ok_or(Forgery::NoToken)
}

fn urlencoded(body: &[u8], name: &str) -> Result<Option<String>, Forgery> {
    let mut found = None;
    for field in fields(body, &UrlencodedLimits::default()) {
        let (key, value) = field.map_err(|_| Forgery::Unreadable)?;
        if key == name && found.replace(value.into_owned()).is_some() {
            return Err(Forgery::Doubled);
        }
    }
    Ok(found)
}

async fn multipart(body: Bytes, boundary: &str, name: &str) -> Result<Option<String>, Forgery> {
    let limits = multer::SizeLimit::new().for_field(name, MAX_FIELD);
    let constraints = multer::Constraints::new().size_limit(limits);
    let mut parts = multer::Multipart::with_constraints(Whole(Some(body)), boundary, constraints);
    let mut found = None;
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(|_| Forgery::Unreadable)? {
        count += 1;
        if count > MAX_PARTS {
            return Err(Forgery::Unreadable);
        }
        if part.name() != Some(name) {
            continue;
        }
        // A file of that name is no field: its content is the user's.
        if part.file_name().is_some() {
            return Err(Forgery::Unreadable);
        }
        let bytes = part.bytes().await.map_err(|_| Forgery::Unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Forgery::Unreadable)?;
        if found.replace(text.to_owned()).is_some() {
            return Err(Forgery::Doubled);
        }
    }
    Ok(found)
}

/// A body that is at hand, as a stream of one piece.
struct Whole(Option<Bytes>);

impl Stream for Whole {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

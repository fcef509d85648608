//! Reading one HTTP/1.1 answer: its status, its body, and where it ends.

use std::borrow::Cow;

use thiserror::Error;

const MAX_HEADERS: usize = 64;

/// An answer that has arrived whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: Cow<'a, [u8]>,
    /// How many bytes it took.
    pub(crate) length: usize,
    /// Whether the server says that the connection ends here.
    pub(crate) closes: bool,
}

/// Why bytes are no answer.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum AnswerError {
    /// The head breaks the grammar.
    #[error("malformed head: {0}")]
    Head(#[from] httparse::Error),
    /// A framing header or chunk cannot be read.
    #[error("malformed framing")]
    Framing,
}

/// Reads an answer, or `None` while bytes are missing.
///
/// # Errors
///
/// Fails when no further byte could make it an answer.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Answer<'_>>, AnswerError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes)? else {
        return Ok(None);
    };
    let status = head.code.ok_or(AnswerError::Framing)?;
    let mut content_length = None;
    let mut chunked = false;
    let mut closes = head.version == Some(0);
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).map_err(|_| AnswerError::Framing)?;
            content_length = Some(text.parse::<usize>().map_err(|_| AnswerError::Framing)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes |= header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let bodiless = status == 204 || status == 304;
    let (body, length) = if chunked {
        match dechunk(rest)? {
            Some((body, length)) => (Cow::Owned(body), length),
            None => return Ok(None),
        }
    } else {
        let length = match content_length {
            Some(length) => length,
            None if bodiless => 0,
            // A body that only the connection's end delimits cannot be kept alive.
            None => return Err(AnswerError::Framing),
        };
        match rest.get(..length) {
            Some(body) => (Cow::Borrowed(body), length),
            None => return Ok(None),
        }
    };
    Ok(Some(Answer {
        status,
        body,
        length: start + length,
        closes,
    }))
}

/// Joins the chunks of a body whose trailer section is empty.
fn dechunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, AnswerError> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (line, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(AnswerError::Framing),
        };
        let size = usize::try_from(size).map_err(|_| AnswerError::Framing)?;
        let start = at + line;
        let (Some(chunk), Some(end)) = (
            bytes.get(start..start + size),
            bytes.get(start + size..start + size + 2),
        ) else {
            return Ok(None);
        };
        if end != b"\r\n" {
            return Err(AnswerError::Framing);
        }
        body.extend_from_slice(chunk);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_length_ends_where_it_says() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP";
        let answer = read(bytes).unwrap().unwrap();
        assert_eq!((answer.status, answer.length), (200, bytes.len() - 4));
        assert_eq!(answer.body.as_ref(), b"ok");
        assert!(!answer.closes);
    }

    #[test]
    fn chunks_are_joined() {
        let bytes =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n";
        let answer = read(bytes).unwrap().unwrap();
        assert_eq!(answer.body.as_ref(), b"ok!");
        assert_eq!(answer.length, bytes.len());
    }

    #[test]
    fn every_prefix_is_unfinished() {
        for bytes in [
            &b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc"[..],
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"[..],
        ] {
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Ok(None), "prefix of {end} bytes");
            }
            assert!(read(bytes).unwrap().is_some());
        }
    }

    #[test]
    fn a_body_without_length_is_refused() {
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\n\r\nok"),
            Err(AnswerError::Framing)
        );
    }
}

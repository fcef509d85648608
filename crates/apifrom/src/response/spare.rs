//! Memory that went back and forth between requests and answers.
//!
//! A thread keeps the header map of the last request that ended on it, emptied, for the next answer that is
//! made there, and the buffer that the last body was written in. An answer then takes no memory from
//! the allocator but what its body needs.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;

/// The largest header map that is kept, in fields.
const FIELDS: usize = 48;

/// What a body is written into at first.
const BUFFER: usize = 1 << 10;

/// The largest buffer that is kept; what is larger leaves with its body, uncopied.
const KEPT: usize = 8 << 10;

thread_local! {
    static HEADERS: RefCell<Option<HeaderMap>> = const { RefCell::new(None) };
    static WRITTEN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty header map.
pub fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    furnish(&mut headers);
    headers
}

/// Gives `headers`, which are empty, the memory that is kept.
pub(crate) fn furnish(headers: &mut HeaderMap) {
    exchange(|kept| {
        if let Some(kept) = kept {
            std::mem::swap(headers, kept);
        }
    });
}

/// Empties `headers` and keeps their memory.
pub(crate) fn keep(headers: &mut HeaderMap) {
    if (1..=FIELDS).contains(&headers.capacity()) {
        headers.clear();
        exchange(|kept| std::mem::swap(headers, kept.get_or_insert_default()));
    }
}

/// Lets `with` change what is kept, which is large and therefore changed where it is.
fn exchange(with: impl FnOnce(&mut Option<HeaderMap>)) {
    let _ = HEADERS.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            with(&mut kept);
        }
    });
}

/// Writes `value` as JSON.
///
/// # Errors
/// What keeps the value from being written.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> serde_json::Result<Bytes> {
    written(|buffer| serde_json::to_writer(buffer, value))
}

/// What `write` appends to the buffer that it is handed.
///
/// # Errors
/// Its own.
pub(crate) fn written<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
    let mut buffer = WRITTEN.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    buffer.reserve(BUFFER);
    write(&mut buffer)?;
    if buffer.len() > KEPT {
        return Ok(buffer.into());
    }
    let written = Bytes::copy_from_slice(&buffer);
    let _ = WRITTEN.try_with(|spare| spare.set(buffer));
    Ok(written)
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HeaderValue, SET_COOKIE};

    use super::*;

    fn used(fields: usize) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(fields);
        headers.append(COOKIE, HeaderValue::from_static("a=b"));
        headers.append(COOKIE, HeaderValue::from_static("c=d"));
        headers
    }

    #[test]
    fn what_comes_back_is_empty_whatever_it_held() {
        keep(&mut used(4));
        let mut spare = headers();
        assert!(spare.capacity() > 0);
        assert_eq!(spare.len(), 0);
        assert_eq!(spare.get(COOKIE), None);
        spare.append(SET_COOKIE, HeaderValue::from_static("e=f"));
        assert_eq!(spare.iter().count(), 1);
        assert_eq!(headers().capacity(), 0, "it was given out already");
    }

    #[test]
    fn a_large_map_is_not_kept() {
        headers();
        keep(&mut used(1000));
        assert_eq!(headers().capacity(), 0);
    }

    #[test]
    fn a_body_holds_its_own_bytes_and_no_others() {
        let long = "x".repeat(2 * KEPT);
        for text in ["first and longer", "second", &long, "", "third"] {
            let body = json(&text).unwrap();
            assert_eq!(body, format!("\"{text}\"").as_bytes());
        }
        let kept = json(&"kept").unwrap();
        json(&"another").unwrap();
        assert_eq!(kept, r#""kept""#.as_bytes());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let broken = std::collections::HashMap::from([(vec![1], "a key that is no text")]);
        assert!(json(&broken).is_err());
        assert_eq!(json(&1).unwrap(), "1".as_bytes());
    }
}

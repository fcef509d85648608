//! Memory that went back and forth between requests and answers.
//!
//! A thread keeps the header map of the last request that ended on it, emptied, for the next answer that is
//! made there, and the buffer that the last body was written in. An answer then takes no memory from
//! the allocator but what its body needs.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use serde::Serialize;

/// The largest header map that is kept, in fields.
const FIELDS: usize = 48;

/// What a body is written into at first.
const BUFFER: usize = 1 << 10;

/// The largest buffer that is kept; what is larger leaves with its body, uncopied.
const KEPT: usize = 8 << 10;

/// What short copies share: as long as one of them is held, so is all of it.
const A_SHEET: usize = 4 << 10;

/// The longest copy that is a short one.
const SHORT: usize = 256;

thread_local! {
    static HEADERS: Cell<Option<HeaderMap>> = const { Cell::new(None) };
    static WRITTEN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SHEET: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// A copy of `text`. Short ones share a sheet of memory, which is used anew once all of them are gone.
pub(crate) fn copied(text: &[u8]) -> Bytes {
    if text.len() > SHORT {
        return Bytes::copy_from_slice(text);
    }
    let spare = SHEET.try_with(Cell::take).ok().flatten();
    let mut sheet = spare.unwrap_or_default();
    if sheet.capacity() < text.len() {
        sheet.reserve(A_SHEET);
    }
    sheet.extend_from_slice(text);
    let copy = sheet.split().freeze();
    let _ = SHEET.try_with(|spare| spare.set(Some(sheet)));
    copy
}

/// An empty header map.
pub fn headers() -> HeaderMap {
    HEADERS
        .try_with(Cell::take)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Empties `headers` and keeps its memory.
pub(crate) fn keep(mut headers: HeaderMap) {
    if (1..=FIELDS).contains(&headers.capacity()) {
        headers.clear();
        let _ = HEADERS.try_with(|spare| spare.set(Some(headers)));
    }
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
    let written = copied(&buffer);
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
        keep(used(4));
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
        keep(used(1000));
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
    fn copies_hold_what_they_are_of_for_as_long_as_they_are_held() {
        let texts: Vec<String> = (0..500).map(|at| at.to_string().repeat(at % 200)).collect();
        let held: Vec<_> = texts.iter().map(|text| copied(text.as_bytes())).collect();
        // Every other one is gone before its sheet is written on again.
        for text in texts.iter().step_by(2) {
            assert_eq!(copied(text.as_bytes()), text);
        }
        for (text, copy) in texts.iter().zip(&held) {
            assert_eq!(copy, text);
        }
        let elsewhere = std::thread::spawn(move || held.iter().map(Bytes::len).sum::<usize>());
        let all: usize = texts.iter().map(String::len).sum();
        assert_eq!(elsewhere.join().unwrap(), all);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let broken = std::collections::HashMap::from([(vec![1], "a key that is no text")]);
        assert!(json(&broken).is_err());
        assert_eq!(json(&1).unwrap(), "1".as_bytes());
    }
}

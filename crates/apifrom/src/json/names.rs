//! The member names of the objects that are open during a scan.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::num::NonZeroUsize;

use super::Text;

/// How many names of one object are compared one by one before they are hashed.
const LISTED: usize = 32;

/// How many names and open objects a thread keeps room for between two scans: 64 KiB.
const KEPT: usize = 1024;

thread_local! {
    /// The list of the last scan on this thread, emptied, so that scanning a small text allocates
    /// nothing.
    static SPARE: Cell<Listed> = const { Cell::new(Listed::new()) };
}

/// The names seen so far in each open object.
pub(super) struct Names<'a> {
    bytes: &'a [u8],
    listed: Listed,
    innermost: Object,
    /// Names of objects that outgrew the list, each with the number of its object. Names of closed
    /// objects stay: to take them out would cost what putting them in did.
    hashed: Option<HashSet<(NonZeroUsize, Cow<'a, [u8]>)>>,
    next_hashed: NonZeroUsize,
}

/// An inner object is done before its outer one goes on, so one list serves them all as a stack.
#[derive(Default)]
struct Listed {
    /// What differs between most names, apart from `places` so that many are compared at once.
    keys: Vec<u64>,
    places: Vec<Place>,
    /// What the names with escapes read as.
    decoded: Vec<u8>,
    outer: Vec<Object>,
}

impl Listed {
    const fn new() -> Self {
        Self {
            keys: Vec::new(),
            places: Vec::new(),
            decoded: Vec::new(),
            outer: Vec::new(),
        }
    }
}

/// Where a name stands: in the text, or among the decoded ones.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    length: usize,
    decoded: bool,
}

/// Where the names of an open object are: on the list, from `first` on, or hashed under a number.
#[derive(Clone, Copy, Default)]
struct Object {
    first: usize,
    first_decoded: usize,
    hashed: Option<NonZeroUsize>,
}

impl<'a> Names<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            listed: SPARE.try_with(Cell::take).unwrap_or_default(),
            innermost: Object::default(),
            hashed: None,
            next_hashed: NonZeroUsize::MIN,
        }
    }

    pub(super) fn open_object(&mut self) {
        self.listed.outer.push(self.innermost);
        self.innermost = Object {
            first: self.listed.keys.len(),
            first_decoded: self.listed.decoded.len(),
            hashed: None,
        };
    }

    pub(super) fn close_object(&mut self) {
        let Object {
            first,
            first_decoded,
            ..
        } = self.innermost;
        self.listed.keys.truncate(first);
        self.listed.places.truncate(first);
        self.listed.decoded.truncate(first_decoded);
        self.innermost = self.listed.outer.pop().unwrap_or_default();
    }

    /// Notes a name of the innermost object. False when the object has one like it.
    #[inline]
    pub(super) fn insert(&mut self, name: &Text) -> bool {
        let place = if name.escaped {
            self.decode(name)
        } else {
            Place {
                start: name.start,
                length: name.end - name.start,
                decoded: false,
            }
        };
        let keys = self
            .listed
            .keys
            .get(self.innermost.first..)
            .unwrap_or_default();
        if self.innermost.hashed.is_some() || keys.len() == LISTED {
            return self.insert_hashed(place);
        }
        let key = self.key(place);
        // Counted to the end, so that the compiler compares several at once.
        if keys.iter().filter(|other| **other == key).count() > 0 && self.is_listed(place) {
            return false;
        }
        self.listed.keys.push(key);
        self.listed.places.push(place);
        true
    }

    #[cold]
    fn decode(&mut self, name: &Text) -> Place {
        let start = self.listed.decoded.len();
        let raw = self.bytes.get(name.start..name.end).unwrap_or_default();
        unescape(raw, &mut self.listed.decoded);
        Place {
            start,
            length: self.listed.decoded.len() - start,
            decoded: true,
        }
    }

    /// Whether the innermost object has this name on the list.
    #[cold]
    fn is_listed(&self, name: Place) -> bool {
        let places = self
            .listed
            .places
            .get(self.innermost.first..)
            .unwrap_or_default();
        places
            .iter()
            .any(|place| self.slice(*place) == self.slice(name))
    }

    #[cold]
    fn insert_hashed(&mut self, place: Place) -> bool {
        let object = match self.innermost.hashed {
            Some(object) => object,
            None => self.hash_listed(),
        };
        let name = self.owned_or_borrowed(place);
        self.listed.decoded.truncate(self.innermost.first_decoded);
        self.hashed.get_or_insert_default().insert((object, name))
    }

    /// Moves the names of the innermost object from the list to the set.
    fn hash_listed(&mut self) -> NonZeroUsize {
        let object = self.next_hashed;
        self.next_hashed = object.saturating_add(1);
        let first = self.innermost.first;
        let mut hashed = self.hashed.take().unwrap_or_default();
        let places = self.listed.places.get(first..).unwrap_or_default();
        hashed.extend(
            places
                .iter()
                .map(|place| (object, self.owned_or_borrowed(*place))),
        );
        self.hashed = Some(hashed);
        self.listed.keys.truncate(first);
        self.listed.places.truncate(first);
        self.innermost.hashed = Some(object);
        object
    }

    fn owned_or_borrowed(&self, place: Place) -> Cow<'a, [u8]> {
        if place.decoded {
            Cow::Owned(self.slice(place).to_vec())
        } else {
            let name = self.bytes.get(place.start..place.start + place.length);
            Cow::Borrowed(name.unwrap_or_default())
        }
    }

    fn base(&self, place: Place) -> &[u8] {
        if place.decoded {
            &self.listed.decoded
        } else {
            self.bytes
        }
    }

    fn slice(&self, place: Place) -> &[u8] {
        let name = self
            .base(place)
            .get(place.start..place.start + place.length);
        name.unwrap_or_default()
    }

    /// The length of a name and its first eight bytes, folded into one number.
    #[inline]
    fn key(&self, place: Place) -> u64 {
        let Place { start, length, .. } = place;
        let rest = self.base(place).get(start..).unwrap_or_default();
        let head = match rest.first_chunk() {
            Some(chunk) if length >= 8 => u64::from_le_bytes(*chunk),
            Some(chunk) => u64::from_le_bytes(*chunk) & !(u64::MAX << (8 * length)),
            None => {
                let bytes = rest.iter().take(length).rev();
                bytes.fold(0, |head, byte| (head << 8) | u64::from(*byte))
            }
        };
        head ^ (length as u64).rotate_right(8)
    }
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        let mut spare = std::mem::take(&mut self.listed);
        let Listed {
            keys,
            decoded,
            outer,
            ..
        } = &spare;
        if keys.capacity() <= KEPT && outer.capacity() <= KEPT && decoded.capacity() <= 4 * KEPT {
            spare.keys.clear();
            spare.places.clear();
            spare.decoded.clear();
            spare.outer.clear();
            // A thread that is ending has nothing to keep it in.
            let _ = SPARE.try_with(|kept| kept.set(spare));
        }
    }
}

/// Adds to `name` what a name that the scan has accepted reads as.
fn unescape(raw: &[u8], name: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            name.push(byte);
            continue;
        }
        let Some((&escape, tail)) = rest.split_first() else {
            break;
        };
        rest = tail;
        let plain = match escape {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, tail) = code_point(rest);
                name.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail;
                continue;
            }
            other => other,
        };
        name.push(plain);
    }
}

/// The character that the four digits at the head of `text` stand for, with the half that follows
/// where they are half of a pair; and what comes after.
fn code_point(text: &[u8]) -> (char, &[u8]) {
    let (first, rest) = code_unit(text);
    if let Some(unit) = first
        && (0xD800..0xDC00).contains(&unit)
        && let Some(second) = rest.strip_prefix(b"\\u")
        && let (Some(low), tail) = code_unit(second)
    {
        let code = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            tail,
        );
    }
    let character = first.and_then(char::from_u32);
    (character.unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

fn code_unit(text: &[u8]) -> (Option<u32>, &[u8]) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, &[]));
    let unit = digits.iter().try_fold(0, |unit, byte| {
        char::from(*byte)
            .to_digit(16)
            .map(|digit| unit * 16 + digit)
    });
    (unit, rest)
}

//! Where the frames of HTTP/2 begin and end in what a client sends (RFC 9113 §4.1), so that what was
//! begun can be given a time to be finished in.
//!
//! Open is what the parser cannot use yet: an unfinished preface, an unfinished frame, and the
//! fields of a request until the frame that ends them, between which nothing else may stand
//! (RFC 9113 §6.10). An unfinished DATA frame is not open: bodies have a time of their own. What is
//! out of order is left to the parser, which ends the connection over it.

use super::socket::PREFACE;

/// The length, the kind, the flags and the stream of a frame.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// How many bytes are left of the preface, or of what the frame carries.
    left: usize,
    /// The head of the frame, as far as it came.
    head: [u8; HEAD],
    filled: usize,
    /// True from HEADERS to the frame that ends its fields.
    has_open_fields: bool,
}

impl Frames {
    /// Those of a connection on which nothing was read.
    pub(super) fn new() -> Self {
        Self {
            left: PREFACE.len(),
            head: [0; HEAD],
            filled: 0,
            has_open_fields: false,
        }
    }

    /// Follows `bytes`, which came next. True when they ended something, so that whatever is open now
    /// was begun by them.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        loop {
            let carried = bytes.len().min(self.left);
            bytes = bytes.get(carried..).unwrap_or_default();
            self.left -= carried;
            if self.left > 0 {
                return ended;
            }
            if carried > 0 || self.filled == HEAD {
                // A frame that carries nothing ends with its head.
                ended |= self.end();
            }
            if bytes.is_empty() {
                return ended;
            }
            let room = self.head.get_mut(self.filled..).unwrap_or_default();
            let now = room.len().min(bytes.len());
            let (head, rest) = bytes.split_at_checked(now).unwrap_or_default();
            if let Some(room) = room.get_mut(..now) {
                room.copy_from_slice(head);
            }
            bytes = rest;
            self.filled += now;
            if self.filled == HEAD {
                let [high, middle, low, ..] = self.head;
                self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            }
        }
    }

    /// True while something is begun that is not finished.
    pub(super) fn is_open(&self) -> bool {
        let in_frame = self.left > 0 || self.filled > 0;
        self.has_open_fields || in_frame && !self.is_body()
    }

    fn is_body(&self) -> bool {
        self.filled == HEAD && self.kind() == DATA
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.head;
        kind
    }

    /// The frame is whole, or the preface. True unless fields are open, which it was a part of.
    fn end(&mut self) -> bool {
        let [_, _, _, kind, flags, ..] = self.head;
        let is_frame = std::mem::take(&mut self.filled) == HEAD;
        if is_frame && matches!(kind, HEADERS | CONTINUATION) {
            self.has_open_fields = flags & END_HEADERS == 0;
        }
        !self.has_open_fields
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, carried: usize) -> Vec<u8> {
        let length = u32::try_from(carried).unwrap().to_be_bytes();
        let mut frame = [&length[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        frame.resize(HEAD + carried, b'x');
        frame
    }

    /// Frames whose preface was read.
    fn begun() -> Frames {
        let mut frames = Frames::new();
        assert!(frames.follow(PREFACE));
        assert!(!frames.is_open());
        frames
    }

    #[test]
    fn the_preface_and_each_frame_are_open_from_their_first_byte_to_their_last() {
        let whole = [&PREFACE[..], &frame(4, 0, 0), &frame(6, 0, 8)].concat();
        let ends = [PREFACE.len(), PREFACE.len() + 9, whole.len()];
        let mut frames = Frames::new();
        assert!(frames.is_open());
        for (at, byte) in whole.iter().enumerate() {
            let is_end = ends.contains(&(at + 1));
            assert_eq!(frames.follow(&[*byte]), is_end, "{at}");
            assert_eq!(frames.is_open(), !is_end, "{at}");
        }
    }

    #[test]
    fn fields_are_open_until_the_frame_that_ends_them() {
        let mut frames = begun();
        assert!(!frames.follow(&frame(HEADERS, 0, 20)));
        assert!(frames.is_open());
        assert!(!frames.follow(&frame(CONTINUATION, 0, 0)));
        assert!(frames.is_open());
        let last = frame(CONTINUATION, END_HEADERS, 3);
        assert!(!frames.follow(&last[..11]));
        assert!(frames.is_open());
        assert!(frames.follow(&last[11..]));
        assert!(!frames.is_open());
        assert!(frames.follow(&frame(HEADERS, END_HEADERS | 1, 20)));
        assert!(!frames.is_open());
    }

    #[test]
    fn a_body_is_not_open_once_it_is_known_to_be_one() {
        let mut frames = begun();
        let data = frame(DATA, 0, 100);
        assert!(!frames.follow(&data[..8]));
        assert!(frames.is_open());
        assert!(!frames.follow(&data[8..50]));
        assert!(!frames.is_open());
        assert!(frames.follow(&[&data[50..], &data[..3]].concat()));
        assert!(frames.is_open(), "the next frame is");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            kinds in prop::collection::vec((0_u8..11, any::<u8>(), 0_usize..40), 0..8),
            cuts in prop::collection::vec(1_usize..30, 1..20),
            missing in 0_usize..30,
        ) {
            let mut bytes = PREFACE.to_vec();
            for (kind, flags, carried) in kinds {
                bytes.extend(frame(kind, flags, carried));
            }
            bytes.truncate(bytes.len().saturating_sub(missing));
            let mut whole = Frames::new();
            whole.follow(&bytes);
            let mut cut = Frames::new();
            let mut rest = &bytes[..];
            for size in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                cut.follow(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
            prop_assert_eq!(whole.is_open(), cut.is_open());
        }
    }
}

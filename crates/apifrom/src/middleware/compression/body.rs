//! A body that is compressed as it goes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::encoder::Encoder;
use crate::request::Coding;
use crate::response::{ResponseBody, StreamError};

/// How many bytes are compressed before others have their turn: about half a millisecond.
pub(super) const PIECE: usize = 32 << 10;

/// The coded form of a body, made piece by piece: no faster than the client reads, and never held
/// whole.
pub(super) struct Compressed {
    plain: ResponseBody,
    /// What was taken of `plain` and is not compressed yet.
    rest: Bytes,
    work: Work,
    /// True where the encoder holds bytes that the client cannot read yet.
    is_held_back: bool,
    /// How many bytes were compressed since others last had their turn.
    worked: usize,
}

enum Work {
    /// An encoder is made when there is something for it: an answer to HEAD needs none.
    Waiting(Coding, Option<u64>),
    Encoding(Box<Encoder>),
    /// The coded form is complete; what stands behind it, such as trailers, passes.
    Done,
}

impl Compressed {
    pub(super) fn new(coding: Coding, plain: ResponseBody) -> Self {
        let length = plain.size_hint().exact();
        Self {
            plain,
            rest: Bytes::new(),
            work: Work::Waiting(coding, length),
            is_held_back: false,
            worked: 0,
        }
    }

    fn encoder(&mut self) -> io::Result<Option<&mut Encoder>> {
        if let Work::Waiting(coding, length) = self.work {
            self.work = Work::Encoding(Box::new(Encoder::new(coding, length)?));
        }
        Ok(match &mut self.work {
            Work::Encoding(encoder) => Some(encoder),
            Work::Waiting(..) | Work::Done => None,
        })
    }

    /// Compresses a piece of what was taken.
    fn advance(&mut self) -> io::Result<Vec<u8>> {
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        self.worked += piece.len();
        self.is_held_back = true;
        let Some(encoder) = self.encoder()? else {
            return Ok(Vec::new());
        };
        encoder.write(&piece)?;
        Ok(encoder.take())
    }

    fn flush(&mut self) -> io::Result<Vec<u8>> {
        self.is_held_back = false;
        let Some(encoder) = self.encoder()? else {
            return Ok(Vec::new());
        };
        encoder.flush()?;
        Ok(encoder.take())
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        self.encoder()?;
        match std::mem::replace(&mut self.work, Work::Done) {
            Work::Encoding(encoder) => encoder.finish(),
            Work::Waiting(..) | Work::Done => Ok(Vec::new()),
        }
    }
}

type Framed = Option<Result<Frame<Bytes>, StreamError>>;

fn framed(coded: io::Result<Vec<u8>>) -> Framed {
    match coded {
        Ok(coded) if coded.is_empty() => None,
        Ok(coded) => Some(Ok(Frame::data(coded.into()))),
        Err(error) => Some(Err(error.into())),
    }
}

impl Body for Compressed {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Framed> {
        let this = &mut *self;
        loop {
            if this.worked >= PIECE {
                this.worked = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !this.rest.is_empty() {
                if let Some(frame) = framed(this.advance()) {
                    return Poll::Ready(Some(frame));
                }
                continue;
            }
            if matches!(this.work, Work::Done) {
                return Pin::new(&mut this.plain).poll_frame(cx);
            }
            let next = match Pin::new(&mut this.plain).poll_frame(cx) {
                // Whoever reads a stream wants what there is, before there is more.
                Poll::Pending if this.is_held_back => match framed(this.flush()) {
                    Some(frame) => return Poll::Ready(Some(frame)),
                    None => return Poll::Pending,
                },
                next => ready!(next),
            };
            match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    // Trailers stand behind the last byte.
                    Err(trailers) => {
                        this.plain = ResponseBody::stream(Once(Some(trailers)));
                        if let Some(frame) = framed(this.finish()) {
                            return Poll::Ready(Some(frame));
                        }
                    }
                },
                // What broke off must not look complete.
                Some(Err(error)) => {
                    this.work = Work::Done;
                    this.plain = ResponseBody::empty();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.plain = ResponseBody::empty();
                    if let Some(frame) = framed(this.finish()) {
                        return Poll::Ready(Some(frame));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.work, Work::Done) && self.plain.is_end_stream()
    }
}

/// One frame that was read too early.
struct Once(Option<Frame<Bytes>>);

impl Body for Once {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Framed> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Wake, Waker};

    use super::*;

    /// A body that is told what to answer next; nothing is for now.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<Poll<Framed>>>>);

    impl Told {
        fn next(&self, next: Poll<Framed>) {
            self.0.lock().unwrap().insert(0, next);
        }

        fn text(&self, text: &'static str) {
            self.next(Poll::Ready(Some(Ok(Frame::data(text.into())))));
        }
    }

    impl Body for Told {
        type Data = Bytes;
        type Error = StreamError;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Framed> {
            self.0.lock().unwrap().pop().unwrap_or(Poll::Pending)
        }
    }

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The pieces up to where the body really waits, or is over; and how often others had their turn.
    fn pieces(body: &mut Compressed) -> (Vec<Bytes>, usize, bool) {
        let counting = Arc::new(Counting::default());
        let waker = Waker::from(Arc::clone(&counting));
        let mut cx = Context::from_waker(&waker);
        let (mut pieces, mut turns) = (Vec::new(), 0);
        loop {
            match Pin::new(&mut *body).poll_frame(&mut cx) {
                Poll::Ready(Some(frame)) => pieces.push(frame.unwrap().into_data().unwrap()),
                Poll::Ready(None) => return (pieces, turns, true),
                Poll::Pending if counting.0.load(Ordering::SeqCst) > turns => turns += 1,
                Poll::Pending => return (pieces, turns, false),
            }
        }
    }

    #[test]
    fn what_there_is_so_far_can_be_read_while_the_stream_waits() {
        for coding in Coding::ALL {
            let told = Told::default();
            let mut body = Compressed::new(coding, ResponseBody::stream(told.clone()));
            assert_eq!(pieces(&mut body), (Vec::new(), 0, false));
            told.text("the first half, ");
            let (first, _, is_over) = pieces(&mut body);
            assert!(!is_over);
            let sent = first.concat();
            let mut plain = [0; 16];
            let whole = match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&*sent).read_exact(&mut plain),
                Coding::Brotli => brotli::Decompressor::new(&*sent, 64).read_exact(&mut plain),
                Coding::Zstd => zstd::stream::read::Decoder::new(&*sent)
                    .unwrap()
                    .read_exact(&mut plain),
            };
            whole.unwrap();
            assert_eq!(&plain, b"the first half, ");
            // It waits without anything new, and sends nothing for that.
            assert_eq!(pieces(&mut body).0, Vec::<Bytes>::new());
            told.text("the second");
            told.next(Poll::Ready(None));
            assert!(pieces(&mut body).2);
        }
    }

    #[test]
    fn others_have_their_turn_between_pieces_and_nothing_is_held_whole() {
        // It does not get shorter.
        let mut noise = 1_u32;
        let bytes: Vec<u8> = (0..20 * PIECE)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 17;
                noise ^= noise << 5;
                noise.to_le_bytes()[1]
            })
            .collect();
        for coding in Coding::ALL {
            let mut body = Compressed::new(coding, ResponseBody::full(bytes.clone()));
            let (pieces, turns, is_over) = pieces(&mut body);
            assert!(is_over && body.is_end_stream());
            assert_eq!(turns, 20, "{coding:?}");
            let largest = pieces.iter().map(Bytes::len).max().unwrap();
            assert!(largest <= 10 * PIECE, "{coding:?}: {largest}");
        }
    }

    #[test]
    fn trailers_stand_behind_the_last_byte() {
        let told = Told::default();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("1"));
        told.text("all of it");
        told.next(Poll::Ready(Some(Ok(Frame::trailers(trailers)))));
        told.next(Poll::Ready(None));
        let mut body = Compressed::new(Coding::Gzip, ResponseBody::stream(told));
        let mut cx = Context::from_waker(Waker::noop());
        let mut kinds = Vec::new();
        loop {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(frame)) => kinds.push(frame.unwrap().is_data()),
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
        }
        assert_eq!(kinds.last(), Some(&false));
        assert!(kinds.len() > 1 && kinds.iter().rev().skip(1).all(|is_data| *is_data));
    }
}

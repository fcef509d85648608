//! Forms with files: `multipart/form-data` (RFC 7578).
//!
//! 1. It is read piece by piece within the endpoint's bound on bodies. What is sent of text is kept in
//!    memory, at most 1 MiB of it in all; what is sent of files too, up to 1 MiB in all, and the rest
//!    goes to temporary files.
//! 2. A temporary file has no name from its first byte on, so that it is gone with whoever holds it,
//!    whatever becomes of the process.
//! 3. At most 1,000 parts, 100 of them files, and 64 KiB before the content of a part begins: 413.
//! 4. A part without a name, text that is not UTF-8, a body that ends before its last boundary: 400.
//! 5. A part with a file name is a file, any other is text; neither is ever taken for the other. A file
//!    without a name and without content is a field that its user left empty, and not there.
//! 6. What a client calls a file is its last segment, without control characters. It is a name to
//!    show, never a path to write to.

use std::fmt;
use std::fs::File;
use std::future::Future as _;
use std::io::{self, Seek, SeekFrom, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::StatusCode;
use http_body::Body as _;

use crate::files::aside;
use crate::rejection::Rejection;
use crate::request::{Body, Head, Request};

use super::body::boundary;

const MAX_PARTS: usize = 1_000;
const MAX_FILES: usize = 100;
/// What may come before the content of a part: what is left of the one before, and its head.
const MAX_HEAD: usize = 64 << 10;
/// How much of the body the reader of parts is given at once.
const PIECE: usize = 64 << 10;
const MAX_TEXT: usize = 1 << 20;
/// The content of files that is held in memory.
const IN_MEMORY: usize = 1 << 20;
/// The longest name of a file that is handed on.
const MAX_FILE_NAME: usize = 255;

/// A form with files, as it was sent.
#[derive(Debug, Default)]
pub struct Multipart {
    /// The fields that are text, in their order.
    pub fields: Vec<(String, String)>,
    /// The files, in their order.
    pub files: Vec<FormFile>,
}

/// A file of a form.
///
/// # Security
/// Name and type are whatever the client says. Neither tells what is inside.
#[derive(Debug)]
#[non_exhaustive]
pub struct FormFile {
    /// The field that it was sent in.
    pub field: String,
    /// The last segment of what the client calls it, without control characters; perhaps nothing.
    pub file_name: String,
    /// The type that the client says it has.
    pub content_type: Option<String>,
    /// How many bytes it has.
    pub size: u64,
    /// What is in it.
    pub content: FileContent,
}

/// The content of a [`FormFile`].
#[non_exhaustive]
pub enum FileContent {
    /// In memory.
    Memory(Bytes),
    /// In a file without a name, read from its start. Dropped, it is gone.
    Disk(File),
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::Disk(_) => "Disk",
        })
    }
}

impl FormFile {
    /// The whole content. Blocks while it is read from a disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn read(&mut self) -> io::Result<Bytes> {
        match &mut self.content {
            FileContent::Memory(bytes) => Ok(bytes.clone()),
            FileContent::Disk(file) => {
                let mut whole = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
                file.seek(SeekFrom::Start(0))?;
                io::Read::read_to_end(file, &mut whole)?;
                Ok(whole.into())
            }
        }
    }
}

impl Multipart {
    /// The text of the only field `name`; nothing where there is none, or several.
    pub fn text(&self, name: &str) -> Option<&str> {
        only(self.fields.iter().filter(|(field, _)| field == name)).map(|(_, text)| text.as_str())
    }

    /// The only file of the field `name`; nothing where there is none, or several.
    pub fn file(&mut self, name: &str) -> Option<&mut FormFile> {
        only(self.files.iter_mut().filter(|file| file.field == name))
    }
}

fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

/// Reads a form with files.
///
/// # Errors
/// 415 for another type, 413 for what is too large or too many, 408 for what is too slow, 400 for what
/// is malformed, and 503 when there is nowhere to write to.
pub async fn read_multipart(request: &mut Request) -> Result<Multipart, Rejection> {
    let boundary = boundary(request.head())?;
    let body = request.take_body();
    Reader::new(body, boundary, IN_MEMORY).read().await
}

/// Reads a form with files whose body is in memory already, where its files stay.
///
/// # Errors
/// 415 for another type, 413 for what is too many or too long, 400 for what is malformed.
pub(super) fn multipart_at_hand(head: &Head, body: Bytes) -> Result<Multipart, Rejection> {
    let reader = Reader::new(Body::full(body), boundary(head)?, usize::MAX);
    let mut reading = pin!(reader.read());
    // The reader rests between two pieces; there is nothing that it could wait for.
    loop {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(form) = reading.as_mut().poll(&mut context) {
            return form;
        }
    }
}

struct Reader<'r> {
    parts: multer::Multipart<'r>,
    watch: Arc<Watch>,
    form: Multipart,
    text_left: usize,
    memory_left: usize,
}

impl Reader<'_> {
    fn new(body: Body, boundary: String, memory: usize) -> Self {
        let watch = Arc::new(Watch::default());
        let pieces = Pieces {
            body,
            watch: Arc::clone(&watch),
            left: Bytes::new(),
            rests: false,
        };
        Self {
            parts: multer::Multipart::new(pieces, boundary),
            watch,
            form: Multipart::default(),
            text_left: MAX_TEXT,
            memory_left: memory,
        }
    }

    async fn read(mut self) -> Result<Multipart, Rejection> {
        for _ in 0..=MAX_PARTS {
            self.watch.begin_head();
            let next = self.parts.next_field().await;
            let Some(part) = next.map_err(|error| self.watch.refusal(&error))? else {
                return Ok(self.form);
            };
            self.watch.begin_content();
            let Some(name) = part.name().map(str::to_owned) else {
                return Err(malformed("a part has no name"));
            };
            match part.file_name().map(str::to_owned) {
                Some(file_name) => self.file(part, name, &file_name).await?,
                None => self.text(part, name).await?,
            }
        }
        Err(too_large("too_many_parts", "the form has too many parts"))
    }

    async fn text(&mut self, mut part: multer::Field<'_>, name: String) -> Result<(), Rejection> {
        let mut text = BytesMut::new();
        while let Some(piece) = self.piece(&mut part).await? {
            let left = self.text_left.checked_sub(piece.len());
            self.text_left = left
                .ok_or_else(|| too_large("form_too_large", "the form has too much text in it"))?;
            text.extend_from_slice(&piece);
        }
        let text = String::from_utf8(text.into())
            .map_err(|_| malformed("a field is not text in UTF-8"))?;
        self.form.fields.push((name, text));
        Ok(())
    }

    async fn file(
        &mut self,
        mut part: multer::Field<'_>,
        field: String,
        file_name: &str,
    ) -> Result<(), Rejection> {
        if self.form.files.len() == MAX_FILES {
            return Err(too_large("too_many_files", "the form has too many files"));
        }
        let content_type = part.content_type().map(ToString::to_string);
        let mut spool = Spool::Memory(BytesMut::new());
        let mut size = 0;
        while let Some(piece) = self.piece(&mut part).await? {
            size += piece.len() as u64;
            let written = spool.write(piece, &mut self.memory_left).await;
            spool = written.map_err(nowhere_to_write)?;
        }
        let file_name = shown_name(file_name);
        if file_name.is_empty() && size == 0 {
            return Ok(());
        }
        self.form.files.push(FormFile {
            field,
            file_name,
            content_type,
            size,
            content: spool.finish().map_err(nowhere_to_write)?,
        });
        Ok(())
    }

    async fn piece(&self, part: &mut multer::Field<'_>) -> Result<Option<Bytes>, Rejection> {
        let piece = part.chunk().await;
        piece.map_err(|error| self.watch.refusal(&error))
    }
}

/// The last segment of what a client calls a file, with either slash, without control characters and
/// what turns the direction of text.
fn shown_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_shown = |character: &char| {
        !character.is_control()
            && !matches!(*character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut name = String::new();
    for character in last.chars().filter(is_shown) {
        if name.len() + character.len_utf8() > MAX_FILE_NAME {
            break;
        }
        name.push(character);
    }
    match name.as_str() {
        "." | ".." => String::new(),
        _ => name,
    }
}

/// The content of a file while it arrives.
enum Spool {
    Memory(BytesMut),
    Disk(File),
}

impl Spool {
    async fn write(self, piece: Bytes, memory_left: &mut usize) -> io::Result<Self> {
        match self {
            Self::Memory(mut held) => {
                if let Some(left) = memory_left.checked_sub(piece.len()) {
                    *memory_left = left;
                    held.extend_from_slice(&piece);
                    return Ok(Self::Memory(held));
                }
                *memory_left += held.len();
                let file = elsewhere(move || {
                    let mut file = tempfile::tempfile()?;
                    file.write_all(&held)?;
                    file.write_all(&piece)?;
                    Ok(file)
                });
                file.await.map(Self::Disk)
            }
            Self::Disk(mut file) => {
                let file = elsewhere(move || {
                    file.write_all(&piece)?;
                    Ok(file)
                });
                file.await.map(Self::Disk)
            }
        }
    }

    fn finish(self) -> io::Result<FileContent> {
        Ok(match self {
            Self::Memory(held) => FileContent::Memory(held.freeze()),
            Self::Disk(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                FileContent::Disk(file)
            }
        })
    }
}

/// Does what may wait for a disk on another thread.
async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    aside(work)?.await?
}

/// What the reader of parts is not told about the body under it.
#[derive(Default)]
struct Watch(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    /// How many bytes came since the content of the last part ended; nothing while one is read.
    head: Option<usize>,
    failed: Option<Rejection>,
}

impl Watch {
    fn begin_head(&self) {
        self.with(|watched| watched.head = Some(0));
    }

    fn begin_content(&self) {
        self.with(|watched| watched.head = None);
    }

    fn with<T>(&self, look: impl FnOnce(&mut Watched) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a form is answered with that cannot be read further.
    fn refusal(&self, error: &multer::Error) -> Rejection {
        let failed = self.with(|watched| watched.failed.take());
        failed.unwrap_or_else(|| match error {
            multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream => {
                malformed("it ends before its last boundary")
            }
            _ => malformed("a part is malformed"),
        })
    }
}

/// The body, as the reader of parts takes it: one piece at a time, since it would take all that has
/// arrived into memory.
struct Pieces {
    body: Body,
    watch: Arc<Watch>,
    /// What is left of the last piece of the body.
    left: Bytes,
    rests: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Failed>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failed>>> {
        let this = &mut *self;
        if std::mem::take(&mut this.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let fail = |why: Rejection| {
            this.watch.with(|watched| watched.failed = Some(why));
            Poll::Ready(Some(Err(Failed)))
        };
        if this
            .watch
            .with(|watched| watched.head.is_some_and(|head| head > MAX_HEAD))
        {
            return fail(too_large(
                "form_too_large",
                "the head of a part is too long",
            ));
        }
        while this.left.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return fail(Rejection::from(error)),
                // Trailers are passed over.
                Some(Ok(frame)) => this.left = frame.into_data().unwrap_or_default(),
            }
        }
        let piece = this.left.split_to(this.left.len().min(PIECE));
        this.rests = true;
        this.watch.with(|watched| {
            if let Some(head) = &mut watched.head {
                *head += piece.len();
            }
        });
        Poll::Ready(Some(Ok(piece)))
    }
}

/// Stands for what went wrong under the reader of parts; see [`Watch`].
#[derive(Debug, thiserror::Error)]
#[error("the body could not be read")]
struct Failed;

fn malformed(detail: &'static str) -> Rejection {
    Rejection::bad_request(
        "form_malformed",
        format!("the form cannot be read: {detail}"),
    )
}

fn too_large(code: &'static str, detail: &'static str) -> Rejection {
    Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
}

fn nowhere_to_write(error: io::Error) -> Rejection {
    Rejection::unavailable("storage_unavailable", "the files cannot be taken now", 5)
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_its_path_and_without_tricks() {
        for (given, shown) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            (
                "C:\\Users\\ann\\r\u{e9}sum\u{e9}.txt",
                "r\u{e9}sum\u{e9}.txt",
            ),
            ("a/..", ""),
            (".", ""),
            ("a/", ""),
            ("x\u{0}\r\n.txt", "x.txt"),
            ("exe\u{202e}fdp.txt", "exefdp.txt"),
            ("", ""),
        ] {
            assert_eq!(shown_name(given), shown, "{given:?}");
        }
        assert_eq!(shown_name(&"\u{e9}".repeat(200)).len(), 254);
    }
}

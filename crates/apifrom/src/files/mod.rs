//! Files as answers: what is opened, and which part of it is sent.
//!
//! 1. A [`FileSource`] is opened on a thread that may wait for a disk; only a regular file is sent.
//! 2. Below a directory ([`FileSource::Beneath`]) no path and no link leads out of it; whatever cannot
//!    be opened there is 404, so that a client learns nothing else.
//! 3. A file that the program named itself and that cannot be opened is the program's fault: 500.
//! 4. Conditions and a single range are honoured for GET and HEAD that are answered with 200: 304, 412,
//!    206, 416 (RFC 9110 §13 and §14).
//! 5. The bytes are read 128 KiB at a time, when the client has taken the last ones.
//!
//! Nothing here knows what is in a file: `Content-Type` follows from its name alone.
//!
//! # Deployment
//! A file that becomes shorter while it is sent breaks the answer off. Replace files by renaming others
//! over them: whoever is being sent the old one gets all of it.

mod answer;
mod aside;
mod beneath;
mod body;
mod conditional;
mod disposition;
mod media_type;
mod send;
mod source;

pub use self::answer::{FileResponse, static_file};
pub(crate) use self::aside::aside;
pub use self::disposition::{Disposition, FileNameError, content_disposition};
pub use self::media_type::media_type;
pub(crate) use self::send::open;
pub use self::send::{Asked, send};
pub use self::source::FileSource;

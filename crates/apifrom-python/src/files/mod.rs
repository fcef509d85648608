//! Sends files: opens them, judges conditions and ranges, and reads them piece by piece.
//!
//! 1. A [`Source`] is opened in the pool, never on the loop's thread; only a regular file is sent.
//! 2. Below a directory ([`Source::Beneath`]) no path and no link leads out of it ([`beneath`]);
//!    whatever cannot be opened there is 404, so that a client learns nothing else.
//! 3. A file that the program named itself and that cannot be opened is the program's fault: 500.
//! 4. Conditions and a single range are honoured for GET and HEAD ([`conditional`]).
//! 5. The bytes are read in the pool, 128 KiB at a time, when the client has taken the last ones.
//!
//! Nothing here knows what is in a file: `Content-Type` is the program's, by the file's name.

mod beneath;
mod body;
mod conditional;

pub(crate) use self::body::FileBody;
pub(crate) use self::conditional::{Validators, Verdict, judge};

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a file is.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// At a path of the program's own.
    Path(PathBuf),
    /// Below a directory, at a path that a client named.
    Beneath {
        /// The directory; links up to here are followed.
        directory: PathBuf,
        /// The path below it, its segments separated by `/`.
        path: String,
    },
}

/// A regular file, open for reading.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) length: u64,
    pub(crate) validators: Validators,
}

/// Why a file is not sent.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A client asked for what is not there, or not for everyone.
    Absent,
    /// The program, or the machine, is at fault.
    Broken(io::Error),
}

impl Source {
    /// Opens the file. May wait for a disk.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        match self {
            Self::Path(path) => {
                // Without O_NONBLOCK a named pipe would wait for its writer.
                let options = OpenOptions::new()
                    .read(true)
                    .custom_flags(libc::O_NONBLOCK)
                    .open(path);
                options
                    .and_then(|file| describe(file, path.display()))
                    .map_err(Failure::Broken)
            }
            Self::Beneath { directory, path } => {
                let file = beneath::open(directory, path)?;
                describe(file, path).map_err(|_| Failure::Absent)
            }
        }
    }
}

fn describe(file: File, name: impl std::fmt::Display) -> io::Result<Opened> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let message = format!("{name} is not a regular file");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    // The moment of a file from before 1970 is as good as none.
    let since_epoch = Duration::new(u64::try_from(metadata.mtime()).unwrap_or_default(), nanos);
    let validators = Validators {
        tag: format!("\"{:x}-{:x}\"", since_epoch.as_nanos(), metadata.len()),
        modified: whole_seconds(since_epoch),
    };
    Ok(Opened {
        file,
        length: metadata.len(),
        validators,
    })
}

/// HTTP dates count seconds, so that is what is compared. The last one is that of the year 9999.
fn whole_seconds(since_epoch: Duration) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs().min(253_402_300_799))
}

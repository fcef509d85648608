//! Opens a file that is to be sent.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::beneath;
use super::conditional::Validators;

/// Where a file is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FileSource {
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
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) validators: Validators,
}

/// Why a file is not sent.
#[derive(Debug)]
pub(super) enum Failure {
    /// A client asked for what is not there, or not for everyone.
    Absent,
    /// The program, or the machine, is at fault.
    Broken(io::Error),
}

impl FileSource {
    /// Opens the file. May wait for a disk.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
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

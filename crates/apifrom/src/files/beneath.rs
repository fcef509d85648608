//! Opens files below a directory, and nothing outside it.
//!
//! 1. The path's segments are names: an empty one, one that begins with a dot (which covers `.`,
//!    `..` and the files that are hidden by custom), a backslash and NUL are refused before
//!    anything is opened.
//! 2. Linux resolves the rest with `RESOLVE_BENEATH`: no link leads out of the directory, whoever
//!    changes what meanwhile.
//! 3. Where the system lacks that call, or a sandbox hides it, the path is walked name by name and
//!    no link is followed at all.

use std::fs::File;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::source::Failure;

/// Opens `path` below `directory`.
pub(super) fn open(directory: &Path, path: &str) -> Result<File, Failure> {
    if !path.split('/').all(is_name) {
        return Err(Failure::Absent);
    }
    let directory = openat(CWD, directory, WAY, Mode::empty()).map_err(broken)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(&directory, path, END, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::INVAL) => walk(directory, path),
        opened => opened,
    };
    opened.map(File::from).map_err(|error| match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO => broken(error),
        _ => Failure::Absent,
    })
}

const WAY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// Without `NONBLOCK` a named pipe would wait for its writer.
const END: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

fn walk(mut directory: OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let (way, name) = path.rsplit_once('/').unwrap_or(("", path));
    for name in way.split('/').filter(|name| !name.is_empty()) {
        let flags = WAY | OFlags::NOFOLLOW;
        directory = openat(&directory, name, flags, Mode::empty())?;
    }
    openat(&directory, name, END | OFlags::NOFOLLOW, Mode::empty())
}

fn is_name(segment: &str) -> bool {
    !segment.is_empty() && !segment.starts_with('.') && !segment.contains(['\\', '\0'])
}

fn broken(error: Errno) -> Failure {
    Failure::Broken(error.into())
}

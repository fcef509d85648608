//! Values that must not be seen, and where a program gets them from.
//!
//! A [`Secret`] prints as `***`, is overwritten when it is dropped and is compared in constant time.
//! [`secret`] fetches one by name:
//!
//! 1. The name is letters, digits, `_`, `-` and `.`, and begins with a letter or `_`.
//! 2. Three places are read: the environment variable `NAME`; the file that `NAME_FILE` points to;
//!    the file `NAME` in the directory `APIFROM_SECRETS_DIR`, which is `/run/secrets` by default.
//! 3. A file is UTF-8 and at most 64 KiB; one line break at its end is not part of the secret.
//! 4. A place that is there and cannot be read, or is empty, is an error, whatever the others hold.
//! 5. Places that disagree are an error; so is a name that none of them knows.
//!
//! Whatever is wrong becomes a [`ConfigError`] that names the secret and the place, never a value.
//!
//! # Deployment
//! Everything that runs as the same user can read a process's environment, and child processes
//! inherit it; prefer files. Docker and Podman mount secrets under `/run/secrets` by themselves.
//!
//! # Examples
//! ```no_run
//! use apifrom::secret;
//!
//! let key = secret("JWT_SECRET")?;
//! assert_eq!(format!("{key} {key:?}"), "*** ***");
//! # Ok::<(), apifrom::ConfigError>(())
//! ```

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error as _};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::error::ConfigError;

#[cfg(test)]
mod tests;

/// The most bytes a secret may have.
const MAX: usize = 64 << 10;

/// The variable that names the directory of secrets, and the directory without it.
const DIRECTORY: (&str, &str) = ("APIFROM_SECRETS_DIR", "/run/secrets");

/// A value that prints as `***` and is overwritten when it is dropped.
///
/// It can be read from a body or a configuration file, and it cannot be written: there is no
/// `Serialize`. Clones are overwritten as well, each when it is dropped.
///
/// # Security
/// What [`Secret::expose`] lends is no longer guarded: do not format, log or keep it. Memory that
/// the system swaps out or dumps is not guarded either.
///
/// # Examples
/// ```
/// use apifrom::Secret;
///
/// let password = Secret::from("correct horse");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(password.expose(), "correct horse");
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Guards `value` from here on.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether these are the same bytes, in a time that depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_ref())
    }
}

impl<T: Zeroize + AsRef<[u8]>> Eq for Secret<T> {}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(value: Vec<u8>) -> Self {
        Self(value)
    }
}

impl From<&[u8]> for Secret<Vec<u8>> {
    fn from(value: &[u8]) -> Self {
        Self(value.to_owned())
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own texts quote a value of the wrong type.
        T::deserialize(deserializer)
            .map(Self)
            .map_err(|_| D::Error::custom("the secret does not have the expected type"))
    }
}

impl<T: Zeroize + JsonSchema> JsonSchema for Secret<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The secret called `name`, from the environment or from a file.
///
/// It may stand in the environment variable `name`, in the file that the variable `name` with
/// `_FILE` at its end points to, and in the file `name` of the directory `APIFROM_SECRETS_DIR`, which
/// is `/run/secrets` unless that variable says otherwise. One line break at the end of a file is not
/// part of the secret.
///
/// # Errors
/// Names the secret and the place when it is nowhere, empty, unreadable, not UTF-8, larger than
/// 64 KiB, or when two places disagree. No value is shown.
pub fn secret(name: &str) -> Result<Secret<String>, ConfigError> {
    find(name, variable)
}

/// A variable of the process's environment: the one place where it is read.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    #[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
    std::env::var_os(name)
}

fn find(
    name: &str,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Secret<String>, ConfigError> {
    if !well_formed(name) {
        // The name goes nowhere near a path before it is known to be one file's.
        return Err(ConfigError::new(
            "secret",
            format!(
                "expected a name of letters, digits, '_', '-' and '.', that begins with a letter or '_'; found {name:?}"
            ),
        ));
    }
    let error = |message: String| ConfigError::new(name, message);
    let mut found: Vec<(String, Secret<String>)> = Vec::with_capacity(3);

    if let Some(value) = variable(name) {
        let place = "the environment variable".to_owned();
        let value = Secret(value.into_encoded_bytes());
        let value = text(value.expose()).map_err(|what| error(format!("{place} {what}")))?;
        found.push((place, value));
    }
    let pointer = format!("{name}_FILE");
    if let Some(path) = variable(&pointer) {
        if path.is_empty() {
            return Err(error(format!("{pointer} is empty, expected a path")));
        }
        let place = format!("the file {} that {pointer} names", path.display());
        let value = read(Path::new(&path)).map_err(|what| error(format!("{place} {what}")))?;
        let value = value.ok_or_else(|| error(format!("{place} does not exist")))?;
        found.push((place, value));
    }
    let named = variable(DIRECTORY.0).filter(|directory| !directory.is_empty());
    let directory = match &named {
        None => PathBuf::from(DIRECTORY.1),
        Some(named) => PathBuf::from(named),
    };
    // A directory that somebody named is meant to be there; the default one need not.
    if named.is_some() && !directory.is_dir() {
        return Err(error(format!(
            "{} names {}, which is no directory",
            DIRECTORY.0,
            directory.display()
        )));
    }
    let path = directory.join(name);
    let place = format!("the file {}", path.display());
    if let Some(value) = read(&path).map_err(|what| error(format!("{place} {what}")))? {
        found.push((place, value));
    }

    let mut found = found.into_iter();
    let Some((place, value)) = found.next() else {
        return Err(error(format!(
            "is set nowhere: expected the environment variable {name}, or {pointer} with the path of a file, or the file {}",
            path.display()
        )));
    };
    match found.find(|(_, other)| *other != value) {
        None => Ok(value),
        Some((other, _)) => Err(error(format!("{place} and {other} disagree"))),
    }
}

fn well_formed(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The secret in the file at `path`, or `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Secret<String>>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    // Room for everything at once: a buffer that grew would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX + 2));
    file.take(MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() > MAX {
        return Err(too_large());
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = match bytes.len() - line.len() {
        0 => line,
        _ => line.strip_suffix(b"\r").unwrap_or(line),
    };
    text(line).map(Some)
}

fn text(bytes: &[u8]) -> Result<Secret<String>, String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    if bytes.len() > MAX {
        return Err(too_large());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Secret::from(text)),
        Err(_) => Err("is not UTF-8".to_owned()),
    }
}

fn too_large() -> String {
    format!("is larger than {MAX} bytes")
}

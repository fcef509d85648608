//! Keys of tokens, as Python writes them.

use apifrom::Secret;
use apifrom::security::jose::KeyText;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::secret_text::PySecret;

/// A shared secret or a key in PEM as text, bytes or `Secret`; a JWK or a JWK Set as text or `dict`.
///
/// # Errors
/// What was expected.
pub(super) fn read(given: &Bound<'_, PyAny>) -> Result<KeyText, &'static str> {
    const EXPECTED: &str =
        "expected a secret or a PEM as text, bytes or Secret, or a JWK as a dict";
    if let Ok(secret) = given.cast::<PySecret>() {
        return Ok(KeyText::from(&secret.get().value));
    }
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(KeyText::from(bytes.as_bytes()));
    }
    let text = if let Ok(members) = given.cast::<PyDict>() {
        let has = |name: &str| members.contains(name).unwrap_or(false);
        if !has("kty") && !has("keys") {
            return Err("expected a JWK or a JWK Set, found a dict without kty or keys");
        }
        let json = given
            .py()
            .import("json")
            .and_then(|json| json.getattr("dumps"));
        json.and_then(|dumps| dumps.call1((given,)))
            .map_err(|_| "expected a JWK, found what is no JSON")?
    } else {
        given.clone()
    };
    let text = text.cast::<PyString>().map_err(|_| EXPECTED)?;
    let text = text.to_str().map_err(|_| EXPECTED)?;
    Ok(KeyText::from(Secret::from(text)))
}

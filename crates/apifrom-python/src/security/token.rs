//! `create_jwt_token`, `hash_password` and `verify_password` for Python.

use std::time::Duration;

use apifrom::security::jose::{Algorithm, Rules, Scratch, SharedSecrets, Token, VerificationKeys};
use apifrom::security::{CreateToken, IssuedKey};
use apifrom::{Clock as _, ConfigError, SystemClock};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString};

use super::keys;
use super::secret_text::{PySecret, text_of};

/// Signs a token.
///
/// # Errors
/// `ValueError` that names the option or the claim, and shows no value; `TypeError` for what is of
/// another type.
#[pyfunction]
pub(crate) fn create_jwt_token(
    payload: &Bound<'_, PyDict>,
    options: &Bound<'_, PyDict>,
) -> PyResult<String> {
    let py = payload.py();
    let some = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
        Ok(options.get_item(name)?.filter(|value| !value.is_none()))
    };
    let secret = some("secret")?
        .ok_or_else(|| PyValueError::new_err("secret: expected a secret, found none"))?;
    let key = keys::read(&secret).map_err(|why| PyTypeError::new_err(format!("secret: {why}")))?;
    let algorithm: String = match some("algorithm")? {
        Some(algorithm) => text("algorithm", &algorithm)?,
        None => "HS256".to_owned(),
    };
    let delta = some("expires_delta")?
        .map(|delta| seconds(&delta))
        .transpose()?;
    let mut creator = CreateToken::new(key, algorithm).expires_delta(delta);
    if let Some(id) = some("jti")? {
        creator = match id.cast_exact::<PyBool>() {
            Ok(wanted) if wanted.is_true() => creator.random_jti(),
            Ok(_) => creator,
            Err(_) => creator.jti(text("jti", &id)?),
        };
    }
    if let Some(issuer) = some("issuer")? {
        creator = creator.issuer(text("issuer", &issuer)?);
    }
    if let Some(audience) = some("audience")? {
        let listed = if audience.is_instance_of::<PyString>() {
            vec![text("audience", &audience)?]
        } else {
            let expected = |_| PyTypeError::new_err("audience: expected text, or a list of texts");
            audience.extract::<Vec<String>>().map_err(expected)?
        };
        if listed.is_empty() {
            return Err(PyValueError::new_err(
                "audience: expected at least one name, found none",
            ));
        }
        for each in listed {
            creator = creator.audience(each);
        }
    }
    if let Some(kid) = some("kid")? {
        creator = creator.kid(text("kid", &kid)?);
    }
    if let Some(token) = some("access_token")? {
        creator = creator.access_token(text("access_token", &token)?);
    }
    // The standard library refuses what JSON has no form for, and NaN where it is told to.
    let keywords = PyDict::new(py);
    keywords.set_item("allow_nan", false)?;
    keywords.set_item("separators", (",", ":"))?;
    let json = py.import("json")?.getattr("dumps")?;
    let json: String = json.call((payload,), Some(&keywords))?.extract()?;
    creator.sign(json).map_err(|error| error_of(&error))
}

/// Verifies a token and its times; returns its claims, as JSON text.
///
/// # Errors
/// `ValueError` with the reason as security events name it, or with what is wrong with the key.
#[pyfunction]
pub(crate) fn verify_jwt_token(
    token: &str,
    secret: &Bound<'_, PyAny>,
    algorithm: &str,
) -> PyResult<String> {
    let algorithm: Algorithm = algorithm
        .parse()
        .map_err(|error| PyValueError::new_err(format!("algorithm: {error}")))?;
    let key = keys::read(secret).map_err(|why| PyTypeError::new_err(format!("secret: {why}")))?;
    let mut known = VerificationKeys::new(&[algorithm]);
    known
        .add(&key, SharedSecrets::Allowed)
        .map_err(|why| PyValueError::new_err(format!("secret: {why}")))?;
    let mut scratch = Scratch::new();
    let verified = Token::parse(token.as_bytes(), &mut scratch)
        .and_then(|token| known.verify(&token))
        .and_then(|verified| {
            Rules::default().judge(&verified, SystemClock.unix(), None)?;
            Ok(verified)
        })
        .map_err(|refusal| PyValueError::new_err(refusal.reason()))?;
    String::from_utf8(verified.into_payload())
        .map_err(|_| PyValueError::new_err("the claims are not UTF-8"))
}

/// Verifies a signed text in the compact form, and returns what was signed.
///
/// # Errors
/// `ValueError` that says why, `TypeError` for what is of another type.
#[pyfunction]
pub(crate) fn verify_jws<'py>(
    token: &Bound<'py, PyAny>,
    jwk_or_set: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = token.py();
    let key = keys::read(jwk_or_set)
        .map_err(|_| PyTypeError::new_err("expected a JWK or a JWK Set as text or dict"))?;
    let bytes = if let Ok(bytes) = token.cast::<PyBytes>() {
        bytes.as_bytes()
    } else {
        let text = token
            .cast::<PyString>()
            .map_err(|_| PyTypeError::new_err("expected the token as text or bytes"))?;
        text.to_str()?.as_bytes()
    };
    apifrom::security::verify_jws(bytes, key)
        .map(|payload| PyBytes::new(py, &payload))
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Makes an API key: the key, its public id, and its digest.
///
/// # Errors
/// `OSError` when the system gives no random bytes.
#[pyfunction]
pub(crate) fn new_api_key() -> PyResult<(PySecret, String, String)> {
    let issued = IssuedKey::new().map_err(|error| PyOSError::new_err(error.to_string()))?;
    let key = PySecret { value: issued.key };
    Ok((key, issued.id, issued.digest))
}

/// The text of an option, which errors name and do not show.
fn text(name: &str, given: &Bound<'_, PyAny>) -> PyResult<String> {
    given
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("{name}: expected text")))
}

/// A number of seconds, or a `timedelta`.
fn seconds(given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let wrong = || PyValueError::new_err("expires_delta: expected seconds, more than 0");
    let is_number = given.is_instance_of::<PyInt>() || given.is_instance_of::<PyFloat>();
    let number: f64 = if is_number && !given.is_instance_of::<PyBool>() {
        given.extract()?
    } else {
        let method = given.getattr("total_seconds").map_err(|_| {
            PyTypeError::new_err("expires_delta: expected seconds, a timedelta or None")
        })?;
        method.call0()?.extract()?
    };
    if number <= 0.0 {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(number).map_err(|_| wrong())
}

fn error_of(error: &ConfigError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Hashes a password with Argon2id.
///
/// # Errors
/// `ValueError` for an empty password, or one over 1 KiB.
#[pyfunction]
pub(crate) fn hash_password(password: &Bound<'_, PyAny>) -> PyResult<String> {
    let password = text_of(password)
        .ok_or_else(|| PyTypeError::new_err("expected a password as text or a Secret"))?;
    let py_error =
        |error: apifrom::security::PasswordError| PyValueError::new_err(error.to_string());
    Python::attach(|py| {
        py.detach(|| apifrom::security::hash_password(password.expose()))
            .map_err(py_error)
    })
}

/// Whether a password is the one that `stored` was made of.
///
/// # Errors
/// `ValueError` for a stored text that is no hash that is taken.
#[pyfunction]
pub(crate) fn verify_password(
    password: &Bound<'_, PyAny>,
    stored: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let expected = || PyTypeError::new_err("expected text or a Secret");
    let password = text_of(password).ok_or_else(expected)?;
    let stored = text_of(stored).ok_or_else(expected)?;
    let verified = Python::attach(|py| {
        py.detach(|| apifrom::security::verify_password(password.expose(), stored.expose()))
    });
    match verified {
        Ok(matches) => Ok(matches),
        // A password that could not have been stored is simply not the one.
        Err(
            apifrom::security::PasswordError::TooLong | apifrom::security::PasswordError::Empty,
        ) => Ok(false),
        Err(error) => Err(PyValueError::new_err(error.to_string())),
    }
}

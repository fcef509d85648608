//! Signed texts of any kind (RFC 7515), of which a token is one.

use super::jose::{KeyText, Refusal, Scratch, SharedSecrets, Token, VerificationKeys};

/// Why a signed text was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// The key is none, or cannot be used. The text says why and holds nothing of the key.
    #[error("key: {0}")]
    Key(String),
    /// The signed text is malformed, asks for what is not understood, or was not signed by the key.
    #[error("{}", .0.reason())]
    Refused(Refusal),
}

/// Verifies a signed text in the compact form, and returns what was signed.
///
/// `jwk_or_set` is a JWK or a JWK Set (RFC 7517), a shared secret in `oct` among them. A key whose `use`,
/// `key_ops` or `alg` says that it is for something else is not used, and neither is an RSA key of fewer
/// than 2048 bits or a shared secret shorter than the hash. Nothing of the payload is judged: it may be
/// any bytes.
///
/// # Errors
/// [`JwsError`].
///
/// # Security
/// That a signature is right says who signed and nothing else. For tokens use
/// [`JwtRequired`](super::JwtRequired), which judges times and audiences as well.
///
/// # Examples
/// ```
/// use apifrom::security::verify_jws;
///
/// // RFC 8037, appendix A.4.
/// let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
///     hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
/// assert_eq!(verify_jws(signed, jwk)?, b"Example of Ed25519 signing");
/// assert!(verify_jws(&signed[1..], jwk).is_err());
/// # Ok::<(), apifrom::security::JwsError>(())
/// ```
pub fn verify_jws(
    token: impl AsRef<[u8]>,
    jwk_or_set: impl Into<KeyText>,
) -> Result<Vec<u8>, JwsError> {
    let text: KeyText = jwk_or_set.into();
    if !text.is_json() {
        return Err(JwsError::Key("expected a JWK or a JWK Set".to_owned()));
    }
    let mut scratch = Scratch::new();
    let token = Token::parse(token.as_ref(), &mut scratch).map_err(JwsError::Refused)?;
    // Only keys for the algorithm that the text names: what it names a key says as well.
    let mut keys = VerificationKeys::new(&[token.algorithm()]);
    let weak = keys
        .add(&text, SharedSecrets::Allowed)
        .map_err(JwsError::Key)?;
    if let Some(algorithm) = weak {
        let (name, length) = (algorithm.as_str(), algorithm.hash_len());
        return Err(JwsError::Key(format!(
            "a shared secret for {name} has at least {length} bytes (RFC 7518 §3.2)"
        )));
    }
    keys.signed(&token).map_err(JwsError::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.1: 64 bytes.
    const OCT: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    const SIGNED: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn with(more: &str) -> String {
        OCT.replacen('{', &format!("{{{more},"), 1)
    }

    #[test]
    fn what_was_signed_comes_back_and_nothing_of_it_is_judged() {
        let payload = verify_jws(SIGNED, OCT).unwrap();
        // It expired in 2011.
        assert!(payload.starts_with(b"{\"iss\":\"joe\""));
        let set = format!(r#"{{"keys":[{OCT}]}}"#);
        assert_eq!(verify_jws(SIGNED, set.as_str()).unwrap(), payload);
    }

    #[test]
    fn a_key_that_is_for_something_else_is_not_used() {
        for good in [
            r#""use":"sig""#,
            r#""key_ops":["verify"]"#,
            r#""alg":"HS256""#,
        ] {
            assert!(verify_jws(SIGNED, with(good)).is_ok(), "{good}");
        }
        for bad in [
            r#""use":"enc""#,
            r#""key_ops":["sign"]"#,
            r#""key_ops":[]"#,
            r#""alg":"HS512""#,
            r#""alg":"A256GCM""#,
        ] {
            assert!(verify_jws(SIGNED, with(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_key_or_too_short_is_an_error() {
        for bad in [
            "",
            "secret",
            "[]",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"kty":"oct","k":""}"#,
        ] {
            assert!(
                matches!(verify_jws(SIGNED, bad), Err(JwsError::Key(_))),
                "{bad}"
            );
        }
        let short = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLg"}"#;
        let error = verify_jws(SIGNED, short).unwrap_err().to_string();
        assert!(error.contains("at least 32 bytes"), "{error}");
    }

    #[test]
    fn what_was_changed_is_refused() {
        for (from, to) in [
            ("eyJpc3Mi", "eyJpc3Mj"),
            ("OEjXk", "OEjXl"),
            (".dBj", "dBj"),
            ("OEjXk", "OEjXk="),
        ] {
            let changed = SIGNED.replacen(from, to, 1);
            assert!(
                matches!(verify_jws(&changed, OCT), Err(JwsError::Refused(_))),
                "{to}"
            );
        }
    }
}

//! `WWW-Authenticate` (RFC 9110 §11.6.1): how a refused caller learns what to send.
//!
//! 1. Every challenge names scheme and realm.
//! 2. `error` stands only where a credential was sent (RFC 6750 §3.1), and only in schemes that
//!    know it: RFC 7617 has none for Basic.
//! 3. All values are written at start; a refusal copies nothing but a pointer.

use http::HeaderValue;

use super::scope::Scope;
use crate::error::ConfigError;

/// What is wrong with a request, as far as a challenge tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Complaint {
    /// No credential came.
    Absent,
    /// What came proves nothing: `invalid_token`.
    Invalid,
    /// Two credentials of one kind came: `invalid_request`.
    Ambiguous,
    /// The caller is known, and may not: `insufficient_scope`.
    Lacking,
}

/// The ready values of one method's challenge.
#[derive(Debug, Clone)]
pub struct Challenge {
    plain: Box<str>,
    has_parameters: bool,
    tells_errors: bool,
    absent: HeaderValue,
    invalid: HeaderValue,
    ambiguous: HeaderValue,
    lacking: HeaderValue,
}

impl Challenge {
    /// A challenge of `scheme` with `parameters`, which are quoted here; `scopes` are named where
    /// they are lacking. `tells_errors` is false for schemes without an `error` parameter.
    ///
    /// # Errors
    /// A parameter that cannot stand in a header, by its name.
    pub fn new(
        scheme: &str,
        parameters: &[(&str, &str)],
        scopes: &[Scope],
        tells_errors: bool,
    ) -> Result<Self, ConfigError> {
        let mut plain = scheme.to_owned();
        for (index, (name, value)) in parameters.iter().enumerate() {
            plain.push_str(if index == 0 { " " } else { ", " });
            plain.push_str(name);
            plain.push('=');
            quote(value, &mut plain).map_err(|why| ConfigError::new(*name, why))?;
        }
        let mut challenge = Self {
            absent: HeaderValue::from_str(&plain)
                .map_err(|_| ConfigError::new("realm", "cannot stand in a header"))?,
            invalid: HeaderValue::from_static(""),
            ambiguous: HeaderValue::from_static(""),
            lacking: HeaderValue::from_static(""),
            has_parameters: !parameters.is_empty(),
            plain: plain.into(),
            tells_errors,
        };
        challenge.invalid = challenge.telling("invalid_token", &[]);
        challenge.ambiguous = challenge.telling("invalid_request", &[]);
        challenge.lacking = challenge.telling("insufficient_scope", scopes);
        Ok(challenge)
    }

    /// The value that says that `scopes` are lacking, which others than the method itself require.
    pub(in crate::security) fn lacking(&self, scopes: &[Scope]) -> HeaderValue {
        self.telling("insufficient_scope", scopes)
    }

    fn telling(&self, error: &str, scopes: &[Scope]) -> HeaderValue {
        if !self.tells_errors {
            return self.absent.clone();
        }
        let separator = if self.has_parameters { ", " } else { " " };
        let mut text = format!("{}{separator}error=\"{error}\"", self.plain);
        if !scopes.is_empty() {
            let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
            text.push_str(", scope=\"");
            text.push_str(&names.join(" "));
            text.push('"');
        }
        // Both parts were held to be printable ASCII.
        HeaderValue::from_str(&text).unwrap_or_else(|_| self.absent.clone())
    }

    /// The value that tells of `complaint`.
    pub fn value(&self, complaint: Complaint) -> &HeaderValue {
        match complaint {
            Complaint::Absent => &self.absent,
            Complaint::Invalid => &self.invalid,
            Complaint::Ambiguous => &self.ambiguous,
            Complaint::Lacking => &self.lacking,
        }
    }
}

/// Writes a quoted-string (RFC 9110 §5.6.4).
fn quote(value: &str, into: &mut String) -> Result<(), &'static str> {
    into.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => {
                into.push('\\');
                into.push(character);
            }
            ' '..='~' => into.push(character),
            // A browser shows the realm; what is no ASCII would be read in another encoding.
            _ => return Err("expected printable ASCII"),
        }
    }
    into.push('"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer() -> Challenge {
        let scopes = [
            Scope::parse("read").unwrap(),
            Scope::parse("write").unwrap(),
        ];
        Challenge::new("Bearer", &[("realm", "my \"api\"")], &scopes, true).unwrap()
    }

    #[test]
    fn an_error_is_named_only_where_a_credential_was_sent() {
        let challenge = bearer();
        let value = |complaint| challenge.value(complaint).to_str().unwrap().to_owned();
        assert_eq!(value(Complaint::Absent), r#"Bearer realm="my \"api\"""#);
        assert_eq!(
            value(Complaint::Invalid),
            r#"Bearer realm="my \"api\"", error="invalid_token""#
        );
        assert_eq!(
            value(Complaint::Lacking),
            r#"Bearer realm="my \"api\"", error="insufficient_scope", scope="read write""#
        );
    }

    #[test]
    fn basic_names_no_error() {
        let basic =
            Challenge::new("Basic", &[("realm", "a"), ("charset", "UTF-8")], &[], false).unwrap();
        for complaint in [Complaint::Absent, Complaint::Invalid, Complaint::Lacking] {
            assert_eq!(
                basic.value(complaint),
                r#"Basic realm="a", charset="UTF-8""#
            );
        }
    }

    #[test]
    fn a_realm_that_would_break_the_header_is_refused_by_name() {
        for bad in ["a\r\nSet-Cookie: x=1", "caf\u{e9}", "a\u{7f}"] {
            let error = Challenge::new("Basic", &[("realm", bad)], &[], false).unwrap_err();
            assert_eq!(error.path(), "realm");
        }
    }
}

//! Asking the server about a token (RFC 7662).
//!
//! 1. The client proves itself by Basic authentication, its id and secret urlencoded first (RFC 6749
//!    §2.3.1).
//! 2. Only an answer whose `active` is the value `true` lets anybody in. `exp` and `nbf` are judged where
//!    they are there, `iat` is a number, `aud` must name the audience and `iss` must be the issuer where they are there,
//!    and `scope` is a string. What is of another type refuses the token.
//! 3. Any status but 200 means that the server could not be asked: it says nothing about the token.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use super::{Active, Verdict};
use crate::client::{Client, Question, Url};
use crate::json::{JsonLimits, scan};
use crate::secret::Secret;
use crate::security::revocation::Marks;
use crate::security::scope::Scopes;

/// How far `nbf` may lie ahead, since no two clocks agree.
const AHEAD: f64 = 60.0;

/// What our client proves itself with.
pub(super) struct ClientCredentials {
    authorization: HeaderValue,
}

impl ClientCredentials {
    pub(super) fn new(id: &str, secret: &Secret<String>) -> Option<Self> {
        let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
        let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let mut authorization = HeaderValue::from_str(&value).ok()?;
        authorization.set_sensitive(true);
        Some(Self { authorization })
    }
}

/// Urlencodes everything but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Asks about `token`. `expected` is the audience, and the issuer where it is known.
pub(super) async fn ask(
    client: &Client,
    url: &Url,
    credentials: &ClientCredentials,
    token: &str,
    expected: (&str, Option<&str>),
    now: impl Fn() -> Duration,
) -> Verdict {
    let question = Question {
        url: url.clone(),
        form: Some(format!(
            "token={}&token_type_hint=access_token",
            encoded(token)
        )),
        authorization: Some(credentials.authorization.clone()),
    };
    match client.ask(question).await {
        Ok(body) => judge(body, expected, now()),
        Err(_) => Verdict::Unavailable("introspection_unavailable"),
    }
}

/// What an answer says of the token.
pub(super) fn judge(
    body: Bytes,
    (audience, issuer): (&str, Option<&str>),
    now: Duration,
) -> Verdict {
    if scan(&body, &JsonLimits::default()).is_err() {
        return Verdict::Unavailable("introspection_malformed");
    }
    let Ok(Value::Object(answer)) = serde_json::from_slice(&body) else {
        return Verdict::Unavailable("introspection_malformed");
    };
    if answer.get("active") != Some(&Value::Bool(true)) {
        return Verdict::Refused("inactive");
    }
    let now = now.as_secs_f64();
    let number = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(()),
    };
    let (Ok(exp), Ok(nbf)) = (number("exp"), number("nbf")) else {
        return Verdict::Refused("malformed_claims");
    };
    if exp.is_some_and(|exp| exp <= now) {
        return Verdict::Refused("expired");
    }
    if nbf.is_some_and(|nbf| nbf > now + AHEAD) {
        return Verdict::Refused("not_yet_valid");
    }
    let names = |value: &Value, name: &str| match value {
        Value::String(one) => one == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    };
    if answer.get("aud").is_some_and(|aud| !names(aud, audience)) {
        return Verdict::Refused("wrong_audience");
    }
    if let (Some(iss), Some(issuer)) = (answer.get("iss"), issuer)
        && iss != issuer
    {
        return Verdict::Refused("wrong_issuer");
    }
    let Ok(since) = number("iat") else {
        return Verdict::Refused("malformed_claims");
    };
    let scopes = match answer.get("scope") {
        None => Scopes::NONE,
        Some(Value::String(scope)) => Scopes::from_text(scope),
        Some(_) => return Verdict::Refused("malformed_claims"),
    };
    let text = |name| match answer.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.as_str()),
        _ => None,
    };
    let marks = Marks::of(text("jti"), text("sub"), since);
    let subject = text("sub").map(Arc::from);
    Verdict::Active(Arc::new(Active {
        claims: body,
        marks,
        subject,
        scopes,
        until: None,
        expires: exp.and_then(|exp| Duration::try_from_secs_f64(exp).ok()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn said(answer: &str) -> String {
        let body = Bytes::copy_from_slice(answer.as_bytes());
        match judge(body, ("me", Some("https://as.example")), NOW) {
            Verdict::Active(active) => format!("active {}", active.scopes),
            Verdict::Refused(reason) => format!("refused {reason}"),
            Verdict::Unavailable(reason) => format!("unavailable {reason}"),
        }
    }

    #[test]
    fn only_the_value_true_is_active() {
        assert_eq!(
            said(r#"{"active": true, "scope": "read write"}"#),
            "active read write"
        );
        assert_eq!(said(r#"{"active": true}"#), "active ");
        for answer in [
            r#"{"active": false}"#,
            r#"{"active": "true"}"#,
            r#"{"active": 1}"#,
            r#"{"active": null}"#,
            r#"{"active": [true]}"#,
            "{}",
        ] {
            assert_eq!(said(answer), "refused inactive", "{answer}");
        }
        for answer in [
            "",
            "true",
            "[]",
            "<html>",
            r#"{"active": true"#,
            r#"{"active": false, "active": true}"#,
            r#"{"active": true} x"#,
        ] {
            assert_eq!(
                said(answer),
                "unavailable introspection_malformed",
                "{answer}"
            );
        }
    }

    #[test]
    fn what_else_an_answer_says_must_hold() {
        let with = |more: &str| said(&format!(r#"{{"active": true, {more}}}"#));
        assert_eq!(with(r#""exp": 1001"#), "active ");
        assert_eq!(with(r#""exp": 1000"#), "refused expired");
        assert_eq!(with(r#""exp": "1001""#), "refused malformed_claims");
        assert_eq!(with(r#""nbf": 1060"#), "active ");
        assert_eq!(with(r#""nbf": 1061"#), "refused not_yet_valid");
        assert_eq!(with(r#""aud": "me""#), "active ");
        assert_eq!(with(r#""aud": ["you", "me"]"#), "active ");
        for aud in [r#""you""#, r#"["you"]"#, "[]", "7", "null", r#"{"me": 1}"#] {
            assert_eq!(
                with(&format!(r#""aud": {aud}"#)),
                "refused wrong_audience",
                "{aud}"
            );
        }
        assert_eq!(with(r#""iss": "https://as.example""#), "active ");
        assert_eq!(
            with(r#""iss": "https://other.example""#),
            "refused wrong_issuer"
        );
        assert_eq!(with(r#""scope": ["read"]"#), "refused malformed_claims");
    }

    #[test]
    fn what_proves_our_client_is_encoded_first() {
        let secret = Secret::from("pä:ss w%rd");
        let credentials = ClientCredentials::new("my client", &secret).unwrap();
        let sent = credentials.authorization.to_str().unwrap();
        let decoded = BASE64_STANDARD.decode(&sent[6..]).unwrap();
        assert_eq!(decoded, b"my%20client:p%C3%A4%3Ass%20w%25rd");
        assert!(credentials.authorization.is_sensitive());
    }
}

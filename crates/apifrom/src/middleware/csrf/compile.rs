//! Checks the protection and prepares what of it never changes.

use http::{HeaderName, Method};

use super::token::Tokens;
use super::{Csrf, CsrfRules};
use crate::cookie::SameSite;
use crate::error::ConfigError;
use crate::origin::Origins;

/// What an HMAC with SHA-256 needs (RFC 2104 §3).
pub(super) const STRONG: usize = 32;

pub(super) fn compile(csrf: &Csrf) -> Result<(CsrfRules, Vec<ConfigError>), Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut weak = Vec::new();
    check_secrets(csrf, &mut errors, &mut weak);
    check_cookie(csrf, &mut errors);
    let mut wrong = |field: String, message: String| errors.push(ConfigError::new(field, message));
    let header = HeaderName::from_bytes(csrf.header_name.as_bytes());
    if header.is_err() {
        let message = format!(
            "expected the name of a header, found {:?}",
            csrf.header_name
        );
        wrong("csrf.header_name".into(), message);
    }
    if csrf.form_field.is_empty() {
        let message = "expected the name of a form field, found nothing";
        wrong("csrf.form_field".into(), message.into());
    }
    if csrf.methods.is_empty() {
        let message = "expected at least one method, found none";
        wrong("csrf.methods".into(), message.into());
    }
    let mut methods = Vec::new();
    for (index, text) in csrf.methods.iter().enumerate() {
        match method(text) {
            Ok(method) => methods.push(method),
            Err(why) => wrong(
                format!("csrf.methods[{index}]"),
                format!("{why}; found {text:?}"),
            ),
        }
    }
    for (index, origin) in csrf.trusted_origins.iter().enumerate() {
        if origin == "null" {
            let message = "expected an origin: null is what every sandboxed page sends";
            wrong(format!("csrf.trusted_origins[{index}]"), message.into());
        }
    }
    let origins = csrf.trusted_origins.iter().map(String::as_str).enumerate();
    let trusted = Origins::parse(origins, "csrf.trusted_origins", &mut errors);
    match header {
        Ok(header) if errors.is_empty() => {
            let secure = if csrf.secure { "; Secure" } else { "" };
            let rules = CsrfRules {
                tokens: Tokens::new(csrf.secrets.iter().map(|secret| secret.expose().as_str())),
                cookie_name: csrf.cookie_name.as_str().into(),
                header,
                form_field: csrf.form_field.as_str().into(),
                methods: methods.into(),
                trusted,
                session: csrf.session.clone(),
                attributes: format!("; Path=/{secure}; SameSite={}", csrf.same_site.as_str())
                    .into(),
            };
            Ok((rules, weak))
        }
        _ => Err(errors),
    }
}

fn check_secrets(csrf: &Csrf, errors: &mut Vec<ConfigError>, weak: &mut Vec<ConfigError>) {
    if csrf.secrets.is_empty() {
        errors.push(ConfigError::new(
            "csrf.secret",
            "expected a secret, found none",
        ));
    }
    let several = csrf.secrets.len() > 1;
    for (index, secret) in csrf.secrets.iter().enumerate() {
        let field = if several {
            format!("csrf.secret[{index}]")
        } else {
            "csrf.secret".to_owned()
        };
        let length = secret.expose().len();
        if length == 0 {
            errors.push(ConfigError::new(field, "expected a secret, found nothing"));
        } else if length < STRONG {
            weak.push(ConfigError::new(
                field,
                format!("is shorter than {STRONG} bytes, so it may be guessed"),
            ));
        }
    }
}

fn check_cookie(csrf: &Csrf, errors: &mut Vec<ConfigError>) {
    let name = &csrf.cookie_name;
    // RFC 6265 §4.1.1: the name is a token, as a method is.
    if name.is_empty() || !name.bytes().all(is_token) {
        errors.push(ConfigError::new(
            "csrf.cookie_name",
            format!("expected letters, digits and punctuation that a cookie's name may have, found {name:?}"),
        ));
    }
    let lower = name.to_ascii_lowercase();
    // RFC 6265bis §4.1.3: browsers drop such a cookie without `Secure`.
    if !csrf.secure && (lower.starts_with("__host-") || lower.starts_with("__secure-")) {
        errors.push(ConfigError::new(
            "csrf.cookie_name",
            format!("{name:?} needs secure: browsers refuse it otherwise"),
        ));
    }
    if !csrf.secure && csrf.same_site == SameSite::None {
        errors.push(ConfigError::new(
            "csrf.same_site",
            "None needs secure: browsers refuse the cookie otherwise",
        ));
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn method(text: &str) -> Result<Method, &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err("expected a method in upper case");
    }
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) => {
            Err("expected a method that changes something: the others hand out the token")
        }
        Ok(Method::CONNECT) => Err("expected a method that can be served"),
        Ok(method) => Ok(method),
        Err(_) => Err("expected an HTTP method"),
    }
}

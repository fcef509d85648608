//! Checks a policy and prepares its answers.

use http::{HeaderName, HeaderValue, Method};

use super::{Cors, CorsStage, Listed};
use crate::error::ConfigError;
use crate::origin::Origins;

/// A year: browsers keep a preflight for a day at most, so more is a slip of the pen.
const LONGEST: u32 = 31_536_000;

pub(super) fn compile(cors: &Cors) -> Result<CorsStage, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let any_origin = cors.allow_origins.iter().any(|origin| origin == "*");
    if cors.allow_origins.is_empty() {
        errors.push(ConfigError::new(
            "cors.allow_origins",
            "expected at least one origin, found none",
        ));
    }
    let origins = Origins::parse(
        cors.allow_origins
            .iter()
            .map(String::as_str)
            .enumerate()
            .filter(|(_, origin)| *origin != "*"),
        "cors.allow_origins",
        &mut errors,
    );
    if cors.allow_credentials {
        for (field, list) in lists(cors) {
            if list.iter().any(|entry| entry == "*") {
                errors.push(ConfigError::new(
                    format!("cors.{field}"),
                    "'*' cannot stand beside allow_credentials; name what is allowed",
                ));
            }
        }
    }
    let methods = listed(&cors.allow_methods, "allow_methods", &mut errors, method);
    let headers = listed(&cors.allow_headers, "allow_headers", &mut errors, header);
    listed(&cors.expose_headers, "expose_headers", &mut errors, header);
    if cors.max_age > LONGEST {
        errors.push(ConfigError::new(
            "cors.max_age",
            format!("expected 0 to {LONGEST} seconds, found {}", cors.max_age),
        ));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(CorsStage {
        any_origin,
        same_for_all: any_origin && cors.allow_origins.len() == 1,
        origins,
        methods,
        headers,
        credentials: cors.allow_credentials,
        allow_methods: joined(&cors.allow_methods),
        allow_headers: joined(&cors.allow_headers),
        expose_headers: joined(&cors.expose_headers),
        max_age: HeaderValue::from(cors.max_age),
    })
}

fn lists(cors: &Cors) -> [(&'static str, &[String]); 4] {
    [
        ("allow_origins", &cors.allow_origins),
        ("allow_methods", &cors.allow_methods),
        ("allow_headers", &cors.allow_headers),
        ("expose_headers", &cors.expose_headers),
    ]
}

fn listed<T>(
    given: &[String],
    field: &str,
    errors: &mut Vec<ConfigError>,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Listed<T> {
    let mut named = Vec::new();
    let mut any = false;
    for (index, text) in given.iter().enumerate() {
        if text == "*" {
            any = true;
            continue;
        }
        match parse(text) {
            Ok(value) => named.push(value),
            Err(why) => errors.push(ConfigError::new(
                format!("cors.{field}[{index}]"),
                format!("{why}; found {text:?}"),
            )),
        }
    }
    Listed {
        any,
        named: named.into(),
    }
}

fn method(text: &str) -> Result<Method, &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err("expected a method in upper case, as browsers compare it");
    }
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) => Err("expected a method that a page can send"),
        Ok(method) => Ok(method),
        Err(_) => Err("expected an HTTP method"),
    }
}

fn header(text: &str) -> Result<Box<str>, &'static str> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Ok(name.as_str().into()),
        Err(_) => Err("expected the name of a header"),
    }
}

/// Every entry was parsed, so the list is a header's value.
fn joined(list: &[String]) -> Option<HeaderValue> {
    if list.is_empty() {
        return None;
    }
    HeaderValue::from_str(&list.join(", ")).ok()
}

//! What Python declares about who may call, as the engine takes it.
//!
//! One declaration is read once, however many endpoints it stands on, so that they share its keys and
//! caches.

mod keys;
mod lookup;
mod revocation;
mod secret_text;
mod token;

pub(crate) use self::lookup::{PyKeyRecord, takes_one};
pub(crate) use self::revocation::PyRevocation;
pub(crate) use self::secret_text::{PySecret, secret, text_of};
pub(crate) use self::token::{
    create_jwt_token, hash_password, new_api_key, verify_jws, verify_jwt_token, verify_password,
};

use std::collections::HashMap;

use std::time::Duration;

use apifrom::security::{
    ApiKeyRequired, BasicAuthRequired, JwtRequired, OAuth2Required, Revocation,
};
use apifrom::{ConfigErrors, Protection};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use self::lookup::PythonLookup;
use crate::fields::Fields;

/// The declarations of one API, by the addresses of their objects, which live as long as it is read.
#[derive(Default)]
pub(crate) struct Protections {
    known: HashMap<usize, Option<Protection>>,
}

impl Protections {
    /// Reads a list of protections, all of which must be met. What is wrong is noted below `path`.
    ///
    /// # Errors
    /// Python's own.
    pub(crate) fn read(
        &mut self,
        listed: &Bound<'_, PyAny>,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> PyResult<Vec<Protection>> {
        let mut found = Vec::new();
        for each in listed.cast::<PyList>()?.iter() {
            found.extend(self.one(&each, path, errors)?);
        }
        Ok(found)
    }

    fn one(
        &mut self,
        given: &Bound<'_, PyAny>,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> PyResult<Option<Protection>> {
        let address = given.as_ptr().addr();
        if let Some(known) = self.known.get(&address) {
            return Ok(known.clone());
        }
        let kind: String = given.getattr("kind")?.extract()?;
        let declared_as: String = given.getattr("declared_as")?.extract()?;
        let path = if path.is_empty() {
            declared_as
        } else {
            format!("{path}.{declared_as}")
        };
        let options = given.getattr("options")?.cast_into::<PyDict>()?;
        let read = if kind == "multi" {
            let methods = self.read(&given.getattr("methods")?, &path, errors)?;
            let mut fields = Fields::new(&options, path, errors)?;
            let mut all = false;
            fields.flag("require_all", &mut all);
            fields.finish(|_| None);
            Some(if all {
                Protection::All(methods)
            } else {
                Protection::Any(methods)
            })
        } else {
            method(&kind, &options, &path, errors)?
        };
        self.known.insert(address, read.clone());
        Ok(read)
    }
}

/// One method of authentication; `None` where it cannot be read at all, which is noted.
fn method(
    kind: &str,
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<Option<Protection>> {
    let mut fields = Fields::new(options, path, errors)?;
    let read = match kind {
        "jwt" => jwt(&mut fields).into(),
        "api_key" => api_key(&mut fields).into(),
        "basic" => basic(&mut fields).into(),
        "oauth2" => oauth2(&mut fields).into(),
        _ => {
            fields.note("", format!("{kind} is no method of authentication"));
            return Ok(None);
        }
    };
    fields.finish(|_| None);
    Ok(Some(read))
}

fn jwt(fields: &mut Fields<'_, '_>) -> JwtRequired {
    let mut method = JwtRequired::new();
    match fields.some("secret") {
        Some(given) => match keys::read(&given) {
            Ok(key) => method = method.secret(key),
            Err(why) => fields.note("secret", why),
        },
        // One that was asked for by name and is not there must not let anybody in.
        None if fields.is_given("keys") || fields.is_given("jwks_url") => {}
        None => fields.note("secret", "expected a secret, found none"),
    }
    if let Some(given) = fields.some("keys") {
        match given.cast::<PyList>() {
            Err(_) => fields.note("keys", "expected a list of keys"),
            Ok(given) => {
                for (index, key) in given.iter().enumerate() {
                    match keys::read(&key) {
                        Ok(key) => method = method.key(key),
                        Err(why) => fields.note(&format!("keys[{index}]"), why),
                    }
                }
            }
        }
    }
    if let Some(algorithms) = fields.text_or_texts("algorithm") {
        method = method.algorithms(algorithms);
    }
    for (name, set) in [
        (
            "token_location",
            JwtRequired::token_location as fn(_, String) -> _,
        ),
        ("jwks_url", JwtRequired::jwks_url),
        ("header_name", JwtRequired::header_name),
        ("header_type", JwtRequired::header_type),
        ("query_name", JwtRequired::query_name),
        ("cookie_name", JwtRequired::cookie_name),
        ("access_token_header", JwtRequired::access_token_header),
        ("access_token_cookie", JwtRequired::access_token_cookie),
        ("roles_claim", JwtRequired::roles_claim),
        ("realm", JwtRequired::realm),
        ("name", JwtRequired::name),
    ] {
        if let Some(text) = fields.optional_text(name) {
            method = set(method, text);
        }
    }
    for (name, set) in [
        ("verify_exp", JwtRequired::verify_exp as fn(_, bool) -> _),
        ("verify_aud", JwtRequired::verify_aud),
        ("verify_iss", JwtRequired::verify_iss),
        ("verify_sub", JwtRequired::verify_sub),
        ("verify_jti", JwtRequired::verify_jti),
        ("verify_at_hash", JwtRequired::verify_at_hash),
    ] {
        if fields.some_is_next(name) {
            let mut verify = true;
            fields.flag(name, &mut verify);
            method = set(method, verify);
        }
    }
    for (name, set) in [
        ("audience", JwtRequired::audience as fn(_, String) -> _),
        ("issuer", JwtRequired::issuer),
    ] {
        let Some(names) = fields.text_or_texts(name) else {
            continue;
        };
        // What is empty would be no check at all.
        if names.is_empty() {
            fields.note(name, "expected at least one name, found none");
        }
        for each in names {
            method = set(method, each);
        }
    }
    if let Some(revocation) = revocation(fields) {
        method = method.revocation(&revocation);
    }
    let mut stale = Duration::from_hours(24);
    fields.seconds_or_none("stale_max", &mut stale);
    let mut leeway = Duration::ZERO;
    fields.seconds_or_none("leeway", &mut leeway);
    let (mut scopes, mut roles) = (Vec::new(), Vec::new());
    fields.texts("scopes", &mut scopes);
    fields.texts("roles", &mut roles);
    method
        .stale_max(stale)
        .leeway(leeway)
        .scopes(scopes)
        .roles(roles)
}

fn revocation(fields: &mut Fields<'_, '_>) -> Option<Revocation> {
    let given = fields.some("revocation")?;
    let Ok(revocation) = given.cast::<PyRevocation>() else {
        fields.note("revocation", "expected a Revocation");
        return None;
    };
    Some(revocation.get().value.clone())
}

fn basic(fields: &mut Fields<'_, '_>) -> BasicAuthRequired {
    let mut method = BasicAuthRequired::new();
    if let Some(given) = fields.some("credentials") {
        match given.cast::<PyDict>() {
            Err(_) => fields.note("credentials", "expected a dict of users and passwords"),
            Ok(given) => {
                for (index, (user, password)) in given.iter().enumerate() {
                    match (user.extract::<String>(), text_of(&password)) {
                        (Ok(user), Some(password)) => method = method.user(user, password),
                        _ => fields.note(
                            &format!("credentials[{index}]"),
                            "expected a user and a password as texts, or as a Secret",
                        ),
                    }
                }
            }
        }
    }
    if let Some(lookup) = PythonLookup::read(fields, "the name of a user") {
        method = method.lookup(lookup);
    }
    let mut ttl = Duration::from_secs(30);
    fields.seconds_or_none("cache_ttl", &mut ttl);
    let mut realm = "api".to_owned();
    fields.text("realm", &mut realm);
    if let Some(name) = fields.optional_text("name") {
        method = method.name(name);
    }
    method.realm(realm).cache_ttl(ttl)
}

fn oauth2(fields: &mut Fields<'_, '_>) -> OAuth2Required {
    let mut method = OAuth2Required::new();
    match fields.some("config").map(Bound::cast_into::<PyDict>) {
        Some(Ok(config)) => method = server(fields, &config, method),
        Some(Err(_)) => fields.note("config", "expected a dict"),
        None => fields.note("config", "expected a dict, found none"),
    }
    for (name, set) in [
        ("issuer", OAuth2Required::issuer as fn(_, String) -> _),
        ("jwks_url", OAuth2Required::jwks_url),
        ("introspection_url", OAuth2Required::introspection_url),
        ("audience", OAuth2Required::audience),
        ("realm", OAuth2Required::realm),
        ("name", OAuth2Required::name),
    ] {
        if let Some(text) = fields.optional_text(name) {
            method = set(method, text);
        }
    }
    let mut scopes = Vec::new();
    fields.texts("scopes", &mut scopes);
    let mut types = vec!["at+jwt".to_owned()];
    fields.texts("token_types", &mut types);
    method = method.token_types(types);
    if let Some(revocation) = revocation(fields) {
        method = method.revocation(&revocation);
    }
    if let Some(given) = fields.some("redis_url") {
        match text_of(&given) {
            Some(url) => method = method.redis(url),
            None => fields.note("redis_url", "expected text or a Secret"),
        }
    }
    let (mut ttl, mut stale) = (Duration::from_mins(1), Duration::from_hours(24));
    fields.seconds_or_none("cache_ttl", &mut ttl);
    fields.seconds_or_none("stale_max", &mut stale);
    method.scopes(scopes).cache_ttl(ttl).stale_max(stale)
}

/// The guide's four keys.
fn server(
    fields: &mut Fields<'_, '_>,
    config: &Bound<'_, PyDict>,
    mut method: OAuth2Required,
) -> OAuth2Required {
    for (name, value) in config.iter() {
        let name = name.extract::<String>().unwrap_or_default();
        let field = format!("config.{name}");
        match name.as_str() {
            "token_url" | "client_id" => match value.extract::<String>() {
                Ok(text) if name == "token_url" => method = method.token_url(text),
                Ok(text) => method = method.client_id(text),
                Err(_) => fields.note(&field, "expected text"),
            },
            "client_secret" => match text_of(&value) {
                Some(secret) => method = method.client_secret(secret),
                None => fields.note(&field, "expected text or a Secret"),
            },
            "scopes" => match value.extract::<Vec<String>>() {
                Ok(offered) if !value.is_instance_of::<PyString>() => {
                    method = method.offered_scopes(offered);
                }
                _ => fields.note(&field, "expected a list of texts"),
            },
            _ => fields.note(
                &field,
                "unknown key; expected token_url, client_id, client_secret and scopes",
            ),
        }
    }
    method
}

fn api_key(fields: &mut Fields<'_, '_>) -> ApiKeyRequired {
    let mut method = ApiKeyRequired::new();
    let keys = fields.some("api_keys");
    if let Some(keys) = keys {
        match keys.cast::<PyDict>() {
            Err(_) => fields.note("api_keys", "expected a dict of keys, each with its scopes"),
            Ok(keys) => {
                for (index, (key, scopes)) in keys.iter().enumerate() {
                    let scopes = match scopes.extract::<Vec<String>>() {
                        Ok(found) if !scopes.is_instance_of::<PyString>() => found,
                        _ => {
                            let field = format!("api_keys[{index}]");
                            fields.note(&field, "expected the key's scopes as a list of texts");
                            continue;
                        }
                    };
                    match text_of(&key) {
                        Some(key) => method = method.key(key, scopes),
                        None => fields.note(
                            &format!("api_keys[{index}]"),
                            "expected the key as text or a Secret",
                        ),
                    }
                }
            }
        }
    }
    if let Some(lookup) = PythonLookup::read(fields, "the digest of a key") {
        method = method.lookup(lookup);
    }
    let mut ttl = Duration::from_secs(30);
    fields.seconds_or_none("cache_ttl", &mut ttl);
    let mut scopes = Vec::new();
    fields.texts("scopes", &mut scopes);
    let mut realm = "api".to_owned();
    fields.text("realm", &mut realm);
    method = method
        .cache_ttl(ttl)
        .scopes(scopes)
        .realm(realm)
        .header_name(fields.optional_text("header_name").as_deref())
        .query_param_name(fields.optional_text("query_param_name").as_deref())
        .cookie_name(fields.optional_text("cookie_name").as_deref());
    if let Some(name) = fields.optional_text("name") {
        method = method.name(name);
    }
    method
}

//! What Python declares about who may call, as the engine takes it.
//!
//! One declaration is read once, however many endpoints it stands on, so that they share its keys and
//! caches.

mod secret_text;

use self::secret_text::text_of;
pub(crate) use self::secret_text::{PySecret, secret};

use std::collections::HashMap;

use apifrom::security::ApiKeyRequired;
use apifrom::{ConfigErrors, Protection};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

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
        let read = match kind.as_str() {
            "any" | "all" => {
                let methods = self.read(&given.getattr("methods")?, &path, errors)?;
                Some(if kind == "any" {
                    Protection::Any(methods)
                } else {
                    Protection::All(methods)
                })
            }
            _ => {
                let options = given.getattr("options")?.cast_into::<PyDict>()?;
                method(&kind, &options, &path, errors)?
            }
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
    let read = if kind == "api_key" {
        api_key(&mut fields).into()
    } else {
        fields.note("", format!("{kind} is no method of authentication"));
        return Ok(None);
    };
    fields.finish(|_| None);
    Ok(Some(read))
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
    let mut scopes = Vec::new();
    fields.texts("scopes", &mut scopes);
    let mut realm = "api".to_owned();
    fields.text("realm", &mut realm);
    method = method
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

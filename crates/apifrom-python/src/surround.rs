//! Reads what surrounds every call, for the whole API and for single endpoints.

use std::time::Duration;

use apifrom::middleware::{Cors, RateLimit};
use apifrom::{Api, ConfigErrors, EndpointSpec};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::fields::Fields;

/// What an API or an endpoint declares, each kind at most once for an endpoint.
#[derive(Default)]
pub(crate) struct Surround {
    cors: Vec<Cors>,
    rate_limits: Vec<RateLimit>,
}

impl Surround {
    /// Reads all that one endpoint has of its own, by kind.
    ///
    /// # Errors
    /// Python's own; what is wrong with an option is noted.
    pub(crate) fn read_all(
        given: Option<Bound<'_, PyAny>>,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> PyResult<Self> {
        let mut surround = Self::default();
        let Some(given) = given else {
            return Ok(surround);
        };
        for (kind, options) in given.cast_into::<PyDict>()? {
            let (kind, options) = (kind.extract::<String>()?, options.cast_into::<PyDict>()?);
            surround.read(&kind, &options, &format!("{path}.{kind}"), errors)?;
        }
        Ok(surround)
    }

    /// Reads what `options` say about `kind`; false where there is no such kind.
    ///
    /// # Errors
    /// Python's own, when the options cannot be copied.
    pub(crate) fn read(
        &mut self,
        kind: &str,
        options: &Bound<'_, PyDict>,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> PyResult<bool> {
        match kind {
            "cors" => self.cors.push(read_cors(options, path, errors)?),
            "rate_limit" => self
                .rate_limits
                .push(read_rate_limit(options, path, errors)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Declares all of it on `api`.
    pub(crate) fn on_api(self, api: Api) -> Api {
        let api = self.cors.into_iter().fold(api, Api::add_middleware);
        self.rate_limits.into_iter().fold(api, Api::add_middleware)
    }

    /// Declares all of it on an endpoint.
    pub(crate) fn on_endpoint(self, spec: EndpointSpec) -> EndpointSpec {
        self.cors.into_iter().fold(spec, EndpointSpec::cors)
    }
}

fn read_cors(options: &Bound<'_, PyDict>, path: &str, errors: &mut ConfigErrors) -> PyResult<Cors> {
    let mut cors = Cors::new();
    let mut fields = Fields::new(options, path, errors)?;
    fields.texts("allow_origins", &mut cors.allow_origins);
    fields.texts("allow_methods", &mut cors.allow_methods);
    fields.texts("allow_headers", &mut cors.allow_headers);
    fields.flag("allow_credentials", &mut cors.allow_credentials);
    fields.texts("expose_headers", &mut cors.expose_headers);
    fields.number("max_age", &mut cors.max_age);
    fields.finish(|_| None);
    Ok(cors)
}

fn read_rate_limit(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<RateLimit> {
    let mut limit = RateLimit::new(1, Duration::from_secs(1));
    let mut storage = String::from("memory");
    let mut fields = Fields::new(options, path, errors)?;
    fields.number("limit", &mut limit.limit);
    fields.seconds("window", &mut limit.window);
    fields.flag("headers", &mut limit.headers);
    fields.number("max_keys", &mut limit.max_keys);
    fields.text("storage", &mut storage);
    if storage != "memory" {
        fields.note(
            "storage",
            "expected \"memory\": counts that processes share are not supported yet",
        );
    }
    if fields.some("redis_url").is_some() && storage == "memory" {
        fields.note("redis_url", "is given, and storage is \"memory\"");
    }
    // What names the client's address alone was taken out.
    if fields.some("key_func").is_some() {
        fields.note(
            "key_func",
            "expected None or `lambda request: request.client.host`: other keys are not supported \
             yet",
        );
    }
    fields.finish(|_| None);
    Ok(limit)
}

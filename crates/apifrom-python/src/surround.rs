//! Reads what surrounds every call, for the whole API and for single endpoints.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apifrom::cookie::SameSite;
use apifrom::middleware::{
    Compression, ContentPolicy, Cors, Csrf, Directive, Directives, Hsts, HttpsRedirect, OnFailure,
    RateLimit, SecurityHeaders, Timeout,
};
use apifrom::{Api, ConfigErrors, EndpointSpec};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::fields::Fields;
use crate::key::DeclaredKey;
use crate::middleware::Places;
use crate::security::text_of;

/// What an API or an endpoint declares, each kind at most once for an endpoint.
#[derive(Default)]
pub(crate) struct Surround {
    compression: Vec<Compression>,
    cors: Vec<Cors>,
    csrf: Vec<(Csrf, Option<DeclaredKey>)>,
    csrf_exempt: Option<String>,
    https_redirect: Vec<HttpsRedirect>,
    rate_limits: Vec<Limited>,
    security_headers: Vec<SecurityHeaders>,
    timeout: Vec<Timeout>,
}

/// A limit as Python declared it.
struct Limited {
    limit: RateLimit,
    key: Option<DeclaredKey>,
    /// Where it was declared, for one that several endpoints share.
    shared: Option<usize>,
}

impl Limited {
    fn placed(self, places: &Places) -> RateLimit {
        match self.key {
            Some(key) => self.limit.key(key.placed(places)),
            None => self.limit,
        }
    }
}

/// The limits that endpoints share, by where they were declared.
#[derive(Default)]
pub(crate) struct SharedLimits(HashMap<usize, Arc<RateLimit>>);

impl Surround {
    /// Reads the limits of an endpoint; `shared` ones are those of a router.
    ///
    /// # Errors
    /// Python's own; what is wrong with an option is noted.
    fn read_limits(
        &mut self,
        given: Option<Bound<'_, PyAny>>,
        shared: bool,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> PyResult<()> {
        let Some(given) = given else {
            return Ok(());
        };
        for options in given.try_iter()? {
            let options = options?.cast_into::<PyDict>()?;
            let mut limited = read_rate_limit(&options, path, errors)?;
            // It lives as long as its router, so its address names it.
            limited.shared = shared.then(|| options.as_ptr() as usize);
            self.rate_limits.push(limited);
        }
        Ok(())
    }

    /// Reads all that one endpoint has of its own, by kind; the limits of its routers; and its own.
    ///
    /// # Errors
    /// Python's own; what is wrong with an option is noted.
    pub(crate) fn read_all(
        [given, inherited, limits]: [Option<Bound<'_, PyAny>>; 3],
        path: &str,
        errors: &mut ConfigErrors,
    ) -> PyResult<Self> {
        let mut surround = Self::default();
        surround.read_limits(inherited, true, &format!("{path}.limit"), errors)?;
        surround.read_limits(limits, false, &format!("{path}.rate_limit"), errors)?;
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
            "compression" => self
                .compression
                .push(read_compression(options, path, errors)?),
            "cors" => self.cors.push(read_cors(options, path, errors)?),
            "csrf" => self.csrf.push(read_csrf(options, path, errors)?),
            "csrf_exempt" => {
                let mut reason = String::new();
                let mut fields = Fields::new(options, path, errors)?;
                fields.text("reason", &mut reason);
                fields.finish(|_| None);
                self.csrf_exempt = Some(reason);
            }
            "https_redirect" => self
                .https_redirect
                .push(read_https_redirect(options, path, errors)?),
            "security_headers" => self
                .security_headers
                .push(read_security_headers(options, path, errors)?),
            "timeout" => self.timeout.push(read_timeout(options, path, errors)?),
            "rate_limit" => self
                .rate_limits
                .push(read_rate_limit(options, path, errors)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Declares all of it on `api`.
    pub(crate) fn on_api(self, api: Api, places: &Places) -> Api {
        let api = self.compression.into_iter().fold(api, Api::add_middleware);
        let api = self.cors.into_iter().fold(api, Api::add_middleware);
        let api = self.csrf.into_iter().fold(api, |api, (csrf, session)| {
            api.add_middleware(match session {
                Some(session) => csrf.session(session.placed(places)),
                None => csrf,
            })
        });
        let api = self
            .https_redirect
            .into_iter()
            .fold(api, Api::add_middleware);
        let api = self
            .security_headers
            .into_iter()
            .fold(api, Api::add_middleware);
        let api = self.timeout.into_iter().fold(api, Api::add_middleware);
        let limits = self.rate_limits.into_iter();
        limits.fold(api, |api, limit| api.add_middleware(limit.placed(places)))
    }

    /// Declares all of it on an endpoint.
    pub(crate) fn on_endpoint(
        self,
        spec: EndpointSpec,
        places: &Places,
        known: &mut SharedLimits,
    ) -> EndpointSpec {
        let spec = self
            .compression
            .into_iter()
            .fold(spec, EndpointSpec::compression);
        let spec = self.timeout.into_iter().fold(spec, EndpointSpec::timeout);
        let spec = self.cors.into_iter().fold(spec, EndpointSpec::cors);
        let spec = self
            .csrf_exempt
            .into_iter()
            .fold(spec, EndpointSpec::csrf_exempt);
        let spec = self.rate_limits.into_iter().fold(spec, |spec, limited| {
            let Some(place) = limited.shared else {
                return spec.rate_limit(limited.placed(places));
            };
            let limit = known.0.entry(place);
            spec.shared_limit(limit.or_insert_with(|| Arc::new(limited.placed(places))))
        });
        self.security_headers
            .into_iter()
            .fold(spec, EndpointSpec::security_headers)
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

fn read_compression(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<Compression> {
    let mut compression = Compression::new();
    let mut fields = Fields::new(options, path, errors)?;
    fields.texts("encodings", &mut compression.encodings);
    fields.number("minimum_size", &mut compression.minimum_size);
    fields.flag(
        "insecure_authenticated",
        &mut compression.insecure_authenticated,
    );
    fields.finish(|_| None);
    Ok(compression)
}

fn read_timeout(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<Timeout> {
    let mut after = Duration::from_secs(1);
    let mut fields = Fields::new(options, path, errors)?;
    fields.seconds("seconds", &mut after);
    fields.finish(|_| None);
    Ok(Timeout::new(after))
}

fn read_https_redirect(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<HttpsRedirect> {
    let mut redirect = HttpsRedirect::new();
    let mut fields = Fields::new(options, path, errors)?;
    if let Some(host) = fields.optional_text("host") {
        redirect = redirect.host(host);
    }
    let mut port = 443;
    fields.number("port", &mut port);
    fields.finish(|_| None);
    Ok(redirect.port(port))
}

fn read_csrf(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<(Csrf, Option<DeclaredKey>)> {
    let mut csrf = Csrf::new("");
    csrf.secrets.clear();
    let mut fields = Fields::new(options, path, errors)?;
    // None stands for no secret, which is an error of its own.
    if let Some(given) = fields.some("secret") {
        match given.extract::<Vec<Bound<'_, PyAny>>>() {
            Ok(several) if !given.is_instance_of::<PyString>() => {
                for secret in several {
                    read_secret(&secret, &mut csrf, &mut fields);
                }
            }
            _ => read_secret(&given, &mut csrf, &mut fields),
        }
    }
    fields.text("cookie_name", &mut csrf.cookie_name);
    fields.text("header_name", &mut csrf.header_name);
    fields.text("form_field", &mut csrf.form_field);
    fields.flag("secure", &mut csrf.secure);
    let mut same_site = csrf.same_site.as_str().to_owned();
    fields.text("samesite", &mut same_site);
    match SameSite::parse(&same_site) {
        Some(same_site) => csrf.same_site = same_site,
        None => fields.note(
            "samesite",
            format!("expected \"lax\", \"strict\" or \"none\", found {same_site:?}"),
        ),
    }
    fields.texts("methods", &mut csrf.methods);
    fields.texts("trusted_origins", &mut csrf.trusted_origins);
    let mut session = None;
    if let Some(function) = fields.some("session") {
        match DeclaredKey::read(&function)? {
            Ok(read) => session = Some(read),
            Err(why) => fields.note("session", why),
        }
    }
    fields.finish(|_| None);
    Ok((csrf, session))
}

fn read_secret(given: &Bound<'_, PyAny>, csrf: &mut Csrf, fields: &mut Fields<'_, '_>) {
    match text_of(given) {
        Some(secret) => csrf.secrets.push(secret),
        None => fields.note("secret", "expected text, a Secret, or a list of them"),
    }
}

fn read_rate_limit(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<Limited> {
    let mut limit = RateLimit::new(1, Duration::from_secs(1));
    let mut key = None;
    let mut storage = String::from("memory");
    let mut fields = Fields::new(options, path, errors)?;
    if let Some(rule) = fields.optional_text("rule") {
        match RateLimit::parse(&rule) {
            Ok(read) => limit = read,
            Err(why) => fields.note("rule", why.message()),
        }
    }
    fields.number("limit", &mut limit.limit);
    fields.seconds("window", &mut limit.window);
    fields.flag("headers", &mut limit.headers);
    fields.number("max_keys", &mut limit.max_keys);
    fields.number("cost", &mut limit.cost);
    fields.text("storage", &mut storage);
    limit = read_store(limit, &storage, &mut fields);
    // What names the client's address alone was taken out.
    if let Some(function) = fields.some("key_func") {
        if function
            .extract::<&str>()
            .is_ok_and(|name| name == "identity")
        {
            limit = limit.by_identity();
        } else if !function.is_callable() {
            fields.note(
                "key_func",
                "expected a function of the request, \"identity\" or None",
            );
        } else {
            match DeclaredKey::read(&function)? {
                Ok(read) => key = Some(read),
                Err(why) => fields.note("key_func", why),
            }
        }
    }
    fields.finish(|_| None);
    Ok(Limited {
        limit,
        key,
        shared: None,
    })
}

fn read_store(limit: RateLimit, storage: &str, fields: &mut Fields<'_, '_>) -> RateLimit {
    let url = fields.some("redis_url");
    let mut on_failure = None;
    if fields.some_is_next("on_failure") {
        // What is no text is noted, and leaves the default.
        let mut given = String::from("local");
        fields.text("on_failure", &mut given);
        on_failure = match given.as_str() {
            "local" => Some(OnFailure::Local),
            "closed" => Some(OnFailure::Closed),
            "insecure_open" => Some(OnFailure::InsecureOpen),
            other => {
                let message =
                    format!("expected \"local\", \"closed\" or \"insecure_open\", found {other:?}");
                fields.note("on_failure", message);
                None
            }
        };
        if storage == "memory" {
            fields.note(
                "on_failure",
                "is of no use with storage \"memory\", which is never away",
            );
            on_failure = None;
        }
    }
    match (storage, url) {
        ("memory", None) => limit,
        ("memory", Some(_)) => {
            fields.note("redis_url", "is given, and storage is \"memory\"");
            limit
        }
        ("redis", Some(url)) => {
            let Some(url) = text_of(&url) else {
                fields.note("redis_url", "expected text or a Secret");
                return limit;
            };
            let limit = limit.redis(url);
            match on_failure {
                Some(on_failure) => limit.on_failure(on_failure),
                None => limit,
            }
        }
        ("redis", None) => {
            fields.note(
                "redis_url",
                "is missing: expected an address such as redis://localhost:6379/0",
            );
            limit
        }
        (other, _) => {
            let message = format!("expected \"memory\" or \"redis\", found {other:?}");
            fields.note("storage", message);
            limit
        }
    }
}

fn read_security_headers(
    options: &Bound<'_, PyDict>,
    path: &str,
    errors: &mut ConfigErrors,
) -> PyResult<SecurityHeaders> {
    let mut headers = SecurityHeaders::new();
    let mut fields = Fields::new(options, path, errors)?;
    match choice(&mut fields, "csp") {
        Choice::Default => {}
        Choice::Omitted => headers.csp = ContentPolicy::Omitted,
        Choice::Given(given) => {
            headers.csp = ContentPolicy::Directives(directives(&mut fields, "csp", &given));
        }
    }
    match choice(&mut fields, "permissions_policy") {
        Choice::Default | Choice::Omitted => {}
        Choice::Given(given) => {
            let read = directives(&mut fields, "permissions_policy", &given);
            headers.permissions_policy = Some(read);
        }
    }
    match choice(&mut fields, "hsts") {
        Choice::Default => {}
        Choice::Omitted => headers.hsts = None,
        Choice::Given(given) => match given.cast::<PyDict>() {
            Ok(given) => {
                let mut hsts = Hsts::default();
                fields.within("hsts", given, |fields| {
                    fields.number("max-age", &mut hsts.max_age);
                    fields.flag("includeSubDomains", &mut hsts.include_sub_domains);
                    fields.flag("preload", &mut hsts.preload);
                })?;
                headers.hsts = Some(hsts);
            }
            Err(_) => fields.note("hsts", "expected a dictionary of directives, or False"),
        },
    }
    for (name, place) in [
        ("x_frame_options", &mut headers.x_frame_options),
        ("x_xss_protection", &mut headers.x_xss_protection),
        ("referrer_policy", &mut headers.referrer_policy),
        (
            "cross_origin_resource_policy",
            &mut headers.cross_origin_resource_policy,
        ),
    ] {
        match choice(&mut fields, name) {
            Choice::Default => {}
            Choice::Omitted => *place = None,
            Choice::Given(given) => match given.extract::<String>() {
                Ok(text) => *place = Some(text),
                Err(_) => fields.note(name, "expected text, or False to leave it out"),
            },
        }
    }
    if let Some(given) = fields.some("x_content_type_options")
        && given.extract::<&str>().ok() != Some("nosniff")
    {
        fields.note(
            "x_content_type_options",
            "expected \"nosniff\", which is always sent",
        );
    }
    fields.flag("enforce", &mut headers.enforce);
    fields.finish(|_| None);
    Ok(headers)
}

/// What was said about a header that has a default.
enum Choice<'py> {
    Default,
    Omitted,
    Given(Bound<'py, PyAny>),
}

fn choice<'py>(fields: &mut Fields<'py, '_>, name: &str) -> Choice<'py> {
    match fields.some(name) {
        None => Choice::Default,
        Some(value) if value.cast::<PyBool>().is_ok_and(|flag| !flag.is_true()) => Choice::Omitted,
        Some(value) => Choice::Given(value),
    }
}

fn directives(fields: &mut Fields<'_, '_>, name: &str, given: &Bound<'_, PyAny>) -> Directives {
    let Ok(given) = given.cast::<PyDict>() else {
        fields.note(name, "expected a dictionary of directives, or False");
        return Directives::new();
    };
    let mut read = Directives::new();
    for (directive, values) in given {
        let Ok(directive) = directive.extract::<String>() else {
            fields.note(name, "expected the names of directives as text");
            continue;
        };
        let values = if let Ok(flag) = values.cast::<PyBool>() {
            Directive::Bare(flag.is_true())
        } else if let Ok(one) = values.extract::<String>() {
            Directive::Values(vec![one])
        } else if let Ok(several) = values.extract::<Vec<String>>() {
            Directive::Values(several)
        } else {
            let field = format!("{name}[{directive:?}]");
            fields.note(&field, "expected a list of texts, True or False");
            continue;
        };
        read.push((directive, values));
    }
    read
}

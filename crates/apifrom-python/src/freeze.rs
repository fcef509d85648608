//! Reads what Python declared, and freezes it into an engine.
//!
//! Everything that is wrong is gathered: fields of the wrong kind, unknown options, and whatever the
//! engine itself finds, so that one start shows all of it.

use std::collections::HashMap;
use std::sync::Arc;

use apifrom::{
    Api, ApiConfig, ConfigErrors, DefaultAccess, EndpointSpec, Engine, ErrorHandling, Handler,
    Protection, Router, ServerConfig, TlsConfig,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::endpoint;
use crate::fields::Fields;
use crate::json;
use crate::logging::PythonSink;
use crate::middleware::{Places, PythonMiddleware};
use crate::request::Facts;
use crate::security::{Protections, text_of};
use crate::surround::{SharedLimits, Surround};

/// A frozen API and what it is served with.
#[pyclass(frozen, name = "Engine")]
pub(crate) struct PyEngine {
    pub(crate) engine: Engine,
    pub(crate) server: ServerConfig,
    /// How many processes are to serve.
    pub(crate) workers: u32,
    log_level: String,
    log_format: String,
    /// Where the function of each endpoint is called, by template and methods: names may be alike.
    modes: HashMap<(String, Vec<String>), &'static str>,
}

#[pymethods]
impl PyEngine {
    /// The endpoints, those of the engine itself left out, and what protects each.
    fn routes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let routes = PyList::empty(py);
        for endpoint in self.engine.endpoints() {
            if endpoint.methods().is_empty() {
                continue;
            }
            let texts = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>();
            let route = PyDict::new(py);
            let methods = texts(&mut endpoint.methods().iter().map(ToString::to_string));
            let auth = texts(&mut endpoint.protections().iter().map(ToString::to_string));
            let stages = texts(&mut endpoint.slots().map(|slot| slot.as_str().to_owned()));
            let place = (
                endpoint.template().unwrap_or_default().to_owned(),
                methods.clone(),
            );
            route.set_item("methods", methods)?;
            route.set_item("route", endpoint.template())?;
            route.set_item("name", endpoint.name())?;
            route.set_item("auth", auth)?;
            route.set_item("public", endpoint.public_reason())?;
            route.set_item("stages", stages)?;
            route.set_item("max_body_size", endpoint.max_body_size())?;
            route.set_item("dispatch", self.modes.get(&place))?;
            routes.append(route)?;
        }
        Ok(routes)
    }

    /// Everything that protects the API, as JSON in which names are sorted.
    fn posture(&self) -> String {
        self.engine.posture().lock()
    }

    /// What is weak about it, as JSON.
    fn check(&self) -> String {
        self.engine.check().to_json()
    }

    /// How many processes are to serve.
    #[getter]
    fn workers(&self) -> u32 {
        self.workers
    }

    /// The least level that `app.run` writes.
    #[getter]
    fn log_level(&self) -> &str {
        &self.log_level
    }

    /// `text` or `json`.
    #[getter]
    fn log_format(&self) -> &str {
        &self.log_format
    }

    /// The endpoints, those of the engine itself left out: name, template and methods of each.
    fn endpoints(&self) -> Vec<(String, String, Vec<String>)> {
        self.engine
            .endpoints()
            .iter()
            .filter(|endpoint| !endpoint.methods().is_empty())
            .map(|endpoint| {
                (
                    endpoint.name().to_owned(),
                    endpoint.template().unwrap_or_default().to_owned(),
                    endpoint.methods().iter().map(ToString::to_string).collect(),
                )
            })
            .collect()
    }
}

/// An error as Python takes it: the field, and what is wrong with it.
type Found = Vec<(String, String)>;

/// Freezes an API.
///
/// Returns the engine, or nothing where something is wrong, and what that is.
#[pyfunction]
#[pyo3(signature = (config, endpoints, middleware, server))]
pub(crate) fn freeze(
    py: Python<'_>,
    config: &Bound<'_, PyDict>,
    endpoints: &Bound<'_, PyList>,
    middleware: &Bound<'_, PyList>,
    server: Option<&Bound<'_, PyDict>>,
) -> PyResult<(Option<PyEngine>, Found)> {
    let mut errors = ConfigErrors::new();
    let mut protections = Protections::default();
    let (mut settings, guard) = read_config(config, &mut protections, &mut errors)?;
    let mut serving = Serving::default();
    if let Some(server) = server {
        serving.read(server, &mut settings, &mut errors)?;
    }
    let root_path: Arc<str> = Arc::from(settings.root_path.as_str());
    let depth = settings.max_json_depth;
    let mut read = Vec::new();
    let mut facts = HashMap::new();
    let mut modes = HashMap::new();
    for described in endpoints.iter() {
        let described = described.cast_into::<PyDict>()?;
        let described = endpoint::Described::read(&described, &mut protections, &mut errors)?;
        if let Some(described) = described {
            let shared = described.facts(py, depth, &root_path);
            let (_, template, methods) = described.place();
            let methods = methods.iter().map(|method| method.to_ascii_uppercase());
            modes.insert((template.clone(), methods.collect()), described.mode());
            facts.insert(template, Arc::clone(&shared));
            read.push((described, shared));
        }
    }
    let places = Places {
        facts: Arc::new(facts),
        unrouted: Facts::new(py, [], &root_path, depth),
    };
    let mut limits = SharedLimits::default();
    let routers: Vec<Router> = read
        .into_iter()
        .map(|(described, facts)| spec(py, described, depth, facts, &places, &mut limits))
        .collect();
    let (own, surround) = read_middleware(middleware, &places, &mut settings, &mut errors)?;
    let mut api = Api::with_config(settings)
        .log_to(Arc::new(PythonSink::new(py)?))
        .scopes(guard.scopes);
    for protection in guard.auth {
        api = api.auth(protection);
    }
    for router in routers {
        api = api.router(router);
    }
    api = surround.on_api(api, &places);
    for middleware in own {
        api = api.add_middleware(middleware);
    }
    if guard.lenient {
        api = api.lenient();
    }
    if guard.quiet {
        api = api.quiet();
    }
    let built = api.build();
    let engine = match built {
        Ok(engine) => Some(engine),
        Err(found) => {
            errors.append(found);
            None
        }
    };
    let found: Found = errors
        .iter()
        .map(|error| (error.path().to_owned(), error.message().to_owned()))
        .collect();
    let engine = engine.filter(|_| found.is_empty()).map(|engine| PyEngine {
        engine,
        server: serving.config,
        workers: serving.workers,
        log_level: serving.log_level,
        log_format: serving.log_format,
        modes,
    });
    Ok((engine, found))
}

/// Every rule of `check`, and what is left to people, as JSON.
#[pyfunction]
pub(crate) fn check_rules() -> String {
    apifrom::check::rules_json()
}

/// What differs between the posture of an engine and one that was written down, as JSON.
///
/// # Errors
/// `ValueError`: the latter is no posture.
#[pyfunction]
pub(crate) fn compare_postures(before: &str, after: &str) -> PyResult<String> {
    apifrom::check::compare(before, after)
        .map(|changes| apifrom::check::changes_json(&changes))
        .map_err(|why| PyValueError::new_err(why.to_string()))
}

/// True where the engine was built for debugging.
#[pyfunction]
pub(crate) fn is_debug_build() -> bool {
    cfg!(debug_assertions)
}

/// What the whole API asks of its callers.
#[derive(Default)]
struct Guard {
    lenient: bool,
    quiet: bool,
    auth: Vec<Protection>,
    scopes: Vec<String>,
}

fn read_config(
    given: &Bound<'_, PyDict>,
    protections: &mut Protections,
    errors: &mut ConfigErrors,
) -> PyResult<(ApiConfig, Guard)> {
    let mut guard = Guard::default();
    let mut config = ApiConfig::default();
    let mut fields = Fields::new(given, "", errors)?;
    fields.text("title", &mut config.title);
    fields.text("version", &mut config.version);
    fields.text("description", &mut config.description);
    fields.texts("trusted_hosts", &mut config.trusted_hosts);
    fields.texts("trusted_proxies", &mut config.trusted_proxies);
    fields.text("forwarded_header", &mut config.forwarded_header);
    fields.number("max_body_size", &mut config.max_body_size);
    fields.number("max_target_size", &mut config.max_target_size);
    fields.number("max_json_depth", &mut config.max_json_depth);
    fields.text("root_path", &mut config.root_path);
    fields.flag("strict", &mut config.strict);
    fields.flag("development", &mut config.development);
    let mut default = "open".to_owned();
    fields.text("default", &mut default);
    match default.as_str() {
        "open" => config.default = DefaultAccess::Open,
        "deny" => config.default = DefaultAccess::Deny,
        _ => fields.note(
            "default",
            format!("expected 'open' or 'deny', found {default:?}"),
        ),
    }
    fields.flag("lenient", &mut guard.lenient);
    fields.flag("quiet", &mut guard.quiet);
    fields.texts("scopes", &mut guard.scopes);
    let auth = fields.take("auth");
    fields.finish(|_| None);
    if let Some(auth) = auth {
        guard.auth = protections.read(&auth, "auth", errors)?;
    }
    Ok((config, guard))
}

/// The most processes that serve together.
const MAX_WORKERS: u32 = 1_024;

/// What `app.run` was given.
struct Serving {
    config: ServerConfig,
    workers: u32,
    log_level: String,
    log_format: String,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            config: ServerConfig::default(),
            workers: 1,
            log_level: "info".into(),
            log_format: "text".into(),
        }
    }
}

impl Serving {
    fn read(
        &mut self,
        given: &Bound<'_, PyDict>,
        api: &mut ApiConfig,
        errors: &mut ConfigErrors,
    ) -> PyResult<()> {
        let mut fields = Fields::new(given, "run", errors)?;
        let config = &mut self.config;
        fields.text("host", &mut config.host);
        fields.number("port", &mut config.port);
        config.uds = fields.optional_text("uds");
        if fields.some_is_next("fd") {
            let mut descriptor = 0;
            fields.number("fd", &mut descriptor);
            config.fd = Some(descriptor);
        }
        if config.uds.is_some() && config.fd.is_some() {
            fields.note("fd", "give either uds or fd, not both");
        }
        fields.number("backlog", &mut config.backlog);
        fields.number("limit_connections", &mut config.limit_connections);
        fields.number(
            "limit_connections_per_client",
            &mut config.limit_connections_per_client,
        );
        fields.number("max_head_size", &mut config.max_head_size);
        fields.number("max_header_fields", &mut config.max_header_fields);
        fields.seconds("timeout_head", &mut config.timeout_head);
        fields.seconds("timeout_body", &mut config.timeout_body);
        fields.seconds("timeout_keep_alive", &mut config.timeout_keep_alive);
        fields.seconds("timeout_write", &mut config.timeout_write);
        fields.seconds(
            "timeout_graceful_shutdown",
            &mut config.timeout_graceful_shutdown,
        );
        fields.flag("access_log", &mut api.access_log);
        api.processes = self.read_workers(&mut fields);
        self.read_log(&mut fields);
        self.config.tls = read_tls(&mut fields);
        fields.finish(|name| match name {
            "proxy_headers" | "forwarded_allow_ips" => {
                Some("name the proxies that are believed in API(trusted_proxies=[…]) instead")
            }
            "ssl_ca_certs" | "ssl_cert_reqs" => Some("client certificates cannot be asked for yet"),
            "limit_concurrency" => Some("use limit_connections instead"),
            _ => None,
        });
        Ok(())
    }

    /// Reads how many are to serve, and returns how many the API has to reckon with: what is right must
    /// not depend on the machine, so "auto" counts as several on any.
    fn read_workers(&mut self, fields: &mut Fields<'_, '_>) -> u32 {
        if fields.text_is_next("workers") {
            let mut text = String::new();
            fields.text("workers", &mut text);
            if text == "auto" {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                self.workers = u32::try_from(cores).unwrap_or(MAX_WORKERS).min(MAX_WORKERS);
                return self.workers.max(2);
            }
            fields.note(
                "workers",
                format!("expected a number or \"auto\", found {text:?}"),
            );
            return 1;
        }
        fields.number("workers", &mut self.workers);
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            let found = self.workers;
            fields.note(
                "workers",
                format!("expected 1 to {MAX_WORKERS}, found {found}"),
            );
            return 1;
        }
        self.workers
    }

    fn read_log(&mut self, fields: &mut Fields<'_, '_>) {
        fields.text("log_level", &mut self.log_level);
        self.log_level.make_ascii_lowercase();
        let levels = ["debug", "info", "warning", "error", "critical"];
        if !levels.contains(&self.log_level.as_str()) {
            let found = &self.log_level;
            let expected = levels.join(", ");
            fields.note(
                "log_level",
                format!("expected one of {expected}; found {found:?}"),
            );
        }
        fields.text("log_format", &mut self.log_format);
        if !["text", "json"].contains(&self.log_format.as_str()) {
            let found = &self.log_format;
            fields.note(
                "log_format",
                format!("expected 'text' or 'json', found {found:?}"),
            );
        }
    }
}

fn read_tls(fields: &mut Fields<'_, '_>) -> Option<TlsConfig> {
    let key = fields.optional_text("ssl_keyfile");
    let certificate = fields.optional_text("ssl_certfile");
    let password = fields.some("ssl_keyfile_password").and_then(|given| {
        let password = text_of(&given);
        if password.is_none() {
            fields.note("ssl_keyfile_password", "expected text or a Secret");
        }
        password
    });
    match (key, certificate) {
        (Some(key), Some(certificate)) => {
            let mut tls = TlsConfig::new(key, certificate);
            tls.ssl_keyfile_password = password;
            Some(tls)
        }
        (None, None) => {
            if password.is_some() {
                fields.note("ssl_keyfile_password", "is of no use without ssl_keyfile");
            }
            None
        }
        (Some(_), None) => {
            fields.note("ssl_certfile", "is missing beside ssl_keyfile");
            None
        }
        (None, Some(_)) => {
            fields.note("ssl_keyfile", "is missing beside ssl_certfile");
            None
        }
    }
}

fn read_middleware(
    declared: &Bound<'_, PyList>,
    places: &Places,
    settings: &mut ApiConfig,
    errors: &mut ConfigErrors,
) -> PyResult<(Vec<PythonMiddleware>, Surround)> {
    let py = declared.py();
    let mut own = Vec::new();
    let mut surround = Surround::default();
    let mut handled_errors = false;
    for (index, middleware) in declared.iter().enumerate() {
        let path = format!("middleware[{index}]");
        let kind: Option<String> = match middleware.getattr_opt("kind")? {
            Some(kind) => kind.extract().ok(),
            None => None,
        };
        if let Some(kind) = &kind {
            let options = middleware.getattr_opt("options")?;
            let options = options.and_then(|options| options.cast_into::<PyDict>().ok());
            if let Some(options) = options
                && surround.read(kind, &options, kind, errors)?
            {
                continue;
            }
        }
        match kind.as_deref() {
            Some("error_handling") => {
                if std::mem::replace(&mut handled_errors, true) {
                    errors.note(&path, "ErrorHandlingMiddleware stands twice");
                }
                let options = middleware.getattr("options")?.cast_into::<PyDict>()?;
                settings.error_handling = read_error_handling(&options, errors)?;
            }
            _ => match PythonMiddleware::read(&middleware, places) {
                Ok(Some(found)) => own.push(found),
                Ok(None) => errors.note(
                    &path,
                    format!(
                        "{} is no middleware: expected one of apifrom.middleware, or an object \
                         with any of before, around and after",
                        middleware.get_type().name()?
                    ),
                ),
                Err(error) => errors.note(&path, error.value(py).to_string()),
            },
        }
    }
    Ok((own, surround))
}

fn read_error_handling(
    options: &Bound<'_, PyDict>,
    errors: &mut ConfigErrors,
) -> PyResult<ErrorHandling> {
    let mut handling = ErrorHandling::new();
    let mut fields = Fields::new(options, "error_handling", errors)?;
    fields.flag("debug", &mut handling.debug);
    fields.flag("include_traceback", &mut handling.include_traceback);
    fields.flag("log_exceptions", &mut handling.log_exceptions);
    fields.finish(|_| None);
    Ok(handling)
}

/// The endpoint, inside what the routers around it ask for.
fn spec(
    py: Python<'_>,
    mut described: endpoint::Described,
    depth: usize,
    facts: Arc<Facts>,
    places: &Places,
    limits: &mut SharedLimits,
) -> Router {
    let max_body_size = described.max_body_size;
    let guarded = described.take_guarded();
    let policy = described.take_policy(py, depth, &facts);
    let surround = described.take_surround();
    let source = described.take_source();
    let (name, route, methods) = described.place();
    let handler = described.handler(py, depth, facts);
    let shows_request = handler.plan.shows_request();
    if shows_request && !(guarded.protections.is_empty() && guarded.inherited.is_empty()) {
        json::prepare(py);
    }
    let handler: Arc<dyn Handler> = Arc::new(handler);
    let mut spec = EndpointSpec::new(name, route, methods, move |binding| {
        if shows_request {
            binding.want_nonce();
        }
        Some(handler)
    });
    // Its answers with files are made where its request still is at hand.
    spec = spec.sends_files(false);
    if let Some((file, line)) = source {
        spec = spec.source(file, line);
    }
    if let Some(bytes) = max_body_size {
        spec = spec.max_body_size(bytes);
    }
    if let Some(reason) = guarded.public {
        spec = spec.public(reason);
    }
    for protection in guarded.protections {
        spec = spec.protect(protection);
    }
    if let Some(policy) = policy {
        // Which of several failed is not known: where one hides, none may show what is there.
        let hide = policy.hides.contains(&true);
        spec = spec.policy(policy, hide);
    }
    spec = surround.on_endpoint(spec, places, limits);
    let mut router = Router::new("").scopes(guarded.scopes);
    for protection in guarded.inherited {
        router = router.auth(protection);
    }
    router.endpoints([spec])
}

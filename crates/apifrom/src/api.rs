//! The API: gathers what a program declares, reports everything that is wrong with it, and
//! freezes the rest into an [`Engine`].

mod building;
mod guard;
mod layer;
mod surround;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use tower_service::Service;

use self::building::Building;
use self::guard::Guard;
pub use self::layer::{IntoLayer, Layered, StageLayer};
use self::surround::Declared;
use crate::check::{Posture, Severity, judge, posture};
use crate::clock::{Clock, SystemClock, Timers};
use crate::config::{ApiConfig, ServerConfig};
use crate::endpoint::{Endpoint, EndpointSpec, Router, States};
use crate::engine::{Engine, Frozen};
use crate::error::{ConfigErrors, ServeError};
use crate::handler::{Failures, Foreign, Handler, Middleware, Refusing, ServesOptions};
use crate::logging::{Sink, TracingSink, configuration_weak};
#[cfg(feature = "compression")]
use crate::middleware::Compression;
use crate::middleware::{
    Cors, Csrf, ErrorHandling, HttpsRedirect, RateLimit, SecurityHeaders, Timeout, TrustedHosts,
};
use crate::request::Body;
use crate::response::{Disclosure, StreamError};
use crate::routing::RouterBuilder;
use crate::security::{Compiler, Protection};
use crate::server::TrustedProxies;
use crate::stage::Slot;

/// An API under construction.
///
/// Nothing is checked before [`Api::build`], which reports every mistake at once.
#[must_use]
pub struct Api {
    config: ApiConfig,
    specs: Vec<EndpointSpec>,
    protections: Vec<Protection>,
    scopes: Vec<String>,
    states: States,
    own: Vec<Arc<dyn Middleware>>,
    surround: Declared,
    /// What answers where no endpoint does, and what errors call it.
    fallback: Option<(&'static str, Arc<dyn Handler>)>,
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    server: ServerConfig,
    /// True while it is judged, and not started.
    lenient: bool,
    /// True where another process gives its warnings.
    quiet: bool,
}

impl Default for Api {
    fn default() -> Self {
        Self::new()
    }
}

impl Api {
    /// An API without endpoints, under the default configuration.
    pub fn new() -> Self {
        Self::with_config(ApiConfig::default())
    }

    /// An API under `config`.
    pub fn with_config(config: ApiConfig) -> Self {
        Self {
            config,
            specs: Vec::new(),
            protections: Vec::new(),
            scopes: Vec::new(),
            states: States::default(),
            own: Vec::new(),
            surround: Declared::default(),
            fallback: None,
            sink: Arc::new(TracingSink),
            clock: Arc::new(SystemClock),
            server: ServerConfig::default(),
            lenient: false,
            quiet: false,
        }
    }

    /// Changes the configuration.
    pub fn configure(mut self, change: impl FnOnce(&mut ApiConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Changes what [`Api::run`] listens on and how long it waits.
    pub fn serve_with(mut self, change: impl FnOnce(&mut ServerConfig)) -> Self {
        change(&mut self.server);
        self
    }

    /// Adds endpoints, as `endpoints![…]` lists them.
    pub fn endpoints(mut self, specs: impl IntoIterator<Item = EndpointSpec>) -> Self {
        self.specs.extend(specs);
        self
    }

    /// Adds the endpoints of a router.
    pub fn router(mut self, router: Router) -> Self {
        self.specs.extend(router.into_specs());
        self
    }

    /// Lets only those in who meet `protection`, on every endpoint that is not said to be public.
    pub fn auth(mut self, protection: impl Into<Protection>) -> Self {
        self.protections.push(protection.into());
        self
    }

    /// Requires `scopes` of whoever was authenticated, on every endpoint that is not said to be
    /// public.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Adds middleware, of ours or the program's own. Its place is the engine's choice.
    pub fn add_middleware(mut self, middleware: impl Install) -> Self {
        middleware.install(&mut self);
        self
    }

    /// Shares one value of a type with every handler that asks for `State<T>`.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// Lets a service of the tower family, such as an axum router, answer what no endpoint does.
    /// It stands behind every API-wide protection.
    ///
    /// It finds the [`Client`](crate::Client) and the [`RequestId`](crate::RequestId) among the
    /// request's extensions. An error that it answers with without a body gets the engine's, so
    /// there is one 404 for all.
    pub fn merge<S, B>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<StreamError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StreamError>,
    {
        self.fallback = Some(("merge", Arc::new(Foreign::new(service))));
        self
    }

    /// Sends the engine's records to `sink`. Defaults to `tracing`.
    pub fn log_to(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = sink;
        self
    }

    /// Lets the protections take the time from `clock`, which a test can turn. Defaults to the
    /// system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What the server of [`Api::run`] is configured with.
    pub(crate) fn take_server_config(&mut self) -> ServerConfig {
        std::mem::take(&mut self.server)
    }

    /// Leaves to [`Api::check`] what would be an error under `strict`.
    #[doc(hidden)]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Leaves its warnings to another process, which was made from the same program.
    #[doc(hidden)]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Freezes the API. Under `strict` it is [judged](Engine::check) as well: what is an error there is
    /// one here.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration and the endpoints, at once.
    pub fn build(self) -> Result<Engine, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let is_strict = self.config.is_strict() && !self.lenient;
        let processes = self.config.processes;
        let hosts = or_note(TrustedHosts::new(&self.config.trusted_hosts), &mut errors);
        let proxies =
            TrustedProxies::new(&self.config.trusted_proxies, &self.config.forwarded_header);
        let proxies = or_note(proxies, &mut errors);
        check_bounds(&self.config, &mut errors);

        let failures = Arc::new(self.failures());
        let surround = self.surround.compile(&self.config, &self.sink, &mut errors);
        let facts = self.surround.facts();
        let mut building = Building {
            config: &self.config,
            failures: &failures,
            states: &self.states,
            own: &self.own,
            surround,
            guard: Guard {
                compiler: Compiler::new(is_strict, processes, Arc::clone(&self.sink), self.clock),
                protections: &self.protections,
                scopes: &self.scopes,
                default: self.config.default,
                sink: &self.sink,
            },
            endpoints: Vec::new(),
            routes: RouterBuilder::default(),
        };
        for spec in self.specs {
            building.add(spec, &mut errors);
        }
        let unrouted = match self.fallback {
            Some(service) => building.merged(service, &mut errors),
            None => building.fixed("(no route)", Arc::new(Refusing::not_found())),
        };
        let places: Vec<_> = building
            .routes
            .places()
            .map(|(template, allowed)| (template.clone(), allowed))
            .collect();
        let mut answers = Vec::new();
        for (template, allowed) in places {
            let options = building.placed(&template, Arc::new(ServesOptions::new(&allowed)));
            let not_allowed =
                building.placed(&template, Arc::new(Refusing::method_not_allowed(&allowed)));
            answers.push((options, not_allowed));
        }
        let Building {
            mut endpoints,
            routes,
            guard,
            surround,
            ..
        } = building;
        surround.secure(&mut endpoints, guard.compiler.authenticators());
        let mut warnings = guard.compiler.into_warnings();
        warnings.extend(surround.into_warnings(is_strict, &mut errors));
        let router = match routes.build(answers) {
            Ok(router) => Some(router),
            Err(conflicts) => {
                for conflict in conflicts {
                    errors.note("routes", conflict);
                }
                None
            }
        };
        if is_strict {
            judge_strictly(&posture(&self.config, &facts, &endpoints), &mut errors);
        }
        match (errors.is_empty(), router, hosts, proxies) {
            (true, Some(router), Some(hosts), Some(proxies)) => {
                for warning in warnings.iter().filter(|_| !self.quiet) {
                    configuration_weak(&*self.sink, warning.path(), warning.message());
                }
                Ok(Engine::new(Frozen {
                    config: self.config,
                    hosts,
                    proxies,
                    router,
                    reads_origins: has_slot(&endpoints, Slot::Cors),
                    compresses: has_slot(&endpoints, Slot::Compression),
                    endpoints,
                    unrouted,
                    watchers: watchers(self.own),
                    overheard: AtomicBool::new(false),
                    failures,
                    timers: Timers::default(),
                    surround: facts,
                    sink: self.sink,
                }))
            }
            _ => Err(errors),
        }
    }

    fn failures(&self) -> Failures {
        let handling = self.config.error_handling;
        let shown = Disclosure {
            cause: handling.debug,
            traceback: handling.include_traceback,
        };
        Failures::new(shown, handling.log_exceptions, Arc::clone(&self.sink))
    }

    /// Serves the API on `address` (`127.0.0.1:8000`) until SIGTERM or Ctrl-C, on a runtime of
    /// its own.
    ///
    /// # Errors
    /// [`ServeError`]: everything that is wrong with the configuration, before anything is
    /// opened; then whatever keeps the server from listening, or connections that had to be cut at
    /// the end.
    pub fn run(mut self, address: &str) -> Result<(), ServeError> {
        let server = self.take_server_config();
        let parsed = server.listening_on(address);
        match (self.build(), parsed) {
            (Ok(engine), Ok(server)) => match crate::server::run(&engine, &server)?.cut {
                0 => Ok(()),
                cut => Err(ServeError::Cut(cut)),
            },
            (Ok(_), Err(error)) => Err(ConfigErrors::from(error).into()),
            (Err(mut errors), Ok(server)) => {
                errors.append(crate::server::faults(&server));
                Err(errors.into())
            }
            (Err(mut errors), Err(error)) => {
                errors.push(error);
                Err(errors.into())
            }
        }
    }
}

/// What [`Api::add_middleware`] takes.
pub trait Install {
    /// Declares itself on `api`.
    fn install(self, api: &mut Api);
}

impl<M: Middleware> Install for M {
    fn install(self, api: &mut Api) {
        api.own.push(Arc::new(self));
    }
}

impl Install for ErrorHandling {
    fn install(self, api: &mut Api) {
        api.config.error_handling = self;
    }
}

impl Install for Cors {
    fn install(self, api: &mut Api) {
        api.surround.cors.push(self);
    }
}

#[cfg(feature = "compression")]
impl Install for Compression {
    fn install(self, api: &mut Api) {
        api.surround.compression.push(self);
    }
}

impl Install for Csrf {
    fn install(self, api: &mut Api) {
        api.surround.csrf.push(self);
    }
}

impl Install for HttpsRedirect {
    fn install(self, api: &mut Api) {
        api.surround.https_redirect.push(self);
    }
}

impl Install for SecurityHeaders {
    fn install(self, api: &mut Api) {
        api.surround.security_headers.push(self);
    }
}

impl Install for Timeout {
    fn install(self, api: &mut Api) {
        api.surround.timeout.push(self);
    }
}

impl Install for RateLimit {
    fn install(self, api: &mut Api) {
        api.surround.rate_limits.push(self);
    }
}

/// Notes what [`Engine::check`] calls an error. What is noted already, with its field, is not noted
/// twice.
fn judge_strictly(posture: &Posture, errors: &mut ConfigErrors) {
    for finding in judge(posture).at_least(Severity::Error) {
        if finding.rule.id != "AF101" {
            errors.note(finding.subject.as_str(), finding.refusal());
        }
    }
}

fn check_bounds(config: &ApiConfig, errors: &mut ConfigErrors) {
    if config.max_json_depth == 0 {
        errors.note("max_json_depth", "expected 1 or more, found 0");
    }
    if config.max_target_size == 0 {
        errors.note("max_target_size", "expected 1 or more, found 0");
    }
    if config.processes == 0 {
        errors.note("processes", "expected 1 or more, found 0");
    }
    let root = &config.root_path;
    if !root.is_empty() && (!root.starts_with('/') || root.ends_with('/')) {
        errors.note(
            "root_path",
            format!("expected a path like '/v1', without a trailing slash; found {root:?}"),
        );
    }
}

/// True where some endpoint has a policy about origins.
/// On the way out, the innermost sees an answer first.
fn watchers(own: Vec<Arc<dyn Middleware>>) -> Vec<Arc<dyn Middleware>> {
    let own = own.into_iter().rev();
    own.filter(|own| own.watches_answers()).collect()
}

fn has_slot(endpoints: &[Endpoint], wanted: Slot) -> bool {
    endpoints
        .iter()
        .any(|endpoint| endpoint.slots().any(|slot| slot == wanted))
}

fn or_note<T>(result: Result<T, Vec<crate::ConfigError>>, errors: &mut ConfigErrors) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            for error in found {
                errors.push(error);
            }
            None
        }
    }
}

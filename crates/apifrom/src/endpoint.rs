//! Endpoints: declared by a program, frozen by the engine.

mod nonce;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::caller::Callers;
use crate::config::ApiConfig;
use crate::error::{ConfigError, ConfigErrors};
use crate::extract::argument::{Limits, Place, Proof};
use crate::facts::{RouteFacts, Source};
use crate::handler::Handler;
use crate::logging::Sink;
#[cfg(feature = "compression")]
use crate::middleware::Compression;
use crate::middleware::{Cors, RateLimit, SecurityHeaders, Timeout};
use crate::routing::PathTemplate;
use crate::security::{DeclaredPolicy, Policy, Protection};
use crate::stage::{Slot, Stage};

/// What a program says about one endpoint.
///
/// `#[api]` and the Python package make these; a program that registers handlers by hand may too.
pub struct EndpointSpec {
    pub(crate) name: String,
    pub(crate) template: String,
    pub(crate) methods: Vec<String>,
    pub(crate) max_body_size: Option<u64>,
    /// What the endpoint itself declares.
    pub(crate) protections: Vec<Protection>,
    /// What is wrong with a declaration, by the name of it.
    pub(crate) faults: Vec<(&'static str, ConfigError)>,
    /// What the routers around it declare, the outermost first.
    pub(crate) inherited: Vec<Protection>,
    /// The scopes that those routers require.
    pub(crate) scopes: Vec<String>,
    pub(crate) policies: Vec<DeclaredPolicy>,
    pub(crate) public: Option<String>,
    pub(crate) surround: Overrides,
    pub(crate) source: Option<Source>,
    /// Whether its answers may be files.
    pub(crate) sends_files: bool,
    pub(crate) bind: Box<Bind>,
}

/// What an endpoint has in place of what the whole API has.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) cors: Option<Cors>,
    pub(crate) security_headers: Option<SecurityHeaders>,
    #[cfg(feature = "compression")]
    pub(crate) compression: Option<Compression>,
    pub(crate) timeout: Option<Timeout>,
    /// Beside those of the whole API.
    pub(crate) rate_limits: Vec<Arc<RateLimit>>,
    /// What is wrong with a declaration.
    pub(crate) faults: Vec<ConfigError>,
    /// Why other sites may act here with a browser's credentials.
    pub(crate) csrf_exempt: Option<String>,
}

/// Makes the handler once the place of its endpoint is known.
type Bind = dyn FnOnce(&mut Binding<'_>) -> Option<Arc<dyn Handler>> + Send;

impl EndpointSpec {
    /// An endpoint at `template` for `methods`; `name` is what errors and logs call it.
    ///
    /// `bind` makes the handler. When something is missing it notes so on the [`Binding`] and
    /// returns `None`.
    #[track_caller]
    pub fn new(
        name: impl Into<String>,
        template: impl Into<String>,
        methods: impl IntoIterator<Item = impl Into<String>>,
        bind: impl FnOnce(&mut Binding<'_>) -> Option<Arc<dyn Handler>> + Send + 'static,
    ) -> Self {
        let here = Location::caller();
        Self {
            name: name.into(),
            template: template.into(),
            methods: methods.into_iter().map(Into::into).collect(),
            max_body_size: None,
            protections: Vec::new(),
            faults: Vec::new(),
            inherited: Vec::new(),
            scopes: Vec::new(),
            policies: Vec::new(),
            public: None,
            surround: Overrides::default(),
            source: Some(Source {
                file: here.file().to_owned(),
                line: here.line(),
            }),
            sends_files: true,
            bind: Box::new(bind),
        }
    }

    /// Says where its function stands, for those who are told what is weak about it. Defaults to where
    /// this was made.
    #[must_use]
    pub fn source(mut self, file: impl Into<String>, line: u32) -> Self {
        let file = file.into();
        self.source = Some(Source { file, line });
        self
    }

    /// Says whether the handler may answer with a [`FileResponse`](crate::FileResponse), whose conditions
    /// and range are then kept while it runs. Defaults to `true`.
    #[must_use]
    pub fn sends_files(mut self, sends_files: bool) -> Self {
        self.sends_files = sends_files;
        self
    }

    /// The most bytes a body may have here. Defaults to the API's own bound.
    #[must_use]
    pub fn max_body_size(mut self, bytes: u64) -> Self {
        self.max_body_size = Some(bytes);
        self
    }

    /// Lets only those in who meet `protection`. Declared several times, all must be met, beside
    /// what the API and the routers around ask for.
    #[must_use]
    pub fn protect(mut self, protection: impl Into<Protection>) -> Self {
        self.protections.push(protection.into());
        self
    }

    /// Protects as an attribute named `name` says, whose values may not be at hand: an API with an
    /// endpoint of which that is so does not start.
    #[doc(hidden)]
    #[must_use]
    pub fn declare(
        mut self,
        name: &'static str,
        declare: impl FnOnce() -> Result<Protection, ConfigError>,
    ) -> Self {
        match declare() {
            Ok(protection) => self.protections.push(protection),
            Err(why) => self.faults.push((name, why)),
        }
        self
    }

    /// Asks `policy` about whoever was let in, before the body is read. With `hide` a denial looks as
    /// if there were nothing (404). Declared several times, all must allow.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy, hide: bool) -> Self {
        let policy = Arc::new(policy);
        self.policies.push(DeclaredPolicy { policy, hide });
        self
    }

    /// Lets pages of other origins read the answers as `cors` says, whatever the API says.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.surround.cors = Some(cors);
        self
    }

    /// Tells browsers what `headers` say about the answers, whatever the API says.
    #[must_use]
    pub fn security_headers(mut self, headers: SecurityHeaders) -> Self {
        self.surround.security_headers = Some(headers);
        self
    }

    /// Sends the answers in the forms that `compression` says, whatever the API says.
    #[cfg(feature = "compression")]
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.surround.compression = Some(compression);
        self
    }

    /// Lets an answer take as long to begin as `timeout` says, whatever the API says.
    #[must_use]
    pub fn timeout(mut self, timeout: Timeout) -> Self {
        self.surround.timeout = Some(timeout);
        self
    }

    /// Lets so many requests pass here as `limit` says, beside what the API and the routers around let
    /// pass. Declared several times, each holds.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.surround.rate_limits.push(Arc::new(limit));
        self
    }

    /// Like [`EndpointSpec::rate_limit`], for a limit that was read from a text.
    #[doc(hidden)]
    #[must_use]
    pub fn declare_limit(mut self, limit: Result<RateLimit, ConfigError>) -> Self {
        match limit {
            Ok(limit) => return self.rate_limit(limit),
            Err(why) => self.surround.faults.push(why),
        }
        self
    }

    /// Like [`EndpointSpec::rate_limit`], with counts that are those of every other endpoint which was
    /// given the same value.
    #[doc(hidden)]
    #[must_use]
    pub fn shared_limit(mut self, limit: &Arc<RateLimit>) -> Self {
        self.surround.rate_limits.push(Arc::clone(limit));
        self
    }

    /// Takes requests that pages of other sites cause, whatever the API says: for a webhook, say, whose
    /// sender is proved by a signature.
    ///
    /// # Security
    /// `reason` is for whoever reviews the API, and must not be empty.
    #[must_use]
    pub fn csrf_exempt(mut self, reason: impl Into<String>) -> Self {
        self.surround.csrf_exempt = Some(reason.into());
        self
    }

    /// Lets everybody in, whatever the API and the routers around ask for.
    ///
    /// # Security
    /// `reason` is for whoever reviews the API, and must not be empty.
    #[must_use]
    pub fn public(mut self, reason: impl Into<String>) -> Self {
        self.public = Some(reason.into());
        self
    }
}

/// Endpoints below one prefix that share their protection. Routers can stand in each other.
///
/// What a router asks for adds to what its endpoints ask for themselves, and takes nothing away.
///
/// # Examples
/// ```
/// use apifrom::{Api, Router, api, endpoints};
///
/// #[api(route = "/users", method = "GET")]
/// fn users() -> &'static str {
///     "nobody yet"
/// }
///
/// let v1 = Router::new("/v1").endpoints(endpoints![users]);
/// let engine = Api::new().router(v1).build()?;
/// assert_eq!(engine.endpoints()[0].template(), Some("/v1/users"));
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Router {
    prefix: String,
    protections: Vec<Protection>,
    scopes: Vec<String>,
    limits: Vec<Arc<RateLimit>>,
    specs: Vec<EndpointSpec>,
}

impl Router {
    /// A router below `prefix`, such as `/v1`; empty for none.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..Self::default()
        }
    }

    /// Lets only those in who meet `protection`.
    pub fn auth(mut self, protection: impl Into<Protection>) -> Self {
        self.protections.push(protection.into());
        self
    }

    /// Requires `scopes` of whoever was authenticated.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Lets so many requests pass as `limit` says, to all of the router's endpoints together.
    pub fn limit(mut self, limit: RateLimit) -> Self {
        self.limits.push(Arc::new(limit));
        self
    }

    /// Adds endpoints.
    pub fn endpoints(mut self, specs: impl IntoIterator<Item = EndpointSpec>) -> Self {
        self.specs.extend(specs);
        self
    }

    /// Adds the endpoints of another router, below this one's prefix.
    pub fn router(mut self, inner: Self) -> Self {
        self.specs.extend(inner.into_specs());
        self
    }

    /// The endpoints, each with what this router adds to it.
    pub(crate) fn into_specs(self) -> impl Iterator<Item = EndpointSpec> {
        let Self {
            prefix,
            protections,
            scopes,
            limits,
            specs,
        } = self;
        specs.into_iter().map(move |mut spec| {
            spec.template.insert_str(0, &prefix);
            spec.inherited.splice(0..0, protections.iter().cloned());
            spec.scopes.splice(0..0, scopes.iter().cloned());
            let around = limits.iter().cloned();
            spec.surround.rate_limits.splice(0..0, around);
            spec
        })
    }
}

impl fmt::Debug for EndpointSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSpec")
            .field("name", &self.name)
            .field("template", &self.template)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

/// What `#[api]` leaves beside a function, for [`endpoints!`](crate::endpoints) to list.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no endpoint",
    label = "put `#[api(route = \"…\", method = \"GET\")]` on the function"
)]
pub trait Listed {
    /// The declaration of the endpoint.
    fn spec() -> EndpointSpec;
}

/// Lists functions that stand under [`#[api]`](crate::api), for
/// [`Api::endpoints`](crate::Api::endpoints).
///
/// # Examples
/// ```
/// use apifrom::{Api, api, endpoints};
///
/// mod users {
///     #[apifrom::api(route = "/users/{id}", method = "DELETE")]
///     pub fn delete(id: i64) {
///         println!("user {id} is gone");
///     }
/// }
///
/// #[api(route = "/", method = "GET")]
/// fn home() -> &'static str {
///     "welcome"
/// }
///
/// let engine = Api::new().endpoints(endpoints![home, users::delete]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[macro_export]
macro_rules! endpoints {
    ($($function:path),* $(,)?) => {
        [$(<$function as $crate::__private::Listed>::spec()),*]
    };
}

/// What a handler is bound to when its endpoint is frozen.
pub struct Binding<'a> {
    pub(crate) template: &'a PathTemplate,
    pub(crate) states: &'a States,
    pub(crate) config: &'a ApiConfig,
    pub(crate) path: &'a str,
    pub(crate) callers: &'a Callers,
    pub(crate) sink: &'a Arc<dyn Sink>,
    /// True where answers have a content policy.
    pub(crate) has_policy: bool,
    /// True where something may ask for the nonce of that policy.
    pub(crate) wants_nonce: bool,
    pub(crate) errors: &'a mut ConfigErrors,
}

impl Binding<'_> {
    /// The place of the capture `name` in the template.
    pub fn capture(&self, name: &str) -> Option<usize> {
        self.template.captures().position(|known| known == name)
    }

    /// The names of the template's captures, from left to right.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.template.captures()
    }

    /// The shared value of type `T`, or a noted error when the API has none.
    pub fn state<T: Send + Sync + 'static>(&mut self) -> Option<Arc<T>> {
        let state = Place::state(self, TypeId::of::<T>(), std::any::type_name::<T>())?;
        state.downcast().ok()
    }

    /// The API's configuration.
    pub fn config(&self) -> &ApiConfig {
        self.config
    }

    /// Lets the handler ask for [`Context::csp_nonce`](crate::Context::csp_nonce); false where answers
    /// have no content policy that could name it.
    pub fn want_nonce(&mut self) -> bool {
        self.wants_nonce |= self.has_policy;
        self.has_policy
    }

    /// Notes that this endpoint cannot be built, and why.
    pub fn error(&mut self, message: impl Into<String>) {
        self.errors.note(self.path, message);
    }
}

impl Place for Binding<'_> {
    fn capture(&self, name: &str) -> Option<usize> {
        Binding::capture(self, name)
    }

    fn state(&mut self, id: TypeId, name: &str) -> Option<Arc<dyn Any + Send + Sync>> {
        let state = self.states.0.get(&id).map(Arc::clone);
        if state.is_none() {
            self.error(format!(
                "asks for State<{name}>, and the API has none; add it with .state(…)"
            ));
        }
        state
    }

    fn proof(&self, method: Option<&str>, name: Option<&str>) -> Proof {
        self.callers.proof(method, name)
    }

    fn nonce(&mut self) -> bool {
        let is_there = self.want_nonce();
        if !is_there {
            self.error(
                "asks for CspNonce, and its answers have no content policy; add SecurityHeaders",
            );
        }
        is_there
    }

    fn route(&self) -> &str {
        self.template.as_str()
    }

    fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(self.sink)
    }

    fn limits(&self) -> Limits {
        Limits {
            max_json_depth: self.config.max_json_depth,
        }
    }

    fn error(&mut self, message: String) {
        Binding::error(self, message);
    }
}

/// The values that handlers share, one of each type.
#[derive(Default, Clone)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}

/// An endpoint as requests meet it: nothing in it changes any more.
pub struct Endpoint {
    /// What errors and logs call it.
    pub(crate) name: String,
    /// Its template; `None` for what answers where no template matches.
    pub(crate) template: Option<PathTemplate>,
    /// The text of its template, to be handed out.
    pub(crate) route: Option<Arc<str>>,
    /// Its methods.
    pub(crate) methods: Vec<Method>,
    /// What decides about it, in the order of the slots.
    pub(crate) stages: Box<[Box<dyn Stage>]>,
    /// What it calls, own middleware included.
    pub(crate) handler: Arc<dyn Handler>,
    /// Whether its answers may be files.
    pub(crate) sends_files: bool,
    /// The most bytes a body may have.
    pub(crate) max_body_size: u64,
    /// How long its answers may take to begin.
    pub(crate) deadline: Option<Duration>,
    /// What it asks of a caller, all of which must be met.
    pub(crate) protections: Box<[Protection]>,
    /// Why everybody may call it, where that was said.
    pub(crate) public: Option<Box<str>>,
    /// What there is to know of it; nothing of the engine's own endpoints.
    pub(crate) facts: Option<Box<RouteFacts>>,
}

impl Endpoint {
    /// What errors and logs call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path template, or nothing for what answers where none matches.
    pub fn template(&self) -> Option<&str> {
        self.template.as_ref().map(PathTemplate::as_str)
    }

    /// The methods it answers.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The most bytes a body may have.
    pub fn max_body_size(&self) -> u64 {
        self.max_body_size
    }

    /// What decides about its requests, in the order in which it is asked.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.stages.iter().map(|stage| stage.slot())
    }

    /// What it asks of a caller, all of which must be met: the API's, its routers' and its own.
    pub fn protections(&self) -> &[Protection] {
        &self.protections
    }

    /// Why everybody may call it, where the program says so.
    pub fn public_reason(&self) -> Option<&str> {
        self.public.as_deref()
    }

    /// What there is to know of its protection; `None` for what is the engine's own.
    pub fn facts(&self) -> Option<&RouteFacts> {
        self.facts.as_deref()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("template", &self.template())
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

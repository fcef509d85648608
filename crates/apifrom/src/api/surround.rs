//! What surrounds every call: declared for the whole API, replaced on single endpoints.

use std::sync::Arc;
use std::time::Duration;

use crate::config::ApiConfig;
use crate::endpoint::{Endpoint, Overrides};
use crate::error::{ConfigError, ConfigErrors};
use crate::facts::SurroundFacts;
use crate::logging::Sink;
#[cfg(feature = "compression")]
use crate::middleware::{Compression, CompressionRules, CompressionStage};
use crate::middleware::{
    Cors, CorsStage, Csrf, CsrfRules, CsrfStage, HttpsRedirect, HttpsRules, HttpsStage, Limit,
    Presents, RateLimit, RateLimitStage, SecurityHeaders, SecurityHeadersStage, Sharing, Site,
    Timeout,
};
use crate::security::Authenticator;
use crate::stage::{Slot, Stage};
use crate::store::Stores;

/// What `add_middleware` was given, however often.
#[derive(Default)]
pub(super) struct Declared {
    #[cfg(feature = "compression")]
    pub(super) compression: Vec<Compression>,
    pub(super) cors: Vec<Cors>,
    pub(super) timeout: Vec<Timeout>,
    pub(super) csrf: Vec<Csrf>,
    pub(super) https_redirect: Vec<HttpsRedirect>,
    pub(super) security_headers: Vec<SecurityHeaders>,
    /// Each of them holds.
    pub(super) rate_limits: Vec<RateLimit>,
}

/// What every endpoint has that declares nothing else.
pub(super) struct Surround {
    #[cfg(feature = "compression")]
    compression: Option<Arc<CompressionRules>>,
    cors: Option<Arc<CorsStage>>,
    timeout: Option<Arc<Duration>>,
    csrf: Option<Arc<CsrfRules>>,
    https: Option<Arc<HttpsRules>>,
    security_headers: Option<Arc<SecurityHeadersStage>>,
    /// Shared by all endpoints, so that a client's requests count together.
    rate_limits: Vec<Arc<Limit>>,
    /// Those that endpoints and routers declare, each compiled once.
    declared: Vec<(Arc<RateLimit>, Option<Arc<Limit>>)>,
    sink: Arc<dyn Sink>,
    stores: Stores,
    title: String,
    processes: u32,
    /// What is weaker than it should be, and no error.
    weak: Vec<ConfigError>,
    facts: SurroundFacts,
}

impl Declared {
    /// What there is to know of it.
    pub(super) fn facts(&self) -> SurroundFacts {
        SurroundFacts {
            #[cfg(feature = "compression")]
            compression: self.compression.first().map(Compression::facts),
            #[cfg(not(feature = "compression"))]
            compression: None,
            cors: self.cors.first().map(Cors::facts),
            csrf: self.csrf.first().map(Csrf::facts),
            https_redirect: !self.https_redirect.is_empty(),
            security_headers: self.security_headers.first().map(SecurityHeaders::facts),
            rate_limits: self.rate_limits.iter().map(RateLimit::facts).collect(),
            timeout_ms: self.timeout.first().map(Timeout::millis),
        }
    }

    pub(super) fn compile(
        &self,
        config: &ApiConfig,
        sink: &Arc<dyn Sink>,
        errors: &mut ConfigErrors,
    ) -> Surround {
        let csrf = only(&self.csrf, "csrf", errors).map(Csrf::compile);
        let (csrf, weak) = match csrf {
            None => (None, Vec::new()),
            Some(Ok((rules, weak))) => (Some(Arc::new(rules)), weak),
            Some(Err(found)) => {
                for error in found {
                    errors.push(error);
                }
                (None, Vec::new())
            }
        };
        let site = Site {
            lists_hosts: !config.trusted_hosts.is_empty(),
            root_path: &config.root_path,
            development: config.development,
        };
        let mut stores = Stores::default();
        let mut rate_limits = Vec::new();
        for (index, limit) in self.rate_limits.iter().enumerate() {
            let mut sharing = Sharing {
                place: format!("{}\napi\n{index}", config.title),
                stores: &mut stores,
                sink,
                processes: config.processes,
            };
            rate_limits.extend(kept(limit.compile(&mut sharing), None, errors));
        }
        Surround {
            csrf,
            weak,
            facts: self.facts(),
            declared: Vec::new(),
            sink: Arc::clone(sink),
            https: only(&self.https_redirect, "https_redirect", errors)
                .and_then(|redirect| kept(redirect.compile(&site), None, errors)),
            #[cfg(feature = "compression")]
            compression: only(&self.compression, "compression", errors)
                .and_then(|compression| kept(compression.compile(), None, errors)),
            timeout: only(&self.timeout, "timeout", errors)
                .and_then(|timeout| kept(timeout.compile(), None, errors)),
            cors: only(&self.cors, "cors", errors)
                .and_then(|cors| kept(cors.compile(), None, errors)),
            security_headers: only(&self.security_headers, "security_headers", errors)
                .and_then(|headers| kept(headers.compile(), None, errors)),
            rate_limits,
            stores,
            title: config.title.clone(),
            processes: config.processes,
        }
    }
}

impl Surround {
    /// The stages of an endpoint; `path` is what errors call it, and `route` what events do.
    pub(super) fn stages(
        &mut self,
        own: &Overrides,
        (path, route): (&str, &str),
        errors: &mut ConfigErrors,
    ) -> Vec<Box<dyn Stage>> {
        for why in &own.faults {
            errors.push(why.clone().within(path));
        }
        let mut stages = self.basic(own, path, route, errors);
        for (index, limit) in own.rate_limits.iter().enumerate() {
            stages.extend(
                self.declared(limit, index, path, errors)
                    .map(|limit| self.limiting(&limit, route)),
            );
        }
        stages.extend(self.keyed(route));
        match &own.csrf_exempt {
            None => stages.extend(self.csrf(route)),
            Some(reason) if reason.trim().is_empty() => errors.note(
                format!("{path}.csrf_exempt.reason"),
                "expected a reason, found none",
            ),
            Some(_) => {}
        }
        stages
    }

    /// How long an endpoint's answers may take to begin.
    pub(super) fn deadline(
        &self,
        own: &Overrides,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Duration> {
        match &own.timeout {
            Some(timeout) => kept(timeout.compile(), Some(path), errors).map(|kept| *kept),
            None => self.timeout.as_deref().copied(),
        }
    }

    /// True where an endpoint's answers have a content policy.
    pub(super) fn has_policy(&self, own: &Overrides) -> bool {
        match &own.security_headers {
            Some(headers) => headers.has_policy(),
            None => self
                .security_headers
                .as_ref()
                .is_some_and(|headers| headers.has_policy()),
        }
    }

    /// What there is to know of an endpoint's surroundings.
    pub(super) fn facts(&self, own: &Overrides) -> SurroundFacts {
        let mut facts = self.facts.clone();
        if let Some(cors) = &own.cors {
            facts.cors = Some(cors.facts());
        }
        if let Some(headers) = &own.security_headers {
            facts.security_headers = Some(headers.facts());
        }
        #[cfg(feature = "compression")]
        if let Some(compression) = &own.compression {
            facts.compression = Some(compression.facts());
        }
        if let Some(timeout) = &own.timeout {
            facts.timeout_ms = Some(timeout.millis());
        }
        if own.csrf_exempt.is_some() {
            facts.csrf = None;
        }
        let limits = own.rate_limits.iter().map(|limit| limit.facts());
        facts.rate_limits.extend(limits);
        facts
    }

    /// What decides about the form of an endpoint's answers.
    #[cfg(feature = "compression")]
    pub(super) fn compression(
        &self,
        own: &Overrides,
        is_protected: bool,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Box<dyn Stage>> {
        let rules = match &own.compression {
            Some(compression) => kept(compression.compile(), Some(path), errors),
            None => self.compression.clone(),
        };
        let stage = CompressionStage::new(rules?, is_protected)?;
        Some(Box::new(stage))
    }

    /// Without the feature no answer has another form.
    #[cfg(not(feature = "compression"))]
    #[expect(clippy::unused_self, reason = "the feature has a use for it")]
    pub(super) fn compression(
        &self,
        _: &Overrides,
        _: bool,
        _: &str,
        _: &mut ConfigErrors,
    ) -> Option<Box<dyn Stage>> {
        None
    }

    /// What keeps other sites from acting at `route`.
    pub(super) fn csrf(&self, route: &str) -> Option<Box<dyn Stage>> {
        let rules = Arc::clone(self.csrf.as_ref()?);
        let stage = CsrfStage::new(rules, route, Arc::clone(&self.sink));
        Some(Box::new(stage))
    }

    /// Puts what leads to TLS before everything else, at every endpoint. It knows where each of
    /// `methods` finds its credential, so that none is led on that was sent to a wrong path.
    pub(super) fn secure(&self, endpoints: &mut [Endpoint], methods: Vec<Arc<dyn Authenticator>>) {
        let Some(rules) = &self.https else {
            return;
        };
        let presents: Arc<Presents> =
            Arc::new(move |head| methods.iter().any(|method| method.is_presented(head)));
        for endpoint in endpoints {
            let route = endpoint.route.as_deref().unwrap_or(&endpoint.name);
            let stage = HttpsStage::new(
                Arc::clone(rules),
                Arc::clone(&presents),
                route,
                Arc::clone(&self.sink),
            );
            let mut stages = std::mem::take(&mut endpoint.stages).into_vec();
            stages.insert(0, Box::new(stage));
            endpoint.stages = stages.into();
            if let Some(facts) = &mut endpoint.facts {
                facts.stages.insert(0, Slot::Https.as_str());
            }
        }
    }

    /// What is weak and no error; under `strict` it is one.
    pub(super) fn into_warnings(
        self,
        is_strict: bool,
        errors: &mut ConfigErrors,
    ) -> Vec<ConfigError> {
        if !is_strict {
            return self.weak;
        }
        for weak in self.weak {
            errors.push(weak);
        }
        Vec::new()
    }

    /// The limits of the whole API that know who calls.
    pub(super) fn keyed(&self, route: &str) -> Vec<Box<dyn Stage>> {
        let keyed = self
            .rate_limits
            .iter()
            .filter(|limit| !limit.is_by_client());
        keyed.map(|limit| self.limiting(limit, route)).collect()
    }

    fn limiting(&self, limit: &Arc<Limit>, route: &str) -> Box<dyn Stage> {
        let stage = RateLimitStage::new(Arc::clone(limit), route, Arc::clone(&self.sink));
        Box::new(stage)
    }

    /// What `declared` comes to. A router's stands at each of its endpoints, and is one.
    fn declared(
        &mut self,
        declared: &Arc<RateLimit>,
        index: usize,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Arc<Limit>> {
        let known = self
            .declared
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, declared));
        if let Some((_, limit)) = known {
            return limit.clone();
        }
        let mut sharing = Sharing {
            place: format!("{}\n{path}\n{index}", self.title),
            stores: &mut self.stores,
            sink: &self.sink,
            processes: self.processes,
        };
        let limit = kept(declared.compile(&mut sharing), Some(path), errors);
        self.declared.push((Arc::clone(declared), limit.clone()));
        limit
    }

    fn basic(
        &self,
        own: &Overrides,
        path: &str,
        route: &str,
        errors: &mut ConfigErrors,
    ) -> Vec<Box<dyn Stage>> {
        let cors = match &own.cors {
            Some(cors) => kept(cors.compile(), Some(path), errors),
            None => self.cors.clone(),
        };
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        stages.extend(cors.map(|cors| Box::new(cors) as Box<dyn Stage>));
        let headers = match &own.security_headers {
            Some(headers) => kept(headers.compile(), Some(path), errors),
            None => self.security_headers.clone(),
        };
        stages.extend(headers.map(|headers| Box::new(headers) as Box<dyn Stage>));
        let limits = self.rate_limits.iter().filter(|limit| limit.is_by_client());
        stages.extend(limits.map(|limit| self.limiting(limit, route)));
        stages
    }

    /// The stages of an endpoint of the engine's own, where there is nothing to act on: `route` is what
    /// events call it.
    pub(super) fn shared(&self, route: &str) -> Vec<Box<dyn Stage>> {
        let mut none = ConfigErrors::new();
        self.basic(&Overrides::default(), "", route, &mut none)
    }
}

/// The one declaration there may be.
fn only<'a, T>(declared: &'a [T], path: &str, errors: &mut ConfigErrors) -> Option<&'a T> {
    if declared.len() > 1 {
        errors.note(path, "stands twice; say all of it once");
    }
    declared.first()
}

fn kept<T>(
    compiled: Result<T, Vec<ConfigError>>,
    path: Option<&str>,
    errors: &mut ConfigErrors,
) -> Option<Arc<T>> {
    match compiled {
        Ok(stage) => Some(Arc::new(stage)),
        Err(found) => {
            for error in found {
                errors.push(match path {
                    Some(path) => error.within(path),
                    None => error,
                });
            }
            None
        }
    }
}

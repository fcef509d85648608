//! Makes frozen endpoints and their routes from what was declared.

use std::mem;
use std::sync::Arc;

use http::Method;

use super::guard::Guard;
use super::surround::Surround;
use crate::config::ApiConfig;
use crate::endpoint::{Binding, Endpoint, EndpointSpec, Overrides, States};
use crate::error::ConfigErrors;
use crate::facts::RouteFacts;
use crate::handler::{Around, Behind, Failures, Handler, Middleware};
use crate::middleware::NonceStage;
use crate::routing::{PathTemplate, RouterBuilder};
use crate::security::Protection;
use crate::stage::{Slot, Stage};

pub(super) struct Building<'a> {
    pub(super) config: &'a ApiConfig,
    pub(super) states: &'a States,
    pub(super) failures: &'a Arc<Failures>,
    pub(super) own: &'a [Arc<dyn Middleware>],
    pub(super) surround: Surround,
    pub(super) guard: Guard<'a>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) routes: RouterBuilder,
}

impl Building<'_> {
    pub(super) fn add(&mut self, spec: EndpointSpec, errors: &mut ConfigErrors) {
        let path = format!("routes.{}", spec.name);
        let template = match PathTemplate::parse(&spec.template) {
            Ok(template) => template,
            Err(error) => return errors.note(format!("{path}.route"), error.to_string()),
        };
        let methods = parse_methods(&spec.methods, &path, errors);
        let guarded = self.guard.endpoint(&spec, &path, errors);
        let mut surround = self
            .surround
            .stages(&spec.surround, (&path, &spec.template), errors);
        let is_protected = !guarded.protections.is_empty();
        let form = self
            .surround
            .compression(&spec.surround, is_protected, &path, errors);
        surround.extend(form);
        let deadline = self.surround.deadline(&spec.surround, &path, errors);
        let mut binding = Binding {
            template: &template,
            states: self.states,
            config: self.config,
            path: &path,
            callers: &guarded.callers,
            sink: self.guard.sink,
            has_policy: self.surround.has_policy(&spec.surround),
            // Own middleware may answer with a page as well.
            wants_nonce: self.own.iter().any(|own| own.surrounds_handlers()),
            errors,
        };
        let surrounding = self.surround.facts(&spec.surround);
        let Some(handler) = (spec.bind)(&mut binding) else {
            return;
        };
        if binding.has_policy && binding.wants_nonce {
            surround = with_nonce(surround);
        }
        let index = self.endpoints.len();
        for method in &methods {
            if let Err(conflict) = self.routes.add(&template, method.clone(), index) {
                errors.note(format!("{path}.route"), conflict);
            }
        }
        let route: Arc<str> = template.as_str().into();
        let stages = in_order(surround, guarded.stages);
        let max_body_size = spec.max_body_size.unwrap_or(self.config.max_body_size);
        let scopes = self.guard.scopes.iter().chain(&spec.scopes).cloned();
        let facts = RouteFacts {
            route: spec.template,
            methods: methods.iter().map(ToString::to_string).collect(),
            name: spec.name.clone(),
            source: spec.source,
            auth: guarded.protections.iter().map(Protection::facts).collect(),
            scopes: if guarded.protections.is_empty() {
                Vec::new()
            } else {
                scopes.collect()
            },
            public: spec.public.clone(),
            policies: spec.policies.len(),
            stages: stages.iter().map(|stage| stage.slot().as_str()).collect(),
            surround: surrounding,
            csrf_exempt: spec.surround.csrf_exempt,
            max_body_size,
        };
        self.endpoints.push(Endpoint {
            handler: self.surrounded(handler, &spec.name, &route, spec.sends_files),
            // Own middleware may answer with one in place of the handler.
            sends_files: spec.sends_files || !self.own.is_empty(),
            name: spec.name,
            template: Some(template),
            route: Some(route),
            methods,
            stages,
            max_body_size,
            deadline,
            protections: guarded.protections,
            public: spec.public.map(Into::into),
            facts: Some(Box::new(facts)),
        });
    }

    /// An endpoint of the engine itself at a place of the program's.
    pub(super) fn placed(&mut self, template: &PathTemplate, handler: Arc<dyn Handler>) -> usize {
        let index = self.fixed(template.as_str(), handler);
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.template = Some(template.clone());
            endpoint.route = Some(template.as_str().into());
        }
        index
    }

    pub(super) fn fixed(&mut self, name: &str, handler: Arc<dyn Handler>) -> usize {
        let mut stages = self.surround.shared(name);
        stages.extend(self.form(false));
        self.endpoints.push(Endpoint {
            name: name.to_owned(),
            template: None,
            route: None,
            methods: Vec::new(),
            stages: stages.into(),
            handler,
            sends_files: !self.own.is_empty(),
            // It reads no body, so none is too large for it.
            max_body_size: u64::MAX,
            deadline: None,
            protections: Box::default(),
            public: None,
            facts: None,
        });
        self.endpoints.len() - 1
    }

    /// The form of answers of what declares none of its own.
    fn form(&self, is_protected: bool) -> Option<Box<dyn Stage>> {
        let (own, mut none) = (Overrides::default(), ConfigErrors::new());
        self.surround.compression(&own, is_protected, "", &mut none)
    }

    /// A service that was merged stands behind what protects the whole API.
    pub(super) fn merged(
        &mut self,
        (path, service): (&'static str, Arc<dyn Handler>),
        errors: &mut ConfigErrors,
    ) -> usize {
        let name = match path {
            "layer" => "(layered service)",
            _ => "(merged service)",
        };
        let guarded = self.guard.merged((path, name), errors);
        let index = self.fixed(name, service);
        let form = self.form(!guarded.protections.is_empty());
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            let mut surround = self.surround.shared(name);
            surround.extend(form);
            surround.extend(self.surround.csrf(name));
            surround.extend(self.surround.keyed(name));
            endpoint.stages = in_order(surround, guarded.stages);
            endpoint.facts = Some(Box::new(RouteFacts {
                route: name.to_owned(),
                methods: vec!["*".to_owned()],
                name: name.to_owned(),
                source: None,
                auth: guarded.protections.iter().map(Protection::facts).collect(),
                scopes: self.guard.scopes.to_vec(),
                public: None,
                policies: 0,
                stages: endpoint
                    .stages
                    .iter()
                    .map(|one| one.slot().as_str())
                    .collect(),
                surround: self.surround.facts(&Overrides::default()),
                csrf_exempt: None,
                max_body_size: self.config.max_body_size,
            }));
            endpoint.protections = guarded.protections;
            endpoint.max_body_size = self.config.max_body_size;
            endpoint.deadline = self.surround.deadline(&Overrides::default(), name, errors);
        }
        index
    }

    /// Own middleware in the order in which it was added: the first is the outermost.
    pub(super) fn surrounded(
        &self,
        handler: Arc<dyn Handler>,
        name: &str,
        route: &Arc<str>,
        sends_files: bool,
    ) -> Arc<dyn Handler> {
        let own = self.own.iter().rev().filter(|own| own.surrounds_handlers());
        let name: Arc<str> = name.into();
        let mut sends_files = sends_files;
        own.fold(handler, |handler, middleware| {
            let sends_files = mem::replace(&mut sends_files, true);
            Arc::new(Around {
                middleware: Arc::clone(middleware),
                behind: Arc::new(Behind {
                    handler,
                    failures: Arc::clone(self.failures),
                    name: Arc::clone(&name),
                    template: Arc::clone(route),
                    sends_files,
                }),
            })
        })
    }
}

/// The same stages, of which the one with the content policy gives answers a nonce.
fn with_nonce(stages: Vec<Box<dyn Stage>>) -> Vec<Box<dyn Stage>> {
    let each = |stage: Box<dyn Stage>| match stage.slot() {
        Slot::SecurityHeaders => Box::new(NonceStage(stage)) as Box<dyn Stage>,
        _ => stage,
    };
    stages.into_iter().map(each).collect()
}

/// The order is the engine's, whatever they were declared in.
fn in_order(
    mut stages: Vec<Box<dyn Stage>>,
    guarding: Box<[Box<dyn Stage>]>,
) -> Box<[Box<dyn Stage>]> {
    stages.extend(guarding);
    stages.sort_by_key(|stage| stage.slot());
    stages.into()
}

fn parse_methods(given: &[String], path: &str, errors: &mut ConfigErrors) -> Vec<Method> {
    let field = format!("{path}.method");
    if given.is_empty() {
        errors.note(field, "expected at least one method");
        return Vec::new();
    }
    let mut methods = Vec::new();
    for name in given {
        match Method::from_bytes(name.to_ascii_uppercase().as_bytes()) {
            // RFC 9110 §9.3.6, §9.3.8: a tunnel is no endpoint, and TRACE echoes credentials.
            Ok(Method::CONNECT | Method::TRACE) => {
                errors.note(&field, format!("{name} cannot be served"));
            }
            Ok(method) if methods.contains(&method) => {
                errors.note(&field, format!("{method} stands twice"));
            }
            Ok(method) => methods.push(method),
            Err(_) => errors.note(&field, format!("expected an HTTP method, found {name:?}")),
        }
    }
    methods
}

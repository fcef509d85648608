//! Makes the stages that decide who may call, from what was declared on the function, its router
//! and the API.

use std::sync::Arc;

use crate::caller::Callers;
use crate::config::DefaultAccess;
use crate::endpoint::EndpointSpec;
use crate::error::{ConfigError, ConfigErrors};
use crate::logging::Sink;
use crate::security::{Authentication, Authorization, Compiler, PolicyStage, Protection, Scope};
use crate::stage::Stage;

/// Makes the stages that decide who may call an endpoint.
pub(super) struct Guard<'a> {
    pub(super) compiler: Compiler,
    pub(super) protections: &'a [Protection],
    pub(super) scopes: &'a [String],
    pub(super) default: DefaultAccess,
    pub(super) sink: &'a Arc<dyn Sink>,
}

/// What decides about an endpoint, and what it was made from.
#[derive(Default)]
pub(super) struct Guarded {
    pub(super) stages: Box<[Box<dyn Stage>]>,
    pub(super) protections: Box<[Protection]>,
    pub(super) callers: Callers,
}

impl Guard<'_> {
    pub(super) fn endpoint(
        &mut self,
        spec: &EndpointSpec,
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Guarded {
        for (name, why) in &spec.faults {
            errors.push(why.clone().within(&format!("{path}.{name}")));
        }
        if let Some(reason) = &spec.public {
            if reason.trim().is_empty() {
                errors.note(
                    format!("{path}.public.reason"),
                    "expected a reason, found none",
                );
            }
            if !spec.protections.is_empty() || !spec.policies.is_empty() || !spec.faults.is_empty()
            {
                errors.note(
                    format!("{path}.public"),
                    "contradicts the protection that stands on the same function",
                );
            }
            return Guarded::default();
        }
        let own = spec.inherited.iter().chain(&spec.protections);
        let protections: Box<[_]> = self.protections.iter().chain(own).cloned().collect();
        if protections.is_empty() && spec.faults.is_empty() && self.default == DefaultAccess::Deny {
            errors.note(
                path,
                "is neither protected nor public, and the API denies by default; protect it, or \
                 say public(reason=…)",
            );
        }
        let scopes: Vec<_> = self.scopes.iter().chain(&spec.scopes).cloned().collect();
        let mut guarded = self.compile(protections, &scopes, (path, &spec.template), errors);
        if !spec.faults.is_empty() {
            guarded.callers = Callers::Unknown;
        }
        if !spec.policies.is_empty() {
            let mut stages = std::mem::take(&mut guarded.stages).into_vec();
            for declared in &spec.policies {
                let sink = Arc::clone(self.sink);
                let stage = PolicyStage::new(declared.clone(), &spec.template, &spec.name, sink);
                stages.push(Box::new(stage));
            }
            guarded.stages = stages.into();
        }
        guarded
    }

    /// What stands before a service that is no endpoint; `path` is what errors call it, and `route`
    /// what events do.
    pub(super) fn merged(
        &mut self,
        (path, route): (&str, &str),
        errors: &mut ConfigErrors,
    ) -> Guarded {
        if self.protections.is_empty() && self.default == DefaultAccess::Deny {
            errors.note(
                path,
                format!(
                    "the {} is not protected, and the API denies by default; protect the API \
                     with auth",
                    route.trim_matches(['(', ')'])
                ),
            );
        }
        self.compile(self.protections.into(), self.scopes, (path, route), errors)
    }

    pub(super) fn compile(
        &mut self,
        protections: Box<[Protection]>,
        scopes: &[String],
        (path, route): (&str, &str),
        errors: &mut ConfigErrors,
    ) -> Guarded {
        let scopes: Vec<_> = scopes
            .iter()
            .filter_map(|scope| {
                let parsed = Scope::parse(scope)
                    .map_err(|why| ConfigError::new(format!("{path}.scopes"), why.to_string()));
                errors.keep(parsed)
            })
            .collect();
        if protections.is_empty() {
            if !scopes.is_empty() {
                errors.note(
                    format!("{path}.scopes"),
                    "are required where nobody is authenticated; add auth",
                );
            }
            return Guarded::default();
        }
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        let mut callers = Callers::Unknown;
        if let Some(compiled) = self.compiler.compile(&protections, path, errors) {
            let sink = || Arc::clone(self.sink);
            if !scopes.is_empty() {
                stages.push(Box::new(Authorization::new(
                    &scopes,
                    &compiled,
                    route,
                    sink(),
                )));
            }
            let compiled = Arc::new(compiled);
            callers = Callers::Proved(Arc::clone(&compiled));
            stages.push(Box::new(Authentication::new(compiled, route, sink())));
        }
        // The order is the engine's, whatever they were declared in.
        stages.sort_by_key(|stage| stage.slot());
        Guarded {
            stages: stages.into(),
            protections,
            callers,
        }
    }
}

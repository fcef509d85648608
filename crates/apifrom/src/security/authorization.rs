//! Authorization: the scopes that a router, or the whole API, requires beside what each method does.
//!
//! 1. One of the callers that were authenticated must hold every scope that is required.
//! 2. Otherwise 403 with `error="insufficient_scope"` and the scopes (RFC 6750 §3.1).

use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::protection::Compiled;
use super::scope::Scope;
use crate::logging::{Level, SecurityEvent, Sink};
use crate::rejection::Rejection;
use crate::request::{Context, Head};
use crate::stage::{Decision, Slot, Stage};

/// The scopes that one endpoint requires of whoever was authenticated.
pub(crate) struct Authorization {
    scopes: Box<[Scope]>,
    challenges: Box<[HeaderValue]>,
    route: Box<str>,
    sink: Arc<dyn Sink>,
}

impl Authorization {
    /// Requires `scopes` of the callers that `compiled` authenticates.
    pub(crate) fn new(
        scopes: &[Scope],
        compiled: &Compiled,
        route: &str,
        sink: Arc<dyn Sink>,
    ) -> Self {
        Self {
            scopes: scopes.into(),
            challenges: compiled
                .methods
                .iter()
                .map(|method| method.challenge().lacking(scopes))
                .collect(),
            route: route.into(),
            sink,
        }
    }
}

impl Stage for Authorization {
    fn slot(&self) -> Slot {
        Slot::Authorization
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        if context
            .identities
            .iter()
            .any(|identity| identity.scopes().contains_all(&self.scopes))
        {
            return Decision::Pass;
        }
        let first = context.identities.iter().next();
        SecurityEvent {
            event: "authorization_denied",
            level: Level::Warning,
            scheme: first.map(|identity| identity.method().as_str()),
            reason: Some("insufficient_scope"),
            subject: first.and_then(|identity| identity.subject()),
            status: 403,
            left_out: 0,
        }
        .write(&*self.sink, &self.route, head, context);
        let rejection = Rejection::new(
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            "these credentials do not allow this",
        );
        Decision::Refuse(self.challenges.iter().fold(rejection, |rejection, value| {
            rejection.header(WWW_AUTHENTICATE, value.clone())
        }))
    }
}

//! Authentication: asks the methods that an endpoint declares, and answers for all of them.
//!
//! 1. A method finds its credential absent, finds something against it, or passes. In *any* the
//!    first that passes is taken, and one that fails does not stop the next. In *all* the first
//!    that is absent or invalid ends the asking.
//! 2. *Any* where none passed: 403 if one caller was known and lacked a scope or a role, else 503
//!    if somebody could not be asked, else 429 if a check was held back, else 400 if a credential
//!    came twice, else 401.
//! 3. *All* where one did not pass: 401 (400) if one is absent or invalid (ambiguous), else 503,
//!    else 429, and 403 only when everybody authenticated.
//! 4. 400, 401 and 403 carry the challenge of every method that did not pass, with `error=` only
//!    where a credential was sent (RFC 6750 §3.1).
//! 5. Answers of a protected endpoint, refusals included, are `Cache-Control: no-store` unless the
//!    handler says otherwise.
//! 6. Only what passed is handed on: nothing of a failed attempt reaches a handler.
//!
//! # Deployment
//! A proxy that answers from its own cache, or strips `Authorization`, decides before this does.

use std::sync::Arc;

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::authenticator::{Attempt, Failure, FailureKind};
use super::challenge::Complaint;
use super::identity::Identity;
use super::protection::{Compiled, Requirement};
use crate::logging::{Level, SecurityEvent, Sink};
use crate::rejection::Rejection;
use crate::request::{Context, Head, Notes};
use crate::response::Response;
use crate::stage::{Decision, Slot, Stage};

/// The authentication of one endpoint.
pub(crate) struct Authentication(Arc<Inner>);

struct Inner {
    compiled: Arc<Compiled>,
    route: Box<str>,
    sink: Arc<dyn Sink>,
}

/// What a method came to.
enum Settled {
    Absent,
    Passed(Identity),
    Failed(Failure),
}

/// What was found so far, by the places of the methods.
struct Trail(Vec<Option<Settled>>);

/// What a requirement came to.
enum Verdict {
    Passed,
    Refused(Refusal),
    /// This method is still to be waited for.
    Pending(usize, Attempt),
}

/// How a requirement that was not met is answered, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    Unauthenticated,
    Ambiguous,
    Held { retry_after: u32 },
    Unavailable { retry_after: u32 },
    Lacking,
}

impl Refusal {
    fn of(settled: &Settled) -> Option<Self> {
        Some(match settled {
            Settled::Passed(_) => return None,
            Settled::Absent => Self::Unauthenticated,
            Settled::Failed(failure) => match failure.kind {
                FailureKind::Invalid => Self::Unauthenticated,
                FailureKind::Ambiguous => Self::Ambiguous,
                FailureKind::Held { retry_after } => Self::Held { retry_after },
                FailureKind::Unavailable { retry_after } => Self::Unavailable { retry_after },
                FailureKind::Lacking => Self::Lacking,
            },
        })
    }

    /// True where nobody was authenticated and asking on cannot change it.
    fn is_final(self) -> bool {
        matches!(self, Self::Unauthenticated | Self::Ambiguous)
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Held { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Lacking => StatusCode::FORBIDDEN,
        }
    }

    fn rejection(self) -> Rejection {
        let (code, detail) = match self {
            Self::Unauthenticated => ("unauthenticated", "valid credentials are needed here"),
            Self::Ambiguous => ("invalid_request", "a credential was sent more than once"),
            Self::Held { .. } => (
                "too_many_failures",
                "too many failed attempts; wait and try again",
            ),
            Self::Unavailable { .. } => (
                "authentication_unavailable",
                "credentials cannot be checked now",
            ),
            Self::Lacking => ("insufficient_scope", "these credentials do not allow this"),
        };
        let rejection = Rejection::new(self.status(), code, detail);
        match self {
            Self::Held { retry_after } | Self::Unavailable { retry_after } => {
                rejection.header(RETRY_AFTER, HeaderValue::from(retry_after))
            }
            _ => rejection,
        }
    }
}

impl Authentication {
    pub(crate) fn new(compiled: Arc<Compiled>, route: &str, sink: Arc<dyn Sink>) -> Self {
        Self(Arc::new(Inner {
            compiled,
            route: route.into(),
            sink,
        }))
    }
}

impl Stage for Authentication {
    fn slot(&self) -> Slot {
        Slot::Authentication
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        let inner = &self.0;
        // Nearly every endpoint declares one method, which needs no trail.
        if let (Requirement::Method(_), [only]) = (
            &inner.compiled.requirement,
            inner.compiled.methods.as_slice(),
        ) {
            return match only.authenticate(head, context) {
                Attempt::Passed(identity) => {
                    inner.admit(identity, head, context);
                    Decision::Pass
                }
                Attempt::Absent => inner.refuse_one(Settled::Absent, head, context),
                Attempt::Failed(failure) => {
                    inner.refuse_one(Settled::Failed(failure), head, context)
                }
                waiting @ Attempt::Wait(_) => {
                    inner.settle(0, waiting, Trail::new(1), head, context)
                }
            };
        }
        inner.judge(Trail::new(inner.compiled.methods.len()), head, context)
    }

    fn finish(&self, _notes: &Notes, response: &mut Response) {
        response
            .headers_mut()
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
}

impl Trail {
    fn new(methods: usize) -> Self {
        Self(std::iter::repeat_with(|| None).take(methods).collect())
    }

    fn set(&mut self, index: usize, settled: Settled) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(settled);
        }
    }

    fn get(&self, index: usize) -> Option<&Settled> {
        self.0.get(index)?.as_ref()
    }

    /// Collects the methods by which `requirement` was met; true when it was. What passed inside a
    /// part that was not met is not among them.
    fn take(&self, requirement: &Requirement, taken: &mut Vec<usize>) -> bool {
        match requirement {
            Requirement::Method(index) => {
                let passed = matches!(self.get(*index), Some(Settled::Passed(_)));
                if passed && !taken.contains(index) {
                    taken.push(*index);
                }
                passed
            }
            Requirement::Any(parts) => parts.iter().any(|part| {
                let before = taken.len();
                let met = self.take(part, taken);
                if !met {
                    taken.truncate(before);
                }
                met
            }),
            Requirement::All(parts) => parts.iter().all(|part| self.take(part, taken)),
        }
    }
}

impl Inner {
    /// Goes on with what method `index` came to.
    fn settle(
        self: &Arc<Self>,
        index: usize,
        attempt: Attempt,
        mut trail: Trail,
        head: &Head,
        context: &mut Context,
    ) -> Decision {
        let settled = match attempt {
            Attempt::Absent => Settled::Absent,
            Attempt::Passed(identity) => Settled::Passed(identity),
            Attempt::Failed(failure) => Settled::Failed(failure),
            Attempt::Wait(future) => {
                let inner = Arc::clone(self);
                return Decision::Wait(Box::pin(async move {
                    let attempt = future.await;
                    let resume: crate::stage::Resume =
                        Box::new(move |head: &Head, context: &mut Context| {
                            inner.settle(index, attempt, trail, head, context)
                        });
                    resume
                }));
            }
        };
        trail.set(index, settled);
        self.judge(trail, head, context)
    }

    fn judge(self: &Arc<Self>, mut trail: Trail, head: &Head, context: &mut Context) -> Decision {
        match self.ask(&self.compiled.requirement, &mut trail, head, context) {
            Verdict::Pending(index, attempt) => self.settle(index, attempt, trail, head, context),
            Verdict::Passed => {
                for index in 0..trail.0.len() {
                    self.log_failure(index, trail.get(index), 0, head, context);
                }
                let mut taken = Vec::new();
                trail.take(&self.compiled.requirement, &mut taken);
                for index in taken {
                    if let Some(Some(Settled::Passed(identity))) =
                        trail.0.get_mut(index).map(Option::take)
                    {
                        self.admit(identity, head, context);
                    }
                }
                Decision::Pass
            }
            Verdict::Refused(refusal) => {
                Decision::Refuse(self.refuse(refusal, &trail.0, head, context))
            }
        }
    }

    /// Asks until the requirement is met, cannot be met, or something has to be waited for.
    fn ask(
        &self,
        requirement: &Requirement,
        trail: &mut Trail,
        head: &Head,
        context: &Context,
    ) -> Verdict {
        match requirement {
            Requirement::Method(index) => {
                if trail.get(*index).is_none() {
                    let Some(method) = self.compiled.methods.get(*index) else {
                        return Verdict::Refused(Refusal::Unauthenticated);
                    };
                    match method.authenticate(head, context) {
                        Attempt::Absent => trail.set(*index, Settled::Absent),
                        Attempt::Passed(identity) => trail.set(*index, Settled::Passed(identity)),
                        Attempt::Failed(failure) => trail.set(*index, Settled::Failed(failure)),
                        waiting @ Attempt::Wait(_) => return Verdict::Pending(*index, waiting),
                    }
                }
                match trail.get(*index).map(Refusal::of) {
                    Some(None) => Verdict::Passed,
                    Some(Some(refusal)) => Verdict::Refused(refusal),
                    None => Verdict::Refused(Refusal::Unauthenticated),
                }
            }
            Requirement::Any(parts) => {
                let mut worst = Refusal::Unauthenticated;
                for part in parts {
                    match self.ask(part, trail, head, context) {
                        Verdict::Refused(refusal) => worst = worst.max(refusal),
                        other => return other,
                    }
                }
                Verdict::Refused(worst)
            }
            Requirement::All(parts) => {
                let mut found = None;
                for part in parts {
                    match self.ask(part, trail, head, context) {
                        Verdict::Passed => {}
                        Verdict::Refused(refusal) if refusal.is_final() => {
                            return Verdict::Refused(refusal);
                        }
                        // Known and lacking is said only when nothing else stands in the way.
                        Verdict::Refused(refusal) => {
                            found = Some(match found {
                                Some(Refusal::Lacking) | None => refusal,
                                Some(other) if refusal == Refusal::Lacking => other,
                                Some(other) => other.max(refusal),
                            });
                        }
                        pending @ Verdict::Pending(..) => return pending,
                    }
                }
                found.map_or(Verdict::Passed, Verdict::Refused)
            }
        }
    }

    fn admit(&self, identity: Identity, head: &Head, context: &mut Context) {
        SecurityEvent {
            event: "authentication_succeeded",
            level: Level::Info,
            scheme: Some(identity.method().as_str()),
            reason: None,
            subject: identity.subject(),
            status: 0,
            left_out: 0,
        }
        .write(&*self.sink, &self.route, head, context);
        context.identities.push(identity);
    }

    /// What the only method came to, where it did not pass.
    fn refuse_one(&self, settled: Settled, head: &Head, context: &Context) -> Decision {
        let refusal = Refusal::of(&settled).unwrap_or(Refusal::Unauthenticated);
        Decision::Refuse(self.refuse(refusal, &[Some(settled)], head, context))
    }

    /// `trail` holds what was found, by the places of the methods.
    fn refuse(
        &self,
        refusal: Refusal,
        trail: &[Option<Settled>],
        head: &Head,
        context: &Context,
    ) -> Rejection {
        let status = refusal.status();
        let mut rejection = refusal.rejection();
        // RFC 9110 §11.6.1: a 401 must carry a challenge, other refusals may.
        let challenges = !matches!(refusal, Refusal::Held { .. } | Refusal::Unavailable { .. });
        for (index, method) in self.compiled.methods.iter().enumerate() {
            let settled = trail.get(index).and_then(Option::as_ref);
            self.log_failure(index, settled, status.as_u16(), head, context);
            let complaint = match settled {
                Some(Settled::Passed(_)) => continue,
                Some(Settled::Absent) | None => Complaint::Absent,
                Some(Settled::Failed(failure)) => match failure.kind {
                    FailureKind::Invalid => Complaint::Invalid,
                    FailureKind::Ambiguous => Complaint::Ambiguous,
                    FailureKind::Lacking => Complaint::Lacking,
                    FailureKind::Unavailable { .. } | FailureKind::Held { .. } => Complaint::Absent,
                },
            };
            if challenges {
                let value = method.challenge().value(complaint).clone();
                rejection = rejection.header(WWW_AUTHENTICATE, value);
            }
        }
        rejection
    }

    /// Writes why a method did not pass. `status` is 0 where another one did.
    fn log_failure(
        &self,
        index: usize,
        settled: Option<&Settled>,
        status: u16,
        head: &Head,
        context: &Context,
    ) {
        let Some(method) = self.compiled.methods.get(index) else {
            return;
        };
        let (event, level, reason, subject) = match settled {
            // That one of several is absent says nothing where another passed.
            Some(Settled::Absent) if status != 0 => {
                ("authentication_failed", Level::Warning, "absent", None)
            }
            Some(Settled::Failed(failure)) => {
                let (event, level) = match failure.kind {
                    FailureKind::Lacking => ("authorization_denied", Level::Warning),
                    FailureKind::Unavailable { .. } => ("authentication_unavailable", Level::Error),
                    _ => ("authentication_failed", Level::Warning),
                };
                (event, level, failure.reason, failure.subject.as_deref())
            }
            _ => return,
        };
        SecurityEvent {
            event,
            level,
            scheme: Some(method.method().as_str()),
            reason: Some(reason),
            subject,
            status,
            left_out: 0,
        }
        .write(&*self.sink, &self.route, head, context);
    }
}

#[cfg(test)]
mod tests;

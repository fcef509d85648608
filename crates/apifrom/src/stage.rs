//! The contract between the engine and everything that may refuse a request.
//!
//! A stage looks at the head of a request and decides. The engine alone says when each stage is
//! asked (see [`Slot`]), so the order in which a program declares its protection never matters.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::rejection::Rejection;
use crate::request::{Context, Head, Notes};
use crate::response::Response;

/// The place of a stage on the request's way. Declared in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// Leads plain requests to TLS.
    Https,
    /// Answers preflights, and says on every answer who may read it.
    Cors,
    /// What browsers are told about every answer; lets everything pass.
    SecurityHeaders,
    /// Limits that are keyed by the client's address.
    ClientRateLimit,
    /// Finds out who calls.
    Authentication,
    /// Scopes and roles.
    Authorization,
    /// Limits that are keyed by identity or by a function.
    RateLimit,
    /// Cross-site request forgery; knows which credential was used.
    Csrf,
    /// The program's own policy functions.
    Policy,
    /// The form of the answer; lets everything pass. It sees what all others made of the answer.
    Compression,
}

impl Slot {
    /// What lists of endpoints call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Cors => "cors",
            Self::SecurityHeaders => "security_headers",
            Self::ClientRateLimit => "client_rate_limit",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::RateLimit => "rate_limit",
            Self::Csrf => "csrf",
            Self::Policy => "policy",
            Self::Compression => "compression",
        }
    }
}

/// What a stage found.
#[non_exhaustive]
pub enum Decision {
    /// The request may go on.
    Pass,
    /// The request is answered here, and the handler is not called.
    Answer(Response),
    /// The request is refused here, and the handler is not called.
    Refuse(Rejection),
    /// The decision needs something that is not at hand: a store, a look-up, an authorization
    /// server, a password hash or the program's own code. Nothing else may wait.
    Wait(Waiting),
    /// The decision needs the body, which is read within the endpoint's bounds first and handed on
    /// unread: where a token is a field of a form, and nowhere else.
    ReadBody(Box<dyn FnOnce(Bytes) -> Waiting + Send>),
}

/// What a decision has to wait for.
pub type Waiting = Pin<Box<dyn Future<Output = Resume> + Send>>;

/// What a stage that waited does with the request once it knows.
pub type Resume = Box<dyn FnOnce(&Head, &mut Context) -> Decision + Send>;

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "Pass",
            Self::Answer(_) => "Answer",
            Self::Refuse(_) => "Refuse",
            Self::Wait(_) => "Wait",
            Self::ReadBody(_) => "ReadBody",
        })
    }
}

/// One protection, compiled for one endpoint.
pub trait Stage: Send + Sync + 'static {
    /// Where the engine asks this stage.
    fn slot(&self) -> Slot;

    /// Decides from the head alone.
    fn decide(&self, head: &Head, context: &mut Context) -> Decision;

    /// Adds to the answer, whatever the answer is and however far the request came.
    fn finish(&self, _notes: &Notes, _response: &mut Response) {}
}

/// One stage that several endpoints share.
impl<S: Stage> Stage for Arc<S> {
    fn slot(&self) -> Slot {
        (**self).slot()
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        (**self).decide(head, context)
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        (**self).finish(notes, response);
    }
}

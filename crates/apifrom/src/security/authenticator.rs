//! The contract between the authentication stage and each method.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::challenge::Challenge;
use super::identity::{Identity, Method};
use crate::request::{Context, Head};

/// One way to prove an identity, compiled for one declaration.
///
/// The stage asks it and decides what to answer; a method itself never makes an answer.
pub trait Authenticator: Send + Sync + 'static {
    /// Which method it is.
    fn method(&self) -> Method;

    /// The name that was chosen for what it proves.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Under which name a handler finds what it proves.
    fn state_name(&self) -> &str {
        self.name().unwrap_or_else(|| self.method().state_name())
    }

    /// What a refused caller is told.
    fn challenge(&self) -> &Challenge;

    /// Whether a credential of its own kind is in `head`, whatever it is worth.
    fn is_presented(&self, head: &Head) -> bool;

    /// Looks for a credential of its own kind in `head`, and judges it, scopes and roles included.
    fn authenticate(&self, head: &Head, context: &Context) -> Attempt;
}

/// What a method found.
#[non_exhaustive]
pub enum Attempt {
    /// No credential of this kind came.
    Absent,
    /// The caller is known, and may.
    Passed(Identity),
    /// Something stands against it.
    Failed(Failure),
    /// The answer needs a store, a server, a password hash or the program's own code.
    Wait(Pin<Box<dyn Future<Output = Attempt> + Send>>),
}

impl Attempt {
    /// A failure of `kind` for `reason`.
    pub fn failed(kind: FailureKind, reason: &'static str) -> Self {
        Self::Failed(Failure::new(kind, reason))
    }

    /// An attempt to wait for.
    pub fn wait(future: impl Future<Output = Attempt> + Send + 'static) -> Self {
        Self::Wait(Box::pin(future))
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Passed(identity) => f.debug_tuple("Passed").field(identity).finish(),
            Self::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}

/// Why a credential does not let its bearer in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What the caller is answered.
    pub kind: FailureKind,
    /// The reason, for the log: a fixed word such as `expired`, never anything that was sent.
    pub reason: &'static str,
    /// Whom a verified credential belongs to. Never set from one that was not verified.
    pub subject: Option<Arc<str>>,
}

impl Failure {
    /// A failure of `kind` for `reason`.
    pub fn new(kind: FailureKind, reason: &'static str) -> Self {
        Self {
            kind,
            reason,
            subject: None,
        }
    }

    /// Adds whom the verified credential belongs to.
    #[must_use]
    pub fn of(mut self, subject: Option<&str>) -> Self {
        self.subject = subject.map(Into::into);
        self
    }
}

/// How a failure is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// 401: the credential proves nothing.
    Invalid,
    /// 400: two credentials of one kind came.
    Ambiguous,
    /// 403: the caller is known, and lacks a scope or a role.
    Lacking,
    /// 503: whoever has to be asked cannot be.
    Unavailable {
        /// In seconds, until it may be worth another try.
        retry_after: u32,
    },
    /// 429: too many failures; this check was not made.
    Held {
        /// In seconds, until it would be made.
        retry_after: u32,
    },
}

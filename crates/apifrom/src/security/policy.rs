//! Policy: the program's own decision about a request that every other protection let through.
//!
//! 1. Policies are asked last, in the order in which they are declared, before the body is read.
//! 2. What is denied is 403, or 404 as for an address where there is nothing, where the declaration
//!    hides it.
//! 3. A policy that fails denies; why it failed is in the log.
//! 4. A policy may answer itself, with an error of its own.
//!
//! # Examples
//! ```
//! use apifrom::security::{ApiKeyRequired, Ruling};
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, Context, EndpointSpec, Head, IntoResponse, Reply, Request};
//!
//! let keys = ApiKeyRequired::new().key("key-1", ["read"]).key("key-2", ["read"]);
//! let handler = |_: Request| Reply::Ready("welcome".into_response());
//! let endpoint = EndpointSpec::new("home", "/", ["GET"], move |_| {
//!     Some(std::sync::Arc::new(handler) as std::sync::Arc<dyn apifrom::Handler>)
//! });
//! let owner = |_: &Head, context: &Context| {
//!     let key = context.identities.iter().next().and_then(|key| key.credential());
//!     Ruling::allowed_if(key == Some(b"key-1"))
//! };
//! let api = Api::new().endpoints([endpoint.protect(keys).policy(owner, false)]);
//! let client = TestClient::new(api.build()?);
//!
//! assert_eq!(client.get("/").header("X-API-Key", "key-1").send()?.status(), 200);
//! assert_eq!(client.get("/").header("X-API-Key", "key-2").send()?.status(), 403);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::StatusCode;

use crate::logging::{Level, SecurityEvent, Sink, part_failed};
use crate::rejection::Rejection;
use crate::request::{Context, Head};
use crate::response::Response;
use crate::stage::{Decision, Resume, Slot, Stage};

/// A decision of the program's own.
pub trait Policy: Send + Sync + 'static {
    /// Decides from the head and what is known about the caller.
    fn rule(&self, head: &Head, context: &Context) -> Ruling;
}

impl<F> Policy for F
where
    F: Fn(&Head, &Context) -> Ruling + Send + Sync + 'static,
{
    fn rule(&self, head: &Head, context: &Context) -> Ruling {
        self(head, context)
    }
}

/// What a policy came to.
#[non_exhaustive]
pub enum Ruling {
    /// The request may go on.
    Allowed,
    /// It may not.
    Denied,
    /// It may not, and hidden or not is said here rather than by the declaration.
    DeniedAs {
        /// True for 404.
        hide: bool,
    },
    /// It may not, and this is the answer.
    Answered(Result<Response, Rejection>),
    /// The policy failed. The rejection says why, for the log; the caller is told no more than of any
    /// other denial.
    Failed(Rejection),
    /// The decision has to be waited for.
    Wait(Pin<Box<dyn Future<Output = Settled> + Send>>),
}

/// What a policy that was waited for leaves for the handler, and what it came to.
pub type Settled = Box<dyn FnOnce(&mut Context) -> Ruling + Send>;

impl Ruling {
    /// Allowed where `holds`, denied otherwise.
    pub fn allowed_if(holds: bool) -> Self {
        if holds { Self::Allowed } else { Self::Denied }
    }

    /// A decision to wait for.
    pub fn wait(future: impl Future<Output = Settled> + Send + 'static) -> Self {
        Self::Wait(Box::pin(future))
    }
}

impl fmt::Debug for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "Allowed",
            Self::Denied | Self::DeniedAs { .. } => "Denied",
            Self::Answered(_) => "Answered",
            Self::Failed(_) => "Failed",
            Self::Wait(_) => "Wait",
        })
    }
}

/// A policy as an endpoint declares it.
#[derive(Clone)]
pub(crate) struct DeclaredPolicy {
    pub(crate) policy: Arc<dyn Policy>,
    /// True where a denial looks as if there were nothing.
    pub(crate) hide: bool,
}

impl fmt::Debug for DeclaredPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclaredPolicy")
            .field("hide", &self.hide)
            .finish_non_exhaustive()
    }
}

/// One policy of one endpoint.
pub(crate) struct PolicyStage(Arc<Inner>);

struct Inner {
    declared: DeclaredPolicy,
    route: Box<str>,
    /// What logs call the endpoint.
    name: Box<str>,
    sink: Arc<dyn Sink>,
}

impl PolicyStage {
    pub(crate) fn new(
        declared: DeclaredPolicy,
        route: &str,
        name: &str,
        sink: Arc<dyn Sink>,
    ) -> Self {
        Self(Arc::new(Inner {
            declared,
            route: route.into(),
            name: name.into(),
            sink,
        }))
    }
}

impl Stage for PolicyStage {
    fn slot(&self) -> Slot {
        Slot::Policy
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        let ruling = self.0.declared.policy.rule(head, context);
        self.0.settle(ruling, head, context)
    }
}

impl Inner {
    fn settle(self: &Arc<Self>, ruling: Ruling, head: &Head, context: &Context) -> Decision {
        let hide = match ruling {
            Ruling::Allowed => return Decision::Pass,
            Ruling::Wait(future) => {
                let inner = Arc::clone(self);
                return Decision::Wait(Box::pin(async move {
                    let settled = future.await;
                    let resume: Resume = Box::new(move |head: &Head, context: &mut Context| {
                        let ruling = settled(context);
                        inner.settle(ruling, head, context)
                    });
                    resume
                }));
            }
            Ruling::Answered(outcome) => {
                let status = match &outcome {
                    Ok(response) => response.status().as_u16(),
                    Err(why) => why.status().as_u16(),
                };
                self.log("policy", status, head, context);
                return match outcome {
                    Ok(response) => Decision::Answer(response),
                    Err(why) => Decision::Refuse(why),
                };
            }
            Ruling::Failed(why) => {
                let refusal = denied(self.declared.hide);
                let (id, status) = (&context.notes.request_id, refusal.status());
                part_failed(&*self.sink, &why, id, &self.name, "the policy", status);
                self.log("policy_failed", status.as_u16(), head, context);
                return Decision::Refuse(refusal);
            }
            Ruling::Denied => self.declared.hide,
            Ruling::DeniedAs { hide } => hide,
        };
        let refusal = denied(hide);
        self.log("policy", refusal.status().as_u16(), head, context);
        Decision::Refuse(refusal)
    }

    fn log(&self, reason: &'static str, status: u16, head: &Head, context: &Context) {
        let first = context.identities.iter().next();
        SecurityEvent {
            event: "authorization_denied",
            level: Level::Warning,
            scheme: first.map(|identity| identity.method().as_str()),
            reason: Some(reason),
            subject: first.and_then(|identity| identity.subject()),
            status,
            left_out: 0,
        }
        .write(&*self.sink, &self.route, head, context);
    }
}

fn denied(hide: bool) -> Rejection {
    if hide {
        // Word for word what is answered where no template matches.
        return Rejection::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is nothing at this address",
        );
    }
    Rejection::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "these credentials do not allow this",
    )
}

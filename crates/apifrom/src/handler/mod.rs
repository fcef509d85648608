//! What an endpoint calls once a request got through.

mod around;
mod failures;
mod fallback;

pub use self::around::{After, Middleware, Next};
pub(crate) use self::around::{Around, Behind};
pub(crate) use self::failures::{Failures, guarded};
pub(crate) use self::fallback::{Foreign, Refusing, ServesOptions};

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;

/// What a handler ends with.
pub type Outcome = Result<Response, Rejection>;

/// An outcome that is at hand, or one to wait for.
#[non_exhaustive]
pub enum Reply {
    /// At hand: no future was made.
    Ready(Outcome),
    /// To wait for. Dropped when the client goes away.
    Wait(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

impl Reply {
    /// A reply to wait for.
    pub fn wait(future: impl Future<Output = Outcome> + Send + 'static) -> Self {
        Self::Wait(Box::pin(future))
    }

    /// The outcome, waited for where that is needed.
    ///
    /// # Errors
    /// The handler's own.
    pub async fn outcome(self) -> Outcome {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Wait(future) => future.await,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(outcome) => f.debug_tuple("Ready").field(outcome).finish(),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}

/// The end of a request's way: a Rust function, a Python function, or another service.
pub trait Handler: Send + Sync + 'static {
    /// Answers `request`, whose body is still unread.
    fn call(&self, request: Request) -> Reply;
}

impl<F> Handler for F
where
    F: Fn(Request) -> Reply + Send + Sync + 'static,
{
    fn call(&self, request: Request) -> Reply {
        self(request)
    }
}

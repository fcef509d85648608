//! Own middleware: the program's code before, around and after its handlers.
//!
//! 1. `around` sees what every protection let through, before the body is read. It does not see
//!    what no endpoint of the program's answers: 404, 405 and OPTIONS.
//! 2. What it goes on to ([`Next`]) always comes to an answer as the client would get it: a
//!    refusal, an error and a panic are problem details by then, and in the log where they belong.
//! 3. `after` sees every answer, refusals included.
//! 4. What was added first is outermost: its `around` begins first and ends last, and its `after`
//!    is asked last.
//! 5. Middleware that fails is answered with 500; it never lets a request pass.
//!
//! Where it stands is the engine's choice, not the program's.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::failures::{Failures, guarded};
use super::{Handler, Outcome, Reply};
use crate::files::{self, Asked};
use crate::request::{Notes, Request, RequestId};
use crate::response::Response;

/// A future that borrows nothing.
type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The program's own middleware.
///
/// # Examples
/// ```
/// use apifrom::{Middleware, Next, Reply, Request};
///
/// struct Traced;
///
/// impl Middleware for Traced {
///     fn around(&self, request: Request, next: Next) -> Reply {
///         // Runs for requests that every protection let through.
///         next.call(request)
///     }
/// }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Calls `next`, or answers in its place.
    fn around(&self, request: Request, next: Next) -> Reply {
        next.call(request)
    }

    /// Sees every answer before the engine adds its headers. The request is in
    /// [`Notes::original`].
    fn after(&self, _notes: &Notes, response: Response) -> After {
        After::Ready(response)
    }

    /// True when [`Middleware::around`] is to be asked at all. Defaults to `true`.
    fn surrounds_handlers(&self) -> bool {
        true
    }

    /// True when [`Middleware::after`] is to be asked at all. Defaults to `false`.
    fn watches_answers(&self) -> bool {
        false
    }
}

/// An answer that own middleware has seen.
#[non_exhaustive]
pub enum After {
    /// At hand.
    Ready(Response),
    /// To wait for; an error becomes the answer.
    Wait(Waiting<Outcome>),
}

impl After {
    /// An answer to wait for.
    pub fn wait(future: impl Future<Output = Outcome> + Send + 'static) -> Self {
        Self::Wait(Box::pin(future))
    }
}

/// What stands behind own middleware: the next one, or the handler.
pub struct Next {
    behind: Arc<Behind>,
}

/// The same for every request of one endpoint.
pub(crate) struct Behind {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) failures: Arc<Failures>,
    /// What errors and logs call the endpoint.
    pub(crate) name: Arc<str>,
    pub(crate) template: Arc<str>,
    /// Whether what comes back may be a file.
    pub(crate) sends_files: bool,
}

impl Next {
    /// Goes on with `request`. It comes to an answer, whatever becomes of the request, and never
    /// to an error.
    pub fn call(self, request: Request) -> Reply {
        let id = request.context().notes.request_id.clone();
        let behind = self.behind;
        let asked = if behind.sends_files {
            Asked::of(&request.head().method, &request.head().headers)
        } else {
            Asked::default()
        };
        let wait = |inner, behind, id, asked| {
            Reply::wait(Answering {
                inner,
                behind,
                id,
                asked,
            })
        };
        match guarded(|| behind.handler.call(request)) {
            Ok(Reply::Wait(inner)) => wait(inner, behind, id, asked),
            Ok(Reply::Ready(Ok(response))) if response.body().is_file() => {
                let opening = Box::pin(files::open(response, asked));
                wait(opening, behind, id, Asked::default())
            }
            Ok(Reply::Ready(outcome)) => Reply::Ready(Ok(behind.settle(outcome, &id))),
            Err(why) => Reply::Ready(Ok(behind.settle(Err(why), &id))),
        }
    }

    /// The path template of the endpoint behind it.
    pub fn template(&self) -> &Arc<str> {
        &self.behind.template
    }
}

impl Behind {
    fn settle(&self, outcome: Outcome, id: &RequestId) -> Response {
        self.failures.settle(outcome, id, &self.name)
    }
}

/// The answer of what stands behind own middleware.
struct Answering {
    inner: Waiting<Outcome>,
    behind: Arc<Behind>,
    id: RequestId,
    asked: Asked,
}

impl Future for Answering {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        loop {
            let outcome = match guarded(|| this.inner.as_mut().poll(cx)) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Ok(response))) if response.body().is_file() => {
                    this.inner = Box::pin(files::open(response, mem::take(&mut this.asked)));
                    continue;
                }
                Ok(Poll::Ready(outcome)) => outcome,
                Err(why) => Err(why),
            };
            return Poll::Ready(Ok(this.behind.settle(outcome, &this.id)));
        }
    }
}

/// A handler with own middleware in front.
pub(crate) struct Around {
    pub(crate) middleware: Arc<dyn Middleware>,
    pub(crate) behind: Arc<Behind>,
}

impl Handler for Around {
    fn call(&self, request: Request) -> Reply {
        let next = Next {
            behind: Arc::clone(&self.behind),
        };
        self.middleware.around(request, next)
    }
}

#[cfg(test)]
mod tests;

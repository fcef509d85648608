//! The policies of an endpoint, written in Python.
//!
//! 1. All of one endpoint are one call, which asks them in their order and loads what they depend on.
//!    It comes to what was loaded, for the handler to be given the same objects, or to the place of
//!    the policy that denied.
//! 2. They are shown the head, who calls, and converted captures, query, headers and cookies. What
//!    does not convert is 422, as it is for the handler.
//! 3. An `HTTPException` is the answer. Any other exception is in the log, and denies: as if there were
//!    nothing where any of them hides.

use std::sync::Arc;

use apifrom::security::{Policy, Ruling, Settled};
use apifrom::{Context, Head, Outcome, Rejection};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::dispatch::{self, Route, Work};
use crate::handler::{Invocation, Loaded, Plan};
use crate::reply;
use crate::request::Seen;

/// The policies of one endpoint.
pub(crate) struct PythonPolicy {
    pub(crate) plan: Arc<Plan>,
    pub(crate) route: Arc<Route>,
    /// Whether the denial of each looks as if there were nothing.
    pub(crate) hides: Arc<[bool]>,
}

impl Policy for PythonPolicy {
    fn rule(&self, head: &Head, context: &Context) -> Ruling {
        let invocation = match Invocation::of_head(&self.plan, head, context) {
            Ok(invocation) => invocation,
            Err(why) => return Ruling::Answered(Err(why)),
        };
        let route = Arc::clone(&self.route);
        let hides = Arc::clone(&self.hides);
        Ruling::wait(async move {
            let verdict = dispatch::call(&route, Ask(invocation)).await;
            let settled: Settled = Box::new(move |context: &mut Context| match verdict {
                Ok(Verdict::Allowed { seen, loaded }) => {
                    if let Some(seen) = seen {
                        context.state.insert(seen);
                    }
                    context.state.insert(loaded);
                    Ruling::Allowed
                }
                Ok(Verdict::Denied { place }) => Ruling::DeniedAs {
                    hide: hides.get(place).copied().unwrap_or_default(),
                },
                Ok(Verdict::Answered(outcome)) => Ruling::Answered(outcome),
                Ok(Verdict::Failed(why)) => Ruling::Failed(why),
                Err(refusal) => Ruling::Answered(Err(reply::refused(refusal))),
            });
            settled
        })
    }
}

/// What the policies came to.
enum Verdict {
    Allowed { seen: Option<Seen>, loaded: Loaded },
    Denied { place: usize },
    Answered(Outcome),
    Failed(Rejection),
}

/// One call of the policies.
struct Ask(Invocation);

impl Work for Ask {
    type Answer = Verdict;

    fn call(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.0.call(py)
    }

    fn finish(mut self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> Verdict {
        if let Some(why) = self.0.take_refusal() {
            return Verdict::Answered(Err(why));
        }
        let verdict = outcome.and_then(|value| {
            if let Ok(place) = value.bind(py).cast_exact::<PyInt>() {
                let place = place.extract()?;
                return Ok(Verdict::Denied { place });
            }
            let seen = self.0.take_shown();
            let seen = seen.map(|shown| Seen::of(shown.bind(py))).transpose()?;
            Ok(Verdict::Allowed {
                seen,
                loaded: Loaded(Arc::new(value)),
            })
        });
        verdict.unwrap_or_else(|error| match reply::from_exception(py, &error) {
            Err(why) if why.status().is_server_error() => Verdict::Failed(why),
            answered => Verdict::Answered(answered),
        })
    }
}

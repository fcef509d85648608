//! A request as own middleware is shown it beside the answer.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Client, Head};
use crate::routing::Captures;

/// A request as it arrived, kept for own middleware that sees the answer to it.
pub struct Original {
    /// Method, target, version and headers.
    pub head: Head,
    /// The client's address.
    pub client: Client,
    /// The captures of the path.
    pub captures: Captures,
    /// The path template of its endpoint; nothing where none matches.
    pub template: Option<Arc<str>>,
    attached: Mutex<Attached>,
}

/// What a face shows of a request.
#[derive(Default)]
struct Attached {
    shown: Option<Arc<dyn Any + Send + Sync>>,
    /// True once the request has its answer.
    is_released: bool,
}

impl Original {
    pub(crate) fn new(
        head: Head,
        client: Client,
        captures: Captures,
        template: Option<Arc<str>>,
    ) -> Self {
        Self {
            head,
            client,
            captures,
            template,
            attached: Mutex::default(),
        }
    }

    /// Attaches what a face shows of this request, until the request has its answer. What was
    /// attached before is let go. Later than that nothing is attached: a handler that cannot be stopped
    /// may begin after its client has gone.
    pub fn attach<T: Any + Send + Sync>(&self, shown: Arc<T>) {
        let mut attached = self.lock();
        if attached.is_released {
            return;
        }
        let before = attached.shown.replace(shown);
        drop(attached);
        drop(before);
    }

    /// What was attached, if it is a `T`.
    pub fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let shown = self.lock().shown.clone()?;
        shown.downcast().ok()
    }

    /// Lets go for good of what was attached, which may hold this very request.
    pub(crate) fn release(&self) {
        let mut attached = self.lock();
        attached.is_released = true;
        let before = attached.shown.take();
        drop(attached);
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Attached> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original")
            .field("method", &self.head.method)
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

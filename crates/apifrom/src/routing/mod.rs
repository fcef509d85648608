//! From a request's path to an endpoint: templates, the canonical path and the router.
//!
//! The router returns a value and never answers: 404 and 405 are endpoints like others.

mod path;
mod router;
mod template;

pub use self::path::{Captures, PathFault};
pub(crate) use self::router::{Router, RouterBuilder};
pub use self::template::{PathTemplate, TemplateError};

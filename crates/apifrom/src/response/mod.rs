//! Answers: their body, and the one shape in which every error leaves.

mod answer;
mod body;
mod caching;
mod into_response;
mod problem;
mod redirect;
pub(crate) mod spare;
mod streaming;

pub use self::answer::{
    Answer, RespondJson, RespondMaybeJson, RespondResultJson, RespondSelf, answer_of,
};
pub use self::body::{ResponseBody, StreamError};
pub(crate) use self::caching::keep_cookies_private;
pub use self::into_response::IntoResponse;
#[cfg(any(
    feature = "database-mysql",
    feature = "database-postgres",
    feature = "database-sqlite"
))]
pub(crate) use self::into_response::json;
pub use self::problem::Problem;
pub(crate) use self::problem::{Disclosure, shape, shape_answered};
pub use self::redirect::Redirect;
pub use self::streaming::{Piece, Streaming};

/// An answer on its way out.
pub type Response = http::Response<ResponseBody>;

//! From what a client sent to what a handler takes.

pub(crate) mod argument;
mod body;
pub(crate) mod model;
mod multipart;
mod parameters;
mod schema;

pub mod convert;

pub use self::argument::{
    Cookie, Form, FromParameters, FromRequest, Given, Header, Json, Path, Query, Reading, State,
};
pub use self::body::{AnyForm, form_at_hand, read_any_form, read_form, read_json, refused};
pub use self::convert::FromParameter;
pub use self::multipart::{FileContent, FormFile, Multipart, read_multipart};
pub use self::parameters::{Bound, FormFields, Parameter, Source, Value, bind};

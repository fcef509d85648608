//! Where the arguments of a Rust handler come from.
//!
//! What a parameter is follows from its name and its type, in this order:
//! 1. The name of a capture of the route: that capture.
//! 2. An extractor ([`Json`], [`Form`], [`Multipart`], [`Query`], [`Header`], [`Cookie`], [`State`], [`Request`],
//!    [`Body`], `Bytes`, `CspNonce`, and who calls, as `Jwt` and its like say): what it says.
//! 3. A type of [`FromRequest`], such as `Client` or `RequestId`: what it takes from the head.
//! 4. A [`FromParameters`], such as `i64`, `Option<String>` or `Vec<u8>`: the query parameter of
//!    that name.
//! 5. Anything else is the JSON body, and must be `Deserialize` and `JsonSchema`.
//!
//! A parameter has one source; nothing from another place ever fills it. A request has one body,
//! so a handler has one parameter that reads it. Unknown query parameters are ignored.
//!
//! Everything that is wrong with a request is told in one 422: first what came with the head, in
//! the order of the parameters, then the body.

mod body;
mod group;
mod header;
mod json;
mod own;
mod parameter;
mod path;
mod query;
mod state;
pub(crate) mod via;

use std::any::{Any, TypeId};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::body::{read_form, read_json};
use super::multipart::{Multipart, read_multipart};
use crate::logging::Sink;
use crate::rejection::Rejection;
use crate::request::{Body, Request};
use crate::violation::{LocItem, Location, Violation, Violations};

pub use self::group::{Form, Query};
pub use self::header::{Cookie, Header};
pub use self::json::Json;
pub use self::own::FromRequest;
pub use self::parameter::{FromParameters, Given, Reading};
pub use self::path::Path;
pub use self::state::State;

/// Where an argument comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A capture of the path.
    Path,
    /// Something else of the head, or of the API.
    Head,
    /// The request itself.
    Request,
    /// A JSON body.
    Json,
    /// An urlencoded body.
    Form,
    /// A form with files.
    Multipart,
    /// A body as its bytes.
    Bytes,
    /// A body that the handler reads.
    Stream,
}

impl Kind {
    /// True for a capture.
    pub const fn is_path(self) -> bool {
        matches!(self, Self::Path)
    }

    /// True for a body.
    pub const fn is_body(self) -> bool {
        matches!(
            self,
            Self::Json | Self::Form | Self::Multipart | Self::Bytes | Self::Stream
        )
    }
}

/// The kind of a parameter, by what its type is known to be: what is built in goes before the
/// program's own extractors.
pub const fn kind(built_in: Option<Kind>, is_own: bool, is_parameter: bool) -> Kind {
    match built_in {
        Some(kind) => kind,
        None if is_own || is_parameter => Kind::Head,
        None => Kind::Json,
    }
}

/// True for two arguments that one request cannot give.
pub const fn exclude(one: Kind, other: Kind) -> bool {
    one.is_body() && other.is_body()
        || matches!(one, Kind::Request) && matches!(other, Kind::Request)
}

/// The body that is read for arguments of these kinds.
pub const fn body_of(kinds: &[Kind]) -> Option<Kind> {
    let mut rest = kinds;
    while let [kind, others @ ..] = rest {
        if kind.is_body() {
            return Some(*kind);
        }
        rest = others;
    }
    None
}

/// What an argument learns about its endpoint when the API is built.
pub trait Place {
    /// The position of the capture `name` in the template.
    fn capture(&self, name: &str) -> Option<usize>;

    /// The value that handlers share, of the type `id`; an error is noted when there is none.
    fn state(&mut self, id: TypeId, name: &str) -> Option<Arc<dyn Any + Send + Sync>>;

    /// What is known of the callers who get here: those whom `method` proved, or any method, and
    /// who are found under `name`, or under any.
    fn proof(&self, method: Option<&str>, name: Option<&str>) -> Proof;

    /// Gives each answer a nonce; false, and an error noted, where it has no policy to name it.
    fn nonce(&mut self) -> bool;

    /// The template of the endpoint, which events name.
    fn route(&self) -> &str;

    /// Where events go.
    fn sink(&self) -> Arc<dyn Sink>;

    /// How bodies are read here.
    fn limits(&self) -> Limits;

    /// Notes that the endpoint cannot be built, and why.
    fn error(&mut self, message: String);
}

/// What is known of the callers who get to an endpoint before any of them did.
#[derive(Debug, Clone)]
pub struct Proof {
    /// How many of one kind a request proves.
    pub presence: Presence,
    /// What a caller of that kind is told whose credential is worth nothing.
    pub challenge: Option<HeaderValue>,
}

/// How many callers of one kind a request proves that gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// None.
    Never,
    /// One or none.
    Sometimes,
    /// One.
    Always,
    /// More than one at once.
    Several,
}

/// How bodies are read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep JSON may nest.
    pub max_json_depth: usize,
}

/// A parameter as the function declares it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no parameter of an endpoint",
    label = "not something that a request holds"
)]
pub trait Declared {
    /// What takes its value out of requests.
    type Source: Source;

    /// Prepares the source; notes what is wrong and returns nothing when that cannot be done.
    fn bind(self, place: &mut dyn Place) -> Option<Self::Source>;
}

/// [`Declared::bind`], in a form in which a type that is none is told once.
pub fn bind<D: Declared>(declared: D, place: &mut dyn Place) -> Option<D::Source> {
    declared.bind(place)
}

/// A parameter that has a name on the wire.
#[diagnostic::on_unimplemented(
    message = "`#[name(…)]` is for query parameters, headers, cookies and callers",
    label = "this parameter has no name on the wire"
)]
pub trait Named {
    /// The same parameter under another name.
    #[must_use]
    fn named(self, name: &'static str) -> Self;
}

/// A parameter that the request may leave out.
#[diagnostic::on_unimplemented(
    message = "`#[default(…)]` is for query parameters, headers and cookies, and has their type",
    label = "this parameter has no default of type `{T}`"
)]
pub trait Defaulted<T> {
    /// The same parameter, with what it is when it was not sent.
    #[must_use]
    fn or(self, default: fn() -> T) -> Self;
}

/// Takes the value of one parameter out of requests.
pub trait Source: Send + Sync + 'static {
    /// What is known before the body is read.
    type Held: Held;

    /// Takes what the head holds.
    fn take(&self, request: &Request, faults: &mut Faults) -> Self::Held;
}

/// A parameter's value on its way from the head, or from the body, to the handler.
pub trait Held: Send + 'static {
    /// What the handler gets.
    type Value;

    /// The value, or nothing when a fault was noted.
    fn give(self, rest: &mut Rest, faults: &mut Faults) -> Option<Self::Value>;
}

/// A value that is known once the head is.
pub struct Known<T>(pub(crate) Option<T>);

impl<T: Send + 'static> Held for Known<T> {
    type Value = T;

    fn give(self, _: &mut Rest, _: &mut Faults) -> Option<T> {
        self.0
    }
}

/// What is wrong with a request.
#[derive(Default)]
pub struct Faults {
    violations: Violations,
    /// The request cannot be understood at all, or may not be answered.
    refused: Option<Rejection>,
}

impl Faults {
    /// Nothing is wrong yet.
    pub const fn new() -> Self {
        Self {
            violations: Violations::new(),
            refused: None,
        }
    }

    /// Notes that the request cannot be answered whatever else it holds; the first counts.
    pub(crate) fn refuse(&mut self, why: Rejection) {
        self.refused.get_or_insert(why);
    }

    pub(super) fn push(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// The refusal of a request that has them.
    pub fn into_rejection(self) -> Rejection {
        self.refused
            .unwrap_or_else(|| Rejection::invalid(self.violations))
    }

    /// The refusal of a request whose body need not be read, if it is one.
    pub fn refusal(&mut self) -> Option<Rejection> {
        self.refused.take()
    }
}

/// The way to the parameter `name`.
fn loc(location: Location, name: &str) -> Vec<LocItem> {
    vec![location.into(), LocItem::Field(name.to_owned().into())]
}

/// What is left of a request once the heads' values are taken.
pub struct Rest {
    request: Option<Request>,
    body: Content,
}

/// The body, in the form that the handler's parameter asks for.
enum Content {
    Nothing,
    Json(Option<Bytes>),
    Form(Bytes),
    Multipart(Multipart),
    Bytes(Bytes),
    Stream(Body),
}

impl Rest {
    /// The request, its body unread.
    pub fn unread(request: Request) -> Self {
        Self {
            request: Some(request),
            body: Content::Nothing,
        }
    }

    /// The request, its body read as `kind` asks.
    ///
    /// # Errors
    /// 413, 415, 408 or 400 for a body that is too large, of another type, too slow or malformed.
    pub async fn read(
        mut request: Request,
        kind: Option<Kind>,
        limits: Limits,
    ) -> Result<Self, Rejection> {
        let body = match kind {
            Some(Kind::Json) => {
                Content::Json(read_json(&mut request, limits.max_json_depth, false).await?)
            }
            Some(Kind::Form) => Content::Form(read_form(&mut request).await?),
            Some(Kind::Multipart) => Content::Multipart(read_multipart(&mut request).await?),
            Some(Kind::Bytes) => Content::Bytes(request.body().read().await?),
            Some(Kind::Stream) => Content::Stream(request.take_body()),
            _ => Content::Nothing,
        };
        Ok(Self {
            request: Some(request),
            body,
        })
    }

    fn take_body(&mut self) -> Content {
        std::mem::replace(&mut self.body, Content::Nothing)
    }

    fn take_request(&mut self) -> Option<Request> {
        self.request.take()
    }
}

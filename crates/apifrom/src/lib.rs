//! Turns any function into a REST API that is secure by construction.

mod api;
mod caller;
mod client;
mod clock;
mod config;
mod endpoint;
mod engine;
mod error;
mod facts;
mod handler;
mod key;
mod logging;
mod origin;
mod rejection;
mod request;
mod response;
mod routing;
mod secret;
mod service;
mod stage;
mod store;

pub mod check;
pub mod cookie;
#[cfg(any(
    feature = "database-mysql",
    feature = "database-postgres",
    feature = "database-sqlite"
))]
pub mod database;
pub mod extract;
pub mod files;
pub mod json;
pub mod middleware;
pub mod security;
pub mod server;
pub mod testing;
pub mod urlencoded;
pub mod violation;

pub use self::api::{Api, Install, IntoLayer, Layered, StageLayer};
pub use self::caller::{ApiKey, Jwt, OAuth2Token, Username};
pub use self::clock::{Clock, ManualClock, SystemClock, runtime_has_timers};
pub use self::config::{ApiConfig, DefaultAccess, ServerConfig, TlsConfig};
#[cfg(any(
    feature = "database-mysql",
    feature = "database-postgres",
    feature = "database-sqlite"
))]
pub use self::database::{Database, DatabaseError};
pub use self::endpoint::{Binding, Endpoint, EndpointSpec, Router};
pub use self::engine::{Call, Engine};
pub use self::error::{ConfigError, ConfigErrors, ServeError};
pub use self::extract::{
    Cookie, FileContent, Form, FormFile, FromParameter, FromRequest, Header, Json, Multipart, Path,
    Query, State,
};
pub use self::files::{Disposition, FileResponse, static_file};
pub use self::handler::{After, Handler, Middleware, Next, Outcome, Reply};
pub use self::key::{KeyFunction, KeyPart, Keyed};
pub use self::logging::{
    FieldRef, FieldValue, Level, Line, Logger, Record, RecordRef, Sink, TracingSink,
};
pub use self::middleware::ErrorHandling;
pub use self::rejection::Rejection;
pub use self::request::{
    Body, BodyError, Client, Context, Head, Notes, Original, Peer, PeerAddress, Request, RequestId,
    Scheme, TraceParent,
};
pub use self::response::{
    IntoResponse, Piece, Problem, Redirect, Response, ResponseBody, StreamError, Streaming,
};
pub use self::routing::{Captures, PathFault, PathTemplate, TemplateError};
pub use self::secret::{Secret, secret};
pub use self::security::{
    Identities, Identity, Protection, api_key_required, basic_auth_required, jwt_required,
    multi_auth_required, oauth2_required, protect, public,
};
pub use self::service::Answering;
pub use self::stage::{Decision, Resume, Slot, Stage, Waiting};
pub use self::violation::{LocItem, Location, Violation, Violations};

pub use apifrom_macros::api;
// What the types of a body derive; of these very versions, which the engine knows.
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};
pub use validator::{self, Validate, ValidationError};

/// What generated code and the Python face call. Changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::endpoint::{EndpointSpec, Listed};
    pub use crate::extract::argument::via::{
        NotBuiltIn, NotOwn, NotParameter, Probe, Tag, ViaBuiltIn, ViaCapture, ViaModel, ViaOwn,
        ViaParameter, ViaPathCapture, ViaValidated, ViaValidatedModel,
    };
    pub use crate::extract::argument::{
        Declared, Defaulted, Faults, Held, Kind, Named, Place, Rest, Source, bind, body_of,
        exclude, kind,
    };
    pub use crate::extract::model::{Check, FromJson};
    pub use crate::handler::{Handler, Reply};
    pub use crate::middleware::RateLimit;
    pub use crate::request::Request;
    pub use crate::response::spare::headers as spare_headers;
    pub use crate::response::{
        Answer, RespondJson, RespondMaybeJson, RespondResultJson, RespondSelf, answer_of,
    };
    pub use crate::security::{
        ApiKeyRequired, BasicAuthRequired, JwtRequired, OAuth2Required, Protection,
    };
}

/// The programs of the guide, which are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
struct Guide;

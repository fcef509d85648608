//! Who may call: how a caller proves an identity, and what that identity may do.
//!
//! The files below fall in two. The floor (`authenticator`, `challenge`, `credential`, `identity`,
//! `jose`, `lookup`, `protection`, `scope`) is what every method stands on; each other file is one method, or
//! one stage, and knows no other.

mod api_key;
mod authentication;
mod authenticator;
mod authorization;
mod back_off;
mod basic;
mod challenge;
mod credential;
mod identity;
mod issued_key;
mod jws;
mod jwt;
mod key_digest;
mod known;
mod lookup;
mod oauth2;
mod password;
mod policy;
mod protection;
mod remote_keys;
mod revocation;
mod scope;
#[cfg(test)]
mod tests;
mod token;

pub mod jose;

pub use apifrom_macros::{
    api_key_required, basic_auth_required, jwt_required, multi_auth_required, oauth2_required,
    protect, public,
};

pub use self::api_key::ApiKeyRequired;
pub(crate) use self::authentication::Authentication;
pub use self::authenticator::{Attempt, Authenticator, Failure, FailureKind};
pub(crate) use self::authorization::Authorization;
pub use self::basic::BasicAuthRequired;
pub use self::challenge::{Challenge, Complaint};
pub use self::identity::{Identities, Identity, Method};
pub use self::issued_key::{IssuedKey, NoRandomness};
pub use self::jws::{JwsError, verify_jws};
pub use self::jwt::JwtRequired;
pub use self::key_digest::KeyDigest;
pub use self::lookup::{KeyLookup, KeyRecord, KeyRecordError, LookedUp, LookupError, UserLookup};
pub use self::oauth2::OAuth2Required;
pub use self::password::{PasswordError, hash_password, verify_password};
pub(crate) use self::policy::{DeclaredPolicy, PolicyStage};
pub use self::policy::{Policy, Ruling, Settled};
pub use self::protection::{AuthMethod, Compiling, Forged, Forgery, Protection};
pub(crate) use self::protection::{Compiled, Compiler};
pub use self::revocation::{Revocation, RevocationConfig, RevocationError};
pub use self::scope::{Scope, ScopeError, Scopes};
pub use self::token::CreateToken;

//! The types that handlers ask for.

use std::any::type_name;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Caller;
use crate::extract::FromRequest;
use crate::rejection::Rejection;
use crate::request::Request;
use crate::security::{Identities, Identity, Method, Scopes};

/// The verified claims of the token that let the caller in, as a type of the program's own.
///
/// # Examples
/// ```
/// use apifrom::{Api, Deserialize, Jwt, api, endpoints, jwt_required};
///
/// #[derive(Deserialize)]
/// struct Claims {
///     sub: String,
/// }
///
/// #[jwt_required(secret = "a secret of at least thirty-two bytes", algorithm = "HS256")]
/// #[api(route = "/me", method = "GET")]
/// fn me(jwt: Jwt<Claims>) -> String {
///     format!("Hello, {}!", jwt.sub)
/// }
///
/// Api::new().endpoints(endpoints![me]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Jwt<T>(pub T);

impl<T> Deref for Jwt<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Shows the type alone: claims say a lot about somebody.
impl<T> fmt::Debug for Jwt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwt<{}>", type_name::<T>())
    }
}

impl<T: DeserializeOwned + Send + 'static> Caller for Jwt<T> {
    const NAME: &'static str = "Jwt";
    const METHOD: Option<Method> = Some(Method::Jwt);

    fn of(identity: &Identity) -> Option<Self> {
        identity.claims_as()?.ok().map(Self)
    }
}

/// The API key that let the caller in.
///
/// # Examples
/// ```
/// use apifrom::{Api, ApiKey, api, api_key_required, endpoints};
///
/// #[api_key_required(api_keys = [("api-key-1", ["read"])])]
/// #[api(route = "/reports", method = "GET")]
/// fn reports(key: ApiKey) -> &'static str {
///     if key.scopes().contains("write") { "yours to change" } else { "yours to read" }
/// }
///
/// Api::new().endpoints(endpoints![reports]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Clone)]
pub struct ApiKey(Identity);

impl ApiKey {
    /// The public id of the key, or the beginning of its digest: what logs call it.
    pub fn id(&self) -> &str {
        self.0.subject().unwrap_or_default()
    }

    /// What the key may be used for.
    pub fn scopes(&self) -> &Scopes {
        self.0.scopes()
    }

    /// The key as it was sent.
    ///
    /// # Security
    /// It must reach no log and no answer to anybody else.
    pub fn key(&self) -> &str {
        text(&self.0)
    }
}

/// Shows the id alone.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApiKey").field(&self.id()).finish()
    }
}

impl Caller for ApiKey {
    const NAME: &'static str = "ApiKey";
    const METHOD: Option<Method> = Some(Method::ApiKey);

    fn of(identity: &Identity) -> Option<Self> {
        Some(Self(identity.clone()))
    }
}

/// The name of the user who logged in by Basic authentication.
///
/// # Examples
/// ```
/// use apifrom::{Api, Username, api, basic_auth_required, endpoints};
///
/// #[basic_auth_required(credentials = [("ada", "analytical")])]
/// #[api(route = "/me", method = "GET")]
/// fn me(user: Username) -> String {
///     format!("Hello, {user}!")
/// }
///
/// Api::new().endpoints(endpoints![me]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(pub Arc<str>);

impl Deref for Username {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Caller for Username {
    const NAME: &'static str = "Username";
    const METHOD: Option<Method> = Some(Method::Basic);

    fn of(identity: &Identity) -> Option<Self> {
        identity.subject().map(|name| Self(name.into()))
    }
}

/// The access token that let the caller in: its claims, as a type of the program's own, and the
/// token itself, for calls on the caller's behalf.
///
/// # Examples
/// ```
/// use apifrom::security::OAuth2Required;
/// use apifrom::{Api, Deserialize, OAuth2Token, api, endpoints, oauth2_required};
///
/// #[derive(Deserialize)]
/// struct Claims {
///     client_id: Option<String>,
/// }
///
/// #[oauth2_required(
///     config = OAuth2Required::new()
///         .token_url("https://auth.example.com/token")
///         .client_id("books")
///         .client_secret("secret")
///         .offered_scopes(["read"]),
///     scopes = ["read"],
/// )]
/// #[api(route = "/shelf", method = "GET")]
/// fn shelf(token: OAuth2Token<Claims>) -> Option<String> {
///     token.claims().client_id.clone()
/// }
///
/// Api::new().endpoints(endpoints![shelf]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Clone)]
pub struct OAuth2Token<T> {
    claims: T,
    identity: Identity,
}

impl<T> OAuth2Token<T> {
    /// What the authorization server says about the token.
    pub fn claims(&self) -> &T {
        &self.claims
    }

    /// What the token may be used for.
    pub fn scopes(&self) -> &Scopes {
        self.identity.scopes()
    }

    /// The token as it was sent.
    ///
    /// # Security
    /// It must reach no log and no answer to anybody else.
    pub fn token(&self) -> &str {
        text(&self.identity)
    }
}

/// Shows the type alone.
impl<T> fmt::Debug for OAuth2Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OAuth2Token<{}>", type_name::<T>())
    }
}

impl<T: DeserializeOwned + Send + 'static> Caller for OAuth2Token<T> {
    const NAME: &'static str = "OAuth2Token";
    const METHOD: Option<Method> = Some(Method::OAuth2);

    fn of(identity: &Identity) -> Option<Self> {
        let claims = identity.claims_as()?.ok()?;
        let identity = identity.clone();
        Some(Self { claims, identity })
    }
}

/// Whoever was let in, by whichever method.
impl Caller for Identity {
    const NAME: &'static str = "Identity";
    const METHOD: Option<Method> = None;

    fn of(identity: &Identity) -> Option<Self> {
        Some(identity.clone())
    }
}

/// Everybody whom the request proved to be; nobody on an endpoint that is open.
impl FromRequest for Identities {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        Ok(request.context().identities.clone())
    }
}

/// A credential that came in a header, a query or a cookie; methods take only text for one.
fn text(identity: &Identity) -> &str {
    let credential = identity.credential().unwrap_or_default();
    std::str::from_utf8(credential).unwrap_or_default()
}

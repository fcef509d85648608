//! Who calls, as one method of authentication proved it.
//!
//! Only the files of this folder can make an [`Identity`], so whatever holds one holds a proof.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::scope::Scopes;

/// How an identity was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// A JSON Web Token that this API verifies by itself.
    Jwt,
    /// An API key.
    ApiKey,
    /// A user's name and password.
    Basic,
    /// An access token of an authorization server.
    OAuth2,
}

impl Method {
    /// What log records call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::OAuth2 => "oauth2",
        }
    }

    /// Under which name a handler finds what was proved, unless the method was given another.
    pub fn state_name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt_payload",
            Self::ApiKey => "api_key",
            Self::Basic => "username",
            Self::OAuth2 => "oauth2_token",
        }
    }
}

/// One caller, as one method proved it.
#[derive(Clone)]
pub struct Identity {
    method: Method,
    name: Option<Arc<str>>,
    subject: Option<Arc<str>>,
    scopes: Scopes,
    claims: Option<Bytes>,
    credential: Option<Bytes>,
    ambient: bool,
}

impl Identity {
    /// An identity without a name yet.
    pub(in crate::security) fn new(method: Method) -> Self {
        Self {
            method,
            name: None,
            subject: None,
            scopes: Scopes::NONE,
            claims: None,
            credential: None,
            ambient: false,
        }
    }

    /// Adds the state name that the program chose.
    pub(in crate::security) fn named(mut self, name: Option<&Arc<str>>) -> Self {
        self.name = name.map(Arc::clone);
        self
    }

    /// Adds who it is: a subject, a user's name, or the public id of a key.
    pub(in crate::security) fn subject_is(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Adds what it may do.
    pub(in crate::security) fn holding(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Adds the claims, as a JSON object.
    pub(in crate::security) fn claiming(mut self, claims: Bytes) -> Self {
        self.claims = Some(claims);
        self
    }

    /// Adds the credential itself.
    pub(in crate::security) fn proved_by(mut self, credential: Bytes) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Notes whether a browser attaches the credential by itself.
    pub(in crate::security) fn ambient(mut self, ambient: bool) -> Self {
        self.ambient = ambient;
        self
    }

    /// How it was proved.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The name under which a handler finds it: `jwt_payload`, `api_key`, `username`,
    /// `oauth2_token`, or what the program chose.
    pub fn name(&self) -> &str {
        self.name
            .as_deref()
            .unwrap_or_else(|| self.method.state_name())
    }

    /// The subject of a token, the user's name, or the public id of an API key.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// What the credential may be used for.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The claims of a token, as the JSON object that was signed or answered.
    pub fn claims(&self) -> Option<&Bytes> {
        self.claims.as_ref()
    }

    /// The claims as a type of the program's own.
    ///
    /// # Errors
    /// serde's, when the claims are of another shape; `None` where the method has no claims.
    pub fn claims_as<T: DeserializeOwned>(&self) -> Option<Result<T, serde_json::Error>> {
        self.claims
            .as_ref()
            .map(|claims| serde_json::from_slice(claims))
    }

    /// The API key or access token itself.
    ///
    /// # Security
    /// It must reach no log and no answer to anybody else.
    pub fn credential(&self) -> Option<&[u8]> {
        self.credential.as_deref()
    }

    /// True when a browser attaches the credential without being asked, so that a request which
    /// carries it may have been forged by another site: Basic, and whatever came in a cookie.
    pub fn is_ambient(&self) -> bool {
        self.ambient
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("method", &self.method)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Everybody whom a request proved to be: nobody, mostly one, several where several are required.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    first: Option<Identity>,
    further: Vec<Identity>,
}

impl Identities {
    /// Adds one.
    pub(in crate::security) fn push(&mut self, identity: Identity) {
        if self.first.is_none() {
            self.first = Some(identity);
        } else {
            self.further.push(identity);
        }
    }

    /// These, and then those whom a layer further in proved.
    pub(crate) fn and(mut self, further: Self) -> Self {
        for identity in further.first.into_iter().chain(further.further) {
            self.push(identity);
        }
        self
    }

    /// All of them, in the order in which their methods stand.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.first.iter().chain(&self.further)
    }

    /// The one that is found under `name`.
    pub fn named(&self, name: &str) -> Option<&Identity> {
        self.iter().find(|identity| identity.name() == name)
    }

    /// The first one that `method` proved.
    pub fn by(&self, method: Method) -> Option<&Identity> {
        self.iter().find(|identity| identity.method() == method)
    }

    /// True when nobody was proved.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

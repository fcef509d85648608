//! What a program says of an authorization server, checked and prepared once.

use std::fmt;
use std::sync::{Arc, RwLock};
#[cfg(feature = "redis")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::AUTHORIZATION;

use super::discovery::{Discovered, Metadata, Server};
use super::introspection::ClientCredentials;
use super::known::Known;
#[cfg(feature = "redis")]
use super::shared::Shared;
use super::{Inner, OAuth2};
use crate::client::{Background, Flights, Url};
use crate::facts::{CredentialFacts, MethodFacts, OAuth2Facts, PlaceFacts};
use crate::secret::Secret;
use crate::security::authenticator::Authenticator;
use crate::security::back_off::BackOff;
use crate::security::challenge::Challenge;
use crate::security::credential::Place;
use crate::security::protection::{AuthMethod, Compiling, Forged, Forgery};
use crate::security::remote_keys::{PUBLIC, RemoteKeys};
use crate::security::revocation::Revocation;
#[cfg(feature = "redis")]
use crate::store::{Purpose, Stores, fault};

/// Lets callers in who hold an access token of an authorization server.
///
/// # Examples
/// ```
/// use apifrom::security::OAuth2Required;
/// use apifrom::testing::TestClient;
/// use apifrom::{Api, api, endpoints};
///
/// #[api(route = "/", method = "GET")]
/// fn home() -> &'static str {
///     "welcome"
/// }
///
/// let tokens = OAuth2Required::new()
///     .token_url("http://127.0.0.1:9/token")
///     .client_id("my-api")
///     .client_secret("its secret")
///     .offered_scopes(["read", "write"])
///     .scopes(["read"]);
/// let client = TestClient::new(Api::new().auth(tokens).endpoints(endpoints![home]).build()?);
///
/// assert_eq!(client.get("/").send()?.status(), 401);
/// // Nobody listens there: what cannot be checked lets nobody in.
/// let unknown = client.get("/").header("Authorization", "Bearer abc").send()?;
/// assert_eq!(unknown.status(), 503);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
#[doc(alias = "oauth2_required")]
pub struct OAuth2Required {
    token_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret<String>>,
    offered: Option<Vec<String>>,
    scopes: Vec<String>,
    issuer: Option<String>,
    jwks_url: Option<String>,
    introspection_url: Option<String>,
    audience: Option<String>,
    token_types: Vec<String>,
    cache_ttl: Duration,
    stale_max: Duration,
    revocation: Option<Revocation>,
    #[cfg(feature = "redis")]
    redis: Option<Secret<String>>,
    realm: String,
    name: Option<String>,
}

impl Default for OAuth2Required {
    fn default() -> Self {
        Self::new()
    }
}

impl OAuth2Required {
    /// Nothing named yet.
    pub fn new() -> Self {
        Self {
            token_url: None,
            client_id: None,
            client_secret: None,
            offered: None,
            scopes: Vec::new(),
            issuer: None,
            jwks_url: None,
            introspection_url: None,
            audience: None,
            token_types: vec!["at+jwt".to_owned()],
            cache_ttl: Duration::from_mins(1),
            stale_max: Duration::from_hours(24),
            revocation: None,
            #[cfg(feature = "redis")]
            redis: None,
            realm: "api".to_owned(),
            name: None,
        }
    }

    /// Where clients get their tokens; the server is found from it where nothing else names it.
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = Some(url.into());
        self
    }

    /// Who this API is to the server, and the audience of its tokens unless another is named.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// What this API proves itself with where it asks about a token.
    pub fn client_secret(mut self, secret: impl Into<Secret<String>>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// The scopes that the API offers. One that is required and not among them is an error.
    pub fn offered_scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.offered = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The scopes that a token must hold. Defaults to none.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Who issues the tokens. Without [`jwks_url`](Self::jwks_url) and
    /// [`introspection_url`](Self::introspection_url) both are found there (RFC 8414).
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Where the server publishes its keys. Needs an [`issuer`](Self::issuer).
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// Where the server is asked about a token (RFC 7662).
    pub fn introspection_url(mut self, url: impl Into<String>) -> Self {
        self.introspection_url = Some(url.into());
        self
    }

    /// Whom tokens must be meant for. Defaults to the client id.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The types of the tokens that the keys verify. `JWT` takes plain tokens as well, which needs an
    /// [`audience`](Self::audience), and refuses those that look like ID tokens. Defaults to `at+jwt`.
    pub fn token_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.token_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// How long a token that was found good is not asked about again: the longest that a revocation goes
    /// unseen. Zero asks each time. Defaults to 60 seconds.
    pub fn cache_ttl(mut self, ttl: Duration) -> Self {
        self.cache_ttl = ttl;
        self
    }

    /// How old keys and metadata may become while the server cannot be reached. Defaults to 24 hours.
    pub fn stale_max(mut self, age: Duration) -> Self {
        self.stale_max = age;
        self
    }

    /// What is asked whether a token was revoked, beside the server. Defaults to none.
    pub fn revocation(mut self, revocation: &Revocation) -> Self {
        self.revocation = Some(revocation.clone());
        self
    }

    /// Keeps what the server said of good tokens in the Redis or Valkey server at `url` as well,
    /// `redis://user:password@host:6379/0` (`rediss` for TLS, `unix` for a socket), so that all processes
    /// that ask it ask the authorization server once. Defaults to none: each process asks by itself.
    ///
    /// # Security
    /// Neither tokens nor what is said of them can be read there, and nothing that somebody else writes
    /// there is believed: entries are named by and sealed under the client secret. A store that is away
    /// costs a question to the authorization server; nobody is let in or turned away for it.
    #[cfg(feature = "redis")]
    #[doc(alias = "redis_url")]
    pub fn redis(mut self, url: impl Into<Secret<String>>) -> Self {
        self.redis = Some(url.into());
        self
    }

    /// The realm of the challenge. Defaults to `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Under which name a handler finds the token. Defaults to `oauth2_token`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    fn server(&self, compiling: &mut Compiling<'_>) -> Option<Server> {
        let mut url = |field: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(Url::parse)?;
            parsed.map_err(|why| compiling.error(field, why)).ok()
        };
        let token_url = url("token_url", &self.token_url);
        let issuer = url("issuer", &self.issuer);
        let jwks_url = url("jwks_url", &self.jwks_url);
        let introspection = url("introspection_url", &self.introspection_url);
        let clock = compiling.clock();
        if self.jwks_url.is_some() && self.issuer.is_none() {
            compiling.error(
                "issuer",
                "is needed beside jwks_url: who signs is part of a token",
            );
            return None;
        }
        if self.jwks_url.is_some() || self.introspection_url.is_some() {
            let keys = jwks_url
                .map(|url| RemoteKeys::new(url, &PUBLIC, self.stale_max, Arc::clone(&clock)));
            return Some(Server::Named(Arc::new(Metadata {
                issuer: self.issuer.clone(),
                keys: keys.map(Arc::new),
                introspection,
            })));
        }
        let (at, issuer, token_url) = match (issuer, token_url) {
            (Some(issuer), _) => (issuer, self.issuer.clone()?, None),
            (None, Some(token_url)) => {
                let origin = token_url.origin();
                let text = Some(token_url.as_str().to_owned());
                (Url::parse(&origin).ok()?, origin, text)
            }
            (None, None) => {
                if self.token_url.is_none() && self.issuer.is_none() {
                    compiling.error("token_url", "expected a URL, found none");
                }
                return None;
            }
        };
        // RFC 8414 §3.1: the path of an issuer stands behind the well-known one.
        let path = at.path().trim_end_matches('/');
        let place = format!(
            "{}/.well-known/oauth-authorization-server{path}",
            at.origin()
        );
        Some(Server::Discovered(Arc::new(Discovered {
            place: Url::parse(&place).ok()?,
            issuer,
            token_url,
            stale_max: self.stale_max,
            clock,
            state: RwLock::default(),
            flights: Flights::default(),
        })))
    }

    fn credentials(&self, compiling: &mut Compiling<'_>) -> Option<ClientCredentials> {
        let id = self.client_id.as_deref().filter(|id| !id.is_empty());
        let secret = self.client_secret.as_ref();
        let secret = secret.filter(|secret| !secret.expose().is_empty());
        if id.is_none() {
            compiling.error("client_id", "expected a name, found none");
        }
        if secret.is_none() {
            compiling.error("client_secret", "expected a secret, found none");
        }
        let made = ClientCredentials::new(id?, secret?);
        if made.is_none() {
            compiling.error("client_secret", "cannot stand in a header");
        }
        made
    }

    #[cfg(feature = "redis")]
    fn shared(&self, compiling: &mut Compiling<'_>) -> Option<Arc<Shared>> {
        let url = self.redis.as_ref()?.expose();
        if let Some(fault) = fault(url) {
            compiling.error("redis_url", fault);
            return None;
        }
        if self.cache_ttl.is_zero() {
            compiling.error(
                "redis_url",
                "keeps what is known, and cache_ttl is 0: nothing is",
            );
            return None;
        }
        let (id, secret) = (self.client_id.as_ref()?, self.client_secret.as_ref()?);
        let sink = compiling.sink();
        let stores = compiling.shared(Mutex::<Stores>::default);
        let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
        let store = stores.redis(url, Purpose::Cache, &sink)?;
        Some(Arc::new(Shared::new(store, id, secret, self.cache_ttl)))
    }

    fn check_scopes(&self, compiling: &mut Compiling<'_>) {
        let Some(offered) = &self.offered else {
            return;
        };
        for (index, scope) in self.scopes.iter().enumerate() {
            if !offered.contains(scope) {
                compiling.error(
                    &format!("scopes[{index}]"),
                    "is not among the scopes that the API offers",
                );
            }
        }
    }

    fn types(&self, compiling: &mut Compiling<'_>) -> Box<[Box<str>]> {
        if self.token_types.is_empty() {
            compiling.error("token_types", "expected at least one type, found none");
        }
        let types: Box<[Box<str>]> = self
            .token_types
            .iter()
            .map(|kind| kind.to_ascii_lowercase().into())
            .collect();
        for (index, kind) in types.iter().enumerate() {
            if !["at+jwt", "jwt"].contains(&&**kind) {
                compiling.error(&format!("token_types[{index}]"), "expected at+jwt or JWT");
            }
        }
        if types.iter().any(|kind| **kind == *"jwt") && self.audience.is_none() {
            compiling.error("audience", "is needed where plain JWTs are taken");
        }
        types
    }
}

impl fmt::Debug for OAuth2Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2Required")
            .field("token_url", &self.token_url)
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl AuthMethod for OAuth2Required {
    fn declared_as(&self) -> &'static str {
        "oauth2_required"
    }

    fn facts(&self) -> MethodFacts {
        let credential = CredentialFacts::OAuth2(OAuth2Facts {
            token_url: self.token_url.clone(),
            issuer: self.issuer.clone(),
            jwks_url: self.jwks_url.clone(),
            introspection_url: self.introspection_url.clone(),
            audience: self.audience.clone().or_else(|| self.client_id.clone()),
            token_types: self.token_types.clone(),
        });
        let mut facts = MethodFacts::new(self.declared_as(), credential);
        facts.places = vec![PlaceFacts::Scheme(
            "Authorization".to_owned(),
            "Bearer".to_owned(),
        )];
        facts.scopes.clone_from(&self.scopes);
        facts.revocation = self.revocation.is_some();
        facts.lookup = true;
        facts.cache_ttl = Some(self.cache_ttl.as_secs());
        facts
    }

    fn forge(&self, forgery: Forgery, _scopes: &[String]) -> Forged {
        match forgery {
            Forgery::Valid | Forgery::Unknown | Forgery::NoScopes => {
                Forged::Impossible("the authorization server would be asked")
            }
            _ => Forged::NotPromised,
        }
    }

    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        let before = compiling.errors();
        let server = self.server(compiling);
        let credentials = self.credentials(compiling);
        self.check_scopes(compiling);
        if let Some(revocation) = &self.revocation {
            revocation.judge(compiling);
        }
        let token_types = self.types(compiling);
        let scopes = compiling.scopes(&self.scopes);
        let name = compiling.state_name(self.name.as_deref());
        let challenge = Challenge::new("Bearer", &[("realm", &self.realm)], &scopes, true)
            .map_err(|error| compiling.note(error))
            .ok()?;
        if compiling.errors() > before {
            return None;
        }
        let audience = self.audience.as_ref().or(self.client_id.as_ref())?;
        #[cfg(feature = "redis")]
        let shared = self.shared(compiling);
        if compiling.errors() > before {
            return None;
        }
        Some(Arc::new(OAuth2(Arc::new(Inner {
            place: Place::Scheme {
                header: AUTHORIZATION,
                scheme: "Bearer".into(),
            },
            server: server?,
            credentials: credentials?,
            audience: audience.as_str().into(),
            takes_plain: token_types.iter().any(|kind| **kind == *"jwt"),
            token_types,
            cache_ttl: self.cache_ttl,
            scopes: scopes.into(),
            revocation: self.revocation.clone(),
            challenge,
            name,
            known: Known::default(),
            #[cfg(feature = "redis")]
            shared,
            flights: Flights::default(),
            background: compiling.shared(Background::new),
            back_off: BackOff::of(compiling),
            clock: compiling.clock(),
        }))))
    }
}

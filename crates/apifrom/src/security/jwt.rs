//! JSON Web Tokens: signed statements about the caller, which this API verifies by itself.
//!
//! 1. A token is looked for in the one place that the declaration names: a header, a query field or
//!    a cookie. Twice there is 400. In a header with a scheme, another scheme is no token.
//! 2. It is judged by the rules of [`jose`](super::jose): form, algorithm, key, signature, claims. One
//!    that breaks any is 401 with `error="invalid_token"`, whichever it breaks.
//! 3. `verify_exp` requires `exp`. `verify_aud` and `verify_iss` need to know what to expect, and so
//!    does `verify_at_hash`; where a program says what to expect and nothing else, it is verified.
//! 4. Where there is a [`revocation`](JwtRequired::revocation), a token that was revoked is 401.
//! 5. A token that lacks a scope or a role which the declaration requires is 403.
//!
//! # Deployment
//! A token in a query stands in the logs of every proxy on the way, and in browser histories. One in a
//! cookie is sent by browsers on their own, so its endpoints need CSRF protection. A token is good
//! until it expires, whatever happened to its bearer since, unless it is revoked.
//!
//! # Examples
//! ```
//! use apifrom::testing::TestClient;
//! use apifrom::security::{CreateToken, JwtRequired};
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let secret = "a secret of at least thirty-two bytes";
//! let tokens = JwtRequired::new().secret(secret).algorithm("HS256");
//! let client = TestClient::new(Api::new().auth(tokens).endpoints(endpoints![home]).build()?);
//!
//! let token = CreateToken::new(secret, "HS256").sign(r#"{"sub": "ada"}"#)?;
//! let bearer = format!("Bearer {token}");
//! assert_eq!(client.get("/").header("Authorization", bearer).send()?.status(), 200);
//! assert_eq!(client.get("/").send()?.status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standards: [RFC 7519](https://www.rfc-editor.org/rfc/rfc7519), [RFC
//! 6750](https://www.rfc-editor.org/rfc/rfc6750).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::authenticator::{Attempt, Authenticator, Failure, FailureKind};
use super::challenge::Challenge;
use super::credential::{Place, Sent};
use super::identity::{Identity, Method};
use super::jose::{GivenKey, Refusal, Rules, Scratch, Token, VerificationKeys};
use super::remote_keys::{Beyond, RemoteKeys};
use super::revocation::{Marks, Revocation};
use super::scope::Scope;
use crate::client::Background;
use crate::clock::Clock;
use crate::request::{Context, Head};

mod forging;
mod preparing;

/// Lets callers in who hold a signed token.
#[doc(alias = "jwt_required")]
#[derive(Debug, Clone)]
#[must_use]
pub struct JwtRequired {
    secret: Option<GivenKey>,
    keys: Vec<GivenKey>,
    jwks_url: Option<String>,
    stale_max: Duration,
    algorithms: Option<Vec<String>>,
    token_location: String,
    header_name: String,
    header_type: String,
    query_name: String,
    cookie_name: String,
    verify_exp: bool,
    verify_aud: Option<bool>,
    verify_iss: Option<bool>,
    verify_sub: bool,
    verify_jti: bool,
    verify_at_hash: Option<bool>,
    audience: Vec<String>,
    issuer: Vec<String>,
    leeway: Duration,
    access_token_header: Option<String>,
    access_token_cookie: Option<String>,
    scopes: Vec<String>,
    roles: Vec<String>,
    roles_claim: String,
    revocation: Option<Revocation>,
    realm: String,
    name: Option<String>,
}

impl Default for JwtRequired {
    fn default() -> Self {
        Self::new()
    }
}

impl JwtRequired {
    /// No key yet; `HS256`, in `Authorization: Bearer`.
    pub fn new() -> Self {
        Self {
            secret: None,
            keys: Vec::new(),
            jwks_url: None,
            stale_max: Duration::from_hours(24),
            algorithms: None,
            token_location: "header".to_owned(),
            header_name: "Authorization".to_owned(),
            header_type: "Bearer".to_owned(),
            query_name: "access_token".to_owned(),
            cookie_name: "access_token".to_owned(),
            verify_exp: true,
            verify_aud: None,
            verify_iss: None,
            verify_sub: false,
            verify_jti: false,
            verify_at_hash: None,
            audience: Vec::new(),
            issuer: Vec::new(),
            leeway: Duration::ZERO,
            access_token_header: None,
            access_token_cookie: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            roles_claim: "roles".to_owned(),
            revocation: None,
            realm: "api".to_owned(),
            name: None,
        }
    }

    /// The key that verifies: a shared secret, or a public key in PEM, as a JWK or a JWK Set. In a
    /// certificate only the key is read: who issued it, and until when, is not asked.
    ///
    /// # Security
    /// A shared secret is at least as long as the algorithm's hash (RFC 7518 §3.2). Whoever has it
    /// can make tokens.
    pub fn secret(mut self, secret: impl Into<GivenKey>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Adds another key, in the forms of [`secret`](Self::secret). A token is good if any of the
    /// keys signed it, so that keys can be rotated.
    pub fn key(mut self, key: impl Into<GivenKey>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds keys, each in the forms of [`secret`](Self::secret).
    pub fn keys<K: Into<GivenKey>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Where the keys are published as a JWK Set: https, or http to this machine. They are fetched when
    /// the first token comes and anew in the background, at most once in 30 seconds for a key that is
    /// not there, and shared secrets among them are never used. Takes the place of
    /// [`secret`](Self::secret) and [`keys`](Self::keys); the algorithms default to those of public keys.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// How old keys from a URL may become while they cannot be fetched. Defaults to 24 hours.
    pub fn stale_max(mut self, age: Duration) -> Self {
        self.stale_max = age;
        self
    }

    /// The one algorithm that tokens are signed with. Defaults to `HS256`.
    pub fn algorithm(self, algorithm: impl Into<String>) -> Self {
        self.algorithms([algorithm])
    }

    /// The algorithms that tokens may be signed with. Defaults to `HS256`.
    pub fn algorithms(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.algorithms = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Where the token stands: `header`, `query` or `cookie`. Defaults to `header`.
    pub fn token_location(mut self, location: impl Into<String>) -> Self {
        self.token_location = location.into();
        self
    }

    /// The header that holds the token; none that browsers write by themselves, such as `Cookie`. Defaults
    /// to `Authorization`.
    pub fn header_name(mut self, name: impl Into<String>) -> Self {
        self.header_name = name.into();
        self
    }

    /// The scheme before the token in the header; empty where the header holds the token and nothing
    /// else. Defaults to `Bearer`.
    pub fn header_type(mut self, scheme: impl Into<String>) -> Self {
        self.header_type = scheme.into();
        self
    }

    /// The query field that holds the token. Defaults to `access_token`.
    pub fn query_name(mut self, name: impl Into<String>) -> Self {
        self.query_name = name.into();
        self
    }

    /// The cookie that holds the token. Defaults to `access_token`.
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// Whether a token must have an expiry that has not passed. Defaults to `true`.
    pub fn verify_exp(mut self, verify: bool) -> Self {
        self.verify_exp = verify;
        self
    }

    /// Whether the token must be meant for one of the [`audience`](Self::audience)s. Defaults to
    /// `true` where there are any.
    pub fn verify_aud(mut self, verify: bool) -> Self {
        self.verify_aud = Some(verify);
        self
    }

    /// Whether the token must come from one of the [`issuer`](Self::issuer)s. Defaults to `true`
    /// where there are any.
    pub fn verify_iss(mut self, verify: bool) -> Self {
        self.verify_iss = Some(verify);
        self
    }

    /// Whether the token must name a subject. Defaults to `false`.
    pub fn verify_sub(mut self, verify: bool) -> Self {
        self.verify_sub = verify;
        self
    }

    /// Whether the token must have an id. Defaults to `false`.
    pub fn verify_jti(mut self, verify: bool) -> Self {
        self.verify_jti = verify;
        self
    }

    /// Whether `at_hash` must belong to the access token that is sent beside this one. Defaults to
    /// `true` where there is a place for the access token.
    pub fn verify_at_hash(mut self, verify: bool) -> Self {
        self.verify_at_hash = Some(verify);
        self
    }

    /// Adds a name that `aud` may hold. Defaults to none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// Adds a name that `iss` may hold. Defaults to none.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer.push(issuer.into());
        self
    }

    /// For how long after its expiry a token is still good. Defaults to not at all.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The header that holds the access token which `at_hash` belongs to: after `Bearer` in
    /// `Authorization`, alone in any other. Defaults to none.
    pub fn access_token_header(mut self, name: impl Into<String>) -> Self {
        self.access_token_header = Some(name.into());
        self
    }

    /// The cookie that holds the access token which `at_hash` belongs to. Defaults to none.
    pub fn access_token_cookie(mut self, name: impl Into<String>) -> Self {
        self.access_token_cookie = Some(name.into());
        self
    }

    /// The scopes that a token must hold, in `scope` or `scp`. Defaults to none.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// The roles that a token must hold, all of them. Defaults to none.
    pub fn roles(mut self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.roles.extend(roles.into_iter().map(Into::into));
        self
    }

    /// The claim that holds the roles: a list of them, or a string, which is one. Defaults to
    /// `roles`.
    pub fn roles_claim(mut self, claim: impl Into<String>) -> Self {
        self.roles_claim = claim.into();
        self
    }

    /// What is asked whether a token was revoked. Defaults to none. Needs
    /// [`verify_exp`](Self::verify_exp), and a [`leeway`](Self::leeway) of at most an hour: what is
    /// revoked is kept no longer than its tokens live.
    pub fn revocation(mut self, revocation: &Revocation) -> Self {
        self.revocation = Some(revocation.clone());
        self
    }

    /// The realm of the challenge. Defaults to `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Under which name a handler finds the claims. Defaults to `jwt_payload`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// One declaration, ready for requests.
struct Jwt(Arc<Inner>);

/// Where the keys are.
enum Keys {
    Given(VerificationKeys),
    Published(Arc<RemoteKeys>, Arc<Background>),
}

struct Inner {
    place: Place,
    keys: Keys,
    rules: Rules,
    /// Where the access token stands, if `at_hash` is verified.
    access_token: Option<Place>,
    revocation: Option<Revocation>,
    scopes: Box<[Scope]>,
    challenge: Challenge,
    name: Option<Arc<str>>,
    clock: Arc<dyn Clock>,
}

impl Inner {
    /// Judges by keys that are published elsewhere.
    fn by_published(
        self: &Arc<Self>,
        (keys, background): (&Arc<RemoteKeys>, &Background),
        token: &str,
        access_token: Option<&str>,
    ) -> Attempt {
        let fetched = if let Some(known) = keys.current(background) {
            match self.judge(&known, token, access_token) {
                Err(Refusal::UnknownKey) => match keys.beyond(&known, background) {
                    Beyond::Here(keys) => return attempt(self.judge(&keys, token, access_token)),
                    Beyond::Fetched(fetched) => fetched,
                    Beyond::Nowhere => return attempt(Err(Refusal::UnknownKey)),
                },
                judged => return attempt(judged),
            }
        } else if let Err(refusal) = Token::parse(token.as_bytes(), &mut Scratch::new()) {
            // Nothing is fetched for what is no token.
            return attempt(Err(refusal));
        } else {
            keys.fetch(background)
        };
        let inner = Arc::clone(self);
        let (token, access_token) = (token.to_owned(), access_token.map(str::to_owned));
        Attempt::wait(async move {
            let Ok(Some(keys)) = fetched.await else {
                let kind = FailureKind::Unavailable { retry_after: 5 };
                return Attempt::failed(kind, "no_keys");
            };
            attempt(inner.judge(&keys, &token, access_token.as_deref()))
        })
    }

    fn judge(
        &self,
        keys: &VerificationKeys,
        token: &str,
        access_token: Option<&str>,
    ) -> Result<Attempt, Refusal> {
        let mut scratch = Scratch::new();
        let verified = keys.verify(&Token::parse(token.as_bytes(), &mut scratch)?)?;
        let caller = self.rules.judge(
            &verified,
            self.clock.unix(),
            access_token.map(str::as_bytes),
        )?;
        let marks = self.revocation.as_ref().map(|_| {
            Marks::of(
                caller.id.as_deref(),
                caller.subject.as_deref(),
                caller.issued_at,
            )
        });
        let guarded = |attempt| match (&self.revocation, marks) {
            (Some(revocation), Some(marks)) => revocation.guard(&marks, attempt),
            _ => attempt,
        };
        let lacking = if !caller.scopes.contains_all(&self.scopes) {
            Some("insufficient_scope")
        } else if !caller.holds_roles {
            Some("insufficient_role")
        } else {
            None
        };
        if let Some(reason) = lacking {
            let failure = Failure::new(FailureKind::Lacking, reason);
            let failed = Attempt::Failed(failure.of(caller.subject.as_deref()));
            return Ok(guarded(failed));
        }
        let mut identity = Identity::new(Method::Jwt)
            .named(self.name.as_ref())
            .holding(caller.scopes)
            .proved_by(Bytes::copy_from_slice(token.as_bytes()))
            .ambient(self.place.is_ambient());
        if let Some(subject) = caller.subject {
            identity = identity.subject_is(&*subject);
        }
        let identity = identity.claiming(Bytes::from(verified.into_payload()));
        Ok(guarded(Attempt::Passed(identity)))
    }
}

fn attempt(judged: Result<Attempt, Refusal>) -> Attempt {
    judged.unwrap_or_else(|refusal| Attempt::failed(FailureKind::Invalid, refusal.reason()))
}

impl Authenticator for Jwt {
    fn method(&self) -> Method {
        Method::Jwt
    }

    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    fn challenge(&self) -> &Challenge {
        &self.0.challenge
    }

    fn is_presented(&self, head: &Head) -> bool {
        self.0.place.is_taken(head)
    }

    fn authenticate(&self, head: &Head, _context: &Context) -> Attempt {
        let inner = &self.0;
        let token = match inner.place.only(head) {
            Ok(token) => token,
            Err(attempt) => return attempt,
        };
        let access_token = match inner.access_token.as_ref().map(|place| place.find(head)) {
            None | Some(Sent::Absent | Sent::Malformed) => None,
            Some(Sent::Doubled) => return Attempt::failed(FailureKind::Ambiguous, "doubled"),
            Some(Sent::One(access_token)) => Some(access_token),
        };
        let access_token = access_token.as_deref();
        match &inner.keys {
            Keys::Given(keys) => attempt(inner.judge(keys, &token, access_token)),
            Keys::Published(keys, background) => {
                inner.by_published((keys, background), &token, access_token)
            }
        }
    }
}

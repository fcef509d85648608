//! Cross-site request forgery: a page elsewhere must not act with a browser's credentials.
//!
//! The first rule that decides:
//! 1. A method that is not listed passes, and its answer makes sure that the browser has a token.
//! 2. A request that was authenticated by a credential which browsers never attach by themselves (a
//!    bearer token, an API key in a header) passes. Basic, cookies and nobody at all do not.
//! 3. An `Origin` in `trusted_origins` goes on to rule 5.
//! 4. `Sec-Fetch-Site`, where it is sent, is `same-origin` or `none`. Where it is not, an `Origin` is
//!    this scheme, host and port as the client saw them. Anything else is refused; a request with
//!    neither goes on.
//! 5. There is exactly one such cookie and exactly one such header, or else one such field of a form,
//!    and they are the same; the token was made here, for this session. Anything else is refused.
//!
//! A refused caller gets 403, and the handler is not called. A session is what the ambient credential
//! proves, and what the function says that [`Csrf::session`] is given; without either, tokens hold for
//! everybody who has none. Where the function fails, nobody passes (503).
//!
//! A token is 32 random bytes and an HMAC over them and the session. It travels in a cookie that
//! scripts can read and other sites cannot, and an answer that sets it is `no-store`.
//!
//! # Deployment
//! Behind a proxy the scheme comes from `trusted_proxies`; a proxy that changes `Host` makes browsers
//! without `Sec-Fetch-Site` look like strangers, which `trusted_origins` mends. Any host of the same
//! site can plant a cookie whose name does not begin with `__Host-`: keep the default. Without a
//! session, such a host could plant a pair of its own, and rule 4 alone stops it. A page that can run
//! its scripts here can do whatever its user can: this is no protection from injected scripts.
//!
//! # Examples
//! ```
//! use apifrom::middleware::Csrf;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", methods = ["GET", "POST"])]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let csrf = Csrf::new("a secret of 32 bytes, or of more");
//! let engine = Api::new().add_middleware(csrf).endpoints(endpoints![home]).build()?;
//! let client = TestClient::new(engine);
//!
//! let page = client.get("/").send()?;
//! let cookie = page.headers()["set-cookie"].to_str()?.split(';').next().unwrap_or_default();
//! let (_, token) = cookie.split_once('=').unwrap_or_default();
//!
//! assert_eq!(client.post("/").header("cookie", cookie).send()?.status(), 403);
//! let post = client.post("/").header("cookie", cookie).header("x-csrf-token", token);
//! assert_eq!(post.send()?.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standards: the [OWASP signed double submit cookie](https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html),
//! [Fetch metadata](https://www.w3.org/TR/fetch-metadata/), RFC 6454 (origins), RFC 6265bis (cookies).

mod compile;
mod form;
mod site;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use http::header::{CACHE_CONTROL, COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, StatusCode};

use self::compile::STRONG;
use self::site::Sender;
use self::token::{Session, Token, Tokens};
use crate::cookie::{CookieLimits, Cookies, Found, SameSite};
use crate::error::ConfigError;
use crate::facts::{CsrfFacts, SecretFacts};
use crate::key::{KeyFunction, Keyed, Shared, encoded};
use crate::logging::{Level, SecurityEvent, Sink, part_failed};
use crate::origin::Origins;
use crate::rejection::Rejection;
use crate::request::{Context, Head, Notes};
use crate::response::Response;
use crate::secret::Secret;
use crate::stage::{Decision, Resume, Slot, Stage};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What keeps pages elsewhere from acting with a browser's credentials.
#[doc(alias = "CSRFMiddleware")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Csrf {
    /// What tokens are signed with: the first signs, each of them verifies. Needed; there is no
    /// default.
    pub secrets: Vec<Secret<String>>,
    /// The name of the cookie. Defaults to `__Host-csrf`, which no other host can set.
    pub cookie_name: String,
    /// The header that repeats the token. Defaults to `X-CSRF-Token`.
    pub header_name: String,
    /// The form field that repeats the token, where the header is not sent. Defaults to
    /// `csrf_token`.
    pub form_field: String,
    /// Lets the cookie travel over TLS alone. Defaults to `true`.
    pub secure: bool,
    /// On which requests of other sites browsers send the cookie. Defaults to `Lax`.
    pub same_site: SameSite,
    /// The methods that are protected. Defaults to `POST`, `PUT`, `PATCH` and `DELETE`.
    pub methods: Vec<String>,
    /// Other origins whose pages may send requests that bear a token, `https://example.com` or
    /// `https://*.example.com`. Defaults to none.
    pub trusted_origins: Vec<String>,
    session: Option<Shared>,
}

impl Csrf {
    /// Signs tokens with `secret`, of which 32 bytes or more cannot be guessed.
    pub fn new(secret: impl Into<Secret<String>>) -> Self {
        Self {
            secrets: vec![secret.into()],
            cookie_name: "__Host-csrf".into(),
            header_name: "X-CSRF-Token".into(),
            form_field: "csrf_token".into(),
            secure: true,
            same_site: SameSite::Lax,
            methods: ["POST", "PUT", "PATCH", "DELETE"].map(Into::into).into(),
            trusted_origins: Vec::new(),
            session: None,
        }
    }

    /// Lets tokens that were signed with `secret`, an earlier one, hold on.
    #[must_use]
    pub fn earlier_secret(mut self, secret: impl Into<Secret<String>>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Sets [`Csrf::cookie_name`].
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// Sets [`Csrf::header_name`].
    #[must_use]
    pub fn header_name(mut self, name: impl Into<String>) -> Self {
        self.header_name = name.into();
        self
    }

    /// Sets [`Csrf::form_field`].
    #[must_use]
    pub fn form_field(mut self, name: impl Into<String>) -> Self {
        self.form_field = name.into();
        self
    }

    /// Sets [`Csrf::secure`].
    #[must_use]
    pub fn secure(mut self, on: bool) -> Self {
        self.secure = on;
        self
    }

    /// Sets [`Csrf::same_site`].
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets [`Csrf::methods`].
    #[must_use]
    pub fn methods(mut self, list: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = list.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`Csrf::trusted_origins`].
    #[must_use]
    pub fn trusted_origins(mut self, list: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.trusted_origins = list.into_iter().map(Into::into).collect();
        self
    }

    /// Binds tokens to the session that `function` names, for sessions that handlers keep: the value of
    /// their cookie, say. Defaults to none.
    #[must_use]
    pub fn session(mut self, function: impl KeyFunction) -> Self {
        self.session = Some(Shared(Arc::new(function)));
        self
    }

    /// What there is to know of it, without the secrets.
    pub(crate) fn facts(&self) -> CsrfFacts {
        let secrets = self.secrets.iter();
        CsrfFacts {
            secrets: secrets
                .map(|secret| SecretFacts::of(secret.expose().as_bytes(), STRONG))
                .collect(),
            cookie_name: self.cookie_name.clone(),
            secure: self.secure,
            same_site: self.same_site.as_str(),
            methods: self.methods.clone(),
            trusted_origins: self.trusted_origins.clone(),
            session: self.session.is_some(),
        }
    }

    /// The protection as requests meet it, and what is weak about it.
    pub(crate) fn compile(&self) -> Result<(CsrfRules, Vec<ConfigError>), Vec<ConfigError>> {
        compile::compile(self)
    }
}

/// The token of a request, for the forms of the page that answers it. See
/// [`Context::csrf_token`].
#[derive(Clone)]
struct Current(Token);

impl Context {
    /// The token that a form of this answer repeats, in a field of the name that [`Csrf::form_field`]
    /// says; `None` where [`Csrf`] does not protect the endpoint, or let the request pass without one.
    pub fn csrf_token(&self) -> Option<&str> {
        let Current(token) = self.state.get::<Current>()?;
        Some(token.as_str())
    }
}

/// The rules, prepared: the same for every endpoint.
pub(crate) struct CsrfRules {
    tokens: Tokens,
    cookie_name: Box<str>,
    header: HeaderName,
    form_field: Box<str>,
    methods: Box<[Method]>,
    trusted: Origins,
    session: Option<Shared>,
    /// What stands behind the token in the cookie.
    attributes: Box<str>,
}

/// The rules at one endpoint.
pub(crate) struct CsrfStage(Arc<Guarded>);

struct Guarded {
    rules: Arc<CsrfRules>,
    route: Box<str>,
    sink: Arc<dyn Sink>,
}

/// The token that the answer sets.
#[derive(Clone)]
struct Issued(Token);

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgery {
    CrossSite,
    NoCookie,
    NoToken,
    Doubled,
    Mismatch,
    NotOurs,
    Unreadable,
}

impl Forgery {
    fn reason(self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site",
            Self::NoCookie => "no_cookie",
            Self::NoToken => "no_token",
            Self::Doubled => "doubled",
            Self::Mismatch => "mismatch",
            Self::NotOurs => "bad_token",
            Self::Unreadable => "unreadable",
        }
    }

    fn refusal(self) -> Rejection {
        let (code, detail) = match self {
            Self::CrossSite => (
                "csrf_cross_site",
                "this request was sent by a page of another site",
            ),
            Self::NoCookie | Self::NoToken => (
                "csrf_token_missing",
                "this request needs the CSRF token, once in its cookie and once in its header or \
                 form",
            ),
            Self::Doubled | Self::Mismatch | Self::NotOurs | Self::Unreadable => (
                "csrf_token_invalid",
                "the CSRF token of this request does not hold; fetch the page again",
            ),
        };
        Rejection::new(StatusCode::FORBIDDEN, code, detail)
    }
}

impl CsrfStage {
    pub(crate) fn new(rules: Arc<CsrfRules>, route: &str, sink: Arc<dyn Sink>) -> Self {
        Self(Arc::new(Guarded {
            rules,
            route: route.into(),
            sink,
        }))
    }
}

impl Guarded {
    fn refuse(&self, why: Forgery, head: &Head, context: &Context) -> Decision {
        let refusal = why.refusal();
        let first = context.identities.iter().next();
        SecurityEvent {
            event: "csrf_refused",
            level: Level::Warning,
            scheme: first.map(|identity| identity.method().as_str()),
            reason: Some(why.reason()),
            subject: first.and_then(|identity| identity.subject()),
            status: refusal.status().as_u16(),
            left_out: 0,
        }
        .write(&*self.sink, &self.route, head, context);
        Decision::Refuse(refusal)
    }

    fn settle(
        &self,
        found: Result<Token, Forgery>,
        head: &Head,
        context: &mut Context,
    ) -> Decision {
        match found {
            Ok(token) => {
                context.state.insert(Current(token));
                Decision::Pass
            }
            Err(why) => self.refuse(why, head, context),
        }
    }

    /// Rule 5, where the token stands in the body.
    fn read_form(self: &Arc<Self>, kind: form::Kind, cookie: String, session: Session) -> Decision {
        let this = Arc::clone(self);
        Decision::ReadBody(Box::new(move |body| {
            Box::pin(async move {
                let rules = &this.rules;
                let found = form::field(&kind, body, &rules.form_field)
                    .await
                    .and_then(|repeated| rules.judge(&cookie, &repeated, &session));
                let resume: Resume =
                    Box::new(move |head, context| this.settle(found, head, context));
                resume
            })
        }))
    }

    /// The rules, from the first on.
    fn decide(self: &Arc<Self>, session: &Session, head: &Head, context: &mut Context) -> Decision {
        let rules = &self.rules;
        if !rules.methods.contains(&head.method) {
            return self.ensure(session, head, context);
        }
        let sent = rules
            .cookie(head)
            .and_then(|cookie| Ok((cookie, rules.header(head)?)));
        match sent {
            Err(why) => self.refuse(why, head, context),
            Ok((cookie, Some(repeated))) => {
                let found = rules.judge(&cookie, repeated, session);
                self.settle(found, head, context)
            }
            Ok((cookie, None)) => match form::kind(head) {
                Some(kind) => self.read_form(kind, cookie, session.clone()),
                None => self.refuse(Forgery::NoToken, head, context),
            },
        }
    }

    /// Asks whose session it is, and goes on.
    fn with_session(
        self: &Arc<Self>,
        keyed: Keyed,
        head: &Head,
        context: &mut Context,
    ) -> Decision {
        match keyed {
            Keyed::Key(parts) => {
                let session = Session::of(context, &encoded(&parts));
                self.decide(&session, head, context)
            }
            Keyed::Client => self.decide(&Session::of(context, &[]), head, context),
            Keyed::Failed(why) => {
                let refusal = Rejection::unavailable(
                    "csrf_unavailable",
                    "the session of this request cannot be told now; try again shortly",
                    1,
                );
                let (id, status) = (&context.notes.request_id, refusal.status());
                part_failed(&*self.sink, &why, id, &self.route, "the session", status);
                Decision::Refuse(refusal)
            }
            Keyed::Wait(future) => {
                let this = Arc::clone(self);
                Decision::Wait(Box::pin(async move {
                    let keyed = future.await;
                    let resume: Resume =
                        Box::new(move |head, context| this.with_session(keyed, head, context));
                    resume
                }))
            }
        }
    }

    /// Rule 1: the browser keeps the token that it has, where that holds.
    fn ensure(&self, session: &Session, head: &Head, context: &mut Context) -> Decision {
        let known = self
            .rules
            .cookie(head)
            .and_then(|sent| self.rules.tokens.verify(&sent, session));
        let token = if let Ok(token) = known {
            token
        } else {
            let Some(token) = self.rules.tokens.make(session) else {
                // Without random numbers there is no token, and without a token no protection.
                return Decision::Refuse(Rejection::internal());
            };
            context.notes.stages.insert(Issued(token.clone()));
            token
        };
        context.state.insert(Current(token));
        Decision::Pass
    }
}

impl CsrfRules {
    /// The one cookie of the name.
    fn cookie(&self, head: &Head) -> Result<String, Forgery> {
        let lines = head.headers.get_all(COOKIE).iter();
        let lines = lines.map(HeaderValue::as_bytes);
        let cookies = Cookies::parse(lines, &CookieLimits::default());
        match cookies
            .map_err(|_| Forgery::Unreadable)?
            .find(&self.cookie_name)
        {
            Found::One(value) => Ok(value.to_owned()),
            Found::Absent => Err(Forgery::NoCookie),
            Found::Unreadable => Err(Forgery::Unreadable),
            Found::Doubled => Err(Forgery::Doubled),
        }
    }

    /// The one header of the name, where it is sent.
    fn header<'a>(&self, head: &'a Head) -> Result<Option<&'a str>, Forgery> {
        let mut lines = head.headers.get_all(&self.header).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => line.to_str().map(Some).map_err(|_| Forgery::Unreadable),
            (Some(_), Some(_)) => Err(Forgery::Doubled),
        }
    }

    /// Rule 5: what was sent twice is the same, and ours.
    fn judge(&self, cookie: &str, repeated: &str, session: &Session) -> Result<Token, Forgery> {
        // In constant time, though whoever knows half of the one knows the other.
        if !bool::from(subtle::ConstantTimeEq::ct_eq(
            cookie.as_bytes(),
            repeated.as_bytes(),
        )) {
            return Err(Forgery::Mismatch);
        }
        self.tokens.verify(cookie, session)
    }
}

impl Stage for CsrfStage {
    fn slot(&self) -> Slot {
        Slot::Csrf
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        let guarded = &self.0;
        let rules = &guarded.rules;
        if rules.methods.contains(&head.method) {
            if context.identities.iter().any(|who| !who.is_ambient()) {
                return Decision::Pass;
            }
            if site::sender(head, context.notes.scheme, &rules.trusted) == Sender::Other {
                return guarded.refuse(Forgery::CrossSite, head, context);
            }
        }
        let keyed = match &rules.session {
            Some(function) => function.0.key(&guarded.route, head, context),
            None => Keyed::Client,
        };
        guarded.with_session(keyed, head, context)
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        let Some(Issued(token)) = notes.stages.get::<Issued>() else {
            return;
        };
        let rules = &self.0.rules;
        let cookie = format!(
            "{}={}{}",
            rules.cookie_name,
            token.as_str(),
            rules.attributes
        );
        let Ok(cookie) = HeaderValue::try_from(cookie) else {
            return;
        };
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, cookie);
        // A cache that kept it would hand one browser's token to others.
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
}

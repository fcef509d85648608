//! HTTPS redirect: what comes in clear text is sent to the same address over TLS, or refused.
//!
//! 1. What the client sent over TLS passes: to this server, or to a trusted proxy that says so.
//! 2. A plain GET or HEAD, without a body and without anything that tells who sends it, is answered
//!    308 with the address under `https`. The host is the one that was asked for, which
//!    `trusted_hosts` lists, or the one that is declared.
//! 3. Anything else is 403 and never redirected: a client that is led on quietly would send its
//!    password or its form in clear text every time. `Authorization`, a cookie and the place of
//!    every declared credential count.
//! 4. Under `development` the machine itself is exempt.
//!
//! A refusal is an [`insecure_request`](crate::logging) event.
//!
//! # Deployment
//! A browser's first request is still in clear text, and whoever is in the way can answer it. HSTS
//! ([`SecurityHeaders`](super::SecurityHeaders)) is what keeps later ones from being sent. Behind a
//! proxy that ends TLS, list it in `trusted_proxies`; otherwise every request looks like clear text.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, HeaderValue, LOCATION, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
};
use http::uri::Authority;
use http::{Method, StatusCode};

use crate::error::ConfigError;
use crate::logging::{Level, SecurityEvent, Sink};
use crate::rejection::Rejection;
use crate::request::{Context, Head, Scheme};
use crate::response::{Response, ResponseBody};
use crate::stage::{Decision, Slot, Stage};

const HTTPS: u16 = 443;

/// Sends plain requests to HTTPS, and refuses those that carry something. See the
/// [module](crate::middleware).
///
/// # Examples
/// ```
/// use apifrom::middleware::HttpsRedirect;
/// use apifrom::testing::TestClient;
/// use apifrom::{Api, api, endpoints};
///
/// #[api(route = "/", method = "GET")]
/// fn home() -> &'static str {
///     "welcome"
/// }
///
/// let api = Api::new()
///     .add_middleware(HttpsRedirect::new().host("example.com"))
///     .endpoints(endpoints![home]);
/// let client = TestClient::new(api.build()?);
///
/// let plain = client.get("/?page=2").send()?;
/// assert_eq!(plain.status(), 308);
/// assert_eq!(plain.header("Location"), Some("https://example.com/?page=2"));
///
/// let telling = client.get("/").header("Authorization", "Bearer token").send()?;
/// assert_eq!(telling.status(), 403);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "HTTPSRedirectMiddleware")]
#[derive(Debug, Clone)]
pub struct HttpsRedirect {
    host: Option<String>,
    port: u16,
}

impl Default for HttpsRedirect {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpsRedirect {
    /// Redirects to the host that was asked for, at port 443. `trusted_hosts` must list hosts, or
    /// [`HttpsRedirect::host`] name one; otherwise the API does not start.
    pub fn new() -> Self {
        Self {
            host: None,
            port: HTTPS,
        }
    }

    /// Redirects to `host`, whatever was asked for.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The port that TLS is served at. Defaults to 443.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(crate) fn compile(&self, site: &Site<'_>) -> Result<HttpsRules, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut note = |field: &str, message: String| {
            errors.push(ConfigError::new(format!("https_redirect.{field}"), message));
        };
        match &self.host {
            Some(host) if !is_host(host) => note(
                "host",
                format!("expected a host name such as 'example.com', found {host:?}"),
            ),
            None if !site.lists_hosts => note(
                "host",
                "without trusted_hosts the caller would choose where to send others; list them \
                 there, or name one host here"
                    .to_owned(),
            ),
            Some(_) | None => {}
        }
        if self.port == 0 {
            note("port", "expected 1 to 65535, found 0".to_owned());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(HttpsRules {
            host: self.host.clone(),
            port: match self.port {
                HTTPS => String::new(),
                port => format!(":{port}"),
            },
            prefix: site.root_path.to_owned(),
            spares_loopback: site.development,
        })
    }
}

/// True for a name or an address, without a port; a pattern is none.
fn is_host(text: &str) -> bool {
    let is_whole = text
        .parse::<Authority>()
        .is_ok_and(|authority| authority.host() == text && authority.as_str() == text);
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !label.is_empty() && label.bytes().all(allowed)
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    is_whole && (text.starts_with('[') || name.split('.').all(is_label))
}

/// What the API says that the redirect has to know.
pub(crate) struct Site<'a> {
    /// Whether the hosts are listed that may be asked for.
    pub(crate) lists_hosts: bool,
    /// What a proxy takes off a path.
    pub(crate) root_path: &'a str,
    pub(crate) development: bool,
}

/// What was declared, ready for requests.
#[derive(Debug)]
pub(crate) struct HttpsRules {
    host: Option<String>,
    /// With its colon, or nothing.
    port: String,
    /// What a proxy takes off a path.
    prefix: String,
    spares_loopback: bool,
}

/// Whether a request holds a credential at a place that some endpoint declares.
pub(crate) type Presents = dyn Fn(&Head) -> bool + Send + Sync;

/// The rules at one endpoint.
pub(crate) struct HttpsStage {
    rules: Arc<HttpsRules>,
    presents: Arc<Presents>,
    route: Box<str>,
    sink: Arc<dyn Sink>,
}

impl fmt::Debug for HttpsStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsStage")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl HttpsStage {
    pub(crate) fn new(
        rules: Arc<HttpsRules>,
        presents: Arc<Presents>,
        route: &str,
        sink: Arc<dyn Sink>,
    ) -> Self {
        Self {
            rules,
            presents,
            route: route.into(),
            sink,
        }
    }

    /// Why a request must not be led on; nothing for one that may.
    fn carries(&self, head: &Head) -> Option<&'static str> {
        let has = |name| head.headers.contains_key(name);
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Some("method");
        }
        let announces = |length: &HeaderValue| length.as_bytes() != b"0";
        if has(TRANSFER_ENCODING) || head.headers.get(CONTENT_LENGTH).is_some_and(announces) {
            return Some("body");
        }
        if has(AUTHORIZATION) || has(COOKIE) || has(PROXY_AUTHORIZATION) || (self.presents)(head) {
            return Some("credential");
        }
        None
    }

    fn refuse(&self, head: &Head, context: &Context, reason: &'static str) -> Decision {
        let status = StatusCode::FORBIDDEN;
        let event = SecurityEvent {
            event: "insecure_request",
            level: Level::Warning,
            scheme: None,
            reason: Some(reason),
            subject: None,
            status: status.as_u16(),
            left_out: 0,
        };
        event.write(&*self.sink, &self.route, head, context);
        Decision::Refuse(Rejection::new(
            status,
            "https_required",
            "this API is for HTTPS alone; what was sent may have been read on its way",
        ))
    }
}

impl HttpsRules {
    fn location(&self, head: &Head) -> Option<HeaderValue> {
        let host = match &self.host {
            Some(host) => host,
            None => asked(head)?,
        };
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let (port, prefix) = (&self.port, &self.prefix);
        HeaderValue::try_from(format!("https://{host}{port}{prefix}{target}")).ok()
    }
}

/// The host that was asked for, without a port. The engine has seen to it that it is one.
fn asked(head: &Head) -> Option<&str> {
    let text = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(HOST)?.to_str().ok()?,
    };
    let end = match text.find(']') {
        Some(bracket) => bracket + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    text.get(..end).filter(|host| !host.is_empty())
}

impl Stage for HttpsStage {
    fn slot(&self) -> Slot {
        Slot::Https
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        let is_spared = self.rules.spares_loopback
            && context.client.ip.as_ref().is_some_and(IpAddr::is_loopback);
        if context.notes.scheme == Scheme::Https || is_spared {
            return Decision::Pass;
        }
        if let Some(reason) = self.carries(head) {
            return self.refuse(head, context, reason);
        }
        let Some(location) = self.rules.location(head) else {
            return self.refuse(head, context, "host");
        };
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(LOCATION, location);
        Decision::Answer(response)
    }
}

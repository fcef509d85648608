//! Security headers: what browsers are told about every answer, refusals and failures included.
//!
//! | header | without any choice |
//! |---|---|
//! | `Content-Security-Policy` | `default-src 'none'; frame-ancestors 'none'`; for HTML only what stands on the same origin |
//! | `Strict-Transport-Security` | one year, and only where the client came over TLS |
//! | `X-Frame-Options` | `DENY` |
//! | `Referrer-Policy` | `no-referrer` |
//! | `Cross-Origin-Resource-Policy` | `same-origin` |
//! | `X-Content-Type-Options` | `nosniff`, which is sent even without this middleware |
//!
//! Scripts and styles that stand in a page itself run with a nonce: see [`CspNonce`].
//!
//! A header that a handler wrote itself stays, unless [`SecurityHeaders::enforce`] is on.
//! `X-XSS-Protection` is sent only when asked for: it is deprecated, and its filter made holes.
//!
//! # Deployment
//! `includeSubDomains` and `preload` hold for hosts that this program may not know, and browsers
//! remember them for as long as `max-age` says.
//!
//! # Examples
//! ```
//! use apifrom::middleware::SecurityHeaders;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let headers = SecurityHeaders::new().csp([("default-src", ["'self'"])]);
//! let engine = Api::new().add_middleware(headers).endpoints(endpoints![home]).build()?;
//!
//! let answer = TestClient::new(engine).get("/nowhere").send()?;
//! assert_eq!(answer.headers()["content-security-policy"], "default-src 'self'");
//! assert_eq!(answer.headers()["x-frame-options"], "DENY");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standards: Content Security Policy Level 3, RFC 6797 (HSTS), Permissions Policy, Fetch.

mod compile;
mod nonce;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    STRICT_TRANSPORT_SECURITY,
};

pub use self::nonce::CspNonce;
use self::nonce::NoncePolicy;
pub(crate) use self::nonce::NonceStage;
use crate::error::ConfigError;
use crate::facts::{DirectiveFacts, HeaderFacts};
use crate::request::{Context, Head, Notes, Scheme};
use crate::response::Response;
use crate::stage::{Decision, Slot, Stage};

/// What one directive says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// Its name and these values.
    Values(Vec<String>),
    /// Its name alone (`true`), or nothing (`false`).
    Bare(bool),
}

impl<const N: usize> From<[&str; N]> for Directive {
    fn from(values: [&str; N]) -> Self {
        Self::Values(values.map(Into::into).into())
    }
}

impl From<bool> for Directive {
    fn from(on: bool) -> Self {
        Self::Bare(on)
    }
}

/// A header's directives, in the order in which they are sent.
pub type Directives = Vec<(String, Directive)>;

/// What is said in `Strict-Transport-Security`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hsts {
    /// How long browsers come over TLS alone, in seconds.
    pub max_age: u32,
    /// Holds for every host below this one too.
    pub include_sub_domains: bool,
    /// Lets browsers ship the host in a list. Needs the other two, a year at least.
    pub preload: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: 31_536_000,
            include_sub_domains: false,
            preload: false,
        }
    }
}

/// Which security headers answers carry. `None` leaves a header out.
#[doc(alias = "SecurityHeadersMiddleware")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SecurityHeaders {
    /// `Content-Security-Policy`: [`ContentPolicy::Default`] unless chosen.
    pub csp: ContentPolicy,
    /// `Strict-Transport-Security`, on answers over TLS alone. Defaults to one year.
    pub hsts: Option<Hsts>,
    /// `X-Frame-Options`: `DENY` or `SAMEORIGIN`. Defaults to `DENY`.
    pub x_frame_options: Option<String>,
    /// `X-XSS-Protection`: `0`, `1` or `1; mode=block`. Defaults to none.
    pub x_xss_protection: Option<String>,
    /// `Referrer-Policy`. Defaults to `no-referrer`.
    pub referrer_policy: Option<String>,
    /// `Permissions-Policy`: features and who may use them. Defaults to none.
    pub permissions_policy: Option<Directives>,
    /// `Cross-Origin-Resource-Policy`: `same-origin`, `same-site` or `cross-origin`. Defaults to
    /// `same-origin`.
    pub cross_origin_resource_policy: Option<String>,
    /// Replaces what a handler wrote itself. Defaults to `false`.
    pub enforce: bool,
}

/// Where the content policy comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ContentPolicy {
    /// Nothing may be loaded; by a page in HTML, what its own origin serves.
    #[default]
    Default,
    /// These directives, on every answer.
    Directives(Directives),
    /// No policy.
    Omitted,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        Self {
            csp: ContentPolicy::Default,
            hsts: Some(Hsts::default()),
            x_frame_options: Some("DENY".into()),
            x_xss_protection: None,
            referrer_policy: Some("no-referrer".into()),
            permissions_policy: None,
            cross_origin_resource_policy: Some("same-origin".into()),
            enforce: false,
        }
    }
}

impl SecurityHeaders {
    /// The headers that stand above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends these directives as [`SecurityHeaders::csp`].
    #[must_use]
    pub fn csp<D: Into<Directive>>(
        mut self,
        directives: impl IntoIterator<Item = (&'static str, D)>,
    ) -> Self {
        self.csp = ContentPolicy::Directives(owned(directives));
        self
    }

    /// Sets [`SecurityHeaders::hsts`].
    #[must_use]
    pub fn hsts(mut self, hsts: impl Into<Option<Hsts>>) -> Self {
        self.hsts = hsts.into();
        self
    }

    /// Sets [`SecurityHeaders::x_frame_options`].
    #[must_use]
    pub fn x_frame_options(mut self, value: impl Into<String>) -> Self {
        self.x_frame_options = Some(value.into());
        self
    }

    /// Sets [`SecurityHeaders::x_xss_protection`].
    #[must_use]
    pub fn x_xss_protection(mut self, value: impl Into<String>) -> Self {
        self.x_xss_protection = Some(value.into());
        self
    }

    /// Sets [`SecurityHeaders::referrer_policy`].
    #[must_use]
    pub fn referrer_policy(mut self, value: impl Into<String>) -> Self {
        self.referrer_policy = Some(value.into());
        self
    }

    /// Sets [`SecurityHeaders::permissions_policy`].
    #[must_use]
    pub fn permissions_policy<D: Into<Directive>>(
        mut self,
        directives: impl IntoIterator<Item = (&'static str, D)>,
    ) -> Self {
        self.permissions_policy = Some(owned(directives));
        self
    }

    /// Sets [`SecurityHeaders::cross_origin_resource_policy`].
    #[must_use]
    pub fn cross_origin_resource_policy(mut self, value: impl Into<String>) -> Self {
        self.cross_origin_resource_policy = Some(value.into());
        self
    }

    /// Sets [`SecurityHeaders::enforce`].
    #[must_use]
    pub fn enforce(mut self, on: bool) -> Self {
        self.enforce = on;
        self
    }

    /// True where answers have a content policy.
    pub(crate) fn has_policy(&self) -> bool {
        self.csp != ContentPolicy::Omitted
    }

    /// What there is to know of them.
    pub(crate) fn facts(&self) -> HeaderFacts {
        let hsts = self.hsts.as_ref();
        HeaderFacts {
            csp: match &self.csp {
                ContentPolicy::Default => Some(Vec::new()),
                ContentPolicy::Omitted => None,
                ContentPolicy::Directives(directives) => {
                    Some(directives.iter().filter_map(directive_facts).collect())
                }
            },
            hsts_max_age: hsts.map(|hsts| hsts.max_age),
            hsts_subdomains: hsts.is_some_and(|hsts| hsts.include_sub_domains),
            hsts_preload: hsts.is_some_and(|hsts| hsts.preload),
            x_frame_options: self.x_frame_options.clone(),
            x_xss_protection: self.x_xss_protection.clone(),
            referrer_policy: self.referrer_policy.clone(),
            cross_origin_resource_policy: self.cross_origin_resource_policy.clone(),
            enforce: self.enforce,
        }
    }

    /// The headers as answers carry them.
    pub(crate) fn compile(&self) -> Result<SecurityHeadersStage, Vec<ConfigError>> {
        compile::compile(self)
    }
}

fn directive_facts((name, directive): &(String, Directive)) -> Option<DirectiveFacts> {
    match directive {
        Directive::Values(values) => Some(DirectiveFacts::new(name, values)),
        Directive::Bare(true) => Some(DirectiveFacts::new(name, &[])),
        Directive::Bare(false) => None,
    }
}

fn owned<D: Into<Directive>>(
    directives: impl IntoIterator<Item = (&'static str, D)>,
) -> Directives {
    let each = |(name, directive): (&str, D)| (name.to_owned(), directive.into());
    directives.into_iter().map(each).collect()
}

/// The headers, prepared.
#[derive(Debug)]
pub(crate) struct SecurityHeadersStage {
    /// On every answer.
    always: Box<[(HeaderName, HeaderValue)]>,
    csp: Option<Policy>,
    /// In place of `csp` on HTML.
    csp_of_html: Option<Policy>,
    /// On answers over TLS.
    hsts: Option<HeaderValue>,
    enforce: bool,
}

/// A content policy.
#[derive(Debug)]
struct Policy {
    plain: HeaderValue,
    with_nonce: NoncePolicy,
}

impl Policy {
    fn new(plain: HeaderValue) -> Self {
        let text = plain.to_str().unwrap_or_default();
        Self {
            with_nonce: NoncePolicy::new(text),
            plain,
        }
    }
}

impl SecurityHeadersStage {
    /// True where answers have a content policy.
    pub(crate) fn has_policy(&self) -> bool {
        self.csp.is_some()
    }

    fn put(&self, headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
        if self.enforce {
            headers.insert(name, value.clone());
        } else {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

impl Stage for SecurityHeadersStage {
    fn slot(&self) -> Slot {
        Slot::SecurityHeaders
    }

    fn decide(&self, _head: &Head, _context: &mut Context) -> Decision {
        Decision::Pass
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        let headers = response.headers_mut();
        for (name, value) in &self.always {
            self.put(headers, name.clone(), value);
        }
        let csp = match &self.csp_of_html {
            Some(policy) if is_html(headers) => Some(policy),
            _ => self.csp.as_ref(),
        };
        if let Some(policy) = csp {
            let nonce = notes.stages.get::<CspNonce>();
            match nonce.and_then(|nonce| policy.with_nonce.value(nonce)) {
                Some(named) => {
                    self.put(headers, CONTENT_SECURITY_POLICY, &named);
                    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                }
                None => self.put(headers, CONTENT_SECURITY_POLICY, &policy.plain),
            }
        }
        if let Some(hsts) = &self.hsts
            && notes.scheme == Scheme::Https
        {
            self.put(headers, STRICT_TRANSPORT_SECURITY, hsts);
        }
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        let end = kind.iter().position(|byte| *byte == b';');
        let essence = kind.get(..end.unwrap_or(kind.len())).unwrap_or(kind);
        let essence = essence.trim_ascii();
        essence.eq_ignore_ascii_case(b"text/html")
            || essence.eq_ignore_ascii_case(b"application/xhtml+xml")
    })
}

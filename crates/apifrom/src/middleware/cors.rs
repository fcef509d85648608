//! Cross-origin resource sharing: which pages of other origins may read the answers.
//!
//! 1. A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) is answered here with
//!    204, for any path, before anybody is asked who they are. The policy is that of the endpoint that
//!    the requested method would reach.
//! 2. It carries the allowance when the origin, the method and every header are listed; otherwise
//!    none of it, and the browser sends no request.
//! 3. Any other request goes on, whatever its origin: a browser keeps the answer from a page that is
//!    not allowed to read it, but it does not keep the page from asking.
//! 4. Every answer, refusals and failures included, names the origin that may read it, if one may.
//!    Headers of this kind that a handler wrote itself are replaced.
//! 5. `Vary: Origin` stands on every answer, unless everybody may read it.
//!
//! # Deployment
//! This is no protection against forged requests, which are sent all the same. A proxy that adds
//! headers of its own for this purpose doubles them, and browsers then refuse both.
//!
//! # Examples
//! ```
//! use apifrom::middleware::Cors;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let cors = Cors::new().allow_origins(["https://example.com"]);
//! let engine = Api::new().add_middleware(cors).endpoints(endpoints![home]).build()?;
//! let client = TestClient::new(engine);
//!
//! let answer = client.get("/").header("origin", "https://example.com").send()?;
//! assert_eq!(answer.headers()["access-control-allow-origin"], "https://example.com");
//!
//! let other = client.get("/").header("origin", "https://evil.example").send()?;
//! assert!(!other.headers().contains_key("access-control-allow-origin"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standard: [Fetch, HTTP-CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol).

mod compile;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode};

use crate::error::ConfigError;
use crate::facts::CorsFacts;
use crate::origin::Origins;
use crate::request::{Context, Head, Notes};
use crate::response::{Response, ResponseBody};
use crate::stage::{Decision, Slot, Stage};

/// Which origins may read the answers, and what they may send.
#[doc(alias = "CORSMiddleware")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cors {
    /// The origins: `https://example.com`, `https://*.example.com` for whole labels below a domain,
    /// `null`, or `*` for everybody. Needed; there is no default.
    pub allow_origins: Vec<String>,
    /// The methods, or `*`. Defaults to `GET`, `HEAD` and `POST`.
    pub allow_methods: Vec<String>,
    /// The request headers beyond what any page may send, or `*`. Defaults to none.
    pub allow_headers: Vec<String>,
    /// Lets pages send cookies and log-ins along. Defaults to `false`.
    pub allow_credentials: bool,
    /// The answer's headers that a page may read beyond the plain ones, or `*`. Defaults to none.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer to a preflight, in seconds. Defaults to `600`.
    pub max_age: u32,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            allow_origins: Vec::new(),
            allow_methods: ["GET", "HEAD", "POST"].map(Into::into).into(),
            allow_headers: Vec::new(),
            allow_credentials: false,
            expose_headers: Vec::new(),
            max_age: 600,
        }
    }
}

impl Cors {
    /// A policy that still needs its origins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Cors::allow_origins`].
    #[must_use]
    pub fn allow_origins(mut self, list: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allow_origins = list.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`Cors::allow_methods`].
    #[must_use]
    pub fn allow_methods(mut self, list: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allow_methods = list.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`Cors::allow_headers`].
    #[must_use]
    pub fn allow_headers(mut self, list: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allow_headers = list.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`Cors::allow_credentials`].
    #[must_use]
    pub fn allow_credentials(mut self, on: bool) -> Self {
        self.allow_credentials = on;
        self
    }

    /// Sets [`Cors::expose_headers`].
    #[must_use]
    pub fn expose_headers(mut self, list: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.expose_headers = list.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`Cors::max_age`].
    #[must_use]
    pub fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = seconds;
        self
    }

    /// What there is to know of it.
    pub(crate) fn facts(&self) -> CorsFacts {
        CorsFacts {
            allow_origins: self.allow_origins.clone(),
            allow_methods: self.allow_methods.clone(),
            allow_headers: self.allow_headers.clone(),
            allow_credentials: self.allow_credentials,
            max_age: self.max_age,
        }
    }

    /// The policy as requests meet it.
    pub(crate) fn compile(&self) -> Result<CorsStage, Vec<ConfigError>> {
        compile::compile(self)
    }
}

/// What a list allows: everything, or what it names.
#[derive(Debug)]
struct Listed<T> {
    any: bool,
    named: Box<[T]>,
}

/// A policy with every answer prepared.
#[derive(Debug)]
pub(crate) struct CorsStage {
    any_origin: bool,
    /// Answers are the same for everybody, so caches may share them.
    same_for_all: bool,
    origins: Origins,
    methods: Listed<Method>,
    /// In lower case.
    headers: Listed<Box<str>>,
    credentials: bool,
    allow_methods: Option<HeaderValue>,
    allow_headers: Option<HeaderValue>,
    expose_headers: Option<HeaderValue>,
    max_age: HeaderValue,
}

/// What was found about a preflight, for its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preflight {
    Allowed,
    Refused,
}

const EVERYBODY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const VARIES: HeaderValue = HeaderValue::from_static("Origin");
const PREFLIGHT_VARIES: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

impl CorsStage {
    /// What the answer names as the origin that may read it.
    fn reader(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(EVERYBODY);
        }
        origin.filter(|origin| self.origins.lists(origin)).cloned()
    }

    fn preflight(&self, head: &Head, origin: Option<&HeaderValue>) -> Preflight {
        let allowed = self.reader(origin).is_some()
            && self.allows_method(&head.headers)
            && head
                .headers
                .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
                .iter()
                .all(|line| self.allows_headers(line));
        if allowed {
            Preflight::Allowed
        } else {
            Preflight::Refused
        }
    }

    fn allows_method(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
        let (Some(method), None) = (lines.next(), lines.next()) else {
            return false;
        };
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            return false;
        };
        self.methods.any || self.methods.named.contains(&method)
    }

    fn allows_headers(&self, line: &HeaderValue) -> bool {
        let mut asked = line.as_bytes().split(|byte| *byte == b',');
        asked.all(|name| {
            let name = name.trim_ascii();
            // Fetch §3.2.3: `*` does not stand for `Authorization`, which must be named.
            let any = self.headers.any && !name.eq_ignore_ascii_case(b"authorization");
            name.is_empty()
                || any
                || self
                    .headers
                    .named
                    .iter()
                    .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
        })
    }

    /// Headers of a handler's own would contradict the policy, or double it.
    fn clear(headers: &mut HeaderMap) {
        // Hardly any handler writes one, and looking for all six costs more than one pass.
        let ours = |name: &HeaderName| name.as_str().starts_with("access-control-");
        if !headers.keys().any(ours) {
            return;
        }
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
    }
}

impl Stage for CorsStage {
    fn slot(&self) -> Slot {
        Slot::Cors
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        if !is_preflight(head) {
            return Decision::Pass;
        }
        let found = self.preflight(head, context.notes.origin.as_ref());
        context.notes.stages.insert(found);
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Decision::Answer(response)
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        let headers = response.headers_mut();
        Self::clear(headers);
        let preflight = notes.stages.get::<Preflight>();
        match preflight {
            Some(_) => vary(headers, PREFLIGHT_VARIES),
            None if self.same_for_all => {}
            None => vary(headers, VARIES),
        }
        if preflight == Some(&Preflight::Refused) {
            return;
        }
        let Some(reader) = self.reader(notes.origin.as_ref()) else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        let optional = |headers: &mut HeaderMap, name, value: &Option<HeaderValue>| {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        };
        if preflight.is_some() {
            optional(headers, ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
            optional(headers, ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        } else {
            optional(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers);
        }
    }
}

/// A browser's question before the request itself. Without a method it is an ordinary OPTIONS.
pub(crate) fn is_preflight(head: &Head) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds to `Vary`, unless what is there says it already.
fn vary(headers: &mut HeaderMap, value: HeaderValue) {
    let says = |line: &HeaderValue| {
        line.as_bytes().split(|byte| *byte == b',').any(|name| {
            name.trim_ascii() == b"*" || name.trim_ascii().eq_ignore_ascii_case(b"origin")
        })
    };
    // A preflight varies with more, and is never a handler's answer.
    if value == PREFLIGHT_VARIES || !headers.get_all(VARY).iter().any(says) {
        headers.append(VARY, value);
    }
}

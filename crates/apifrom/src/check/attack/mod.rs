//! Tries what an API promises: for each endpoint the requests that its own policy refuses, sent in
//! process.
//!
//! 1. Every request is rehearsed ([`Engine::rehearse`]): it goes the whole way to where its handler would
//!    begin, and no further. A promise holds where the request does not come so far.
//! 2. Where a credential that is good can be made here, it is sent as well. If that one comes through, a
//!    refusal is known to be for the reason that was tried, and [`Trial::controlled`] is true.
//! 3. Every request comes from an address of its own out of 198.18.0.0/15, so that limits and back-off
//!    of one trial do not decide another.
//! 4. No authorization server is asked, so tokens of OAuth 2.0 are not tried.
//!
//! # Deployment
//! The program's own policies, look-ups and key functions are called as always.
//!
//! # Examples
//! ```
//! use apifrom::check::attack;
//! use apifrom::security::JwtRequired;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = JwtRequired::new().secret("a secret of at least thirty-two bytes");
//! let engine = Api::new().auth(tokens).endpoints(endpoints![home]).build()?;
//! let report = attack(&engine).await;
//! assert_eq!(report.broken().count(), 0, "{report}");
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new()?.block_on(test())
//! # .map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod credentials;
mod probing;
mod surroundings;

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use serde::Serialize;

pub use self::probing::{Proof, probe};
use super::subject;
use crate::endpoint::Endpoint;
use crate::engine::Engine;
use crate::facts::{PlaceFacts, RouteFacts};
use crate::request::{Body, Peer};
use crate::response::ResponseBody;
use crate::secret::Secret;

/// A path that no endpoint has.
const NOWHERE: &str = "/nobody-has-this-path";

/// What an API promises of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Promise {
    /// Nobody gets in without a credential.
    NoCredential,
    /// Nobody gets in with a credential that nobody was given.
    UnknownCredential,
    /// Nobody gets in with two credentials of one kind.
    DoubledCredential,
    /// A token whose claims were changed is refused.
    TamperedToken,
    /// A token that is not signed is refused.
    UnsignedToken,
    /// A token whose time is over is refused.
    ExpiredToken,
    /// A token that is good for ever is refused.
    EndlessToken,
    /// A token for another service is refused.
    OtherAudience,
    /// A token for no service in particular is refused.
    NoAudience,
    /// A token of another issuer is refused.
    OtherIssuer,
    /// A credential without the required scopes is refused.
    MissingScope,
    /// A token without the required roles is refused.
    MissingRole,
    /// No other way to write the path goes around the protection.
    PathTricks,
    /// No other method goes around the protection.
    MethodTricks,
    /// A body beyond the bound is refused.
    OversizedBody,
    /// Another site does not act with a browser's credential.
    CrossSite,
    /// A request of this site without a token does not act either.
    NoCsrfToken,
    /// Another host name is refused.
    ForeignHost,
    /// A forwarding header of nobody in particular is not believed.
    ForgedProxyHeader,
    /// What comes in clear text reaches nothing.
    PlainHttp,
    /// What is beyond the limit is refused.
    RateLimit,
}

impl Promise {
    /// As it is written: `no-credential`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no-credential",
            Self::UnknownCredential => "unknown-credential",
            Self::DoubledCredential => "doubled-credential",
            Self::TamperedToken => "tampered-token",
            Self::UnsignedToken => "unsigned-token",
            Self::ExpiredToken => "expired-token",
            Self::EndlessToken => "endless-token",
            Self::OtherAudience => "other-audience",
            Self::NoAudience => "no-audience",
            Self::OtherIssuer => "other-issuer",
            Self::MissingScope => "missing-scope",
            Self::MissingRole => "missing-role",
            Self::PathTricks => "path-tricks",
            Self::MethodTricks => "method-tricks",
            Self::OversizedBody => "oversized-body",
            Self::CrossSite => "cross-site",
            Self::NoCsrfToken => "no-csrf-token",
            Self::ForeignHost => "foreign-host",
            Self::ForgedProxyHeader => "forged-proxy-header",
            Self::PlainHttp => "plain-http",
            Self::RateLimit => "rate-limit",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// It was refused.
    Held,
    /// It came through.
    Broken,
    /// It could not be tried.
    Untried,
}

/// One promise of one endpoint, tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Trial {
    /// The endpoint, `GET /users/{id}`, or `api`.
    pub subject: String,
    /// What was promised.
    pub promise: Promise,
    /// What came of it.
    pub verdict: Verdict,
    /// True where the same request with a good credential comes through.
    pub controlled: bool,
    /// What was sent, what was answered, or why it was not tried. Nothing secret.
    pub detail: String,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Held => "held",
            Verdict::Broken => "BROKEN",
            Verdict::Untried => "untried",
        };
        write!(
            f,
            "{verdict} {} {}: {}",
            self.promise, self.subject, self.detail
        )
    }
}

/// Everything that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttackReport {
    /// Each promise of each endpoint.
    pub trials: Vec<Trial>,
}

impl AttackReport {
    /// The promises that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Trial> {
        let trials = self.trials.iter();
        trials.filter(|trial| trial.verdict == Verdict::Broken)
    }

    /// Everything in it as JSON.
    pub fn to_json(&self) -> String {
        super::json(self)
    }
}

impl fmt::Display for AttackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trials
            .iter()
            .try_for_each(|trial| writeln!(f, "{trial}"))
    }
}

/// Tries every promise of `engine`, on the runtime that awaits it.
pub async fn attack(engine: &Engine) -> AttackReport {
    let mut attacker = Attacker::new(engine);
    surroundings::api(&mut attacker).await;
    for endpoint in engine.endpoints() {
        let Some(route) = endpoint.facts() else {
            continue;
        };
        for method in &route.methods {
            let Ok(method) = Method::from_bytes(method.as_bytes()) else {
                continue;
            };
            // A merged service answers any method.
            let method = if method.as_str() == "*" {
                Method::GET
            } else {
                method
            };
            let target = Target::new(endpoint, route, method);
            let good = credentials::good(&mut attacker, &target).await;
            credentials::try_all(&mut attacker, &target, good.is_some()).await;
            surroundings::route(&mut attacker, &target, good.as_deref()).await;
        }
    }
    AttackReport {
        trials: attacker.trials,
    }
}

/// What is attacked.
struct Target<'a> {
    endpoint: &'a Endpoint,
    route: &'a RouteFacts,
    method: Method,
    /// A path that its template matches.
    path: String,
}

impl<'a> Target<'a> {
    fn new(endpoint: &'a Endpoint, route: &'a RouteFacts, method: Method) -> Self {
        let segments = route.route.split('/').map(|segment| {
            if segment.starts_with('{') {
                "1"
            } else {
                segment
            }
        });
        let path: Vec<_> = segments.collect();
        let mut path = path.join("/");
        if !path.starts_with('/') {
            NOWHERE.clone_into(&mut path);
        }
        Self {
            endpoint,
            route,
            method,
            path,
        }
    }

    fn subject(&self) -> String {
        if self.route.methods.len() == 1 {
            return subject(self.route);
        }
        format!("{} {}", self.method, self.route.route)
    }

    fn ask(&self) -> Ask {
        Ask::new(self.method.clone(), self.path.clone())
    }
}

/// A request to rehearse.
#[derive(Debug, Clone)]
struct Ask {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    /// Where it comes from; otherwise from an address of its own.
    peer: Option<IpAddr>,
    tls: bool,
}

/// A credential and its place.
type Credential = (PlaceFacts, Secret<String>);

impl Ask {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            peer: None,
            tls: true,
        }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn with(mut self, credentials: &[Credential]) -> Self {
        for (place, credential) in credentials {
            let credential = credential.expose();
            match place {
                PlaceFacts::Header(name) => self = self.header(name, credential.as_str()),
                PlaceFacts::Scheme(name, scheme) => {
                    self = self.header(name, format!("{scheme} {credential}"));
                }
                PlaceFacts::Cookie(name) => {
                    self = self.header("cookie", format!("{name}={credential}"));
                }
                PlaceFacts::Query(name) => {
                    let separator = if self.query.is_empty() { "" } else { "&" };
                    self.query.push_str(separator);
                    let pair = format!("{}={}", escaped(name), escaped(credential));
                    self.query.push_str(&pair);
                }
            }
        }
        self
    }
}

/// As a query holds it: everything but letters and digits escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// What a request came to.
struct Answered {
    status: StatusCode,
    /// The template of the endpoint that it reached.
    reached: Option<String>,
    head: Response<()>,
}

struct Attacker<'a> {
    engine: &'a Engine,
    host: String,
    peers: u32,
    trials: Vec<Trial>,
}

impl<'a> Attacker<'a> {
    fn new(engine: &'a Engine) -> Self {
        let host = engine.config().trusted_hosts.first();
        let host = host.map_or_else(|| "localhost".to_owned(), |host| host.replace("*.", "a."));
        Self {
            engine,
            host,
            peers: 0,
            trials: Vec::new(),
        }
    }

    /// An address that no request came from before.
    fn address(&mut self) -> IpAddr {
        let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
        self.peers = self.peers.wrapping_add(1) & 0x1_FFFF;
        IpAddr::from(Ipv4Addr::from(first | self.peers))
    }

    /// The answer; `None` where the request cannot be written.
    async fn send(&mut self, ask: Ask) -> Option<Answered> {
        let own = self.address();
        let peer = Peer::ip(SocketAddr::new(ask.peer.unwrap_or(own), 50_000), ask.tls);
        let target = if ask.query.is_empty() {
            ask.path
        } else {
            format!("{}?{}", ask.path, ask.query)
        };
        let mut request = http::Request::new(());
        *request.method_mut() = ask.method;
        *request.uri_mut() = Uri::try_from(target).ok()?;
        if !ask.headers.iter().any(|(name, _)| name == "host") {
            let host = HeaderValue::from_str(&self.host).ok()?;
            request.headers_mut().insert(http::header::HOST, host);
        }
        for (name, value) in ask.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_str(&value).ok()?;
            request.headers_mut().append(name, value);
        }
        let (head, ()) = request.into_parts();
        let body = if ask.body.is_empty() {
            Body::empty()
        } else {
            Body::full(ask.body)
        };
        let answer = self.engine.rehearse(head, body, Arc::new(peer)).await;
        let answer: Response<ResponseBody> = answer;
        let reached = answer.headers().get("x-rehearsal");
        let reached = reached
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        Some(Answered {
            status: answer.status(),
            reached,
            head: answer.map(drop),
        })
    }

    /// Notes what came of a request that is to be refused.
    async fn refused(&mut self, target: &Target<'_>, promise: Promise, ask: Ask, controlled: bool) {
        let written = format!("{} {}", ask.method, ask.path);
        let (verdict, detail) = match self.send(ask).await {
            None => (Verdict::Untried, "the request cannot be written".to_owned()),
            Some(answer) if answer.reached.as_deref() == Some(&*target.route.route) => {
                (Verdict::Broken, format!("{written} came through"))
            }
            Some(answer) => (
                Verdict::Held,
                format!("{written} answered {}", answer.status.as_u16()),
            ),
        };
        self.note(target.subject(), promise, verdict, controlled, detail);
    }

    fn untried(&mut self, target: &Target<'_>, promise: Promise, why: &str) {
        self.note(
            target.subject(),
            promise,
            Verdict::Untried,
            false,
            why.to_owned(),
        );
    }

    fn note(
        &mut self,
        subject: String,
        promise: Promise,
        verdict: Verdict,
        controlled: bool,
        detail: String,
    ) {
        self.trials.push(Trial {
            subject,
            promise,
            verdict,
            controlled,
            detail,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_what_is_sent_in_it_escaped() {
        assert_eq!(escaped("a-b_c.d~e"), "a-b_c.d~e");
        assert_eq!(escaped("a&b=c d%é"), "a%26b%3Dc%20d%25%C3%A9");
    }
}

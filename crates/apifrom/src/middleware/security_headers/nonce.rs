//! A nonce for the scripts and styles that stand in a page itself.
//!
//! 1. It is made when a handler first asks for it, of 144 random bits, and holds for that answer alone.
//! 2. The answer's policy then names it in `script-src` and `style-src`, and in `script-src-elem` and
//!    `style-src-elem` where the policy has them. A directive that is missing is made of `default-src`,
//!    as browsers read it.
//! 3. The answer is `no-store`: a page that a cache handed out twice would hold a nonce that an attacker
//!    has read.
//! 4. A policy that the handler wrote itself stays as it is.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;

use crate::request::{Context, Head, Notes};
use crate::response::Response;
use crate::stage::{Decision, Slot, Stage};

/// Three bytes are four characters, so that nothing is padded.
const RANDOM: usize = 18;
const LENGTH: usize = RANDOM / 3 * 4;

/// The nonce of one answer: a handler that asks for it writes it into the `nonce` attribute of the
/// scripts and styles of its page, and the answer's content policy names it.
///
/// An endpoint that has no content policy and asks for it keeps the API from starting.
///
/// # Security
/// It must stand on nothing that came from outside: whatever bears it runs.
///
/// # Examples
/// ```
/// use apifrom::middleware::{CspNonce, SecurityHeaders};
/// use apifrom::testing::TestClient;
/// use apifrom::{Api, api, endpoints};
///
/// #[api(route = "/", method = "GET")]
/// fn page(nonce: CspNonce) -> String {
///     format!("<script nonce=\"{nonce}\">start()</script>")
/// }
///
/// let api = Api::new().add_middleware(SecurityHeaders::new()).endpoints(endpoints![page]);
/// let answer = TestClient::new(api.build()?).get("/").send()?;
/// let policy = answer.header("Content-Security-Policy").unwrap_or_default();
/// assert!(policy.contains("; script-src 'nonce-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct CspNonce(Arc<OnceLock<Option<[u8; LENGTH]>>>);

impl CspNonce {
    /// The nonce. Empty, which no policy ever allows, where it was first asked for when the head of the
    /// answer was gone, or where the system has no random numbers.
    pub fn as_str(&self) -> &str {
        text(self.0.get_or_init(make).as_ref())
    }

    /// The nonce, if a handler asked for it; from now on nobody can.
    fn asked(&self) -> Option<&str> {
        let made = self.0.get_or_init(|| None).as_ref()?;
        Some(text(Some(made)))
    }
}

fn make() -> Option<[u8; LENGTH]> {
    let mut random = [0; RANDOM];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    let mut made = [0; LENGTH];
    STANDARD.encode_slice(random, &mut made).ok()?;
    Some(made)
}

fn text(made: Option<&[u8; LENGTH]>) -> &str {
    made.and_then(|made| std::str::from_utf8(made).ok())
        .unwrap_or_default()
}

impl fmt::Display for CspNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes nothing: to look at it is not to ask for it.
impl fmt::Debug for CspNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.0.get().map(|made| text(made.as_ref()));
        f.debug_tuple("CspNonce").field(&made).finish()
    }
}

impl Context {
    /// The nonce of the answer; `None` where the endpoint has no content policy, or neither it nor own
    /// middleware can ask for one.
    pub fn csp_nonce(&self) -> Option<&CspNonce> {
        self.state.get()
    }
}

/// The headers of an endpoint that may ask for a nonce.
pub(crate) struct NonceStage(pub(crate) Box<dyn Stage>);

impl Stage for NonceStage {
    fn slot(&self) -> Slot {
        self.0.slot()
    }

    fn decide(&self, head: &Head, context: &mut Context) -> Decision {
        let nonce = CspNonce::default();
        context.state.insert(nonce.clone());
        context.notes.stages.insert(nonce);
        self.0.decide(head, context)
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        self.0.finish(notes, response);
    }
}

/// A policy with places for the nonce.
#[derive(Debug)]
pub(super) struct NoncePolicy {
    /// What stands before, between and behind the places.
    parts: Box<[Box<str>]>,
}

/// Stands for the nonce while a policy is put together; no value may hold it.
const PLACE: &str = "\n";

impl NoncePolicy {
    /// The policy that is written `policy`, with places for a nonce.
    pub(super) fn new(policy: &str) -> Self {
        let directives: Vec<(&str, &str)> = policy
            .split("; ")
            .map(|directive| directive.split_once(' ').unwrap_or((directive, "")))
            .collect();
        let values = |name: &str| {
            let found = directives.iter().find(|(known, _)| *known == name);
            found.map(|(_, values)| *values)
        };
        let mut written: Vec<String> = Vec::new();
        for (name, values) in &directives {
            written.push(match *name {
                "script-src" | "script-src-elem" | "style-src" | "style-src-elem" => {
                    with_place(name, values)
                }
                _ if values.is_empty() => (*name).to_owned(),
                _ => format!("{name} {values}"),
            });
        }
        for name in ["script-src", "style-src"] {
            if values(name).is_none() {
                written.push(with_place(name, values("default-src").unwrap_or_default()));
            }
        }
        let written = written.join("; ");
        Self {
            parts: written.split(PLACE).map(Into::into).collect(),
        }
    }

    /// The policy that names the nonce, if one was asked for.
    pub(super) fn value(&self, nonce: &CspNonce) -> Option<HeaderValue> {
        let nonce = nonce.asked()?;
        HeaderValue::try_from(self.parts.join(nonce)).ok()
    }
}

fn with_place(name: &str, values: &str) -> String {
    match values {
        // 'none' stands alone, or means nothing.
        none if none.is_empty() || none.eq_ignore_ascii_case("'none'") => {
            format!("{name} 'nonce-{PLACE}'")
        }
        values => format!("{name} {values} 'nonce-{PLACE}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_nonce(policy: &str) -> String {
        let nonce = CspNonce::default();
        let policy = NoncePolicy::new(policy);
        let text = nonce.as_str().to_owned();
        let value = policy.value(&nonce).unwrap();
        value.to_str().unwrap().replace(&text, "N")
    }

    #[test]
    fn it_stands_where_browsers_look_for_it() {
        for (policy, expected) in [
            (
                "default-src 'self'; object-src 'none'",
                "default-src 'self'; object-src 'none'; script-src 'self' 'nonce-N'; \
                 style-src 'self' 'nonce-N'",
            ),
            (
                "default-src 'none'; script-src https://cdn.example; style-src 'none'",
                "default-src 'none'; script-src https://cdn.example 'nonce-N'; \
                 style-src 'nonce-N'",
            ),
            (
                "script-src-elem 'self'; script-src-attr 'none'; style-src-elem 'NONE'; sandbox",
                "script-src-elem 'self' 'nonce-N'; script-src-attr 'none'; \
                 style-src-elem 'nonce-N'; sandbox; script-src 'nonce-N'; style-src 'nonce-N'",
            ),
            (
                "script-src; upgrade-insecure-requests",
                "script-src 'nonce-N'; upgrade-insecure-requests; style-src 'nonce-N'",
            ),
        ] {
            assert_eq!(with_nonce(policy), expected, "{policy}");
        }
    }

    #[test]
    fn each_is_another_and_none_is_padded() {
        let made: std::collections::HashSet<String> =
            (0..1000).map(|_| CspNonce::default().to_string()).collect();
        assert_eq!(made.len(), 1000);
        for nonce in made {
            assert_eq!(nonce.len(), LENGTH);
            assert!(!nonce.contains('='));
        }
    }

    #[test]
    fn once_the_head_is_gone_nobody_is_given_one() {
        let (nonce, policy) = (CspNonce::default(), NoncePolicy::new("default-src 'self'"));
        assert_eq!(policy.value(&nonce), None, "nobody asked");
        assert_eq!(nonce.as_str(), "");
        assert_eq!(policy.value(&nonce), None);
    }

    #[test]
    fn it_is_the_same_for_one_answer() {
        let nonce = CspNonce::default();
        assert_eq!(format!("{nonce:?}"), "CspNonce(None)");
        assert_eq!(nonce.as_str(), nonce.clone().as_str());
        assert_eq!(
            format!("{nonce:?}"),
            format!("CspNonce(Some({:?}))", nonce.as_str())
        );
    }
}

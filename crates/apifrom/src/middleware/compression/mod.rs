//! Compression: which answers are sent in a shorter form, and which never are.
//!
//! 1. A request that names no coding on offer in `Accept-Encoding`, or likes the plain form better, is
//!    answered plainly. Of equals, the first of [`Compression::encodings`] is taken.
//! 2. Compressed is text: `text/*`, JSON, XML, JavaScript, SVG and the like, of at least
//!    [`Compression::minimum_size`] bytes or of a length that is not known. Never: what is coded
//!    already, parts of a file (206), answers without a body, `text/event-stream`, what has a digest of
//!    its bytes, and what says `Cache-Control: no-transform`.
//! 3. Never compressed are secrets beside input, unless [`Compression::insecure_authenticated`] is on:
//!    answers of endpoints that ask who calls, answers to requests with a cookie or `Authorization`, and
//!    answers that set a cookie. How long their compressed form is says how much of what an attacker
//!    put into the request stands in the rest of the answer as well (BREACH).
//! 4. What could have come in another form says so: `Vary: Accept-Encoding`. A compressed answer has no
//!    byte ranges, and its `ETag` is a weak one.
//!
//! Answers of up to 32 KiB are compressed at once; all others as the client reads them, in pieces of
//! that size, with less than 2 MiB for each answer under way. What a stream has so far is sent on
//! whenever the stream waits.
//!
//! # Deployment
//! A proxy that compresses by itself knows nothing of rule 3.
//!
//! # Examples
//! ```
//! use apifrom::middleware::Compression;
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/song", method = "GET")]
//! fn song() -> String {
//!     "and so on, ".repeat(500)
//! }
//!
//! let api = Api::new().add_middleware(Compression::new()).endpoints(endpoints![song]);
//! let client = TestClient::new(api.build()?);
//!
//! let answer = client.get("/song").header("Accept-Encoding", "gzip").send()?;
//! assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
//! assert!(answer.bytes().len() < 200);
//!
//! let known = client.get("/song").header("Accept-Encoding", "gzip").header("Cookie", "session=1");
//! assert_eq!(known.send()?.header("Content-Encoding"), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Standards: RFC 9110 §8.4 and §12.5.3, RFC 9659.

mod body;
mod encoder;

use std::sync::Arc;

use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY,
};
use http_body::Body as _;

use self::body::{Compressed, PIECE};
use crate::error::ConfigError;
use crate::facts::CompressionFacts;
use crate::request::{Coding, Context, Head, Notes};
use crate::response::{Response, ResponseBody};
use crate::stage::{Decision, Slot, Stage};

const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
/// What tells of the very bytes of an answer.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// What gets shorter beside `text/*`.
const TEXTS: [&str; 19] = [
    "application/json",
    "application/javascript",
    "application/xml",
    "application/x-ndjson",
    "application/jsonl",
    "application/json-seq",
    "application/ecmascript",
    "application/graphql",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/wasm",
    "application/yaml",
    "application/x-javascript",
    "application/x-yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
];
/// Of media types that are of such a kind (RFC 6839).
const SUFFIXES: [&[u8]; 3] = [b"+json", b"+xml", b"+yaml"];

/// Sends answers in a shorter form where the client takes it. Nothing is compressed without it.
///
/// # Security
/// An answer that holds a secret beside what a request put there gives the secret away by its
/// compressed length; see [`Compression::insecure_authenticated`].
#[doc(alias = "CompressionMiddleware")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compression {
    /// The codings on offer, the best first; empty: none. Defaults to `zstd`, `br`, `gzip`.
    pub encodings: Vec<String>,
    /// The fewest bytes that are worth it. Defaults to 1,024.
    pub minimum_size: u64,
    /// Compresses what is for one caller alone as well. Defaults to `false`.
    pub insecure_authenticated: bool,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            encodings: Coding::ALL.map(|coding| coding.name().into()).into(),
            minimum_size: 1024,
            insecure_authenticated: false,
        }
    }
}

impl Compression {
    /// Compresses what is worth it and safe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Compression::encodings`].
    #[must_use]
    pub fn encodings(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.encodings = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`Compression::minimum_size`].
    #[must_use]
    pub fn minimum_size(mut self, bytes: u64) -> Self {
        self.minimum_size = bytes;
        self
    }

    /// Sets [`Compression::insecure_authenticated`].
    ///
    /// # Security
    /// For endpoints whose answers hold no secret, or nothing that a request can put there.
    #[must_use]
    pub fn insecure_authenticated(mut self, on: bool) -> Self {
        self.insecure_authenticated = on;
        self
    }

    /// What there is to know of it.
    pub(crate) fn facts(&self) -> CompressionFacts {
        CompressionFacts {
            encodings: self.encodings.clone(),
            minimum_size: self.minimum_size,
            insecure_authenticated: self.insecure_authenticated,
        }
    }

    /// The rules as answers meet them.
    pub(crate) fn compile(&self) -> Result<CompressionRules, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut offered = Vec::new();
        for (index, name) in self.encodings.iter().enumerate() {
            let mut note = |message: String| {
                let field = format!("compression.encodings[{index}]");
                errors.push(ConfigError::new(field, message));
            };
            match Coding::ALL.into_iter().find(|one| one.name() == name) {
                None => note(format!(
                    "expected \"zstd\", \"br\" or \"gzip\", found {name:?}"
                )),
                Some(coding) if offered.contains(&coding) => note(format!("{name} stands twice")),
                Some(coding) => offered.push(coding),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(CompressionRules {
            offered: offered.into(),
            minimum_size: self.minimum_size,
            spares_secrets: !self.insecure_authenticated,
        })
    }
}

/// The rules, prepared.
#[derive(Debug)]
pub(crate) struct CompressionRules {
    offered: Box<[Coding]>,
    minimum_size: u64,
    spares_secrets: bool,
}

/// The rules at one endpoint.
#[derive(Debug)]
pub(crate) struct CompressionStage {
    rules: Arc<CompressionRules>,
    /// Whether the endpoint asks who calls.
    is_protected: bool,
}

impl CompressionStage {
    /// `None` where nothing is ever compressed.
    pub(crate) fn new(rules: Arc<CompressionRules>, is_protected: bool) -> Option<Self> {
        let is_idle = rules.offered.is_empty() || (is_protected && rules.spares_secrets);
        (!is_idle).then_some(Self {
            rules,
            is_protected,
        })
    }
}

impl CompressionRules {
    /// Rule 2.
    fn is_worth_it(&self, response: &Response) -> bool {
        let status = response.status();
        if status.is_informational()
            || matches!(
                status,
                StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
            )
        {
            return false;
        }
        let headers = response.headers();
        let has = |name: &HeaderName| headers.contains_key(name);
        if has(&CONTENT_ENCODING) || has(&CONTENT_RANGE) || DIGESTS.iter().any(has) {
            return false;
        }
        is_text(headers)
            && !forbids_transforming(headers)
            && length(response).is_none_or(|length| length >= self.minimum_size.max(1))
    }
}

impl Stage for CompressionStage {
    fn slot(&self) -> Slot {
        Slot::Compression
    }

    fn decide(&self, _head: &Head, _context: &mut Context) -> Decision {
        Decision::Pass
    }

    fn finish(&self, notes: &Notes, response: &mut Response) {
        let Some(accepted) = notes.accepted else {
            return;
        };
        let rules = &self.rules;
        let chosen = accepted.choose(&rules.offered);
        let holds_secrets = rules.spares_secrets
            && (self.is_protected
                || accepted.bears_credentials
                || response.headers().contains_key(SET_COOKIE));
        let chosen = chosen.filter(|_| !holds_secrets);
        if response.status() == StatusCode::NOT_MODIFIED {
            // A cache finds by it what it holds, which was compressed if this would have been.
            if chosen.is_some() && response.headers().contains_key(ETAG) {
                weaken(response.headers_mut());
                vary(response.headers_mut());
            }
            return;
        }
        if !rules.is_worth_it(response) {
            return;
        }
        vary(response.headers_mut());
        if let Some(coding) = chosen {
            compress(coding, response);
        }
    }
}

fn compress(coding: Coding, response: &mut Response) {
    let plain = std::mem::take(response.body_mut());
    let coded = match plain.bytes() {
        // Nothing is the answer to HEAD, from a handler that makes no body for it.
        Some(bytes) if (1..=PIECE).contains(&bytes.len()) => match encoder::coded(coding, bytes) {
            Ok(coded) if coded.len() < bytes.len() => ResponseBody::full(coded),
            Ok(_) | Err(_) => {
                *response.body_mut() = plain;
                return;
            }
        },
        Some(_) | None => ResponseBody::stream(Compressed::new(coding, plain)),
    };
    *response.body_mut() = coded;
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    weaken(headers);
}

/// How long the answer is: its body, or, where a handler makes none for HEAD, what it announces.
fn length(response: &Response) -> Option<u64> {
    let announced = || {
        let announced = response.headers().get(CONTENT_LENGTH)?;
        announced.to_str().ok()?.parse().ok()
    };
    match response.body().size_hint().exact() {
        Some(0) => announced().or(Some(0)),
        Some(length) => Some(length),
        None => announced(),
    }
}

/// Whether the answer is of a kind that gets shorter.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return false;
    };
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    let is = |name: &&str| essence.eq_ignore_ascii_case(name.as_bytes());
    let begins = |group: &[u8]| {
        let begin = essence.get(..group.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(group))
    };
    let ends = |suffix: &&[u8]| {
        let end = essence.len().checked_sub(suffix.len());
        let end = end.and_then(|start| essence.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    // Each event is for now, and for one reader.
    (begins(b"text/") && !is(&"text/event-stream"))
        || TEXTS.iter().any(is)
        || SUFFIXES.iter().any(ends)
}

fn forbids_transforming(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|line| {
        let mut words = line.as_bytes().split(|byte| *byte == b',');
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    })
}

/// RFC 9110 §8.8.1: the same strong tag on other bytes would be a lie.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).map(HeaderValue::as_bytes) else {
        return;
    };
    if tag.starts_with(b"W/") {
        return;
    }
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag].concat()) {
        headers.insert(ETAG, weak);
    }
}

fn vary(headers: &mut HeaderMap) {
    let says_so = headers.get_all(VARY).iter().any(|line| {
        let mut words = line.as_bytes().split(|byte| *byte == b',');
        words.any(|word| {
            let word = word.trim_ascii();
            word == b"*" || word.eq_ignore_ascii_case(b"accept-encoding")
        })
    });
    if !says_so {
        headers.append(VARY, ACCEPT_ENCODING);
    }
}

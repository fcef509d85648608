//! OAuth 2.0: access tokens of an authorization server (RFC 6749, 6750).
//!
//! 1. A token is looked for in `Authorization: Bearer`. Twice is 400.
//! 2. What was found out of a token is kept under its digest: that it is good for `cache_ttl` at most
//!    and never past its `exp`, that it is not for 10 seconds. At most 10,000 of each are kept, the
//!    oldest goes first.
//! 3. A token of a type in `token_types` is verified by the server's keys (RFC 9068: `iss`, `aud`,
//!    `exp`); where the server has none, and for every other token, the server is asked (RFC 7662);
//!    where it cannot be asked either, it is 401. Only `active` with the value `true` is active.
//! 4. Where the program names neither keys nor a place to ask, both are found by RFC 8414 at the
//!    server's origin, and believed only if what is found there says that it is that server.
//! 5. The client secret goes to the issuer's own origin alone.
//! 6. A server that cannot be reached, or refuses our client, is 503 with `Retry-After`, never 200; what
//!    is known, and keys no older than `stale_max`, go on settling what they settle.
//! 7. However many requests bring one token, the server is asked about it once. More than 100 questions
//!    about unknown tokens a minute of one client are 429; a known token is never held back, and neither
//!    is one that keys verify, whether they are there or have to be fetched. However many tokens come,
//!    keys and metadata are fetched once at a time: while none are there at most once a second in vain,
//!    and for a key that is not among them at most once in 30 seconds.
//!    With [`redis`](OAuth2Required::redis) (feature `redis`) what it said of a good token is kept there
//!    as well, sealed, so that processes ask it once together; while that store is away each asks by itself.
//! 8. Where there is a [`revocation`](OAuth2Required::revocation), it is asked for every token, known or
//!    not; a token that was revoked is 401.
//! 9. A token that lacks a required scope is 403.
//!
//! # Deployment
//! A token that the server revoked is taken for as long as `cache_ttl`. `0` asks each time.

mod declaring;
mod discovery;
mod introspection;
mod known;
#[cfg(feature = "redis")]
mod shared;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde::Deserialize;

pub use self::declaring::OAuth2Required;
use self::discovery::{Described, Metadata, Server};
use self::introspection::ClientCredentials;
use self::known::Known;
use super::authenticator::{Attempt, Authenticator, Failure, FailureKind};
use super::back_off::BackOff;
use super::challenge::Challenge;
use super::credential::Place;
use super::identity::{Identity, Method};
use super::jose::{MAX_TOKEN, Refusal, Rules, Scratch, Token, VerificationKeys};
use super::remote_keys::Beyond;
use super::revocation::{Marks, Revocation};
use super::scope::{Scope, Scopes};
use crate::client::{Background, Client, Flights, Url};
use crate::clock::Clock;
use crate::request::{Client as Caller, Context, Head};

/// When it may be worth another try where the server cannot be asked, in seconds.
const RETRY_AFTER: u32 = 5;

type Digest = [u8; 32];

/// One declaration, ready for requests.
struct OAuth2(Arc<Inner>);

struct Inner {
    place: Place,
    server: Server,
    credentials: ClientCredentials,
    audience: Box<str>,
    /// In lower case, without `application/`.
    token_types: Box<[Box<str>]>,
    /// True where plain JWTs are taken, among which ID tokens must be told.
    takes_plain: bool,
    cache_ttl: Duration,
    scopes: Box<[Scope]>,
    revocation: Option<Revocation>,
    challenge: Challenge,
    name: Option<Arc<str>>,
    known: Known,
    #[cfg(feature = "redis")]
    shared: Option<Arc<shared::Shared>>,
    flights: Flights<Digest, Verdict>,
    background: Arc<Background>,
    back_off: Arc<BackOff>,
    clock: Arc<dyn Clock>,
}

/// What was found out of a token.
#[derive(Debug, Clone)]
enum Verdict {
    Active(Arc<Active>),
    Refused(&'static str),
    Unavailable(&'static str),
}

/// Hands the verdict to all who wait for it when it is dropped, so that nobody waits for a look-up that
/// panicked.
struct Landing {
    inner: Arc<Inner>,
    digest: Digest,
    verdict: Verdict,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.inner.flights.land(&self.digest, &self.verdict);
    }
}

/// A token that is good.
#[derive(Debug)]
struct Active {
    claims: Bytes,
    subject: Option<Arc<str>>,
    scopes: Scopes,
    /// Since the epoch, where the token says.
    expires: Option<Duration>,
    /// From when on it must be asked about again, where another process asked.
    until: Option<Duration>,
    marks: Marks,
}

impl Authenticator for OAuth2 {
    fn method(&self) -> Method {
        Method::OAuth2
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

    fn authenticate(&self, head: &Head, context: &Context) -> Attempt {
        let token = match self.0.place.only(head) {
            Ok(token) => token,
            Err(attempt) => return attempt,
        };
        if token.len() > MAX_TOKEN {
            return Attempt::failed(FailureKind::Invalid, Refusal::TooLarge.reason());
        }
        self.0.judge(&token, context.client)
    }
}

impl Inner {
    fn judge(self: &Arc<Self>, token: &str, caller: Caller) -> Attempt {
        let now = self.clock.unix();
        let digest = digest_of(token);
        if let Some(verdict) = self.known.find(&digest, now) {
            return self.attempt(&verdict, token);
        }
        if !self.is_for_keys(token) {
            return self.by_asking(token, digest, &caller, now);
        }
        let described = match self.server.described(&self.background, now) {
            Described::Here(metadata) => {
                return self.by_keys(token, digest, &caller, &metadata, now);
            }
            Described::Fetched(described) => described,
            Described::Nowhere => return self.attempt(&Verdict::Unavailable("no_metadata"), token),
        };
        let (inner, token) = (Arc::clone(self), token.to_owned());
        Attempt::wait(async move {
            let Ok(Some(metadata)) = described.await else {
                return inner.attempt(&Verdict::Unavailable("no_metadata"), &token);
            };
            let now = inner.clock.unix();
            inner.by_keys(&token, digest, &caller, &metadata, now)
        })
    }

    /// Judges a token of a type which the keys verify, or asks the server where it has none.
    fn by_keys(
        self: &Arc<Self>,
        token: &str,
        digest: Digest,
        caller: &Caller,
        metadata: &Arc<Metadata>,
        now: Duration,
    ) -> Attempt {
        let Some(keys) = &metadata.keys else {
            return self.by_asking(token, digest, caller, now);
        };
        let verified = |keys: &VerificationKeys| self.verify(token, keys, metadata, now);
        let fetched = if let Some(known) = keys.current(&self.background) {
            match verified(&known) {
                // A key that is not among those that are there may be a new one.
                Err(Refusal::UnknownKey) => match keys.beyond(&known, &self.background) {
                    Beyond::Here(keys) => return self.settle(verified(&keys), token, &digest),
                    Beyond::Fetched(fetched) => fetched,
                    Beyond::Nowhere => {
                        return self.settle(Err(Refusal::UnknownKey), token, &digest);
                    }
                },
                verified => return self.settle(verified, token, &digest),
            }
        } else {
            keys.fetch(&self.background)
        };
        let inner = Arc::clone(self);
        let (token, metadata) = (token.to_owned(), Arc::clone(metadata));
        Attempt::wait(async move {
            let Ok(Some(keys)) = fetched.await else {
                return inner.attempt(&Verdict::Unavailable("no_keys"), &token);
            };
            let verified = inner.verify(&token, &keys, &metadata, inner.clock.unix());
            inner.settle(verified, &token, &digest)
        })
    }

    /// Judges a token by what the server says of it.
    fn by_asking(
        self: &Arc<Self>,
        token: &str,
        digest: Digest,
        caller: &Caller,
        now: Duration,
    ) -> Attempt {
        let token: Arc<str> = token.into();
        // Who waits for what another asked asks nothing.
        let answer = if let Some(answer) = self.flights.join_open(&digest) {
            answer
        } else {
            if let Some(retry_after) = self.back_off.look_up(caller, now) {
                return Attempt::failed(FailureKind::Held { retry_after }, "held_back");
            }
            self.look_up(digest, Arc::clone(&token))
        };
        let inner = Arc::clone(self);
        Attempt::wait(async move {
            let verdict = answer.await.unwrap_or(Verdict::Unavailable("closing"));
            inner.attempt(&verdict, &token)
        })
    }

    /// What comes of what the keys said, kept where it stays true.
    fn settle(&self, verified: Result<Active, Refusal>, token: &str, digest: &Digest) -> Attempt {
        let verdict = match verified {
            Ok(active) => Verdict::Active(Arc::new(active)),
            Err(refusal) => Verdict::Refused(refusal.reason()),
        };
        self.remember(digest, &verdict, self.clock.unix());
        self.attempt(&verdict, token)
    }

    fn attempt(&self, verdict: &Verdict, token: &str) -> Attempt {
        let active = match verdict {
            Verdict::Active(active) => active,
            Verdict::Refused(reason) => return Attempt::failed(FailureKind::Invalid, reason),
            Verdict::Unavailable(reason) => {
                let kind = FailureKind::Unavailable {
                    retry_after: RETRY_AFTER,
                };
                return Attempt::failed(kind, reason);
            }
        };
        let guarded = |attempt| match &self.revocation {
            Some(revocation) => revocation.guard(&active.marks, attempt),
            None => attempt,
        };
        if !active.scopes.contains_all(&self.scopes) {
            let failure = Failure::new(FailureKind::Lacking, "insufficient_scope");
            return guarded(Attempt::Failed(failure.of(active.subject.as_deref())));
        }
        let mut identity = Identity::new(Method::OAuth2)
            .named(self.name.as_ref())
            .holding(active.scopes.clone())
            .claiming(active.claims.clone())
            .proved_by(Bytes::copy_from_slice(token.as_bytes()));
        if let Some(subject) = &active.subject {
            identity = identity.subject_is(Arc::clone(subject));
        }
        guarded(Attempt::Passed(identity))
    }

    /// Asks the server about a token, or waits for whoever does.
    fn look_up(
        self: &Arc<Self>,
        digest: Digest,
        token: Arc<str>,
    ) -> tokio::sync::oneshot::Receiver<Verdict> {
        let (answer, asks) = self.flights.join(digest);
        if !asks {
            return answer;
        }
        let mut landing = Landing {
            inner: Arc::clone(self),
            digest,
            verdict: Verdict::Unavailable("busy"),
        };
        // Another may have landed since this one looked.
        if let Some(known) = self.known.find(&digest, self.clock.unix()) {
            landing.verdict = known;
            return answer;
        }
        // Where there is no room for it, it lands as it is dropped.
        let _ = self.background.spawn(move |client| async move {
            landing.verdict = Verdict::Unavailable("look_up_failed");
            let inner = Arc::clone(&landing.inner);
            landing.verdict = inner.ask(&client, &token).await;
            inner.remember(&digest, &landing.verdict, inner.clock.unix());
        });
        answer
    }

    async fn ask(&self, client: &Client, token: &str) -> Verdict {
        let described = match self.server.described(&self.background, self.clock.unix()) {
            Described::Here(metadata) => Some(metadata),
            Described::Fetched(described) => described.await.ok().flatten(),
            Described::Nowhere => None,
        };
        let Some(metadata) = described else {
            return Verdict::Unavailable("no_metadata");
        };
        match &metadata.introspection {
            Some(url) => {
                let issuer = metadata.issuer.as_deref();
                self.introspect(client, url, issuer, token).await
            }
            None => Verdict::Refused("unsupported_token"),
        }
    }

    /// Asks the server at `url`, unless another process did.
    async fn introspect(
        &self,
        client: &Client,
        url: &Url,
        issuer: Option<&str>,
        token: &str,
    ) -> Verdict {
        let expected = (&*self.audience, issuer);
        #[cfg(feature = "redis")]
        let entry = self.shared.as_ref().and_then(|shared| {
            let entry = shared.entry(url.as_str(), token)?;
            Some((Arc::clone(shared), entry))
        });
        #[cfg(feature = "redis")]
        if let Some((shared, entry)) = &entry {
            let now = self.clock.unix();
            let judge = |answer| introspection::judge(answer, expected, now);
            if let Some(found) = shared.find(entry, now, judge).await {
                return found;
            }
        }
        let now = || self.clock.unix();
        let verdict =
            introspection::ask(client, url, &self.credentials, token, expected, now).await;
        #[cfg(feature = "redis")]
        if let (Some((shared, entry)), Verdict::Active(active)) = (entry, &verdict) {
            let (active, now) = (Arc::clone(active), now());
            // Nobody waits until others can know it.
            tokio::spawn(async move { shared.keep(&entry, &active, now).await });
        }
        verdict
    }

    /// True for a token that says it is of a type which the keys verify.
    fn is_for_keys(&self, token: &str) -> bool {
        let mut scratch = Scratch::new();
        let Ok(token) = Token::parse(token.as_bytes(), &mut scratch) else {
            return false;
        };
        // RFC 7515 §4.1.9: the prefix may be left out; RFC 7519 §5.1: `JWT` where it is absent.
        let kind = token.kind().unwrap_or("JWT").to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        self.token_types.iter().any(|taken| **taken == *kind)
    }

    fn verify(
        &self,
        token: &str,
        keys: &VerificationKeys,
        metadata: &Metadata,
        now: Duration,
    ) -> Result<Active, Refusal> {
        let rules = Rules {
            audience: Some(vec![self.audience.to_string()]),
            issuer: metadata.issuer.clone().map(|issuer| vec![issuer]),
            ..Rules::default()
        };
        let mut scratch = Scratch::new();
        let verified = keys.verify(&Token::parse(token.as_bytes(), &mut scratch)?)?;
        let judged = rules.judge(&verified, now, None)?;
        let further: Further =
            serde_json::from_slice(verified.payload()).map_err(|_| Refusal::MalformedClaims)?;
        // An ID token says who somebody is, to whom it was issued, and opens nothing.
        if self.takes_plain && (further.nonce || further.at_hash) {
            return Err(Refusal::MalformedClaims);
        }
        let marks = Marks::of(
            judged.id.as_deref(),
            judged.subject.as_deref(),
            judged.issued_at,
        );
        let (scopes, subject) = (
            judged.scopes,
            judged.subject.map(|subject| (*subject).into()),
        );
        Ok(Active {
            scopes,
            subject,
            marks,
            expires: further
                .exp
                .and_then(|exp| Duration::try_from_secs_f64(exp).ok()),
            until: None,
            claims: Bytes::from(verified.into_payload()),
        })
    }

    fn remember(&self, digest: &Digest, verdict: &Verdict, now: Duration) {
        // A key that is not there now may be there in a moment.
        let unknown_key = Refusal::UnknownKey.reason();
        if matches!(verdict, Verdict::Refused(reason) if *reason == unknown_key) {
            return;
        }
        self.known.keep(digest, verdict, now, self.cache_ttl);
    }
}

/// What more of the claims is read.
#[derive(Deserialize)]
struct Further {
    exp: Option<f64>,
    #[serde(default, deserialize_with = "is_there")]
    nonce: bool,
    #[serde(default, deserialize_with = "is_there")]
    at_hash: bool,
}

/// True for a member that is there, whatever it holds: `null` as well.
fn is_there<'de, D: serde::Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(member).map(|_| true)
}

fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; 32];
    for (to, from) in bytes
        .iter_mut()
        .zip(digest(&SHA256, token.as_bytes()).as_ref())
    {
        *to = *from;
    }
    bytes
}

//! Where an authorization server has its keys, and where it can be asked.
//!
//! 1. What the program names holds.
//! 2. Otherwise the server's metadata is fetched (RFC 8414 §3) when it is first needed, and anew once it
//!    is an hour old: at the issuer's place, or at the origin of `token_url` where no issuer is named.
//! 3. Metadata is believed only if its `issuer` is the one that was asked, and, where no issuer is named,
//!    its `token_endpoint` is `token_url`. A place to ask that does not lie on the issuer's origin is
//!    not used: the client secret would go there.
//! 4. Where fetching fails, metadata no older than `stale_max` stays in use, and nothing is fetched for a
//!    second.
//! 5. However many wait for it, it is fetched once at a time.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;

use crate::client::{Background, Client, Flights, Question, Url};
use crate::clock::Clock;
use crate::json::{JsonLimits, scan};
use crate::security::remote_keys::{PAUSE, PUBLIC, RemoteKeys};

/// After which metadata is fetched anew.
const OLD: Duration = Duration::from_hours(1);

/// What is known of a server.
pub(super) struct Metadata {
    pub(super) issuer: Option<String>,
    pub(super) keys: Option<Arc<RemoteKeys>>,
    pub(super) introspection: Option<Url>,
}

/// An authorization server.
pub(super) enum Server {
    /// The program named all of it.
    Named(Arc<Metadata>),
    /// It is asked.
    Discovered(Arc<Discovered>),
}

/// What there is to be known of a server.
pub(super) enum Described {
    Here(Arc<Metadata>),
    /// It is fetched now; nothing, when that fails and nothing was known.
    Fetched(oneshot::Receiver<Option<Arc<Metadata>>>),
    /// Nothing: fetching it failed a moment ago.
    Nowhere,
}

pub(super) struct Discovered {
    pub(super) place: Url,
    pub(super) issuer: String,
    /// What the metadata must name, where it was not said who the issuer is.
    pub(super) token_url: Option<String>,
    pub(super) stale_max: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state: RwLock<State>,
    pub(super) flights: Flights<(), Option<Arc<Metadata>>>,
}

#[derive(Default)]
pub(super) struct State {
    metadata: Option<Arc<Metadata>>,
    fetched: Duration,
    /// When fetching last failed.
    failed: Option<Duration>,
}

impl Server {
    /// What is known, fetched where it is not there or old.
    pub(super) fn described(&self, background: &Background, now: Duration) -> Described {
        let discovered = match self {
            Self::Named(metadata) => return Described::Here(Arc::clone(metadata)),
            Self::Discovered(discovered) => discovered,
        };
        if let Some(metadata) = discovered.known(now, OLD) {
            return Described::Here(metadata);
        }
        if discovered.failed_just_now(now) {
            let stale = discovered.known(now, discovered.stale_max);
            return stale.map_or(Described::Nowhere, Described::Here);
        }
        Described::Fetched(discovered.fetch(background))
    }
}

/// Hands what is known by then to all who wait for it when it is dropped.
struct Fetching {
    discovered: Arc<Discovered>,
    fetched: Option<Arc<Metadata>>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let discovered = &self.discovered;
        let stale = || discovered.known(discovered.clock.unix(), discovered.stale_max);
        let known = self.fetched.take().or_else(stale);
        discovered.flights.land(&(), &known);
    }
}

/// RFC 8414 §2, as far as it is read.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
}

impl Discovered {
    fn known(&self, now: Duration, at_most: Duration) -> Option<Arc<Metadata>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = now.saturating_sub(state.fetched) < at_most;
        state.metadata.clone().filter(|_| is_fresh)
    }

    fn failed_just_now(&self, now: Duration) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back must not keep it from being tried.
        state
            .failed
            .is_some_and(|failed| (failed..failed.saturating_add(PAUSE)).contains(&now))
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(
        self: &Arc<Self>,
        background: &Background,
    ) -> oneshot::Receiver<Option<Arc<Metadata>>> {
        let (known, asks) = self.flights.join(());
        if asks {
            let mut fetching = Fetching {
                discovered: Arc::clone(self),
                fetched: None,
            };
            // Where there is no room for it, it lands as it is dropped.
            let _ = background.spawn(move |client| async move {
                let discovered = Arc::clone(&fetching.discovered);
                fetching.fetched = discovered.ask(&client).await;
                if fetching.fetched.is_none() {
                    discovered.write().failed = Some(discovered.clock.unix());
                }
            });
        }
        known
    }

    async fn ask(&self, client: &Client) -> Option<Arc<Metadata>> {
        let question = Question {
            url: self.place.clone(),
            form: None,
            authorization: None,
        };
        let body = client.ask(question).await.ok()?;
        scan(&body, &JsonLimits::default()).ok()?;
        let document: Document = serde_json::from_slice(&body).ok()?;
        let mut state = self.write();
        let before = state.metadata.as_ref().and_then(|known| known.keys.clone());
        let metadata = Arc::new(self.believe(document, before)?);
        state.metadata = Some(Arc::clone(&metadata));
        state.fetched = self.clock.unix();
        Some(metadata)
    }

    fn believe(&self, document: Document, before: Option<Arc<RemoteKeys>>) -> Option<Metadata> {
        if document.issuer != self.issuer {
            return None;
        }
        if let Some(token_url) = &self.token_url
            && document.token_endpoint.as_ref() != Some(token_url)
        {
            return None;
        }
        let origin = Url::parse(&self.issuer).ok()?.origin();
        let introspection = document.introspection_endpoint.as_deref();
        let introspection = introspection
            .and_then(|url| Url::parse(url).ok())
            .filter(|url| url.origin() == origin);
        let keys = document.jwks_uri.as_deref();
        let keys = keys.and_then(|url| Url::parse(url).ok()).map(|url| {
            // What was fetched from the same place stays in use.
            before.filter(|known| known.is_at(&url)).unwrap_or_else(|| {
                let clock = Arc::clone(&self.clock);
                Arc::new(RemoteKeys::new(url, &PUBLIC, self.stale_max, clock))
            })
        });
        Some(Metadata {
            issuer: Some(document.issuer),
            keys,
            introspection,
        })
    }
}

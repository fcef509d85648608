//! Where an authorization server has its keys, and where it can be asked.
//!
//! 1. What the program names holds.
//! 2. Otherwise the server's metadata is fetched (RFC 8414 §3) when it is first needed, and anew once it
//!    is an hour old: at the issuer's place, or at the origin of `token_url` where no issuer is named.
//! 3. Metadata is believed only if its `issuer` is the one that was asked, and, where no issuer is named,
//!    its `token_endpoint` is `token_url`. A place to ask that does not lie on the issuer's origin is
//!    not used: the client secret would go there.
//! 4. Where fetching fails, metadata no older than `stale_max` stays in use.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;

use crate::client::{Client, Flights, Question, Url};
use crate::clock::Clock;
use crate::json::{JsonLimits, scan};
use crate::security::remote_keys::{PUBLIC, RemoteKeys};

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
    Discovered(Box<Discovered>),
}

pub(super) struct Discovered {
    pub(super) place: Url,
    pub(super) issuer: String,
    /// What the metadata must name, where it was not said who the issuer is.
    pub(super) token_url: Option<String>,
    pub(super) stale_max: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state: RwLock<Option<(Arc<Metadata>, Duration)>>,
    pub(super) flights: Flights<(), Option<Arc<Metadata>>>,
}

impl Server {
    /// What is known now, and fresh.
    pub(super) fn known(&self, now: Duration) -> Option<Arc<Metadata>> {
        match self {
            Self::Named(metadata) => Some(Arc::clone(metadata)),
            Self::Discovered(discovered) => discovered.known(now, OLD),
        }
    }

    /// What is known, fetched where it is not there or old.
    pub(super) async fn metadata(&self, client: &Client, now: Duration) -> Option<Arc<Metadata>> {
        match self {
            Self::Named(metadata) => Some(Arc::clone(metadata)),
            Self::Discovered(discovered) => match discovered.known(now, OLD) {
                Some(metadata) => Some(metadata),
                None => match discovered.fetch(client).await {
                    Some(metadata) => Some(metadata),
                    None => discovered.known(now, discovered.stale_max),
                },
            },
        }
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
        let (metadata, fetched) = state.as_ref()?;
        (now.saturating_sub(*fetched) < at_most).then(|| Arc::clone(metadata))
    }

    async fn fetch(&self, client: &Client) -> Option<Arc<Metadata>> {
        let (answer, asks) = self.flights.join(());
        if asks {
            // On the background thread nobody gives this up halfway.
            let metadata = self.ask(client).await;
            self.flights.land(&(), &metadata);
        }
        answer.await.ok().flatten()
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
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.as_ref().and_then(|(known, _)| known.keys.clone());
        let metadata = Arc::new(self.believe(document, before)?);
        *state = Some((Arc::clone(&metadata), self.clock.unix()));
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

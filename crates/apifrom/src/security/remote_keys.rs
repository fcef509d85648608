//! The keys of an authorization server, from the URL of its JWK Set.
//!
//! 1. They are fetched when they are first needed, and fetched anew in the background once they are
//!    5 minutes old.
//! 2. A token that names a key which is not there has them fetched anew, at most once in 30 seconds.
//! 3. Fetching that fails leaves what is there in use, for as long as it is no older than `stale_max`.
//!    Where nothing is there it is tried again after a second at the earliest, however many ask.
//! 4. However many wait for them, they are fetched once at a time, and whoever misses a key meanwhile
//!    waits for that.
//! 5. A set is taken whole or not at all: it is JSON, at most 1 MiB, without two keys of one name, and
//!    shared secrets in it are never used.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::jose::{Algorithm, KeyText, SharedSecrets, VerificationKeys};
use tokio::sync::oneshot;

use crate::client::{Background, Client, Flights, Question, Url};
use crate::clock::Clock;

/// After which they are fetched anew in the background.
const OLD: Duration = Duration::from_mins(5);
/// How long a key that is not there has nothing fetched again.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How long nothing is fetched again where fetching failed and nothing is there.
pub(in crate::security) const PAUSE: Duration = Duration::from_secs(1);

/// What tokens of a server that publishes its keys may be signed with.
pub(in crate::security) const PUBLIC: [Algorithm; 10] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

/// The keys behind one URL.
pub(in crate::security) struct RemoteKeys {
    url: Url,
    algorithms: Box<[Algorithm]>,
    stale_max: Duration,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    flights: Flights<(), Option<Arc<VerificationKeys>>>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<VerificationKeys>>,
    fetched: Duration,
    /// When fetching was last begun.
    tried: Option<Duration>,
}

impl State {
    /// The keys, if they are there and no older than `stale_max`.
    fn usable(&self, now: Duration, stale_max: Duration) -> Option<Arc<VerificationKeys>> {
        let age = now.saturating_sub(self.fetched);
        self.keys.clone().filter(|_| age <= stale_max)
    }

    /// True where fetching was not tried within the cooldown.
    fn may_fetch(&self, now: Duration) -> bool {
        self.was_tried_before(now, COOLDOWN)
    }

    /// True where fetching was not begun within `pause`.
    fn was_tried_before(&self, now: Duration, pause: Duration) -> bool {
        // A clock that was put back must not keep it from being tried.
        self.tried
            .is_none_or(|tried| now >= tried + pause || now < tried)
    }
}

/// Where a key may be that is not among those that are known.
pub(in crate::security) enum Beyond {
    /// Among these, which were fetched since.
    Here(Arc<VerificationKeys>),
    /// Among those that are fetched now; nothing, when that fails.
    Fetched(oneshot::Receiver<Option<Arc<VerificationKeys>>>),
    /// Nowhere: they were fetched a moment ago.
    Nowhere,
}

/// Hands what was fetched to all who wait for it when it is dropped.
struct Fetching {
    keys: Arc<RemoteKeys>,
    fetched: Option<Arc<VerificationKeys>>,
}

impl Fetching {
    fn land(mut self, fetched: Option<Arc<VerificationKeys>>) {
        self.fetched = fetched;
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.keys.flights.land(&(), &self.fetched);
    }
}

impl RemoteKeys {
    pub(in crate::security) fn new(
        url: Url,
        algorithms: &[Algorithm],
        stale_max: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            url,
            algorithms: algorithms.into(),
            stale_max,
            clock,
            state: RwLock::default(),
            flights: Flights::default(),
        }
    }

    /// True where they come from `url`.
    pub(in crate::security) fn is_at(&self, url: &Url) -> bool {
        self.url == *url
    }

    /// The keys, if they are there and not too old. Old ones are fetched anew meanwhile.
    pub(in crate::security) fn current(
        self: &Arc<Self>,
        background: &Background,
    ) -> Option<Arc<VerificationKeys>> {
        let now = self.clock.unix();
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let keys = state.usable(now, self.stale_max)?;
        let is_due = now.saturating_sub(state.fetched) >= OLD && state.may_fetch(now);
        drop(state);
        if is_due && !self.flights.is_open(&()) {
            // Where too much is under way the next request tries.
            drop(self.fetch(background));
        }
        Some(keys)
    }

    /// Where a key may be that is not among `known`.
    pub(in crate::security) fn beyond(
        self: &Arc<Self>,
        known: &Arc<VerificationKeys>,
        background: &Background,
    ) -> Beyond {
        // Asked first: what was fetched is there before it is handed out.
        if let Some(fetched) = self.flights.join_open(&()) {
            return Beyond::Fetched(fetched);
        }
        let now = self.clock.unix();
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &state.keys {
            Some(keys) if !Arc::ptr_eq(keys, known) => Beyond::Here(Arc::clone(keys)),
            _ if state.may_fetch(now) => {
                drop(state);
                Beyond::Fetched(self.fetch(background))
            }
            _ => Beyond::Nowhere,
        }
    }

    /// Fetches the keys, or waits for whoever does. Nothing when that fails or did a moment ago, or too
    /// much is under way.
    pub(in crate::security) fn fetch(
        self: &Arc<Self>,
        background: &Background,
    ) -> oneshot::Receiver<Option<Arc<VerificationKeys>>> {
        let (fetched, asks) = self.flights.join(());
        if asks {
            let fetching = Fetching {
                keys: Arc::clone(self),
                fetched: None,
            };
            let now = self.clock.unix();
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if !state.was_tried_before(now, PAUSE) {
                // They may have come since this one looked.
                let known = state.usable(now, self.stale_max);
                drop(state);
                fetching.land(known);
                return fetched;
            }
            drop(state);
            // Where there is no room for it, it lands as it is dropped.
            let _ = background.spawn(move |client| async move {
                let fetched = fetching.keys.ask(&client).await;
                fetching.land(fetched);
            });
        }
        fetched
    }

    async fn ask(&self, client: &Client) -> Option<Arc<VerificationKeys>> {
        self.write().tried = Some(self.clock.unix());
        let question = Question {
            url: self.url.clone(),
            form: None,
            authorization: None,
        };
        let body = client.ask(question).await.ok()?;
        let keys = Arc::new(self.read(&body)?);
        let mut state = self.write();
        state.fetched = self.clock.unix();
        state.keys = Some(Arc::clone(&keys));
        Some(keys)
    }

    fn read(&self, body: &[u8]) -> Option<VerificationKeys> {
        // What is no JSON object might pass for a key in another form.
        let text = std::str::from_utf8(body).ok()?;
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let mut keys = VerificationKeys::new(&self.algorithms);
        keys.add(&KeyText::from(text), SharedSecrets::Refused)
            .ok()?;
        (!keys.is_empty()).then_some(keys)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What a server said of a token, kept in Redis for other processes.
//!
//! 1. Only that a token is active is kept, with what the server said of it, for `cache_ttl` at most and never
//!    past its `exp`. Each process reads it by its own `cache_ttl`, counted from when the server was asked,
//!    and judges it as if the server had answered again.
//! 2. Neither the token nor a plain digest of it stands there. The name of an entry is an HMAC of the
//!    token under the client secret, and its value is sealed with AES-256-GCM under a key that is made of both:
//!    who reads the store learns nothing, and who writes to it can make no token good.
//! 3. What cannot be read, is too old or comes from the future is as if it were not there. While the store is
//!    away the server is asked.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use bytes::Bytes;

use super::{Active, Verdict};
use crate::secret::Secret;
use crate::store::Redis;

/// The longest answer that is kept for others.
const MAX_ANSWER: usize = 16 << 10;
/// How far the clock of whoever asked may be ahead of ours.
const SKEW: Duration = Duration::from_mins(1);

/// A store that several processes share.
pub(super) struct Shared {
    store: Arc<Redis>,
    secret: hmac::Key,
    client_id: Box<str>,
    cache_ttl: Duration,
}

/// The entry of one token that one server was asked about.
pub(super) struct Entry {
    name: Vec<u8>,
    key: RandomizedNonceKey,
}

impl Shared {
    pub(super) fn new(
        store: Arc<Redis>,
        client_id: &str,
        client_secret: &Secret<String>,
        cache_ttl: Duration,
    ) -> Self {
        Self {
            store,
            secret: hmac::Key::new(hmac::HMAC_SHA256, client_secret.expose().as_bytes()),
            client_id: client_id.into(),
            cache_ttl,
        }
    }

    /// The entry of `token`, which the server at `url` is asked about.
    pub(super) fn entry(&self, url: &str, token: &str) -> Option<Entry> {
        let tag = |purpose: &[u8]| {
            let mut context = hmac::Context::with_key(&self.secret);
            for part in [purpose, self.client_id.as_bytes(), url.as_bytes()] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
            context.update(token.as_bytes());
            context.sign()
        };
        let mut name = b"apifrom:oauth2:".to_vec();
        for byte in tag(b"apifrom oauth2 name").as_ref() {
            name.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        let key = tag(b"apifrom oauth2 seal");
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok()?;
        Some(Entry { name, key })
    }

    /// What `judge` makes of what another process was told less than `cache_ttl` ago.
    pub(super) async fn find(
        &self,
        entry: &Entry,
        now: Duration,
        judge: impl FnOnce(Bytes) -> Verdict,
    ) -> Option<Verdict> {
        let sealed = self.store.read(entry.name.clone()).await.ok()??;
        let (asked, answer) = entry.open(sealed)?;
        // A clock that is ahead lets nothing live longer.
        let asked = (asked <= now + SKEW).then_some(asked.min(now))?;
        let until = asked.saturating_add(self.cache_ttl);
        if until <= now {
            return None;
        }
        match judge(answer) {
            Verdict::Active(active) => {
                let active = Arc::into_inner(active)?;
                let until = Some(active.until.map_or(until, |other| other.min(until)));
                Some(Verdict::Active(Arc::new(Active { until, ..active })))
            }
            _ => None,
        }
    }

    /// Keeps what the server answered `now`.
    pub(super) async fn keep(&self, entry: &Entry, active: &Active, now: Duration) {
        let latest = now.saturating_add(self.cache_ttl);
        let until = active.expires.unwrap_or(latest).min(latest);
        let live_for = u64::try_from(until.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
        if live_for == 0 || active.claims.len() > MAX_ANSWER {
            return;
        }
        if let Some(sealed) = entry.seal(now, &active.claims) {
            // A store that is away keeps nothing, and says so by itself.
            let _ = self.store.write(entry.name.clone(), sealed, live_for).await;
        }
    }
}

impl Entry {
    fn seal(&self, asked: Duration, answer: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = u64::try_from(asked.as_millis())
            .ok()?
            .to_be_bytes()
            .to_vec();
        sealed.extend_from_slice(answer);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(&self.name), &mut sealed)
            .ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        Some(sealed)
    }

    /// When the server was asked, and what it answered.
    fn open(&self, mut sealed: Vec<u8>) -> Option<(Duration, Bytes)> {
        let place = sealed.len().checked_sub(NONCE_LEN)?;
        let (content, nonce) = sealed.split_at_mut_checked(place)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(&self.name), content)
            .ok()?;
        let (asked, answer) = opened.split_first_chunk()?;
        let asked = Duration::from_millis(u64::from_be_bytes(*asked));
        Some((asked, Bytes::copy_from_slice(answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(secret: &str, client: &str, url: &str, token: &str) -> Entry {
        let sink: Arc<dyn crate::logging::Sink> = Arc::new(crate::logging::TracingSink);
        // Nobody listens there.
        let store = Redis::connect("redis://127.0.0.1:1/0", crate::store::Purpose::Cache, sink);
        let shared = Shared::new(
            Arc::new(store.unwrap()),
            client,
            &Secret::from(secret),
            Duration::from_mins(1),
        );
        shared.entry(url, token).unwrap()
    }

    #[test]
    fn an_entry_opens_what_it_sealed_and_nothing_else() {
        let own = entry("secret", "me", "https://as.example/i", "token");
        let now = Duration::from_millis(1_234_567);
        let sealed = own.seal(now, b"{}").unwrap();
        assert_eq!(
            own.open(sealed.clone()),
            Some((now, Bytes::from_static(b"{}")))
        );
        assert_ne!(
            own.seal(now, b"{}").unwrap(),
            sealed,
            "a nonce stands twice"
        );
        for (secret, client, url, token) in [
            ("secre", "me", "https://as.example/i", "token"),
            ("secret", "me2", "https://as.example/i", "token"),
            ("secret", "me", "https://as.example/", "itoken"),
            ("secret", "me", "https://as.example/i", "token2"),
        ] {
            let other = entry(secret, client, url, token);
            assert_ne!(other.name, own.name);
            assert_eq!(other.open(sealed.clone()), None);
        }
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(own.open(changed), None, "byte {place}");
            assert_eq!(own.open(sealed[..place].to_vec()), None, "cut at {place}");
        }
        assert_eq!(own.open(Vec::new()), None);
    }

    #[test]
    fn nothing_of_the_token_stands_in_an_entry() {
        let own = entry("secret", "me", "https://as.example/i", "the-token-itself");
        let sealed = own.seal(Duration::ZERO, br#"{"active": true}"#).unwrap();
        let holds = |text: &[u8], part: &[u8]| memchr::memmem::find(text, part).is_some();
        assert!(own.name.starts_with(b"apifrom:oauth2:"));
        assert_eq!(own.name.len(), 15 + 64);
        assert!(!holds(&own.name, b"token-itself"));
        assert!(!holds(&sealed, b"active"));
    }
}

//! Users whom the program's own store knows.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::{Inner, Pair};
use crate::request::Client;
use crate::secret::Secret;
use crate::security::authenticator::{Attempt, FailureKind};
use crate::security::lookup::{Answer, Asking, RETRY_AFTER, UserLookup};
use crate::security::password::Hash;
use crate::security::protection::Compiling;

/// The look-up of one declaration.
pub(super) struct LookUp {
    lookup: Arc<dyn UserLookup>,
    asking: Arc<Asking<User>>,
    /// What an unknown user is compared with: the dearest that was met so far.
    dearest: RwLock<Arc<Hash>>,
}

/// A user who was found.
struct User {
    stored: Secret<String>,
    hash: Arc<Hash>,
}

impl User {
    /// What is kept of what was found; nothing where it is no hash. A password as it is would be
    /// compared in a time that tells who exists.
    fn found(stored: Secret<String>) -> Option<Self> {
        let hash = Hash::parse(stored.expose()).ok()??;
        Some(Self {
            stored,
            hash: Arc::new(hash),
        })
    }
}

impl LookUp {
    /// Nothing, which is noted, where something is wrong.
    pub(super) fn new(
        lookup: Arc<dyn UserLookup>,
        ttl: Duration,
        of_table: Option<&Arc<Hash>>,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        let Some(default) = nobody() else {
            compiling.error("lookup", "the system gives no random bytes");
            return None;
        };
        let looks_up = Self {
            lookup,
            asking: Asking::new(ttl, compiling)?,
            dearest: RwLock::new(Arc::new(default)),
        };
        if let Some(hash) = of_table {
            looks_up.met(hash);
        }
        Some(looks_up)
    }

    fn met(&self, hash: &Arc<Hash>) {
        let known = self.dearest();
        if hash.cost() <= known.cost() {
            return;
        }
        let mut dearest = self.dearest.write().unwrap_or_else(PoisonError::into_inner);
        if hash.cost() > dearest.cost() {
            *dearest = Arc::clone(hash);
        }
    }

    fn dearest(&self) -> Arc<Hash> {
        Arc::clone(&self.dearest.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A hash of no password that costs what those of `hash_password` do.
fn nobody() -> Option<Hash> {
    let mut bytes = [0; 48];
    rand::fill(&mut bytes).ok()?;
    let (salt, hash) = bytes.split_at_checked(16)?;
    let (salt, hash) = (
        BASE64_STANDARD_NO_PAD.encode(salt),
        BASE64_STANDARD_NO_PAD.encode(hash),
    );
    let text = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}");
    Hash::parse(&text).ok()?
}

impl Inner {
    /// Judges a user whom the table does not list.
    pub(super) fn judge_by(
        self: &Arc<Self>,
        lookup: &LookUp,
        sent: Pair,
        client: Client,
    ) -> Attempt {
        let now = self.clock.unix();
        let place = lookup.asking.place(sent.user().as_bytes());
        let known = lookup.asking.known(&place);
        if let Some(Answer::Found(user)) = &known {
            let login = self.login(&sent, Some(&user.stored));
            if self.is_known(&login, now) {
                return Attempt::Passed(self.identity(sent.user()));
            }
        }
        // Beyond its failures nobody is told whether this one would have been right.
        if let Some(retry_after) = self.back_off.held(&client, sent.user(), now) {
            return Attempt::failed(FailureKind::Held { retry_after }, "held_back");
        }
        let inner = Arc::clone(self);
        Attempt::wait(async move {
            let Some(lookup) = &inner.lookup else {
                return Attempt::failed(FailureKind::Invalid, "wrong_password");
            };
            let answer = if let Some(known) = known {
                known
            } else {
                let begin = || lookup.lookup.look_up(sent.user());
                let answer = lookup.asking.ask(place, begin, User::found);
                answer.await.unwrap_or(Answer::Failed("closing"))
            };
            inner.answered(lookup, answer, sent, client).await
        })
    }

    /// Goes on with what the look-up said.
    async fn answered(
        self: &Arc<Self>,
        lookup: &LookUp,
        answer: Answer<User>,
        sent: Pair,
        client: Client,
    ) -> Attempt {
        let (hash, is_user, login) = match answer {
            Answer::Found(user) => {
                lookup.met(&user.hash);
                let login = self.login(&sent, Some(&user.stored));
                if self.is_known(&login, self.clock.unix()) {
                    return Attempt::Passed(self.identity(sent.user()));
                }
                (Arc::clone(&user.hash), true, login)
            }
            Answer::Missing => (lookup.dearest(), false, self.login(&sent, None)),
            Answer::Failed(reason) => {
                let kind = FailureKind::Unavailable {
                    retry_after: RETRY_AFTER,
                };
                return Attempt::failed(kind, reason);
            }
        };
        self.compare(hash, is_user, &sent, login, client).await
    }
}

//! What was found out, for a while, about things that are known by a digest.

use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// How much is known at once. The oldest goes first.
pub(in crate::security) const KNOWN: usize = 10_000;

type Digest = [u8; 32];

/// A bounded table of what is known until a time of its own.
pub(in crate::security) struct Known<V>(RwLock<Table<V>>);

struct Table<V> {
    entries: HashMap<Digest, Entry<V>>,
    order: VecDeque<Digest>,
}

struct Entry<V> {
    value: V,
    since: Duration,
    until: Duration,
}

impl<V> Default for Known<V> {
    fn default() -> Self {
        Self(RwLock::new(Table {
            entries: HashMap::new(),
            order: VecDeque::new(),
        }))
    }
}

impl<V: Clone> Known<V> {
    /// What is known now.
    pub(in crate::security) fn find(&self, digest: &Digest, now: Duration) -> Option<V> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = table.entries.get(digest)?;
        // A clock that was put back must not keep anything known for longer.
        let is_live = entry.since <= now && now < entry.until;
        is_live.then(|| entry.value.clone())
    }

    /// Keeps what was found out at `now`, unless `until` has passed already.
    pub(in crate::security) fn keep(
        &self,
        digest: &Digest,
        value: V,
        now: Duration,
        until: Duration,
    ) {
        if until <= now {
            return;
        }
        let entry = Entry {
            value,
            since: now,
            until,
        };
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if table.entries.insert(*digest, entry).is_none() {
            table.order.push_back(*digest);
            while table.order.len() > KNOWN {
                if let Some(oldest) = table.order.pop_front() {
                    table.entries.remove(&oldest);
                }
            }
        }
    }

    /// How much is kept, live or not.
    #[cfg(test)]
    pub(in crate::security) fn len(&self) -> usize {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.entries.len()
    }
}

//! Counts kept in this process: bounded in keys and in bytes, with work that grows with neither.
//!
//! 1. A key is known by a keyed 128-bit digest alone.
//! 2. Keys are spread over shards, each under a lock of its own, so that growing one holds up few.
//! 3. When a shard is full, the key that was accepted longest ago goes if nothing of it counts any
//!    more. While every key counts, new keys share counters by their digest: an overflow may refuse
//!    early and never forgets. A key that is counted there stays there until that counter is idle.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;

use super::rule::{Count, Counts, Rule};

/// The most shards, and how many keys are worth one.
const SHARDS: usize = 64;
const KEYS_A_SHARD: usize = 1_024;
/// The shared counters of all shards together.
const OVERFLOW: usize = 4_096;
/// How many keys memory is taken for at a time.
const CHUNK: usize = 64;
/// No key.
const NONE: u32 = u32::MAX;

/// What a key is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u64; 2]);

/// Makes digests, with keys of this process.
#[derive(Debug, Default)]
pub(crate) struct Digester([RandomState; 2]);

impl Digester {
    /// The digest of a key.
    pub(crate) fn digest(&self, key: &[u8]) -> Digest {
        let [one, other] = &self.0;
        Digest([one.hash_one(key), other.hash_one(key)])
    }
}

/// The counts of one limit.
pub(super) struct Memory {
    rule: Rule,
    shards: Box<[Mutex<Shard>]>,
}

struct Shard {
    /// Where in `keys` a digest is.
    table: HashTable<u32>,
    keys: Vec<Box<[Key]>>,
    /// The numbers of each key, in chunks as the keys are.
    slots: Vec<Box<[u32]>>,
    /// How many keys were ever given a place, and how many may be.
    taken: u32,
    capacity: u32,
    /// Accepted last, and longest ago.
    newest: u32,
    oldest: u32,
    /// Counters that keys share, made when they are first needed.
    overflow: Vec<Key>,
    overflow_slots: Vec<u32>,
    overflow_size: usize,
}

#[derive(Clone, Copy)]
struct Key {
    digest: Digest,
    counts: Counts,
    newer: u32,
    older: u32,
}

impl Key {
    fn new(digest: Digest) -> Self {
        Self {
            digest,
            counts: Counts::default(),
            newer: NONE,
            older: NONE,
        }
    }
}

impl Memory {
    /// Counts for at most `max_keys` keys; each shard holds its share of them.
    pub(super) fn new(rule: Rule, max_keys: u32) -> Self {
        let keys = max_keys as usize;
        let shards = (keys / KEYS_A_SHARD).clamp(1, SHARDS);
        let capacity = u32::try_from(keys.div_ceil(shards)).unwrap_or(u32::MAX - 1);
        let shard = || {
            Mutex::new(Shard {
                table: HashTable::new(),
                keys: Vec::new(),
                slots: Vec::new(),
                taken: 0,
                capacity,
                newest: NONE,
                oldest: NONE,
                overflow: Vec::new(),
                overflow_slots: Vec::new(),
                overflow_size: OVERFLOW / shards,
            })
        };
        Self {
            rule,
            shards: std::iter::repeat_with(shard).take(shards).collect(),
        }
    }

    /// Asks for `cost` at `now`, in nanoseconds since any beginning.
    pub(super) fn ask(&self, digest: Digest, cost: u32, now: u64) -> Count {
        let Digest([_, low]) = digest;
        let place = usize::try_from(low % self.shards.len() as u64).unwrap_or_default();
        let Some(shard) = self.shards.get(place) else {
            return REFUSED;
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.ask(&self.rule, digest, cost, now)
    }
}

/// What is said where a counter is missing, which does not happen.
const REFUSED: Count = Count {
    accepted: false,
    remaining: 0,
    reset: std::time::Duration::ZERO,
    retry_after: std::time::Duration::from_secs(1),
};

impl Shard {
    fn ask(&mut self, rule: &Rule, digest: Digest, cost: u32, now: u64) -> Count {
        let Digest([hash, _]) = digest;
        let known = self.table.find(hash, |place| {
            key(&self.keys, *place).is_some_and(|key| key.digest == digest)
        });
        let place = match known {
            Some(place) => *place,
            None => match self.place(rule, digest, now) {
                Some(place) => place,
                None => return self.ask_overflow(rule, digest, cost, now),
            },
        };
        let slots = slots_of(&mut self.slots, place, rule.slots());
        let (Some(key), Some(slots)) = (key_mut(&mut self.keys, place), slots) else {
            return REFUSED;
        };
        let count = rule.ask(&mut key.counts, slots, cost, now);
        if count.accepted {
            self.unlink(place);
            self.link_newest(place);
        }
        count
    }

    /// A place for a new key; none while all are taken by keys that count, or while the key may
    /// have counts in a shared counter.
    fn place(&mut self, rule: &Rule, digest: Digest, now: u64) -> Option<u32> {
        if self.shares(rule, digest, now) {
            return None;
        }
        let place = if self.taken < self.capacity {
            self.take_new(rule)
        } else {
            self.take_idle(rule, now)?
        };
        *key_mut(&mut self.keys, place)? = Key::new(digest);
        let Digest([hash, _]) = digest;
        let keys = &self.keys;
        self.table.insert_unique(hash, place, |place| {
            key(keys, *place).map_or(0, |key| key.digest.0[0])
        });
        self.link_newest(place);
        Some(place)
    }

    fn take_new(&mut self, rule: &Rule) -> u32 {
        let place = self.taken;
        if (place as usize).is_multiple_of(CHUNK) {
            let blank = Key::new(Digest([0; 2]));
            self.keys.push(vec![blank; CHUNK].into());
            self.slots.push(vec![0; CHUNK * rule.slots()].into());
        }
        self.taken += 1;
        place
    }

    /// The place of the key that was accepted longest ago, if nothing of it counts.
    fn take_idle(&mut self, rule: &Rule, now: u64) -> Option<u32> {
        let place = self.oldest;
        let idle = *key(&self.keys, place)?;
        if !rule.is_idle(&idle.counts, now) {
            return None;
        }
        let found = self
            .table
            .find_entry(idle.digest.0[0], |other| *other == place);
        if let Ok(entry) = found {
            entry.remove();
        }
        self.unlink(place);
        slots_of(&mut self.slots, place, rule.slots())?.fill(0);
        Some(place)
    }

    fn shares(&self, rule: &Rule, digest: Digest, now: u64) -> bool {
        let shared = self.overflow.get(self.shared_place(digest));
        shared.is_some_and(|key| !rule.is_idle(&key.counts, now))
    }

    fn shared_place(&self, digest: Digest) -> usize {
        usize::try_from(digest.0[0] % self.overflow_size as u64).unwrap_or_default()
    }

    fn ask_overflow(&mut self, rule: &Rule, digest: Digest, cost: u32, now: u64) -> Count {
        if self.overflow.is_empty() {
            self.overflow = vec![Key::new(Digest([0; 2])); self.overflow_size];
            self.overflow_slots = vec![0; self.overflow_size * rule.slots()];
        }
        let place = self.shared_place(digest);
        let begin = place * rule.slots();
        let slots = self.overflow_slots.get_mut(begin..begin + rule.slots());
        match (self.overflow.get_mut(place), slots) {
            (Some(key), Some(slots)) => rule.ask(&mut key.counts, slots, cost, now),
            _ => REFUSED,
        }
    }

    fn link_newest(&mut self, place: u32) {
        let before = self.newest;
        if let Some(key) = key_mut(&mut self.keys, place) {
            (key.newer, key.older) = (NONE, before);
        }
        match key_mut(&mut self.keys, before) {
            Some(key) => key.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: u32) {
        let Some(&Key { newer, older, .. }) = key(&self.keys, place) else {
            return;
        };
        match key_mut(&mut self.keys, newer) {
            Some(key) => key.older = older,
            None => self.newest = older,
        }
        match key_mut(&mut self.keys, older) {
            Some(key) => key.newer = newer,
            None => self.oldest = newer,
        }
    }
}

fn key(keys: &[Box<[Key]>], place: u32) -> Option<&Key> {
    let place = place as usize;
    keys.get(place / CHUNK)?.get(place % CHUNK)
}

fn key_mut(keys: &mut [Box<[Key]>], place: u32) -> Option<&mut Key> {
    let place = place as usize;
    keys.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
}

fn slots_of(slots: &mut [Box<[u32]>], place: u32, size: usize) -> Option<&mut [u32]> {
    let place = place as usize;
    let begin = place % CHUNK * size;
    slots.get_mut(place / CHUNK)?.get_mut(begin..begin + size)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn memory(limit: u32, max_keys: u32) -> (Memory, Digester) {
        let rule = Rule::new(limit, Duration::from_secs(1));
        (Memory::new(rule, max_keys), Digester::default())
    }

    #[test]
    fn keys_are_counted_apart() {
        let (memory, digester) = memory(2, 1_000);
        for key in 0..1_000_u32 {
            let digest = digester.digest(&key.to_be_bytes());
            assert!(memory.ask(digest, 1, 0).accepted);
            assert!(memory.ask(digest, 1, 0).accepted);
            assert!(!memory.ask(digest, 1, 0).accepted);
        }
    }

    #[test]
    fn the_key_that_is_idle_longest_makes_room_and_a_key_that_counts_never_does() {
        for limit in [1, 40] {
            let (memory, digester) = memory(limit, 3);
            let digest = |key: u8| digester.digest(&[key]);
            for (key, at) in [(1, 0), (2, SECOND / 2), (3, SECOND)] {
                assert!(memory.ask(digest(key), limit, at).accepted);
            }
            // Key 1 is idle by now, so key 4 has its place; the others still count.
            let now = SECOND * 11 / 10;
            assert!(memory.ask(digest(4), limit, now).accepted);
            for key in [2, 3, 4] {
                assert!(!memory.ask(digest(key), 1, now).accepted, "{key}");
            }
            // No room for key 5: it is counted where others may be counted too, and not forgotten.
            assert!(memory.ask(digest(5), limit, now).accepted);
            assert!(!memory.ask(digest(5), 1, now).accepted);
            // Room again, which key 5 must not take as long as its shared counter counts.
            let later = now + SECOND * 19 / 20;
            assert!(!memory.ask(digest(5), 1, later).accepted);
            assert!(memory.ask(digest(5), limit, now + 2 * SECOND).accepted);
        }
    }

    #[test]
    fn when_all_keys_count_new_ones_share_counters_and_none_gets_more_than_the_limit() {
        let (memory, digester) = memory(3, 10);
        for key in 0..10_u32 {
            assert!(
                memory
                    .ask(digester.digest(&key.to_be_bytes()), 1, 0)
                    .accepted
            );
        }
        let mut accepted = 0;
        for key in 10..100_000_u32 {
            let digest = digester.digest(&key.to_be_bytes());
            accepted += u32::from(memory.ask(digest, 1, 1).accepted);
        }
        assert_eq!(accepted, 4_096 * 3);
    }

    #[test]
    fn a_key_takes_at_most_256_bytes() {
        for limit in [1, 32, 33, 1_000_000] {
            let rule = Rule::new(limit, Duration::from_mins(1));
            // The table doubles: just after that it has a place in 16/7 for each key, each with a byte
            // of its own.
            let table = ((size_of::<u32>() + 1) * 16).div_ceil(7);
            let bytes = size_of::<Key>() + rule.slots() * size_of::<u32>() + table;
            assert!(bytes <= 256, "{limit}: {bytes}");
        }
    }

    #[test]
    fn many_threads_that_ask_for_one_key_get_the_limit_and_no_more() {
        for limit in [32, 5_000] {
            let (memory, digester) = memory(limit, 1_000);
            let digest = digester.digest(b"one");
            let accepted: u32 = std::thread::scope(|scope| {
                let count = || {
                    (0..2_000)
                        .map(|at| u32::from(memory.ask(digest, 1, at).accepted))
                        .sum()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
                threads
                    .into_iter()
                    .map(|thread| -> u32 { thread.join().unwrap() })
                    .sum()
            });
            assert_eq!(accepted, limit);
        }
    }
}

//! What outlives a request and may be shared between processes.
//!
//! `memory` holds what one process knows, `redis` asks a server that several share. A stage keeps no text of a caller here: keys are digests.

mod memory;
#[cfg(feature = "redis")]
mod redis;
mod stores;

pub(crate) use self::memory::{Key, Ledger, Mark};
#[cfg(feature = "redis")]
pub(crate) use self::redis::{Away, Redis, fault};
pub(crate) use self::stores::Stores;

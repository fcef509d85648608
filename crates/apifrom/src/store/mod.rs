//! What outlives a request and may be shared between processes.
//!
//! `memory` holds what one process knows, `redis` asks a server that several share, and
//! `replica` keeps a copy of what such a server holds. A stage keeps no text of a caller here: keys are digests.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod replica;
mod stores;

pub(crate) use self::memory::{Key, Ledger, Mark};
#[cfg(feature = "redis")]
pub(crate) use self::redis::{Away, Purpose, Redis, fault};
#[cfg(feature = "redis")]
pub(crate) use self::replica::{Replica, Unmade};
pub(crate) use self::stores::Stores;

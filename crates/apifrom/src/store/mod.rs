//! What outlives a request and may be shared between processes.
//!
//! `memory` holds what one process knows. A stage keeps no text of a caller here: keys are digests.

mod memory;

pub(crate) use self::memory::{Key, Ledger, Mark};

//! The scan of JSON bodies, held against serde's tree reader.

#![no_main]

use apifrom::json::{JsonFaultKind, JsonLimits, scan};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/apifrom/src/json/reference.rs"]
mod reference;

use reference::{Verdict, judge};

fuzz_target!(|text: &[u8]| {
    let ours = scan(text, &JsonLimits::default());
    if let Err(fault) = ours {
        assert!(fault.offset <= text.len(), "{fault:?}");
    }
    let agrees = match (ours.map_err(|fault| fault.kind), judge(text)) {
        // Bounds that the reference does not have, and one that it alone has.
        (Err(JsonFaultKind::TooDeep | JsonFaultKind::NumberTooLong), _)
        | (_, Verdict::OutOfRange) => true,
        (ours, theirs) => ours.is_ok() == (theirs == Verdict::Accepted),
    };
    assert!(agrees, "{ours:?}");
});

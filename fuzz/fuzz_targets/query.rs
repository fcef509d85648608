//! Query strings, bound by both faces.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| promises::binding::check_query(input));

//! Lines of headers, bound by both faces: each begins with the byte that chooses its name.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let lines: Vec<_> = input
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_first())
        .map(|(name, value)| (*name, value))
        .collect();
    promises::binding::check_headers(&lines);
});

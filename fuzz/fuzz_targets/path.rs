//! Two templates and a path, a line each.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let (Some(one), Some(other), Some(path)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    promises::path::check(one, other, path);
});

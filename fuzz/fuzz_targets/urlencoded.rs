//! The fields of query strings and forms, held against the `form_urlencoded` crate.

#![no_main]

use std::borrow::Cow;

use apifrom::urlencoded::{UrlencodedFaultKind, UrlencodedLimits, fields};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = UrlencodedLimits { max_fields: 20 };
    let read: Vec<_> = fields(input, &limits).collect();
    // Where nothing is refused the two agree; up to a fault they agree as well.
    let reference = form_urlencoded::parse(input);
    for (ours, theirs) in read.iter().zip(reference) {
        if let Ok(ours) = ours {
            assert_eq!(*ours, theirs);
        }
    }
    for field in read.iter().flatten() {
        for text in [&field.0, &field.1] {
            if let Cow::Borrowed(text) = text {
                assert!(!text.contains(['%', '+', '&']));
            }
        }
    }
    let faults = read.iter().filter(|field| field.is_err()).count();
    match read.last() {
        Some(Err(fault)) => {
            assert_eq!(faults, 1);
            assert!(fault.offset <= input.len());
            let too_many = fault.kind == UrlencodedFaultKind::TooManyFields;
            assert_eq!(too_many, read.len() == 21);
        }
        _ => {
            assert_eq!(faults, 0);
            assert_eq!(read.len(), form_urlencoded::parse(input).count());
        }
    }
});

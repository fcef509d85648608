//! The conversion of texts, held against serde's numbers and against itself.

#![no_main]

use std::cmp::Ordering;

use apifrom::extract::convert::{
    Bound, Constraints, ConvertError, FromParameter, Scalar, ScalarKind, Step,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (one, other) = input.split_once('\n').unwrap_or((input, "0"));
    check_spelling(one);
    check_widths(one);
    check_comparison(one, other);
});

/// A number is what JSON calls a number, and says the same text again.
fn check_spelling(text: &str) {
    let json = serde_json::from_str::<f64>(text).is_ok() && text.trim() == text;
    assert_eq!(f64::from_parameter(text).is_ok(), json);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    match ScalarKind::Int.read(text) {
        Ok(Scalar::Int(integer)) => {
            assert!(whole && digits.len() <= 4300);
            assert!(integer.to_string() == text || text == "-0");
        }
        Err(ConvertError::IntSize) => assert!(whole && digits.len() > 4300),
        other => assert!(!whole, "{other:?}"),
    }
    assert_eq!(
        bool::from_parameter(text).is_ok(),
        ["true", "false", "1", "0"].contains(&text)
    );
    assert_eq!(ScalarKind::Str.read(text), Ok(Scalar::Str(text)));
}

/// A narrow type reads what a wide one reads, unless it is out of range.
fn check_widths(text: &str) {
    let wide = i128::from_parameter(text);
    let narrow = [
        i8::from_parameter(text).map(i128::from),
        u8::from_parameter(text).map(i128::from),
        i32::from_parameter(text).map(i128::from),
        i64::from_parameter(text).map(i128::from),
        u64::from_parameter(text).map(i128::from),
    ];
    for read in narrow {
        assert!(read == wide || read == Err(ConvertError::IntSize));
    }
}

/// The four bounds tell one order, and it is the reverse of the order the other way round.
fn check_comparison(one: &str, other: &str) {
    for kind in [ScalarKind::Int, ScalarKind::Float] {
        for bound_kind in [ScalarKind::Int, ScalarKind::Float] {
            let (Ok(one_value), Ok(other_value)) = (kind.read(one), bound_kind.read(other)) else {
                continue;
            };
            let forth = order(&one_value, other, bound_kind);
            let back = order(&other_value, one, kind);
            assert_eq!(forth, back.map(Ordering::reverse));
            if let (Scalar::Float(one), Scalar::Float(other)) = (one_value, other_value) {
                assert_eq!(forth, one.partial_cmp(&other));
            }
        }
    }
    if let (Ok(value), Ok(step)) = (i128::from_parameter(one), u64::from_parameter(other)) {
        let constraints = Constraints {
            multiple_of: Step::integer(step),
            ..Constraints::default()
        };
        if step > 0 {
            let multiple = constraints.check(&ScalarKind::Int.read(one).expect("read above"));
            assert_eq!(multiple.is_ok(), value % i128::from(step) == 0);
        }
    }
}

fn order(value: &Scalar<'_>, bound: &str, kind: ScalarKind) -> Option<Ordering> {
    let bound = match kind.read(bound) {
        Ok(Scalar::Float(number)) => Bound::float(number)?,
        _ => Bound::integer(bound)?,
    };
    let none = Constraints::default;
    let holds = [
        Constraints {
            lt: Some(bound.clone()),
            ..none()
        },
        Constraints {
            le: Some(bound.clone()),
            ..none()
        },
        Constraints {
            ge: Some(bound.clone()),
            ..none()
        },
        Constraints {
            gt: Some(bound),
            ..none()
        },
    ]
    .map(|constraints| constraints.check(value).is_ok());
    match holds {
        [true, true, false, false] => Some(Ordering::Less),
        [false, true, true, false] => Some(Ordering::Equal),
        [false, false, true, true] => Some(Ordering::Greater),
        _ => panic!("{holds:?}"),
    }
}

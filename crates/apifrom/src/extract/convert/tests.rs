use std::fmt::Debug;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::violation::Location;

const NOT_INTEGERS: &[&str] = &[
    "", "-", "+1", "--1", " 1", "1 ", "\n1", "1_0", "1,0", "1.0", "1.", "1e1", "1E1", "0x1", "0b1",
    "0o7", "007", "00", "-01", "-00", "١٢", "१", "１", "1\0", "abc", "true", "null", "1-", "−1",
    "∞", "¼",
];

const NOT_FLOATS: &[&str] = &[
    "",
    "-",
    "+1.0",
    " 1.0",
    "1.0 ",
    ".5",
    "1.",
    "-.5",
    "1e",
    "1e+",
    "e1",
    "1.e1",
    "01.0",
    "-01",
    "1_0.0",
    "1,5",
    "0x1p3",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "-Infinity",
    "1.0f",
    "1.5.5",
    "1e1.5",
    "١.٢",
    "1e１",
    "true",
];

fn read<T: FromParameter>(text: &str) -> Result<T, &'static str> {
    T::from_parameter(text).map_err(|error| error.kind())
}

fn assert_range<T: FromParameter + Debug + PartialEq>(accepted: &[(&str, T)], refused: &[&str]) {
    for (text, value) in accepted {
        assert_eq!(read::<T>(text).as_ref(), Ok(value), "{text}");
    }
    for text in refused {
        assert_eq!(read::<T>(text), Err("int_parsing_size"), "{text}");
    }
}

#[test]
fn an_integer_has_one_spelling() {
    for text in NOT_INTEGERS {
        assert_eq!(
            ScalarKind::Int.read(text),
            Err(ConvertError::Int),
            "{text:?}"
        );
        assert_eq!(read::<u8>(text), Err("int_parsing"), "{text:?}");
        assert_eq!(read::<i64>(text), Err("int_parsing"), "{text:?}");
        assert_eq!(read::<i128>(text), Err("int_parsing"), "{text:?}");
    }
    for (text, number) in [("0", 0), ("-0", 0), ("12", 12), ("-12", -12), ("100", 100)] {
        assert_eq!(
            ScalarKind::Int.read(text),
            Ok(Scalar::Int(Integer::Small(number)))
        );
    }
}

#[test]
fn an_integer_beyond_64_bits_keeps_its_text() {
    assert_eq!(
        Integer::read("9223372036854775807"),
        Ok(Integer::Small(i64::MAX))
    );
    assert_eq!(
        Integer::read("-9223372036854775808"),
        Ok(Integer::Small(i64::MIN))
    );
    let most_digits = "9".repeat(4300);
    let negative = format!("-{most_digits}");
    for text in [
        "9223372036854775808",
        "-9223372036854775809",
        &most_digits,
        &negative,
    ] {
        let integer = Integer::read(text).unwrap();
        assert_eq!(integer, Integer::Big(text));
        assert_eq!(integer.to_string(), text);
    }
    for text in ["9".repeat(4301), format!("-{}", "9".repeat(4301))] {
        assert_eq!(Integer::read(&text), Err(ConvertError::IntSize));
    }
}

#[test]
fn an_integer_that_its_type_cannot_hold_is_refused_by_its_size() {
    assert_range::<u8>(
        &[("0", 0), ("-0", 0), ("255", 255)],
        &["256", "-1", "99999999999999999999"],
    );
    assert_range::<i8>(&[("-128", -128), ("127", 127)], &["-129", "128"]);
    assert_range::<u16>(&[("65535", 65535)], &["65536", "-1"]);
    assert_range::<i16>(&[("-32768", -32768)], &["32768"]);
    assert_range::<u32>(&[("4294967295", u32::MAX)], &["4294967296"]);
    assert_range::<i32>(&[("-2147483648", i32::MIN)], &["2147483648"]);
    assert_range::<u64>(
        &[("18446744073709551615", u64::MAX)],
        &["18446744073709551616", "-1"],
    );
    assert_range::<i64>(
        &[("-9223372036854775808", i64::MIN)],
        &["9223372036854775808"],
    );
    assert_range::<usize>(
        &[("-0", 0)],
        &["-1", "340282366920938463463374607431768211456"],
    );
    assert_range::<isize>(&[("-1", -1)], &["340282366920938463463374607431768211456"]);
    let (most, over) = (
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211456",
    );
    assert_range::<u128>(&[(most, u128::MAX)], &[over, "-1", "-9223372036854775809"]);
    let (least, under) = (
        "-170141183460469231731687303715884105728",
        "-170141183460469231731687303715884105729",
    );
    assert_range::<i128>(&[(least, i128::MIN)], &[under]);
}

#[test]
fn a_float_is_a_json_number() {
    for text in NOT_FLOATS {
        assert_eq!(read::<f64>(text), Err("float_parsing"), "{text:?}");
        assert_eq!(read::<f32>(text), Err("float_parsing"), "{text:?}");
        assert_eq!(
            ScalarKind::Float.read(text),
            Err(ConvertError::Float),
            "{text:?}"
        );
    }
    for (text, number) in [
        ("0", 0.0_f64),
        ("-0", -0.0),
        ("12", 12.0),
        ("-1.50", -1.5),
        ("1e3", 1000.0),
        ("25E-1", 2.5),
        ("0.1e+1", 1.0),
    ] {
        assert_eq!(
            read::<f64>(text).map(f64::to_bits),
            Ok(number.to_bits()),
            "{text}"
        );
    }
}

#[test]
fn a_float_that_its_type_cannot_hold_is_not_finite() {
    assert_eq!(read("1.7976931348623157e308"), Ok(f64::MAX));
    assert_eq!(read::<f64>("1.8e308"), Err("finite_number"));
    assert_eq!(read::<f64>("-1e400"), Err("finite_number"));
    assert_eq!(read::<f64>(&"9".repeat(310)), Err("finite_number"));
    assert_eq!(read("1e-400"), Ok(0.0));
    assert_eq!(read("3.4028235e38"), Ok(f32::MAX));
    assert_eq!(read::<f32>("3.5e38"), Err("finite_number"));
}

#[test]
fn a_boolean_is_one_of_four_words() {
    for (text, value) in [("true", true), ("1", true), ("false", false), ("0", false)] {
        assert_eq!(read(text), Ok(value));
        assert_eq!(ScalarKind::Bool.read(text), Ok(Scalar::Bool(value)));
    }
    for text in [
        "", "True", "TRUE", "False", "t", "f", "y", "yes", "no", "on", "off", "2", "-1", "00",
        " true", "null",
    ] {
        assert_eq!(read::<bool>(text), Err("bool_parsing"), "{text:?}");
    }
}

#[test]
fn a_character_is_one_code_point() {
    assert_eq!(read("é"), Ok('é'));
    assert_eq!(read(" "), Ok(' '));
    assert_eq!(read::<char>(""), Err("string_too_short"));
    assert_eq!(read::<char>("ab"), Err("string_too_long"));
    // Composed of two.
    assert_eq!(read::<char>("e\u{301}"), Err("string_too_long"));
}

#[test]
fn a_string_is_the_text_itself() {
    for text in ["", " a\0\n", "null", "世"] {
        assert_eq!(read(text), Ok(text.to_owned()));
        assert_eq!(ScalarKind::Str.read(text), Ok(Scalar::Str(text)));
    }
}

/// The kind of the constraint that `text` breaks.
fn judged(kind: ScalarKind, text: &str, constraints: &Constraints) -> Option<&'static str> {
    let value = kind.read(text).unwrap();
    constraints.check(&value).err().map(|error| error.kind())
}

#[test]
fn a_number_is_compared_with_each_bound() {
    let none = Constraints::default;
    let bound = || Some(Bound::from(5));
    let tight = [
        (
            Constraints {
                ge: bound(),
                ..none()
            },
            "greater_than_equal",
            [Some(()), None, None],
        ),
        (
            Constraints {
                gt: bound(),
                ..none()
            },
            "greater_than",
            [Some(()), Some(()), None],
        ),
        (
            Constraints {
                le: bound(),
                ..none()
            },
            "less_than_equal",
            [None, None, Some(())],
        ),
        (
            Constraints {
                lt: bound(),
                ..none()
            },
            "less_than",
            [None, Some(()), Some(())],
        ),
    ];
    for (constraints, kind, refused) in tight {
        for (kinds, texts) in [
            (ScalarKind::Int, ["4", "5", "6"]),
            (
                ScalarKind::Float,
                ["4.999999999999999", "5.0", "5.000000000000001"],
            ),
            (ScalarKind::Float, ["-1e300", "5e0", "1e300"]),
            (
                ScalarKind::Int,
                ["-99999999999999999999", "5", "99999999999999999999"],
            ),
        ] {
            for (text, refused) in texts.into_iter().zip(refused) {
                assert_eq!(
                    judged(kinds, text, &constraints),
                    refused.map(|()| kind),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn neither_side_of_a_comparison_is_rounded() {
    let least = |bound: Option<Bound>| Constraints {
        ge: Some(bound.unwrap()),
        ..Constraints::default()
    };
    for (bound, below, reached) in [
        // 2^53 + 1 is no float.
        (
            Bound::float(9_007_199_254_740_994.0),
            "9007199254740993",
            "9007199254740994",
        ),
        (Bound::float(4.5), "4", "5"),
        (Bound::float(-4.5), "-5", "-4"),
        (
            Bound::float(1e20),
            "99999999999999999999",
            "100000000000000000000",
        ),
        (
            Bound::float(-1e20),
            "-100000000000000000001",
            "-100000000000000000000",
        ),
        (
            Bound::float(9_223_372_036_854_775_808.0),
            "9223372036854775807",
            "9223372036854775808",
        ),
        (
            Bound::integer("100000000000000000001"),
            "100000000000000000000",
            "100000000000000000001",
        ),
        (
            Bound::integer("-100000000000000000001"),
            "-100000000000000000002",
            "100000000000000000000",
        ),
    ] {
        let constraints = least(bound);
        assert_eq!(
            judged(ScalarKind::Int, below, &constraints),
            Some("greater_than_equal"),
            "{below}"
        );
        assert_eq!(
            judged(ScalarKind::Int, reached, &constraints),
            None,
            "{reached}"
        );
    }
    let big = least(Bound::integer("9007199254740993"));
    assert_eq!(
        judged(ScalarKind::Float, "9007199254740992", &big),
        Some("greater_than_equal")
    );
    assert_eq!(judged(ScalarKind::Float, "9007199254740994", &big), None);
}

#[test]
fn a_multiple_is_exact_for_integers() {
    let of = |step| Constraints {
        multiple_of: Step::integer(step),
        ..Constraints::default()
    };
    for (text, step) in [
        ("0", 7),
        ("-14", 7),
        ("1000000000000000000000000000005", 5),
        ("-36893488147419103230", u64::MAX),
    ] {
        assert_eq!(judged(ScalarKind::Int, text, &of(step)), None, "{text}");
    }
    for (text, step) in [
        ("1", 7),
        ("-15", 7),
        ("1000000000000000000000000000001", 5),
        ("9007199254740993", 2),
    ] {
        assert_eq!(
            judged(ScalarKind::Int, text, &of(step)),
            Some("multiple_of"),
            "{text}"
        );
    }
}

#[test]
fn a_multiple_of_floats_is_as_near_as_floats_can_tell() {
    let of = |step| Constraints {
        multiple_of: Step::float(step),
        ..Constraints::default()
    };
    for (text, step) in [
        ("0.3", 0.1),
        ("-0.7", 0.1),
        ("123456789.3", 0.1),
        ("0.29", 0.01),
        ("0", 0.1),
        ("-0", 2.0),
        ("1e300", 0.5),
    ] {
        assert_eq!(judged(ScalarKind::Float, text, &of(step)), None, "{text}");
    }
    for (text, step) in [
        ("0.35", 0.1),
        ("1.0000001", 1.0),
        ("1e-12", 1.0),
        ("123456.785", 0.01),
        ("1e300", 1e-300),
    ] {
        assert_eq!(
            judged(ScalarKind::Float, text, &of(step)),
            Some("multiple_of"),
            "{text}"
        );
    }
    assert_eq!(judged(ScalarKind::Int, "5", &of(2.5)), None);
    assert_eq!(judged(ScalarKind::Int, "6", &of(2.5)), Some("multiple_of"));
    assert_eq!(
        judged(ScalarKind::Int, &"9".repeat(400), &of(2.5)),
        Some("multiple_of")
    );
    let whole = Constraints {
        multiple_of: Step::integer(5),
        ..Constraints::default()
    };
    assert_eq!(judged(ScalarKind::Float, "10.0", &whole), None);
    assert_eq!(
        judged(ScalarKind::Float, "10.5", &whole),
        Some("multiple_of")
    );
}

#[test]
fn lengths_are_counted_in_code_points() {
    let constraints = Constraints {
        min_length: Some(2),
        max_length: Some(3),
        ..Constraints::default()
    };
    for (text, expected) in [
        ("", Some("string_too_short")),
        ("世", Some("string_too_short")),
        ("世界", None),
        ("🙂🙂🙂", None),
        ("e\u{301}e\u{301}", Some("string_too_long")),
    ] {
        assert_eq!(
            judged(ScalarKind::Str, text, &constraints),
            expected,
            "{text}"
        );
    }
}

#[derive(Debug)]
struct Digits;

impl Pattern for Digits {
    fn source(&self) -> &'static str {
        "^[0-9]+$"
    }

    fn is_match(&self, text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
    }
}

#[test]
fn a_string_must_match_its_pattern() {
    let constraints = Constraints {
        pattern: Some(Arc::new(Digits)),
        ..Constraints::default()
    };
    assert_eq!(judged(ScalarKind::Str, "12", &constraints), None);
    let error = constraints.check(&Scalar::Str("hunter2")).unwrap_err();
    assert_eq!(error.kind(), "string_pattern_mismatch");
    assert_eq!(error.to_string(), "must match the pattern ^[0-9]+$");
}

#[test]
fn the_first_constraint_that_does_not_hold_is_the_one_that_pydantic_core_names() {
    let constraints = Constraints {
        multiple_of: Step::integer(2),
        le: Some(3.into()),
        ge: Some(1.into()),
        ..Constraints::default()
    };
    for (text, expected) in [
        ("5", "multiple_of"),
        ("4", "less_than_equal"),
        ("-2", "greater_than_equal"),
    ] {
        assert_eq!(judged(ScalarKind::Int, text, &constraints), Some(expected));
    }
    assert_eq!(judged(ScalarKind::Bool, "1", &constraints), None);
    assert_eq!(judged(ScalarKind::Str, "5", &constraints), None);
}

#[test]
fn bounds_and_steps_are_finite_and_steps_are_positive() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Bound::float(number), None);
        assert_eq!(Step::float(number), None);
    }
    assert_eq!(Step::float(0.0), None);
    assert_eq!(Step::float(-1.0), None);
    assert_eq!(Step::integer(0), None);
    assert_eq!(Bound::integer("1.5"), None);
}

#[test]
fn an_error_becomes_a_violation_that_names_the_rule_and_not_the_text() {
    let loc = || vec![Location::Query.into(), "age".into()];
    let json = |error: &ConvertError| serde_json::to_string(&error.at(loc())).unwrap();
    assert_eq!(
        json(&read_error("hunter2")),
        r#"{"loc":["query","age"],"type":"int_parsing","msg":"must be an integer"}"#,
    );
    for (error, msg) in [
        (ConvertError::AtLeast(18.into()), "must be at least 18"),
        (
            ConvertError::LessThan(Bound::float(2.50).unwrap()),
            "must be less than 2.5",
        ),
        (
            ConvertError::AtMost(Bound::integer("99999999999999999999").unwrap()),
            "must be at most 99999999999999999999",
        ),
        (
            ConvertError::GreaterThan(Bound::float(5.0).unwrap()),
            "must be greater than 5",
        ),
        (
            ConvertError::MultipleOf(Step::integer(5).unwrap()),
            "must be a multiple of 5",
        ),
        (ConvertError::TooShort(1), "must have at least 1 character"),
        (ConvertError::TooLong(2), "must have at most 2 characters"),
    ] {
        assert_eq!(error.at(loc()).msg, msg);
    }
}

fn read_error(text: &str) -> ConvertError {
    i64::from_parameter(text).unwrap_err()
}

proptest! {
    #[test]
    fn every_integer_comes_back_as_it_was(
        number in any::<i128>(), wide in any::<u128>(), small in any::<i16>(),
    ) {
        prop_assert_eq!(read(&number.to_string()), Ok(number));
        prop_assert_eq!(read(&wide.to_string()), Ok(wide));
        prop_assert_eq!(read(&small.to_string()), Ok(small));
        let text = number.to_string();
        prop_assert_eq!(Integer::read(&text).unwrap().to_string(), text);
    }

    #[test]
    fn every_finite_float_comes_back_as_it_was(
        number in any::<f64>().prop_filter("finite", |number| number.is_finite()),
    ) {
        let json = serde_json::to_string(&number).unwrap();
        for text in [number.to_string(), format!("{number:e}"), json] {
            prop_assert_eq!(read::<f64>(&text).map(f64::to_bits), Ok(number.to_bits()));
        }
    }

    #[test]
    fn a_text_is_a_number_exactly_when_json_says_so(
        text in "[-+]?[0-9١_ ]{0,4}[.,]?[0-9]{0,3}([eE][-+]?[0-9]{0,2})?",
    ) {
        let json = serde_json::from_str::<f64>(&text).is_ok() && text.trim() == text;
        prop_assert_eq!(read::<f64>(&text).is_ok(), json, "{:?}", text);
        let integer = json && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
        prop_assert_eq!(read::<i64>(&text).is_ok(), integer, "{:?}", text);
    }

    #[test]
    fn any_text_converts_or_is_refused_without_a_panic(text in any::<String>()) {
        for kind in [ScalarKind::Int, ScalarKind::Float, ScalarKind::Bool, ScalarKind::Str] {
            if let Err(error) = kind.read(&text) {
                prop_assert!(message(error.kind(), &error).is_some());
            }
        }
    }

    #[test]
    fn integers_compare_as_integers_do(one in wide(), other in wide(), step in 1..=u64::MAX) {
        let (text, bound) = (one.to_string(), Bound::integer(&other.to_string()));
        let value = ScalarKind::Int.read(&text).unwrap();
        let least = Constraints { ge: bound.clone(), ..Constraints::default() };
        prop_assert_eq!(least.check(&value).is_ok(), one >= other);
        let below = Constraints { lt: bound, ..Constraints::default() };
        prop_assert_eq!(below.check(&value).is_ok(), one < other);
        let multiple = Constraints { multiple_of: Step::integer(step), ..Constraints::default() };
        prop_assert_eq!(multiple.check(&value).is_ok(), one % i128::from(step) == 0);
    }

    #[test]
    fn an_integer_compares_with_the_float_that_it_is(
        one in any::<i64>(), other in any::<i32>(), half in any::<bool>(),
    ) {
        let bound = f64::from(other) + if half { 0.5 } else { 0.0 };
        let text = one.to_string();
        let least = Constraints { ge: Bound::float(bound), ..Constraints::default() };
        let expected = one >= i64::from(other) + i64::from(half);
        prop_assert_eq!(least.check(&ScalarKind::Int.read(&text).unwrap()).is_ok(), expected);
    }
}

/// Integers on both sides of 64 bits, many of them close to each other.
fn wide() -> impl Strategy<Value = i128> {
    prop_oneof![
        any::<i128>(),
        any::<i64>().prop_map(i128::from),
        (-3..3_i128).prop_map(|near| i128::from(i64::MAX) + near),
        (-3..3_i128).prop_map(|near| i128::from(i64::MIN) + near),
        -5..5_i128,
    ]
}

#[test]
fn a_decimal_is_a_whole_number_and_a_fraction() {
    for text in ["0", "-0", "12", "-12.50", "0.10", &"9".repeat(4300)] {
        assert!(is_decimal(text), "{text}");
    }
    let long = "9".repeat(4303);
    for text in [
        "", "-", "+1", " 1", "1 ", "1_0", "١", "007", ".5", "1.", "1.2.3", "1e5", "1E+5", "NaN",
        "sNaN", "Infinity", "-inf", "1,5", "--1", &long,
    ] {
        assert!(!is_decimal(text), "{text:?}");
    }
}

#[test]
fn a_date_begins_with_year_month_and_day() {
    for text in [
        "2024-12-31",
        "2024-12-31T23:59:59Z",
        "2024-12-31t23:59",
        "2024-12-31 23:59:59.5+02:00",
    ] {
        assert!(is_date(text), "{text}");
    }
    for text in [
        "",
        "0",
        "1577923200",
        "-1",
        "1e9",
        "20241231",
        "2024-1-2",
        " 2024-12-31",
        "2024-12-31 ٢",
        "２024-12-31",
        "2024/12/31",
        "2024-12-311",
        "2024-12-31_23:59",
        "2024-12",
    ] {
        assert!(!is_date(text), "{text:?}");
    }
}

#[test]
fn the_items_of_a_list_are_counted() {
    let two_or_three = Constraints {
        min_items: Some(2),
        max_items: Some(3),
        ..Constraints::default()
    };
    let judged = |count| {
        let most = two_or_three.check_most(count);
        let found = most.and_then(|()| two_or_three.check_least(count));
        found.err().map(|error| (error.kind(), error.to_string()))
    };
    let said = |kind, text: &str| Some((kind, text.to_owned()));
    assert_eq!(judged(1), said("too_short", "must have at least 2 items"));
    assert_eq!(judged(2), None);
    assert_eq!(judged(3), None);
    assert_eq!(judged(4), said("too_long", "must have at most 3 items"));
    assert_eq!(Constraints::default().check_most(usize::MAX), Ok(()));
    assert_eq!(Constraints::default().check_least(0), Ok(()));
}

use proptest::prelude::*;

use super::reference::{Verdict, judge};
use super::*;

fn kind_of(text: impl AsRef<[u8]>) -> Option<JsonFaultKind> {
    fault_of(text).map(|fault| fault.kind)
}

fn fault_of(text: impl AsRef<[u8]>) -> Option<JsonFault> {
    scan(text.as_ref(), &JsonLimits::default()).err()
}

/// Each text must be refused with the kind, at the offset.
fn assert_refused(kind: JsonFaultKind, texts: &[(&str, usize)]) {
    for (text, offset) in texts {
        assert_eq!(
            fault_of(text),
            Some(JsonFault {
                kind,
                offset: *offset
            }),
            "{text:?}"
        );
    }
}

#[test]
fn every_kind_of_value_is_accepted_with_white_space_around_it() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-12.5e+3",
        "1E-2",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{ }\r\n",
        "[1, \"a\", {\"b\": [null]}, {}]",
        "{\"a\": {\"a\": {\"a\": 1}}, \"b\": [{\"a\": 1}, {\"a\": 2}]}",
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000""#,
        "\"Grüße, 世界 🙂\u{7f}\u{2028}\"",
        "{\"\": 0, \" \": 1, \"\\u0000\": 2}",
    ] {
        assert_eq!(fault_of(text), None, "{text:?}");
    }
}

#[test]
fn nothing_but_white_space_is_empty() {
    assert_refused(JsonFaultKind::Empty, &[("", 0), (" \r\n\t", 4)]);
}

#[test]
fn a_byte_order_mark_is_refused() {
    assert_refused(
        JsonFaultKind::ByteOrderMark,
        &[("\u{feff}{}", 0), ("\u{feff}", 0)],
    );
    assert_eq!(
        kind_of(b"\xFF\xFE{\0}\0"),
        Some(JsonFaultKind::UnexpectedByte)
    );
}

#[test]
fn a_text_that_breaks_off_is_refused_wherever_it_does() {
    let text = r#"{"a\n\ud83d\ude00": [true, false, null, "é", -1.5e-3, {"b": {}}], "c": ""}"#;
    assert_eq!(fault_of(text), None);
    for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let fault = fault_of(&text[..end]);
        // Once the first half of a surrogate pair is there, it is the fault and not the end.
        let expected = match end {
            11 | 12 => JsonFault {
                kind: JsonFaultKind::LoneSurrogate,
                offset: 5,
            },
            _ => JsonFault {
                kind: JsonFaultKind::UnexpectedEnd,
                offset: end,
            },
        };
        assert_eq!(fault, Some(expected), "{:?}", &text[..end]);
    }
}

#[test]
fn what_the_grammar_does_not_allow_is_refused_where_it_stands() {
    assert_refused(
        JsonFaultKind::UnexpectedByte,
        &[
            ("{\"a\": 1,}", 8),
            ("[1,]", 3),
            ("[,1]", 1),
            ("[1 2]", 3),
            ("{\"a\" 1}", 5),
            ("{\"a\"; 1}", 4),
            ("{a: 1}", 1),
            ("{'a': 1}", 1),
            ("{1: 1}", 1),
            ("{\"a\": 1]", 7),
            ("[1}", 2),
            ("]", 0),
            ("'a'", 0),
            ("+1", 0),
            (".5", 0),
            ("trUe", 2),
            ("nul1", 3),
            ("True", 0),
            ("// a\n1", 0),
            ("[1, /* a */ 2]", 4),
            ("\u{a0}1", 0),
            ("[\u{0c}1]", 1),
            ("undefined", 0),
            ("é", 0),
        ],
    );
}

#[test]
fn anything_after_the_value_is_refused() {
    assert_refused(
        JsonFaultKind::TrailingData,
        &[
            ("1 1", 2),
            ("{}{}", 2),
            ("[] ]", 3),
            ("null,", 4),
            ("1\0", 1),
            ("0x1", 1),
            ("1_0", 1),
            ("\"a\"b", 3),
        ],
    );
}

#[test]
fn strings_must_be_utf_8() {
    for (text, offset) in [
        (&b"\"\xFF\""[..], 1),
        (b"\"abcdefghijk\xC3\"", 12),
        (b"\"\xC0\x80\"", 1),
        (b"\"\xED\xA0\x80\"", 1),
        (b"\"ab\xF4\x90\x80\x80\"", 3),
        (b"{\"na\xE9me\": 1}", 4),
        (b"\"\xE4\xB8\\n\x96\"", 1),
    ] {
        let fault = fault_of(text);
        let expected = JsonFault {
            kind: JsonFaultKind::InvalidUtf8,
            offset,
        };
        assert_eq!(fault, Some(expected), "{text:?}");
    }
    assert_eq!(kind_of(b"[\xC3\xA9]"), Some(JsonFaultKind::UnexpectedByte));
}

#[test]
fn unknown_escapes_are_refused_at_the_backslash() {
    assert_refused(
        JsonFaultKind::InvalidEscape,
        &[
            (r#""\a""#, 1),
            (r#""ab\'""#, 3),
            (r#""\x41""#, 1),
            (r#""\u12G4""#, 1),
            (r#""\u+123""#, 1),
            (r#""\U0041""#, 1),
            ("\"\\\n\"", 1),
            (r#""\ud83d\u12""#, 7),
        ],
    );
}

#[test]
fn half_of_a_surrogate_pair_is_refused() {
    assert_refused(
        JsonFaultKind::LoneSurrogate,
        &[
            (r#""\ud800""#, 1),
            (r#""\uDFFF""#, 1),
            (r#""\ude00\ud83d""#, 1),
            (r#""\ud83d\ud83d\ude00""#, 1),
            (r#""\ud83dx""#, 1),
            (r#""\ud83d\n""#, 1),
            (r#""\ud83d\u0041""#, 1),
            (r#"{"\udc00": 1}"#, 2),
        ],
    );
}

#[test]
fn control_characters_must_be_escaped() {
    for byte in 0..0x20_u8 {
        for before in 0..10 {
            let text = format!("\"{}{}\"", "x".repeat(before), char::from(byte));
            let expected = JsonFault {
                kind: JsonFaultKind::ControlCharacter,
                offset: before + 1,
            };
            assert_eq!(fault_of(&text), Some(expected), "{text:?}");
        }
    }
}

#[test]
fn malformed_numbers_are_refused_where_they_begin() {
    assert_refused(
        JsonFaultKind::InvalidNumber,
        &[
            ("[01]", 1),
            ("-01", 0),
            ("00", 0),
            ("1.x", 0),
            ("[1.]", 1),
            ("[-]", 1),
            ("-x", 0),
            ("1ex", 0),
            ("[1e+]", 1),
            ("[1, -.5]", 4),
        ],
    );
    assert_eq!(kind_of("1.5.5"), Some(JsonFaultKind::TrailingData));
    assert_eq!(kind_of("--1"), Some(JsonFaultKind::InvalidNumber));
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    assert_refused(
        JsonFaultKind::NonFiniteNumber,
        &[
            ("NaN", 0),
            ("[NaN]", 1),
            ("-NaN", 1),
            ("Infinity", 0),
            ("{\"a\": -Infinity}", 7),
            ("1e400", 0),
            ("[1, -1E+309]", 4),
            ("1.8e308", 0),
            ("0.00001e999", 0),
        ],
    );
    let large = format!("{}.0", "9".repeat(310));
    assert_eq!(kind_of(&large), Some(JsonFaultKind::NonFiniteNumber));
}

#[test]
fn the_largest_and_smallest_floats_pass() {
    for text in [
        "1.7976931348623157e308".to_owned(),
        "-1.7976931348623157E+308".to_owned(),
        "1e-999".to_owned(),
        "0e999".to_owned(),
        format!("0.{}1e100", "0".repeat(400)),
        format!("{}e-300", "9".repeat(400)),
        format!("1{}e0", "0".repeat(300)),
    ] {
        assert_eq!(fault_of(&text), None, "{text}");
    }
}

#[test]
fn an_integer_may_have_as_many_digits_as_python_converts() {
    assert_eq!(fault_of("9".repeat(4300)), None);
    assert_eq!(fault_of(format!("-{}", "9".repeat(4300))), None);
    for text in [
        "9".repeat(4301),
        format!("1.{}", "0".repeat(4300)),
        format!("1e{}", "0".repeat(4300)),
    ] {
        assert_eq!(kind_of(&text), Some(JsonFaultKind::NumberTooLong), "{text}");
    }
}

#[test]
fn two_members_of_one_name_are_refused_at_the_second() {
    assert_refused(
        JsonFaultKind::DuplicateMember,
        &[
            (r#"{"a": 1, "a": 2}"#, 9),
            (r#"{"": 1, "": 2}"#, 8),
            (r#"{"a": 1, "\u0061": 2}"#, 9),
            (r#"{"\u0061": 1, "a": 2}"#, 14),
            (r#"{"\u00e9": 1, "é": 2}"#, 14),
            (r#"{"\ud83d\ude00": 1, "🙂": 2, "😀": 3}"#, 31),
            (r#"{"a\/b": 1, "a/b": 2}"#, 12),
            (r#"{"abcdefgh1": 1, "abcdefgh2": 1, "abcdefgh1": 2}"#, 33),
            (r#"{"a": {"b": 1, "c": {}, "b": 2}}"#, 24),
            (r#"{"a": {"a": 1, "c": {"a": 3}}, "b": 1, "a": 2}"#, 39),
            (r#"[{"a": 1}, {"a": 1, "b": 2, "a": 3}]"#, 28),
        ],
    );
}

#[test]
fn names_that_only_look_alike_are_different() {
    for text in [
        r#"{"a": 1, "A": 2}"#,
        r#"{"a": 1, "a ": 2, " a": 3}"#,
        r#"{"a": 1, "a\u0000": 2, "\u0000a": 3}"#,
        // Composed and decomposed: names are compared as they are, not normalised.
        "{\"\u{e9}\": 1, \"e\u{301}\": 2}",
        r#"{"abcdefgh": 1, "abcdefghi": 2, "abcdefghj": 3}"#,
        r#"{"\\u0061": 1, "a": 2}"#,
        r#"[{"a": 1}, {"a": 1}]"#,
        r#"{"a": {"a": {"a": 1}}}"#,
    ] {
        assert_eq!(fault_of(text), None, "{text}");
    }
}

fn object(names: impl Iterator<Item = String>) -> String {
    let members: Vec<_> = names
        .map(|name| format!("\"{name}\": {{\"name1\": 0}}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}

#[test]
fn a_duplicate_is_found_in_an_object_of_any_size() {
    for count in [2, 3, 31, 32, 33, 34, 64, 1000] {
        let names = || (0..count).map(|index| format!("name{index}"));
        assert_eq!(fault_of(object(names())), None, "{count}");
        for again in [0, count / 2, count - 1] {
            for spelling in [format!("name{again}"), format!("n\\u0061me{again}")] {
                let text = object(names().chain([spelling]));
                assert_eq!(
                    kind_of(&text),
                    Some(JsonFaultKind::DuplicateMember),
                    "{count} {again}"
                );
            }
        }
    }
}

#[test]
fn a_large_object_and_the_ones_around_it_keep_their_names_apart() {
    let large = object((0..100).map(|index| format!("name{index}")));
    let text = format!(
        r#"{{"name1": {large}, "name2": [{large}, {large}, {{"n\u0061me1": {large}}}], "name3": 0}}"#
    );
    assert_eq!(fault_of(&text), None);
    let doubled = text.replace("\"name3\": 0", "\"name2\": 0");
    assert_eq!(kind_of(&doubled), Some(JsonFaultKind::DuplicateMember));
}

#[test]
fn nesting_is_bounded_and_the_bound_itself_passes() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(fault_of(nested(64)), None);
    let fault = fault_of(nested(65)).unwrap();
    assert_eq!((fault.kind, fault.offset), (JsonFaultKind::TooDeep, 64));
    assert!(fault.is_too_large());
    assert_eq!(
        kind_of("{\"a\":".repeat(1_000_000)),
        Some(JsonFaultKind::TooDeep)
    );
    assert_eq!(kind_of("[".repeat(1_000_000)), Some(JsonFaultKind::TooDeep));
}

#[test]
fn the_depth_can_be_set_up_to_where_the_readers_end() {
    let nested = |depth: usize| {
        format!("{}{}", "[{\"a\":".repeat(depth), "}]".repeat(depth)).replace(":}", ":0}")
    };
    let with = |max_depth| JsonLimits {
        max_depth,
        ..JsonLimits::default()
    };
    assert!(scan(nested(63).as_bytes(), &with(126)).is_ok());
    assert!(scan(nested(64).as_bytes(), &with(usize::MAX)).is_err());
    assert!(scan(b"1", &with(0)).is_ok());
    assert!(scan(b"[]", &with(0)).is_err());
}

#[test]
fn containers_are_closed_by_their_own_kind() {
    for text in [
        "[{]}",
        "{\"a\": [}]",
        "[[[{\"a\": 1}]]}",
        "{\"a\": {\"b\": 1]}",
    ] {
        assert_eq!(kind_of(text), Some(JsonFaultKind::UnexpectedByte), "{text}");
    }
}

#[test]
fn the_text_of_a_fault_names_a_place_and_never_the_input() {
    let fault = fault_of(r#"{"hunter2": 1, "hunter2": 2}"#).unwrap();
    assert_eq!(fault.code(), "json_duplicate_member");
    assert_eq!(
        fault.to_string(),
        "a JSON object has two members of one name, at byte 15"
    );
    assert!(!fault.is_too_large());
}

#[test]
fn a_scan_forgets_the_names_of_the_one_before() {
    for _ in 0..3 {
        assert_eq!(fault_of(r#"{"a": {"b": 1}}"#), None);
        assert_eq!(
            kind_of(r#"{"a": {"b": 1"#),
            Some(JsonFaultKind::UnexpectedEnd)
        );
    }
}

/// A JSON value as text, with white space and escapes where they may stand.
fn json_text() -> impl Strategy<Value = String> {
    let space = || prop::sample::select(vec!["", " ", "\n\t", "  \r\n"]);
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?";
    let escaped = |c: char| {
        let mut units = [0; 2];
        let escapes = c
            .encode_utf16(&mut units)
            .iter()
            .map(|unit| format!("\\u{unit:04x}"));
        escapes.collect::<Vec<_>>().concat()
    };
    let character = prop_oneof![
        8 => any::<char>().prop_map(move |c| match c {
            '\0'..' ' | '"' | '\\' => escaped(c),
            plain => plain.into(),
        }),
        1 => prop::sample::select(vec!["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"])
            .prop_map(str::to_owned),
        1 => any::<char>().prop_map(escaped),
    ];
    let string = move || {
        prop::collection::vec(character.clone(), 0..12)
            .prop_map(|parts| format!("\"{}\"", parts.concat()))
    };
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        number.prop_map(|text| text),
        string(),
    ];
    leaf.prop_recursive(6, 120, 40, move |inner| {
        let item =
            || (space(), inner.clone(), space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        prop_oneof![
            prop::collection::vec(item(), 0..8).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((space(), string(), space(), item()), 0..40).prop_map(
                |members| {
                    // The index keeps the names apart.
                    let members: Vec<_> = members
                        .iter()
                        .enumerate()
                        .map(|(index, (a, name, b, value))| {
                            format!("{a}\"{index}:{}{b}:{value}", &name[1..])
                        })
                        .collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    })
}

/// What the scan says must be what the reference says, apart from bounds that only one of them has.
fn assert_agrees(text: &[u8]) -> Result<(), TestCaseError> {
    let ours = scan(text, &JsonLimits::default()).map_err(|fault| fault.kind);
    let agrees = match (ours, judge(text)) {
        (Err(JsonFaultKind::TooDeep | JsonFaultKind::NumberTooLong), _)
        | (_, Verdict::OutOfRange) => true,
        (ours, theirs) => ours.is_ok() == (theirs == Verdict::Accepted),
    };
    prop_assert!(agrees, "{ours:?} for {:?}", String::from_utf8_lossy(text));
    Ok(())
}

proptest! {
    #[test]
    fn whatever_is_built_by_the_grammar_is_accepted(text in json_text()) {
        prop_assert_eq!(fault_of(&text), None);
        prop_assert_eq!(judge(text.as_bytes()), Verdict::Accepted);
    }

    #[test]
    fn a_text_with_one_byte_changed_is_judged_as_the_reference_judges_it(
        text in json_text(), at in any::<prop::sample::Index>(), byte in prop_oneof![
            any::<u8>(), prop::sample::select(b"\"\\{}[]:,0e-. \x00\x1f\x80\xc3".to_vec()),
        ],
    ) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        assert_agrees(&bytes)?;
        bytes.remove(at);
        assert_agrees(&bytes)?;
        assert_agrees(&bytes[..at])?;
    }

    #[test]
    fn a_repeated_member_is_always_found(
        names in prop::collection::btree_set("[a-c]{1,12}", 1..80),
        again in any::<prop::sample::Index>(),
        escape in any::<bool>(),
    ) {
        let again = names.iter().nth(again.index(names.len())).unwrap();
        let doubled = if escape {
            let escapes = again.bytes().map(|byte| format!("\\u{byte:04X}"));
            escapes.collect::<Vec<_>>().concat()
        } else {
            again.clone()
        };
        let once = object(names.iter().cloned());
        prop_assert_eq!(fault_of(&once), None);
        let twice = object(names.iter().cloned().chain([doubled]));
        prop_assert_eq!(kind_of(&twice), Some(JsonFaultKind::DuplicateMember));
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic_and_as_the_reference_judges_them(
        bytes in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b"\"\"\\{}[]:,,0123456789eE+-. \ntruefalsn/u".to_vec()),
            1 => any::<u8>(),
        ], 0..40),
    ) {
        assert_agrees(&bytes)?;
    }
}

use super::*;

/// What `pydantic_core.list_all_errors()` names in version 2.50.4.
const PYDANTIC_CORE: &str = "\
    no_such_attribute json_invalid json_type needs_python_object recursion_loop \
    recursion_depth_exceeded missing frozen_field frozen_instance extra_forbidden \
    invalid_key get_attribute_error model_type model_attributes_type dataclass_type \
    dataclass_exact_type named_tuple_type default_factory_not_called none_required \
    greater_than greater_than_equal less_than less_than_equal multiple_of finite_number \
    too_short too_long iterable_type iteration_error string_type string_unicode \
    string_too_short string_too_long string_pattern_mismatch string_not_ascii enum dict_type \
    frozen_dict_type ordered_dict_type counter_type mapping_type list_type deque_type \
    tuple_type set_type set_item_not_hashable bool_type bool_parsing int_type int_parsing \
    int_parsing_size int_from_float float_type float_parsing bytes_type bytes_too_short \
    bytes_too_long bytes_invalid_encoding value_error assertion_error literal_error \
    missing_sentinel_error ellipsis_error date_type date_parsing date_from_datetime_parsing \
    date_from_datetime_inexact date_past date_future time_type time_parsing datetime_type \
    datetime_parsing datetime_object_invalid datetime_from_date_parsing datetime_past \
    datetime_future timezone_naive timezone_aware timezone_offset time_delta_type \
    time_delta_parsing frozen_set_type is_instance_of is_subclass_of callable_type \
    union_tag_invalid union_tag_not_found arguments_type missing_argument \
    unexpected_keyword_argument missing_keyword_only_argument unexpected_positional_argument \
    missing_positional_only_argument multiple_argument_values url_type url_parsing \
    url_syntax_violation url_too_long url_scheme uuid_type uuid_parsing uuid_version \
    decimal_type decimal_parsing decimal_max_digits decimal_max_places decimal_whole_digits \
    fraction_type fraction_parsing complex_type complex_str_parsing";

fn shown(kind: &str, name: &str, value: ContextValue<'_>) -> String {
    message(kind, &[(name, value)]).unwrap().into_owned()
}

fn text(value: &str) -> ContextValue<'_> {
    ContextValue::Text(Cow::Borrowed(value))
}

#[test]
fn every_rule_of_pydantic_core_has_a_wording() {
    let rules: Vec<_> = PYDANTIC_CORE.split_whitespace().collect();
    assert_eq!(rules.len(), 112);
    for rule in rules {
        assert!(message(rule, &()).is_some(), "{rule}");
    }
}

#[test]
fn the_catalogue_is_sorted_and_names_each_rule_once() {
    assert!(kinds().is_sorted_by(|one, next| one < next));
}

#[test]
fn no_wording_is_left_with_a_gap_whatever_the_context_has() {
    struct Everything;
    impl Context for Everything {
        fn value(&self, name: &str) -> Option<ContextValue<'_>> {
            assert!(
                !["tag", "error", "class", "reason", "tz_actual"].contains(&name),
                "{name}"
            );
            Some(ContextValue::Integer(1))
        }
    }
    for kind in kinds() {
        for wording in [message(kind, &()), message(kind, &Everything)] {
            let wording = wording.unwrap();
            assert!(
                !wording.is_empty() && !wording.contains(['{', '}', '#']),
                "{kind}: {wording}"
            );
            assert!(
                !wording.ends_with('.') && wording.starts_with(char::is_lowercase),
                "{wording}"
            );
        }
    }
}

#[test]
fn a_wording_shows_what_the_schema_says() {
    use ContextValue::{Integer, Number};
    for (shown, expected) in [
        (
            shown("greater_than", "gt", Integer(-3)),
            "must be greater than -3",
        ),
        (
            shown("less_than_equal", "le", Number(2.5)),
            "must be at most 2.5",
        ),
        (
            shown("string_too_short", "min_length", Integer(1)),
            "must have at least 1 character",
        ),
        (
            shown("string_too_short", "min_length", Integer(2)),
            "must have at least 2 characters",
        ),
        (
            shown("too_long", "max_length", Integer(0)),
            "must have at most 0 items",
        ),
        (
            shown("enum", "expected", text("'a', 'b' or 'c'")),
            "expected 'a', 'b' or 'c'",
        ),
        (
            shown("string_pattern_mismatch", "pattern", text("^a{2}$")),
            "must match the pattern ^a{2}$",
        ),
        (
            shown("decimal_max_places", "decimal_places", Integer(2)),
            "must have at most 2 decimal places",
        ),
    ] {
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_whole_number_reads_the_same_however_it_is_held() {
    let integer = shown("multiple_of", "multiple_of", ContextValue::Integer(5));
    assert_eq!(
        shown("multiple_of", "multiple_of", ContextValue::Number(5.0)),
        integer
    );
    assert_eq!(shown("multiple_of", "multiple_of", text("5")), integer);
}

#[test]
fn a_wording_does_without_a_value_that_is_not_there() {
    assert_eq!(message("greater_than", &()).unwrap(), "is too small");
    assert_eq!(
        message("greater_than", &[("ge", ContextValue::Integer(1))]).unwrap(),
        "is too small"
    );
    assert!(matches!(
        message("missing", &()),
        Some(Cow::Borrowed("is required"))
    ));
}

#[test]
fn the_name_of_a_function_that_discriminates_is_not_shown() {
    let without = "has no tag that tells its kind";
    assert_eq!(
        shown("union_tag_not_found", "discriminator", text("pick_kind()")),
        without
    );
    let with = "needs the tag 'kind' that tells its kind";
    assert_eq!(
        shown("union_tag_not_found", "discriminator", text("'kind'")),
        with
    );
}

#[test]
fn a_long_text_of_the_schema_is_cut() {
    let wording = shown("literal_error", "expected", text(&"é".repeat(1000)));
    assert_eq!(wording, format!("expected {}…", "é".repeat(200)));
    let wording = shown("literal_error", "expected", text(&"é".repeat(200)));
    assert_eq!(wording, format!("expected {}", "é".repeat(200)));
}

#[test]
fn a_rule_that_is_not_in_the_catalogue_has_no_wording_of_its_own() {
    assert_eq!(message("no_such_rule", &()), None);
    let violation = Violation::new(vec![Location::Body.into()], "no_such_rule", &());
    assert_eq!(violation.msg, "is not acceptable");
}

#[test]
fn a_violation_is_written_as_loc_type_and_msg() {
    let violation = Violation::new(
        vec![
            Location::Body.into(),
            "tags".into(),
            3.into(),
            LocItem::client("k\n\""),
        ],
        "string_type",
        &(),
    );
    assert_eq!(
        serde_json::to_string(&violation).unwrap(),
        r#"{"loc":["body","tags",3,"k\""],"type":"string_type","msg":"must be a string"}"#,
    );
}

#[test]
fn a_name_that_the_client_chose_is_cut_to_64_characters() {
    assert_eq!(
        LocItem::client(&"ü".repeat(64)),
        LocItem::Field("ü".repeat(64).into())
    );
    assert_eq!(
        LocItem::client(&"ü".repeat(65)),
        LocItem::Field("ü".repeat(64).into())
    );
    assert_eq!(LocItem::client(""), LocItem::Field("".into()));
}

#[test]
fn a_name_that_the_client_chose_loses_its_control_characters() {
    let name = "a\r\nb\0c\u{1b}[31md\u{7f}e\u{85}f\u{2028}g\u{202e}h\u{2066}i";
    assert_eq!(
        LocItem::client(name),
        LocItem::Field("abc[31mdefghi".into())
    );
    // They do not count: what is left is cut, not what came.
    let padded = format!("{}x", "\n".repeat(100));
    assert_eq!(LocItem::client(&padded), LocItem::Field("x".into()));
}

#[test]
fn a_hundred_violations_are_kept_and_one_more_is_remembered() {
    let one = || Violation::new(vec![Location::Query.into()], "missing", &());
    let mut violations: Violations = (0..100).map(|_| one()).collect();
    assert_eq!(
        (violations.as_slice().len(), violations.is_truncated()),
        (100, false)
    );
    violations.push(one());
    assert_eq!(
        (violations.as_slice().len(), violations.is_truncated()),
        (100, true)
    );

    let mut others: Violations = one().into();
    others.append(violations);
    assert_eq!(
        (others.as_slice().len(), others.is_truncated()),
        (100, true)
    );
}

#[test]
fn endless_violations_are_not_all_looked_at() {
    let endless = std::iter::repeat_with(|| Violation::new(Vec::new(), "missing", &()));
    let violations: Violations = endless.collect();
    assert!(violations.is_truncated());
    assert!(violations.into_result().is_err());
    assert!(Violations::new().into_result().is_ok());
}

#[test]
fn words_of_the_user_are_passed_on() {
    let violation = Violation::with_message(Vec::new(), "value_error", "must be a palindrome");
    assert_eq!(violation.msg, "must be a palindrome");
}

//! The wording of each rule.

use super::wording::Wording::{self, Filled, Plain};

const UNUSABLE: Wording = Plain("is of a kind that cannot be sent");
const ARRAY: Wording = Plain("must be an array");
const BOOLEAN: Wording = Plain("must be true or false");
const DATE: Wording = Plain("must be a date such as 2024-12-31");
const DATE_TIME: Wording = Plain("must be a date and time such as 2024-12-31T23:59:59Z");
const DECIMAL: Wording = Plain("must be a decimal number");
const DUPLICATE: Wording = Plain("is given more than once");
const DURATION: Wording = Plain("must be a duration such as P1DT2H30M");
const EMAIL: Wording = Plain("must be an e-mail address");
const FRACTION: Wording = Plain("must be a fraction such as 3/4");
const INTEGER: Wording = Plain("must be an integer");
const IP: Wording = Plain("must be an IP address");
const NUMBER: Wording = Plain("must be a number");
const OBJECT: Wording = Plain("must be an object");
const PATTERN: Wording = Plain("must be a regular expression");
const REFUSED: Wording = Plain("is not acceptable");
const REQUIRED: Wording = Plain("is required");
const STRING: Wording = Plain("must be a string");
const TIME: Wording = Plain("must be a time of day such as 23:59:59");
const URL: Wording = Plain("must be a URL");
const UUID: Wording = Plain("must be a UUID");
const ONE_OF: Wording = Filled("expected {expected}", "is not one of the allowed values");
const CARD: Wording = Plain("must be the number of a payment card");

/// The rules of pydantic-core, of pydantic's own types, of the `validator` crate, and `duplicate`.
/// Sorted by name.
pub(super) const CATALOGUE: &[(&str, Wording)] = &[
    ("arguments_type", Plain("must be an array or an object")),
    ("assertion_error", REFUSED),
    ("base64_decode", Plain("must be encoded as Base64")),
    ("bool_parsing", BOOLEAN),
    ("bool_type", BOOLEAN),
    (
        "byte_size",
        Plain("must be an amount of bytes such as 10MiB"),
    ),
    (
        "byte_size_unit",
        Plain("has an unknown unit; expected one such as kB or MiB"),
    ),
    (
        "bytes_invalid_encoding",
        Filled(
            "must be encoded as {encoding}",
            "is not encoded as expected",
        ),
    ),
    (
        "bytes_too_long",
        Filled("must have at most {max_length#byte}", "is too long"),
    ),
    (
        "bytes_too_short",
        Filled("must have at least {min_length#byte}", "is too short"),
    ),
    ("bytes_type", Plain("must be binary data")),
    ("callable_type", UNUSABLE),
    (
        "complex_str_parsing",
        Plain("must be a complex number such as 1+2j"),
    ),
    (
        "complex_type",
        Plain("must be a complex number such as 1+2j"),
    ),
    ("contains", Plain("lacks something that must be in it")),
    ("counter_type", OBJECT),
    ("credit_card", CARD),
    ("dataclass_exact_type", OBJECT),
    ("dataclass_type", OBJECT),
    (
        "date_from_datetime_inexact",
        Plain("must be a date without a time of day"),
    ),
    ("date_from_datetime_parsing", DATE),
    ("date_future", Plain("must lie in the future")),
    ("date_parsing", DATE),
    ("date_past", Plain("must lie in the past")),
    ("date_type", DATE),
    ("datetime_from_date_parsing", DATE_TIME),
    ("datetime_future", Plain("must lie in the future")),
    (
        "datetime_object_invalid",
        Plain("is not a usable date and time"),
    ),
    ("datetime_parsing", DATE_TIME),
    ("datetime_past", Plain("must lie in the past")),
    ("datetime_type", DATE_TIME),
    (
        "decimal_max_digits",
        Filled(
            "must have at most {max_digits#digit}",
            "has too many digits",
        ),
    ),
    (
        "decimal_max_places",
        Filled(
            "must have at most {decimal_places#decimal place}",
            "has too many decimal places",
        ),
    ),
    ("decimal_parsing", DECIMAL),
    ("decimal_type", DECIMAL),
    (
        "decimal_whole_digits",
        Filled(
            "must have at most {whole_digits#digit} before the decimal point",
            "has too many digits before the decimal point",
        ),
    ),
    (
        "default_factory_not_called",
        Plain("has no default while another field is not acceptable"),
    ),
    ("deque_type", ARRAY),
    ("dict_type", OBJECT),
    (
        "does_not_contain",
        Plain("holds something that must not be in it"),
    ),
    ("duplicate", DUPLICATE),
    ("ellipsis_error", Plain("cannot be given")),
    ("email", EMAIL),
    ("enum", ONE_OF),
    ("extra_forbidden", Plain("is not a known field")),
    ("finite_number", Plain("must be a finite number")),
    ("float_parsing", NUMBER),
    ("float_type", NUMBER),
    ("fraction_parsing", FRACTION),
    ("fraction_type", FRACTION),
    ("frozen_dict_type", OBJECT),
    ("frozen_field", Plain("cannot be changed")),
    ("frozen_instance", Plain("cannot be changed")),
    ("frozen_set_type", ARRAY),
    (
        "get_attribute_error",
        Plain("has an attribute that cannot be read"),
    ),
    (
        "greater_than",
        Filled("must be greater than {gt}", "is too small"),
    ),
    (
        "greater_than_equal",
        Filled("must be at least {ge}", "is too small"),
    ),
    (
        "import_error",
        Plain("must be the path of something that can be imported"),
    ),
    (
        "int_from_float",
        Plain("must be an integer, without a fraction"),
    ),
    ("int_parsing", INTEGER),
    (
        "int_parsing_size",
        Plain("is outside the range of the integers accepted here"),
    ),
    ("int_type", INTEGER),
    ("invalid_key", Plain("must have strings as its keys")),
    ("ip", IP),
    ("ip_any_address", IP),
    (
        "ip_any_interface",
        Plain("must be an IP interface such as 10.0.0.1/8"),
    ),
    (
        "ip_any_network",
        Plain("must be an IP network such as 10.0.0.0/8"),
    ),
    ("ip_v4_address", Plain("must be an IPv4 address")),
    (
        "ip_v4_interface",
        Plain("must be an IPv4 interface such as 10.0.0.1/8"),
    ),
    (
        "ip_v4_network",
        Plain("must be an IPv4 network such as 10.0.0.0/8"),
    ),
    ("ip_v6_address", Plain("must be an IPv6 address")),
    (
        "ip_v6_interface",
        Plain("must be an IPv6 interface such as fd00::1/64"),
    ),
    (
        "ip_v6_network",
        Plain("must be an IPv6 network such as fd00::/8"),
    ),
    ("ipv4", Plain("must be an IPv4 address")),
    ("ipv6", Plain("must be an IPv6 address")),
    ("is_instance_of", UNUSABLE),
    ("is_subclass_of", UNUSABLE),
    ("iterable_type", ARRAY),
    ("iteration_error", Plain("cannot be read to its end")),
    (
        "json_invalid",
        Plain("must be a text that holds valid JSON"),
    ),
    ("json_type", Plain("must be a text that holds valid JSON")),
    ("length", Plain("has a length that is not allowed")),
    (
        "less_than",
        Filled("must be less than {lt}", "is too large"),
    ),
    (
        "less_than_equal",
        Filled("must be at most {le}", "is too large"),
    ),
    ("list_type", ARRAY),
    ("literal_error", ONE_OF),
    ("mapping_type", OBJECT),
    ("missing", REQUIRED),
    ("missing_argument", REQUIRED),
    ("missing_keyword_only_argument", REQUIRED),
    ("missing_positional_only_argument", REQUIRED),
    ("missing_sentinel_error", Plain("cannot be given")),
    ("model_attributes_type", OBJECT),
    ("model_type", OBJECT),
    ("multiple_argument_values", DUPLICATE),
    (
        "multiple_of",
        Filled(
            "must be a multiple of {multiple_of}",
            "is between two allowed values",
        ),
    ),
    ("must_match", Plain("must equal the field that it repeats")),
    ("named_tuple_type", Plain("must be an array or an object")),
    (
        "needs_python_object",
        Plain("cannot be checked inside a JSON text"),
    ),
    (
        "no_such_attribute",
        Plain("lacks an attribute that is needed"),
    ),
    (
        "non_control_character",
        Plain("must hold no control characters"),
    ),
    ("none_required", Plain("must be null")),
    ("not_operation_failed", REFUSED),
    ("ordered_dict_type", OBJECT),
    (
        "parent_does_not_exist",
        Plain("must be the path of something in an existing folder"),
    ),
    (
        "path_exists",
        Plain("must be the path of nothing that exists"),
    ),
    ("path_not_directory", Plain("must be the path of a folder")),
    ("path_not_file", Plain("must be the path of a file")),
    ("path_not_socket", Plain("must be the path of a socket")),
    ("path_type", Plain("must be a path")),
    ("pattern_bytes_type", PATTERN),
    ("pattern_regex", PATTERN),
    ("pattern_str_type", PATTERN),
    ("pattern_type", PATTERN),
    ("payment_card_number_brand", CARD),
    ("payment_card_number_digits", CARD),
    ("payment_card_number_luhn", CARD),
    ("predicate_failed", REFUSED),
    ("range", Plain("is outside the allowed range")),
    ("recursion_depth_exceeded", Plain("is nested too deeply")),
    ("recursion_loop", Plain("must not contain itself")),
    ("regex", Plain("does not match the expected pattern")),
    ("required", REQUIRED),
    ("sequence_str", Plain("must be an array, not a string")),
    (
        "set_item_not_hashable",
        Plain("must hold values that can be told apart in a set"),
    ),
    ("set_type", ARRAY),
    (
        "string_not_ascii",
        Plain("must hold nothing but ASCII characters"),
    ),
    (
        "string_pattern_mismatch",
        Filled(
            "must match the pattern {pattern}",
            "does not match the expected pattern",
        ),
    ),
    ("string_sub_type", STRING),
    (
        "string_too_long",
        Filled("must have at most {max_length#character}", "is too long"),
    ),
    (
        "string_too_short",
        Filled("must have at least {min_length#character}", "is too short"),
    ),
    ("string_type", STRING),
    ("string_unicode", Plain("must be a string of valid Unicode")),
    ("time_delta_parsing", DURATION),
    ("time_delta_type", DURATION),
    ("time_parsing", TIME),
    ("time_type", TIME),
    ("timezone_aware", Plain("must have a time zone")),
    ("timezone_naive", Plain("must have no time zone")),
    (
        "timezone_offset",
        Filled(
            "must have a UTC offset of {tz_expected#second}",
            "has another UTC offset than expected",
        ),
    ),
    (
        "too_long",
        Filled("must have at most {max_length#item}", "has too many items"),
    ),
    (
        "too_short",
        Filled("must have at least {min_length#item}", "has too few items"),
    ),
    ("tuple_type", ARRAY),
    (
        "unexpected_keyword_argument",
        Plain("is not a known argument"),
    ),
    (
        "unexpected_positional_argument",
        Plain("is one argument too many"),
    ),
    (
        "union_tag_invalid",
        Filled(
            "must have one of the tags {expected_tags}",
            "has an unknown tag",
        ),
    ),
    (
        "union_tag_not_found",
        Filled(
            "needs the tag {discriminator} that tells its kind",
            "has no tag that tells its kind",
        ),
    ),
    ("url", URL),
    ("url_parsing", URL),
    (
        "url_scheme",
        Filled(
            "must be a URL whose scheme is {expected_schemes}",
            "is a URL whose scheme is not allowed",
        ),
    ),
    (
        "url_syntax_violation",
        Plain("must be a URL in strict form"),
    ),
    (
        "url_too_long",
        Filled("must have at most {max_length#character}", "is too long"),
    ),
    ("url_type", URL),
    ("uuid_parsing", UUID),
    ("uuid_type", UUID),
    (
        "uuid_version",
        Filled(
            "must be a UUID of version {expected_version}",
            "is a UUID of another version than expected",
        ),
    ),
    ("value_error", REFUSED),
    (
        "zoneinfo_str",
        Plain("must be the name of a time zone such as Europe/Berlin"),
    ),
];

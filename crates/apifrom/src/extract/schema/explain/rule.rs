//! The name that pydantic-core has for what a keyword refuses.

use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::{listed, texts};
use crate::violation::ContextValue;

/// A rule, and its figures.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// Which of several rules about one value is told: the lowest.
    pub(super) rank: usize,
    pub(super) context: Vec<(&'static str, ContextValue<'static>)>,
}

impl Rule {
    fn plain(rank: usize, name: &'static str) -> Self {
        Self {
            name,
            rank,
            context: Vec::new(),
        }
    }

    fn with(
        rank: usize,
        name: &'static str,
        figure: &'static str,
        value: ContextValue<'static>,
    ) -> Self {
        Self {
            name,
            rank,
            context: vec![(figure, value)],
        }
    }
}

/// What `kind` says about a value of `schema`.
pub(super) fn rule(kind: &Kind, schema: &Value) -> Rule {
    match kind {
        Kind::Type { .. } => wrong_kind(schema),
        Kind::Enum { .. } | Kind::Constant { .. } => one_of(schema),
        Kind::MultipleOf { multiple_of } => Rule::with(
            2,
            "multiple_of",
            "multiple_of",
            ContextValue::Number(*multiple_of),
        ),
        Kind::Maximum { limit } => Rule::with(3, "less_than_equal", "le", figure(limit)),
        Kind::ExclusiveMaximum { limit } => Rule::with(4, "less_than", "lt", figure(limit)),
        Kind::Minimum { limit } => Rule::with(5, "greater_than_equal", "ge", figure(limit)),
        Kind::ExclusiveMinimum { limit } => Rule::with(6, "greater_than", "gt", figure(limit)),
        Kind::MaxLength { limit } => sized(7, "string_too_long", "max_length", *limit),
        Kind::MinLength { limit } => sized(8, "string_too_short", "min_length", *limit),
        Kind::Pattern { pattern } => Rule::with(
            9,
            "string_pattern_mismatch",
            "pattern",
            ContextValue::Text(pattern.clone().into()),
        ),
        Kind::Format { format } => Rule::plain(10, wrong_format(format)),
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            sized(11, "too_long", "max_length", *limit)
        }
        Kind::AdditionalItems { limit } => sized(
            11,
            "too_long",
            "max_length",
            u64::try_from(*limit).unwrap_or(u64::MAX),
        ),
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            sized(12, "too_short", "min_length", *limit)
        }
        // pydantic-core has no name for what is left: uniqueness, `not`, `contains`.
        _ => Rule::plain(13, "value_error"),
    }
}

/// What is wrong with a value that serde refused and the schema did not, by the schema at its
/// place.
pub(in crate::extract) fn wrong_at(schema: Option<&Value>) -> &'static str {
    let Some(schema) = schema else {
        return "value_error";
    };
    match schema
        .get("format")
        .and_then(Value::as_str)
        .map(wrong_format)
    {
        Some(name) if name != "value_error" => name,
        _ if schema.get("type").is_none() || texts(schema).is_some() => "value_error",
        _ => wrong_kind(schema).name,
    }
}

fn sized(rank: usize, name: &'static str, figure: &'static str, limit: u64) -> Rule {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Rule::with(rank, name, figure, ContextValue::Integer(limit))
}

fn figure(limit: &Value) -> ContextValue<'static> {
    match (limit.as_i64(), limit.as_f64()) {
        (Some(number), _) => ContextValue::Integer(number),
        (None, Some(number)) if !limit.is_u64() => ContextValue::Number(number),
        _ => ContextValue::Text(limit.to_string().into()),
    }
}

/// A value of another kind than the schema's.
fn wrong_kind(schema: &Value) -> Rule {
    if texts(schema).is_some() {
        return one_of(schema);
    }
    let has = |keyword: &str| schema.get(keyword).is_some();
    Rule::plain(
        0,
        match kind(schema) {
            "integer" => "int_type",
            "number" => "float_type",
            "boolean" => "bool_type",
            "string" => match schema.get("format").and_then(Value::as_str) {
                Some("date-time") => "datetime_type",
                Some("date") => "date_type",
                Some("time") => "time_type",
                Some("duration") => "time_delta_type",
                Some("uuid") => "uuid_type",
                Some("uri") => "url_type",
                _ => "string_type",
            },
            "array" if has("prefixItems") => "tuple_type",
            "array" if has("uniqueItems") => "set_type",
            "array" => "list_type",
            "object" if has("additionalProperties") && !has("properties") => "dict_type",
            "object" => "model_type",
            "null" => "none_required",
            _ => "value_error",
        },
    )
}

/// The first kind that is not null.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

fn one_of(schema: &Value) -> Rule {
    match texts(schema) {
        Some(texts) => Rule::with(
            1,
            "enum",
            "expected",
            ContextValue::Text(listed(&texts, " or ").into()),
        ),
        None => Rule::plain(1, "enum"),
    }
}

fn wrong_format(format: &str) -> &'static str {
    match format {
        "email" | "idn-email" => "email",
        "date-time" => "datetime_parsing",
        "date" => "date_parsing",
        "time" => "time_parsing",
        "duration" => "time_delta_parsing",
        "uuid" => "uuid_parsing",
        "uri" => "url_parsing",
        "ip" => "ip_any_address",
        "ipv4" => "ip_v4_address",
        "ipv6" => "ip_v6_address",
        "regex" => "pattern_regex",
        _ => "value_error",
    }
}

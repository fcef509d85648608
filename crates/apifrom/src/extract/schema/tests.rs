use proptest::prelude::*;
use serde_json::{Number, json};

use super::*;

/// Schemas of every keyword that the program knows, and of some that it leaves to the validator.
fn schemas() -> Vec<Value> {
    vec![
        json!(true),
        json!(false),
        json!({}),
        json!({"title": "t", "description": "d", "default": 1}),
        json!({"type": "integer", "format": "uint8"}),
        json!({"type": "integer", "minimum": -2, "exclusiveMaximum": 3}),
        json!({"type": ["number", "null"], "exclusiveMinimum": -0.5, "maximum": 2.5}),
        json!({"type": "integer", "multipleOf": 2}),
        json!({"type": "number", "multipleOf": 0.5}),
        json!({"type": "string", "minLength": 1, "maxLength": 2}),
        json!({"type": "string", "pattern": "^a"}),
        json!({"type": "string", "format": "email"}),
        json!({"type": ["string", "null"], "format": "ipv4"}),
        json!({"type": "string", "enum": ["a", "ab"]}),
        json!({"type": ["string", "null"], "enum": ["a", null]}),
        json!({"const": "a"}),
        json!({"type": "string", "const": "a"}),
        json!({"enum": ["a", 1]}),
        json!({"minLength": 2, "minimum": 2, "minItems": 1, "minProperties": 1}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, true], "items": false}),
        json!({"type": "array", "uniqueItems": true}),
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": true},
            "required": ["a"]}),
        json!({"type": "object", "properties": {"a": true}, "additionalProperties": false,
            "maxProperties": 1}),
        json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}),
        json!({"type": "object", "required": ["c"]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1}]}),
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        json!({"oneOf": [{"const": "a"}, {"type": "object", "required": ["a"]}]}),
        json!({"not": {"type": "null"}}),
        json!({"type": "string", "allOf": [{"minLength": 2}]}),
        json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {
            "type": "object",
            "properties": {"a": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
                "b": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
            "additionalProperties": false,
        }}}),
        json!({"type": "object", "properties": {"a": {"not": {"$ref": "#/$defs/X"}}},
            "$defs": {"X": {"type": "integer"}}}),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3_i64..300).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-6_i32..12).prop_map(|half| {
            let number = Number::from_f64(f64::from(half) / 2.0);
            number.map_or(Value::Null, Value::Number)
        }),
        "[abä]{0,3}".prop_map(Value::String),
        Just(json!("a@b.example")),
        Just(json!("127.0.0.1")),
        Just(json!(1e300)),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_program_and_the_validator_never_disagree(value in value()) {
        let text = value.to_string();
        for schema in schemas() {
            let schema = Schema::new(schema).unwrap();
            prop_assert_eq!(
                schema.accepts(text.as_bytes()),
                schema.validator.is_valid(&value),
                "{} under {}", text, schema.text
            );
        }
    }

    #[test]
    fn whatever_is_refused_has_a_reason(value in value()) {
        for schema in schemas() {
            let schema = Schema::new(schema).unwrap();
            let faults = schema.faults(&value);
            prop_assert_eq!(
                schema.validator.is_valid(&value),
                faults.is_empty(),
                "{} under {}", value, schema.text
            );
            for fault in faults {
                let words = crate::violation::message(&fault.kind, &());
                prop_assert!(words.is_some(), "{} has no words", fault.kind);
            }
        }
    }
}

#[test]
fn the_types_of_rust_bound_what_is_read_as_them() {
    let accepts = |schema: Value, text: &str| Schema::new(schema).unwrap().accepts(text.as_bytes());
    assert!(accepts(
        json!({"type": "integer", "format": "uint8"}),
        "255"
    ));
    assert!(!accepts(
        json!({"type": "integer", "format": "uint8"}),
        "256"
    ));
    assert!(!accepts(
        json!({"type": ["integer", "null"], "format": "int8"}),
        "128"
    ));
    assert!(!accepts(
        json!({"type": "integer", "format": "int64"}),
        "9223372036854775808"
    ));
    assert!(accepts(
        json!({"type": "integer", "format": "uint64"}),
        "18446744073709551615"
    ));
    assert!(!accepts(
        json!({"type": "number", "format": "float"}),
        "1e39"
    ));
    assert!(accepts(
        json!({"type": "number", "format": "double"}),
        "1e39"
    ));
    // A narrower bound of the program's own stays.
    let narrow = json!({"type": "integer", "format": "uint8", "maximum": 7});
    assert!(!accepts(narrow, "8"));
}

#[test]
fn a_name_of_a_field_that_is_a_number_is_no_index() {
    let schema = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    let faults = Schema::new(schema).unwrap().faults(&json!({"7": "x"}));
    let loc: Vec<_> = faults.into_iter().map(|fault| fault.loc).collect();
    assert_eq!(loc, [vec![crate::violation::LocItem::client("7")]]);
}

#[test]
fn a_schema_that_cannot_be_used_says_why() {
    let error = Schema::new(json!({"type": "string", "pattern": "("}))
        .err()
        .unwrap();
    assert!(error.contains("JSON Schema"), "{error}");
}

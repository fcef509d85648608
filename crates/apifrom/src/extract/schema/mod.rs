//! Holds a JSON value against the schema of the type that it is read as.
//!
//! serde alone is too kind a judge: it takes an array for a struct, knows nothing of lengths and
//! bounds, and stops at the first fault. The schema that the endpoint publishes decides as well:
//! 1. Every text is held against it while it is read ([`shape`]): nothing that the schema says is
//!    merely documentation.
//! 2. Only for a text that is refused a tree is built, and every fault in it is named
//!    ([`explain`]), by the names that pydantic-core has for the rules.
//!
//! The schema comes from the type's `JsonSchema`; `#[validate(…)]` and `#[schemars(…)]` put
//! lengths, bounds, patterns and formats into it. What the numbers of Rust's own types allow is
//! added here.
//!
//! # Deployment
//! `#[serde(alias = "…")]` is not part of a schema, so a body that uses the alias is refused.

mod explain;
mod place;
mod shape;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use self::shape::Shape;

pub(super) use self::explain::{Found, wrong_at};
pub(super) use self::place::{Step, below, solid};

/// The schema of a type, ready to judge.
pub(super) struct Schema {
    text: Value,
    validator: jsonschema::Validator,
    shape: Shape,
}

impl Schema {
    /// The schema of what `T` is read from.
    ///
    /// # Errors
    /// When the schema itself is wrong, in words.
    pub(super) fn of<T: JsonSchema>() -> Result<Self, String> {
        let generator = SchemaSettings::draft2020_12()
            .for_deserialize()
            .into_generator();
        Self::new(generator.into_root_schema_for::<T>().to_value())
    }

    fn new(mut text: Value) -> Result<Self, String> {
        bound_numbers(&mut text);
        let validator = compiled(&text)?;
        let shape = Shape::compile(&text)?;
        Ok(Self {
            text,
            validator,
            shape,
        })
    }

    /// True when the JSON text `bytes` is what the schema allows.
    pub(super) fn accepts(&self, bytes: &[u8]) -> bool {
        self.shape.accepts(bytes)
    }

    /// True when the value may be null.
    pub(super) fn is_nullable(&self) -> bool {
        self.validator.is_valid(&Value::Null)
    }

    /// Everything in `value` that the schema does not allow.
    pub(super) fn faults(&self, value: &Value) -> Vec<Found> {
        explain::faults(&self.text, &self.validator, value)
    }

    /// The schema as JSON.
    pub(super) fn text(&self) -> &Value {
        &self.text
    }

    /// The schema of the value itself, without references and a null beside it.
    pub(super) fn root(&self) -> &Value {
        self.solid(&self.text)
    }

    /// What `schema`, a part of this one, is without references and a null beside it.
    pub(super) fn solid<'s>(&'s self, schema: &'s Value) -> &'s Value {
        solid(&self.text, schema)
    }
}

/// Compiles a schema, with the formats as Rust's types and the `validator` crate see them.
fn compiled(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("email", is_email)
        .with_format("ip", |text: &str| text.parse::<std::net::IpAddr>().is_ok())
        .build(schema)
        .map_err(|error| format!("its JSON Schema cannot be used: {error}"))
}

fn is_email(text: &str) -> bool {
    validator::ValidateEmail::validate_email(&text)
}

/// Writes the range of Rust's number types into the schema, where it has no narrower one.
fn bound_numbers(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let range = object.get("format").and_then(Value::as_str).and_then(range);
            if let Some((least, most)) = range.filter(|_| is_number(object)) {
                object.entry("minimum").or_insert(least);
                object.entry("maximum").or_insert(most);
            }
            object.values_mut().for_each(bound_numbers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_numbers),
        _ => {}
    }
}

fn is_number(schema: &Map<String, Value>) -> bool {
    let is_number = |kind: &Value| kind == "integer" || kind == "number";
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_number),
        Some(kind) => is_number(kind),
        None => false,
    }
}

fn range(format: &str) -> Option<(Value, Value)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (u8::MIN.into(), u8::MAX.into()),
        "uint16" => (u16::MIN.into(), u16::MAX.into()),
        "uint32" => (u32::MIN.into(), u32::MAX.into()),
        "uint64" | "uint" => (u64::MIN.into(), u64::MAX.into()),
        // serde reads what is larger as infinite.
        "float" => (f32::MIN.into(), f32::MAX.into()),
        _ => return None,
    })
}

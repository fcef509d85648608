//! Reads JSON as a type, and says everything that is wrong with it.
//!
//! 1. serde reads the text, the type's schema judges it, and so does the type's `Validate`, where
//!    it has one.
//! 2. Where one of them refuses, the schema names every fault ([`super::schema`]); what `Validate`
//!    alone found is added; where neither knows a reason, serde's own becomes one.
//!
//! `Validate` can judge only what serde could read: next to a field of the wrong kind its findings
//! are missing.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use validator::ValidationErrors;

use super::convert::ScalarKind;
use super::schema::{Found, Schema};

mod refused;
mod validated;

/// The type's own judgement.
pub type Check<T> = fn(&T) -> Result<(), ValidationErrors>;

/// A type that a JSON body is read as: `Deserialize` and `JsonSchema`.
pub trait FromJson: DeserializeOwned + JsonSchema + Send + 'static {}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> FromJson for T {}

/// A type, ready to be read from JSON.
pub(super) struct Model<T> {
    schema: Schema,
    is_nullable: bool,
    check: Option<Check<T>>,
}

impl<T: FromJson> Model<T> {
    /// # Errors
    /// When the type's schema cannot be used, in words.
    pub(super) fn compile(check: Option<Check<T>>) -> Result<Self, String> {
        let schema = Schema::of::<T>().map_err(|why| format!("{}: {why}", T::schema_name()))?;
        let is_nullable = schema.is_nullable();
        Ok(Self {
            schema,
            is_nullable,
            check,
        })
    }

    /// Reads `bytes`, which were scanned.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<T, Vec<Found>> {
        let read = serde_json::from_slice::<T>(bytes);
        let accepted = self.schema.accepts(bytes);
        let judged = match (&read, self.check) {
            (Ok(value), Some(check)) => check(value),
            _ => Ok(()),
        };
        match (read, accepted, judged) {
            (Ok(value), true, Ok(())) => Ok(value),
            (_, _, judged) => Err(self.explain(bytes, judged.err())),
        }
    }

    #[cold]
    fn explain(&self, bytes: &[u8], judged: Option<ValidationErrors>) -> Vec<Found> {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let mut found = self.schema.faults(&value);
        if let Some(errors) = judged {
            validated::add(&mut found, &errors, self.schema.text(), &value);
        }
        if found.is_empty() {
            found.push(refused::by_serde::<T>(bytes, self.schema.text()));
        }
        found
    }

    /// True when the value may be null.
    pub(super) fn is_nullable(&self) -> bool {
        self.is_nullable
    }

    /// True for a type with fields.
    pub(super) fn is_object(&self) -> bool {
        let root = self.schema.root();
        root.get("type").is_some_and(|kind| kind == "object") || root.get("properties").is_some()
    }

    /// True when every name is a field, each with a value of one kind.
    pub(super) fn is_map(&self) -> bool {
        let others = self.schema.root().get("additionalProperties");
        others.is_some_and(|schema| *schema != Value::Bool(false))
    }

    /// True when names that are no fields are refused.
    pub(super) fn is_closed(&self) -> bool {
        let others = self.schema.root().get("additionalProperties");
        others.is_some_and(|schema| *schema == Value::Bool(false))
    }

    /// What the values of other names than the fields' are read as.
    pub(super) fn other_kind(&self) -> ScalarKind {
        let others = self.schema.root().get("additionalProperties");
        others.map_or(ScalarKind::Str, |schema| self.kind(schema).0)
    }

    /// The fields with what their texts are read as, and whether they are lists.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, ScalarKind, bool)> {
        let fields = self.schema.root().get("properties");
        fields
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let (kind, is_list) = self.kind(schema);
                (name.as_str(), kind, is_list)
            })
    }

    fn kind(&self, schema: &Value) -> (ScalarKind, bool) {
        let schema = self.schema.solid(schema);
        let named = |kinds: &[Value], name: &str| kinds.iter().any(|kind| kind == name);
        let kinds = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.as_slice(),
            Some(kind) => std::slice::from_ref(kind),
            None => &[],
        };
        if named(kinds, "array") {
            let items = schema.get("items").unwrap_or(&Value::Null);
            return (self.kind(items).0, true);
        }
        let kind = if named(kinds, "string") {
            ScalarKind::Str
        } else if named(kinds, "integer") {
            ScalarKind::Int
        } else if named(kinds, "number") {
            ScalarKind::Float
        } else if named(kinds, "boolean") {
            ScalarKind::Bool
        } else {
            ScalarKind::Str
        };
        (kind, false)
    }
}

//! Walks a schema along the way that a validator went.

use jsonschema::paths::Location;
use serde_json::Value;

/// Where a keyword stands that refused a value.
pub(super) struct Place<'s> {
    /// The schema that holds the keyword.
    pub(super) schema: &'s Value,
    /// The positions of the fields on the way, in the order of their declaration.
    pub(super) order: Vec<usize>,
}

impl<'s> Place<'s> {
    /// Follows `way`, the evaluation path of an error on the value at `instance`.
    pub(super) fn find(root: &'s Value, way: &Location, instance: &Location) -> Self {
        let steps: Vec<String> = way.iter().map(|segment| segment.to_string()).collect();
        let mut values = instance.iter().map(|segment| segment.to_string());
        let mut schema = root;
        let mut order = Vec::new();
        let mut steps = steps.iter().peekable();
        while let Some(keyword) = steps.next() {
            // The last step is the keyword that refused.
            if steps.peek().is_none() {
                break;
            }
            let Some(below) = schema.get(keyword) else {
                break;
            };
            match keyword.as_str() {
                "$ref" => schema = resolved(root, schema),
                "properties" | "patternProperties" | "dependentSchemas" => {
                    let Some(name) = steps.next() else { break };
                    order.push(position(below, name));
                    values.next();
                    schema = below.get(name).unwrap_or(below);
                }
                "prefixItems" => {
                    let Some(index) = steps.next() else { break };
                    order.push(
                        values
                            .next()
                            .as_deref()
                            .and_then(number)
                            .unwrap_or(usize::MAX),
                    );
                    schema = number(index)
                        .and_then(|index| below.get(index))
                        .unwrap_or(below);
                }
                "anyOf" | "oneOf" | "allOf" => {
                    let Some(index) = steps.next() else { break };
                    schema = number(index)
                        .and_then(|index| below.get(index))
                        .unwrap_or(below);
                }
                "items"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "contains" => {
                    order.push(
                        values
                            .next()
                            .as_deref()
                            .and_then(number)
                            .unwrap_or(usize::MAX - 1),
                    );
                    schema = below;
                }
                _ => schema = below,
            }
        }
        Self { schema, order }
    }

    /// The position of the field `name` among the declared ones.
    pub(super) fn position(&self, name: &str) -> usize {
        self.schema
            .get("properties")
            .map_or(usize::MAX, |declared| position(declared, name))
    }
}

/// The schema that `schema` refers to, or itself when it refers to none.
pub(super) fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut found = schema;
    // A reference to a reference is rare, and a ring of them would be an error at start.
    for _ in 0..8 {
        let Some(target) = found.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let pointer = target.strip_prefix('#').unwrap_or(target);
        let Some(next) = root.pointer(pointer) else {
            break;
        };
        found = next;
    }
    found
}

/// The schema of the value at `way` below `schema`, as far as it can be told without the value.
pub(in crate::extract) fn below<'s>(
    root: &'s Value,
    schema: &'s Value,
    step: &Step<'_>,
) -> Option<&'s Value> {
    let schema = solid(root, schema);
    let found = match step {
        Step::Field(name) => schema
            .get("properties")
            .and_then(|fields| fields.get(name))
            .or_else(|| schema.get("additionalProperties")),
        Step::Index(index) => schema
            .get("prefixItems")
            .and_then(|items| items.get(*index))
            .or_else(|| schema.get("items")),
    };
    found.map(|found| solid(root, found))
}

/// One step into a value.
#[derive(Clone, Copy)]
pub(in crate::extract) enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

/// What a schema is once references and a null beside it are taken off.
pub(in crate::extract) fn solid<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let schema = resolved(root, schema);
    let branches = schema
        .get("anyOf")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut others = branches.iter().filter(|branch| !is_null(branch));
    match (others.next(), others.next()) {
        (Some(only), None) => resolved(root, only),
        _ => schema,
    }
}

/// True for the schema of null alone.
pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn position(fields: &Value, name: &str) -> usize {
    fields
        .as_object()
        .and_then(|fields| fields.keys().position(|known| known == name))
        // What is not declared is told before what is, as pydantic does.
        .map_or(0, |position| position + 1)
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok()
}

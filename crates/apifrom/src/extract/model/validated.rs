//! What a type's `Validate` found, added to what its schema knows.
//!
//! 1. A value that the schema refused is not told twice, whatever else is wrong with it.
//! 2. What concerns a value as a whole is told once nothing in it is wrong.
//! 3. `Validate` speaks of fields by their names in Rust; they are told by their names on the wire,
//!    which is found by the ways in which serde renames, or else by the value.
//! 4. A message that the program gave is passed on as it is; the code is its rule.

use std::borrow::Cow;

use serde_json::Value;
use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::extract::schema::{Found, Step, below, solid};
use crate::violation::{LocItem, message};

/// The field under which a type's own check stands.
const WHOLE: &str = "__all__";

/// The field under which `validator` puts the items of a list that is judged by itself.
const ITEMS: &str = "_tmp_validator";

/// Adds what `errors` hold about `value`, which `schema` describes.
pub(super) fn add(
    found: &mut Vec<Found>,
    errors: &ValidationErrors,
    schema: &Value,
    value: &Value,
) {
    let mut collector = Collector {
        root: schema,
        found: Vec::new(),
    };
    let place = At {
        schema: Some(solid(schema, schema)),
        value: Some(value),
        loc: Vec::new(),
        order: Vec::new(),
    };
    collector.object(errors, &place);
    let known: Vec<Vec<LocItem>> = found.iter().map(|fault| fault.loc.clone()).collect();
    for fault in collector.found {
        let is_told = known.iter().any(|known| known.starts_with(&fault.loc));
        if !is_told {
            found.push(fault);
        }
    }
    found.sort_by(|a, b| a.order.cmp(&b.order));
}

struct Collector<'v> {
    root: &'v Value,
    found: Vec<Found>,
}

/// A value, what describes it, and the way to it.
struct At<'v> {
    schema: Option<&'v Value>,
    value: Option<&'v Value>,
    loc: Vec<LocItem>,
    order: Vec<usize>,
}

impl<'v> Collector<'v> {
    fn object(&mut self, errors: &ValidationErrors, at: &At<'v>) {
        for (field, kind) in errors.errors() {
            match (field.as_ref(), kind) {
                (ITEMS, ValidationErrorsKind::List(_)) => self.kind(kind, at),
                (WHOLE, ValidationErrorsKind::Field(faults)) => {
                    // Rule 2.
                    if errors.errors().len() == 1 {
                        for fault in faults {
                            self.fault(fault, at);
                        }
                    }
                }
                (field, kind) => {
                    let wire = wire_name(field, kind, at);
                    let below = self.field(&wire, at);
                    self.kind(kind, &below);
                }
            }
        }
    }

    fn kind(&mut self, kind: &ValidationErrorsKind, at: &At<'v>) {
        match kind {
            ValidationErrorsKind::Field(faults) => {
                for fault in faults {
                    self.fault(fault, at);
                }
            }
            ValidationErrorsKind::Struct(errors) => self.object(errors, at),
            ValidationErrorsKind::List(items) => {
                for (index, errors) in items {
                    let below = self.item(*index, at);
                    self.object(errors, &below);
                }
            }
        }
    }

    fn fault(&mut self, fault: &ValidationError, at: &At<'v>) {
        let msg = fault
            .message
            .clone()
            .or_else(|| message(&fault.code, &()))
            .unwrap_or(Cow::Borrowed("is not acceptable"));
        let mut found = Found::new(at.loc.clone(), "value_error", &[]);
        found.kind.clone_from(&fault.code);
        found.msg = msg;
        found.order.clone_from(&at.order);
        self.found.push(found);
    }

    fn field(&self, name: &str, at: &At<'v>) -> At<'v> {
        let position = names(at.schema).position(|known| known == name);
        At {
            schema: at
                .schema
                .and_then(|schema| below(self.root, schema, &Step::Field(name))),
            value: at.value.and_then(|value| value.get(name)),
            loc: extended(&at.loc, LocItem::client(name)),
            order: extended(
                &at.order,
                position.map_or(usize::MAX, |position| position + 1),
            ),
        }
    }

    fn item(&self, index: usize, at: &At<'v>) -> At<'v> {
        At {
            schema: at
                .schema
                .and_then(|schema| below(self.root, schema, &Step::Index(index))),
            value: at.value.and_then(|value| value.get(index)),
            loc: extended(&at.loc, LocItem::Index(index)),
            order: extended(&at.order, index),
        }
    }
}

fn extended<T: Clone>(way: &[T], step: T) -> Vec<T> {
    let mut way = way.to_vec();
    way.push(step);
    way
}

fn names(schema: Option<&Value>) -> impl Iterator<Item = &str> {
    schema
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|fields| fields.keys().map(String::as_str))
}

/// The name on the wire of the field that Rust calls `field`.
fn wire_name<'f>(field: &'f str, kind: &ValidationErrorsKind, at: &At<'f>) -> Cow<'f, str> {
    let field = field.strip_prefix("r#").unwrap_or(field);
    let renamed = [
        Cow::Borrowed(field),
        Cow::Owned(camel(field)),
        Cow::Owned(pascal(field)),
        Cow::Owned(field.replace('_', "-")),
        Cow::Owned(field.to_uppercase()),
        Cow::Owned(field.to_uppercase().replace('_', "-")),
    ];
    for candidate in renamed {
        if names(at.schema).any(|known| known == candidate) {
            return candidate;
        }
    }
    // A name of its own: the value that was judged tells it, if no other field fits as well.
    let mut alike = names(at.schema).filter(|name| {
        let value = at.value.and_then(|value| value.get(name));
        value.is_some_and(|value| fits(kind, value))
    });
    match (alike.next(), alike.next()) {
        (Some(name), None) => Cow::Borrowed(name),
        _ => Cow::Borrowed(field),
    }
}

/// True when `kind` can be what was found about `value`: the values that were judged are kept
/// beside the faults.
fn fits(kind: &ValidationErrorsKind, value: &Value) -> bool {
    match kind {
        ValidationErrorsKind::Field(faults) => faults
            .iter()
            .any(|fault| fault.params.get("value") == Some(value)),
        ValidationErrorsKind::Struct(errors) => value.as_object().is_some_and(|members| {
            let fields = errors.errors().iter().filter(|(name, _)| *name != WHOLE);
            let mut kinds = fields.map(|(_, kind)| kind);
            kinds.all(|kind| members.values().any(|member| fits(kind, member)))
        }),
        ValidationErrorsKind::List(items) => items.iter().all(|(index, errors)| {
            let inner = ValidationErrorsKind::Struct(errors.clone());
            value.get(index).is_some_and(|item| fits(&inner, item))
        }),
    }
}

fn pascal(field: &str) -> String {
    field
        .split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect::<String>())
                .unwrap_or_default()
        })
        .collect()
}

fn camel(field: &str) -> String {
    let pascal = pascal(field);
    let mut letters = pascal.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

//! A refusal of serde's that the schema has no reason for, as a fault.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::extract::schema::{Found, Step, below, wrong_at};
use crate::violation::LocItem;

/// What serde says about `bytes`. Its text is read, never passed on: it quotes the input.
pub(super) fn by_serde<T: DeserializeOwned>(bytes: &[u8], schema: &Value) -> Found {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut text) else {
        return Found::new(Vec::new(), "value_error", &[]);
    };
    let mut loc = Vec::new();
    let mut place = Some(schema);
    for segment in error.path() {
        let step = match segment {
            Segment::Seq { index } => {
                loc.push(LocItem::Index(*index));
                Step::Index(*index)
            }
            Segment::Map { key } => {
                loc.push(LocItem::client(key));
                Step::Field(key)
            }
            // The name of a variant is no step into the text.
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        place = place.and_then(|place| below(schema, place, &step));
    }
    let said = error.inner().to_string();
    if let Some(name) = quoted(&said, "missing field `") {
        loc.push(LocItem::client(name));
        return Found::new(loc, "missing", &[]);
    }
    if let Some(name) = quoted(&said, "unknown field `") {
        // serde names the way to the unknown field as well.
        if loc.last() != Some(&LocItem::client(name)) {
            loc.push(LocItem::client(name));
        }
        return Found::new(loc, "extra_forbidden", &[]);
    }
    let is_integer = place.is_some_and(|schema| wrong_at(Some(schema)) == "int_type");
    if is_integer && said.starts_with("invalid value: integer") {
        return Found::new(loc, "int_parsing_size", &[]);
    }
    Found::new(loc, wrong_at(place), &[])
}

/// The name behind `start`, up to the next backtick.
fn quoted<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(start)?;
    rest.split('`').next()
}

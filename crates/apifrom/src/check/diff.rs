//! Compares what protects an API with what was written down of it.
//!
//! 1. Each difference names where it is: the endpoint and the field.
//! 2. A difference is weaker where less is asked, less is told to browsers, or more is let through,
//!    whatever else is asked beside; it is stronger where the other way round. Whatever is neither for
//!    certain is changed.
//! 3. What an endpoint has in common with the whole API is written down once, and its difference named
//!    once.
//! 4. An endpoint that was not there before is weaker where everybody may call it and nobody said why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Posture;
use super::sense::{direction, directive, keys};

/// What an endpoint has in common with the whole API unless it says otherwise.
const SHARED: [&str; 7] = [
    "compression",
    "cors",
    "csrf",
    "https_redirect",
    "rate_limits",
    "security_headers",
    "timeout_ms",
];

/// Which way a difference goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More is asked than before.
    Stronger,
    /// It cannot be told.
    Changed,
    /// Less is asked than before.
    Weaker,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stronger => "stronger",
            Self::Changed => "changed",
            Self::Weaker => "weaker",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The endpoint, `GET /users/{id}`, or `api`.
    pub subject: String,
    /// The field: `auth[0].method.credential.jwt.verify_exp`.
    pub field: String,
    /// Which way it goes.
    pub direction: Direction,
    /// What was there, as JSON.
    pub before: String,
    /// What is there, as JSON.
    pub after: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            field,
            direction,
            before,
            after,
        } = self;
        write!(f, "{direction}: {subject}: {field}: {before} -> {after}")
    }
}

/// A text that is no posture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected what `apifrom posture` writes: {0}")]
pub struct PostureError(String);

/// What differs from `before` in `after`, both as [`Posture::lock`] writes them.
///
/// # Errors
/// [`PostureError`]: one of them is no posture.
pub fn compare(before: &str, after: &str) -> Result<Vec<Change>, PostureError> {
    let (before, after) = (Read::new(before)?, Read::new(after)?);
    let mut comparing = Comparing {
        subject: "api".to_owned(),
        changes: Vec::new(),
    };
    comparing.value("", &before.api, &after.api);
    for (place, route) in &before.routes {
        place.clone_into(&mut comparing.subject);
        match after.routes.get(place) {
            Some(now) => {
                let (mut route, mut now) = (route.clone(), now.clone());
                for field in SHARED {
                    let is_shared = route.get(field) == before.api.get(field)
                        && now.get(field) == after.api.get(field);
                    if let (true, Some(route), Some(now)) =
                        (is_shared, route.as_object_mut(), now.as_object_mut())
                    {
                        route.remove(field);
                        now.remove(field);
                    }
                }
                comparing.value("", &route, &now);
            }
            None => comparing.note("", Direction::Changed, "there", "gone"),
        }
    }
    for (place, route) in &after.routes {
        if !before.routes.contains_key(place) {
            place.clone_into(&mut comparing.subject);
            let is_open = route.get("public").is_none_or(Value::is_null)
                && route
                    .get("auth")
                    .and_then(Value::as_array)
                    .is_none_or(Vec::is_empty);
            let (direction, what) = if is_open {
                (Direction::Weaker, "there, and open to everybody")
            } else {
                (Direction::Changed, "there")
            };
            comparing.note("", direction, "not there", what);
        }
    }
    Ok(comparing.changes)
}

/// A posture that was read.
struct Read {
    api: Value,
    routes: BTreeMap<String, Value>,
}

impl Read {
    fn new(text: &str) -> Result<Self, PostureError> {
        let wrong = |why: &str| PostureError(why.to_owned());
        let read: Value =
            serde_json::from_str(text).map_err(|error| PostureError(error.to_string()))?;
        let api = read.get("api").filter(|api| api.is_object());
        let api = api.ok_or_else(|| wrong("api is missing"))?.clone();
        let listed = read.get("routes").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| wrong("routes is missing"))?;
        let mut routes = BTreeMap::new();
        for route in listed {
            let template = route.get("route").and_then(Value::as_str);
            let methods = route.get("methods").and_then(Value::as_array);
            let (Some(template), Some(methods)) = (template, methods) else {
                return Err(wrong("an endpoint has no route, or no methods"));
            };
            // Methods that were told apart since must still be found.
            for method in methods {
                let method = method
                    .as_str()
                    .ok_or_else(|| wrong("a method is no text"))?;
                let mut one = route.clone();
                if let Some(fields) = one.as_object_mut() {
                    fields.remove("methods");
                    fields.remove("name");
                    for field in SHARED {
                        let shared = api.get(field).cloned().unwrap_or_default();
                        fields.entry(field).or_insert(shared);
                    }
                }
                routes.insert(format!("{method} {template}"), one);
            }
        }
        Ok(Self { api, routes })
    }
}

struct Comparing {
    subject: String,
    changes: Vec<Change>,
}

impl Comparing {
    fn note(&mut self, field: &str, direction: Direction, before: &str, after: &str) {
        self.changes.push(Change {
            subject: self.subject.clone(),
            field: field.to_owned(),
            direction,
            before: before.to_owned(),
            after: after.to_owned(),
        });
    }

    fn value(&mut self, path: &str, before: &Value, after: &Value) {
        if before == after {
            return;
        }
        if let (Value::Object(before), Value::Object(after)) = (before, after) {
            return self.object(path, before, after);
        }
        let field = path.rsplit('.').next().unwrap_or_default();
        let field = field.split('[').next().unwrap_or_default();
        if let ("csp", Value::Array(before), Value::Array(after)) = (field, before, after) {
            return self.policy(path, before, after);
        }
        if let (Value::Array(before), Value::Array(after)) = (before, after)
            && before.len() == after.len()
            && before.iter().chain(after).all(Value::is_object)
        {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                self.value(&format!("{path}[{index}]"), before, after);
            }
            return;
        }
        let direction = direction(field, before, after);
        self.note(path, direction, &before.to_string(), &after.to_string());
    }

    /// A content policy: its directives by name, wherever in the policy they stand.
    fn policy(&mut self, path: &str, before: &[Value], after: &[Value]) {
        let by_name = |policy: &[Value]| -> BTreeMap<String, Value> {
            let pair = |one: &Value| {
                let name = one.get("name")?.as_str()?.to_owned();
                Some((name, one.get("values")?.clone()))
            };
            policy.iter().filter_map(pair).collect()
        };
        let (before, after) = (by_name(before), by_name(after));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                let direction = directive(name, &before, &after);
                let shown = |value: Option<&Value>| value.unwrap_or(&Value::Null).to_string();
                let field = format!("{path}.{name}");
                self.note(&field, direction, &shown(old), &shown(new));
            }
        }
    }

    fn object(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let of_keys = keys(before, after);
        for name in names {
            let inner = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let before = before.get(name).unwrap_or(&Value::Null);
            let after = after.get(name).unwrap_or(&Value::Null);
            if let ("digests", Some(direction)) = (name.as_str(), of_keys)
                && before != after
            {
                self.note(&inner, direction, &before.to_string(), &after.to_string());
                continue;
            }
            self.value(&inner, before, after);
        }
    }
}

/// A posture as text, its names sorted.
pub(super) fn sorted(posture: &Posture) -> String {
    // Every field has a form in JSON.
    let mut value = serde_json::to_value(posture).unwrap_or_default();
    let api = value.get("api").cloned().unwrap_or_default();
    let routes = value.get_mut("routes").and_then(Value::as_array_mut);
    for route in routes
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        // What decides, and in which order, follows from the other fields.
        route.remove("stages");
        for field in SHARED {
            if route.get(field) == api.get(field) {
                route.remove(field);
            }
        }
    }
    let mut text = serde_json::to_string_pretty(&by_name(value)).unwrap_or_default();
    text.push('\n');
    text
}

fn by_name(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(by_name).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            let fields = fields.into_iter();
            Value::Object(fields.map(|(name, value)| (name, by_name(value))).collect())
        }
        plain => plain,
    }
}

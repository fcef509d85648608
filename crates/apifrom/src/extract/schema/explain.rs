//! Names what is wrong with a value, by the rules' names in pydantic-core.
//!
//! 1. A value that breaks several rules is told the first alone, in pydantic-core's order: its
//!    kind, then its bounds, then its pattern or format.
//! 2. Fields are told in the order of their declaration, unknown ones first.
//! 3. Of the branches of a union, the one that the value's own tag names is told; null is no
//!    branch of its own; without a tag each branch is told, under its name.
//! 4. No wording holds anything of the value.

use std::borrow::Cow;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use super::place::{Place, is_null, resolved};
use crate::violation::{ContextValue, LocItem, Location, Violation, message};

mod rule;
mod union;

pub(in crate::extract) use self::rule::wrong_at;
use self::rule::{Rule, rule};

/// One fault, and where it belongs among the others.
pub(in crate::extract) struct Found {
    /// The way below the value that was judged.
    pub(in crate::extract) loc: Vec<LocItem>,
    pub(in crate::extract) kind: Cow<'static, str>,
    pub(in crate::extract) msg: Cow<'static, str>,
    pub(in crate::extract) order: Vec<usize>,
    /// Which of several rules about one value is told.
    rank: usize,
}

impl Found {
    /// A fault by a rule's own name, in the words of the catalogue.
    pub(in crate::extract) fn new(
        loc: Vec<LocItem>,
        kind: &'static str,
        context: &[(&str, ContextValue<'_>)],
    ) -> Self {
        let msg = match kind {
            // What pydantic says of an address, in the catalogue's words.
            "email" => message("email", context),
            kind => message(kind, context),
        };
        Self {
            loc,
            kind: Cow::Borrowed(if kind == "email" { "value_error" } else { kind }),
            msg: msg.unwrap_or(Cow::Borrowed("is not acceptable")),
            order: Vec::new(),
            rank: 0,
        }
    }

    /// The violation, its place below `location`.
    pub(in crate::extract) fn at(self, location: Location) -> Violation {
        let mut loc = Vec::with_capacity(self.loc.len() + 1);
        loc.push(location.into());
        loc.extend(self.loc);
        Violation::with_message(loc, self.kind, self.msg)
    }
}

/// Everything in `value` that `validator`, compiled from `schema`, does not allow.
pub(super) fn faults(schema: &Value, validator: &Validator, value: &Value) -> Vec<Found> {
    let mut explanation = Explanation {
        root: schema,
        value,
        found: Vec::new(),
    };
    // A list of many thousand faulty items is told as far as an answer would hold it.
    for error in validator.iter_errors(value).take(MAX_ERRORS) {
        explanation.add(&error, None);
    }
    explanation.finished()
}

/// How many errors are looked at: more than an answer holds, since one value may have several.
const MAX_ERRORS: usize = 400;

struct Explanation<'v> {
    root: &'v Value,
    value: &'v Value,
    found: Vec<Found>,
}

impl Explanation<'_> {
    /// Names what `error` says, with the union's branch that it was found in.
    fn add(&mut self, error: &ValidationError<'_>, branch: Option<&Branch<'_>>) {
        let place = Place::find(self.root, error.evaluation_path(), error.instance_path());
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.union(error, &place, context, branch);
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let found = Found::new(Vec::new(), "missing", &[]);
                self.below(error, &place, name, found, branch);
            }
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    let found = Found::new(Vec::new(), "extra_forbidden", &[]);
                    self.below(error, &place, name, found, branch);
                }
            }
            kind => {
                let Rule {
                    name,
                    rank,
                    context,
                } = rule(kind, resolved(self.root, place.schema));
                let mut found = Found::new(self.loc(error, branch), name, &context);
                found.rank = rank;
                found.order = place.order;
                self.found.push(found);
            }
        }
    }

    /// Adds a fault of the member `name` of the object that `error` is about.
    fn below(
        &mut self,
        error: &ValidationError<'_>,
        place: &Place<'_>,
        name: &str,
        mut found: Found,
        branch: Option<&Branch<'_>>,
    ) {
        found.loc = self.loc(error, branch);
        found.loc.push(LocItem::client(name));
        found.order.clone_from(&place.order);
        found.order.push(place.position(name));
        self.found.push(found);
    }

    /// The way to the value that `error` is about.
    fn loc(&self, error: &ValidationError<'_>, branch: Option<&Branch<'_>>) -> Vec<LocItem> {
        let mut value = Some(self.value);
        let mut loc = Vec::new();
        for segment in error.instance_path() {
            if let Some(branch) = branch.filter(|branch| branch.depth == loc.len()) {
                loc.push(LocItem::client(branch.label));
            }
            let step = segment.to_string();
            let index = match value {
                Some(Value::Array(_)) => step.parse::<usize>().ok(),
                _ => None,
            };
            value = match index {
                Some(index) => value.and_then(|value| value.get(index)),
                None => value.and_then(|value| value.get(&step)),
            };
            // A key may be the client's own, so every name is treated as one.
            loc.push(index.map_or_else(|| LocItem::client(&step), LocItem::Index));
        }
        if let Some(branch) = branch.filter(|branch| branch.depth == loc.len()) {
            loc.push(LocItem::client(branch.label));
        }
        loc
    }

    /// The faults in their order, one for each value.
    fn finished(self) -> Vec<Found> {
        let mut found = self.found;
        found.sort_by(|a, b| a.order.cmp(&b.order).then(a.rank.cmp(&b.rank)));
        let mut kept: Vec<Found> = Vec::with_capacity(found.len());
        for fault in found {
            if !kept.iter().rev().any(|known| known.loc == fault.loc) {
                kept.push(fault);
            }
        }
        // A list is told how many items it lacks once those that are there are right.
        let deeper = |fault: &Found, kept: &[Found]| {
            kept.iter()
                .any(|other| other.loc.len() > fault.loc.len() && other.loc.starts_with(&fault.loc))
        };
        let spare: Vec<bool> = kept
            .iter()
            .map(|fault| fault.kind == "too_short" && deeper(fault, &kept))
            .collect();
        let mut spare = spare.into_iter();
        kept.retain(|_| !spare.next().unwrap_or(false));
        kept
    }
}

/// A branch of a union without tags: its name stands in the way to what is wrong.
struct Branch<'l> {
    label: &'l str,
    depth: usize,
}

/// True for a schema that allows texts of a list alone.
fn texts(schema: &Value) -> Option<Vec<&str>> {
    let object: &Map<String, Value> = schema.as_object()?;
    if let Some(text) = object.get("const") {
        return Some(vec![text.as_str()?]);
    }
    object
        .get("enum")?
        .as_array()?
        .iter()
        .map(Value::as_str)
        .collect()
}

/// `'a', 'b' or 'c'`, as pydantic lists what it expected.
fn listed(texts: &[&str], last: &str) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    match quoted.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, rest)) => format!("{}{last}{end}", rest.join(", ")),
        None => String::new(),
    }
}

/// True when the schema is of null alone, through a reference too.
fn is_null_branch(root: &Value, schema: &Value) -> bool {
    is_null(resolved(root, schema))
}

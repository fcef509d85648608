//! Which branch of a union is told.

use jsonschema::ValidationError;
use serde_json::Value;

use super::{Branch, Explanation, Found, Place, is_null_branch, listed, resolved, texts};
use crate::violation::ContextValue;

impl Explanation<'_> {
    /// Names what is wrong with a value that no branch takes; `context` holds what each says.
    pub(super) fn union(
        &mut self,
        error: &ValidationError<'_>,
        place: &Place<'_>,
        context: &[Vec<ValidationError<'static>>],
        branch: Option<&Branch<'_>>,
    ) {
        let root = self.root;
        let instance = error.instance().as_ref();
        let branches: Vec<(&Value, &[ValidationError<'static>])> = place
            .schema
            .get("anyOf")
            .or_else(|| place.schema.get("oneOf"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .zip(context)
            .filter(|(schema, _)| !is_null_branch(root, schema))
            .map(|(schema, errors)| (resolved(root, schema), errors.as_slice()))
            .collect();
        if let [(_, errors)] = branches.as_slice() {
            return errors.iter().for_each(|error| self.add(error, branch));
        }
        let schemas: Vec<&Value> = branches.iter().map(|(schema, _)| *schema).collect();
        let all_texts: Option<Vec<Vec<&str>>> = schemas.iter().map(|s| texts(s)).collect();
        if let Some(texts) = all_texts {
            let expected = listed(&texts.concat(), " or ");
            let context = [("expected", ContextValue::Text(expected.into()))];
            return self.push(error, place, branch, "enum", &context);
        }
        if let Some(tag) = inner_tag(&schemas) {
            return self.tagged(error, place, branch, tag, &branches, instance);
        }
        if let Some(names) = schemas
            .iter()
            .map(|s| outer_tags(s))
            .collect::<Option<Vec<_>>>()
        {
            let chosen = instance
                .as_object()
                .and_then(|members| members.keys().next())
                .and_then(|tag| names.iter().position(|names| names.contains(&tag.as_str())));
            if let Some((_, errors)) = chosen.and_then(|chosen| branches.get(chosen)) {
                return errors.iter().for_each(|error| self.add(error, branch));
            }
            return self.unknown_tag(error, place, branch, &names.concat());
        }
        let depth = error.instance_path().iter().count();
        for (schema, errors) in &branches {
            let label = label(place.schema, schema, root);
            let named = Branch { label, depth };
            errors
                .iter()
                .for_each(|error| self.add(error, Some(&named)));
        }
    }

    /// A union whose branches each have their own text in the field `tag`.
    fn tagged(
        &mut self,
        error: &ValidationError<'_>,
        place: &Place<'_>,
        branch: Option<&Branch<'_>>,
        tag: &str,
        branches: &[(&Value, &[ValidationError<'static>])],
        instance: &Value,
    ) {
        let Some(members) = instance.as_object() else {
            return self.push(error, place, branch, "model_type", &[]);
        };
        let Some(sent) = members.get(tag) else {
            let context = [(
                "discriminator",
                ContextValue::Text(format!("'{tag}'").into()),
            )];
            return self.push(error, place, branch, "union_tag_not_found", &context);
        };
        let chosen = branches
            .iter()
            .find(|(schema, _)| constant(schema, tag).is_some_and(|known| sent == known));
        if let Some((_, errors)) = chosen {
            for error in *errors {
                self.add(error, branch);
            }
        } else {
            let known: Vec<&str> = branches
                .iter()
                .filter_map(|(schema, _)| constant(schema, tag))
                .collect();
            self.unknown_tag(error, place, branch, &known);
        }
    }

    fn unknown_tag(
        &mut self,
        error: &ValidationError<'_>,
        place: &Place<'_>,
        branch: Option<&Branch<'_>>,
        known: &[&str],
    ) {
        let expected = listed(known, ", ");
        let context = [("expected_tags", ContextValue::Text(expected.into()))];
        self.push(error, place, branch, "union_tag_invalid", &context);
    }

    fn push(
        &mut self,
        error: &ValidationError<'_>,
        place: &Place<'_>,
        branch: Option<&Branch<'_>>,
        kind: &'static str,
        context: &[(&str, ContextValue<'_>)],
    ) {
        let mut found = Found::new(self.loc(error, branch), kind, context);
        found.order.clone_from(&place.order);
        self.found.push(found);
    }
}

/// The field in which every branch has a text of its own.
fn inner_tag<'s>(branches: &[&'s Value]) -> Option<&'s str> {
    let first = branches.first()?.get("properties")?.as_object()?;
    first.keys().map(String::as_str).find(|name| {
        branches
            .iter()
            .all(|branch| constant(branch, name).is_some())
    })
}

/// The one text that `schema` allows in the field `name`.
fn constant<'s>(schema: &'s Value, name: &str) -> Option<&'s str> {
    schema.get("properties")?.get(name)?.get("const")?.as_str()
}

/// The names that tell the branch `schema` of an enum whose tag stands outside: its texts, or its
/// one field.
fn outer_tags(schema: &Value) -> Option<Vec<&str>> {
    if let Some(texts) = texts(schema) {
        return Some(texts);
    }
    let fields = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match (fields.keys().next(), required.as_slice()) {
        (Some(name), [only]) if fields.len() == 1 && only == name => Some(vec![name]),
        _ => None,
    }
}

/// What a branch is called: its type's name, or the kind of its values.
fn label<'s>(union: &'s Value, branch: &'s Value, root: &Value) -> &'s str {
    let reference = union
        .get("anyOf")
        .or_else(|| union.get("oneOf"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|schema| std::ptr::eq(resolved(root, schema), branch))
        .and_then(|schema| schema.get("$ref")?.as_str()?.rsplit('/').next());
    let kind = branch
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    reference.unwrap_or(match kind {
        "integer" => "int",
        "number" => "float",
        "boolean" => "bool",
        "string" => "str",
        "array" => "list",
        _ => branch
            .get("title")
            .and_then(Value::as_str)
            .unwrap_or("dict"),
    })
}

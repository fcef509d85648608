//! Which attributes may stand on the function, and on its parameters.
//!
//! An attribute that nobody reads could look like a protection, so an unknown one is a mistake.

use syn::{Attribute, Path};

use crate::protections::Kind;

/// Attributes of the language that change nothing about an endpoint.
const INERT: &[&str] = &[
    "allow",
    "cfg",
    "deny",
    "deprecated",
    "doc",
    "expect",
    "forbid",
    "inline",
    "must_use",
    "warn",
];

/// Tools whose attributes change nothing either.
const TOOLS: &[&str] = &["clippy", "rustfmt"];

/// What an attribute on the function is to `#[api]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Left where it is.
    Inert,
    /// Left where it is, and repeated on what is generated: the lot of the function.
    Condition,
    /// Says who may call: read, and taken off.
    Protection(Kind),
    /// `#[api]` itself.
    Api,
    /// Not known.
    Unknown,
}

/// The one list of what may stand beneath `#[api]`.
pub(crate) fn role(attribute: &Attribute) -> Role {
    let path = attribute.path();
    let Some(last) = path.segments.last() else {
        return Role::Unknown;
    };
    if last.ident == "api" {
        return Role::Api;
    }
    if let Some(kind) = Kind::of(path) {
        return Role::Protection(kind);
    }
    match path.get_ident() {
        Some(name) if name == "cfg" => Role::Condition,
        Some(name) if INERT.iter().any(|inert| name == inert) => Role::Inert,
        None if is_of_a_tool(path) => Role::Inert,
        _ => Role::Unknown,
    }
}

/// The names that a mistake lists.
pub(crate) fn allowed() -> String {
    let ours = Kind::ALL.map(Kind::name);
    [INERT, &ours].concat().join(", ")
}

/// True for the attributes of the language that may stand on a parameter.
pub(crate) fn is_inert(attribute: &Attribute) -> bool {
    matches!(role(attribute), Role::Inert)
}

fn is_of_a_tool(path: &Path) -> bool {
    path.segments
        .first()
        .is_some_and(|tool| TOOLS.iter().any(|known| tool.ident == known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn what_changes_nothing_may_stay_and_the_rest_is_unknown() {
        assert_eq!(role(&parse_quote!(#[doc = "text"])), Role::Inert);
        assert_eq!(
            role(&parse_quote!(#[clippy::cognitive_complexity = "9"])),
            Role::Inert
        );
        assert_eq!(role(&parse_quote!(#[cfg(unix)])), Role::Condition);
        assert_eq!(role(&parse_quote!(#[apifrom::api(route = "/")])), Role::Api);
        assert_eq!(
            role(&parse_quote!(#[jwt_requird(secret = "")])),
            Role::Unknown
        );
        assert_eq!(role(&parse_quote!(#[other::doc])), Role::Unknown);
    }

    #[test]
    fn what_says_who_may_call_is_known_by_its_own_paths_alone() {
        for attribute in [
            parse_quote!(#[jwt_required(secret = "")]),
            parse_quote!(#[apifrom::jwt_required(secret = "")]),
            parse_quote!(#[::apifrom::security::jwt_required(secret = "")]),
        ] {
            assert_eq!(role(&attribute), Role::Protection(Kind::Jwt));
        }
        assert_eq!(role(&parse_quote!(#[other::jwt_required])), Role::Unknown);
    }
}

//! Which attributes may stand on the function, and on its parameters.
//!
//! An attribute that nobody reads could look like a protection, so an unknown one is a mistake.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ItemFn, Path};

use crate::protections::Kind;
use crate::surround::Surrounding;

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
    /// Says what surrounds a call: read, and taken off.
    Surrounding(Surrounding),
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
    if let Some(kind) = Surrounding::of(path) {
        return Role::Surrounding(kind);
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
    let protections = Kind::ALL.map(Kind::name);
    let surround = Surrounding::ALL.map(Surrounding::name);
    [INERT, &protections, &surround].concat().join(", ")
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

/// An attribute that can be expanded before `#[api]`.
pub(crate) struct Above {
    name: &'static str,
    /// The module that it is exported from.
    home: &'static str,
    /// What it does on an endpoint.
    says: &'static str,
}

impl From<Kind> for Above {
    fn from(kind: Kind) -> Self {
        Self {
            name: kind.name(),
            home: "security",
            says: "who may call an endpoint",
        }
    }
}

impl From<Surrounding> for Above {
    fn from(kind: Surrounding) -> Self {
        Self {
            name: kind.name(),
            home: "middleware",
            says: "what surrounds the calls of an endpoint",
        }
    }
}

/// What an attribute does that is expanded before `#[api]`: it moves itself below, where `#[api]`
/// reads it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is made in place, from a kind"
)]
pub(crate) fn above(attribute: Above, options: &TokenStream, item: &TokenStream) -> TokenStream {
    let Above { name, home, says } = attribute;
    let mistake = |mistake: syn::Error| {
        let mistake = mistake.into_compile_error();
        quote!(#item #mistake)
    };
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message = format!("`#[{name}]` stands on a function with `#[api(…)]`; {error}");
            return mistake(syn::Error::new(error.span(), message));
        }
    };
    let Some(place) = function
        .attrs
        .iter()
        .position(|attribute| role(attribute) == Role::Api)
    else {
        let message = format!(
            "`#[{name}]` does nothing here: it says {says}, and this function has no `#[api(…)]`"
        );
        return mistake(syn::Error::new(Span::call_site(), message));
    };
    let api = function.attrs.remove(place);
    let [home, attribute] = [home, name].map(|name| Ident::new(name, Span::call_site()));
    quote! {
        #api
        #[::apifrom::#home::#attribute(#options)]
        #function
    }
}

/// Uses the names that attributes were written with.
pub(crate) fn imports(paths: &[Path]) -> TokenStream {
    let uses = paths.iter().map(|path| {
        let written = path.to_token_stream();
        quote_spanned!(path.span()=> use #written as _;)
    });
    uses.collect()
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
        assert_eq!(
            role(&parse_quote!(#[apifrom::middleware::rate_limit("1/second")])),
            Role::Surrounding(Surrounding::RateLimit)
        );
        assert_eq!(
            role(&parse_quote!(#[security::rate_limit("1/second")])),
            Role::Unknown
        );
    }
}

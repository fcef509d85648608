//! The function beneath `#[api]`: what it may be, and what its parameters say.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, FnArg, Ident, ItemFn, LitStr, Meta, Pat, PatType, Safety, Type, parse_quote,
};

use crate::attributes::{Role, allowed, is_inert, role};
use crate::mistakes::Mistakes;
use crate::options::literal;

/// What a parameter may look like.
const PARAMETER_FORM: &str = "expected `name: Type`, or an extractor taken apart like \
     `Json(user): Json<User>`";

/// One parameter of the function.
pub(crate) struct Parameter {
    /// Its name, which the template and the wire know as well.
    pub(crate) name: String,
    /// The type that is extracted: what is behind the reference, where there is one.
    pub(crate) ty: Type,
    /// True when the function takes it by reference.
    pub(crate) by_reference: bool,
    /// The name on the wire, where it is not the parameter's.
    pub(crate) wire: Option<LitStr>,
    /// What it is when the request does not say.
    pub(crate) default: Option<Expr>,
    /// Where it is written.
    pub(crate) span: Span,
}

/// Checks the function and takes our own attributes off it.
pub(crate) fn read(function: &mut ItemFn, mistakes: &mut Mistakes) -> Vec<Parameter> {
    check_attributes(function, mistakes);
    check_signature(function, mistakes);
    let mut parameters: Vec<Parameter> = Vec::new();
    for input in &mut function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => mistakes.at(
                receiver,
                "an endpoint is a plain `fn` outside of any `impl`, without `self`; what handlers \
                 share comes as `State<T>`",
            ),
            FnArg::Typed(typed) => parameters.extend(parameter(typed, mistakes)),
        }
    }
    parameters
}

fn check_attributes(function: &mut ItemFn, mistakes: &mut Mistakes) {
    for attribute in &function.attrs {
        match role(attribute) {
            Role::Inert | Role::Condition | Role::Protection(_) | Role::Surrounding(_) => {}
            Role::Api => mistakes.at(
                attribute,
                "`#[api]` stands twice; for several methods write `methods = [\"GET\", \"POST\"]`",
            ),
            Role::Unknown => mistakes.at(
                attribute,
                format!(
                    "`#[api]` does not know this attribute, and what it means here might be lost; \
                     known are: {}",
                    allowed()
                ),
            ),
        }
    }
    // A second one would only repeat the mistakes of the first.
    function
        .attrs
        .retain(|attribute| role(attribute) != Role::Api);
}

fn check_signature(function: &ItemFn, mistakes: &mut Mistakes) {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        mistakes.at(
            &signature.generics,
            "an endpoint has no generic parameters: requests do not say which type is meant",
        );
    } else if let Some(clause) = &signature.generics.where_clause {
        mistakes.at(clause, "an endpoint has no `where` clause");
    }
    if let Some(token) = &signature.constness {
        mistakes.at(
            token,
            "an endpoint is a plain `fn` or `async fn`, not `const`",
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        mistakes.at(
            token,
            "an endpoint is a plain `fn` or `async fn`: no request can promise what `unsafe` asks",
        );
    }
    if let Some(abi) = &signature.abi {
        mistakes.at(
            abi,
            "an endpoint is a plain `fn` or `async fn`, not `extern`",
        );
    }
    if let Some(variadic) = &signature.variadic {
        mistakes.at(variadic, "an endpoint has a fixed list of parameters");
    }
}

fn parameter(typed: &mut PatType, mistakes: &mut Mistakes) -> Option<Parameter> {
    let span = typed.span();
    let (wire, default) = own_attributes(&mut typed.attrs, mistakes);
    let name = name(&typed.pat).map(|name| name.unraw().to_string());
    if name.is_none() {
        mistakes.at(
            &typed.pat,
            format!("this parameter has no name to find its value by; {PARAMETER_FORM}"),
        );
    }
    let (ty, by_reference) = extracted(&typed.ty, mistakes)?;
    Some(Parameter {
        name: name?,
        ty,
        by_reference,
        wire,
        default,
        span,
    })
}

/// `#[name("…")]` and `#[default(…)]`, taken off the parameter.
fn own_attributes(
    attributes: &mut Vec<Attribute>,
    mistakes: &mut Mistakes,
) -> (Option<LitStr>, Option<Expr>) {
    let mut wire = None;
    let mut default = None;
    attributes.retain(|attribute| {
        if attribute.path().is_ident("name") {
            match argument(attribute).as_ref().and_then(literal) {
                Some(text) if wire.is_none() && !text.value().is_empty() => wire = Some(text),
                _ => mistakes.at(attribute, "expected one `#[name(\"X-Request-Source\")]`"),
            }
            return false;
        }
        if attribute.path().is_ident("default") {
            match argument(attribute) {
                Some(value) if default.is_none() => default = Some(value),
                _ => mistakes.at(attribute, "expected one `#[default(10)]`"),
            }
            return false;
        }
        if !is_inert(attribute) {
            mistakes.at(
                attribute,
                "a parameter takes `#[name(\"…\")]` and `#[default(…)]`; `#[api]` does not know \
                 this attribute",
            );
            return false;
        }
        true
    });
    (wire, default)
}

/// The one expression in the parentheses of `attribute`.
fn argument(attribute: &Attribute) -> Option<Expr> {
    match &attribute.meta {
        Meta::List(list) => list.parse_args().ok(),
        _ => None,
    }
}

/// The name of a parameter: its own, or the one in `Json(user)`.
fn name(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(ident) if ident.subpat.is_none() => Some(&ident.ident),
        Pat::TupleStruct(parts) if parts.elems.len() == 1 => parts.elems.first().and_then(name),
        Pat::Paren(inner) => name(&inner.pat),
        _ => None,
    }
}

/// The type to extract, and whether the function takes it by reference.
fn extracted(ty: &Type, mistakes: &mut Mistakes) -> Option<(Type, bool)> {
    match ty {
        Type::ImplTrait(_) => {
            mistakes.at(
                ty,
                "an endpoint has no generic parameters: write the type in place of `impl`",
            );
            None
        }
        Type::Reference(reference) if reference.mutability.is_some() => {
            mistakes.at(
                ty,
                "a request is nobody's to change: take the parameter by value or by `&`",
            );
            None
        }
        Type::Reference(reference) => Some((owned(&reference.elem), true)),
        _ => Some((ty.clone(), false)),
    }
}

/// What can be extracted for a reference to `ty`.
fn owned(ty: &Type) -> Type {
    match ty {
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(::std::string::String),
        Type::Slice(slice) => {
            let element = &slice.elem;
            parse_quote!(::std::vec::Vec<#element>)
        }
        _ => ty.clone(),
    }
}

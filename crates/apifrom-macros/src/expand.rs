//! From a function to the endpoint that calls it.
//!
//! The function stays as it is. Beside it comes a type of the same name, which lives in another
//! namespace, so that `use users::create` brings both along and `endpoints![create]` finds it.
//!
//! What a parameter is depends on its type, which only the compiler knows. The code below
//! therefore asks it twice: by constants, for the mistakes that must be seen at compile time, and
//! by method look-up, for the source of the value (see `extract/via.rs`).

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, FnArg, ItemFn, Lit, ReturnType, Type};

use crate::attributes::{Role, role};
use crate::function::{self, Parameter};
use crate::mistakes::{FORM, Mistakes};
use crate::options::Options;
use crate::protections::Protections;
use crate::surround::Surround;
use crate::template::Template;

/// What `#[api(options)]` makes of `item`.
pub(crate) fn api(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = Options::parse(options, &mut mistakes);
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message = format!("`#[api]` stands on a function; {error}");
            mistakes.add(syn::Error::new(error.span(), message));
            let mistakes = mistakes.into_tokens();
            return quote!(#item #mistakes);
        }
    };
    let parameters = function::read(&mut function, &mut mistakes);
    let declared = Declared {
        protections: Protections::take(&mut function, &mut mistakes),
        surround: Surround::take(&mut function, &mut mistakes),
    };
    let endpoint = match &options.template {
        Some(template) => {
            check_captures(&parameters, template, &mut mistakes);
            mistakes
                .is_empty()
                .then(|| endpoint(&function, &options, template, &parameters, &declared))
        }
        None => None,
    };
    // With mistakes the endpoint has a place to be listed at and nothing behind it.
    let endpoint = endpoint.unwrap_or_else(|| quote!(::core::unreachable!()));
    let is_method = matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_)));
    let marker = (!is_method).then(|| marker(&function, &endpoint, &declared));
    let mistakes = mistakes.into_tokens();
    // Handlers take what they are given by value, and wait or not as they like.
    quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_async)]
        #function
        #marker
        #mistakes
    }
}

/// What other attributes than `#[api]` say.
struct Declared {
    protections: Protections,
    surround: Surround,
}

/// The type that stands for the endpoint.
fn marker(function: &ItemFn, endpoint: &TokenStream, declared: &Declared) -> TokenStream {
    let imports = [declared.protections.imports(), declared.surround.imports()];
    let visibility = &function.vis;
    let name = &function.sig.ident;
    let conditions: Vec<&Attribute> = function
        .attrs
        .iter()
        .filter(|attribute| role(attribute) == Role::Condition)
        .collect();
    quote! {
        #(#conditions)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code)]
        #visibility struct #name {}

        #(#conditions)*
        #[allow(
            deprecated, irrefutable_let_patterns, unused_imports, unused_mut, unused_variables, clippy::all, clippy::pedantic
        )]
        const _: () = {
            #(#imports)*
            use ::apifrom::__private as __api;
            use __api::{
                ViaBuiltIn as _, ViaCapture as _, ViaModel as _, ViaOwn as _, ViaParameter as _,
                ViaPathCapture as _, ViaValidated as _, ViaValidatedModel as _,
                NotBuiltIn as _, NotOwn as _, NotParameter as _,
                RespondJson as _, RespondMaybeJson as _, RespondResultJson as _, RespondSelf as _,
            };

            impl __api::Listed for #name {
                fn spec() -> __api::EndpointSpec {
                    #endpoint
                }
            }
        };
    }
}

/// Mistakes that the template brings to light.
fn check_captures(parameters: &[Parameter], template: &Template, mistakes: &mut Mistakes) {
    for parameter in parameters.iter().filter(|p| template.names(&p.name)) {
        let name = &parameter.name;
        if let Some(wire) = &parameter.wire {
            mistakes.at(
                wire,
                format!("`{name}` is a capture of the route, which names it: {FORM}"),
            );
        }
        if let Some(default) = &parameter.default {
            mistakes.at(
                default,
                format!("`{name}` is a capture of the route and never absent"),
            );
        }
    }
}

/// The expression that makes the endpoint's declaration.
fn endpoint(
    function: &ItemFn,
    options: &Options,
    template: &Template,
    parameters: &[Parameter],
    declared: &Declared,
) -> TokenStream {
    let arguments: Vec<Argument<'_>> = parameters
        .iter()
        .enumerate()
        .map(|(index, parameter)| Argument::new(index, parameter, template))
        .collect();
    let name = function.sig.ident.to_string();
    let checks = checks(&name, &arguments);
    let sources: Vec<_> = arguments.iter().map(|a| &a.source).collect();
    let declarations = arguments.iter().map(Argument::declaration);
    let handler = handler(function, &arguments);
    let route = &template.text;
    let methods = &options.methods;
    let max_body_size = options.max_body_size.iter();
    let protections = declared.protections.calls();
    let surround = declared.surround.calls();
    let may_be_file = may_be_file(function);
    quote! {
        #checks
        __api::EndpointSpec::new(#name, #route, [#(#methods),*], |__place| {
            #(#declarations)*
            let (#(::core::option::Option::Some(#sources),)*) = (#(#sources,)*) else {
                return ::core::option::Option::None;
            };
            let __limits = __api::Place::limits(__place);
            ::core::option::Option::Some(
                ::std::sync::Arc::new(#handler) as ::std::sync::Arc<dyn __api::Handler>
            )
        })
        .sends_files(#may_be_file)
        #(.max_body_size(#max_body_size))*
        #protections
        #surround
    }
}

/// Whether the function may return a file, as the type says that it returns: yes, where that cannot be
/// named here.
fn may_be_file(function: &ItemFn) -> TokenStream {
    match &function.sig.output {
        ReturnType::Default => quote!(false),
        ReturnType::Type(_, ty) => {
            let is_nameable =
                function.sig.generics.params.is_empty() && !holds_impl(ty.to_token_stream());
            if is_nameable && !matches!(**ty, Type::Never(_)) {
                quote!((&&&&__api::Answer::<#ty>::new()).__apifrom_may_be_file())
            } else {
                quote!(true)
            }
        }
    }
}

/// Whether `impl` or a macro stands anywhere in a type.
fn holds_impl(ty: TokenStream) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "impl" || word == "Self",
        TokenTree::Group(group) => holds_impl(group.stream()),
        TokenTree::Punct(mark) => mark.as_char() == '!',
        TokenTree::Literal(_) => false,
    })
}

/// One parameter, and the names that it goes by in the generated code.
struct Argument<'a> {
    parameter: &'a Parameter,
    is_capture: bool,
    kind: Ident,
    source: Ident,
    held: Ident,
    value: Ident,
}

impl<'a> Argument<'a> {
    fn new(index: usize, parameter: &'a Parameter, template: &Template) -> Self {
        Self {
            parameter,
            is_capture: template.names(&parameter.name),
            kind: format_ident!("__KIND_{index}"),
            // Mistakes about the type are told where it stands.
            source: format_ident!(
                "__source_{index}",
                span = Span::mixed_site().located_at(parameter.ty.span())
            ),
            held: format_ident!("__held_{index}", span = Span::mixed_site()),
            value: format_ident!("__value_{index}", span = Span::mixed_site()),
        }
    }

    /// The constant that says where the value comes from.
    fn kind(&self) -> TokenStream {
        let kind = &self.kind;
        if self.is_capture {
            return quote!(const #kind: __api::Kind = __api::Kind::Path;);
        }
        let ty = &self.parameter.ty;
        quote_spanned! {self.parameter.span=>
            const #kind: __api::Kind = __api::kind(
                <__api::Probe<#ty>>::BUILT_IN,
                <__api::Probe<#ty>>::OWN,
                <__api::Probe<#ty>>::PARAMETER,
            );
        }
    }

    /// The statement that makes the source, once the place of the endpoint is known.
    fn declaration(&self) -> TokenStream {
        let Parameter { name, ty, .. } = self.parameter;
        let source = &self.source;
        let declare = if self.is_capture {
            quote!((&&__api::Tag::<#ty>::new()).__apifrom_capture(#name))
        } else {
            quote!((&&&&&&__api::Tag::<#ty>::new()).__apifrom_parameter(#name))
        };
        let wire = self.parameter.wire.iter();
        let default = self.parameter.default.iter().map(value_of);
        quote_spanned! {self.parameter.span=>
            let #source = #declare;
            #(let #source = __api::Named::named(#source, #wire);)*
            #(let #source = __api::Defaulted::or(#source, || #default);)*
            let #source = __api::bind(#source, __place);
        }
    }

    /// What the function is called with.
    fn passed(&self) -> TokenStream {
        let value = &self.value;
        if self.parameter.by_reference {
            quote!(&#value)
        } else {
            value.to_token_stream()
        }
    }
}

/// A default as it is written, but text where a `String` is wanted.
fn value_of(default: &Expr) -> TokenStream {
    match default {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => quote!(::core::convert::From::from(#text)),
        _ => default.to_token_stream(),
    }
}

/// The constants, and the mistakes that they bring to light.
fn checks(function: &str, arguments: &[Argument<'_>]) -> TokenStream {
    let kinds = arguments.iter().map(Argument::kind);
    let strayed = arguments.iter().filter(|a| !a.is_capture).map(|argument| {
        let kind = &argument.kind;
        let name = &argument.parameter.name;
        let message = format!(
            "`{name}` is a `Path`, and the route has no `{{{name}}}`: a capture and its parameter \
             have one name"
        );
        quote_spanned!(argument.parameter.span=>
            const _: () = if #kind.is_path() { ::core::panic!("{}", #message) };
        )
    });
    let pairs = arguments.iter().enumerate().flat_map(|(index, second)| {
        arguments.iter().take(index).map(move |first| {
            let message = format!(
                "`{function}` takes two bodies, `{}` and `{}`: a request has one; gather them in \
                 one type, and take scalars and lists from the query",
                first.parameter.name, second.parameter.name,
            );
            let (one, other) = (&first.kind, &second.kind);
            quote_spanned!(second.parameter.span=>
                const _: () = if __api::exclude(#one, #other) { ::core::panic!("{}", #message) };
            )
        })
    });
    let all = arguments.iter().map(|a| &a.kind);
    quote! {
        #(#kinds)*
        #(#strayed)*
        #(#pairs)*
        const __BODY: ::core::option::Option<__api::Kind> = __api::body_of(&[#(#all),*]);
    }
}

/// The closure that answers a request.
///
/// The heads' values are taken at once. Where a body is read, or the function itself waits, the
/// rest becomes a future; everything else is answered on the spot.
fn handler(function: &ItemFn, arguments: &[Argument<'_>]) -> TokenStream {
    let name = &function.sig.ident;
    let passed = arguments.iter().map(Argument::passed);
    let dot_await = function.sig.asyncness.map(|_| quote!(.await));
    let call = quote! {
        let __answer = #name(#(#passed),*) #dot_await;
        (&&&&__api::answer_of(&__answer)).__apifrom_respond().with(__answer)
    };
    let at_once = if dot_await.is_some() {
        quote!(__api::Reply::wait(async move { #call }))
    } else {
        quote!(__api::Reply::Ready({ #call }))
    };
    let held = arguments.iter().map(|a| &a.held);
    let sources = arguments.iter().map(|a| &a.source);
    let refused = quote!(::core::result::Result::Err(__why));
    let refused_now = quote!(__api::Reply::Ready(#refused));
    let values_now = values(arguments, &refused_now);
    let values_later = values(arguments, &refused);
    quote! {
        move |__request: __api::Request| -> __api::Reply {
            let mut __faults = __api::Faults::new();
            #(let #held = __api::Source::take(&#sources, &__request, &mut __faults);)*
            if let ::core::option::Option::Some(__why) = __faults.refusal() {
                return #refused_now;
            }
            if __BODY.is_some() {
                __api::Reply::wait(async move {
                    let mut __rest = __api::Rest::read(__request, __BODY, __limits).await?;
                    #values_later
                    #call
                })
            } else {
                let mut __rest = __api::Rest::unread(__request);
                #values_now
                #at_once
            }
        }
    }
}

/// The statements that turn what is held into the values of the arguments, or end in `refused`
/// with everything that is wrong with the request as `__why`.
fn values(arguments: &[Argument<'_>], refused: &TokenStream) -> TokenStream {
    let held = arguments.iter().map(|a| &a.held);
    let values: Vec<_> = arguments.iter().map(|a| &a.value).collect();
    quote! {
        #(let #values = __api::Held::give(#held, &mut __rest, &mut __faults);)*
        let (#(::core::option::Option::Some(#values),)*) = (#(#values,)*) else {
            let __why = __faults.into_rejection();
            return #refused;
        };
    }
}

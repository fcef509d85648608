//! What stands in the parentheses of an attribute that says who may call.
//!
//! `#[jwt_required(base, option = value, …)]` becomes the builder that the option's names are methods
//! of: `base` or a new one, with each option set on it. Nothing is checked here that the builder
//! checks when the API is built.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprArray, ExprCall, ExprLit, Ident, Lit, Token};

use crate::entry::Entry;
use crate::mistakes::Mistakes;
use crate::options::literal;
use crate::protections::Kind;

/// How the value of an option is handed to the builder.
#[derive(Clone, Copy)]
enum Shape {
    /// As it is.
    Plain,
    /// One name, or a list of them, whose builder method has this name.
    OneOrAll(&'static str),
    /// One name, or a list of which each is added.
    OneOrEach,
    /// A name, or `None`.
    Optional,
    /// A number of seconds, or a `Duration`.
    Seconds,
}

const JWT: &[(&str, Shape)] = &[
    ("secret", Shape::Plain),
    ("algorithm", Shape::OneOrAll("algorithms")),
    ("token_location", Shape::Plain),
    ("header_name", Shape::Plain),
    ("header_type", Shape::Plain),
    ("verify_exp", Shape::Plain),
    ("verify_aud", Shape::Plain),
    ("verify_iss", Shape::Plain),
    ("verify_sub", Shape::Plain),
    ("verify_jti", Shape::Plain),
    ("verify_at_hash", Shape::Plain),
    ("keys", Shape::Plain),
    ("jwks_url", Shape::Plain),
    ("stale_max", Shape::Seconds),
    ("query_name", Shape::Plain),
    ("cookie_name", Shape::Plain),
    ("audience", Shape::OneOrEach),
    ("issuer", Shape::OneOrEach),
    ("leeway", Shape::Seconds),
    ("access_token_header", Shape::Plain),
    ("access_token_cookie", Shape::Plain),
    ("scopes", Shape::Plain),
    ("roles", Shape::Plain),
    ("roles_claim", Shape::Plain),
    ("realm", Shape::Plain),
    ("name", Shape::Plain),
];

const API_KEY: &[(&str, Shape)] = &[
    ("api_keys", Shape::Plain),
    ("scopes", Shape::Plain),
    ("header_name", Shape::Optional),
    ("query_param_name", Shape::Optional),
    ("cookie_name", Shape::Optional),
    ("lookup", Shape::Plain),
    ("cache_ttl", Shape::Seconds),
    ("realm", Shape::Plain),
    ("name", Shape::Plain),
];

const BASIC: &[(&str, Shape)] = &[
    ("credentials", Shape::Plain),
    ("lookup", Shape::Plain),
    ("cache_ttl", Shape::Seconds),
    ("realm", Shape::Plain),
    ("name", Shape::Plain),
];

const OAUTH2: &[(&str, Shape)] = &[
    ("scopes", Shape::Plain),
    ("token_url", Shape::Plain),
    ("client_id", Shape::Plain),
    ("client_secret", Shape::Plain),
    ("offered_scopes", Shape::Plain),
    ("issuer", Shape::Plain),
    ("jwks_url", Shape::Plain),
    ("introspection_url", Shape::Plain),
    ("audience", Shape::Plain),
    ("token_types", Shape::Plain),
    ("cache_ttl", Shape::Seconds),
    ("stale_max", Shape::Seconds),
    ("realm", Shape::Plain),
    ("name", Shape::Plain),
];

/// What is an option and no method of the builder.
fn own_options(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::OAuth2 => &["config", "policy", "hide"],
        Kind::Several => &["auth_methods", "require_all", "policy", "hide"],
        Kind::Public => &["reason"],
        Kind::Jwt | Kind::ApiKey | Kind::Basic | Kind::Protect => &["policy", "hide"],
    }
}

fn builder_options(kind: Kind) -> &'static [(&'static str, Shape)] {
    match kind {
        Kind::Jwt => JWT,
        Kind::ApiKey => API_KEY,
        Kind::Basic => BASIC,
        Kind::OAuth2 => OAUTH2,
        Kind::Several | Kind::Protect | Kind::Public => &[],
    }
}

/// One attribute, read.
pub(crate) struct Declaration {
    kind: Kind,
    base: Option<Expr>,
    options: Vec<(Ident, Shape, Expr)>,
    own: Vec<(Ident, Expr)>,
    /// The methods that `multi_auth_required` combines, where they are listed.
    methods: Option<Vec<Listed>>,
}

/// One of several methods.
enum Listed {
    /// Written like an attribute.
    Declared(Declaration),
    /// A value.
    Value(Expr),
}

impl Declaration {
    /// Reads what stands in the parentheses; everything that is wrong goes to `mistakes`.
    pub(crate) fn parse(
        kind: Kind,
        tokens: TokenStream,
        place: &impl Spanned,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let entries = match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("{error}; {}", kind.form());
                mistakes.add(syn::Error::new(error.span(), message));
                return None;
            }
        };
        let mut read = Self {
            kind,
            base: None,
            options: Vec::new(),
            own: Vec::new(),
            methods: None,
        };
        if entries.is_empty() {
            mistakes.at(
                place,
                format!("`{}` says nothing; {}", kind.name(), kind.form()),
            );
            return None;
        }
        for (index, entry) in entries.into_iter().enumerate() {
            match entry {
                Entry::Base(base) => read.add_base(index, base, mistakes),
                Entry::Option(key, value) => read.add_option(key, value, mistakes),
            }
        }
        read.check(place, mistakes);
        Some(read)
    }

    fn add_base(&mut self, index: usize, base: Expr, mistakes: &mut Mistakes) {
        let form = self.kind.form();
        if matches!(self.kind, Kind::Several | Kind::Public) {
            mistakes.at(&base, form);
        } else if index > 0 {
            mistakes.at(
                &base,
                format!("what the options are added to stands first, and alone; {form}"),
            );
        } else {
            self.base = Some(base);
        }
    }

    fn add_option(&mut self, key: Ident, value: Expr, mistakes: &mut Mistakes) {
        let kind = self.kind;
        let name = key.unraw().to_string();
        if self.has(&name) {
            return mistakes.at(&key, format!("`{name}` stands twice"));
        }
        if name == "auth_methods"
            && let Expr::Array(ExprArray { elems, .. }) = &value
        {
            let methods = elems.iter().filter_map(|one| Listed::read(one, mistakes));
            self.methods = Some(methods.collect());
        }
        let known = builder_options(kind)
            .iter()
            .find(|(known, _)| *known == name);
        if let Some((_, shape)) = known {
            if let (Shape::OneOrEach, Expr::Array(ExprArray { elems, .. })) = (shape, &value)
                && elems.is_empty()
            {
                return mistakes.at(&value, format!("`{name}` needs at least one"));
            }
            self.options.push((key, *shape, value));
        } else if own_options(kind).contains(&name.as_str()) {
            self.own.push((key, value));
        } else {
            let names: Vec<_> = builder_options(kind)
                .iter()
                .map(|(name, _)| *name)
                .collect();
            let names = [own_options(kind), &names].concat().join(", ");
            mistakes.at(
                &key,
                format!(
                    "`{}` has no option `{name}`; there are: {names}",
                    kind.name()
                ),
            );
        }
    }

    fn check(&self, place: &impl Spanned, mistakes: &mut Mistakes) {
        let form = self.kind.form();
        let missing = match self.kind {
            Kind::Several if !self.has("auth_methods") => Some("auth_methods"),
            Kind::Public if !self.has("reason") => Some("reason"),
            Kind::Protect if self.base.is_none() => Some("protection"),
            _ => None,
        };
        if let Some(missing) = missing {
            mistakes.at(
                place,
                format!("`{}` needs a `{missing}`; {form}", self.kind.name()),
            );
        }
        if let Some(hide) = self.own("hide")
            && !self.has("policy")
        {
            mistakes.at(
                hide,
                "`hide` is for what `policy` denies, and there is none",
            );
        }
        if let (Some(config), Some(_)) = (self.own("config"), &self.base) {
            mistakes.at(
                config,
                format!("`config` stands beside a first value; {form}"),
            );
        }
        if let Some(reason) = self.own("reason")
            && literal(reason).is_some_and(|reason| reason.value().trim().is_empty())
        {
            mistakes.at(reason, format!("`reason` is empty; {form}"));
        }
        if self.methods.as_ref().is_some_and(Vec::is_empty) {
            mistakes.at(place, format!("`auth_methods` lists no method; {form}"));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.own(name).is_some() || self.options.iter().any(|(key, ..)| key == name)
    }

    fn own(&self, name: &str) -> Option<&Expr> {
        self.own
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Under which name a handler finds what it proves, where that can be told from what is written;
    /// the inner `None` is the name that it has by itself.
    #[expect(
        clippy::option_option,
        reason = "a name that is not known is not a name that is absent"
    )]
    pub(crate) fn fixed_name(&self) -> Option<Option<String>> {
        let has_one = matches!(
            self.kind,
            Kind::Jwt | Kind::ApiKey | Kind::Basic | Kind::OAuth2
        );
        if !has_one || self.base.is_some() || self.has("config") {
            return None;
        }
        let Some((.., name)) = self.options.iter().find(|(key, ..)| key == "name") else {
            return Some(None);
        };
        literal(name).map(|name| Some(name.value()))
    }

    /// What the endpoint is told.
    pub(crate) fn access(&self) -> Access {
        Access {
            kind: self.kind,
            value: match self.kind {
                Kind::Public => self.own("reason").to_token_stream(),
                _ => self.protection(),
            },
            policy: self.own("policy").cloned(),
            hide: self.own("hide").cloned(),
        }
    }

    /// The expression that makes the protection.
    fn protection(&self) -> TokenStream {
        let builder = self.kind.builder();
        let base = self.base.as_ref().or_else(|| self.own("config"));
        match self.kind {
            Kind::Protect => quote!(__api::Protection::from(#base)),
            Kind::Several => {
                let methods = if let Some(listed) = &self.methods {
                    let listed = listed.iter().map(Listed::protection);
                    quote!(::std::vec![#(#listed),*])
                } else {
                    let given = self.own("auth_methods");
                    quote!(::core::iter::Iterator::collect(
                        ::core::iter::IntoIterator::into_iter(#given)
                    ))
                };
                let all = self.own("require_all");
                let all = all.map_or_else(|| quote!(false), ToTokens::to_token_stream);
                quote!(if #all {
                    __api::Protection::All(#methods)
                } else {
                    __api::Protection::Any(#methods)
                })
            }
            _ => {
                let start = base.map_or_else(
                    || quote!(<#builder>::new()),
                    |base| quote!({ let __base: #builder = #base; __base }),
                );
                let set = self
                    .options
                    .iter()
                    .map(|(key, shape, value)| shape.set(key, value));
                quote!(__api::Protection::from(#start #(#set)*))
            }
        }
    }
}

impl Listed {
    fn read(element: &Expr, mistakes: &mut Mistakes) -> Option<Self> {
        if let Expr::Call(ExprCall { func, args, .. }) = element
            && let Expr::Path(path) = &**func
            && let Some(kind) = Kind::of(&path.path)
        {
            if kind == Kind::Public {
                mistakes.at(element, "`public` is no method; leave the others away");
                return None;
            }
            let read = Declaration::parse(kind, args.to_token_stream(), element, mistakes)?;
            for option in ["policy", "hide"] {
                if let Some(value) = read.own(option) {
                    mistakes.at(
                        value,
                        format!("`{option}` stands on the attribute itself, beside `auth_methods`"),
                    );
                }
            }
            return Some(Self::Declared(read));
        }
        Some(Self::Value(element.clone()))
    }

    fn protection(&self) -> TokenStream {
        match self {
            Self::Declared(declaration) => declaration.protection(),
            Self::Value(value) => quote!(__api::Protection::from(#value)),
        }
    }
}

impl Shape {
    /// The call that sets one option.
    fn set(self, key: &Ident, value: &Expr) -> TokenStream {
        match (self, value) {
            (Self::OneOrAll(all), Expr::Array(_)) => {
                let all = format_ident!("{all}", span = key.span());
                quote!(.#all(#value))
            }
            (Self::OneOrEach, Expr::Array(ExprArray { elems, .. })) => {
                let elems = elems.iter();
                quote!(#(.#key(#elems))*)
            }
            (Self::Optional, value) if !is_option(value) => {
                quote!(.#key(::core::option::Option::Some(#value)))
            }
            (
                Self::Seconds,
                Expr::Lit(ExprLit {
                    lit: Lit::Int(seconds),
                    ..
                }),
            ) => quote!(.#key(::core::time::Duration::from_secs(#seconds))),
            _ => quote!(.#key(#value)),
        }
    }
}

/// True for what is written as `None` or `Some(…)`.
fn is_option(value: &Expr) -> bool {
    match value {
        Expr::Path(path) => path.path.is_ident("None"),
        Expr::Call(call) => matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Some")),
        _ => false,
    }
}

/// What an endpoint is told about who may call.
pub(crate) struct Access {
    kind: Kind,
    value: TokenStream,
    policy: Option<Expr>,
    hide: Option<Expr>,
}

impl Access {
    /// The calls on an `EndpointSpec`.
    pub(crate) fn call(&self) -> TokenStream {
        let value = &self.value;
        if self.kind == Kind::Public {
            return quote!(.public(#value));
        }
        let name = self.kind.name();
        let policy = self.policy.iter();
        let hide = self.hide.as_ref();
        let hide = hide.map_or_else(|| quote!(false), ToTokens::to_token_stream);
        quote! {
            .declare(#name, || ::core::result::Result::Ok(#value))
            #(.policy(#policy, #hide))*
        }
    }
}

//! The attributes that say what surrounds the calls of one endpoint.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, ItemFn, Meta, Path, Token};

use crate::attributes::{Role, imports, role};
use crate::entry::Entry;
use crate::mistakes::Mistakes;
use crate::options::literal;

/// One attribute about what surrounds a call, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surrounding {
    Compression,
    Cors,
    CsrfExempt,
    RateLimit,
    SecurityHeaders,
    Timeout,
}

impl Surrounding {
    /// All of them, in the order in which mistakes list them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Compression,
        Self::Cors,
        Self::CsrfExempt,
        Self::RateLimit,
        Self::SecurityHeaders,
        Self::Timeout,
    ];

    /// What it is called, on the function and on the endpoint.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compression => "compression",
            Self::Cors => "cors",
            Self::CsrfExempt => "csrf_exempt",
            Self::RateLimit => "rate_limit",
            Self::SecurityHeaders => "security_headers",
            Self::Timeout => "timeout",
        }
    }

    /// What it is written like.
    fn form(self) -> &'static str {
        match self {
            Self::Compression => "expected `#[compression(expression)]` with a `Compression`",
            Self::Cors => "expected `#[cors(expression)]` with a `Cors`",
            Self::CsrfExempt => "expected `#[csrf_exempt(reason = \"its sender signs\")]`",
            Self::RateLimit => {
                "expected `#[rate_limit(\"100/minute\")]` or a `RateLimit`, and any of `key`, `cost`, \
                 `headers` and `max_keys`"
            }
            Self::SecurityHeaders => {
                "expected `#[security_headers(expression)]` with a `SecurityHeaders`"
            }
            Self::Timeout => "expected `#[timeout(expression)]` with a `Timeout`",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Compression | Self::Cors | Self::SecurityHeaders | Self::Timeout => &[],
            Self::CsrfExempt => &["reason"],
            Self::RateLimit => &["key", "cost", "headers", "max_keys"],
        }
    }

    fn is_stackable(self) -> bool {
        self == Self::RateLimit
    }

    /// The attribute that `path` names, be it alone, behind `apifrom` or behind its `middleware`.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let last = path.segments.last()?;
        let mut before = path.segments.iter().rev().skip(1);
        if !before.all(|segment| segment.ident == "middleware" || segment.ident == "apifrom") {
            return None;
        }
        Self::ALL.into_iter().find(|kind| last.ident == kind.name())
    }
}

/// What surrounds one endpoint.
#[derive(Default)]
pub(crate) struct Surround {
    calls: Vec<TokenStream>,
    paths: Vec<Path>,
    found: Vec<Surrounding>,
}

impl Surround {
    /// Takes the attributes about what surrounds a call off `function`.
    pub(crate) fn take(function: &mut ItemFn, mistakes: &mut Mistakes) -> Self {
        let mut taken = Self::default();
        function.attrs.retain(|attribute| match role(attribute) {
            Role::Surrounding(kind) => {
                taken.add(kind, attribute, mistakes);
                false
            }
            _ => true,
        });
        taken
    }

    fn add(&mut self, kind: Surrounding, attribute: &Attribute, mistakes: &mut Mistakes) {
        self.paths.push(attribute.path().clone());
        if self.found.contains(&kind) && !kind.is_stackable() {
            return mistakes.at(attribute, format!("`#[{}]` stands twice", kind.name()));
        }
        self.found.push(kind);
        let tokens = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(entries) => self.read(kind, entries, attribute, mistakes),
            Err(error) => {
                let message = format!("{error}; {}", kind.form());
                mistakes.add(syn::Error::new(error.span(), message));
            }
        }
    }

    fn read(
        &mut self,
        kind: Surrounding,
        entries: Punctuated<Entry, Token![,]>,
        attribute: &Attribute,
        mistakes: &mut Mistakes,
    ) {
        let form = kind.form();
        let mut base = None;
        let mut options: Vec<(Ident, Expr)> = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            match entry {
                Entry::Base(value) if index == 0 && kind != Surrounding::CsrfExempt => {
                    base = Some(value);
                }
                Entry::Base(value) => mistakes.at(&value, form),
                Entry::Option(key, _) if !kind.options().iter().any(|known| key == known) => {
                    let message = format!("`{}` has no option `{key}`; {form}", kind.name());
                    mistakes.at(&key, message);
                }
                Entry::Option(key, _) if options.iter().any(|(known, _)| *known == key) => {
                    mistakes.at(&key, format!("`{key}` stands twice"));
                }
                Entry::Option(key, value) => options.push((key, value)),
            }
        }
        let call = match (kind, base) {
            (Surrounding::CsrfExempt, _) => exempt(&options, attribute, mistakes),
            (_, None) => {
                mistakes.at(attribute, format!("`{}` says nothing; {form}", kind.name()));
                None
            }
            (Surrounding::RateLimit, Some(base)) => Some(limit(&base, &options)),
            (Surrounding::Compression, Some(base)) => Some(quote!(.compression(#base))),
            (Surrounding::Cors, Some(base)) => Some(quote!(.cors(#base))),
            (Surrounding::SecurityHeaders, Some(base)) => Some(quote!(.security_headers(#base))),
            (Surrounding::Timeout, Some(base)) => Some(quote!(.timeout(#base))),
        };
        self.calls.extend(call);
    }

    /// The calls that declare them on an `EndpointSpec`.
    pub(crate) fn calls(&self) -> TokenStream {
        self.calls.iter().cloned().collect()
    }

    /// Uses the names that the attributes were written with.
    pub(crate) fn imports(&self) -> TokenStream {
        imports(&self.paths)
    }
}

fn exempt(
    options: &[(Ident, Expr)],
    attribute: &Attribute,
    mistakes: &mut Mistakes,
) -> Option<TokenStream> {
    let form = Surrounding::CsrfExempt.form();
    let Some((_, reason)) = options.first() else {
        mistakes.at(attribute, format!("`csrf_exempt` needs a `reason`; {form}"));
        return None;
    };
    if literal(reason).is_some_and(|reason| reason.value().trim().is_empty()) {
        mistakes.at(reason, format!("`reason` is empty; {form}"));
        return None;
    }
    Some(quote!(.csrf_exempt(#reason)))
}

fn limit(base: &Expr, options: &[(Ident, Expr)]) -> TokenStream {
    let made = literal(base).map_or_else(
        || {
            quote!({
                let __limit: __api::RateLimit = #base;
                ::core::result::Result::Ok(__limit)
            })
        },
        |text| quote!(__api::RateLimit::parse(#text)),
    );
    let set = options.iter().map(|(key, value)| {
        let is_identity = literal(value).is_some_and(|text| text.value() == "identity");
        if key == "key" && is_identity {
            quote!(.by_identity())
        } else {
            let value = value.to_token_stream();
            quote!(.#key(#value))
        }
    });
    quote!(.declare_limit(#made.map(|__limit: __api::RateLimit| __limit #(#set)*)))
}

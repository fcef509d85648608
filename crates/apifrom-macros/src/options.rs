//! What stands in the parentheses of `#[api(…)]`.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprArray, ExprLit, Ident, Lit, LitStr, Token};

use crate::mistakes::{FORM, Mistakes};
use crate::template::Template;

/// The methods an endpoint may answer.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The options of one endpoint. What is missing here is among the mistakes.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) template: Option<Template>,
    pub(crate) methods: Vec<String>,
    pub(crate) max_body_size: Option<Expr>,
}

/// `key = value`.
struct Entry {
    key: Ident,
    value: Expr,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        let value = input.parse()?;
        Ok(Self { key, value })
    }
}

impl Options {
    /// Reads the options; everything that is wrong goes to `mistakes`.
    pub(crate) fn parse(tokens: TokenStream, mistakes: &mut Mistakes) -> Self {
        let entries = match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("{error}; {FORM}");
                mistakes.add(syn::Error::new(error.span(), message));
                return Self::default();
            }
        };
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for Entry { key, value } in entries {
            let name = key.to_string();
            if seen.contains(&name) {
                mistakes.at(&key, format!("`{name}` stands twice"));
                continue;
            }
            match name.as_str() {
                "route" => options.route(&value, mistakes),
                "method" => options.method(&value, mistakes),
                "methods" => options.methods(&value, mistakes),
                "max_body_size" => options.max_body_size = Some(value),
                _ => mistakes.at(&key, format!("`#[api]` has no option `{name}`; {FORM}")),
            }
            seen.push(name);
        }
        let given = |name: &str| seen.iter().any(|seen| seen == name);
        if !given("route") {
            mistakes.at_attribute(format!("`#[api]` needs a `route`; {FORM}"));
        }
        match (given("method"), given("methods")) {
            (false, false) => {
                mistakes.at_attribute(format!("`#[api]` needs a `method`; {FORM}"));
            }
            (true, true) => {
                mistakes.at_attribute("`method` and `methods` exclude each other: give one");
            }
            _ => {}
        }
        options
    }

    fn route(&mut self, value: &Expr, mistakes: &mut Mistakes) {
        // The captures decide what the parameters mean, so the text must be known here.
        let Some(text) = literal(value) else {
            return mistakes.at(
                value,
                "`route` is a string literal, such as \"/users/{user_id}\"",
            );
        };
        match Template::parse(&text) {
            Ok(template) => self.template = Some(template),
            Err(error) => mistakes.add(error),
        }
    }

    fn method(&mut self, value: &Expr, mistakes: &mut Mistakes) {
        match literal(value) {
            Some(text) => self.add_method(&text, mistakes),
            None => mistakes.at(value, "`method` is a string literal, such as \"GET\""),
        }
    }

    fn methods(&mut self, value: &Expr, mistakes: &mut Mistakes) {
        const EXPECTED: &str =
            "`methods` is a list of string literals, such as [\"GET\", \"POST\"]";
        let Expr::Array(ExprArray { elems, .. }) = value else {
            return mistakes.at(value, EXPECTED);
        };
        if elems.is_empty() {
            mistakes.at(value, EXPECTED);
        }
        for element in elems {
            match literal(element) {
                Some(text) => self.add_method(&text, mistakes),
                None => mistakes.at(element, EXPECTED),
            }
        }
    }

    fn add_method(&mut self, text: &LitStr, mistakes: &mut Mistakes) {
        let method = text.value();
        if !METHODS.contains(&method.as_str()) {
            let known = METHODS.join(", ");
            mistakes.at(text, format!("expected one of {known}; found {method:?}"));
        } else if self.methods.contains(&method) {
            mistakes.at(text, format!("{method} stands twice"));
        } else {
            self.methods.push(method);
        }
    }
}

/// The text of a string literal.
pub(crate) fn literal(value: &Expr) -> Option<LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.clone()),
        _ => None,
    }
}

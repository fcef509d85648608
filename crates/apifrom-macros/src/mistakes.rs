//! The mistakes of one function, told all at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;

/// What `#[api]` is written like. Stands at the end of each mistake about it.
pub(crate) const FORM: &str = "expected `#[api(route = \"/users/{user_id}\", method = \"GET\")]`; \
     `methods = [\"GET\", \"POST\"]` and `max_body_size = 65_536` go there as well";

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    /// Notes a mistake at `place`.
    pub(crate) fn at(&mut self, place: &impl Spanned, message: impl Display) {
        self.add(syn::Error::new(place.span(), message));
    }

    /// Notes a mistake of the attribute itself.
    pub(crate) fn at_attribute(&mut self, message: impl Display) {
        self.add(syn::Error::new(Span::call_site(), message));
    }

    /// Notes what the parser found.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(known) => known.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// True while nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// One `compile_error!` for each mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0
            .map(syn::Error::into_compile_error)
            .unwrap_or_default()
    }
}

//! What stands between the commas of an attribute.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, Token};

/// `option = value`, or a value that the options are added to.
pub(crate) enum Entry {
    Option(Ident, Expr),
    Base(Expr),
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            return Ok(Self::Option(key, input.parse()?));
        }
        input.parse().map(Self::Base)
    }
}

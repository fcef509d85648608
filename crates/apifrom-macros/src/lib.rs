//! The attributes of `apifrom`. Their documentation stands there, where they are re-exported.
//!
//! An attribute reads everything that is written, collects every mistake, and emits the function
//! in any case, so that one mistake never hides another or breaks the code that calls it.

mod attributes;
mod expand;
mod function;
mod mistakes;
mod options;
mod template;

use proc_macro::TokenStream;

/// Makes a function an endpoint. See `apifrom::api`.
#[proc_macro_attribute]
pub fn api(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::api(options.into(), &item.into()).into()
}

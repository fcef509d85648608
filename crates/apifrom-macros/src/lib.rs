//! The attributes of `apifrom`. Their documentation stands there, where they are re-exported.
//!
//! An attribute reads everything that is written, collects every mistake, and emits the function
//! in any case, so that one mistake never hides another or breaks the code that calls it.

mod attributes;
mod declaration;
mod expand;
mod function;
mod mistakes;
mod options;
mod protections;
mod template;

use proc_macro::TokenStream;

use self::protections::{Kind, above};

/// Makes a function an endpoint. See `apifrom::api`.
#[proc_macro_attribute]
pub fn api(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::api(options.into(), &item.into()).into()
}

/// Lets in who holds a signed token. See `apifrom::security::jwt_required`.
#[proc_macro_attribute]
pub fn jwt_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Jwt, &options.into(), &item.into()).into()
}

/// Lets in who holds an API key. See `apifrom::security::api_key_required`.
#[proc_macro_attribute]
pub fn api_key_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::ApiKey, &options.into(), &item.into()).into()
}

/// Lets users in who know their password. See `apifrom::security::basic_auth_required`.
#[proc_macro_attribute]
pub fn basic_auth_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Basic, &options.into(), &item.into()).into()
}

/// Lets in who holds an access token of an authorization server. See `apifrom::security::oauth2_required`.
#[proc_macro_attribute]
pub fn oauth2_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::OAuth2, &options.into(), &item.into()).into()
}

/// Lets in who passes one of several methods, or all of them. See `apifrom::security::multi_auth_required`.
#[proc_macro_attribute]
pub fn multi_auth_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Several, &options.into(), &item.into()).into()
}

/// Lets those in who meet a protection. See `apifrom::security::protect`.
#[proc_macro_attribute]
pub fn protect(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Protect, &options.into(), &item.into()).into()
}

/// Lets everybody in. See `apifrom::security::public`.
#[proc_macro_attribute]
pub fn public(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Public, &options.into(), &item.into()).into()
}

//! The attributes of `apifrom`. Their documentation stands there, where they are re-exported.
//!
//! An attribute reads everything that is written, collects every mistake, and emits the function
//! in any case, so that one mistake never hides another or breaks the code that calls it.

mod attributes;
mod declaration;
mod entry;
mod expand;
mod function;
mod mistakes;
mod options;
mod protections;
mod surround;
mod template;

use proc_macro::TokenStream;

use self::attributes::above;
use self::protections::Kind;
use self::surround::Surrounding;

/// Makes a function an endpoint. See `apifrom::api`.
#[proc_macro_attribute]
pub fn api(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::api(options.into(), &item.into()).into()
}

/// Lets in who holds a signed token. See `apifrom::security::jwt_required`.
#[proc_macro_attribute]
pub fn jwt_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Jwt.into(), &options.into(), &item.into()).into()
}

/// Lets in who holds an API key. See `apifrom::security::api_key_required`.
#[proc_macro_attribute]
pub fn api_key_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::ApiKey.into(), &options.into(), &item.into()).into()
}

/// Lets users in who know their password. See `apifrom::security::basic_auth_required`.
#[proc_macro_attribute]
pub fn basic_auth_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Basic.into(), &options.into(), &item.into()).into()
}

/// Lets in who holds an access token of an authorization server. See `apifrom::security::oauth2_required`.
#[proc_macro_attribute]
pub fn oauth2_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::OAuth2.into(), &options.into(), &item.into()).into()
}

/// Lets in who passes one of several methods, or all of them. See `apifrom::security::multi_auth_required`.
#[proc_macro_attribute]
pub fn multi_auth_required(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Several.into(), &options.into(), &item.into()).into()
}

/// Lets those in who meet a protection. See `apifrom::security::protect`.
#[proc_macro_attribute]
pub fn protect(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Protect.into(), &options.into(), &item.into()).into()
}

/// Lets everybody in. See `apifrom::security::public`.
#[proc_macro_attribute]
pub fn public(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Kind::Public.into(), &options.into(), &item.into()).into()
}

/// Gives an endpoint forms of its answers of its own. See `apifrom::middleware`.
#[proc_macro_attribute]
pub fn compression(options: TokenStream, item: TokenStream) -> TokenStream {
    above(
        Surrounding::Compression.into(),
        &options.into(),
        &item.into(),
    )
    .into()
}

/// Gives an endpoint a policy about origins of its own. See `apifrom::middleware`.
#[proc_macro_attribute]
pub fn cors(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Surrounding::Cors.into(), &options.into(), &item.into()).into()
}

/// Lets pages of other sites call an endpoint. See `apifrom::middleware`.
#[proc_macro_attribute]
pub fn csrf_exempt(options: TokenStream, item: TokenStream) -> TokenStream {
    above(
        Surrounding::CsrfExempt.into(),
        &options.into(),
        &item.into(),
    )
    .into()
}

/// Limits the calls of an endpoint. See `apifrom::middleware`.
#[proc_macro_attribute]
pub fn rate_limit(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Surrounding::RateLimit.into(), &options.into(), &item.into()).into()
}

/// Gives an endpoint security headers of its own. See `apifrom::middleware`.
#[proc_macro_attribute]
pub fn security_headers(options: TokenStream, item: TokenStream) -> TokenStream {
    above(
        Surrounding::SecurityHeaders.into(),
        &options.into(),
        &item.into(),
    )
    .into()
}

/// Gives an endpoint a time of its own to answer in. See `apifrom::middleware`.
#[proc_macro_attribute]
pub fn timeout(options: TokenStream, item: TokenStream) -> TokenStream {
    above(Surrounding::Timeout.into(), &options.into(), &item.into()).into()
}

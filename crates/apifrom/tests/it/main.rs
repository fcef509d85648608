//! Tests over real sockets, a module for each feature.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "the tests' own helpers may fail by a panic and look at the clock, as tests do"
)]

mod api_key;
mod attributes;
mod authorization_server;
mod basic;
mod check;
#[cfg(feature = "compression")]
mod compression;
mod csrf;
mod examples;
mod https_redirect;
mod jwt;
mod limits;
mod lookup;
mod multipart;
mod oauth2;
mod properties;
mod rate_limit;
#[cfg(feature = "redis")]
mod redis;
mod revocation;
mod rust_face;
mod secured;
mod security_headers;
mod server;
#[cfg(feature = "redis")]
mod shared_tokens;
mod shutdown;
mod support;
mod timeout;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
mod wire;
mod workers;

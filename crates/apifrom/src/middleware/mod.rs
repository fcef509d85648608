//! What surrounds every call. Each is declared once and placed by the engine.
//!
//! Some of them can be declared for one endpoint by an attribute, in any order around `#[api]`:
//! `#[cors(…)]`, `#[security_headers(…)]`, `#[compression(…)]` and `#[timeout(…)]` take the place of the whole API's,
//! `#[rate_limit(…)]` holds beside it, and `#[csrf_exempt(reason = "…")]` takes an endpoint out.
//!
//! ```
//! use apifrom::middleware::{Cors, Csrf, RateLimit, csrf_exempt, cors, rate_limit};
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! fn partners() -> Cors {
//!     Cors::new().allow_origins(["https://partner.example"])
//! }
//!
//! #[rate_limit("2/minute", headers = false)]
//! #[cors(partners())]
//! #[csrf_exempt(reason = "its sender signs what it sends")]
//! #[api(route = "/hook", method = "POST")]
//! fn hook() -> &'static str {
//!     "taken"
//! }
//!
//! let api = Api::new()
//!     .add_middleware(Csrf::new("a secret of at least thirty-two bytes"))
//!     .add_middleware(RateLimit::parse("100/minute")?)
//!     .endpoints(endpoints![hook]);
//! let client = TestClient::new(api.build()?);
//! assert_eq!(client.post("/hook").send()?.status(), 200);
//! assert_eq!(client.post("/hook").send()?.status(), 200);
//! assert_eq!(client.post("/hook").send()?.status(), 429);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "compression")]
mod compression;
mod cors;
mod csrf;
mod error_handling;
mod https_redirect;
mod rate_limit;
pub(crate) mod request_id;
mod security_headers;
mod timeout;
mod trusted_host;

#[cfg(feature = "compression")]
pub use apifrom_macros::compression;
pub use apifrom_macros::{cors, csrf_exempt, rate_limit, security_headers, timeout};

#[cfg(feature = "compression")]
pub use self::compression::Compression;
#[cfg(feature = "compression")]
pub(crate) use self::compression::{CompressionRules, CompressionStage};
pub use self::cors::Cors;
pub(crate) use self::cors::{CorsStage, is_preflight};
pub use self::csrf::Csrf;
pub(crate) use self::csrf::{CsrfRules, CsrfStage};
pub use self::error_handling::ErrorHandling;
pub use self::https_redirect::HttpsRedirect;
pub(crate) use self::https_redirect::{HttpsRules, HttpsStage, Presents, Site};
#[cfg(feature = "redis")]
pub use self::rate_limit::OnFailure;
pub use self::rate_limit::RateLimit;
pub(crate) use self::rate_limit::{Limit, RateLimitStage, Sharing};
pub(crate) use self::security_headers::NonceStage;
pub(crate) use self::security_headers::SecurityHeadersStage;
pub use self::security_headers::{
    ContentPolicy, CspNonce, Directive, Directives, Hsts, SecurityHeaders,
};
pub use self::timeout::Timeout;
pub(crate) use self::timeout::overdue;
pub use self::trusted_host::TrustedHosts;

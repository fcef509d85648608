//! What surrounds every call. Each is declared once and placed by the engine.

mod cors;
mod csrf;
mod error_handling;
mod rate_limit;
pub(crate) mod request_id;
mod security_headers;
mod trusted_host;

pub use self::cors::Cors;
pub(crate) use self::cors::{CorsStage, is_preflight};
pub use self::csrf::Csrf;
pub(crate) use self::csrf::{CsrfRules, CsrfStage};
pub use self::error_handling::ErrorHandling;
pub use self::rate_limit::RateLimit;
pub(crate) use self::rate_limit::{Limit, RateLimitStage};
pub(crate) use self::security_headers::SecurityHeadersStage;
pub use self::security_headers::{ContentPolicy, Directive, Directives, Hsts, SecurityHeaders};
pub use self::trusted_host::TrustedHosts;

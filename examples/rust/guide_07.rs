//! The guide's block on other origins.

mod ping;
mod start;

use apifrom::middleware::Cors;
use apifrom::{Api, ServeError, endpoints};

fn main() -> Result<(), ServeError> {
    Api::new()
        .add_middleware(
            Cors::new()
                .allow_origins(["https://example.com", "https://app.example.com"])
                .allow_methods(["GET", "POST", "PUT", "DELETE", "OPTIONS"])
                .allow_headers(["Content-Type", "Authorization", "X-Custom-Header"])
                .allow_credentials(true)
                .expose_headers(["X-RateLimit-Limit", "X-RateLimit-Remaining"])
                .max_age(3600),
        )
        .endpoints(endpoints![ping::ping, ping::boom])
        .run(&start::address())
}

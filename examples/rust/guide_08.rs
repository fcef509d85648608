//! The guide's block on requests of other sites.

mod ping;
mod start;

use apifrom::cookie::SameSite;
use apifrom::middleware::Csrf;
use apifrom::{Api, ServeError, endpoints};

fn main() -> Result<(), ServeError> {
    Api::new()
        .add_middleware(
            Csrf::new("your-csrf-secret")
                .cookie_name("csrf_token")
                .header_name("X-CSRF-Token")
                .secure(true)
                .same_site(SameSite::Strict)
                .methods(["POST", "PUT", "DELETE", "PATCH"]),
        )
        .endpoints(endpoints![ping::ping, ping::boom])
        .run(&start::address())
}

//! The guide's block on secrets. `JWT_SECRET` may also be a file: see `apifrom::secret`.

mod start;

use apifrom::{Api, Serialize, ServeError, api, endpoints, jwt_required, secret};

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
fn algorithm() -> String {
    std::env::var("JWT_ALGORITHM").unwrap_or_else(|_| "HS256".into())
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[api(route = "/protected", method = "GET")]
#[jwt_required(secret = secret("JWT_SECRET"), algorithm = algorithm())]
fn protected_endpoint() -> Message {
    Message {
        message: "Protected endpoint",
    }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![protected_endpoint])
        .run(&start::address())
}

//! The guide's block on JSON Web Tokens.

mod start;

use apifrom::{Api, Deserialize, Jwt, Serialize, ServeError, api, endpoints, jwt_required};

const JWT_SECRET: &str = "your-secret-key";
const JWT_ALGORITHM: &str = "HS256";

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Serialize)]
struct Message {
    message: String,
}

#[api(route = "/protected", method = "GET")]
#[jwt_required(
    secret = JWT_SECRET,
    algorithm = JWT_ALGORITHM,
    token_location = "header",
    header_name = "Authorization",
    header_type = "Bearer",
    verify_exp = true,
    verify_aud = false,
    verify_iss = false,
    verify_sub = false,
    verify_jti = false,
    verify_at_hash = false
)]
fn protected_endpoint(jwt: Jwt<Claims>) -> Message {
    Message {
        message: format!("Hello, user {}!", jwt.sub),
    }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![protected_endpoint])
        .run(&start::address())
}

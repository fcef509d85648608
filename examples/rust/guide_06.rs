//! The guide's block on several methods of authentication.

mod start;

use apifrom::{
    Api, ApiKey, Deserialize, Jwt, Serialize, ServeError, api, endpoints, multi_auth_required,
};

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Serialize)]
struct Message {
    message: String,
}

#[api(route = "/multi-auth-protected", method = "GET")]
#[multi_auth_required(
    auth_methods = [
        jwt_required(secret = "your-secret-key", algorithm = "HS256"),
        api_key_required(api_keys = [("api-key-1", ["read"])]),
    ],
    require_all = false
)]
fn multi_auth_protected_endpoint(jwt: Option<Jwt<Claims>>, api_key: Option<ApiKey>) -> Message {
    let message = match (jwt, api_key) {
        (Some(jwt), _) => format!("Hello, JWT user {}!", jwt.sub),
        (None, Some(api_key)) => format!("Hello, API key {}!", api_key.key()),
        (None, None) => "Hello, authenticated user!".to_owned(),
    };
    Message { message }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![multi_auth_protected_endpoint])
        .run(&start::address())
}

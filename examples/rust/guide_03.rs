//! The guide's block on API keys.

mod start;

use apifrom::{Api, ApiKey, Serialize, ServeError, api, api_key_required, endpoints};

const API_KEYS: [(&str, &[&str]); 2] =
    [("api-key-1", &["read"]), ("api-key-2", &["read", "write"])];

#[derive(Serialize)]
struct Message {
    message: String,
}

#[api(route = "/api-key-protected", method = "GET")]
#[api_key_required(
    api_keys = API_KEYS,
    scopes = ["read"],
    header_name = "X-API-Key",
    query_param_name = None,
    cookie_name = None
)]
fn api_key_protected_endpoint(api_key: ApiKey) -> Message {
    Message {
        message: format!("Hello, API key {}!", api_key.key()),
    }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![api_key_protected_endpoint])
        .run(&start::address())
}

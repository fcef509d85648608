//! The guide's block on OAuth 2.0.

mod start;

use apifrom::security::OAuth2Required;
use apifrom::{
    Api, Deserialize, OAuth2Token, Serialize, ServeError, api, endpoints, oauth2_required,
};

fn oauth2_config() -> OAuth2Required {
    OAuth2Required::new()
        .token_url("https://auth.example.com/token")
        .client_id("your-client-id")
        .client_secret("your-client-secret")
        .offered_scopes(["read", "write"])
}

/// What the endpoint reads of what the authorization server says: nothing.
#[derive(Deserialize)]
struct Claims {}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[api(route = "/oauth2-protected", method = "GET")]
#[oauth2_required(config = oauth2_config(), scopes = ["read"])]
fn oauth2_protected_endpoint(_token: OAuth2Token<Claims>) -> Message {
    Message {
        message: "Hello, OAuth2 user!",
    }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![oauth2_protected_endpoint])
        .run(&start::address())
}

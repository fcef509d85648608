//! The guide's block on Basic authentication.

mod start;

use apifrom::{Api, Serialize, ServeError, Username, api, basic_auth_required, endpoints};

const CREDENTIALS: [(&str, &str); 2] = [("user1", "password1"), ("user2", "password2")];

#[derive(Serialize)]
struct Message {
    message: String,
}

#[api(route = "/basic-auth-protected", method = "GET")]
#[basic_auth_required(credentials = CREDENTIALS, realm = "My API")]
fn basic_auth_protected_endpoint(username: Username) -> Message {
    Message {
        message: format!("Hello, {username}!"),
    }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![basic_auth_protected_endpoint])
        .run(&start::address())
}

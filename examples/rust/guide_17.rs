//! The guide's block on access control.

mod start;

use apifrom::{Api, Deserialize, Json, Jwt, Serialize, ServeError, api, endpoints, jwt_required};
use http::StatusCode;

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    roles: Vec<String>,
}

impl Claims {
    fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Message(&'static str),
    Error(&'static str),
}

#[api(route = "/admin", method = "GET")]
#[jwt_required(secret = "your-secret-key", algorithm = "HS256")]
fn admin_endpoint(jwt: Jwt<Claims>) -> (StatusCode, Json<Answer>) {
    if !jwt.has_role("admin") {
        return (StatusCode::FORBIDDEN, Json(Answer::Error("Forbidden")));
    }
    (StatusCode::OK, Json(Answer::Message("Admin endpoint")))
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![admin_endpoint])
        .run(&start::address())
}

//! The guide's block on input validation.

mod start;

use apifrom::{
    Api, Deserialize, JsonSchema, Serialize, ServeError, Validate, ValidationError, api, endpoints,
};

#[derive(Deserialize, Serialize, JsonSchema, Validate)]
struct User {
    #[validate(length(min = 2, max = 50))]
    name: String,
    #[validate(email)]
    email: String,
    #[validate(range(min = 18, max = 120))]
    age: i64,
    #[serde(skip_serializing)]
    #[validate(length(min = 8), custom(function = password_strength))]
    password: String,
}

fn password_strength(password: &str) -> Result<(), ValidationError> {
    let has = |what: fn(char) -> bool| password.chars().any(what);
    let needed = if !has(char::is_uppercase) {
        "Password must contain at least one uppercase letter"
    } else if !has(char::is_lowercase) {
        "Password must contain at least one lowercase letter"
    } else if !has(char::is_numeric) {
        "Password must contain at least one digit"
    } else if !has(|character| "!@#$%^&*()_+-=[]{}|;:,.<>?/".contains(character)) {
        "Password must contain at least one special character"
    } else {
        return Ok(());
    };
    Err(ValidationError::new("value_error").with_message(needed.into()))
}

#[derive(Serialize)]
struct Created {
    id: u64,
    #[serde(flatten)]
    user: User,
}

#[api(route = "/users", method = "POST")]
fn create_user(user: User) -> Created {
    Created { id: 123, user }
}

fn main() -> Result<(), ServeError> {
    Api::new()
        .endpoints(endpoints![create_user])
        .run(&start::address())
}

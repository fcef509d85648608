#![allow(unused)]

use apifrom::{Deserialize, JsonSchema, Json, api};

#[derive(Deserialize, JsonSchema)]
struct User {
    name: String,
}

#[api(route = "/users", method = "POST")]
fn create(user: User, referrer: Json<User>) -> String {
    format!("{} {}", user.name, referrer.0.name)
}

fn main() {}

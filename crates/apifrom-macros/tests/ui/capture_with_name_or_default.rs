#![allow(unused)]

use apifrom::api;

#[api(route = "/users/{user_id}", method = "GET")]
fn user(
    #[name("id")]
    #[default(7)]
    user_id: i64,
) -> i64 {
    user_id
}

fn main() {}

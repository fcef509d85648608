#![allow(unused)]

use apifrom::{Path, api};

#[api(route = "/users/{user_id}", method = "GET")]
fn user(id: Path<i64>) -> i64 {
    id.0
}

fn main() {}

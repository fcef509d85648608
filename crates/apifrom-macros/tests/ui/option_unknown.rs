#![allow(unused)]

use apifrom::api;

#[api(path = "/users", verb = "GET", route = "/", route = "/", method = "GET")]
fn users() {}

#[api("/users", GET)]
fn positional() {}

fn main() {}

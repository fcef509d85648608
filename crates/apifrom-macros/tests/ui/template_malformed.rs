#![allow(unused)]

use apifrom::api;

#[api(route = "users", method = "GET")]
fn relative() {}

#[api(route = "/users/{id", method = "GET")]
fn open(id: i64) {}

#[api(route = "/users/:id", method = "GET")]
fn colon(id: i64) {}

#[api(route = "/users/user-{id}", method = "GET")]
fn part(id: i64) {}

#[api(route = "/{a}/{a}", method = "GET")]
fn doubled(a: i64) {}

#[api(route = "/{*rest}/end", method = "GET")]
fn middle(rest: String) {}

#[api(route = "/a/../b", method = "GET")]
fn dots() {}

fn main() {}

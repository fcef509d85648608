#![allow(unused)]

use apifrom::api;

#[api]
fn nothing_said() {}

#[api(route = "/")]
fn no_method() {}

#[api(method = "GET")]
fn no_route() {}

fn main() {}

#![allow(unused)]

use apifrom::{Request, State, api};

#[api(route = "/a", method = "GET")]
fn named(#[name("db")] database: State<String>) {}

#[api(route = "/b", method = "GET")]
fn defaulted(#[default(1)] request: Request) {}

fn main() {}

#![allow(unused)]

use apifrom::{Query, api};

#[api(route = "/a", method = "GET")]
fn pair((a, b): (i64, i64)) -> i64 {
    a + b
}

#[api(route = "/b", method = "GET")]
fn ignored(_: i64) {}

fn main() {}

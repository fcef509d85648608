#![allow(unused)]

use apifrom::api;

#[api(route = "/a", method = "GET")]
#[derive(Debug)]
fn derived() {}

#[api(route = "/b", method = "GET")]
#[cold]
fn cold() {}

#[api(route = "/c", method = "GET")]
/// Documented, and allowed to be.
#[must_use]
#[allow(clippy::unused_unit)]
fn fine() -> i64 {
    1
}

fn main() {
    let _ = fine();
}

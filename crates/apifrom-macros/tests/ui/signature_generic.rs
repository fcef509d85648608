#![allow(unused)]

use apifrom::api;

#[api(route = "/a", method = "GET")]
fn generic<T: ToString>(value: T) -> String {
    value.to_string()
}

#[api(route = "/b", method = "GET")]
fn hidden(value: impl ToString) -> String {
    value.to_string()
}

#[api(route = "/c", method = "GET")]
fn changes(value: &mut String) {
    value.clear();
}

#[api(route = "/d", method = "GET")]
unsafe fn dangerous() {}

fn main() {}

#![allow(unused)]

use apifrom::api;

#[api(route = "/a", method = "GET")]
fn odd(#[header("x-name")] name: String, #[name] other: String, #[default] third: u8) {}

#[api(route = "/b", method = "GET")]
fn of_another_type(#[default("ten")] limit: u8) {}

fn main() {}

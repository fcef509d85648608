#![allow(unused)]

use apifrom::api;
use apifrom::extract::convert::ConvertError;

struct Limit;

impl apifrom::FromParameter for Limit {
    fn from_parameter(_: &str) -> Result<Self, ConvertError> {
        Ok(Self)
    }
}

#[api(route = "/a", method = "GET")]
fn odd(#[header("x-name")] name: String, #[name] other: String, #[default] third: u8) {}

#[api(route = "/b", method = "GET")]
fn of_another_type(#[default("ten")] limit: Limit) {}

fn main() {}

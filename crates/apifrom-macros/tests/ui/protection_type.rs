#![allow(unused)]

use apifrom::security::ApiKeyRequired;
use apifrom::{api, jwt_required};

#[api(route = "/a", method = "GET")]
#[jwt_required(ApiKeyRequired::new())]
fn of_another_method() {}

fn main() {}

#![allow(unused)]

use apifrom::{api, api_key_required, jwt_required, public};

const SECRET: &str = "a secret of at least thirty-two bytes";

#[public(reason = "for the load balancer")]
#[api(route = "/a", method = "GET")]
#[jwt_required(secret = SECRET)]
fn both() {}

#[jwt_required(secret = SECRET)]
#[api(route = "/b", method = "GET")]
#[jwt_required(secret = SECRET, roles = ["admin"])]
fn twice() {}

#[public(reason = "for the load balancer")]
#[api(route = "/c", method = "GET")]
#[public(reason = "for the other load balancer")]
fn public_twice() {}

#[api(route = "/d", method = "GET")]
#[jwt_required(secret = SECRET)]
#[jwt_required(secret = SECRET, name = "second")]
#[api_key_required(api_keys = [("key", ["read"])])]
fn fine() {}

fn main() {}

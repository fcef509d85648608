use apifrom::api;
use apifrom::middleware::{Cors, cors, csrf_exempt, rate_limit, security_headers};

#[api(route = "/a", method = "POST")]
#[csrf_exempt]
fn no_reason() {}

#[api(route = "/b", method = "POST")]
#[csrf_exempt(reason = " ")]
fn empty_reason() {}

#[api(route = "/c", method = "POST")]
#[rate_limit]
fn no_limit() {}

#[api(route = "/d", method = "POST")]
#[rate_limit("1/second", window = 3)]
fn unknown_option() {}

#[api(route = "/e", method = "POST")]
#[rate_limit("1/second", cost = 1, cost = 2)]
fn option_twice() {}

#[api(route = "/f", method = "POST")]
#[cors(Cors::new())]
#[cors(Cors::new())]
fn policy_twice() {}

#[api(route = "/g", method = "POST")]
#[security_headers(Cors::new())]
fn another_type() {}

#[rate_limit("1/second")]
fn no_endpoint() {}

fn main() {}

#![allow(unused)]

use apifrom::security::ApiKeyRequired;
use apifrom::{api, api_key_required, jwt_required, multi_auth_required, protect, public};

const SECRET: &str = "a secret of at least thirty-two bytes";

#[api(route = "/a", method = "GET")]
#[jwt_required(secret = SECRET, algorithms = "HS256")]
fn unknown() {}

#[api(route = "/b", method = "GET")]
#[jwt_required(secret = SECRET, secret = SECRET)]
fn doubled() {}

#[api(route = "/c", method = "GET")]
#[jwt_required]
fn empty() {}

#[api(route = "/d", method = "GET")]
#[public(reason = " ")]
fn without_reason() {}

#[api(route = "/e", method = "GET")]
#[jwt_required(secret = SECRET, hide = true)]
fn hides_nothing() {}

#[api(route = "/f", method = "GET")]
#[multi_auth_required(auth_methods = [])]
fn no_method() {}

#[api(route = "/g", method = "GET")]
#[multi_auth_required(auth_methods = [jwt_required(sekret = SECRET), public(reason = "x")])]
fn inner() {}

#[api(route = "/h", method = "GET")]
#[protect]
fn by_nothing() {}

#[api(route = "/i", method = "GET")]
#[jwt_required(secret SECRET)]
fn malformed() {}

#[api(route = "/j", method = "GET")]
#[jwt_required(secret = SECRET, ApiKeyRequired::new())]
fn base_last() {}

#[api(route = "/k", method = "GET")]
#[jwt_required(secret = SECRET, audience = [])]
fn for_nobody() {}

fn main() {}

#![allow(unused)]

use apifrom::{api, jwt_required as guarded};

#[api(route = "/below", method = "GET")]
#[guarded(secret = "a secret of at least thirty-two bytes")]
fn below() {}

fn main() {}

#![allow(unused)]

use apifrom::{jwt_required, public};

#[jwt_required(secret = "a secret of at least thirty-two bytes")]
fn nobody_calls_it() {}

#[public(reason = "for the load balancer")]
fn nobody_calls_this_either() {}

#[jwt_required(secret = "a secret of at least thirty-two bytes")]
struct NoFunction;

fn main() {}

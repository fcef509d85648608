#![allow(unused)]

use apifrom::api;

#[api(route = "/a", method = "GET")]
#[api(route = "/b", method = "POST")]
fn twice() {}

fn main() {
    twice();
}

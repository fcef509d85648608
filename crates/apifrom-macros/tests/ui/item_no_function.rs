#![allow(unused)]

use apifrom::api;

#[api(route = "/", method = "GET")]
struct Users;

fn main() {
    let _ = Users;
}

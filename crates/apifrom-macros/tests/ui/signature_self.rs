#![allow(unused)]

use apifrom::api;

struct Users;

impl Users {
    #[api(route = "/users", method = "GET")]
    fn list(&self) -> String {
        "nobody".into()
    }
}

fn main() {}

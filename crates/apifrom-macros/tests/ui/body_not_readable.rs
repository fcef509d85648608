#![allow(unused)]

use apifrom::{Deserialize, Header, Json, api};

struct Plain;

#[derive(Deserialize)]
struct Undescribed {
    name: String,
}

#[api(route = "/a", method = "POST")]
fn plain(body: Plain) {}

#[api(route = "/b", method = "POST")]
fn undescribed(body: Json<Undescribed>) -> String {
    body.0.name
}

#[api(route = "/c", method = "GET")]
fn header(plain: Header<Plain>) {}

#[api(route = "/d/{id}", method = "GET")]
fn capture(id: Plain) {}

fn main() {}

#![allow(unused)]

use apifrom::{Serialize, api};

struct Plain;

#[derive(Serialize)]
struct Book {
    title: String,
}

#[api(route = "/a", method = "GET")]
fn plain() -> Plain {
    Plain
}

#[api(route = "/b", method = "GET")]
fn failing() -> Result<Book, std::io::Error> {
    Ok(Book { title: "SICP".into() })
}

fn main() {}

//! The program of the README.

use apifrom::{Api, api, endpoints};

#[api(route = "/hello/{name}", method = "GET")]
fn hello(name: String) -> String {
    format!("Hello, {name}!")
}

fn main() -> Result<(), apifrom::ServeError> {
    let api = Api::new().endpoints(endpoints![hello]);
    api.run("127.0.0.1:8000")
}

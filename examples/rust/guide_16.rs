//! The guide's block on logging: what is logged is kept in `security.log` of the current folder.

mod start;

use std::error::Error;
use std::fs::OpenOptions;
use std::sync::Arc;

use apifrom::{Api, Client, Deserialize, Jwt, Serialize, api, endpoints, jwt_required};
use tracing_subscriber::fmt::writer::MakeWriterExt as _;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[api(route = "/protected", method = "GET")]
#[jwt_required(secret = "your-secret-key", algorithm = "HS256")]
fn protected_endpoint(jwt: Jwt<Claims>, client: Client) -> Message {
    // A line break in a name must not begin a line of its own.
    let user = jwt.sub.escape_debug();
    tracing::info!(target: "security", "Access to protected endpoint: user={user}, ip={client}");
    Message {
        message: "Protected endpoint",
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut file = OpenOptions::new();
    let file = Arc::new(file.append(true).create(true).open("security.log")?);
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(file.and(std::io::stderr))
        .init();
    Api::new()
        .endpoints(endpoints![protected_endpoint])
        .run(&start::address())?;
    Ok(())
}

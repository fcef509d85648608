//! Endpoints for the blocks of the guide that have none of their own.

use apifrom::{Serialize, api};

#[derive(Serialize)]
pub(crate) struct Message {
    message: &'static str,
}

#[api(route = "/ping", methods = ["GET", "POST"])]
pub(crate) fn ping() -> Message {
    Message { message: "pong" }
}

/// Fails. What it says reaches the log and never the client.
#[api(route = "/boom", method = "GET")]
pub(crate) fn boom() -> Result<Message, String> {
    Err("the database password is hunter2".into())
}

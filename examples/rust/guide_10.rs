//! The guide's block on rate limits.

mod ping;
mod start;

use std::time::Duration;

use apifrom::middleware::RateLimit;
use apifrom::{Api, ServeError, endpoints};

fn main() -> Result<(), ServeError> {
    Api::new()
        .add_middleware(RateLimit::new(100, Duration::from_mins(1)).headers(true))
        .endpoints(endpoints![ping::ping, ping::boom])
        .run(&start::address())
}

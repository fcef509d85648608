//! The guide's block on error handling.

mod ping;
mod start;

use apifrom::{Api, ErrorHandling, ServeError, endpoints};

fn main() -> Result<(), ServeError> {
    Api::new()
        .add_middleware(
            ErrorHandling::new()
                .debug(false)
                .include_traceback(false)
                .log_exceptions(true),
        )
        .endpoints(endpoints![ping::ping, ping::boom])
        .run(&start::address())
}

//! The guide's block on generating tokens. It prints one that `guide_01` takes, and ends.

use std::time::Duration;

use apifrom::security::CreateToken;
use apifrom::{ConfigError, Serialize};

#[derive(Serialize)]
struct Claims {
    sub: &'static str,
    role: &'static str,
}

#[expect(clippy::print_stdout, reason = "it is what the program has to say")]
fn main() -> Result<(), ConfigError> {
    let token = CreateToken::new("your-secret-key", "HS256")
        .expires_delta(Some(Duration::from_hours(1)))
        .sign_claims(&Claims {
            sub: "user123",
            role: "admin",
        })?;
    println!("JWT Token: {token}");
    Ok(())
}

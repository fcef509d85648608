//! How the twins of the guide's blocks start.

/// `127.0.0.1:$PORT`; 0, or no variable, lets the system choose. Sends the log to stderr.
#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
pub(crate) fn address() -> String {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let port = std::env::var("PORT").unwrap_or_else(|_| "0".into());
    format!("127.0.0.1:{port}")
}

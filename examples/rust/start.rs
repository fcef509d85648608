//! How the twins of the guide's blocks start.

/// `127.0.0.1:$PORT`; 0, or no variable, lets the system choose. Sends the log to stderr, unless
/// the program has sent it elsewhere.
#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
pub(crate) fn address() -> String {
    // It fails where a log is kept already, and nothing is to be done about that.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .try_init();
    let port = std::env::var("PORT").unwrap_or_else(|_| "0".into());
    format!("127.0.0.1:{port}")
}

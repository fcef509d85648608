//! An axum application behind the protections of this crate, each of them a layer.
//!
//! `cargo run --example axum_layers --features axum` serves it on `127.0.0.1:8000`, or the port in
//! `PORT`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use apifrom::middleware::{Cors, RateLimit, SecurityHeaders};
use apifrom::security::JwtRequired;
use apifrom::{ConfigErrors, Identity, IntoLayer as _};
use axum::Router;
use axum::extract::Extension;
use axum::routing::get;

async fn home() -> &'static str {
    "everybody may read this"
}

async fn mine(Extension(caller): Extension<Identity>) -> String {
    format!("Hello, {}!", caller.subject().unwrap_or("you"))
}

fn application() -> Result<Router, ConfigErrors> {
    let tokens = JwtRequired::new().secret("a secret of at least thirty-two bytes");
    let origins = Cors::new()
        .allow_origins(["https://example.com"])
        .allow_headers(["Authorization"]);
    Ok(Router::new()
        .route("/mine", get(mine))
        // Holds for the routes above alone.
        .route_layer(tokens.into_layer()?)
        .route("/", get(home))
        // The last is asked first: a preflight counts for no limit and needs no token.
        .layer(RateLimit::new(100, Duration::from_mins(1)).into_layer()?)
        .layer(SecurityHeaders::new().into_layer()?)
        .layer(origins.into_layer()?))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    // So that limits know whom they count.
    let service = application()?.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

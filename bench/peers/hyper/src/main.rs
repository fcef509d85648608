//! The floor: hyper's HTTP/1.1 connection and nothing above it, plain GET only.
//!
//! It listens on `127.0.0.1:$PORT`. With `BENCH_THREADS=1` it runs on a current-thread runtime,
//! which is what counting instructions needs; otherwise on tokio's default runtime.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

#[derive(Serialize)]
struct Greeting {
    message: String,
}

fn hello(name: &str) -> Response<Full<Bytes>> {
    let greeting = Greeting {
        message: format!("Hello, {name}!"),
    };
    let Ok(body) = serde_json::to_vec(&greeting) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Full::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    Ok(match (request.method(), path.strip_prefix("/hello/")) {
        (&Method::GET, Some(name)) => hello(name),
        (&Method::GET, None) if path == "/" => empty(StatusCode::OK),
        _ => empty(StatusCode::NOT_FOUND),
    })
}

async fn serve(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

fn runtime() -> std::io::Result<Runtime> {
    if std::env::var("BENCH_THREADS").is_ok_and(|threads| threads == "1") {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread().enable_all().build()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::var("PORT")?.parse()?;
    runtime()?.block_on(serve(port))?;
    Ok(())
}

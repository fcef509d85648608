//! What `make bench` measures of the Rust face.
//!
//! It listens on `127.0.0.1:$PORT`. With `BENCH_THREADS=1` it runs on a current-thread runtime,
//! which is what counting instructions needs; otherwise on tokio's default runtime. One client may
//! hold as many connections as the server takes, because the loader is one client. With
//! `BENCH_SURROUNDED=1` other origins, security headers and a rate limit stand around everything.

use std::error::Error;
use std::time::Duration;

use apifrom::database::{Database, Row};
use apifrom::middleware::{Cors, RateLimit, SecurityHeaders};
use apifrom::security::JwtRequired;
use apifrom::server::Server;
use apifrom::{
    Api, Body, DatabaseError, Deserialize, Identity, JsonSchema, Rejection, Request, Router,
    Serialize, ServerConfig, State, Streaming, Validate, ValidationError, api, endpoints, params,
};
use bytes::Bytes;
use futures_core::Stream;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

const MEBIBYTE: u64 = 1 << 20;
const PIECE: &[u8] = &[b'x'; 64 << 10];
const PIECES_PER_MEBIBYTE: usize = 16;
const CONNECTIONS: usize = 16_384;
const SECRET: &str = "the bench's secret of more than thirty-two bytes";

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

#[derive(Serialize)]
struct Greeting {
    message: String,
}

#[derive(Deserialize, JsonSchema, Validate)]
struct NewUser {
    #[validate(length(min = 2, max = 50))]
    name: String,
    #[validate(email)]
    email: String,
    #[validate(range(min = 18, max = 120))]
    age: u8,
    #[validate(length(min = 8), custom(function = password_strength))]
    password: String,
}

#[derive(Serialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    age: u8,
}

#[derive(Serialize)]
struct Counted {
    bytes: usize,
}

fn password_strength(password: &str) -> Result<(), ValidationError> {
    let strong = password.chars().any(char::is_uppercase)
        && password.chars().any(char::is_lowercase)
        && password.chars().any(char::is_numeric)
        && password
            .chars()
            .any(|character| "!@#$%^&*()_+-=[]{}|;:,.<>?/".contains(character));
    if strong {
        Ok(())
    } else {
        Err(ValidationError::new("password_strength"))
    }
}

#[api(route = "/", method = "GET")]
fn root() -> Status {
    Status { status: "ok" }
}

#[api(route = "/hello/{name}", method = "GET")]
fn hello(name: String) -> Greeting {
    Greeting {
        message: format!("Hello, {name}!"),
    }
}

#[derive(Serialize, Deserialize)]
struct Caller {
    sub: String,
}

#[api(route = "/me", method = "GET")]
fn me(request: Request) -> Result<Caller, Rejection> {
    let claims = request.context().identities.iter().next();
    match claims.and_then(Identity::claims_as) {
        Some(Ok(caller)) => Ok(caller),
        _ => Err(Rejection::internal()),
    }
}

#[api(route = "/people/{number}", method = "GET")]
fn person(number: i64, db: State<Database>) -> Result<Option<Row>, DatabaseError> {
    db.query_one(
        "SELECT id, name, email, age FROM people WHERE id = ?",
        params![number],
    )
}

#[api(route = "/users", method = "POST")]
fn create_user(user: NewUser) -> User {
    User {
        id: 123,
        name: user.name,
        email: user.email,
        age: user.age,
    }
}

#[api(route = "/upload", method = "POST", max_body_size = 64 * MEBIBYTE)]
async fn upload(mut body: Body) -> Result<Counted, Rejection> {
    let mut bytes = 0;
    while let Some(chunk) = body.chunk().await? {
        bytes += chunk.len();
    }
    Ok(Counted { bytes })
}

#[api(route = "/download/{mebibytes}", method = "GET")]
fn download(mebibytes: u16) -> Streaming<impl Stream<Item = Bytes>> {
    let pieces = usize::from(mebibytes) * PIECES_PER_MEBIBYTE;
    Streaming::new(tokio_stream::iter(
        // As a server does that makes what it sends: each piece is memory of its own.
        (0..pieces).map(|_| Bytes::copy_from_slice(PIECE)),
    ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
fn runtime() -> std::io::Result<Runtime> {
    if std::env::var("BENCH_THREADS").is_ok_and(|threads| threads == "1") {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread().enable_all().build()
    }
}

fn surrounded(api: Api) -> Api {
    let cors = Cors::new()
        .allow_origins(["https://page.example"])
        .allow_methods(["GET", "POST"])
        .allow_headers(["authorization"])
        .allow_credentials(true);
    api.add_middleware(cors)
        .add_middleware(SecurityHeaders::new())
        // A limit that no round reaches.
        .add_middleware(RateLimit::new(1_000_000_000, Duration::from_secs(1)))
}

async fn serve(api: Api, config: &ServerConfig) -> Result<(), Box<dyn Error>> {
    let mut terminated = signal(SignalKind::terminate())?;
    let server = Server::bind(config)?;
    let stop = async move {
        terminated.recv().await;
    };
    server.serve(api.build()?, stop).await?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut config = ServerConfig::default();
    config.port = std::env::var("PORT")?.parse()?;
    config.limit_connections = CONNECTIONS;
    config.limit_connections_per_client = CONNECTIONS;
    // Nothing is opened before it is asked.
    let people = std::env::var("BENCH_DATABASE").unwrap_or_else(|_| "people.db".into());
    let api = Api::new()
        .configure(|config| config.access_log = false)
        .state(Database::open(&format!("sqlite:///{people}"))?)
        .endpoints(endpoints![
            root,
            hello,
            create_user,
            person,
            upload,
            download
        ])
        .router(
            Router::new("")
                .auth(JwtRequired::new().secret(SECRET).algorithm("HS256"))
                .endpoints(endpoints![me]),
        );
    let is_surrounded = std::env::var("BENCH_SURROUNDED").is_ok_and(|on| on == "1");
    let api = if is_surrounded { surrounded(api) } else { api };
    runtime()?.block_on(serve(api, &config))
}

//! The axum contender: `Router`, `Json` and `validator`, as axum's own documentation shows them.
//!
//! It listens on `127.0.0.1:$PORT`. With `BENCH_THREADS=1` it runs on a current-thread runtime,
//! which is what counting instructions needs; otherwise on tokio's default runtime. With
//! `BENCH_SURROUNDED=1` other origins, security headers and a rate limit stand around everything.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{
            AUTHORIZATION, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
        request::Parts,
    },
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::runtime::{Builder, Runtime};
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};
use tower_http::{cors::CorsLayer, set_header::SetResponseHeaderLayer};
use validator::{Validate, ValidationError, ValidationErrors};

#[derive(Serialize)]
struct Greeting {
    message: String,
}

#[derive(Deserialize, Validate)]
struct NewUser {
    #[validate(length(min = 2, max = 50))]
    name: String,
    #[validate(email)]
    email: String,
    #[validate(range(min = 18, max = 120))]
    age: u8,
    #[validate(length(min = 8), custom(function = "password_strength"))]
    password: String,
}

#[derive(Serialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    age: u8,
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

async fn root() -> &'static str {
    "ok"
}

async fn hello(Path(name): Path<String>) -> Json<Greeting> {
    Json(Greeting {
        message: format!("Hello, {name}!"),
    })
}

async fn create_user(
    Json(new): Json<NewUser>,
) -> Result<Json<User>, (StatusCode, Json<ValidationErrors>)> {
    new.validate()
        .map_err(|errors| (StatusCode::UNPROCESSABLE_ENTITY, Json(errors)))?;
    Ok(Json(User {
        id: 123,
        name: new.name,
        email: new.email,
        age: new.age,
    }))
}

static KEY: LazyLock<DecodingKey> =
    LazyLock::new(|| DecodingKey::from_secret(b"the bench's secret of more than thirty-two bytes"));
static VALIDATION: LazyLock<Validation> = LazyLock::new(|| Validation::new(Algorithm::HS256));

#[derive(Serialize, Deserialize)]
struct Caller {
    sub: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        let value = parts.headers.get(AUTHORIZATION);
        let token = value
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        decode(token, &KEY, &VALIDATION)
            .map(|verified| verified.claims)
            .map_err(|_| StatusCode::UNAUTHORIZED)
    }
}

async fn me(caller: Caller) -> Json<Caller> {
    Json(caller)
}

#[derive(Serialize, sqlx::FromRow)]
struct Person {
    id: i64,
    name: String,
    email: String,
    age: i64,
}

async fn person(
    State(people): State<SqlitePool>,
    Path(id): Path<i64>,
) -> Result<Json<Person>, StatusCode> {
    sqlx::query_as("SELECT id, name, email, age FROM people WHERE id = ?")
        .bind(id)
        .fetch_optional(&people)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .map(Json)
        .ok_or(StatusCode::NOT_FOUND)
}

/// What a careful program puts around its routes: tower-http's layers, and governor by address.
fn surrounded(router: Router) -> Option<Router> {
    let origin = HeaderValue::from_static("https://page.example");
    let cors = CorsLayer::new()
        .allow_origin([origin])
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION])
        .allow_credentials(true)
        .max_age(Duration::from_mins(10));
    // A limit that no round reaches.
    let limit = GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(1_000_000_000)
        .use_headers()
        .finish()?;
    let mut router = router.layer(GovernorLayer::new(Arc::new(limit)));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        let value = HeaderValue::from_static(value);
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    Some(router.layer(cors))
}

async fn serve(port: u16) -> std::io::Result<()> {
    // Nothing is opened before it is asked.
    let file = std::env::var("BENCH_DATABASE").unwrap_or_default();
    let people =
        SqlitePoolOptions::new().connect_lazy_with(SqliteConnectOptions::new().filename(file));
    let router = Router::new()
        .route("/", get(root))
        .route("/hello/{name}", get(hello))
        .route("/users", post(create_user))
        .route("/me", get(me))
        .route("/people/{id}", get(person))
        .with_state(people);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    if std::env::var("BENCH_SURROUNDED").is_ok_and(|on| on == "1") {
        let router = surrounded(router).ok_or_else(|| std::io::Error::other("no such limit"))?;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        return axum::serve(listener, service).await;
    }
    axum::serve(listener, router).await
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

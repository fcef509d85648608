//! A client that asks an engine without a socket.
//!
//! A request goes the whole way that it would go under a server, and so does its answer. What
//! belongs to a connection is missing: TLS, limits on connections and on the time of heads and
//! bodies.
//!
//! # Examples
//! ```
//! use apifrom::testing::TestClient;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/double", method = "GET")]
//! fn double(n: i64) -> i64 {
//!     n * 2
//! }
//!
//! let client = TestClient::new(Api::new().endpoints(endpoints![double]).build()?);
//!
//! let answer = client.get("/double?n=21").send()?;
//! assert_eq!(answer.status(), 200);
//! assert_eq!(answer.json::<i64>()?, 42);
//!
//! let refused = client.get("/double?n=much").send()?;
//! assert_eq!(refused.status(), 422);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In an asynchronous test a request is awaited in place of being sent:
//! ```
//! # use apifrom::testing::TestClient;
//! # use apifrom::{Api, api, endpoints};
//! # #[api(route = "/", method = "GET")]
//! # async fn home() -> &'static str { "welcome" }
//! # async fn test(client: TestClient) -> Result<(), Box<dyn std::error::Error>> {
//! assert_eq!(client.get("/").await?.text(), "welcome");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::request::{Body, Peer};
use crate::response::StreamError;

/// Why a request was not answered. The engine answers every request, so the request itself was
/// wrong, or its answer broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The target or a header cannot be written.
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    /// The value of a body cannot be written.
    #[error("the body cannot be written: {0}")]
    Body(#[from] serde_json::Error),
    /// The answer's stream ended in an error.
    #[error("the answer broke off: {0}")]
    Answer(StreamError),
    /// The runtime that handlers run on could not be made.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Asks an engine. Cheap to clone.
#[derive(Clone)]
pub struct TestClient {
    engine: Engine,
    peer: Arc<Peer>,
}

impl TestClient {
    /// A client on `127.0.0.1`.
    pub fn new(engine: Engine) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        Self::from_peer(engine, Peer::ip(address, false))
    }

    /// A client at another place.
    pub fn from_peer(engine: Engine, peer: Peer) -> Self {
        Self {
            engine,
            peer: Arc::new(peer),
        }
    }

    /// A GET request for `target`, a path with or without a query.
    pub fn get(&self, target: &str) -> TestRequest {
        self.request(Method::GET, target)
    }

    /// A POST request.
    pub fn post(&self, target: &str) -> TestRequest {
        self.request(Method::POST, target)
    }

    /// A PUT request.
    pub fn put(&self, target: &str) -> TestRequest {
        self.request(Method::PUT, target)
    }

    /// A PATCH request.
    pub fn patch(&self, target: &str) -> TestRequest {
        self.request(Method::PATCH, target)
    }

    /// A DELETE request.
    pub fn delete(&self, target: &str) -> TestRequest {
        self.request(Method::DELETE, target)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, target: &str) -> TestRequest {
        let mut request = TestRequest {
            client: self.clone(),
            parts: http::Request::new(()).into_parts().0,
            body: Ok(Bytes::new()),
            is_rehearsed: false,
        };
        request.parts.method = method;
        match Uri::try_from(target) {
            Ok(uri) => request.parts.uri = uri,
            Err(error) => request.fail(http::Error::from(error)),
        }
        request
            .parts
            .headers
            .insert(HOST, HeaderValue::from_static("localhost"));
        request
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("engine", &self.engine)
            .field("peer", &self.peer)
            .finish()
    }
}

/// A request that is yet to be sent: by [`TestRequest::send`], or by awaiting it.
#[must_use = "a request is made only when it is sent or awaited"]
#[derive(Debug)]
pub struct TestRequest {
    client: TestClient,
    parts: http::request::Parts,
    body: Result<Bytes, TestError>,
    is_rehearsed: bool,
}

impl TestRequest {
    /// Sets a header; what was there under its name is replaced.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with_header(name, value.as_ref(), |headers, name, value| {
            headers.insert(name, value);
        })
    }

    /// Adds a header beside what is there under its name.
    pub fn another_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with_header(name, value.as_ref(), |headers, name, value| {
            headers.append(name, value);
        })
    }

    fn with_header(
        mut self,
        name: &str,
        value: &[u8],
        set: impl FnOnce(&mut HeaderMap, HeaderName, HeaderValue),
    ) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(http::Error::from);
        let value = HeaderValue::from_bytes(value).map_err(http::Error::from);
        match (name, value) {
            (Ok(name), Ok(value)) => set(&mut self.parts.headers, name, value),
            (Err(error), _) | (_, Err(error)) => self.fail(error),
        }
        self
    }

    /// A JSON body.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.typed(json, "application/json"),
            Err(error) => {
                self.fail(error);
                self
            }
        }
    }

    /// An urlencoded form, written by the caller: `name=Ada&page=2`.
    pub fn form(self, form: impl Into<Bytes>) -> Self {
        self.typed(form, "application/x-www-form-urlencoded")
    }

    /// A body of a type that is announced apart, or not at all.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = HeaderValue::from(body.len());
        self.parts.headers.insert(CONTENT_LENGTH, length);
        if self.body.is_ok() {
            self.body = Ok(body);
        }
        self
    }

    /// Leaves the handler out: what would reach it is answered 204. See [`Engine::rehearse`].
    pub fn rehearsed(mut self) -> Self {
        self.is_rehearsed = true;
        self
    }

    fn typed(mut self, body: impl Into<Bytes>, content_type: &'static str) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        self.parts.headers.insert(CONTENT_TYPE, content_type);
        self.body(body)
    }

    fn fail(&mut self, error: impl Into<TestError>) {
        if self.body.is_ok() {
            self.body = Err(error.into());
        }
    }

    /// Sends the request and waits for the whole answer, inside a runtime or without one.
    ///
    /// # Errors
    /// [`TestError`]: never because of what the API answers.
    pub fn send(self) -> Result<TestAnswer, TestError> {
        // A thread of its own: in one that is inside a runtime, waiting is not allowed.
        std::thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(self.answered())
            });
            match sending.join() {
                Ok(answered) => answered,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    async fn answered(self) -> Result<TestAnswer, TestError> {
        let body = Body::full(self.body?);
        let TestClient { engine, peer } = self.client;
        let call = if self.is_rehearsed {
            engine.rehearse(self.parts, body, peer)
        } else {
            engine.call(self.parts, body, peer)
        };
        let (head, body) = call.await.into_parts();
        let body = body.collect().await.map_err(TestError::Answer)?.to_bytes();
        Ok(TestAnswer { head, body })
    }
}

impl IntoFuture for TestRequest {
    type Output = Result<TestAnswer, TestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answered())
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct TestAnswer {
    head: http::response::Parts,
    body: Bytes,
}

impl TestAnswer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// When it is none, or none of that type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

//! A worker without a socket, for the test client.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use apifrom::check::{attack, probe, proofs_json};
use apifrom::{Body, Call, Engine, Peer};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};
use http_body_util::BodyExt;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::freeze::PyEngine;
use crate::logging::flush_logs;
use crate::reactor::Background;
use crate::serve::start;

/// How long a test waits for what its request said to reach `logging`, in milliseconds.
const LOG_PATIENCE: u32 = 1_000;

/// An API that is asked in process, on a worker of its own.
#[pyclass(frozen)]
pub(crate) struct TestServer {
    engine: Engine,
    background: Background,
}

/// Status, headers and body.
type Answered<'py> = (u16, Vec<(String, String)>, Bound<'py, PyBytes>);

#[pymethods]
impl TestServer {
    #[new]
    fn new(
        py: Python<'_>,
        engine: &PyEngine,
        lifespan: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let begin = lifespan.map(|lifespan| lifespan.clone().unbind());
        let end = lifespan.map(|lifespan| lifespan.clone().unbind());
        let background = Background::start(
            py,
            move |py, worker| begin.map_or(Ok(()), |lifespan| start(worker, lifespan.bind(py))),
            move |py, worker| {
                end.map_or(Ok(()), |lifespan| {
                    let stop = lifespan.bind(py).call_method0("stop")?;
                    worker.complete(&stop).map(drop)
                })
            },
        )?;
        Ok(Self {
            engine: engine.engine.clone(),
            background,
        })
    }

    /// Answers one request, read to its end. `head` is its method, target and headers, `peer` the
    /// address and port that it comes from, and whether over TLS.
    fn request<'py>(
        &self,
        py: Python<'py>,
        head: Head,
        body: &[u8],
        peer: (String, u16, bool),
    ) -> PyResult<Answered<'py>> {
        self.send(py, head, body, peer, Engine::call)
    }

    /// Answers a request as `request` does, without its handler.
    fn rehearse<'py>(
        &self,
        py: Python<'py>,
        head: Head,
        body: &[u8],
        peer: (String, u16, bool),
    ) -> PyResult<Answered<'py>> {
        self.send(py, head, body, peer, Engine::rehearse)
    }

    /// Tries every promise of the API, and says as JSON what came of it.
    fn attack(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.engine.clone();
        self.wait_for(py, async move { attack(&engine).await.to_json() })
    }

    /// Proves findings by requests, and says as JSON which it could.
    fn probe(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.engine.clone();
        self.wait_for(py, async move {
            proofs_json(&probe(&engine, &engine.check()).await)
        })
    }

    /// Ends the lifespan and the worker.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.background.stop(py)
    }
}

impl TestServer {
    /// What `work` comes to on the worker.
    fn wait_for(
        &self,
        py: Python<'_>,
        work: impl Future<Output = String> + Send + 'static,
    ) -> PyResult<String> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.background.handle().spawn(async move {
            // Whoever asked may have given up.
            let _ = answer.send(work.await);
        });
        let report = py
            .detach(move || answered.recv())
            .map_err(|_| PyRuntimeError::new_err("the worker has ended"))?;
        flush_logs(py, LOG_PATIENCE);
        Ok(report)
    }

    fn send<'py>(
        &self,
        py: Python<'py>,
        head: Head,
        body: &[u8],
        peer: (String, u16, bool),
        call: impl FnOnce(&Engine, http::request::Parts, Body, Arc<Peer>) -> Call + Send + 'static,
    ) -> PyResult<Answered<'py>> {
        let (head, ()) = head.into_http()?.into_parts();
        let (address, port, tls) = peer;
        let address = address.parse().map_err(|_| {
            PyValueError::new_err(format!("expected an IP address, found {address:?}"))
        })?;
        let peer = Arc::new(Peer::ip(SocketAddr::new(address, port), tls));
        let body = Body::full(Bytes::copy_from_slice(body));
        let engine = self.engine.clone();
        let (answer, answered) = mpsc::sync_channel(1);
        self.background.handle().spawn(async move {
            // Begun on the worker: this thread may be that of another, which waits below.
            let (parts, body) = call(&engine, head, body, peer).await.into_parts();
            let bytes = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes);
            // Whoever asked may have given up.
            let _ = answer.send((parts, bytes));
        });
        let (parts, bytes) = py
            .detach(move || answered.recv())
            .map_err(|_| PyRuntimeError::new_err("the worker has ended"))?;
        flush_logs(py, LOG_PATIENCE);
        let bytes = bytes
            .map_err(|error| PyRuntimeError::new_err(format!("the answer broke off: {error}")))?;
        let lines = parts
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        Ok((parts.status.as_u16(), lines, PyBytes::new(py, &bytes)))
    }
}

/// Method, target and headers.
#[derive(FromPyObject)]
struct Head(String, String, Vec<(String, String)>);

impl Head {
    fn into_http(self) -> PyResult<http::Request<()>> {
        let Self(method, target, headers) = self;
        let wrong =
            |what: &str| PyValueError::new_err(format!("the request cannot be sent: {what}"));
        let mut request = http::Request::new(());
        *request.version_mut() = Version::HTTP_11;
        *request.method_mut() =
            Method::from_bytes(method.as_bytes()).map_err(|_| wrong("its method is none"))?;
        *request.uri_mut() = target.parse().map_err(|_| wrong("its path is none"))?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong("the name of a header is none"))?;
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| wrong("the value of a header cannot stand in one"))?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

//! One request under a foreign ASGI 3 server: its scope in, the engine's answer out.
//!
//! 1. The head is read from the scope: the path as it was sent (`raw_path`), without the `root_path`
//!    under which another application mounts this one.
//! 2. The body is asked for only once somebody reads it, or the answer is streamed, and no more than
//!    64 KiB ahead. Who still reads it once the answer is over is told that the client has gone.
//! 3. The answer is the engine's, with the `Content-Length` that a server of ours would add.
//!
//! TLS, limits on connections and on time, and everything below HTTP are that server's.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use apifrom::{Body, Engine, Head, Peer, PeerAddress, Rejection, ResponseBody};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::awaitable::{Awaitable, Made};
use crate::freeze::PyEngine;
use crate::reactor;

/// How much of a body is taken before it is read.
const AHEAD: usize = 64 << 10;

/// How long what follows the answers has once the server ends its lifespan.
const PATIENCE: Duration = Duration::from_secs(5);

/// One request and its answer.
#[pyclass(frozen)]
pub(crate) struct Exchange {
    asked: Mutex<Option<Asked>>,
    fed: Arc<Fed>,
    body: Mutex<Option<ResponseBody>>,
}

struct Asked {
    engine: Engine,
    head: Head,
    peer: Arc<Peer>,
    refused: Option<Rejection>,
}

#[pymethods]
impl Exchange {
    /// Reads the scope. Everything is refused with 503 where `is_ready` is false.
    #[new]
    fn new(engine: &PyEngine, scope: &Bound<'_, PyAny>, is_ready: bool) -> PyResult<Self> {
        reactor::join(scope.py())?;
        let head = read_head(scope)?;
        let announced = announced(&head);
        let refused = (!is_ready).then(|| {
            Rejection::unavailable("not_configured", "the service could not be started", 60)
        });
        Ok(Self {
            asked: Mutex::new(Some(Asked {
                engine: engine.engine.clone(),
                peer: Arc::new(read_peer(scope)?),
                head,
                refused,
            })),
            fed: Arc::new(Fed::new(announced)),
            body: Mutex::new(None),
        })
    }

    /// Awaits status, headers and body; the body is nothing where it is streamed.
    fn answer(slf: &Bound<'_, Self>) -> PyResult<Awaitable> {
        let this = slf.get();
        let asked = lock(&this.asked).take();
        let Some(asked) = asked else {
            return Err(PyRuntimeError::new_err("this was asked already"));
        };
        let body = Body::stream(FedBody(Arc::clone(&this.fed)));
        let Asked {
            engine,
            head,
            peer,
            refused,
        } = asked;
        // A call begins when it is made, not when it is first polled.
        let call = reactor::inside(|| match refused {
            Some(why) => engine.refuse(head, peer, why),
            None => engine.call(head, body, peer),
        });
        let exchange = slf.clone().unbind();
        Ok(Awaitable::new(async move {
            let response = call.await;
            let made: Made = Box::new(move |py| exchange.get().begin(py, response));
            made
        }))
    }

    /// Awaits the next piece of a body that is streamed, nothing at its end.
    fn piece(slf: &Bound<'_, Self>) -> PyResult<Awaitable> {
        let body = lock(&slf.get().body).take();
        let mut body = body.ok_or_else(|| PyRuntimeError::new_err("there is no body to stream"))?;
        let exchange = slf.clone().unbind();
        Ok(Awaitable::new(async move {
            let piece = loop {
                match body.frame().await {
                    None => break Ok(None),
                    Some(Err(error)) => break Err(error),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data()
                            && !data.is_empty()
                        {
                            break Ok(Some(data));
                        }
                    }
                }
            };
            let made: Made = Box::new(move |py| {
                let piece = piece.map_err(|error| {
                    PyRuntimeError::new_err(format!("the answer broke off: {error}"))
                })?;
                let Some(piece) = piece else {
                    // What is to be done after the answer begins with the end of its body.
                    drop(body);
                    return Ok(py.None());
                };
                *lock(&exchange.get().body) = Some(body);
                Ok(PyBytes::new(py, &piece).into_any().unbind())
            });
            made
        }))
    }

    /// Awaits that the server is to be asked for its next message: for a piece of the body, or, once
    /// nobody reads it any more or the answer is streamed, for word that the client has gone.
    fn demand(&self) -> Awaitable {
        let fed = Arc::clone(&self.fed);
        Awaitable::new(async move {
            poll_fn(|context| fed.poll_demand(context.waker())).await;
            let made: Made = Box::new(|py| Ok(py.None()));
            made
        })
    }

    /// Takes a piece of the body; `more` says that others follow.
    fn feed(&self, piece: &[u8], more: bool) {
        self.fed.feed(Bytes::copy_from_slice(piece), more);
    }

    /// Lets go of the answer, of which nothing more is sent, and of what is still to come of the
    /// request.
    fn close(&self) {
        self.fed.disconnect();
        let body = lock(&self.body).take();
        drop(body);
    }

    /// The client has gone: what it still owes will not come.
    fn disconnect(&self) {
        self.fed.disconnect();
    }

    /// Awaits that nothing follows the answers of this loop any more, for five seconds at most.
    #[staticmethod]
    fn settled(py: Python<'_>) -> PyResult<Awaitable> {
        reactor::join(py)?;
        let shared = reactor::with_local(|local| Arc::clone(local.shared()));
        Ok(Awaitable::new(async move {
            if let Some(shared) = shared {
                shared.settled(PATIENCE).await;
            }
            let made: Made = Box::new(|py| Ok(py.None()));
            made
        }))
    }
}

impl Exchange {
    fn begin(&self, py: Python<'_>, response: apifrom::Response) -> PyResult<Py<PyAny>> {
        let (parts, body) = response.into_parts();
        let lines = PyList::empty(py);
        for (name, value) in &parts.headers {
            lines.append((
                PyBytes::new(py, name.as_str().as_bytes()),
                PyBytes::new(py, value.as_bytes()),
            ))?;
        }
        let may_have_length = !matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        if may_have_length
            && !parts.headers.contains_key(CONTENT_LENGTH)
            && let Some(length) = body.size_hint().exact()
        {
            lines.append((
                PyBytes::new(py, CONTENT_LENGTH.as_str().as_bytes()),
                PyBytes::new(py, length.to_string().as_bytes()),
            ))?;
        }
        let at_hand = match body.bytes() {
            Some(bytes) => PyBytes::new(py, bytes).into_any().unbind(),
            None => py.None(),
        };
        if at_hand.is_none(py) {
            *lock(&self.body) = Some(body);
            self.fed.stream();
        }
        let answer = (parts.status.as_u16(), lines, at_hand).into_pyobject(py)?;
        Ok(answer.into_any().unbind())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Whoever waits for a piece is kept by what it waits for, and would never end.
        if Arc::strong_count(&self.fed) > 1 {
            self.fed.disconnect();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the server handed over of a request's body.
struct Fed {
    announced: Option<u64>,
    state: Mutex<Supply>,
}

/// Whether more is to come.
#[derive(Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Over,
    Broken,
}

#[derive(Default)]
struct Supply {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    end: End,
    /// True while somebody waits for a piece.
    is_wanted: bool,
    /// True once nobody reads the body any more.
    is_dropped: bool,
    /// True once the answer is streamed, whose client may go at any time.
    is_streaming: bool,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

impl Fed {
    fn new(announced: Option<u64>) -> Self {
        let supply = Supply {
            end: if announced == Some(0) {
                End::Over
            } else {
                End::Open
            },
            ..Supply::default()
        };
        Self {
            announced,
            state: Mutex::new(supply),
        }
    }

    fn feed(&self, piece: Bytes, more: bool) {
        let mut state = lock(&self.state);
        if !piece.is_empty() && state.end == End::Open && !state.is_dropped {
            state.bytes += piece.len();
            state.pieces.push_back(piece);
        }
        state.is_wanted = false;
        if !more && state.end == End::Open {
            state.end = End::Over;
        }
        let reader = state.reader.take();
        drop(state);
        reactor::wake(reader);
    }

    fn disconnect(&self) {
        let mut state = lock(&self.state);
        if state.end == End::Open {
            state.end = End::Broken;
        }
        let reader = state.reader.take();
        drop(state);
        reactor::wake(reader);
    }

    /// The answer is streamed from now on.
    fn stream(&self) {
        let mut state = lock(&self.state);
        state.is_streaming = true;
        let feeder = state.feeder.take();
        drop(state);
        reactor::wake(feeder);
    }

    /// Ready when the server is to be asked for a message.
    fn poll_demand(&self, waker: &Waker) -> Poll<()> {
        let mut state = lock(&self.state);
        let has_room = state.bytes < AHEAD;
        let is_due = state.end != End::Open
            || state.is_dropped
            || ((state.is_wanted || state.is_streaming) && has_room);
        if is_due {
            return Poll::Ready(());
        }
        state.feeder = Some(waker.clone());
        Poll::Pending
    }
}

/// The body as the engine reads it.
struct FedBody(Arc<Fed>);

impl http_body::Body for FedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let mut state = lock(&self.0.state);
        if let Some(piece) = state.pieces.pop_front() {
            state.bytes -= piece.len();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match state.end {
            End::Open => {}
            End::Over => return Poll::Ready(None),
            End::Broken => {
                let error = std::io::Error::other("the client has gone");
                return Poll::Ready(Some(Err(error)));
            }
        }
        state.is_wanted = true;
        state.reader = Some(context.waker().clone());
        let feeder = state.feeder.take();
        drop(state);
        reactor::wake(feeder);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.0.state);
        state.end == End::Over && state.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .announced
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for FedBody {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_dropped = true;
        let pieces = std::mem::take(&mut state.pieces);
        let feeder = state.feeder.take();
        drop(state);
        drop(pieces);
        reactor::wake(feeder);
    }
}

/// The length of the body, as far as the head tells: none at all over HTTP/1 where neither field
/// announces one (RFC 9112 §6.3).
fn announced(head: &Head) -> Option<u64> {
    if let Some(length) = head.headers.get(CONTENT_LENGTH) {
        return length.to_str().ok()?.parse().ok();
    }
    let is_http1 = head.version < Version::HTTP_2;
    (is_http1 && !head.headers.contains_key(TRANSFER_ENCODING)).then_some(0)
}

fn read_head(scope: &Bound<'_, PyAny>) -> PyResult<Head> {
    let wrong = |what: &str| PyValueError::new_err(format!("the ASGI scope is wrong: {what}"));
    let mut head = http::Request::new(()).into_parts().0;
    let method: String = scope.get_item("method")?.extract()?;
    head.method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("its method is none"))?;
    let version: String = scope.get_item("http_version")?.extract()?;
    head.version = match version.as_str() {
        "1.0" => Version::HTTP_10,
        "2" | "2.0" => Version::HTTP_2,
        "3" | "3.0" => Version::HTTP_3,
        _ => Version::HTTP_11,
    };
    let query: Vec<u8> = match optional(scope, "query_string")? {
        Some(query) => query.extract()?,
        None => Vec::new(),
    };
    let mut target = read_path(scope)?;
    if !query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(&query);
    }
    head.uri =
        Uri::from_maybe_shared(Bytes::from(target)).map_err(|_| wrong("its path is none"))?;
    let mut headers = HeaderMap::new();
    for line in scope.get_item("headers")?.try_iter()? {
        let (name, value): (Vec<u8>, Vec<u8>) = line?.extract()?;
        let name = HeaderName::from_bytes(&name).map_err(|_| wrong("the name of a header"))?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| wrong("the value of a header"))?;
        headers.append(name, value);
    }
    head.headers = headers;
    Ok(head)
}

/// The path below where this application is mounted, as it was sent.
fn read_path(scope: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let root: String = match optional(scope, "root_path")? {
        Some(root) => root.extract()?,
        None => String::new(),
    };
    let root = root.trim_end_matches('/');
    if let Some(raw) = optional(scope, "raw_path")? {
        let raw: Vec<u8> = raw.extract()?;
        if !raw.is_empty() {
            if let Some(below) = below(&raw, root.as_bytes()) {
                return Ok(below.to_vec());
            }
            // Where the mount's own name had to be encoded it cannot be taken off letter by letter.
            if root.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Ok(raw);
            }
        }
    }
    let path: String = scope.get_item("path")?.extract()?;
    let path = below(path.as_bytes(), root.as_bytes()).unwrap_or(path.as_bytes());
    let quote = scope.py().import("urllib.parse")?.getattr("quote")?;
    let quoted: String = quote.call1((PyBytes::new(scope.py(), path),))?.extract()?;
    Ok(quoted.into_bytes())
}

fn below<'a>(path: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(root)?;
    match rest.first() {
        Some(b'/') => Some(rest),
        None => Some(b"/"),
        Some(_) => None,
    }
}

fn read_peer(scope: &Bound<'_, PyAny>) -> PyResult<Peer> {
    let tls = match optional(scope, "scheme")? {
        Some(scheme) => scheme.extract::<String>()? == "https",
        None => false,
    };
    let mut peer = Peer::unix();
    peer.tls = tls;
    if let Some(client) = optional(scope, "client")? {
        let client: Vec<Bound<'_, PyAny>> = client.try_iter()?.collect::<PyResult<_>>()?;
        let host = client
            .first()
            .and_then(|host| host.extract::<String>().ok());
        let port = client.get(1).and_then(|port| port.extract::<u16>().ok());
        if let Some(address) = host.and_then(|host| host.parse::<IpAddr>().ok()) {
            let port = port.unwrap_or_default();
            peer.address = PeerAddress::Ip(SocketAddr::new(address.to_canonical(), port));
        }
    }
    Ok(peer)
}

fn optional<'py>(scope: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = scope.call_method1("get", PyTuple::new(scope.py(), [name])?)?;
    Ok((!found.is_none()).then_some(found))
}

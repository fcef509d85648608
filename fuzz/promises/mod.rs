//! What holds for any request: asked by the fuzz targets, and by the engine's own property tests.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use apifrom::{Body, Engine, Peer};
use serde_json::Value;

pub mod binding;
pub mod path;

/// The status and the body of the answer to a GET request, its request id taken out. `None` for a
/// target or a header that no transport would hand on.
pub fn ask(engine: &Engine, target: &str, headers: &[(&str, &[u8])]) -> Option<(u16, Value)> {
    let mut request = http::Request::builder().uri(target).header("host", "a");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).ok()?.into_parts();
    let peer = Peer::ip(([127, 0, 0, 1], 1).into(), false);
    let mut call = pin!(engine.call(head, Body::empty(), Arc::new(peer)));
    let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing here waits");
    };
    let status = answer.status().as_u16();
    let body = answer.body().bytes().expect("nothing here streams");
    let mut body: Value = serde_json::from_slice(body).expect("everything here is JSON");
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
    }
    Some((status, body))
}

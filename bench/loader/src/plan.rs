//! What to drive: the plan that the runner writes, as JSON, on standard input.

use std::{fmt::Write, net::SocketAddr};

use serde::Deserialize;
use serde_json::Value;

/// One run of the loader: a warm-up and a measured stage over the same connections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// The server's process, whose CPU time is measured together with its descendants'.
    #[serde(default)]
    pub(crate) process: Option<u32>,
    /// The core that the server is pinned to, watched for work that is not the server's.
    #[serde(default)]
    pub(crate) server_core: Option<usize>,
    /// The kernel's clock ticks a second, in which it counts CPU time.
    pub(crate) ticks_per_second: f64,
    /// How long the stage before the measured one lasts; zero leaves it out.
    pub(crate) warm_up_seconds: f64,
    /// How long requests are sent in the measured stage.
    pub(crate) seconds: f64,
    /// How long outstanding answers are awaited after that.
    pub(crate) answer_seconds: f64,
    /// What runs at the same time.
    pub(crate) streams: Vec<StreamPlan>,
}

/// Connections that send the same cycle of requests, measured together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamPlan {
    /// The name under which the report lists it.
    pub(crate) name: String,
    /// How many keep-alive connections it holds.
    pub(crate) connections: usize,
    /// Requests a second; without it every connection sends as soon as it has its answer.
    #[serde(default)]
    pub(crate) rate: Option<f64>,
    /// How many requests each stage sends at most.
    #[serde(default)]
    pub(crate) limit: Option<u64>,
    /// The requests, sent in turn.
    pub(crate) requests: Vec<RequestPlan>,
}

/// One request and the answer that it must get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestPlan {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) body: String,
    /// The expected status.
    pub(crate) status: u16,
    /// The expected body, compared as JSON; without it any body will do.
    #[serde(default)]
    pub(crate) json: Option<Value>,
    /// Whether the connection is given up after the answer, as a refused body's must be.
    #[serde(default)]
    pub(crate) close: bool,
}

impl RequestPlan {
    /// The bytes on the wire.
    pub(crate) fn wire(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // A plan that announces a length of its own sends a body that must be refused unread.
        let announced = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if !self.body.is_empty() && !announced {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        head.push_str("\r\n");
        head.push_str(&self.body);
        head.into_bytes()
    }
}

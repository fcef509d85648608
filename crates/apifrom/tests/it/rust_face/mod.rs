//! Functions under `#[api]`, asked without a socket.

mod answers;
mod arguments;
mod bodies;
mod callers;
mod files;
mod layers;
mod merged;
mod protected;
mod tower;
mod vectors;

use std::sync::atomic::{AtomicUsize, Ordering};

use apifrom::testing::TestAnswer;
use apifrom::{Api, EndpointSpec, testing::TestClient};
use serde_json::Value;

/// How often a handler of one test ran.
pub(crate) struct Calls(AtomicUsize);

impl Calls {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

pub(crate) fn client(specs: impl IntoIterator<Item = EndpointSpec>) -> TestClient {
    let api = Api::new().configure(|config| config.access_log = false);
    TestClient::new(api.endpoints(specs).build().unwrap())
}

/// `loc: type`, one for each violation, the location first.
pub(crate) fn violations(answer: &TestAnswer) -> Vec<String> {
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let body: Value = answer.json().unwrap();
    let errors = body["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            let loc = error["loc"].as_array().unwrap().iter();
            let loc: Vec<String> = loc
                .map(|step| {
                    step.as_str()
                        .map_or_else(|| step.to_string(), str::to_owned)
                })
                .collect();
            format!("{}: {}", loc.join("."), error["type"].as_str().unwrap())
        })
        .collect()
}

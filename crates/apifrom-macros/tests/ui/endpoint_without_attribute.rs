#![allow(unused)]

use apifrom::{Api, endpoints};

fn forgotten() -> &'static str {
    "forgotten"
}

struct NoEndpoint;

fn main() {
    let _ = Api::new().endpoints(endpoints![forgotten]);
    let _ = Api::new().endpoints(endpoints![NoEndpoint]);
}

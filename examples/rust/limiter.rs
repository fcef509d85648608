//! What a rate limit costs in memory and time as clients become many: what `make bench RUN=limiter`
//! prints.
//!
//! A million clients ask an engine in this process, each once, under limits that keep times (up to 32) and
//! under limits that keep counters. The memory of the process must grow by no more than 256 bytes for
//! each, and the last hundred thousand must cost what the second hundred thousand cost, give or take what
//! a larger table costs in caches.

#![expect(
    clippy::disallowed_methods,
    reason = "a program that measures time reads the clock, and reads its environment where it begins"
)]
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use apifrom::middleware::RateLimit;
use apifrom::{Api, Body, Engine, Peer, Response, api, endpoints};
use bytes::Bytes;
use http::StatusCode;
use http::header::HOST;

const CLIENTS: u32 = 1_000_000;
const STEP: u32 = 100_000;
/// What the promise of the product is.
const BYTES_AT_MOST: f64 = 256.0;
/// A table that no cache holds costs some misses more.
const TIMES_AT_MOST: f64 = 1.5;

#[api(route = "/", method = "GET")]
fn open() -> &'static str {
    "in"
}

/// The resident memory of this process, in bytes.
fn resident() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0)
}

/// An answer that is there at once, as counts in memory are.
fn answered(call: impl Future<Output = Response>) -> Result<Response, Box<dyn Error>> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Ok(response),
        Poll::Pending => Err("an answer was not there at once".into()),
    }
}

/// One request of one client.
fn ask(engine: &Engine, client: u32) -> Result<StatusCode, Box<dyn Error>> {
    let address = Ipv4Addr::from_bits(0x0a00_0000 + client);
    let peer = Peer::ip(SocketAddr::from((address, 50_000)), false);
    let head = http::Request::get("/").header(HOST, "localhost").body(())?;
    let head = head.into_parts().0;
    let call = engine.call(head, Body::full(Bytes::new()), Arc::new(peer));
    Ok(answered(call)?.status())
}

struct Row {
    limit: u32,
    bytes: f64,
    nanos: Vec<f64>,
}

/// Sends one request of each client, and one more of the first, which must be counted still.
fn measure(limit: u32, clients: u32) -> Result<Row, Box<dyn Error>> {
    // Keys are spread by digest over parts that are not filled evenly: with no room to spare, the last
    // would share counters.
    let room = clients + clients / 8;
    let window = RateLimit::new(limit, Duration::from_hours(1)).max_keys(room);
    let engine = Api::new()
        .configure(|config| config.access_log = false)
        .add_middleware(window.cost(limit))
        .endpoints(endpoints![open])
        .build()?;
    let before = resident()?;
    let step = STEP.min(clients);
    let mut nanos = Vec::new();
    for first in (0..clients).step_by(usize::try_from(step)?) {
        let begin = Instant::now();
        for client in first..first + step {
            if ask(&engine, client)? != StatusCode::OK {
                return Err(format!("client {client} was refused under the limit").into());
            }
        }
        nanos.push(begin.elapsed().as_secs_f64() * 1e9 / f64::from(step));
    }
    let bytes = (resident()? - before) / f64::from(clients);
    for client in [0, clients / 2, clients - 1] {
        if ask(&engine, client)? != StatusCode::TOO_MANY_REQUESTS {
            return Err(format!("client {client} was forgotten").into());
        }
    }
    Ok(Row {
        limit,
        bytes,
        nanos,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let clients = match std::env::var("CLIENTS") {
        Ok(clients) => clients.parse()?,
        Err(_) => CLIENTS,
    };
    println!(
        "{:<12} {:>10} {:>14} {:>14} {:>8}",
        "limit", "bytes/key", "2nd step, ns", "last step, ns", "ratio"
    );
    let mut holds = true;
    for limit in [1, 32, 33, 1_000_000] {
        let row = measure(limit, clients)?;
        // In the first step the process itself is still warming up.
        let early = row
            .nanos
            .get(1)
            .or(row.nanos.first())
            .copied()
            .unwrap_or_default();
        let late = row.nanos.last().copied().unwrap_or_default();
        let ratio = late / early;
        println!(
            "{:<12} {:>10.1} {early:>14.0} {late:>14.0} {ratio:>8.2}",
            row.limit, row.bytes
        );
        holds &= row.bytes <= BYTES_AT_MOST && ratio <= TIMES_AT_MOST;
    }
    if holds {
        Ok(())
    } else {
        Err("a key takes more than 256 bytes, or many keys cost more than few".into())
    }
}

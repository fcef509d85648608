//! Drives HTTP/1.1 load over keep-alive connections from one thread, checks every answer, and
//! reports rates, latencies and the server's CPU time.
//!
//! The plan comes as JSON on standard input and the report goes as JSON to standard output; the
//! runner of the bench writes the one and reads the other. A closed-loop stream sends on each
//! connection as soon as the answer is there; a stream at a fixed rate measures each latency from
//! the moment the request was due.

mod answer;
mod connection;
mod cpu;
mod drive;
mod plan;
mod record;
mod stream;

use std::{
    io::{self, Write},
    time::Instant,
};

use serde::Serialize;

use crate::{
    drive::Driver,
    plan::Plan,
    record::{StreamReport, as_f64},
};

#[derive(Serialize)]
struct Report {
    /// The server's user and system time in the measured stage, in seconds.
    server_cpu_seconds: Option<f64>,
    /// That time divided by all answers of all streams, in microseconds.
    server_cpu_us_per_request: Option<f64>,
    /// The share of the server's core that went to other work.
    others_on_server_core: Option<f64>,
    /// The loader's own share of one core: near 1, the loader and not the server is the limit.
    loader_busy: f64,
    streams: Vec<StreamReport>,
}

fn run(plan: Plan) -> Result<Report, Box<dyn std::error::Error>> {
    let mut driver = Driver::connect(plan.address, plan.streams)?;
    if plan.warm_up_seconds > 0.0 {
        driver.stage(plan.warm_up_seconds, plan.answer_seconds)?;
    }
    let own = std::process::id();
    // Between the stages no request is under way, so the samples bound exactly these requests.
    let server_before = plan.process.map(cpu::tree_ticks).transpose()?;
    let core_before = plan.server_core.map(cpu::core_ticks).transpose()?;
    let own_before = cpu::tree_ticks(own)?;
    let start = Instant::now();
    driver.stage(plan.seconds, plan.answer_seconds)?;
    let elapsed = start.elapsed().as_secs_f64();
    let own_ticks = cpu::tree_ticks(own)?.saturating_sub(own_before);
    let server_after = plan.process.map(cpu::tree_ticks).transpose()?;
    let core_after = plan.server_core.map(cpu::core_ticks).transpose()?;

    let streams = driver.into_streams();
    let answers: u64 = streams.iter().map(|stream| stream.record.answers()).sum();
    let seconds =
        |(before, after): (u64, u64)| as_f64(after.saturating_sub(before)) / plan.ticks_per_second;
    let server_cpu_seconds = server_before.zip(server_after).map(seconds);
    let core_seconds = core_before.zip(core_after).map(seconds);
    Ok(Report {
        server_cpu_seconds,
        server_cpu_us_per_request: server_cpu_seconds
            .filter(|_| answers > 0)
            .map(|seconds| seconds * 1e6 / as_f64(answers)),
        others_on_server_core: core_seconds
            .zip(server_cpu_seconds)
            .map(|(core, server)| (core - server).max(0.0) / elapsed),
        loader_busy: as_f64(own_ticks) / plan.ticks_per_second / elapsed,
        streams: streams
            .into_iter()
            .map(|stream| stream.record.report(&stream.name))
            .collect(),
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plan: Plan = serde_json::from_reader(io::stdin().lock())?;
    let report = run(plan)?;
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, &report)?;
    output.write_all(b"\n")?;
    Ok(())
}

//! The loop that keeps all connections busy: one thread, one poll, no allocation per request.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token};
use thiserror::Error;

use crate::{
    answer,
    connection::{Connection, Pending},
    plan::StreamPlan,
    record::MAX_FAULTS,
    stream::{Prepared, Stream},
};

/// The kernel's poll waits in whole milliseconds; what is due sooner is awaited by spinning.
const SPIN: Duration = Duration::from_micros(1500);

/// The longest wait, so that the end of a stage is noticed.
const NAP: Duration = Duration::from_millis(50);

/// Why a run gave no figures.
#[derive(Debug, Error)]
pub(crate) enum DriveError {
    /// The server cannot be reached, or polling failed.
    #[error("input or output failed: {0}")]
    Io(#[from] io::Error),
    /// The histogram's bounds are wrong.
    #[error("histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// All connections and streams of a run.
pub(crate) struct Driver {
    address: SocketAddr,
    poll: Poll,
    connections: Vec<Connection>,
    streams: Vec<Stream>,
    outstanding: usize,
}

/// When a stage began and when it stops sending.
#[derive(Clone, Copy)]
struct Stage {
    start: Instant,
    end: Instant,
}

impl Driver {
    /// Opens every connection.
    pub(crate) fn connect(address: SocketAddr, plans: Vec<StreamPlan>) -> Result<Self, DriveError> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        let mut streams = Vec::new();
        for (index, plan) in plans.into_iter().enumerate() {
            for _ in 0..plan.connections {
                let token = Token(connections.len());
                connections.push(Connection::open(address, poll.registry(), token, index)?);
            }
            streams.push(Stream::new(plan, address)?);
        }
        Ok(Self {
            address,
            poll,
            connections,
            streams,
            outstanding: 0,
        })
    }

    /// Sends for `seconds`, then waits up to `answer_seconds` for what is outstanding.
    pub(crate) fn stage(&mut self, seconds: f64, answer_seconds: f64) -> Result<(), DriveError> {
        let start = Instant::now();
        let stage = Stage {
            start,
            end: start + Duration::from_secs_f64(seconds),
        };
        let give_up = stage.end + Duration::from_secs_f64(answer_seconds);
        self.begin(stage)?;
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            self.send_due(now, stage);
            if self.is_done(now, stage) || now >= give_up || self.is_hopeless() {
                break;
            }
            self.poll.poll(&mut events, Some(self.wait(now)))?;
            for event in &events {
                let Token(index) = event.token();
                self.progress(index, stage)?;
            }
        }
        self.end()
    }

    /// Gives up the streams for their reports.
    pub(crate) fn into_streams(self) -> Vec<Stream> {
        self.streams
    }

    fn begin(&mut self, stage: Stage) -> Result<(), DriveError> {
        for stream in &mut self.streams {
            stream.begin(stage.start)?;
            stream.free.clear();
        }
        for index in 0..self.connections.len() {
            self.go_on(index, stage);
        }
        Ok(())
    }

    /// Counts what was never answered, and leaves every connection fit for the next stage.
    fn end(&mut self) -> Result<(), DriveError> {
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(index) else {
                continue;
            };
            let (pending, number) = (connection.pending.take(), connection.stream);
            let (Some(pending), Some(stream)) = (pending, self.streams.get_mut(number)) else {
                continue;
            };
            let label = stream.requests.get(pending.request).map(Prepared::label);
            let label = label.unwrap_or_default().to_owned();
            stream
                .record
                .fault(|| format!("{label}: no answer in time"));
            self.reopen(index)?;
        }
        self.outstanding = 0;
        for stream in &mut self.streams {
            for _ in 0..stream.late_count() {
                stream
                    .record
                    .fault(|| "a request that was due found no free connection".to_owned());
            }
        }
        Ok(())
    }

    fn is_done(&self, now: Instant, stage: Stage) -> bool {
        self.outstanding == 0
            && self
                .streams
                .iter()
                .all(|stream| stream.is_exhausted() || (now >= stage.end && !stream.is_late()))
    }

    fn is_hopeless(&self) -> bool {
        self.streams
            .iter()
            .any(|stream| stream.record.faults() >= MAX_FAULTS)
    }

    fn wait(&self, now: Instant) -> Duration {
        let due = self.streams.iter().filter_map(Stream::next_due).min();
        match due {
            Some(due) => due
                .saturating_duration_since(now)
                .checked_sub(SPIN)
                .map_or(Duration::ZERO, |left| left.min(NAP)),
            None => NAP,
        }
    }

    fn send_due(&mut self, now: Instant, stage: Stage) {
        for number in 0..self.streams.len() {
            while let Some(stream) = self.streams.get_mut(number) {
                stream.fall_due(now, stage.end);
                let Some(due) = stream.first_late() else {
                    break;
                };
                let Some(index) = stream.free.pop_front() else {
                    break;
                };
                stream.take_late();
                self.send(index, due);
            }
        }
    }

    /// Lets a connection that has nothing under way do the next thing.
    fn go_on(&mut self, index: usize, stage: Stage) {
        let Some(number) = self
            .connections
            .get(index)
            .map(|connection| connection.stream)
        else {
            return;
        };
        let Some(stream) = self.streams.get_mut(number) else {
            return;
        };
        if stream.is_paced() {
            if let Some(due) = stream.take_late() {
                self.send(index, due);
            } else {
                stream.free.push_back(index);
            }
        } else {
            let now = Instant::now();
            if now < stage.end {
                self.send(index, now);
            }
        }
    }

    fn send(&mut self, index: usize, since: Instant) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(connection.stream) else {
            return;
        };
        let Some(request) = stream.take_turn() else {
            return;
        };
        let Some(prepared) = stream.requests.get(request) else {
            return;
        };
        self.outstanding += 1;
        // A write that fails shows as a fault when the closed connection is read.
        let _ = connection.send(Pending { request, since }, &prepared.wire);
    }

    fn progress(&mut self, index: usize, stage: Stage) -> Result<(), DriveError> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        let Some(stream) = self.streams.get_mut(connection.stream) else {
            return Ok(());
        };
        let open = connection.receive();
        let Some(pending) = connection.pending else {
            if !matches!(open, Ok(true)) {
                stream.record.reconnect();
                self.reopen(index)?;
            }
            return Ok(());
        };
        let Some(prepared) = stream.requests.get_mut(pending.request) else {
            return Ok(());
        };
        let outcome = match answer::read(connection.received()) {
            Ok(Some(answer)) => Ok((
                answer.length,
                answer.closes || prepared.close,
                prepared.check(&answer),
            )),
            Ok(None) => match open {
                Ok(true) => {
                    // As in `send`: a failed write shows when the connection is read.
                    let _ = connection.write(&prepared.wire);
                    return Ok(());
                }
                Ok(false) => Err("closed before the answer was whole".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        self.outstanding = self.outstanding.saturating_sub(1);
        match outcome {
            Ok((length, closes, verdict)) => {
                let now = Instant::now();
                match verdict {
                    Ok(()) => stream.record.answer(
                        now.saturating_duration_since(pending.since),
                        now.saturating_duration_since(stage.start),
                    ),
                    Err(reason) => stream.record.fault(|| reason),
                }
                connection.pending = None;
                connection.take(length);
                if closes {
                    self.reopen(index)?;
                }
            }
            Err(reason) => {
                let label = prepared.label().to_owned();
                stream.record.fault(|| format!("{label}: {reason}"));
                self.reopen(index)?;
            }
        }
        self.go_on(index, stage);
        Ok(())
    }

    fn reopen(&mut self, index: usize) -> Result<(), DriveError> {
        if let Some(connection) = self.connections.get_mut(index) {
            connection.reopen(self.address, self.poll.registry(), Token(index))?;
        }
        Ok(())
    }
}

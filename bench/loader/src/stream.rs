//! The state of one stream: its prepared requests, its schedule and its record.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    answer::Answer,
    plan::{RequestPlan, StreamPlan},
    record::Record,
};

/// How much of a wrong body a fault shows.
const SHOWN: usize = 200;

/// A request as bytes, with the answer it must get.
pub(crate) struct Prepared {
    pub(crate) wire: Vec<u8>,
    pub(crate) close: bool,
    label: String,
    status: u16,
    json: Option<Value>,
    /// The last body found equal to `json`, so that the same bytes are not parsed again.
    accepted: Vec<u8>,
}

impl Prepared {
    fn new(plan: RequestPlan, address: SocketAddr) -> Self {
        Self {
            wire: plan.wire(address),
            close: plan.close,
            label: format!("{} {}", plan.method, plan.path),
            status: plan.status,
            json: plan.json,
            accepted: Vec::new(),
        }
    }

    /// Judges an answer; what is wrong with it is the error.
    pub(crate) fn check(&mut self, answer: &Answer<'_>) -> Result<(), String> {
        let shown = || String::from_utf8_lossy(answer.body.get(..SHOWN).unwrap_or(&answer.body));
        if answer.status != self.status {
            return Err(format!(
                "{}: status {} instead of {}, body {}",
                self.label,
                answer.status,
                self.status,
                shown()
            ));
        }
        let Some(expected) = &self.json else {
            return Ok(());
        };
        if !self.accepted.is_empty() && answer.body == self.accepted {
            return Ok(());
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(found) if found == *expected => {
                self.accepted = answer.body.to_vec();
                Ok(())
            }
            _ => Err(format!(
                "{}: body {} instead of {expected}",
                self.label,
                shown()
            )),
        }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }
}

/// One stream while it runs.
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) requests: Vec<Prepared>,
    pub(crate) record: Record,
    /// Connections without a request under way; only a stream at a fixed rate lets them rest.
    pub(crate) free: VecDeque<usize>,
    interval: Option<Duration>,
    next_due: Option<Instant>,
    late: VecDeque<Instant>,
    limit: Option<u64>,
    sent: u64,
    turn: usize,
}

impl Stream {
    pub(crate) fn new(
        plan: StreamPlan,
        address: SocketAddr,
    ) -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            name: plan.name,
            requests: plan
                .requests
                .into_iter()
                .map(|request| Prepared::new(request, address))
                .collect(),
            record: Record::new()?,
            free: VecDeque::new(),
            interval: plan.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            next_due: None,
            late: VecDeque::new(),
            limit: plan.limit,
            sent: 0,
            turn: 0,
        })
    }

    /// Forgets the stage before and starts the schedule anew.
    pub(crate) fn begin(&mut self, start: Instant) -> Result<(), hdrhistogram::CreationError> {
        self.record = Record::new()?;
        self.next_due = self.interval.map(|_| start);
        self.late.clear();
        self.sent = 0;
        Ok(())
    }

    /// Whether it sends by schedule and not as fast as answers come.
    pub(crate) fn is_paced(&self) -> bool {
        self.interval.is_some()
    }

    /// When the next request is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.next_due
    }

    /// Moves every request that is due by `now` to those that wait for a connection.
    ///
    /// A request that finds no free connection keeps its due time: the wait is part of its
    /// latency, or a server that stalls would look fast for the requests it held back.
    pub(crate) fn fall_due(&mut self, now: Instant, end: Instant) {
        while let (Some(due), Some(interval)) = (self.next_due, self.interval) {
            if due > now {
                break;
            }
            if due >= end {
                self.next_due = None;
                break;
            }
            self.late.push_back(due);
            self.next_due = Some(due + interval);
        }
    }

    /// Whether requests wait for a connection.
    pub(crate) fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// How many requests wait for a connection.
    pub(crate) fn late_count(&self) -> usize {
        self.late.len()
    }

    /// The due time of the request that has waited longest.
    pub(crate) fn first_late(&self) -> Option<Instant> {
        self.late.front().copied()
    }

    /// Takes that request off the queue.
    pub(crate) fn take_late(&mut self) -> Option<Instant> {
        self.late.pop_front()
    }

    /// The next request in turn, or none when the limit is reached.
    pub(crate) fn take_turn(&mut self) -> Option<usize> {
        if self.limit.is_some_and(|limit| self.sent >= limit) {
            return None;
        }
        self.sent += 1;
        let request = self.turn;
        self.turn = (self.turn + 1) % self.requests.len().max(1);
        Some(request)
    }

    /// Whether every request that the limit allows has been sent.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.limit.is_some_and(|limit| self.sent >= limit)
    }
}

//! What a stream has seen: latencies, answers that were wrong, and the report made of both.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Faults beyond this many end the run: the figures would mean nothing.
pub(crate) const MAX_FAULTS: u64 = 100;

/// How many faults are told in words.
const MAX_SAMPLES: usize = 3;

/// Latencies over two minutes are recorded as two minutes.
const HIGHEST_NANOSECONDS: u64 = 120_000_000_000;

/// What one stream has seen in one stage.
pub(crate) struct Record {
    latencies: Histogram<u64>,
    last_answer: Duration,
    faults: u64,
    samples: Vec<String>,
    reconnects: u64,
}

/// The part of the report that belongs to one stream.
#[derive(Debug, Serialize)]
pub(crate) struct StreamReport {
    name: String,
    answers: u64,
    seconds: f64,
    per_second: f64,
    mean_us: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    faults: u64,
    samples: Vec<String>,
    reconnects: u64,
}

impl Record {
    pub(crate) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            latencies: Histogram::new_with_bounds(1, HIGHEST_NANOSECONDS, 3)?,
            last_answer: Duration::ZERO,
            faults: 0,
            samples: Vec::new(),
            reconnects: 0,
        })
    }

    /// Counts a right answer that came `since_start` after the stage began.
    pub(crate) fn answer(&mut self, latency: Duration, since_start: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(HIGHEST_NANOSECONDS);
        self.latencies.saturating_record(nanoseconds.max(1));
        self.last_answer = since_start;
    }

    /// Counts a wrong or missing answer.
    pub(crate) fn fault(&mut self, describe: impl FnOnce() -> String) {
        self.faults += 1;
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(describe());
        }
    }

    /// Counts a connection that had to be opened anew.
    pub(crate) fn reconnect(&mut self) {
        self.reconnects += 1;
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults
    }

    pub(crate) fn answers(&self) -> u64 {
        self.latencies.len()
    }

    pub(crate) fn report(self, name: &str) -> StreamReport {
        let microseconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6;
        let quantile = |share| microseconds(self.latencies.value_at_quantile(share));
        let seconds = self.last_answer.as_secs_f64();
        let answers = self.latencies.len();
        StreamReport {
            name: name.to_owned(),
            answers,
            seconds,
            per_second: if seconds > 0.0 {
                as_f64(answers) / seconds
            } else {
                0.0
            },
            mean_us: self.latencies.mean() / 1e3,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: microseconds(self.latencies.max()),
            faults: self.faults,
            samples: self.samples,
            reconnects: self.reconnects,
        }
    }
}

/// A count as a float; counts here stay far below 2^52, where the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_all_answers() {
        let mut record = Record::new().unwrap();
        for milliseconds in 1..=1000 {
            record.answer(Duration::from_millis(milliseconds), Duration::from_secs(2));
        }
        let report = record.report("all");
        assert!((report.per_second - 500.0).abs() < 1e-9);
        assert!((report.p50_us / 500_000.0 - 1.0).abs() < 0.01);
        assert!((report.p99_us / 990_000.0 - 1.0).abs() < 0.01);
    }

    #[test]
    fn faults_are_counted_beyond_those_described() {
        let mut record = Record::new().unwrap();
        for number in 0..10 {
            record.fault(|| format!("fault {number}"));
        }
        let report = record.report("faulty");
        assert_eq!((report.faults, report.samples.len()), (10, MAX_SAMPLES));
    }
}

//! A record as one line of text.

use std::time::Duration;

use super::{Level, Logger, Record};

impl Level {
    fn label(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// One thing that happened, for people alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// Who speaks.
    pub logger: Logger,
    /// How much it matters.
    pub level: Level,
    /// The fixed name of what happened.
    pub event: &'static str,
    /// What happened, for people; already escaped.
    pub message: &'a str,
    /// When, since the Unix epoch.
    pub time: Duration,
}

impl<'a> Line<'a> {
    /// A line that says `message`, which is escaped already.
    pub fn new(
        logger: Logger,
        level: Level,
        event: &'static str,
        message: &'a str,
        time: Duration,
    ) -> Self {
        Self {
            logger,
            level,
            event,
            message,
            time,
        }
    }

    /// Writes `2026-01-31T12:00:00.123Z WARNING apifrom.security …` and the end of the line.
    /// `process` names one of several that write to one place, and stands before the message unless
    /// it is empty.
    pub fn append_to(&self, process: &str, into: &mut String) {
        write_time(self.time, into);
        let (level, logger) = (self.level.label(), self.logger.name());
        let gap = if process.is_empty() { "" } else { " " };
        for part in [
            " ",
            level,
            " ",
            logger,
            gap,
            process,
            " ",
            self.message,
            "\n",
        ] {
            into.push_str(part);
        }
    }
}

impl Record {
    /// It as a line. The fields are left out; those that matter to people stand in the message.
    pub fn line(&self) -> Line<'_> {
        Line {
            logger: self.logger,
            level: self.level,
            event: self.event,
            message: &self.message,
            time: self.time,
        }
    }
}

/// Writes a time of UTC.
fn write_time(since_epoch: Duration, into: &mut String) {
    let seconds = since_epoch.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from 1 March of the year 0, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let millis = u64::from(since_epoch.subsec_millis());
    for (number, digits, behind) in [
        (year, 4, "-"),
        (month, 2, "-"),
        (day, 2, "T"),
        (hour, 2, ":"),
        (minute, 2, ":"),
        (second, 2, "."),
        (millis, 3, "Z"),
    ] {
        write_digits(number, digits, into);
        into.push_str(behind);
    }
}

/// Writes the last four digits of a number, or fewer of them.
fn write_digits(number: u64, digits: usize, into: &mut String) {
    let mut text = [b'0'; 4];
    let mut left = number;
    for place in text.iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let shown = text.get(text.len().saturating_sub(digits)..);
    into.push_str(
        shown
            .and_then(|text| str::from_utf8(text).ok())
            .unwrap_or_default(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_with_its_time_first() {
        let mut text = String::new();
        let time = Duration::from_millis(1_735_689_599_007);
        Record::new(Logger::Security, Level::Warning, "x", "x client=a", time)
            .line()
            .append_to("", &mut text);
        Record::new(Logger::Server, Level::Info, "y", "y", time)
            .line()
            .append_to("worker-2", &mut text);
        assert_eq!(
            text,
            "2024-12-31T23:59:59.007Z WARNING apifrom.security x client=a\n\
             2024-12-31T23:59:59.007Z INFO apifrom worker-2 y\n"
        );
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let shown = |millis| {
            let mut text = String::new();
            write_time(Duration::from_millis(millis), &mut text);
            text
        };
        assert_eq!(shown(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(shown(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(shown(951_868_800_001), "2000-03-01T00:00:00.001Z");
        assert_eq!(shown(1_709_251_199_000), "2024-02-29T23:59:59.000Z");
        assert_eq!(shown(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}

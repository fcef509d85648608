//! Records as `tracing` events.

use super::{Level, Logger, Record, Sink};

/// The sink of the Rust face: targets `apifrom`, `apifrom.access` and `apifrom.security`.
///
/// The name of the event and its fields travel as one `fields` text, since `tracing` fixes field
/// names at compile time.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

/// `tracing` wants target and level as constants, so each pair is written out.
macro_rules! with_target_and_level {
    ($logger:expr, $level:expr, $use:ident $(, $($rest:tt)*)?) => {
        match ($logger, $level) {
            (Logger::Server, Level::Debug) => $use!("apifrom", tracing::Level::DEBUG $(, $($rest)*)?),
            (Logger::Server, Level::Info) => $use!("apifrom", tracing::Level::INFO $(, $($rest)*)?),
            (Logger::Server, Level::Warning) => $use!("apifrom", tracing::Level::WARN $(, $($rest)*)?),
            (Logger::Server, Level::Error) => $use!("apifrom", tracing::Level::ERROR $(, $($rest)*)?),
            (Logger::Access, Level::Debug) => $use!("apifrom.access", tracing::Level::DEBUG $(, $($rest)*)?),
            (Logger::Access, Level::Info) => $use!("apifrom.access", tracing::Level::INFO $(, $($rest)*)?),
            (Logger::Access, Level::Warning) => $use!("apifrom.access", tracing::Level::WARN $(, $($rest)*)?),
            (Logger::Access, Level::Error) => $use!("apifrom.access", tracing::Level::ERROR $(, $($rest)*)?),
            (Logger::Security, Level::Debug) => $use!("apifrom.security", tracing::Level::DEBUG $(, $($rest)*)?),
            (Logger::Security, Level::Info) => $use!("apifrom.security", tracing::Level::INFO $(, $($rest)*)?),
            (Logger::Security, Level::Warning) => $use!("apifrom.security", tracing::Level::WARN $(, $($rest)*)?),
            (Logger::Security, Level::Error) => $use!("apifrom.security", tracing::Level::ERROR $(, $($rest)*)?),
        }
    };
}

macro_rules! is_enabled {
    ($target:expr, $level:expr) => {
        tracing::enabled!(target: $target, $level)
    };
}

macro_rules! event {
    ($target:expr, $level:expr, $record:ident, $fields:ident) => {
        tracing::event!(
            target: $target,
            $level,
            event = $record.event,
            fields = %$fields,
            "{}",
            $record.message
        )
    };
}

impl Sink for TracingSink {
    fn enabled(&self, logger: Logger, level: Level) -> bool {
        with_target_and_level!(logger, level, is_enabled)
    }

    fn write(&self, record: Record) {
        let fields: Vec<String> = record
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let fields = fields.join(" ");
        with_target_and_level!(record.logger, record.level, event, record, fields);
    }
}

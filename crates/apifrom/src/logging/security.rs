//! Security events: fixed names, fixed fields, nothing that a caller sent as a credential.
//!
//! | event | level | when |
//! |---|---|---|
//! | `authentication_succeeded` | info | a method passed |
//! | `authentication_failed` | warning | a credential was absent, malformed, wrong, expired, held back |
//! | `authentication_unavailable` | error | whoever has to be asked could not be |
//! | `authorization_denied` | warning | the caller is known, and may not |
//! | `csrf_refused` | warning | a page of another site sent it, or its token does not hold |
//! | `insecure_request` | warning | something that must travel over TLS came in clear text |
//! | `rate_limited` | warning | a limit refused; one record a second and limit |
//! | `store_unavailable` | error | a server that keeps counts does not answer |
//! | `store_recovered` | info | it does again |
//! | `configuration_weak` | warning | something declared is weaker than it should be, at start |
//!
//! Fields: `client`, `method`, `route`, `request_id`, `status`, and where they are known `scheme`
//! (the method of authentication), `reason`, `subject` and `left_out` (how many events of the kind got no
//! record before this one).

use std::fmt::Write as _;

use super::{FieldValue, Level, Line, Logger, Record, Sink, escaped};
use crate::clock::{Clock, SystemClock};
use crate::request::{Context, Head};

/// How long the message of an event is, as a rule at most.
const MESSAGE: usize = 192;

/// One security event about a request.
pub(crate) struct SecurityEvent<'a> {
    pub(crate) event: &'static str,
    pub(crate) level: Level,
    /// The method of authentication.
    pub(crate) scheme: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
    /// Whom a verified credential belongs to.
    pub(crate) subject: Option<&'a str>,
    /// What the caller is answered; 0 while it is not decided.
    pub(crate) status: u16,
    /// How many events of the kind were left out before this one.
    pub(crate) left_out: u64,
}

impl SecurityEvent<'_> {
    /// Writes the event, if anybody would see it.
    pub(crate) fn write(&self, sink: &dyn Sink, route: &str, head: &Head, context: &Context) {
        if !sink.enabled(Logger::Security, self.level) {
            return;
        }
        let client = context.client.to_string();
        let fields = [
            ("client", Some(Shown::Ours(&client))),
            ("method", Some(Shown::Sent(head.method.as_str()))),
            ("route", Some(Shown::Ours(route))),
            ("scheme", self.scheme.map(Shown::Static)),
            ("reason", self.reason.map(Shown::Static)),
            ("subject", self.subject.map(Shown::Sent)),
            ("status", Some(Shown::Number(self.status.into()))),
            ("left_out", Some(Shown::Number(self.left_out))),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .filter(|(_, value)| *value != Shown::Number(0));
        // Large enough for nearly all of them, so that it does not grow.
        let mut message = String::with_capacity(MESSAGE);
        message.push_str(self.event);
        for (name, value) in fields.clone() {
            for part in [" ", name, "="] {
                message.push_str(part);
            }
            value.append_to(&mut message);
        }
        let time = SystemClock.unix();
        if sink.takes_lines(Logger::Security) {
            return sink.write_line(Line {
                logger: Logger::Security,
                level: self.level,
                event: self.event,
                message: &message,
                time,
            });
        }
        let request_id = FieldValue::Text(context.notes.request_id.as_str().to_owned());
        let mut record = Record::new(Logger::Security, self.level, self.event, message, time);
        record.fields = fields
            .map(|(name, value)| (name, FieldValue::from(value)))
            .chain([("request_id", request_id)])
            .collect();
        sink.write(record);
    }
}

/// The value of a field, before anything is kept of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown<'a> {
    /// One of a few words.
    Static(&'static str),
    /// Text that no caller wrote.
    Ours(&'a str),
    /// Text of a caller's.
    Sent(&'a str),
    Number(u64),
}

impl Shown<'_> {
    #[expect(clippy::match_same_arms, reason = "the texts live for different times")]
    fn append_to(self, into: &mut String) {
        match self {
            Self::Static(text) => into.push_str(text),
            Self::Ours(text) => into.push_str(text),
            Self::Sent(text) => into.push_str(&escaped(text)),
            // Writing into a `String` cannot fail.
            Self::Number(number) => drop(write!(into, "{number}")),
        }
    }
}

impl From<Shown<'_>> for FieldValue {
    fn from(value: Shown<'_>) -> Self {
        match value {
            Shown::Static(text) => Self::Static(text),
            Shown::Ours(text) | Shown::Sent(text) => Self::Text(text.to_owned()),
            Shown::Number(number) => Self::Number(number),
        }
    }
}

/// Writes that something declared is weaker than it should be.
pub(crate) fn configuration_weak(sink: &dyn Sink, path: &str, message: &str) {
    if !sink.enabled(Logger::Security, Level::Warning) {
        return;
    }
    let record = Record::new(
        Logger::Security,
        Level::Warning,
        "configuration_weak",
        format!("configuration_weak {path}: {message}"),
        SystemClock.unix(),
    );
    sink.write(
        record
            .with("path", FieldValue::Text(path.to_owned()))
            .with("reason", FieldValue::Text(message.to_owned())),
    );
}

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
//! Fields: `client`, `method`, `route`, `request_id`, `status`, and where they are known `trace_id`, `parent_id`, `scheme`
//! (the method of authentication), `reason`, `subject` and `left_out` (how many events of the kind got no
//! record before this one).

use std::fmt::Write as _;

use super::{FieldRef, FieldValue, Level, Line, Logger, Record, RecordRef, Sink, escaped};
use crate::clock::{Clock, SystemClock};
use crate::request::{Context, Head};

/// How long the message of an event is, as a rule at most.
const MESSAGE: usize = 192;
/// The longest address, in characters.
const ADDRESS: usize = 45;

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
        let mut client = String::with_capacity(ADDRESS);
        // Writing into a `String` cannot fail.
        let _ = write!(client, "{}", context.client);
        let method = head.method.as_str();
        // Large enough for nearly all of them, so that it does not grow.
        let mut message = String::with_capacity(MESSAGE);
        for part in [
            self.event,
            " client=",
            &client,
            " method=",
            &escaped(method),
            " route=",
            route,
        ] {
            message.push_str(part);
        }
        let above_none = |number: u64| (number != 0).then_some(FieldRef::Number(number));
        let known = [
            ("scheme", self.scheme.map(FieldRef::Static)),
            ("reason", self.reason.map(FieldRef::Static)),
            ("subject", self.subject.map(FieldRef::Text)),
            ("status", above_none(self.status.into())),
            ("left_out", above_none(self.left_out)),
        ];
        for (name, value) in known {
            let Some(value) = value else { continue };
            for part in [" ", name, "="] {
                message.push_str(part);
            }
            let _ = match value {
                FieldRef::Text(text) => message.write_str(&escaped(text)),
                FieldRef::Static(text) => message.write_str(text),
                FieldRef::Number(number) => write!(message, "{number}"),
                FieldRef::Millis(millis) => write!(message, "{millis}"),
            };
        }
        let [scheme, reason, subject, status, left_out] = known;
        let line = Line {
            logger: Logger::Security,
            level: self.level,
            event: self.event,
            message: &message,
            time: SystemClock.unix(),
        };
        let id = &context.notes.request_id;
        let [trace, parent] = FieldRef::of_trace(id);
        let fields = [
            ("client", Some(FieldRef::Text(&client))),
            ("method", Some(FieldRef::Text(method))),
            ("route", Some(FieldRef::Text(route))),
            ("request_id", Some(FieldRef::Text(id.as_str()))),
            scheme,
            reason,
            subject,
            status,
            left_out,
            trace,
            parent,
        ];
        sink.write_ref(&RecordRef::new(line, &fields));
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

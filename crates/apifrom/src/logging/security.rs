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

use http::Method;

use super::{FieldValue, Level, Logger, Record, Sink};
use crate::clock::{Clock, SystemClock};
use crate::request::{Context, Head};

/// How long the message of an event is, and how many fields it has, as a rule at most.
const MESSAGE: usize = 192;
const FIELDS: usize = 8;

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
        let method = named(&head.method);
        // Large enough for nearly all of them, so that neither grows.
        let mut message = String::with_capacity(MESSAGE);
        let mut fields = Vec::with_capacity(FIELDS);
        for part in [self.event, " client=", &client, " method="] {
            message.push_str(part);
        }
        method.append_to(&mut message);
        message.push_str(" route=");
        message.push_str(route);
        let request_id = context.notes.request_id.as_str().to_owned();
        fields.extend([
            ("client", FieldValue::Text(client)),
            ("method", method),
            ("route", FieldValue::Text(route.to_owned())),
            ("request_id", FieldValue::Text(request_id)),
        ]);
        let mut add = |name: &'static str, value: FieldValue| {
            for part in [" ", name, "="] {
                message.push_str(part);
            }
            value.append_to(&mut message);
            fields.push((name, value));
        };
        if let Some(scheme) = self.scheme {
            add("scheme", FieldValue::Static(scheme));
        }
        if let Some(reason) = self.reason {
            add("reason", FieldValue::Static(reason));
        }
        if let Some(subject) = self.subject {
            add("subject", FieldValue::Text(subject.to_owned()));
        }
        if self.status != 0 {
            add("status", FieldValue::Number(self.status.into()));
        }
        if self.left_out != 0 {
            add("left_out", FieldValue::Number(self.left_out));
        }
        let mut record = Record::new(
            Logger::Security,
            self.level,
            self.event,
            message,
            SystemClock.unix(),
        );
        record.fields = fields;
        sink.write(record);
    }
}

/// The method, without a copy of those that the standards know.
fn named(method: &Method) -> FieldValue {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
    ];
    const NAMES: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
    let known = KNOWN.iter().zip(NAMES).find(|(known, _)| *known == method);
    match known {
        Some((_, name)) => FieldValue::Static(name),
        None => FieldValue::Text(method.as_str().to_owned()),
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

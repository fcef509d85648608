//! A protected endpoint that counts its calls, and what was logged about them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apifrom::testing::{TestAnswer, TestClient, TestRequest};
use apifrom::{
    Api, ConfigErrors, EndpointSpec, IntoResponse, Level, Logger, ManualClock, Protection, Record,
    Reply, Request, Sink,
};

/// What the clock shows at first.
pub(crate) const START: Duration = Duration::from_hours(500_000);

#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl Sink for Kept {
    fn enabled(&self, _logger: Logger, _level: Level) -> bool {
        true
    }

    fn write(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

/// `GET /` behind a protection; its handler answers with who calls.
pub(crate) struct Secured {
    pub(crate) client: TestClient,
    pub(crate) clock: Arc<ManualClock>,
    calls: Arc<AtomicUsize>,
    kept: Arc<Kept>,
}

/// The API, not yet built.
pub(crate) fn api(protection: impl Into<Protection>, calls: &Arc<AtomicUsize>) -> Api {
    let calls = Arc::clone(calls);
    let handler = move |request: Request| {
        calls.fetch_add(1, Ordering::Relaxed);
        let mut found = String::new();
        for identity in request.context().identities.iter() {
            let _ = write!(
                found,
                "{}={}/{}/{}/{};",
                identity.name(),
                identity.subject().unwrap_or("-"),
                identity.scopes(),
                String::from_utf8_lossy(identity.credential().unwrap_or(b"-")),
                if identity.is_ambient() {
                    "ambient"
                } else {
                    "sent"
                },
            );
        }
        Reply::Ready(found.into_response())
    };
    let handler: Arc<dyn apifrom::Handler> = Arc::new(handler);
    let spec = EndpointSpec::new("home", "/", ["GET"], move |_| Some(handler));
    Api::new().endpoints([spec.protect(protection)])
}

/// The errors that a declaration comes to.
pub(crate) fn errors(protection: impl Into<Protection>) -> Vec<String> {
    list(api(protection, &Arc::default()).build().map(|_| ()))
}

fn list(built: Result<(), ConfigErrors>) -> Vec<String> {
    match built {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

impl Secured {
    pub(crate) fn new(protection: impl Into<Protection>) -> Self {
        Self::with(protection, |api| api)
    }

    pub(crate) fn with(protection: impl Into<Protection>, extend: impl FnOnce(Api) -> Api) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let kept = Arc::new(Kept::default());
        let clock = Arc::new(ManualClock::at(START));
        let engine = extend(api(protection, &calls).clock(clock.clone()))
            .log_to(kept.clone())
            .build()
            .unwrap();
        Self {
            client: TestClient::new(engine),
            clock,
            calls,
            kept,
        }
    }

    pub(crate) fn ask(&self, headers: &[(&str, &str)]) -> TestAnswer {
        self.ask_at("/", headers)
    }

    pub(crate) fn ask_at(&self, target: &str, headers: &[(&str, &str)]) -> TestAnswer {
        let request = headers.iter().fold(
            self.client.get(target),
            |request: TestRequest, (name, value)| request.another_header(name, value),
        );
        request.send().unwrap()
    }

    /// The handler ran, and answers so.
    pub(crate) fn accepted(&self, target: &str, headers: &[(&str, &str)], found: &str) {
        let before = self.calls.load(Ordering::Relaxed);
        let answer = self.ask_at(target, headers);
        assert_eq!(answer.status(), 200, "{headers:?}: {}", answer.text());
        assert_eq!(answer.text(), found);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(self.calls.load(Ordering::Relaxed), before + 1);
    }

    /// The handler did not run, the status and the challenge are these.
    pub(crate) fn refused(
        &self,
        target: &str,
        headers: &[(&str, &str)],
        status: u16,
        challenge: Option<&str>,
    ) {
        let before = self.calls.load(Ordering::Relaxed);
        let answer = self.ask_at(target, headers);
        assert_eq!(answer.status(), status, "{target} {headers:?}");
        assert_eq!(answer.header("www-authenticate"), challenge, "{headers:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(
            self.calls.load(Ordering::Relaxed),
            before,
            "the handler ran"
        );
    }

    /// What the security log says about the last request: event, reason and subject.
    pub(crate) fn last_event(&self) -> String {
        let kept = self.kept.0.lock().unwrap();
        let record = kept
            .iter()
            .rev()
            .find(|record| record.logger == Logger::Security)
            .unwrap();
        let field = |name| {
            record
                .fields
                .iter()
                .find(|(known, _)| *known == name)
                .map_or_else(|| "-".to_owned(), |(_, value)| value.to_string())
        };
        format!("{} {} {}", record.event, field("reason"), field("subject"))
    }

    /// The messages of one kind of security event.
    #[cfg(feature = "redis")]
    pub(crate) fn events(&self, name: &str) -> Vec<String> {
        let kept = self.kept.0.lock().unwrap();
        let found = kept.iter().filter(|record| record.event == name);
        found.map(|record| record.message.clone()).collect()
    }

    /// Nothing that was logged shows any of these.
    pub(crate) fn log_hides(&self, hidden: &[&str]) {
        for record in self.kept.0.lock().unwrap().iter() {
            let text = format!("{record:?}");
            for hidden in hidden {
                assert!(!text.contains(hidden), "{hidden:?} in {text}");
            }
        }
    }
}

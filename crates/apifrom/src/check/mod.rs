//! The security checklist as a command: reads a frozen API and says what is weak, why, and how to mend
//! it.
//!
//! 1. [`Posture`] is everything that protects the API, as plain data without secrets.
//! 2. Each [`Rule`] has an id that never changes, and a page in `docs/checks`.
//! 3. A [`Finding`] names the endpoint, or the API as a whole, and where its function stands. Its
//!    [`key`](Finding::key) stays the same while lines move, so that baselines hold.
//! 4. What no program can decide is among [`Report::manual`], and never passed.
//!
//! # Deployment
//! What a proxy or a foreign server in front adds or takes away is not seen from here.
//!
//! # Examples
//! ```
//! use apifrom::security::JwtRequired;
//! use apifrom::{Api, api, endpoints};
//!
//! #[api(route = "/", method = "GET")]
//! fn home() -> &'static str {
//!     "welcome"
//! }
//!
//! let tokens = JwtRequired::new().secret("too short");
//! let report = Api::new().auth(tokens).endpoints(endpoints![home]).check()?;
//! assert!(report.findings.iter().any(|finding| finding.rule.id == "AF101"));
//! # Ok::<(), apifrom::ConfigErrors>(())
//! ```

mod access;
mod attack;
mod diff;
mod resources;
mod rules;
mod secrets;
mod sense;
mod web;

use std::fmt;

use serde::Serialize;

pub use self::attack::{AttackReport, Promise, Proof, Trial, Verdict, attack, probe};
pub use self::diff::{Change, Direction, PostureError, compare};
pub use self::rules::{Area, MANUAL, Manual, RULES, Rule, Severity, rule};
use crate::api::Api;
use crate::config::{ApiConfig, DefaultAccess};
use crate::endpoint::Endpoint;
use crate::engine::Engine;
use crate::error::ConfigErrors;
pub use crate::facts::*;

/// Something that is weak, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was judged.
    pub rule: &'static Rule,
    /// The endpoint, `GET /users/{id}`, or `api`.
    pub subject: String,
    /// What the endpoint's function is called.
    pub function: Option<String>,
    /// Where it stands.
    pub source: Option<Source>,
    /// What is weak.
    pub message: String,
}

impl Finding {
    /// What a baseline knows it by: rule and subject.
    pub fn key(&self) -> String {
        format!("{} {}", self.rule.id, self.subject)
    }
}

impl Finding {
    /// Why an API does not start because of it.
    pub(crate) fn refusal(&self) -> String {
        let Rule {
            id, title, mend, ..
        } = self.rule;
        format!("{title} ({id}): {}; {mend}", self.message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { id, severity, .. } = self.rule;
        write!(f, "{id} {severity}: {}: {}", self.subject, self.message)
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What is weak, by endpoint.
    pub findings: Vec<Finding>,
    /// What only people can decide.
    pub manual: &'static [Manual],
}

impl Report {
    /// What is as severe as `least`, or more.
    pub fn at_least(&self, least: Severity) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.rule.severity >= least)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
            writeln!(f, "    mend: {}", finding.rule.mend)?;
        }
        writeln!(f, "{} findings", self.findings.len())
    }
}

/// Judges everything that protects an API.
pub fn judge(posture: &Posture) -> Report {
    let mut noting = Noting::default();
    resources::api(posture, &mut noting);
    secrets::surround(&posture.api.surround, &mut noting);
    web::api(posture, &mut noting);
    for route in &posture.routes {
        noting.at(Some(route));
        secrets::route(route, &mut noting);
        access::route(route, &mut noting);
        web::route(posture, route, &mut noting);
        resources::route(posture, route, &mut noting);
    }
    Report {
        findings: noting.findings,
        manual: &MANUAL,
    }
}

/// Gathers findings about one subject after the other.
#[derive(Debug, Default)]
struct Noting<'a> {
    route: Option<&'a RouteFacts>,
    findings: Vec<Finding>,
}

impl<'a> Noting<'a> {
    fn at(&mut self, route: Option<&'a RouteFacts>) {
        self.route = route;
    }

    /// Notes what is weak; of one rule and subject once.
    fn note(&mut self, id: &str, message: impl Into<String>) {
        let Some(rule) = rule(id) else { return };
        let subject = self.route.map_or_else(|| "api".to_owned(), subject);
        let message = message.into();
        let same = |known: &&mut Finding| known.rule.id == id && known.subject == subject;
        if let Some(known) = self.findings.iter_mut().rev().find(same) {
            if !known.message.contains(&message) {
                known.message.push_str("; ");
                known.message.push_str(&message);
            }
            return;
        }
        self.findings.push(Finding {
            rule,
            subject,
            function: self.route.map(|route| route.name.clone()),
            source: self.route.and_then(|route| route.source.clone()),
            message,
        });
    }
}

/// What findings call an endpoint.
pub fn subject(route: &RouteFacts) -> String {
    format!("{} {}", route.methods.join(","), route.route)
}

/// What is known of endpoints under a configuration.
pub(crate) fn posture(
    config: &ApiConfig,
    surround: &SurroundFacts,
    endpoints: &[Endpoint],
) -> Posture {
    let facts = endpoints.iter().filter_map(Endpoint::facts);
    let mut routes: Vec<_> = facts.cloned().collect();
    routes.sort_by(|one, other| (&one.route, &one.methods).cmp(&(&other.route, &other.methods)));
    Posture {
        api: ApiFacts::of(config, surround),
        server: None,
        routes,
    }
}

impl Engine {
    /// Everything that protects this API.
    pub fn posture(&self) -> Posture {
        posture(self.config(), self.surround_facts(), self.endpoints())
    }

    /// Judges what protects this API.
    pub fn check(&self) -> Report {
        judge(&self.posture())
    }
}

impl Api {
    /// Builds the API and judges what protects it.
    ///
    /// # Errors
    /// Everything that keeps it from starting.
    pub fn check(mut self) -> Result<Report, ConfigErrors> {
        let server = self.take_server_config();
        // A finding that would stop the start is reported here, with all others.
        let mut posture = self.lenient().build()?.posture();
        posture.server = Some(ServerFacts {
            tls: server.tls.is_some(),
            host: server.host,
        });
        Ok(judge(&posture))
    }
}

impl ApiFacts {
    fn of(config: &ApiConfig, surround: &SurroundFacts) -> Self {
        Self {
            trusted_hosts: config.trusted_hosts.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            forwarded_header: config.forwarded_header.clone(),
            max_body_size: config.max_body_size,
            max_json_depth: config.max_json_depth,
            denies_by_default: config.default == DefaultAccess::Deny,
            strict: config.strict,
            development: config.development,
            debug: config.error_handling.debug,
            include_traceback: config.error_handling.include_traceback,
            log_exceptions: config.error_handling.log_exceptions,
            access_log: config.access_log,
            surround: surround.clone(),
        }
    }
}

/// The methods of an endpoint that change something.
fn writes(route: &RouteFacts) -> impl Iterator<Item = &String> {
    let reads = ["GET", "HEAD", "OPTIONS"];
    let methods = route.methods.iter();
    methods.filter(move |method| !reads.contains(&method.as_str()))
}

impl Report {
    /// Everything in it as JSON.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

impl Posture {
    /// The posture as it is written down: JSON in which names are sorted, so that the same protection is
    /// the same text. It ends with a line break.
    pub fn lock(&self) -> String {
        diff::sorted(self)
    }
}

/// Fails a test with what is weak about an [`Api`], as severe as a warning or as what is given, or more.
///
/// # Examples
/// ```
/// use apifrom::{Api, api, assert_checked, endpoints, public};
///
/// #[api(route = "/prices", method = "GET")]
/// #[public(reason = "prices are on the home page as well")]
/// fn prices() -> &'static str {
///     "none yet"
/// }
///
/// assert_checked!(Api::new().endpoints(endpoints![prices]));
/// ```
#[macro_export]
macro_rules! assert_checked {
    ($api:expr $(,)?) => {
        $crate::assert_checked!($api, $crate::check::Severity::Warning)
    };
    ($api:expr, $least:expr $(,)?) => {
        match $crate::Api::check($api) {
            Ok(report) => assert!(report.at_least($least).next().is_none(), "{report}"),
            Err(errors) => assert!(false, "{errors}"),
        }
    };
}

/// Every rule, and what is left to people, as JSON.
#[doc(hidden)]
pub fn rules_json() -> String {
    json(&serde_json::json!({"rules": RULES, "manual": MANUAL}))
}

/// Proofs as JSON.
#[doc(hidden)]
pub fn proofs_json(proofs: &[Proof]) -> String {
    json(&proofs)
}

/// Changes as JSON.
#[doc(hidden)]
pub fn changes_json(changes: &[Change]) -> String {
    json(&changes)
}

/// These are maps with text for names and plain values, which can always be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

//! Proves findings by requests that call no handler.

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderName, Method};
use serde::Serialize;

use super::{Ask, Attacker, NOWHERE, Target, credentials};
use crate::check::{Report, subject};
use crate::engine::Engine;
use crate::facts::CorsFacts;
use crate::security::Forgery;

/// A name that nobody trusts.
const STRANGER: &str = "attack.example";

/// What a request said about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Proof {
    /// The id of its rule.
    pub rule: &'static str,
    /// Its subject.
    pub subject: String,
    /// True where the weakness was used, or seen in an answer.
    pub proved: bool,
}

/// Sends, in process, the requests that prove what was found. Findings of which no request could tell
/// are left out.
pub async fn probe(engine: &Engine, report: &Report) -> Vec<Proof> {
    let mut attacker = Attacker::new(engine);
    let mut proofs = Vec::new();
    for finding in &report.findings {
        let rule = finding.rule.id;
        let mut endpoints = engine.endpoints().iter();
        let place = endpoints.find_map(|endpoint| {
            let route = endpoint.facts()?;
            (subject(route) == finding.subject).then_some((endpoint, route))
        });
        let proved = match place {
            None => api(&mut attacker, rule).await,
            Some((endpoint, route)) => {
                let method = route.methods.first().map(String::as_bytes);
                let method = method.and_then(|name| Method::from_bytes(name).ok());
                let target = Target::new(endpoint, route, method.unwrap_or_default());
                self::route(&mut attacker, rule, &target).await
            }
        };
        if let Some(proved) = proved {
            proofs.push(Proof {
                rule,
                subject: finding.subject.clone(),
                proved,
            });
        }
    }
    proofs
}

/// What holds for every answer.
async fn api(attacker: &mut Attacker<'_>, rule: &str) -> Option<bool> {
    let nowhere = || Ask::new(Method::GET, NOWHERE);
    if rule == "AF402" {
        let usual = attacker.send(nowhere()).await?.status;
        let strange = attacker.send(nowhere().header("host", STRANGER)).await?;
        return Some(strange.status == usual);
    }
    if let Some(cors) = attacker.engine.surround_facts().cors.clone()
        && let Some(origin) = origin(rule, &cors)
    {
        return reads(attacker, nowhere(), &origin).await;
    }
    let answer = attacker.send(nowhere()).await?;
    headers(rule, answer.head.headers())
}

async fn route(attacker: &mut Attacker<'_>, rule: &str, target: &Target<'_>) -> Option<bool> {
    let is_through = |reached: Option<String>| reached.as_deref() == Some(&*target.route.route);
    match rule {
        "AF301" | "AF705" => {
            let answer = attacker.send(target.ask()).await?;
            Some(is_through(answer.reached))
        }
        "AF201" => credentials::lets_in(attacker, target, Forgery::OtherAudience).await,
        "AF202" => credentials::lets_in(attacker, target, Forgery::Expired).await,
        "AF204" => credentials::lets_in(attacker, target, Forgery::OtherIssuer).await,
        "AF511" => {
            let good = credentials::good(attacker, target).await?;
            let ask = target
                .ask()
                .with(&good)
                .header("sec-fetch-site", "cross-site");
            let ask = ask.header("origin", format!("https://{STRANGER}"));
            let answer = attacker.send(ask).await?;
            Some(is_through(answer.reached))
        }
        _ => {
            if let Some(cors) = &target.route.surround.cors
                && let Some(origin) = origin(rule, cors)
            {
                return reads(attacker, target.ask(), &origin).await;
            }
            let answer = attacker.send(target.ask()).await?;
            headers(rule, answer.head.headers())
        }
    }
}

/// An origin that a rule about origins found.
fn origin(rule: &str, cors: &CorsFacts) -> Option<String> {
    let mut origins = cors.allow_origins.iter();
    match rule {
        "AF501" => Some(format!("https://{STRANGER}")),
        "AF502" => Some("null".to_owned()),
        "AF503" => origins.find(|one| one.starts_with("http://")).cloned(),
        "AF504" => origins
            .find(|one| one.contains("*."))
            .map(|one| one.replace("*.", "a.")),
        _ => None,
    }
}

/// Whether a page of `origin` may read the answer.
async fn reads(attacker: &mut Attacker<'_>, ask: Ask, origin: &str) -> Option<bool> {
    let answer = attacker.send(ask.header("origin", origin)).await?;
    let allowed = text(answer.head.headers(), ACCESS_CONTROL_ALLOW_ORIGIN);
    Some(allowed == "*" || allowed == origin)
}

/// What an answer's headers say about a finding.
fn headers(rule: &str, headers: &HeaderMap) -> Option<bool> {
    let policy = text(headers, CONTENT_SECURITY_POLICY);
    let hsts = text(headers, STRICT_TRANSPORT_SECURITY);
    let cookie = text(headers, SET_COOKIE).to_ascii_lowercase();
    Some(match rule {
        "AF405" | "AF411" => policy.is_empty(),
        "AF406" => !["", "0"].contains(&text(headers, X_XSS_PROTECTION)),
        "AF407" => hsts.contains("preload"),
        "AF408" => !hsts.contains("max-age=31536000"),
        "AF409" => ["'unsafe-inline'", "'unsafe-eval'", "*", "data:", "http"]
            .iter()
            .any(|loose| policy.contains(loose)),
        "AF410" => policy.contains("block-all-mixed-content"),
        "AF412" => {
            text(headers, X_FRAME_OPTIONS).is_empty() && !policy.contains("frame-ancestors 'none'")
        }
        "AF513" if !cookie.is_empty() => !cookie.contains("; secure"),
        "AF514" if !cookie.is_empty() => cookie.contains("samesite=none"),
        _ => return None,
    })
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

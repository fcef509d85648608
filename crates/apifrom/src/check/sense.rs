//! Which way a difference goes, by the name of its field.
//!
//! 1. A number, a flag or something that may be missing goes the way its field says.
//! 2. Of what is asked for, nothing may be missing afterwards; of what is let through, nothing may be
//!    new that was not covered before, by `*`, `https://*.example.com` or `10.0.0.0/8`. Otherwise it is
//!    weaker, whatever came beside.
//! 3. Words that browsers know have an order.
//! 4. More keys are more ways in; the same number of them is stronger as digests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::diff::Direction;

/// What a field asks for more of.
#[derive(Clone, Copy)]
enum Sense {
    /// More of it is stronger.
    More,
    /// Less of it is stronger.
    Less,
}

fn sense(field: &str) -> Option<Sense> {
    Some(match field {
        "verify_exp"
        | "verify_sub"
        | "verify_jti"
        | "verify_at_hash"
        | "revocation"
        | "bytes"
        | "denies_by_default"
        | "strict"
        | "log_exceptions"
        | "access_log"
        | "secure"
        | "enforce"
        | "hsts_max_age"
        | "hsts_subdomains"
        | "auth"
        | "scopes"
        | "roles"
        | "policies"
        | "csrf"
        | "security_headers"
        | "rate_limits"
        | "stages"
        | "csp"
        | "x_frame_options"
        | "referrer_policy"
        | "cross_origin_resource_policy"
        | "methods"
        | "session"
        | "tls"
        | "https_redirect"
        | "all"
        | "cost"
        | "window_ms" => Sense::More,
        "leeway"
        | "cache_ttl"
        | "cors"
        | "lookup"
        | "jwks_url"
        | "introspection_url"
        | "max_body_size"
        | "max_json_depth"
        | "max_target_size"
        | "development"
        | "debug"
        | "include_traceback"
        | "trusted_proxies"
        | "allow_origins"
        | "allow_methods"
        | "allow_headers"
        | "allow_credentials"
        | "digests"
        | "plain"
        | "guessable"
        | "public"
        | "csrf_exempt"
        | "algorithms"
        | "places"
        | "token_types"
        | "trusted_origins"
        | "limit"
        | "any"
        | "public_keys"
        | "secrets"
        | "granted"
        | "x_xss_protection"
        | "hsts_preload"
        | "insecure_authenticated" => Sense::Less,
        _ => return None,
    })
}

/// The words of a field that browsers know, the weakest first.
fn words(field: &str) -> &'static [&'static str] {
    match field {
        "x_frame_options" => &["SAMEORIGIN", "DENY"],
        "cross_origin_resource_policy" => &["cross-origin", "same-site", "same-origin"],
        "same_site" => &["none", "lax", "strict"],
        "referrer_policy" => &[
            "unsafe-url",
            "no-referrer-when-downgrade",
            "origin-when-cross-origin",
            "origin",
            "strict-origin-when-cross-origin",
            "strict-origin",
            "same-origin",
            "no-referrer",
        ],
        _ => &[],
    }
}

/// Which way a field goes.
pub(super) fn direction(field: &str, before: &Value, after: &Value) -> Direction {
    // An empty list of these takes anything; a longer one takes more than a shorter one.
    if ["audience", "issuer", "trusted_hosts"].contains(&field) {
        return match (listed(before), listed(after)) {
            (Some([]), Some(_)) => Direction::Stronger,
            (Some(_), Some([])) => Direction::Weaker,
            (Some(before), Some(after)) => let_through(before, after),
            _ => Direction::Changed,
        };
    }
    if field == "timeout_ms" {
        return match (before.as_u64(), after.as_u64()) {
            (Some(before), Some(after)) => way(after < before),
            (before, _) => way(before.is_none()),
        };
    }
    if let (Some(before), Some(after)) = (before.as_str(), after.as_str()) {
        let place = |word: &str| {
            let mut words = words(field).iter();
            words.position(|known| known.eq_ignore_ascii_case(word))
        };
        return match (place(before), place(after)) {
            (Some(before), Some(after)) if before != after => way(after > before),
            _ => Direction::Changed,
        };
    }
    let Some(sense) = sense(field) else {
        return Direction::Changed;
    };
    let grows = match (before, after) {
        (Value::Bool(before), Value::Bool(after)) => after > before,
        (Value::Number(before), Value::Number(after)) => after.as_f64() > before.as_f64(),
        (Value::Null, _) => true,
        (_, Value::Null) => false,
        (Value::Array(before), Value::Array(after)) => {
            let is_plain = before.iter().chain(after).all(Value::is_string);
            return match sense {
                Sense::Less if is_plain => let_through(before, after),
                Sense::More if is_plain => asked(before, after),
                _ if holds(after, before) => way(matches!(sense, Sense::More)),
                _ if holds(before, after) => way(matches!(sense, Sense::Less)),
                _ => Direction::Changed,
            };
        }
        _ => return Direction::Changed,
    };
    way(grows == matches!(sense, Sense::More))
}

fn way(is_stronger: bool) -> Direction {
    if is_stronger {
        Direction::Stronger
    } else {
        Direction::Weaker
    }
}

/// Which way the number of API keys goes, where these are the facts of such.
pub(super) fn keys(before: &Map<String, Value>, after: &Map<String, Value>) -> Option<Direction> {
    let count = |facts: &Map<String, Value>| {
        let plain = facts.get("plain")?.as_u64()?;
        Some((plain.saturating_add(facts.get("digests")?.as_u64()?), plain))
    };
    let (before, after) = (count(before)?, count(after)?);
    Some(way(after < before))
}

/// Which way a directive of a content policy goes; one that loads something falls back to `default-src`.
pub(super) fn directive(
    name: &str,
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Direction {
    if name.starts_with("report-") {
        return Direction::Changed;
    }
    let holding = |policy: &BTreeMap<String, Value>| -> Option<Vec<Value>> {
        let fallback = name.ends_with("-src").then(|| policy.get("default-src"));
        let values = policy.get(name).or(fallback.flatten())?.as_array()?;
        let nothing = Value::from("'none'");
        Some(
            values
                .iter()
                .filter(|one| **one != nothing)
                .cloned()
                .collect(),
        )
    };
    match (holding(before), holding(after)) {
        (None, _) => Direction::Stronger,
        (Some(_), None) => Direction::Weaker,
        (Some(before), Some(after)) if name.starts_with("require-") => asked(&before, &after),
        (Some(before), Some(after)) => let_through(&before, &after),
    }
}

/// The texts of what is a list, one text or nothing.
fn listed(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        Value::Null => Some(&[]),
        text @ Value::String(_) => Some(std::slice::from_ref(text)),
        _ => None,
    }
}

/// Which way a list of what is let through goes.
fn let_through(before: &[Value], after: &[Value]) -> Direction {
    let is_within = |one: &[Value], other: &[Value]| {
        let is_known = |value| other.iter().any(|known| covers(known, value));
        one.iter().all(is_known)
    };
    match (is_within(after, before), is_within(before, after)) {
        (false, _) => Direction::Weaker,
        (true, false) => Direction::Stronger,
        (true, true) => Direction::Changed,
    }
}

/// Which way a list of what is asked for goes.
fn asked(before: &[Value], after: &[Value]) -> Direction {
    match (holds(after, before), holds(before, after)) {
        (false, _) => Direction::Weaker,
        (true, false) => Direction::Stronger,
        (true, true) => Direction::Changed,
    }
}

/// True where what is let through by `one` is let through by `known`.
fn covers(known: &Value, one: &Value) -> bool {
    let (Some(known), Some(one)) = (known.as_str(), one.as_str()) else {
        return known == one;
    };
    if known == one || known == "*" {
        return true;
    }
    // A `*` stands for one label or more.
    if let Some((scheme, domain)) = known.split_once('*') {
        return one
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_suffix(domain))
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', ':']));
    }
    match (range(known), range(one)) {
        (Some(known), Some(one)) => known.contains(&one),
        _ => false,
    }
}

fn range(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

/// True where everything in `less` is in `more`, as often.
fn holds(more: &[Value], less: &[Value]) -> bool {
    let often = |list: &[Value], one| list.iter().filter(|other| *other == one).count();
    less.iter().all(|one| often(more, one) >= often(less, one))
}

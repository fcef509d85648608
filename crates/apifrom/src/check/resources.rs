//! What one client can take, and what a failure tells.

use super::Noting;
use crate::facts::{LimitFacts, Posture, RouteFacts};

const LARGE: u64 = 64 << 20;
const DEEP: usize = 512;
/// Requests of one client in a second.
const FAST: u64 = 10_000;

pub(super) fn api(posture: &Posture, noting: &mut Noting<'_>) {
    let api = &posture.api;
    if api.max_body_size > LARGE {
        noting.note("AF602", format!("max_body_size is {}", api.max_body_size));
    }
    if api.max_json_depth > DEEP {
        noting.note("AF603", format!("max_json_depth is {}", api.max_json_depth));
    }
    if api.debug {
        noting.note("AF701", "debug is on");
    }
    if api.include_traceback {
        noting.note("AF702", "include_traceback is on");
    }
    if !api.log_exceptions {
        noting.note("AF703", "log_exceptions is off");
    }
    limits(api.surround.rate_limits.iter(), noting);
    if !api.access_log {
        noting.note("AF704", "access_log is off");
    }
}

pub(super) fn route(posture: &Posture, route: &RouteFacts, noting: &mut Noting<'_>) {
    if route.max_body_size > LARGE && route.max_body_size != posture.api.max_body_size {
        noting.note("AF602", format!("max_body_size is {}", route.max_body_size));
    }
    if route.surround.rate_limits.is_empty() && !route.auth.is_empty() {
        noting.note("AF601", "credentials can be tried without end");
    }
    let shared = &posture.api.surround.rate_limits;
    let own = route.surround.rate_limits.iter();
    limits(own.filter(|own| !shared.contains(own)), noting);
}

fn limits<'a>(limits: impl Iterator<Item = &'a LimitFacts>, noting: &mut Noting<'_>) {
    for limit in limits {
        let per_second = u64::from(limit.limit) * 1_000 / limit.window_ms.max(1);
        if limit.on_failure == Some("insecure_open") {
            noting.note("AF605", "on_failure is insecure_open");
        }
        if per_second > FAST {
            noting.note("AF604", format!("{per_second} requests a second pass"));
        }
    }
}

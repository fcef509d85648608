//! What browsers do: headers, other origins, other sites; and the way to the server.

use std::net::IpAddr;

use super::{Noting, writes};
use crate::facts::{
    AccessFacts, CompressionFacts, CorsFacts, CsrfFacts, DirectiveFacts, HeaderFacts, Posture,
    RouteFacts, ServerFacts, SurroundFacts,
};

/// A year, in seconds, which ASVS 3.4.1 asks for.
const HSTS: u32 = 31_536_000;

pub(super) fn api(posture: &Posture, noting: &mut Noting<'_>) {
    surround(posture, noting);
    let api = &posture.api;
    if api.trusted_hosts.is_empty() {
        noting.note("AF402", "trusted_hosts is empty");
    }
    for proxy in api.trusted_proxies.iter().filter(|proxy| is_wide(proxy)) {
        noting.note("AF403", format!("trusted_proxies holds {proxy}"));
    }
    if api.development {
        noting.note("AF404", "development is on");
    }
    if let Some(server) = &posture.server
        && !server.tls
        && !is_local(server)
        && api.trusted_proxies.is_empty()
    {
        noting.note("AF401", format!("listens on {} without TLS", server.host));
    }
}

/// What surrounds every call.
fn surround(posture: &Posture, noting: &mut Noting<'_>) {
    let SurroundFacts {
        compression,
        cors,
        csrf,
        security_headers,
        ..
    } = &posture.api.surround;
    match security_headers {
        None => noting.note("AF405", "answers carry nosniff alone"),
        Some(facts) => headers(facts, noting),
    }
    if let Some(facts) = compression {
        self::compression(facts, noting);
    }
    if let Some(cors) = cors {
        self::cors(cors, noting);
    }
    if let Some(csrf) = csrf {
        self::csrf(csrf, noting);
    }
}

pub(super) fn route(posture: &Posture, route: &RouteFacts, noting: &mut Noting<'_>) {
    let (shared, own) = (&posture.api.surround, &route.surround);
    if let Some(facts) = &own.security_headers
        && own.security_headers != shared.security_headers
    {
        headers(facts, noting);
    }
    if let Some(facts) = &own.compression
        && own.compression != shared.compression
    {
        compression(facts, noting);
    }
    if let Some(cors) = &own.cors {
        if cors.allow_origins.iter().any(|one| one == "*") && !route.auth.is_empty() {
            noting.note("AF501", "allow_origins holds *");
        }
        if own.cors != shared.cors {
            self::cors(cors, noting);
        }
    }
    let methods = route.auth.iter().flat_map(AccessFacts::methods);
    let ambient: Vec<_> = methods.filter(|method| method.is_ambient()).collect();
    if let Some(method) = ambient.first()
        && own.csrf.is_none()
        && writes(route).next().is_some()
    {
        let name = &method.declared_as;
        let exempt = match &route.csrf_exempt {
            Some(reason) => format!("{name} beside csrf_exempt: {reason}"),
            None => format!("{name}: browsers send it by themselves"),
        };
        noting.note("AF511", exempt);
    }
}

fn headers(facts: &HeaderFacts, noting: &mut Noting<'_>) {
    if let Some(value) = facts
        .x_xss_protection
        .as_deref()
        .filter(|value| *value != "0")
    {
        noting.note("AF406", format!("X-XSS-Protection: {value}"));
    }
    if facts.hsts_preload {
        noting.note("AF407", "hsts says preload");
    }
    match facts.hsts_max_age {
        None => noting.note("AF408", "hsts is off"),
        Some(age) if age < HSTS => noting.note("AF408", format!("hsts holds {age} seconds")),
        Some(_) => {}
    }
    let Some(csp) = &facts.csp else {
        noting.note("AF411", "csp is off");
        if facts.x_frame_options.is_none() {
            noting.note("AF412", "x_frame_options is off");
        }
        return;
    };
    let named = |name: &str| csp.iter().find(|directive| directive.name == name);
    for directive in csp
        .iter()
        .filter(|one| one.name == "block-all-mixed-content")
    {
        noting.note("AF410", directive.name.clone());
    }
    if !csp.is_empty() {
        if let Some(scripts) = named("script-src").or_else(|| named("default-src")) {
            for value in loose(scripts) {
                noting.note("AF409", format!("{} {value}", scripts.name));
            }
        } else {
            noting.note("AF409", "neither script-src nor default-src");
        }
        let is_open = |ancestors: &DirectiveFacts| ancestors.values.iter().any(|one| one == "*");
        let frames = named("frame-ancestors").map(is_open);
        if frames == Some(true) || (frames.is_none() && facts.x_frame_options.is_none()) {
            noting.note("AF412", "neither frame-ancestors nor x_frame_options");
        }
    }
}

/// The values of a directive that let injected scripts run.
fn loose(directive: &DirectiveFacts) -> impl Iterator<Item = &str> {
    let loose = [
        "'unsafe-inline'",
        "'unsafe-eval'",
        "*",
        "data:",
        "http:",
        "https:",
    ];
    let values = directive.values.iter().map(String::as_str);
    values.filter(move |value| loose.contains(value))
}

fn compression(facts: &CompressionFacts, noting: &mut Noting<'_>) {
    if facts.insecure_authenticated && !facts.encodings.is_empty() {
        noting.note("AF413", "insecure_authenticated is on");
    }
}

fn cors(cors: &CorsFacts, noting: &mut Noting<'_>) {
    for origin in &cors.allow_origins {
        if origin == "null" && cors.allow_credentials {
            noting.note("AF502", "allow_origins holds null");
        }
        let is_plain = origin.strip_prefix("http://").is_some_and(|host| {
            let name = host.split(':').next().unwrap_or_default();
            name != "localhost" && !name.ends_with(".localhost") && name != "127.0.0.1"
        });
        if is_plain {
            noting.note("AF503", format!("allow_origins holds {origin}"));
        }
        if origin.contains("*.") && cors.allow_credentials {
            noting.note("AF504", format!("allow_origins holds {origin}"));
        }
    }
}

fn csrf(csrf: &CsrfFacts, noting: &mut Noting<'_>) {
    if !csrf.cookie_name.starts_with("__Host-") {
        noting.note("AF512", format!("the cookie is {}", csrf.cookie_name));
    }
    if !csrf.secure {
        noting.note("AF513", "secure is off");
    }
    if csrf.same_site.eq_ignore_ascii_case("none") {
        noting.note("AF514", "samesite is none");
    }
    let is_listed = |method: &&str| {
        csrf.methods
            .iter()
            .any(|one| one.eq_ignore_ascii_case(method))
    };
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        if !is_listed(&method) {
            noting.note("AF515", format!("methods leaves {method} out"));
        }
    }
}

fn is_local(server: &ServerFacts) -> bool {
    let host = server.host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// True for ranges that no network of one's own has.
fn is_wide(proxy: &str) -> bool {
    let Ok(range) = proxy.parse::<ipnet::IpNet>() else {
        return false;
    };
    match range {
        ipnet::IpNet::V4(range) => range.prefix_len() < 8,
        ipnet::IpNet::V6(range) => range.prefix_len() < 16,
    }
}

//! Checks the headers and prepares their values.

use http::header::{
    HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};

use super::{
    ContentPolicy, Directive, Directives, Hsts, Policy, SecurityHeaders, SecurityHeadersStage,
};
use crate::error::ConfigError;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";
const OWN_PAGES: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; \
                         form-action 'self'; frame-ancestors 'none'";

/// The directives of CSP Level 3 and its neighbours; the last of each group are deprecated.
const CSP_DIRECTIVES: [&str; 28] = [
    "default-src",
    "script-src",
    "script-src-elem",
    "script-src-attr",
    "style-src",
    "style-src-elem",
    "style-src-attr",
    "img-src",
    "font-src",
    "connect-src",
    "media-src",
    "object-src",
    "frame-src",
    "child-src",
    "worker-src",
    "manifest-src",
    "prefetch-src",
    "base-uri",
    "form-action",
    "frame-ancestors",
    "sandbox",
    "report-uri",
    "report-to",
    "require-trusted-types-for",
    "trusted-types",
    "fenced-frame-src",
    "upgrade-insecure-requests",
    "block-all-mixed-content",
];

/// What browsers read only in quotes; bare, it would be the name of a host.
const CSP_KEYWORDS: [&str; 9] = [
    "self",
    "none",
    "unsafe-inline",
    "unsafe-eval",
    "unsafe-hashes",
    "wasm-unsafe-eval",
    "strict-dynamic",
    "report-sample",
    "inline-speculation-rules",
];

/// The directives whose values are no sources.
const NO_SOURCES: [&str; 5] = [
    "sandbox",
    "report-uri",
    "report-to",
    "require-trusted-types-for",
    "trusted-types",
];

/// The features that the register of policy-controlled features lists.
const FEATURES: [&str; 47] = [
    "accelerometer",
    "ambient-light-sensor",
    "attribution-reporting",
    "autoplay",
    "battery",
    "bluetooth",
    "browsing-topics",
    "camera",
    "clipboard-read",
    "clipboard-write",
    "compute-pressure",
    "cross-origin-isolated",
    "deferred-fetch",
    "deferred-fetch-minimal",
    "display-capture",
    "document-domain",
    "encrypted-media",
    "execution-while-not-rendered",
    "execution-while-out-of-viewport",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "interest-cohort",
    "keyboard-map",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "otp-credentials",
    "payment",
    "picture-in-picture",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "speaker-selection",
    "storage-access",
    "sync-xhr",
    "unload",
    "usb",
    "web-share",
    "window-management",
    "xr-spatial-tracking",
];

const REFERRER_POLICIES: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

const YEAR: u32 = 31_536_000;

/// What is wrong so far.
#[derive(Default)]
struct Faults(Vec<ConfigError>);

impl Faults {
    fn note(&mut self, field: &str, message: impl Into<String>) {
        let path = format!("security_headers.{field}");
        self.0.push(ConfigError::new(path, message));
    }
}

pub(super) fn compile(given: &SecurityHeaders) -> Result<SecurityHeadersStage, Vec<ConfigError>> {
    let mut faults = Faults::default();
    let mut always = vec![(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))];
    let mut one_of = |field: &str, name: HeaderName, value: &Option<String>, known: &[&str]| {
        let Some(value) = value else { return };
        let value = value.trim_matches(' ');
        let found = known.iter().find(|known| known.eq_ignore_ascii_case(value));
        if let Some(found) = found.and_then(|found| HeaderValue::from_str(found).ok()) {
            always.push((name, found));
        } else {
            let known = known.join("\", \"");
            faults.note(field, format!("expected \"{known}\"; found {value:?}"));
        }
    };
    one_of(
        "x_frame_options",
        X_FRAME_OPTIONS,
        &given.x_frame_options,
        &["DENY", "SAMEORIGIN"],
    );
    one_of(
        "x_xss_protection",
        X_XSS_PROTECTION,
        &given.x_xss_protection,
        &["0", "1", "1; mode=block"],
    );
    one_of(
        "cross_origin_resource_policy",
        RESOURCE_POLICY,
        &given.cross_origin_resource_policy,
        &["same-origin", "same-site", "cross-origin"],
    );
    one_of(
        "referrer_policy",
        REFERRER_POLICY,
        &given.referrer_policy,
        &REFERRER_POLICIES,
    );
    if let Some(directives) = &given.permissions_policy
        && let Some(value) = permissions(directives, &mut faults)
    {
        always.push((PERMISSIONS_POLICY, value));
    }
    let (csp, csp_of_html) = match &given.csp {
        ContentPolicy::Omitted => (None, None),
        ContentPolicy::Directives(directives) => {
            (content(directives, &mut faults).map(Policy::new), None)
        }
        ContentPolicy::Default => (
            Some(Policy::new(HeaderValue::from_static(NOTHING))),
            Some(Policy::new(HeaderValue::from_static(OWN_PAGES))),
        ),
    };
    let hsts = given
        .hsts
        .as_ref()
        .and_then(|hsts| transport(hsts, &mut faults));
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    Ok(SecurityHeadersStage {
        always: always.into(),
        csp,
        csp_of_html,
        hsts,
        enforce: given.enforce,
    })
}

fn transport(hsts: &Hsts, faults: &mut Faults) -> Option<HeaderValue> {
    if hsts.preload && !(hsts.include_sub_domains && hsts.max_age >= YEAR) {
        faults.note(
            "hsts.preload",
            "needs includeSubDomains and a max-age of a year (31536000) at least",
        );
    }
    let mut value = format!("max-age={}", hsts.max_age);
    if hsts.include_sub_domains {
        value.push_str("; includeSubDomains");
    }
    if hsts.preload {
        value.push_str("; preload");
    }
    HeaderValue::try_from(value).ok()
}

fn content(directives: &Directives, faults: &mut Faults) -> Option<HeaderValue> {
    let mut parts = Vec::new();
    let mut seen = Vec::new();
    for (name, directive) in directives {
        let field = format!("csp[{name:?}]");
        if !CSP_DIRECTIVES.contains(&name.as_str()) {
            faults.note(&field, "is no directive of a content policy");
            continue;
        }
        if seen.contains(&name) {
            faults.note(&field, "stands twice; browsers read the first alone");
        }
        seen.push(name);
        match directive {
            Directive::Bare(false) => {}
            Directive::Bare(true) => parts.push(name.clone()),
            Directive::Values(values) => {
                for value in values {
                    if let Some(why) = source_fault(name, value, values.len()) {
                        faults.note(&field, format!("{why}; found {value:?}"));
                    }
                }
                let mut part = name.clone();
                for value in values {
                    part.push(' ');
                    part.push_str(value);
                }
                parts.push(part);
            }
        }
    }
    if directives
        .iter()
        .all(|(_, directive)| *directive == Directive::Bare(false))
    {
        // An empty policy would be none, without anybody having said so.
        faults.note(
            "csp",
            "expected a directive, found none; say False (in Rust Omitted) for no header",
        );
    }
    // What cannot be a header was noted.
    HeaderValue::try_from(parts.join("; ")).ok()
}

fn source_fault(directive: &str, value: &str, beside: usize) -> Option<&'static str> {
    if let Some(why) = text_fault(value) {
        return Some(why);
    }
    if NO_SOURCES.contains(&directive) {
        return None;
    }
    if CSP_KEYWORDS.contains(&value.to_ascii_lowercase().as_str()) {
        return Some("is a keyword only in single quotes, and a host's name without them");
    }
    if value.eq_ignore_ascii_case("'none'") && beside > 1 {
        return Some("'none' stands alone, or means nothing");
    }
    None
}

/// What no value of a list may hold.
fn text_fault(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("expected a value, found nothing")
    } else if value.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
        Some("expected printable ASCII without spaces; a list has a value in each place")
    } else if value.contains([';', ',']) {
        Some("';' and ',' would end the directive; write %3B or %2C")
    } else {
        None
    }
}

fn permissions(directives: &Directives, faults: &mut Faults) -> Option<HeaderValue> {
    let mut parts = Vec::new();
    for (name, directive) in directives {
        let field = format!("permissions_policy[{name:?}]");
        if !FEATURES.contains(&name.as_str()) {
            faults.note(&field, "is no feature that browsers let a policy control");
            continue;
        }
        match directive {
            Directive::Bare(false) => {}
            Directive::Bare(true) => {
                faults.note(&field, "expected who may use it, [] for nobody; found True");
            }
            Directive::Values(values) => {
                let members: Vec<String> = values
                    .iter()
                    .filter_map(|value| match member(value) {
                        Ok(member) => Some(member),
                        Err(why) => {
                            faults.note(&field, format!("{why}; found {value:?}"));
                            None
                        }
                    })
                    .collect();
                parts.push(match members.as_slice() {
                    [everybody] if everybody == "*" => format!("{name}=*"),
                    members => format!("{name}=({})", members.join(" ")),
                });
            }
        }
    }
    if parts.is_empty() {
        return None;
    }
    HeaderValue::try_from(parts.join(", ")).ok()
}

/// One of those who may use a feature, as a structured field writes it (RFC 9651).
fn member(value: &str) -> Result<String, &'static str> {
    if let Some(why) = text_fault(value) {
        return Err(why);
    }
    match value.trim_matches(['\'', '"']) {
        token @ ("self" | "src" | "*") => Ok(token.to_owned()),
        origin if origin.contains("://") && !origin.contains(['"', '\\', '\'']) => {
            Ok(format!("\"{origin}\""))
        }
        _ => Err("expected \"self\", \"src\", \"*\" or an origin such as https://example.com"),
    }
}

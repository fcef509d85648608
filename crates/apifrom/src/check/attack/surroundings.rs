//! What surrounds a call: hosts, proxies, other sites, limits, sizes, and ways to write a path.

use bytes::Bytes;
use http::Method;
use http::header::STRICT_TRANSPORT_SECURITY;

use super::{Ask, Attacker, Credential, NOWHERE, Promise, Target, Verdict};
use crate::facts::{AccessFacts, LimitFacts};

/// The largest body that is sent.
const LARGEST: u64 = 8 << 20;
/// The most requests that are sent to reach a limit.
const MOST: u32 = 500;
/// The shortest window, in milliseconds, in which a limit can be reached for certain.
const SHORTEST: u64 = 2_000;
/// A name that nobody trusts.
const STRANGER: &str = "attack.example";

/// What is promised for every path.
pub(super) async fn api(attacker: &mut Attacker<'_>) {
    let nowhere = || Ask::new(Method::GET, NOWHERE);
    let config = attacker.engine.config();
    if !config.trusted_hosts.is_empty() {
        let usual = attacker.send(nowhere()).await.map(|one| one.status);
        let strange = attacker.send(nowhere().header("host", STRANGER)).await;
        if let (Some(usual), Some(strange)) = (usual, strange.map(|one| one.status)) {
            let verdict = if strange.is_client_error() && strange != usual {
                Verdict::Held
            } else {
                Verdict::Broken
            };
            let detail = format!("Host: {STRANGER} answered {}", strange.as_u16());
            attacker.note(
                "api".to_owned(),
                Promise::ForeignHost,
                verdict,
                true,
                detail,
            );
        }
    }
    forwarded(attacker).await;
    let headers = attacker.engine.surround_facts().security_headers.clone();
    if headers.is_some_and(|headers| headers.hsts_max_age.is_some()) {
        let mut ask = nowhere()
            .header("x-forwarded-proto", "https")
            .header("forwarded", "proto=https");
        ask.tls = false;
        if let Some(answer) = attacker.send(ask).await {
            let believed = answer
                .head
                .headers()
                .contains_key(STRICT_TRANSPORT_SECURITY);
            let (verdict, detail) = if believed {
                (Verdict::Broken, "plain HTTP was taken for TLS")
            } else {
                (Verdict::Held, "plain HTTP was not taken for TLS")
            };
            attacker.note(
                "api".to_owned(),
                Promise::ForgedProxyHeader,
                verdict,
                true,
                detail.to_owned(),
            );
        }
    }
}

/// A client that is no proxy names another address with each request, and is counted all the same.
async fn forwarded(attacker: &mut Attacker<'_>) {
    let limits = attacker.engine.surround_facts().rate_limits.clone();
    let Some(needed) = reached_after(limits.iter(), |key| key == "client") else {
        return;
    };
    let header = attacker.engine.config().forwarded_header.clone();
    let peer = attacker.address();
    let mut last = None;
    for index in 0..=needed {
        let claimed = format!("203.0.113.{}", index % 250 + 1);
        let claimed = if header.eq_ignore_ascii_case("forwarded") {
            format!("for={claimed}")
        } else {
            claimed
        };
        let mut ask = Ask::new(Method::GET, NOWHERE).header(&header, claimed);
        ask.peer = Some(peer);
        last = attacker.send(ask).await.map(|one| one.status.as_u16());
    }
    let verdict = if last == Some(429) {
        Verdict::Held
    } else {
        Verdict::Broken
    };
    let detail = format!(
        "request {} of one client, each with another {header}, answered {}",
        needed + 1,
        last.unwrap_or_default()
    );
    attacker.note(
        "api".to_owned(),
        Promise::ForgedProxyHeader,
        verdict,
        true,
        detail,
    );
}

/// What is promised for one endpoint; `good` are credentials that come through.
pub(super) async fn route(
    attacker: &mut Attacker<'_>,
    target: &Target<'_>,
    good: Option<&[Credential]>,
) {
    if !target.route.auth.is_empty() {
        paths(attacker, target, good.is_some()).await;
        methods(attacker, target, good.is_some()).await;
    }
    if target.route.surround.https_redirect {
        let mut ask = target.ask().with(good.unwrap_or_default());
        ask.tls = false;
        attacker
            .refused(target, Promise::PlainHttp, ask, good.is_some())
            .await;
    }
    cross_site(attacker, target, good).await;
    oversized(attacker, target, good).await;
    limited(attacker, target, good).await;
}

async fn paths(attacker: &mut Attacker<'_>, target: &Target<'_>, controlled: bool) {
    let path = &target.path;
    let rest = path.trim_start_matches('/');
    let tricks = [
        format!("/{path}"),
        format!("/./{rest}"),
        format!("/x/../{rest}"),
        format!("/%2e/{rest}"),
        format!("/x/%2e%2e/{rest}"),
        format!("/%2f{rest}"),
        format!("/%5c{rest}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path};a=b"),
        format!("{path}.json"),
        format!("{path}%3fa=b"),
        path.to_uppercase(),
    ];
    for trick in tricks {
        let ask = Ask::new(target.method.clone(), trick);
        attacker
            .refused(target, Promise::PathTricks, ask, controlled)
            .await;
    }
}

async fn methods(attacker: &mut Attacker<'_>, target: &Target<'_>, controlled: bool) {
    let mut asks = Vec::new();
    if target.method == Method::GET {
        asks.push(Ask::new(Method::HEAD, target.path.clone()));
    }
    for header in [
        "x-http-method-override",
        "x-method-override",
        "x-http-method",
    ] {
        let ask = Ask::new(Method::POST, target.path.clone());
        asks.push(ask.header(header, target.method.as_str()));
    }
    for header in ["x-original-url", "x-rewrite-url"] {
        let ask = Ask::new(target.method.clone(), "/");
        asks.push(ask.header(header, target.path.clone()));
    }
    for ask in asks {
        attacker
            .refused(target, Promise::MethodTricks, ask, controlled)
            .await;
    }
}

/// Only what a browser would send by itself can be used by another site.
async fn cross_site(attacker: &mut Attacker<'_>, target: &Target<'_>, good: Option<&[Credential]>) {
    let Some(csrf) = &target.route.surround.csrf else {
        return;
    };
    let methods = target.route.auth.iter().flat_map(AccessFacts::methods);
    let methods: Vec<_> = methods.collect();
    let is_ambient = methods.is_empty() || methods.iter().all(|method| method.is_ambient());
    let is_listed = csrf
        .methods
        .iter()
        .any(|one| one.eq_ignore_ascii_case(target.method.as_str()));
    if !is_listed || !is_ambient {
        return;
    }
    let Some(good) = good else {
        let why = "no credential that is good can be made here";
        return attacker.untried(target, Promise::CrossSite, why);
    };
    let ask = target.ask().with(good);
    let strange = ask.clone().header("sec-fetch-site", "cross-site");
    let strange = strange.header("origin", format!("https://{STRANGER}"));
    attacker
        .refused(target, Promise::CrossSite, strange, false)
        .await;
    let own = ask.header("sec-fetch-site", "same-origin");
    attacker
        .refused(target, Promise::NoCsrfToken, own, false)
        .await;
}

async fn oversized(attacker: &mut Attacker<'_>, target: &Target<'_>, good: Option<&[Credential]>) {
    let bound = target.route.max_body_size;
    let Some(good) = good else { return };
    if target.route.surround.csrf.is_some() && target.method != Method::GET {
        return;
    }
    if bound > LARGEST {
        let why = "the bound is beyond what is sent here";
        return attacker.untried(target, Promise::OversizedBody, why);
    }
    let size = usize::try_from(bound).unwrap_or_default() + 1;
    let mut ask = target.ask().with(good);
    ask.body = Bytes::from(vec![b' '; size]);
    attacker
        .refused(target, Promise::OversizedBody, ask, true)
        .await;
}

/// Reaches the limits of this endpoint alone, and of callers; those of all clients are tried once.
async fn limited(attacker: &mut Attacker<'_>, target: &Target<'_>, good: Option<&[Credential]>) {
    let shared = &attacker.engine.surround_facts().rate_limits;
    let own = target.route.surround.rate_limits.iter();
    let own: Vec<_> = own
        .filter(|limit| !shared.contains(limit))
        .cloned()
        .collect();
    if own.is_empty() {
        return;
    }
    let known = reached_after(own.iter(), |key| key == "client" || key == "identity");
    let (Some(needed), Some(good)) = (known, good) else {
        let why = "reaching it needs more requests or another credential than there are here";
        return attacker.untried(target, Promise::RateLimit, why);
    };
    let peer = attacker.address();
    let mut ask = target.ask().with(good);
    ask.peer = Some(peer);
    for _ in 0..needed {
        attacker.send(ask.clone()).await;
    }
    attacker
        .refused(target, Promise::RateLimit, ask, true)
        .await;
}

/// After how many requests the first of `limits` is reached; `None` where that takes too many.
fn reached_after<'a>(
    limits: impl Iterator<Item = &'a LimitFacts>,
    is_known: impl Fn(&str) -> bool,
) -> Option<u32> {
    limits
        .filter(|limit| is_known(limit.key) && limit.window_ms >= SHORTEST)
        .map(|limit| limit.limit / limit.cost.max(1))
        .min()
        .filter(|needed| *needed <= MOST)
}

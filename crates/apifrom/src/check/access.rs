//! Who may call: tokens, scopes, and endpoints that nobody protects.

use super::{Noting, writes};
use crate::facts::{
    AccessFacts, ApiKeyFacts, CredentialFacts, JwtFacts, MethodFacts, OAuth2Facts, PlaceFacts,
    RouteFacts,
};

/// Clocks differ by less than this many seconds.
const LEEWAY: u64 = 300;
/// For longer than this, in seconds, nobody should be taken who was revoked.
const CACHED: u64 = 600;

pub(super) fn route(route: &RouteFacts, noting: &mut Noting<'_>) {
    let methods: Vec<_> = route.auth.iter().flat_map(AccessFacts::methods).collect();
    for method in &methods {
        self::method(method, noting);
    }
    if route.auth.is_empty() {
        if route.public.is_none() {
            noting.note("AF301", "everybody may call it");
        }
        if describes(&route.route) {
            noting.note("AF705", "everybody may read it");
        }
        return;
    }
    let is_decided = route.policies > 0
        || !route.scopes.is_empty()
        || methods.iter().any(|method| is_decided(method));
    if !is_decided && writes(route).next().is_some() {
        noting.note("AF302", "nothing is required but to be somebody");
    }
}

fn is_decided(method: &MethodFacts) -> bool {
    !method.scopes.is_empty() || !method.roles.is_empty()
}

fn method(method: &MethodFacts, noting: &mut Noting<'_>) {
    let name = &method.declared_as;
    for place in &method.places {
        if let PlaceFacts::Query(field) = place {
            noting.note("AF203", format!("{name}: in the field {field}"));
        }
    }
    if let Some(seconds) = method.cache_ttl.filter(|seconds| *seconds > CACHED) {
        noting.note("AF207", format!("{name}: for {seconds} seconds"));
    }
    match &method.credential {
        CredentialFacts::Jwt(jwt) => self::jwt(name, jwt, noting),
        CredentialFacts::OAuth2(OAuth2Facts { token_types, .. })
            if token_types
                .iter()
                .any(|kind| kind.eq_ignore_ascii_case("jwt")) =>
        {
            noting.note("AF205", format!("{name}: token_types names JWT"));
        }
        CredentialFacts::ApiKey(ApiKeyFacts { .. })
        | CredentialFacts::OAuth2(_)
        | CredentialFacts::Basic(_)
        | CredentialFacts::Other => {}
    }
}

fn jwt(name: &str, jwt: &JwtFacts, noting: &mut Noting<'_>) {
    if jwt.audience.is_empty() {
        noting.note("AF201", format!("{name}: aud is not read"));
    }
    if !jwt.verify_exp {
        noting.note("AF202", format!("{name}: verify_exp is off"));
    }
    if jwt.issuer.is_empty() && jwt.jwks_url.is_some() {
        noting.note("AF204", format!("{name}: iss is not read"));
    }
    if jwt.leeway > LEEWAY {
        noting.note("AF206", format!("{name}: for {} seconds", jwt.leeway));
    }
}

/// True for the places where descriptions of an API are usually found.
fn describes(route: &str) -> bool {
    let last = route.rsplit('/').next().unwrap_or_default();
    ["docs", "redoc", "swagger", "openapi.json", "openapi.yaml"].contains(&last)
}

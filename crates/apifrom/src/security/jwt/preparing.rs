//! What a declaration says, checked and prepared once.

use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::{Inner, Jwt, JwtRequired, Keys, forging};
use crate::client::{Background, Url};
use crate::facts::{CredentialFacts, JwtFacts, MethodFacts, PlaceFacts, SecretFacts};
use crate::secret::Secret;
use crate::security::authenticator::Authenticator;
use crate::security::challenge::Challenge;
use crate::security::credential::{Place, cookie_named, header_named};
use crate::security::jose::{
    Algorithm, KeyText, MAX_ROLES, Rules, SharedSecrets, VerificationKeys,
};
use crate::security::protection::{AuthMethod, Compiling, Forged, Forgery};
use crate::security::remote_keys::{PUBLIC, RemoteKeys};
use crate::security::revocation::GRACE;

/// The claims that have a meaning of their own, and so hold no roles.
const REGISTERED: [&str; 10] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "at_hash", "scope", "scp",
];

impl AuthMethod for JwtRequired {
    fn declared_as(&self) -> &'static str {
        "jwt_required"
    }

    fn compile(&self, compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        let before = compiling.errors();
        let algorithms = self.parse_algorithms(compiling);
        let keys = match &self.jwks_url {
            Some(url) => self.published(url, &algorithms, compiling),
            None => Some(Keys::Given(self.prepare_keys(&algorithms, compiling))),
        };
        let place = self.place(compiling);
        let access_token = self.access_token(place.as_ref(), compiling);
        let mut rules = self.rules(compiling);
        rules.verify_at_hash = access_token.is_some();
        self.judge_revocation(compiling);
        let scopes = compiling.scopes(&self.scopes);
        let name = compiling.state_name(self.name.as_deref());
        let scheme = match &place {
            Some(Place::Scheme { scheme, .. }) => scheme,
            _ => "Bearer",
        };
        let challenge = Challenge::new(scheme, &[("realm", &self.realm)], &scopes, true)
            .map_err(|error| compiling.note(error))
            .ok()?;
        if compiling.errors() > before {
            return None;
        }
        Some(Arc::new(Jwt(Arc::new(Inner {
            place: place?,
            keys: keys?,
            rules,
            access_token,
            revocation: self.revocation.clone(),
            scopes: scopes.into(),
            challenge,
            name,
            clock: compiling.clock(),
        }))))
    }

    fn promises(&self, forgery: Forgery, scopes: &[String]) -> bool {
        forging::promises(self, forgery, scopes)
    }

    fn forge(&self, forgery: Forgery, scopes: &[String]) -> Forged {
        forging::forge(self, forgery, scopes)
    }

    fn facts(&self) -> MethodFacts {
        let mut facts = MethodFacts::new(self.declared_as(), self.credential());
        facts.places = vec![match self.token_location.as_str() {
            "query" => PlaceFacts::Query(self.query_name.clone()),
            "cookie" => PlaceFacts::Cookie(self.cookie_name.clone()),
            _ if self.header_type.is_empty() => PlaceFacts::Header(self.header_name.clone()),
            _ => PlaceFacts::Scheme(self.header_name.clone(), self.header_type.clone()),
        }];
        facts.scopes.clone_from(&self.scopes);
        facts.roles.clone_from(&self.roles);
        facts.revocation = self.revocation.is_some();
        facts
    }
}

impl JwtRequired {
    /// The algorithms, those left out whose names are wrong.
    pub(super) fn known_algorithms(&self) -> Vec<Algorithm> {
        match &self.algorithms {
            None if self.jwks_url.is_some() => PUBLIC.to_vec(),
            None => vec![Algorithm::Hs256],
            Some(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
        }
    }

    /// The first of the shared secrets.
    pub(super) fn shared_secret(&self) -> Option<Secret<Vec<u8>>> {
        let keys = self.secret.iter().chain(&self.keys);
        let mut texts = keys.filter_map(|key| key.text().ok());
        texts.find_map(KeyText::shared_secret)
    }

    fn credential(&self) -> CredentialFacts {
        let algorithms = self.known_algorithms();
        let needed = algorithms.iter().filter(|one| one.is_symmetric());
        let needed = needed.map(|one| one.hash_len()).max().unwrap_or_default();
        let keys = self.secret.iter().chain(&self.keys);
        let texts = keys.filter_map(|key| key.text().ok());
        let (secrets, public): (Vec<_>, Vec<_>) =
            texts.map(KeyText::shared_secret).partition(Option::is_some);
        let secrets = secrets.into_iter().flatten();
        let judged = |named: Option<bool>, expected: &[String]| {
            let is_read = named.unwrap_or(!expected.is_empty());
            if is_read {
                expected.to_vec()
            } else {
                Vec::new()
            }
        };
        let has_access_token =
            self.access_token_header.is_some() || self.access_token_cookie.is_some();
        CredentialFacts::Jwt(JwtFacts {
            algorithms: algorithms.iter().map(ToString::to_string).collect(),
            secrets: secrets
                .map(|secret| SecretFacts::of(secret.expose(), needed))
                .collect(),
            public_keys: public.len(),
            jwks_url: self.jwks_url.clone(),
            verify_exp: self.verify_exp,
            audience: judged(self.verify_aud, &self.audience),
            issuer: judged(self.verify_iss, &self.issuer),
            verify_sub: self.verify_sub,
            verify_jti: self.verify_jti,
            verify_at_hash: self.verify_at_hash.unwrap_or(has_access_token),
            leeway: self.leeway.as_secs(),
        })
    }

    fn judge_revocation(&self, compiling: &mut Compiling<'_>) {
        let Some(revocation) = &self.revocation else {
            return;
        };
        revocation.judge(compiling);
        if !self.verify_exp {
            compiling.error(
                "revocation",
                "needs verify_exp: what is revoked is kept until its tokens have expired",
            );
        }
        if self.leeway > GRACE {
            compiling.error("leeway", "expected at most an hour beside revocation");
        }
    }

    fn published(
        &self,
        url: &str,
        algorithms: &[Algorithm],
        compiling: &mut Compiling<'_>,
    ) -> Option<Keys> {
        if self.secret.is_some() || !self.keys.is_empty() {
            compiling.error("jwks_url", "contradicts secret and keys; give one of them");
        }
        if algorithms.iter().any(|one| one.is_symmetric()) {
            compiling.error("algorithm", "expected one of public keys beside jwks_url");
        }
        match Url::parse(url) {
            Err(why) => {
                compiling.error("jwks_url", why);
                None
            }
            Ok(url) => {
                let keys = RemoteKeys::new(url, algorithms, self.stale_max, compiling.clock());
                let background = compiling.shared(Background::new);
                Some(Keys::Published(Arc::new(keys), background))
            }
        }
    }

    fn parse_algorithms(&self, compiling: &mut Compiling<'_>) -> Vec<Algorithm> {
        if self.jwks_url.is_some() && self.algorithms.is_none() {
            return PUBLIC.to_vec();
        }
        let default = [Algorithm::Hs256.as_str().to_owned()];
        let names = self.algorithms.as_deref().unwrap_or(&default);
        if names.is_empty() {
            compiling.error("algorithm", "expected at least one algorithm, found none");
        }
        let mut algorithms = Vec::new();
        for name in names {
            match name.parse::<Algorithm>() {
                Ok(algorithm) if algorithms.contains(&algorithm) => {}
                Ok(algorithm) => algorithms.push(algorithm),
                Err(why) => compiling.error("algorithm", why.to_string()),
            }
        }
        algorithms
    }

    fn prepare_keys(
        &self,
        algorithms: &[Algorithm],
        compiling: &mut Compiling<'_>,
    ) -> VerificationKeys {
        let mut keys = VerificationKeys::new(algorithms);
        if self.secret.is_none() && self.keys.is_empty() {
            compiling.error("secret", "expected a secret, found none");
        }
        let further = self.keys.iter().enumerate();
        let further = further.map(|(index, key)| (format!("keys[{index}]"), key));
        let first = self.secret.iter().map(|key| ("secret".to_owned(), key));
        for (field, key) in first.chain(further) {
            let key = match key.text() {
                Ok(key) => key,
                Err(why) => {
                    compiling.error(&field, why);
                    continue;
                }
            };
            // Of an algorithm that is wrong, its own error says enough.
            if algorithms.is_empty() {
                continue;
            }
            match keys.add(key, SharedSecrets::Allowed) {
                Ok(None) => {}
                Ok(Some(weak)) => compiling.warn(
                    &field,
                    format!(
                        "is shorter than the {} bytes that {weak} needs (RFC 7518 §3.2), so it may \
                         be guessed",
                        weak.hash_len()
                    ),
                ),
                Err(why) => compiling.error(&field, why),
            }
        }
        if !keys.is_empty() {
            for algorithm in keys.unserved() {
                compiling.error("algorithm", format!("no key verifies {algorithm}"));
            }
        }
        keys
    }

    fn place(&self, compiling: &mut Compiling<'_>) -> Option<Place> {
        match self.token_location.as_str() {
            "header" => {
                let header = header(&self.header_name, "header_name", compiling)?;
                if self.header_type.is_empty() {
                    return Some(Place::Header(header));
                }
                // A scheme has the grammar of a header's name (RFC 9110 §11.1).
                if HeaderName::from_bytes(self.header_type.as_bytes()).is_err() {
                    compiling.error("header_type", "expected a scheme such as Bearer");
                    return None;
                }
                Some(Place::Scheme {
                    header,
                    scheme: self.header_type.as_str().into(),
                })
            }
            "query" => named(&self.query_name, "query_name", compiling).map(Place::Query),
            "cookie" => cookie(&self.cookie_name, "cookie_name", compiling).map(Place::Cookie),
            other => {
                compiling.error(
                    "token_location",
                    format!("expected header, query or cookie; found {other:?}"),
                );
                None
            }
        }
    }

    /// Where the access token stands, if `at_hash` is verified.
    fn access_token(&self, token: Option<&Place>, compiling: &mut Compiling<'_>) -> Option<Place> {
        let place = match (&self.access_token_header, &self.access_token_cookie) {
            (None, None) => {
                if self.verify_at_hash == Some(true) {
                    compiling.error(
                        "verify_at_hash",
                        "needs access_token_header or access_token_cookie",
                    );
                }
                return None;
            }
            (Some(_), Some(_)) => {
                compiling.error(
                    "access_token_cookie",
                    "contradicts access_token_header; give one of them",
                );
                return None;
            }
            (Some(name), None) => match header(name, "access_token_header", compiling)? {
                AUTHORIZATION => Place::Scheme {
                    header: AUTHORIZATION,
                    scheme: "Bearer".into(),
                },
                name => Place::Header(name),
            },
            (None, Some(name)) => {
                cookie(name, "access_token_cookie", compiling).map(Place::Cookie)?
            }
        };
        if Some(&place) == token {
            compiling.error(
                "verify_at_hash",
                "needs the access token in another place than the token itself",
            );
        }
        self.verify_at_hash.unwrap_or(true).then_some(place)
    }

    fn rules(&self, compiling: &mut Compiling<'_>) -> Rules {
        if self.roles.len() > MAX_ROLES {
            compiling.error("roles", format!("expected at most {MAX_ROLES}"));
        }
        let mut roles = self.roles.clone();
        roles.sort_unstable();
        roles.dedup();
        if roles.iter().any(String::is_empty) {
            compiling.error("roles", "expected roles, found an empty text");
        }
        let claim = self.roles_claim.as_str();
        if claim.is_empty() || REGISTERED.contains(&claim) {
            compiling.error(
                "roles_claim",
                "expected the name of a claim that has no other meaning",
            );
        }
        Rules {
            verify_exp: self.verify_exp,
            audience: expected("audience", self.verify_aud, &self.audience, compiling),
            issuer: expected("issuer", self.verify_iss, &self.issuer, compiling),
            verify_sub: self.verify_sub,
            verify_jti: self.verify_jti,
            verify_at_hash: false,
            leeway: self.leeway,
            roles,
            roles_claim: self.roles_claim.clone(),
        }
    }
}

/// What a claim must hold one of; `None` where it is not verified.
fn expected(
    field: &str,
    verify: Option<bool>,
    names: &[String],
    compiling: &mut Compiling<'_>,
) -> Option<Vec<String>> {
    if verify == Some(true) && names.is_empty() {
        let option = if field == "audience" {
            "verify_aud"
        } else {
            "verify_iss"
        };
        compiling.error(field, format!("is needed for {option}"));
    }
    if names.iter().any(String::is_empty) {
        compiling.error(field, "expected a name, found an empty text");
    }
    (verify.unwrap_or(true) && !names.is_empty()).then(|| names.to_vec())
}

fn header(name: &str, field: &str, compiling: &mut Compiling<'_>) -> Option<HeaderName> {
    header_named(name)
        .map_err(|why| compiling.error(field, why))
        .ok()
}

fn cookie(name: &str, field: &str, compiling: &mut Compiling<'_>) -> Option<Box<str>> {
    cookie_named(name)
        .map_err(|why| compiling.error(field, why))
        .ok()
}

fn named(name: &str, field: &str, compiling: &mut Compiling<'_>) -> Option<Box<str>> {
    if name.is_empty() {
        compiling.error(field, "expected a name, found none");
        return None;
    }
    Some(name.into())
}

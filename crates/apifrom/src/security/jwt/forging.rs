//! Tokens that try what a declaration promises.

use serde_json::{Map, Value, json};

use super::JwtRequired;
use crate::clock::{Clock, SystemClock};
use crate::facts::{CredentialFacts, JwtFacts};
use crate::security::jose::{SigningKey, encode};
use crate::security::protection::{AuthMethod, Forged, Forgery};

/// Signs what nobody should take.
const STRANGER: &str = "a secret that this program does not have, of sixty-four bytes and more";
/// For how many seconds a token of ours is good.
const GOOD_FOR: u64 = 300;

pub(super) fn promises(declared: &JwtRequired, forgery: Forgery, scopes: &[String]) -> bool {
    let facts = declared.facts();
    let CredentialFacts::Jwt(jwt) = &facts.credential else {
        return false;
    };
    match forgery {
        Forgery::Expired | Forgery::Endless => jwt.verify_exp,
        Forgery::OtherAudience | Forgery::NoAudience => !jwt.audience.is_empty(),
        Forgery::OtherIssuer => !jwt.issuer.is_empty(),
        Forgery::NoScopes => !facts.scopes.is_empty() || !scopes.is_empty(),
        Forgery::NoRoles => !facts.roles.is_empty(),
        _ => true,
    }
}

pub(super) fn forge(declared: &JwtRequired, forgery: Forgery, scopes: &[String]) -> Forged {
    let facts = declared.facts();
    let (CredentialFacts::Jwt(jwt), Some(place)) = (&facts.credential, facts.places.first()) else {
        return Forged::NotPromised;
    };
    if jwt.verify_at_hash && !matches!(forgery, Forgery::Unknown | Forgery::Unsigned) {
        return Forged::Impossible("an access token would have to stand beside it");
    }
    let claims = claims(declared, jwt, forgery, scopes);
    let token = match forgery {
        Forgery::Unsigned => Some(unsigned(&claims)),
        Forgery::Unknown => signed(STRANGER.as_bytes(), "HS256", &claims),
        _ => {
            let symmetric = declared.known_algorithms();
            let symmetric = symmetric.into_iter().find(|one| one.is_symmetric());
            let (Some(secret), Some(algorithm)) = (declared.shared_secret(), symmetric) else {
                return Forged::Impossible("only public keys are known here");
            };
            let token = signed(secret.expose(), algorithm.as_str(), &claims);
            match forgery {
                Forgery::Tampered => token.and_then(|token| tampered(&token, &claims)),
                _ => token,
            }
        }
    };
    match token {
        Some(token) => Forged::Credential(place.clone(), token.into()),
        None => Forged::Impossible("the token cannot be signed"),
    }
}

fn claims(
    declared: &JwtRequired,
    jwt: &JwtFacts,
    forgery: Forgery,
    scopes: &[String],
) -> Map<String, Value> {
    let now = SystemClock.unix().as_secs();
    let mut claims = Map::new();
    let mut say = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    say("sub", json!("apifrom-attack"));
    say("jti", json!("apifrom-attack"));
    say("iat", json!(now));
    match forgery {
        Forgery::Endless => {}
        Forgery::Expired => say("exp", json!(now.saturating_sub(jwt.leeway + GOOD_FOR))),
        _ => say("exp", json!(now + GOOD_FOR)),
    }
    match (forgery, jwt.audience.first()) {
        (Forgery::OtherAudience, _) => say("aud", json!("another-service.example")),
        (Forgery::NoAudience, _) | (_, None) => {}
        (_, Some(audience)) => say("aud", json!(audience)),
    }
    match (forgery, jwt.issuer.first()) {
        (Forgery::OtherIssuer, _) => say("iss", json!("https://issuer.example")),
        (_, None) => {}
        (_, Some(issuer)) => say("iss", json!(issuer)),
    }
    if forgery != Forgery::NoScopes {
        let required: Vec<_> = declared.scopes.iter().chain(scopes).cloned().collect();
        say("scope", json!(required.join(" ")));
    }
    if forgery != Forgery::NoRoles && !declared.roles.is_empty() {
        say(&declared.roles_claim, json!(declared.roles));
    }
    claims
}

fn signed(secret: &[u8], algorithm: &str, claims: &Map<String, Value>) -> Option<String> {
    let algorithm = algorithm.parse().ok()?;
    let key = SigningKey::read(&secret.into(), algorithm).ok()?;
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
    let claims = serde_json::to_vec(claims).ok()?;
    key.token(header.as_bytes(), &claims).ok()
}

fn unsigned(claims: &Map<String, Value>) -> String {
    let claims = Value::Object(claims.clone()).to_string();
    let header = encode(br#"{"alg":"none","typ":"JWT"}"#);
    format!("{header}.{}.", encode(claims.as_bytes()))
}

/// The token with another subject, under the signature of the first.
fn tampered(token: &str, claims: &Map<String, Value>) -> Option<String> {
    let (header, rest) = token.split_once('.')?;
    let (_, signature) = rest.split_once('.')?;
    let mut claims = claims.clone();
    claims.insert("sub".to_owned(), json!("somebody-else"));
    let claims = encode(Value::Object(claims).to_string().as_bytes());
    Some(format!("{header}.{claims}.{signature}"))
}

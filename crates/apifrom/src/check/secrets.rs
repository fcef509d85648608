//! Secrets: how long they are, and in which form they are kept.

use super::Noting;
use crate::facts::{CredentialFacts, RouteFacts, SecretFacts, SurroundFacts};

pub(super) fn route(route: &RouteFacts, noting: &mut Noting<'_>) {
    for access in &route.auth {
        for method in access.methods() {
            let name = &method.declared_as;
            match &method.credential {
                CredentialFacts::Jwt(jwt) => {
                    for secret in &jwt.secrets {
                        judge(name, secret, noting);
                    }
                }
                CredentialFacts::ApiKey(keys) => {
                    if keys.plain > 0 {
                        let message = format!("{name}: {} in plain text", count(keys.plain, "key"));
                        noting.note("AF103", message);
                    }
                    if keys.guessable > 0 {
                        let message =
                            format!("{name}: {} easily guessed", count(keys.guessable, "key"));
                        noting.note("AF105", message);
                    }
                }
                CredentialFacts::Basic(users) => {
                    if users.plain > 0 {
                        let plain = count(users.plain, "password");
                        noting.note("AF104", format!("{name}: {plain} in plain text"));
                    }
                    let kinds = users.hashes.len() + usize::from(users.plain > 0);
                    if !users.hashes.is_empty() && kinds > 1 {
                        noting.note(
                            "AF106",
                            format!("{name}: {kinds} kinds or costs in one table"),
                        );
                    }
                }
                _ => {}
            }
        }
    }
}

/// What every call has.
pub(super) fn surround(surround: &SurroundFacts, noting: &mut Noting<'_>) {
    if let Some(csrf) = &surround.csrf {
        for secret in &csrf.secrets {
            judge("csrf", secret, noting);
        }
    }
}

fn judge(name: &str, secret: &SecretFacts, noting: &mut Noting<'_>) {
    let SecretFacts { bytes, needed, .. } = secret;
    if secret.is_short() {
        noting.note(
            "AF101",
            format!("{name}: a secret of {bytes} bytes, {needed} are needed"),
        );
    } else if secret.guessable {
        noting.note("AF102", format!("{name}: a secret that can be guessed"));
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

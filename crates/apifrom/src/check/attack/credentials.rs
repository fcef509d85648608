//! Who may call: no credential, wrong ones, and those that lack what is required.

use std::sync::Arc;

use super::{Ask, Attacker, Credential, Promise, Target};
use crate::security::{AuthMethod, Forged, Forgery, Protection};

/// What each forgery tries.
const FORGERIES: [(Forgery, Promise); 10] = [
    (Forgery::Unknown, Promise::UnknownCredential),
    (Forgery::Tampered, Promise::TamperedToken),
    (Forgery::Unsigned, Promise::UnsignedToken),
    (Forgery::Expired, Promise::ExpiredToken),
    (Forgery::Endless, Promise::EndlessToken),
    (Forgery::OtherAudience, Promise::OtherAudience),
    (Forgery::NoAudience, Promise::NoAudience),
    (Forgery::OtherIssuer, Promise::OtherIssuer),
    (Forgery::NoScopes, Promise::MissingScope),
    (Forgery::NoRoles, Promise::MissingRole),
];

/// Credentials that come through; empty where none are needed.
pub(super) async fn good(
    attacker: &mut Attacker<'_>,
    target: &Target<'_>,
) -> Option<Vec<Credential>> {
    let forging = Forging::new(target, None);
    let credentials = forging.all(target.endpoint.protections()).ok()?;
    let ask = target.ask().with(&credentials);
    let reads = ["GET", "HEAD"].contains(&target.method.as_str());
    // What CSRF protection refuses is no fault of the credential.
    if target.route.surround.csrf.is_some() && !reads {
        return Some(credentials);
    }
    let answer = attacker.send(ask).await?;
    let is_through = answer.reached.as_deref() == Some(&*target.route.route);
    is_through.then_some(credentials)
}

pub(super) async fn try_all(attacker: &mut Attacker<'_>, target: &Target<'_>, has_good: bool) {
    let protections = target.endpoint.protections();
    if protections.is_empty() {
        return;
    }
    let ask = target.ask();
    attacker
        .refused(target, Promise::NoCredential, ask, has_good)
        .await;
    let mut methods = Vec::new();
    gather(protections, &mut methods);
    for method in &methods {
        for (forgery, promise) in FORGERIES {
            let forging = Forging::new(target, Some((method, forgery)));
            match forging.all(protections) {
                Ok(credentials) => {
                    let ask = target.ask().with(&credentials);
                    attacker.refused(target, promise, ask, has_good).await;
                }
                Err(Unforged::NotPromised) => {}
                Err(Unforged::Impossible(why)) => {
                    let why = format!("{}: {why}", method.declared_as());
                    attacker.untried(target, promise, &why);
                }
            }
        }
        doubled(attacker, target, method, has_good).await;
    }
}

/// True where some method lets in what it does not promise to refuse.
pub(super) async fn lets_in(
    attacker: &mut Attacker<'_>,
    target: &Target<'_>,
    forgery: Forgery,
) -> Option<bool> {
    let protections = target.endpoint.protections();
    let mut methods = Vec::new();
    gather(protections, &mut methods);
    let mut tried = None;
    for method in &methods {
        if method.promises(forgery, &target.route.scopes) {
            continue;
        }
        let mut forging = Forging::new(target, Some((method, forgery)));
        forging.is_forced = true;
        if let Ok(credentials) = forging.all(protections) {
            let answer = attacker.send(target.ask().with(&credentials)).await?;
            let is_let_in = answer.reached.as_deref() == Some(&*target.route.route);
            tried = Some(is_let_in || tried == Some(true));
        }
    }
    tried
}

/// A credential beside another of its kind: which one counts must not be the client's choice.
async fn doubled(
    attacker: &mut Attacker<'_>,
    target: &Target<'_>,
    method: &Arc<dyn AuthMethod>,
    has_good: bool,
) {
    let forge = |forgery| match method.forge(forgery, &target.route.scopes) {
        Forged::Credential(place, value) => Some((place, value)),
        _ => None,
    };
    if let (Some(good), Some(wrong)) = (forge(Forgery::Valid), forge(Forgery::Unknown)) {
        let forging = Forging::new(target, Some((method, Forgery::Valid)));
        let Ok(mut credentials) = forging.all(target.endpoint.protections()) else {
            return;
        };
        debug_assert!(credentials.iter().any(|(place, _)| *place == good.0));
        credentials.push(wrong);
        let ask: Ask = target.ask().with(&credentials);
        attacker
            .refused(target, Promise::DoubledCredential, ask, has_good)
            .await;
    }
}

/// Each method once, however often it is declared.
fn gather(protections: &[Protection], methods: &mut Vec<Arc<dyn AuthMethod>>) {
    for protection in protections {
        match protection {
            Protection::Method(method) => {
                if !methods.iter().any(|known| Arc::ptr_eq(known, method)) {
                    methods.push(Arc::clone(method));
                }
            }
            Protection::Any(parts) | Protection::All(parts) => gather(parts, methods),
        }
    }
}

/// Why there are no credentials.
enum Unforged {
    NotPromised,
    Impossible(&'static str),
}

/// Makes the credentials of one request: good ones, but for one method.
struct Forging<'a> {
    scopes: &'a [String],
    wrong: Option<(&'a Arc<dyn AuthMethod>, Forgery)>,
    /// True where what is not promised is tried all the same.
    is_forced: bool,
}

impl<'a> Forging<'a> {
    fn new(target: &Target<'a>, wrong: Option<(&'a Arc<dyn AuthMethod>, Forgery)>) -> Self {
        Self {
            scopes: &target.route.scopes,
            wrong,
            is_forced: false,
        }
    }

    fn all(&self, protections: &[Protection]) -> Result<Vec<Credential>, Unforged> {
        let mut made: Vec<Credential> = Vec::new();
        for protection in protections {
            for credential in self.one(protection)? {
                if !made.contains(&credential) {
                    made.push(credential);
                }
            }
        }
        Ok(made)
    }

    fn one(&self, protection: &Protection) -> Result<Vec<Credential>, Unforged> {
        match protection {
            Protection::All(parts) => self.all(parts),
            Protection::Any(parts) => {
                // The way that is tried is the one with the wrong credential, and no other is open.
                if let Some(part) = parts.iter().find(|part| self.concerns(part)) {
                    return self.one(part);
                }
                let mut why = Unforged::Impossible("there is no method");
                for part in parts {
                    match self.one(part) {
                        Ok(made) => return Ok(made),
                        Err(unforged) => why = unforged,
                    }
                }
                Err(why)
            }
            Protection::Method(method) => {
                let forgery = match self.wrong {
                    Some((wrong, forgery)) if Arc::ptr_eq(wrong, method) => forgery,
                    _ => Forgery::Valid,
                };
                if !self.is_forced && !method.promises(forgery, self.scopes) {
                    return Err(Unforged::NotPromised);
                }
                match method.forge(forgery, self.scopes) {
                    Forged::Credential(place, value) => Ok(vec![(place, value)]),
                    Forged::NotPromised => Err(Unforged::NotPromised),
                    Forged::Impossible(why) => Err(Unforged::Impossible(why)),
                }
            }
        }
    }

    fn concerns(&self, protection: &Protection) -> bool {
        match (protection, self.wrong) {
            (_, None) => false,
            (Protection::Method(method), Some((wrong, _))) => Arc::ptr_eq(wrong, method),
            (Protection::Any(parts) | Protection::All(parts), Some(_)) => {
                parts.iter().any(|part| self.concerns(part))
            }
        }
    }
}

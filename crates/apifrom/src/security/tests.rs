//! Holes in a method of authentication, each of which an attack finds.

use std::sync::Arc;

use crate::check::{Promise, attack};
use crate::facts::PlaceFacts;
use crate::security::{
    Attempt, AuthMethod, Authenticator, Challenge, Compiling, FailureKind, Forged, Forgery,
    Identity, Method as Kind,
};
use crate::{Api, Context, EndpointSpec, Head, IntoResponse, Reply, Request};

/// A method of authentication with a hole: it lets in one forgery, or anybody.
#[derive(Debug, Clone, Copy)]
struct Holed(Option<Forgery>);

impl AuthMethod for Holed {
    fn declared_as(&self) -> &'static str {
        "holed_required"
    }

    fn compile(&self, _compiling: &mut Compiling<'_>) -> Option<Arc<dyn Authenticator>> {
        let challenge = Challenge::new("Holed", &[("realm", "test")], &[], true).ok()?;
        Some(Arc::new(Compiled(*self, challenge)))
    }

    fn forge(&self, forgery: Forgery, _scopes: &[String]) -> Forged {
        let place = PlaceFacts::Header("x-token".to_owned());
        Forged::Credential(place, format!("{forgery:?}").into())
    }
}

struct Compiled(Holed, Challenge);

impl Authenticator for Compiled {
    fn method(&self) -> Kind {
        Kind::Jwt
    }

    fn state_name(&self) -> &'static str {
        "holed"
    }

    fn challenge(&self) -> &Challenge {
        &self.1
    }

    fn is_presented(&self, head: &Head) -> bool {
        head.headers.contains_key("x-token")
    }

    fn authenticate(&self, head: &Head, _context: &Context) -> Attempt {
        let Holed(hole) = self.0;
        let sent = head.headers.get_all("x-token").iter().next_back();
        let sent = sent.and_then(|value| value.to_str().ok());
        let passed = Attempt::Passed(Identity::new(Kind::Jwt));
        match (sent, hole) {
            (None, None) | (Some("Valid"), _) => passed,
            (None, _) => Attempt::Absent,
            (Some(sent), Some(hole)) if sent == format!("{hole:?}") => passed,
            _ => Attempt::failed(FailureKind::Invalid, "wrong"),
        }
    }
}

fn endpoint() -> EndpointSpec {
    EndpointSpec::new("holed", "/things/{id}", ["GET"], |_| {
        let handler = |_: Request| -> Reply { Reply::Ready("called".into_response()) };
        Some(Arc::new(handler))
    })
}

async fn broken(hole: Option<Forgery>) -> Vec<Promise> {
    let api = Api::new().endpoints([endpoint().protect(Holed(hole))]);
    let report = attack(&api.build().unwrap()).await;
    let mut broken: Vec<_> = report.broken().map(|trial| trial.promise).collect();
    broken.sort();
    broken.dedup();
    broken
}

#[tokio::test]
async fn a_forgery_that_is_let_in_is_a_broken_promise_and_no_other_is() {
    for (forgery, promise) in [
        (Forgery::Tampered, Promise::TamperedToken),
        (Forgery::Unsigned, Promise::UnsignedToken),
        (Forgery::Expired, Promise::ExpiredToken),
        (Forgery::Endless, Promise::EndlessToken),
        (Forgery::OtherAudience, Promise::OtherAudience),
        (Forgery::NoAudience, Promise::NoAudience),
        (Forgery::OtherIssuer, Promise::OtherIssuer),
        (Forgery::NoScopes, Promise::MissingScope),
        (Forgery::NoRoles, Promise::MissingRole),
    ] {
        assert_eq!(broken(Some(forgery)).await, [promise], "{forgery:?}");
    }
    let unknown = broken(Some(Forgery::Unknown)).await;
    assert_eq!(
        unknown,
        [Promise::UnknownCredential, Promise::DoubledCredential]
    );
    assert_eq!(broken(Some(Forgery::Valid)).await, []);
}

#[tokio::test]
async fn whoever_lets_everybody_in_without_a_credential_breaks_that_promise() {
    let broken = broken(None).await;
    assert!(broken.contains(&Promise::NoCredential), "{broken:?}");
}

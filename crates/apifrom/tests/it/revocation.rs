//! Tokens that are refused although they have not expired.

use std::sync::Arc;
use std::time::Duration;

use apifrom::ManualClock;
use apifrom::security::jose::{Algorithm, SigningKey};
use apifrom::security::{CreateToken, JwtRequired, Revocation, RevocationConfig, RevocationError};

use super::secured::{Secured, errors};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const INVALID: &str = r#"Bearer realm="api", error="invalid_token""#;

fn tokens() -> JwtRequired {
    JwtRequired::new().secret(SECRET).algorithm("HS256")
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Scene {
    secured: Secured,
    clock: Arc<ManualClock>,
    revocation: Revocation,
}

/// An endpoint with a revocation, at second 1000.
fn scene(adapt: impl FnOnce(RevocationConfig) -> RevocationConfig, tokens: JwtRequired) -> Scene {
    let clock = Arc::new(ManualClock::at(at(1_000)));
    let mut config = RevocationConfig::default();
    config.clock = clock.clone();
    let revocation = Revocation::new(adapt(config)).unwrap();
    let tokens = tokens.revocation(&revocation);
    let secured = Secured::with(tokens, |api| api.clock(clock.clone()));
    Scene {
        secured,
        clock,
        revocation,
    }
}

fn plain() -> Scene {
    scene(|config| config, tokens())
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn bearer(payload: &str) -> String {
    let key = SigningKey::read(&SECRET.into(), Algorithm::Hs256).unwrap();
    let token = key.token(br#"{"alg":"HS256"}"#, payload.as_bytes());
    format!("Bearer {}", token.unwrap())
}

impl Scene {
    #[track_caller]
    fn takes(&self, payload: &str) {
        let answer = self.secured.ask(&[("authorization", &bearer(payload))]);
        assert_eq!(answer.status(), 200, "{payload}");
    }

    /// Which also sees that the handler did not run.
    #[track_caller]
    fn refuses(&self, payload: &str) {
        let token = bearer(payload);
        self.secured
            .refused("/", &[("authorization", &token)], 401, Some(INVALID));
        let event = "authentication_failed revoked -";
        assert_eq!(self.secured.last_event(), event, "{payload}");
    }
}

#[test]
fn a_token_is_revoked_by_its_id_and_no_other_with_it() {
    let scene = plain();
    scene.takes(r#"{"exp":2000,"jti":"one"}"#);
    wait(scene.revocation.revoke("one", Some(at(2_000)))).unwrap();
    scene.refuses(r#"{"exp":2000,"jti":"one"}"#);
    scene.refuses(r#"{"exp":2000,"iat":1000,"jti":"one"}"#);
    scene.takes(r#"{"exp":2000,"jti":"two"}"#);
    scene.takes(r#"{"exp":2000,"sub":"one"}"#);
    scene.takes(r#"{"exp":2000}"#);
}

#[test]
fn a_subject_is_revoked_up_to_a_moment() {
    let scene = plain();
    wait(scene.revocation.revoke_subject("ada", Some(at(900)), None)).unwrap();
    scene.refuses(r#"{"exp":2000,"iat":899,"sub":"ada"}"#);
    scene.refuses(r#"{"exp":2000,"iat":899.9,"sub":"ada"}"#);
    scene.takes(r#"{"exp":2000,"iat":900,"sub":"ada"}"#);
    scene.takes(r#"{"exp":2000,"iat":899,"sub":"bob"}"#);
    // Who does not say when it was issued may have been issued before.
    scene.refuses(r#"{"exp":2000,"sub":"ada"}"#);
    // An earlier moment takes nothing back.
    wait(scene.revocation.revoke_subject("ada", Some(at(100)), None)).unwrap();
    scene.refuses(r#"{"exp":2000,"iat":899,"sub":"ada"}"#);
    scene.clock.advance(Duration::from_millis(400));
    wait(scene.revocation.revoke_subject("ada", None, None)).unwrap();
    scene.refuses(r#"{"exp":2000,"iat":1000,"sub":"ada"}"#);
    scene.takes(r#"{"exp":2000,"iat":1001,"sub":"ada"}"#);
}

#[test]
fn everything_before_a_moment_is_revoked() {
    let scene = plain();
    wait(scene.revocation.revoke_before(at(900), None)).unwrap();
    scene.refuses(r#"{"exp":2000,"iat":899,"sub":"ada"}"#);
    scene.refuses(r#"{"exp":2000}"#);
    scene.takes(r#"{"exp":2000,"iat":900}"#);
}

#[test]
fn a_revoked_token_that_lacks_a_scope_is_no_token() {
    let scene = scene(|config| config, tokens().scopes(["write"]));
    wait(scene.revocation.revoke("one", None)).unwrap();
    scene.refuses(r#"{"exp":2000,"jti":"one"}"#);
}

#[test]
fn an_entry_outlives_the_tokens_that_it_covers() {
    let scene = scene(
        |mut config| {
            config.token_lifetime = Some(at(500));
            config.max_entries = 1;
            config
        },
        tokens().leeway(at(3_600)),
    );
    let revoke = |id| wait(scene.revocation.revoke(id, None));
    revoke("one").unwrap();
    assert_eq!(revoke("two"), Err(RevocationError::Full));
    scene.takes(r#"{"exp":1500,"jti":"two"}"#);
    // The last moment at which the token would be taken.
    scene.clock.set(Duration::from_millis(5_099_999));
    scene.refuses(r#"{"exp":1500,"jti":"one"}"#);
    assert_eq!(revoke("two"), Err(RevocationError::Full));
    scene.clock.set(at(5_100));
    revoke("two").unwrap();
    scene.refuses(r#"{"exp":9000,"jti":"two"}"#);
}

#[test]
fn without_an_end_an_entry_is_kept() {
    let scene = plain();
    wait(scene.revocation.revoke("one", None)).unwrap();
    scene.clock.set(at(1 << 40));
    scene.refuses(r#"{"exp":2e12,"jti":"one"}"#);
}

#[test]
fn what_no_token_can_mean_is_an_error_and_revokes_nothing() {
    let scene = plain();
    let revocation = &scene.revocation;
    let long = "x".repeat(16_385);
    for name in ["", &long] {
        assert_eq!(
            wait(revocation.revoke(name, None)),
            Err(RevocationError::Name)
        );
        let subject = wait(revocation.revoke_subject(name, None, None));
        assert_eq!(subject, Err(RevocationError::Name));
    }
    // Milliseconds for seconds would lock everybody out.
    for ahead in [1_061, 1_700_000_000_000] {
        let before = wait(revocation.revoke_before(at(ahead), None));
        assert_eq!(before, Err(RevocationError::Ahead), "{ahead}");
    }
    scene.takes(r#"{"exp":2000}"#);
    wait(revocation.revoke_before(at(1_060), None)).unwrap();
    scene.refuses(r#"{"exp":2000,"iat":1000}"#);
    assert!(!format!("{revocation:?}").contains("1060"));
}

#[test]
fn a_token_in_the_place_of_its_id_is_an_error() {
    let scene = plain();
    let token = CreateToken::new(SECRET, "HS256")
        .jti("one")
        .sign("{}")
        .unwrap();
    for text in [token.clone(), format!(" {token}\n")] {
        let revoked = wait(scene.revocation.revoke(&text, None));
        assert_eq!(revoked, Err(RevocationError::Token));
    }
    for id in [
        "one.two.three",
        "1.2.3",
        "e30",
        "e30.e30",
        "e30.e30.e30.e30",
        "e30.a b.c",
    ] {
        wait(scene.revocation.revoke(id, None)).unwrap();
    }
}

#[test]
fn a_declaration_that_outlives_its_entries_does_not_start() {
    let revocation = Revocation::default();
    let declared = tokens().revocation(&revocation);
    assert_eq!(
        errors(declared.clone().verify_exp(false).leeway(at(3_601))),
        [
            "routes.home.jwt_required.revocation: needs verify_exp: what is revoked is kept until its \
             tokens have expired",
            "routes.home.jwt_required.leeway: expected at most an hour beside revocation",
        ]
    );
    assert!(errors(declared.leeway(at(3_600))).is_empty());
    let mut config = RevocationConfig::default();
    config.max_entries = 0;
    let error = Revocation::new(config).unwrap_err();
    assert_eq!(error.to_string(), "max_entries: expected 1 or more");
    let mut config = RevocationConfig::default();
    config.token_lifetime = Some(Duration::ZERO);
    let error = Revocation::new(config).unwrap_err();
    assert_eq!(error.path(), "token_lifetime");
}

//! What the claims must say.

use super::*;
use crate::security::Scopes;
use crate::security::jose::access_token_hash;

fn lax() -> Rules {
    Rules {
        verify_exp: false,
        ..Rules::default()
    }
}

#[track_caller]
fn passes(rules: &Rules, payload: &str, now: u64) -> Caller<'static> {
    judge(rules, payload, now).unwrap_or_else(|why| panic!("{payload}: {why}"))
}

#[track_caller]
fn refuses(rules: &Rules, payload: &str, now: u64, why: Refusal) {
    assert_eq!(judge(rules, payload, now).unwrap_err(), why, "{payload}");
}

#[test]
fn a_token_ends_at_its_expiry_and_must_have_one() {
    let rules = Rules::default();
    passes(&rules, r#"{"exp":1000}"#, 999);
    refuses(&rules, r#"{"exp":1000}"#, 1000, Refusal::Expired);
    refuses(&rules, r#"{"exp":1000}"#, 5000, Refusal::Expired);
    passes(&rules, r#"{"exp":1000.5}"#, 1000);
    refuses(&rules, r#"{"exp":1000.5}"#, 1001, Refusal::Expired);
    passes(&rules, r#"{"exp":1e3}"#, 999);
    refuses(&rules, r#"{"exp":-1}"#, 0, Refusal::Expired);
    refuses(&rules, "{}", 0, Refusal::MissingExpiry);
    let lenient = Rules {
        leeway: Duration::from_secs(10),
        ..Rules::default()
    };
    passes(&lenient, r#"{"exp":1000}"#, 1009);
    refuses(&lenient, r#"{"exp":1000}"#, 1010, Refusal::Expired);
}

#[test]
fn without_verify_exp_the_expiry_is_neither_needed_nor_judged() {
    passes(&lax(), "{}", 5000);
    passes(&lax(), r#"{"exp":1000}"#, 5000);
}

#[test]
fn dates_are_numbers_wherever_they_stand() {
    for claim in ["exp", "nbf", "iat"] {
        for value in ["\"1000\"", "null", "true", "[1000]", "{}", "\"\""] {
            for rules in [Rules::default(), lax()] {
                let payload = match claim {
                    "exp" => format!(r#"{{"exp":{value}}}"#),
                    _ => format!(r#"{{"exp":1000,"{claim}":{value}}}"#),
                };
                refuses(&rules, &payload, 500, Refusal::MalformedClaims);
            }
        }
    }
    // Longer than any number that a machine holds, and still a number.
    let endless = format!(r#"{{"exp":{}}}"#, "9".repeat(200));
    passes(&Rules::default(), &endless, 500);
    let beyond = format!(r#"{{"exp":{}}}"#, "9".repeat(400));
    refuses(&Rules::default(), &beyond, 500, Refusal::MalformedClaims);
}

#[test]
fn what_is_not_valid_yet_may_be_a_minute_ahead() {
    for (claim, why) in [
        ("nbf", Refusal::NotYetValid),
        ("iat", Refusal::IssuedInFuture),
    ] {
        let payload = format!(r#"{{"{claim}":1000}}"#);
        passes(&lax(), &payload, 1000);
        passes(&lax(), &payload, 940);
        refuses(&lax(), &payload, 939, why);
        let lenient = |seconds| Rules {
            leeway: Duration::from_secs(seconds),
            ..lax()
        };
        refuses(&lenient(10), &payload, 939, why);
        passes(&lenient(100), &payload, 900);
        refuses(&lenient(100), &payload, 899, why);
    }
}

#[test]
fn the_audience_is_read_only_where_it_is_verified() {
    for ignored in [
        "{}",
        r#"{"aud":"else"}"#,
        r#"{"aud":[]}"#,
        r#"{"aud":7}"#,
        r#"{"aud":null}"#,
    ] {
        passes(&lax(), ignored, 0);
    }
    let rules = Rules {
        audience: Some(vec!["api".to_owned(), "other".to_owned()]),
        ..lax()
    };
    for good in [
        r#"{"aud":"api"}"#,
        r#"{"aud":["x","other"]}"#,
        r#"{"aud":["api"]}"#,
    ] {
        passes(&rules, good, 0);
    }
    for wrong in [
        r#"{"aud":"API"}"#,
        r#"{"aud":"api "}"#,
        r#"{"aud":["x"]}"#,
        r#"{"aud":[]}"#,
        r#"{"aud":""}"#,
    ] {
        refuses(&rules, wrong, 0, Refusal::WrongAudience);
    }
    for malformed in [
        r#"{"aud":7}"#,
        r#"{"aud":null}"#,
        r#"{"aud":["api",7]}"#,
        r#"{"aud":{"api":1}}"#,
        r#"{"aud":[["api"]]}"#,
    ] {
        refuses(&rules, malformed, 0, Refusal::MalformedClaims);
    }
    refuses(&rules, "{}", 0, Refusal::MissingAudience);
}

#[test]
fn the_issuer_is_one_of_those_that_are_trusted() {
    passes(&lax(), r#"{"iss":7}"#, 0);
    let rules = Rules {
        issuer: Some(vec!["https://a.example".to_owned(), "b".to_owned()]),
        ..lax()
    };
    passes(&rules, r#"{"iss":"https://a.example"}"#, 0);
    passes(&rules, r#"{"iss":"\u0062"}"#, 0);
    refuses(
        &rules,
        r#"{"iss":"https://a.example/"}"#,
        0,
        Refusal::WrongIssuer,
    );
    refuses(&rules, "{}", 0, Refusal::MissingIssuer);
    refuses(&rules, r#"{"iss":["b"]}"#, 0, Refusal::MalformedClaims);
}

#[test]
fn subject_and_id_are_strings_with_something_in_them() {
    let subject = Rules {
        verify_sub: true,
        ..lax()
    };
    let id = Rules {
        verify_jti: true,
        ..lax()
    };
    for (rules, claim, why) in [
        (&subject, "sub", Refusal::MissingSubject),
        (&id, "jti", Refusal::MissingId),
    ] {
        passes(rules, &format!(r#"{{"{claim}":"a"}}"#), 0);
        refuses(rules, "{}", 0, why);
        for value in ["\"\"", "null", "7", "[\"a\"]", "true"] {
            let payload = format!(r#"{{"{claim}":{value}}}"#);
            refuses(rules, &payload, 0, why);
            passes(&lax(), &payload, 0);
        }
    }
    assert_eq!(
        passes(&lax(), r#"{"sub":"ada"}"#, 0).subject.as_deref(),
        Some("ada")
    );
    assert_eq!(
        passes(&lax(), r#"{"sub":"\u0061"}"#, 0).subject.as_deref(),
        Some("a")
    );
    for nobody in [
        "{}",
        r#"{"sub":""}"#,
        r#"{"sub":7}"#,
        r#"{"sub":{"sub":"ada"}}"#,
    ] {
        assert_eq!(passes(&lax(), nobody, 0).subject, None);
    }
}

#[test]
fn the_hash_binds_the_token_to_the_access_token_beside_it() {
    let rules = Rules {
        verify_at_hash: true,
        ..lax()
    };
    // OpenID Connect Core A.3: the access token of the example and its hash.
    let access_token = b"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y".as_slice();
    let good = r#"{"at_hash":"77QmUPtjPfzWtF2AnpK9RQ"}"#;
    assert_eq!(
        access_token_hash(Algorithm::Rs256, access_token),
        "77QmUPtjPfzWtF2AnpK9RQ"
    );
    assert!(judge_beside(&rules, good, 0, Some(access_token)).is_ok());
    let refused = |payload: &str, beside| judge_beside(&rules, payload, 0, beside).unwrap_err();
    assert_eq!(refused(good, Some(b"other")), Refusal::WrongAccessTokenHash);
    assert_eq!(refused(good, None), Refusal::MissingAccessTokenHash);
    for missing in ["{}", r#"{"at_hash":""}"#, r#"{"at_hash":7}"#] {
        assert_eq!(
            refused(missing, Some(access_token)),
            Refusal::MissingAccessTokenHash
        );
    }
    for (algorithm, length) in [
        (Algorithm::Hs256, 22),
        (Algorithm::Es384, 32),
        (Algorithm::Ps512, 43),
        (Algorithm::EdDsa, 43),
    ] {
        assert_eq!(access_token_hash(algorithm, access_token).len(), length);
    }
}

#[test]
fn scopes_come_from_scope_or_scp() {
    let scopes = |payload: &str| passes(&lax(), payload, 0).scopes;
    let both = Scopes::from_text("read write");
    assert_eq!(scopes(r#"{"scope":"read write"}"#), both);
    assert_eq!(scopes(r#"{"scp":["read","write"]}"#), both);
    assert_eq!(scopes(r#"{"scp":"read write"}"#), both);
    assert_eq!(scopes(r#"{"scp":["admin"],"scope":"read write"}"#), both);
    assert_eq!(scopes(r#"{"scp":["read","write",7,null]}"#), Scopes::NONE);
    for none in [
        "{}",
        r#"{"scope":["read"]}"#,
        r#"{"scope":7}"#,
        r#"{"scp":{"read":true}}"#,
        r#"{"scope":""}"#,
    ] {
        assert!(scopes(none).is_empty(), "{none}");
    }
    let sly = scopes(r#"{"scp":["read write"]}"#);
    assert!(!sly.contains("read") && !sly.contains("write"));
}

#[test]
fn every_required_role_must_be_held_whole() {
    let rules = Rules {
        roles: vec!["admin".to_owned(), "auditor".to_owned()],
        ..lax()
    };
    let holds = |payload: &str| passes(&rules, payload, 0).holds_roles;
    assert!(holds(r#"{"roles":["auditor","x","admin"]}"#));
    assert!(holds(r#"{"roles":["auditor",7,"admin"]}"#));
    for lacking in [
        "{}",
        r#"{"roles":["admin"]}"#,
        r#"{"roles":["admin","admin"]}"#,
        r#"{"roles":"admin auditor"}"#,
        r#"{"roles":["admin auditor"]}"#,
        r#"{"roles":{"admin":1,"auditor":1}}"#,
        r#"{"roles":[["admin","auditor"]]}"#,
        r#"{"role":["admin","auditor"]}"#,
    ] {
        assert!(!holds(lacking), "{lacking}");
    }
    let one = Rules {
        roles: vec!["admin".to_owned()],
        roles_claim: "groups".to_owned(),
        ..lax()
    };
    // One string is one role.
    assert!(passes(&one, r#"{"groups":"admin"}"#, 0).holds_roles);
    assert!(!passes(&one, r#"{"groups":"not admin"}"#, 0).holds_roles);
    assert!(!passes(&one, r#"{"roles":"admin"}"#, 0).holds_roles);
    assert!(passes(&lax(), "{}", 0).holds_roles);
}

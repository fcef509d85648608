use bytes::Bytes;
use http::Request;
use proptest::prelude::*;

use super::form::{Kind, field, kind};
use super::token::{Session, Tokens};
use super::*;

fn session(of: u8) -> Session {
    Session::raw([of; 32])
}

#[test]
fn a_token_holds_for_its_session_under_any_secret_that_is_still_known() {
    let old = Tokens::new(["an old secret"]);
    let both = Tokens::new(["a new secret", "an old secret"]);
    let new = Tokens::new(["a new secret"]);
    let token = old.make(&session(1)).unwrap();
    assert!(old.verify(token.as_str(), &session(1)).is_ok());
    assert!(both.verify(token.as_str(), &session(1)).is_ok());
    assert!(new.verify(token.as_str(), &session(1)).is_err());
    assert!(old.verify(token.as_str(), &session(2)).is_err());
    let signed = both.make(&session(1)).unwrap();
    assert!(new.verify(signed.as_str(), &session(1)).is_ok());
    assert!(old.verify(signed.as_str(), &session(1)).is_err());
    assert_ne!(signed.as_str(), both.make(&session(1)).unwrap().as_str());
}

#[test]
fn a_token_with_any_character_changed_added_or_missing_is_not_ours() {
    let tokens = Tokens::new(["a secret"]);
    let token = tokens.make(&session(0)).unwrap();
    let token = token.as_str();
    assert_eq!(token.len(), 86);
    for index in 0..token.len() {
        for other in ["A", "B", "=", "+", "/", " ", "%"] {
            let mut changed = token.to_owned();
            changed.replace_range(index..=index, other);
            let same = changed == token;
            assert_eq!(tokens.verify(&changed, &session(0)).is_ok(), same);
        }
    }
    for wrong in [
        "",
        "=",
        &token[..85],
        &format!("{token}="),
        &format!("{token}A"),
    ] {
        assert!(tokens.verify(wrong, &session(0)).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn nothing_but_a_token_verifies(sent in "[A-Za-z0-9_=-]{80,90}|\\PC{0,100}") {
        let tokens = Tokens::new(["a secret"]);
        prop_assert!(tokens.verify(&sent, &session(0)).is_err());
    }

    #[test]
    fn no_body_breaks_the_reader(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let multipart = Kind::Multipart { boundary: "b".into() };
        for kind in [Kind::Urlencoded, multipart] {
            let _ = read(&kind, &body);
        }
    }
}

/// Nothing in it waits for anything.
fn read(kind: &Kind, body: &[u8]) -> Result<String, Forgery> {
    let body = Bytes::copy_from_slice(body);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(field(kind, body, "csrf_token"))
}

#[test]
fn a_form_has_exactly_one_field_of_the_name() {
    let read = |body: &str| read(&Kind::Urlencoded, body.as_bytes());
    assert_eq!(read("a=1&csrf_token=x%2By").unwrap(), "x+y");
    assert_eq!(read("csrf%5Ftoken=x").unwrap(), "x");
    assert_eq!(read("a=1"), Err(Forgery::NoToken));
    assert_eq!(read("CSRF_TOKEN=x"), Err(Forgery::NoToken));
    assert_eq!(read(""), Err(Forgery::NoToken));
    assert_eq!(read("csrf_token=x&csrf_token=x"), Err(Forgery::Doubled));
    assert_eq!(read("csrf_token=%zz"), Err(Forgery::Unreadable));
    assert_eq!(read("csrf_token=x&a=%ff"), Err(Forgery::Unreadable));
}

#[test]
fn a_multipart_form_has_exactly_one_field_of_the_name_and_no_file() {
    let multipart = Kind::Multipart {
        boundary: "b".into(),
    };
    let read = |parts: &[(&str, &str)]| {
        let parts = parts.iter().map(|(disposition, value)| {
            format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
        });
        let body = parts.collect::<String>() + "--b--\r\n";
        super::tests::read(&multipart, body.as_bytes())
    };
    let token = ("name=\"csrf_token\"", "x");
    let other = ("name=\"note\"", "csrf_token");
    let file = ("name=\"csrf_token\"; filename=\"x.txt\"", "x");
    let long = "x".repeat(5_000);
    assert_eq!(read(&[other, token, other]).unwrap(), "x");
    assert_eq!(read(&[other]), Err(Forgery::NoToken));
    assert_eq!(read(&[token, token]), Err(Forgery::Doubled));
    assert_eq!(read(&[file]), Err(Forgery::Unreadable));
    assert_eq!(read(&[token, file]), Err(Forgery::Unreadable));
    assert_eq!(read(&[(token.0, &long)]), Err(Forgery::Unreadable));
    assert_eq!(read(&vec![other; 1_001]), Err(Forgery::Unreadable));
    let cut = b"--b\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\nx";
    let cut = super::tests::read(&multipart, cut);
    assert_eq!(cut, Err(Forgery::Unreadable));
}

#[test]
fn a_form_is_told_by_its_one_content_type() {
    let kind = |lines: &[&str]| {
        let mut request = Request::post("/");
        for line in lines {
            request = request.header("content-type", *line);
        }
        kind(&request.body(()).unwrap().into_parts().0)
    };
    let urlencoded = "application/x-www-form-urlencoded";
    assert_eq!(kind(&[urlencoded]), Some(Kind::Urlencoded));
    assert_eq!(
        kind(&["Application/X-WWW-Form-URLencoded; charset=utf-8"]),
        Some(Kind::Urlencoded)
    );
    assert_eq!(
        kind(&["multipart/form-data; boundary=\"a b\""]),
        Some(Kind::Multipart {
            boundary: "a b".into()
        })
    );
    for none in [
        &[][..],
        &[urlencoded, urlencoded],
        &["multipart/form-data"],
        &["application/json"],
        &["text/plain; a=application/x-www-form-urlencoded"],
    ] {
        assert_eq!(kind(none), None, "{none:?}");
    }
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let mut csrf = Csrf::new("")
        .cookie_name("__Host-csrf")
        .secure(false)
        .same_site(SameSite::None)
        .header_name("X CSRF")
        .form_field("")
        .methods(["GET", "post", "P T", "POST"])
        .trusted_origins(["null", "https://example.com/", "https://app.example.com"]);
    let paths = |csrf: &Csrf| {
        let found = csrf.compile().err().unwrap_or_default();
        let paths = found.iter().map(|error| error.path().to_owned());
        paths.collect::<Vec<_>>()
    };
    let wrong = paths(&csrf);
    assert_eq!(
        wrong,
        [
            "csrf.secret",
            "csrf.cookie_name",
            "csrf.same_site",
            "csrf.header_name",
            "csrf.form_field",
            "csrf.methods[0]",
            "csrf.methods[1]",
            "csrf.methods[2]",
            "csrf.trusted_origins[0]",
            "csrf.trusted_origins[1]",
        ]
    );
    csrf.secrets.clear();
    assert_eq!(paths(&csrf)[0], "csrf.secret");
    for name in ["", "a b", "a=b", "a;b", "\u{fc}"] {
        let csrf = Csrf::new("x".repeat(32)).cookie_name(name);
        assert_eq!(paths(&csrf), ["csrf.cookie_name"], "{name}");
    }
    assert_eq!(
        paths(&Csrf::new("x".repeat(32)).methods([""; 0])),
        ["csrf.methods"]
    );
}

#[test]
fn a_short_secret_is_weak_and_a_long_one_is_not() {
    let weak = |csrf: Csrf| {
        let (_, weak) = csrf.compile().ok().unwrap();
        let paths = weak.iter().map(|weak| weak.path().to_owned());
        paths.collect::<Vec<_>>()
    };
    assert_eq!(weak(Csrf::new("x".repeat(31))), ["csrf.secret"]);
    assert!(weak(Csrf::new("x".repeat(32))).is_empty());
    let both = Csrf::new("x".repeat(32)).earlier_secret("short");
    assert_eq!(weak(both), ["csrf.secret[1]"]);
}

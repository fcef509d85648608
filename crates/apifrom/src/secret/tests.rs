use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A directory that is gone after the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("apifrom-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn found(name: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    find(name, |name| variables.get(name).map(OsString::from))
        .map(|secret| secret.expose().clone())
        .map_err(|error| error.to_string())
}

#[test]
fn a_secret_prints_as_stars_however_it_is_formatted() {
    let secret = Secret::from("hunter2");
    assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
    assert_eq!(format!("{:?}", Some(secret.clone())), "Some(***)");
    assert_eq!(secret.expose(), "hunter2");
}

#[test]
fn a_secret_is_overwritten_when_it_is_dropped() {
    struct Watched(Arc<AtomicBool>);
    impl Zeroize for Watched {
        fn zeroize(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let overwritten = Arc::new(AtomicBool::new(false));
    let secret = Secret::new(Watched(Arc::clone(&overwritten)));
    assert!(!overwritten.load(Ordering::SeqCst));
    drop(secret);
    assert!(overwritten.load(Ordering::SeqCst));
}

#[test]
fn secrets_are_equal_when_all_their_bytes_are() {
    assert_eq!(Secret::from("abc"), Secret::from("abc"));
    for other in ["abe", "bbc", "ab", "abcd", ""] {
        assert_ne!(Secret::from("abc"), Secret::from(other), "{other}");
    }
    assert!(Secret::from(&b"\x00\xff"[..]).matches(b"\x00\xff"));
    assert!(!Secret::new([0_u8; 4]).matches(&[0; 5]));
}

#[test]
fn a_secret_of_the_wrong_type_is_refused_without_quoting_it() {
    #[derive(Debug, serde::Deserialize)]
    struct Login {
        password: Secret<String>,
    }
    let login: Login = serde_json::from_str(r#"{"password": "x"}"#).unwrap();
    assert!(login.password.matches(b"x"));
    for text in [r#"{"password": 12345}"#, r#"{"password": [12345]}"#] {
        let error = serde_json::from_str::<Login>(text).unwrap_err();
        assert!(!error.to_string().contains("12345"), "{error}");
    }
}

#[test]
fn each_place_alone_gives_the_secret() {
    let directory = Directory::new("each");
    let path = directory.file("elsewhere", b"from-file\n");
    directory.file("LISTED", b"from-directory");
    let within = ("APIFROM_SECRETS_DIR", directory.path());
    assert_eq!(found("KEY", &[("KEY", "v")]), Ok("v".into()));
    assert_eq!(found("KEY", &[("KEY_FILE", &path)]), Ok("from-file".into()));
    assert_eq!(found("LISTED", &[within]), Ok("from-directory".into()));
}

#[test]
fn one_line_break_at_the_end_of_a_file_is_cut_and_nothing_else() {
    let directory = Directory::new("newline");
    for (content, value) in [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r", "a\r"),
        (" a ", " a "),
        ("a\nb", "a\nb"),
    ] {
        let path = directory.file("k", content.as_bytes());
        assert_eq!(found("K", &[("K_FILE", &path)]), Ok(value.into()));
    }
    assert_eq!(found("K", &[("K", "a\n")]), Ok("a\n".into()));
}

#[test]
fn places_that_agree_are_one_and_places_that_disagree_are_an_error() {
    let directory = Directory::new("agree");
    let path = directory.file("KEY", b"same\n");
    let within = ("APIFROM_SECRETS_DIR", directory.path());
    let all = [("KEY", "same"), ("KEY_FILE", path.as_str()), within];
    assert_eq!(found("KEY", &all), Ok("same".into()));

    let error = found("KEY", &[("KEY", "other"), ("KEY_FILE", &path)]).unwrap_err();
    assert!(error.starts_with("KEY: ") && error.ends_with("disagree"));
    assert!(
        !error.contains("other") && !error.contains("same"),
        "{error}"
    );
    let error = found("KEY", &[("KEY", "other"), within]).unwrap_err();
    assert!(error.contains(&path), "{error}");
}

#[test]
fn a_secret_that_is_nowhere_names_every_place_that_was_tried() {
    let error = found("API_KEY", &[]).unwrap_err();
    for place in ["API_KEY", "API_KEY_FILE", "/run/secrets/API_KEY"] {
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn what_is_empty_is_an_error_even_where_another_place_has_a_value() {
    let directory = Directory::new("empty");
    for content in [&b""[..], b"\n", b"\r\n"] {
        let path = directory.file("k", content);
        let error = found("K", &[("K_FILE", &path)]).unwrap_err();
        assert!(error.ends_with("is empty"), "{error}");
    }
    let path = directory.file("good", b"good");
    assert!(found("K", &[("K", ""), ("K_FILE", &path)]).is_err());
    assert!(found("K", &[("K", "v"), ("K_FILE", "")]).is_err());
}

#[test]
fn a_file_may_have_64_kib_and_not_one_byte_more() {
    let directory = Directory::new("large");
    let path = directory.file("k", &vec![b'a'; MAX]);
    assert_eq!(found("K", &[("K_FILE", &path)]).unwrap().len(), MAX);
    let path = directory.file("k", &vec![b'a'; MAX + 1]);
    let error = found("K", &[("K_FILE", &path)]).unwrap_err();
    assert!(error.ends_with("is larger than 65536 bytes"), "{error}");
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_the_place() {
    let directory = Directory::new("unreadable");
    let binary = directory.file("binary", b"\xff\xfe");
    let gone = format!("{}/gone", directory.path());
    for (path, what) in [
        (binary.as_str(), "is not UTF-8"),
        (gone.as_str(), "does not exist"),
        (directory.path(), "cannot be read"),
    ] {
        let error = found("K", &[("K_FILE", path)]).unwrap_err();
        assert!(error.contains(path) && error.contains(what), "{error}");
        assert!(error.starts_with("K: "), "{error}");
    }
    let error = found("K", &[("K", "v"), ("APIFROM_SECRETS_DIR", &gone)]).unwrap_err();
    assert!(error.contains("APIFROM_SECRETS_DIR"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_an_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let error = find("K", |name| {
        (name == "K").then(|| OsString::from_vec(vec![0xff]))
    });
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "K: the environment variable is not UTF-8");
}

#[test]
fn a_name_cannot_lead_out_of_the_directory() {
    for name in [
        "",
        "../etc/passwd",
        "a/b",
        ".",
        "..",
        "-a",
        "a=b",
        "a\0",
        "ä",
        "1A",
    ] {
        let error = found(name, &[(name, "v")]).unwrap_err();
        assert!(error.starts_with("secret: expected a name"), "{error}");
    }
    for name in ["A", "_a", "jwt-secret", "jwt.secret.2"] {
        assert_eq!(found(name, &[(name, "v")]), Ok("v".into()));
    }
}

#[test]
fn the_environment_of_the_process_is_read() {
    assert_eq!(secret("CARGO_PKG_NAME").unwrap().expose(), "apifrom");
}

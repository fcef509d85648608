use super::*;

/// `correct horse`, hashed by other implementations: argon2-cffi, Python's hashlib.scrypt and bcrypt.
const ARGON2: &str = "$argon2id$v=19$m=1024,t=2,p=2$nH4DSDk7hr8wcldKF4EKsg$lkfEpGd5B6tvJsbtohHUzGBmg+bcQRrd1gRBiLE14Zo";
const SCRYPT: &str =
    "$scrypt$ln=10,r=8,p=1$zAF2zZL2rCgrkzO+ufOmkw$m5vbbSjKdRa4YYD+VpX8WpbWzsQU8ko3xwy8nZ/3KNU";
const BCRYPT: &str = "$2b$05$I3pLuiB4z1SCClMbjDeDuOn6mcIh09o7rQuRXxrxu/IloLD7Os01y";

#[test]
fn hashes_of_other_implementations_are_compared() {
    for stored in [ARGON2, SCRYPT, BCRYPT] {
        assert_eq!(
            verify_password("correct horse", stored),
            Ok(true),
            "{stored}"
        );
        assert_eq!(
            verify_password("correct horsf", stored),
            Ok(false),
            "{stored}"
        );
        assert_eq!(
            verify_password("correct hors", stored),
            Ok(false),
            "{stored}"
        );
    }
    let other = BCRYPT.replace("$2b$", "$2y$");
    assert_eq!(verify_password("correct horse", &other), Ok(true));
}

#[test]
fn a_hash_is_salted_and_verifies() {
    let first = hash_password("pässwörd: with a colon").unwrap();
    let second = hash_password("pässwörd: with a colon").unwrap();
    assert_ne!(first, second);
    assert_eq!(verify_password("pässwörd: with a colon", &first), Ok(true));
    assert_eq!(verify_password("passwörd: with a colon", &first), Ok(false));
}

#[test]
fn passwords_have_a_length() {
    assert_eq!(hash_password(""), Err(PasswordError::Empty));
    assert_eq!(
        hash_password(&"x".repeat(1025)),
        Err(PasswordError::TooLong)
    );
    let stored = hash_password(&"x".repeat(1024)).unwrap();
    assert_eq!(verify_password(&"x".repeat(1024), &stored), Ok(true));
    assert_eq!(
        verify_password(&"x".repeat(1025), &stored),
        Err(PasswordError::TooLong)
    );
}

#[test]
fn bcrypt_cuts_no_password() {
    let hash = bcrypt::hash("x".repeat(72), 4).unwrap();
    assert_eq!(verify_password(&"x".repeat(72), &hash), Ok(true));
    assert_eq!(verify_password(&"x".repeat(73), &hash), Ok(false));
}

#[test]
fn what_is_no_hash_that_is_taken_is_an_error_and_never_a_password() {
    for stored in [
        "$argon2i$v=19$m=16,t=2,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
        "$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1",
        "$6$salt$x",
        "$pbkdf2-sha256$i=1000$c2FsdA$aGFzaA",
        &BCRYPT.replace("$2b$", "$2x$"),
        "$2b$04$short",
        &BCRYPT.replace("$05$", "$99$"),
        &BCRYPT.replace("$05$", "$3$"),
        "$argon2id$",
        "$argon2id$v=19$m=16,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$t=2,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
        "$scrypt$ln=70,r=8,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
    ] {
        assert!(
            matches!(Hash::parse(stored), Err(PasswordError::Unknown)),
            "{stored}"
        );
    }
    for plain in ["password", "$ecret", "", "a$b$c"] {
        assert!(matches!(Hash::parse(plain), Ok(None)), "{plain}");
    }
}

#[test]
fn a_hash_that_costs_too_much_is_refused_before_it_is_computed() {
    let tail = "c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
    for stored in [
        format!("$argon2id$v=19$m=2097152,t=1,p=1${tail}"),
        format!("$argon2id$v=19$m=65536,t=4000000,p=1${tail}"),
        format!("$scrypt$ln=24,r=8,p=1${tail}"),
        BCRYPT.replace("$05$", "$20$"),
    ] {
        assert!(
            matches!(Hash::parse(&stored), Err(PasswordError::TooDear)),
            "{stored}"
        );
    }
}

#[test]
fn plain_passwords_are_compared_whole() {
    let key =
        hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let plain = Plain::new("password1", &key);
    assert!(plain.matches("password1", &key));
    for wrong in ["password2", "password", "password11", "Password1", ""] {
        assert!(!plain.matches(wrong, &key));
    }
}

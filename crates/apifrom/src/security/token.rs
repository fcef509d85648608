//! Making tokens: signs claims that this API, or another one, will verify.
//!
//! 1. The payload is one JSON object without doubled members. Its claims are signed as they were
//!    written, after those that are added here.
//! 2. `iat` is now, and `exp` is [`expires_delta`](CreateToken::expires_delta) later. `jti`, `iss`,
//!    `aud` and `at_hash` are added where they are asked for.
//! 3. A claim that would be added and stands in the payload already is an error that names it: none
//!    is overwritten, and none silently kept.
//! 4. The header names the algorithm, `JWT`, and the key where it has a name.
//! 5. A token that would be longer than what is ever accepted is not made.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use apifrom::security::CreateToken;
//!
//! let creator = CreateToken::new("a secret of at least thirty-two bytes", "HS256")
//!     .expires_delta(Some(Duration::from_mins(15)));
//! let token = creator.sign(r#"{"sub": "ada", "scope": "read"}"#)?;
//! assert_eq!(token.split('.').count(), 3);
//!
//! let refused = creator.sign(r#"{"sub": "ada", "exp": 4102444800}"#);
//! assert!(refused.unwrap_err().to_string().starts_with("payload.exp: "));
//! # Ok::<(), apifrom::ConfigError>(())
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::jose::{
    Algorithm, GivenKey, MAX_TOKEN, SigningKey, access_token_hash, encode, scan_object,
};
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;

/// How long a token is good unless it is said.
const EXPIRES_DELTA: Duration = Duration::from_hours(1);

/// Makes tokens. What it is told holds for every token that it signs.
#[doc(alias = "create_jwt_token")]
#[derive(Clone)]
#[must_use]
pub struct CreateToken {
    secret: GivenKey,
    algorithm: String,
    /// Read at the first use; clones share it.
    key: Arc<OnceLock<Result<SigningKey, ConfigError>>>,
    expires_delta: Option<Duration>,
    id: Id,
    issuer: Option<String>,
    audience: Vec<String>,
    key_id: Option<String>,
    access_token: Option<Zeroizing<Vec<u8>>>,
    clock: Arc<dyn Clock>,
}

/// What `jti` becomes.
#[derive(Clone)]
enum Id {
    None,
    Random,
    Given(String),
}

impl CreateToken {
    /// Signs with `secret`: a shared secret, or a private key in PEM or as a JWK.
    pub fn new(secret: impl Into<GivenKey>, algorithm: impl Into<String>) -> Self {
        Self {
            secret: secret.into(),
            algorithm: algorithm.into(),
            key: Arc::default(),
            expires_delta: Some(EXPIRES_DELTA),
            id: Id::None,
            issuer: None,
            audience: Vec::new(),
            key_id: None,
            access_token: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// How long a token is good, in whole seconds. With `None` no `exp` is added, and the payload may
    /// bring its own. Defaults to one hour.
    ///
    /// # Security
    /// A token without `exp` is good for as long as its key is, and is refused unless `verify_exp` is
    /// off.
    pub fn expires_delta(mut self, delta: Option<Duration>) -> Self {
        self.expires_delta = delta;
        self
    }

    /// Adds an id of 128 random bits, another one for each token. Defaults to none.
    pub fn random_jti(mut self) -> Self {
        self.id = Id::Random;
        self
    }

    /// Adds this id. Defaults to none.
    pub fn jti(mut self, id: impl Into<String>) -> Self {
        self.id = Id::Given(id.into());
        self
    }

    /// Adds who issues the token. Defaults to none.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Adds somebody whom the token is meant for. Defaults to none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// Names the key in the header. Defaults to the name in its JWK, if it has one.
    pub fn kid(mut self, id: impl Into<String>) -> Self {
        self.key_id = Some(id.into());
        self
    }

    /// Adds the hash that binds the token to `access_token`, as `at_hash`. Defaults to none.
    pub fn access_token(mut self, access_token: impl AsRef<[u8]>) -> Self {
        self.access_token = Some(Zeroizing::new(access_token.as_ref().to_vec()));
        self
    }

    /// Takes the time from `clock`. Defaults to the clock of the machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The key, read once.
    ///
    /// # Errors
    /// What is wrong with `secret` or `algorithm`.
    pub fn signing_key(&self) -> Result<&SigningKey, ConfigError> {
        let read = || {
            let algorithm: Algorithm =
                self.algorithm
                    .parse()
                    .map_err(|why: super::jose::AlgorithmError| {
                        ConfigError::new("algorithm", why.to_string())
                    })?;
            self.secret
                .text()
                .and_then(|text| SigningKey::read(text, algorithm))
                .map_err(|why| ConfigError::new("secret", why))
        };
        self.key.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// Signs `payload`, a JSON object, and returns the token.
    ///
    /// # Errors
    /// Names the option or the claim that is wrong, and shows no value.
    pub fn sign(&self, payload: impl AsRef<[u8]>) -> Result<String, ConfigError> {
        let payload = payload.as_ref();
        let key = self.signing_key()?;
        let added = self.added(key.algorithm())?;
        let claims = merge(&added, payload)?;
        let header = self.header(key)?;
        let token = key
            .token(&header, &claims)
            .map_err(|why| ConfigError::new("secret", why.to_string()))?;
        if token.len() > MAX_TOKEN {
            return Err(ConfigError::new(
                "payload",
                format!(
                    "makes a token of {} bytes; {MAX_TOKEN} are accepted",
                    token.len()
                ),
            ));
        }
        Ok(token)
    }

    /// Signs `claims`, which are to be written as a JSON object, and returns the token.
    ///
    /// # Errors
    /// As for [`sign`](Self::sign), and when they cannot be written.
    pub fn sign_claims(&self, claims: &impl Serialize) -> Result<String, ConfigError> {
        // serde's own text could quote a value.
        let payload = serde_json::to_vec(claims)
            .map_err(|_| ConfigError::new("payload", "cannot be written as JSON"))?;
        self.sign(payload)
    }

    /// The claims that are added.
    fn added(&self, algorithm: Algorithm) -> Result<Map<String, Value>, ConfigError> {
        let now = self.clock.unix().as_secs();
        let mut claims = Map::new();
        claims.insert("iat".to_owned(), now.into());
        if let Some(delta) = self.expires_delta {
            let expires = now.checked_add(delta.as_secs());
            let expires = expires.filter(|expires| *expires > now && *expires < 1 << 53);
            let expires = expires.ok_or_else(|| {
                ConfigError::new(
                    "expires_delta",
                    format!("expected one second or more; found {delta:?}"),
                )
            })?;
            claims.insert("exp".to_owned(), expires.into());
        }
        match &self.id {
            Id::None => {}
            Id::Given(id) => {
                claims.insert("jti".to_owned(), not_empty("jti", id)?.into());
            }
            Id::Random => {
                let mut bits = [0; 16];
                rand::fill(&mut bits)
                    .map_err(|_| ConfigError::new("jti", "the system has no random bits"))?;
                claims.insert("jti".to_owned(), encode(&bits).into());
            }
        }
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), not_empty("issuer", issuer)?.into());
        }
        for audience in &self.audience {
            not_empty("audience", audience)?;
        }
        match self.audience.as_slice() {
            [] => {}
            [only] => {
                claims.insert("aud".to_owned(), only.as_str().into());
            }
            several => {
                claims.insert("aud".to_owned(), several.into());
            }
        }
        if let Some(access_token) = &self.access_token {
            let hash = access_token_hash(algorithm, access_token);
            claims.insert("at_hash".to_owned(), hash.into());
        }
        Ok(claims)
    }

    fn header(&self, key: &SigningKey) -> Result<Vec<u8>, ConfigError> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), key.algorithm().as_str().into());
        header.insert("typ".to_owned(), "JWT".into());
        let id = match (self.key_id.as_deref(), key.id()) {
            (Some(given), Some(own)) if given != own => {
                return Err(ConfigError::new("kid", "contradicts the kid of the key"));
            }
            (given, own) => given.or(own),
        };
        if let Some(id) = id {
            header.insert("kid".to_owned(), not_empty("kid", id)?.into());
        }
        write("kid", &header)
    }
}

/// Shows nothing of the key.
impl fmt::Debug for CreateToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateToken")
            .field("algorithm", &self.algorithm)
            .field("expires_delta", &self.expires_delta)
            .finish_non_exhaustive()
    }
}

/// One object with the members of both. Those of `payload` are copied as they are written, so that
/// no number changes on the way.
fn merge(added: &Map<String, Value>, payload: &[u8]) -> Result<Vec<u8>, ConfigError> {
    scan_object(payload).ok_or_else(|| {
        ConfigError::new("payload", "expected a JSON object without doubled names")
    })?;
    #[expect(
        clippy::zero_sized_map_values,
        reason = "serde reads an object into a map; its values are passed over"
    )]
    let given: HashMap<String, IgnoredAny> = serde_json::from_slice(payload)
        .map_err(|_| ConfigError::new("payload", "expected a JSON object"))?;
    if let Some(name) = added.keys().find(|name| given.contains_key(*name)) {
        return Err(ConfigError::new(
            format!("payload.{name}"),
            "is given, and would be added; leave it out, or do not ask for it",
        ));
    }
    let mut claims = write("payload", added)?;
    let members = payload
        .trim_ascii()
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .unwrap_or_default();
    if !given.is_empty() {
        claims.pop();
        claims.push(b',');
        claims.extend(members);
        claims.push(b'}');
    }
    Ok(claims)
}

fn write(field: &str, members: &Map<String, Value>) -> Result<Vec<u8>, ConfigError> {
    serde_json::to_vec(members).map_err(|_| ConfigError::new(field, "cannot be written as JSON"))
}

fn not_empty<'a>(field: &str, text: &'a str) -> Result<&'a str, ConfigError> {
    if text.is_empty() {
        return Err(ConfigError::new(
            field,
            "expected a text with something in it",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use crate::secret::Secret;
    use crate::security::jose::{
        Refusal, Rules, Scratch, SharedSecrets, Token, VerificationKeys, Verified,
    };

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn creator() -> CreateToken {
        let clock = ManualClock::at(Duration::from_millis(1_000_900));
        CreateToken::new(SECRET, "HS256").clock(Arc::new(clock))
    }

    fn verified(token: &str) -> Verified {
        let mut keys = VerificationKeys::new(&[Algorithm::Hs256]);
        keys.add(&SECRET.into(), SharedSecrets::Allowed).unwrap();
        let mut scratch = Scratch::new();
        keys.verify(&Token::parse(token.as_bytes(), &mut scratch).unwrap())
            .unwrap()
    }

    fn claims(token: &str) -> Value {
        serde_json::from_slice(verified(token).payload()).unwrap()
    }

    fn header(token: &str) -> Value {
        use base64::Engine as _;
        let header = token.split('.').next().unwrap();
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
        serde_json::from_slice(&header.unwrap()).unwrap()
    }

    #[track_caller]
    fn refused(result: Result<String, ConfigError>, path: &str) {
        assert_eq!(result.unwrap_err().path(), path);
    }

    #[test]
    fn a_token_says_when_it_was_made_and_when_it_ends() {
        let token = creator().sign(r#"{"sub":"ada"}"#).unwrap();
        let expected = serde_json::json!({"iat": 1000, "exp": 4600, "sub": "ada"});
        assert_eq!(claims(&token), expected);
        assert_eq!(
            header(&token),
            serde_json::json!({"alg": "HS256", "typ": "JWT"})
        );
        let rules = Rules::default();
        let judge = |second| {
            rules
                .judge(&verified(&token), Duration::from_secs(second), None)
                .map(|_| ())
        };
        assert_eq!(judge(4599), Ok(()));
        assert_eq!(judge(4600), Err(Refusal::Expired));
    }

    #[test]
    fn what_is_asked_for_is_added() {
        let creator = creator()
            .expires_delta(Some(Duration::from_mins(1)))
            .issuer("me")
            .audience("you")
            .jti("one")
            .kid("2024")
            .access_token("abc");
        let token = creator.sign("{}").unwrap();
        let hash = access_token_hash(Algorithm::Hs256, b"abc");
        let expected = serde_json::json!({
            "iat": 1000, "exp": 1060, "jti": "one", "iss": "me", "aud": "you", "at_hash": hash
        });
        assert_eq!(claims(&token), expected);
        assert_eq!(header(&token)["kid"], "2024");
        let several = creator.audience("them").sign(" { } ").unwrap();
        assert_eq!(claims(&several)["aud"], serde_json::json!(["you", "them"]));
    }

    #[test]
    fn random_ids_have_128_bits_and_differ() {
        let creator = creator().random_jti();
        let id = || {
            claims(&creator.sign("{}").unwrap())["jti"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let ids: std::collections::HashSet<_> = (0..100).map(|_| id()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 22));
    }

    #[test]
    fn claims_keep_the_spelling_that_they_were_given_in() {
        let token = creator()
            .sign("\n{\"amount\" : 0.10000000000000000001, \"big\": 123456789012345678901234567890}\n")
            .unwrap();
        let verified = verified(&token);
        let text = std::str::from_utf8(verified.payload()).unwrap();
        assert!(
            text.contains("0.10000000000000000001")
                && text.contains("123456789012345678901234567890")
        );
    }

    #[test]
    fn a_claim_that_is_given_is_not_overwritten() {
        let creator = creator()
            .issuer("me")
            .audience("you")
            .random_jti()
            .access_token("x");
        for claim in ["iat", "exp", "jti", "iss", "aud", "at_hash"] {
            for spelling in [
                claim.to_owned(),
                format!("\\u{:04x}{}", claim.as_bytes()[0], &claim[1..]),
            ] {
                let payload = format!(r#"{{"sub":"ada","{spelling}":1}}"#);
                refused(creator.sign(payload), &format!("payload.{claim}"));
            }
        }
        // What is not asked for may be brought along.
        let plain = super::tests::creator().expires_delta(None);
        let token = plain.sign(r#"{"exp":7,"iss":"x","jti":"y"}"#).unwrap();
        assert_eq!(claims(&token)["exp"], 7);
        assert_eq!(
            claims(&plain.sign("{}").unwrap()),
            serde_json::json!({"iat": 1000})
        );
    }

    #[test]
    fn what_cannot_be_signed_is_named() {
        for payload in ["", "[]", "null", "{", r#"{"a":1,"a":2}"#, r#"{"a":NaN}"#] {
            refused(creator().sign(payload), "payload");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_TOKEN));
        refused(creator().sign(long), "payload");
        for delta in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
            refused(
                creator().expires_delta(Some(delta)).sign("{}"),
                "expires_delta",
            );
        }
        refused(creator().jti("").sign("{}"), "jti");
        refused(creator().issuer("").sign("{}"), "issuer");
        refused(creator().audience("").sign("{}"), "audience");
        refused(creator().kid("").sign("{}"), "kid");
        refused(CreateToken::new(SECRET, "none").sign("{}"), "algorithm");
        refused(CreateToken::new(SECRET, "hs256").sign("{}"), "algorithm");
        refused(CreateToken::new(SECRET, "RS256").sign("{}"), "secret");
        refused(CreateToken::new("", "HS256").sign("{}"), "secret");
        refused(CreateToken::new(None::<&str>, "HS256").sign("{}"), "secret");
        let missing: Result<Secret<String>, _> = Err(ConfigError::new("JWT_SECRET", "is nowhere"));
        let error = CreateToken::new(missing, "HS256").sign("{}").unwrap_err();
        assert_eq!(error.to_string(), "secret: JWT_SECRET: is nowhere");
        let jwk = r#"{"kty":"oct","kid":"own","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}"#;
        let named = CreateToken::new(jwk, "HS256");
        assert_eq!(header(&named.sign("{}").unwrap())["kid"], "own");
        refused(named.kid("other").sign("{}"), "kid");
    }

    #[test]
    fn types_are_written_as_claims() {
        #[derive(Serialize)]
        struct Claims {
            sub: &'static str,
        }
        let token = creator().sign_claims(&Claims { sub: "ada" }).unwrap();
        assert_eq!(claims(&token)["sub"], "ada");
        refused(creator().sign_claims(&["a list"]), "payload");
    }

    #[test]
    fn nothing_prints_the_secret() {
        let creator = creator();
        creator.sign("{}").unwrap();
        assert!(!format!("{creator:?}").contains("0123"));
    }
}

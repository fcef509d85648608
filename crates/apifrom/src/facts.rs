//! What is known of a frozen API, as plain data: what `check` judges, `posture` writes down and `attack`
//! tries.
//!
//! Nothing secret stands here: of keys and passwords their number, their length and their form.

use serde::Serialize;

/// The fewest different bytes that a secret of random bytes may be expected to have.
const VARIED: usize = 10;
/// What stands in examples, and so in the first list that anybody tries.
const EXAMPLES: [&str; 8] = [
    "changeme",
    "change-me",
    "change_me",
    "your-",
    "your_",
    "example",
    "password",
    "placeholder",
];

/// Everything that protects an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Posture {
    /// What holds for all of it.
    pub api: ApiFacts,
    /// What it is served with, where that is known.
    pub server: Option<ServerFacts>,
    /// Its endpoints, by template and method; those of the engine itself are left out.
    pub routes: Vec<RouteFacts>,
}

/// What holds for the whole API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the API"
)]
#[non_exhaustive]
pub struct ApiFacts {
    /// The hosts that may be asked for; empty: any.
    pub trusted_hosts: Vec<String>,
    /// The proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<String>,
    /// The header in which they name the client.
    pub forwarded_header: String,
    /// The most bytes a body may have.
    pub max_body_size: u64,
    /// How deep JSON may nest.
    pub max_json_depth: usize,
    /// True where an endpoint must be protected, or said to be public.
    pub denies_by_default: bool,
    /// True where weak settings are start-up errors.
    pub strict: bool,
    /// True where what gets in a developer's way is relaxed.
    pub development: bool,
    /// True where answers show the text of a failure.
    pub debug: bool,
    /// True where answers show where a failure came from.
    pub include_traceback: bool,
    /// True where failures are logged.
    pub log_exceptions: bool,
    /// True where each answer has a line in the log.
    pub access_log: bool,
    /// What surrounds every call, endpoints that declare something else excepted.
    #[serde(flatten)]
    pub surround: SurroundFacts,
}

/// What surrounds every call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SurroundFacts {
    /// Which other origins may read the answers.
    pub cors: Option<CorsFacts>,
    /// What keeps other sites from acting here.
    pub csrf: Option<CsrfFacts>,
    /// What browsers are told.
    pub security_headers: Option<HeaderFacts>,
    /// In which forms answers are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionFacts>,
    /// Whether what comes in clear text is led to TLS, or refused.
    pub https_redirect: bool,
    /// How many requests pass.
    pub rate_limits: Vec<LimitFacts>,
    /// How many milliseconds an answer may take to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What the API is served with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerFacts {
    /// The address that is listened on.
    pub host: String,
    /// True where that is TLS.
    pub tls: bool,
}

/// What protects one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RouteFacts {
    /// The path template.
    pub route: String,
    /// The methods that it answers.
    pub methods: Vec<String>,
    /// What errors and logs call it.
    pub name: String,
    /// Where its function stands. It moves with every edit, so no posture holds it.
    #[serde(skip)]
    pub source: Option<Source>,
    /// Who may call: all of these must be met.
    pub auth: Vec<AccessFacts>,
    /// The scopes that routers and the API require beside.
    pub scopes: Vec<String>,
    /// Why everybody may call, where that was said.
    pub public: Option<String>,
    /// How many functions of the program's own are asked.
    pub policies: usize,
    /// What decides, in the order in which it is asked.
    pub stages: Vec<&'static str>,
    /// What surrounds its calls.
    #[serde(flatten)]
    pub surround: SurroundFacts,
    /// Why other sites may act here, where that was said.
    pub csrf_exempt: Option<String>,
    /// The most bytes a body may have.
    pub max_body_size: u64,
}

/// A place in the program's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AccessFacts {
    /// One method must pass.
    Method(Box<MethodFacts>),
    /// One of several must pass.
    Any(Vec<AccessFacts>),
    /// All of several must pass.
    All(Vec<AccessFacts>),
}

impl AccessFacts {
    /// Every method that is named, in order.
    pub fn methods(&self) -> Vec<&MethodFacts> {
        match self {
            Self::Method(method) => vec![method],
            Self::Any(parts) | Self::All(parts) => parts.iter().flat_map(Self::methods).collect(),
        }
    }
}

/// One method of authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MethodFacts {
    /// What the program called it: `jwt_required`.
    pub declared_as: String,
    /// Where the credential is looked for.
    pub places: Vec<PlaceFacts>,
    /// The scopes that it must hold.
    pub scopes: Vec<String>,
    /// The roles that it must hold.
    pub roles: Vec<String>,
    /// True where it is asked whether a token was revoked.
    pub revocation: bool,
    /// What is asked elsewhere for credentials that are not listed.
    pub lookup: bool,
    /// For how many seconds what was found elsewhere is known.
    pub cache_ttl: Option<u64>,
    /// What is particular to its kind.
    pub credential: CredentialFacts,
}

impl MethodFacts {
    /// Facts with nothing in them but the name.
    pub fn new(declared_as: &str, credential: CredentialFacts) -> Self {
        Self {
            declared_as: declared_as.to_owned(),
            places: Vec::new(),
            scopes: Vec::new(),
            roles: Vec::new(),
            revocation: false,
            lookup: false,
            cache_ttl: None,
            credential,
        }
    }

    /// True where browsers send the credential by themselves.
    pub fn is_ambient(&self) -> bool {
        matches!(self.credential, CredentialFacts::Basic(_))
            || self
                .places
                .iter()
                .any(|place| matches!(place, PlaceFacts::Cookie(_)))
    }
}

/// Where a credential stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlaceFacts {
    /// A header that holds nothing else.
    Header(String),
    /// A header, after this scheme.
    Scheme(String, String),
    /// A field of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
}

/// What is particular to one kind of credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialFacts {
    /// A signed token that this API verifies.
    Jwt(JwtFacts),
    /// A key that a program hands out.
    ApiKey(ApiKeyFacts),
    /// A user and a password.
    Basic(BasicFacts),
    /// A token of an authorization server.
    OAuth2(OAuth2Facts),
    /// Something of the program's own.
    Other,
}

/// Which signed tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the guide"
)]
#[non_exhaustive]
pub struct JwtFacts {
    /// The algorithms that they may be signed with.
    pub algorithms: Vec<String>,
    /// The shared secrets that verify them.
    pub secrets: Vec<SecretFacts>,
    /// How many public keys do.
    pub public_keys: usize,
    /// Where such keys are fetched.
    pub jwks_url: Option<String>,
    /// Whether they must not have expired.
    pub verify_exp: bool,
    /// Whom they must be meant for; empty: anybody.
    pub audience: Vec<String>,
    /// Who must have issued them; empty: whoever has a key.
    pub issuer: Vec<String>,
    /// Whether they must name a subject.
    pub verify_sub: bool,
    /// Whether they must have an id.
    pub verify_jti: bool,
    /// Whether they must belong to an access token.
    pub verify_at_hash: bool,
    /// For how many seconds they are good after their expiry.
    pub leeway: u64,
}

/// Which keys are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApiKeyFacts {
    /// How many are given as they are.
    pub plain: usize,
    /// How many of those are so short or so plain that they can be guessed.
    pub guessable: usize,
    /// How many are given by their digest.
    pub digests: usize,
    /// What the listed keys hold, a set of scopes for each that differs.
    pub granted: Vec<Vec<String>>,
}

/// Which passwords are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BasicFacts {
    /// How many are stored as they are.
    pub plain: usize,
    /// The kinds and costs of the hashes, each once: `argon2id 12288/2`.
    pub hashes: Vec<String>,
}

/// Which tokens of an authorization server are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OAuth2Facts {
    /// Where clients get them.
    pub token_url: Option<String>,
    /// Who must have issued them.
    pub issuer: Option<String>,
    /// Where the server's keys are fetched.
    pub jwks_url: Option<String>,
    /// Where the server is asked about one.
    pub introspection_url: Option<String>,
    /// Whom they must be meant for.
    pub audience: Option<String>,
    /// The types that the keys verify.
    pub token_types: Vec<String>,
}

/// What can be said of a secret without telling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecretFacts {
    /// How many bytes it has.
    pub bytes: usize,
    /// How many it should have.
    pub needed: usize,
    /// True where it repeats itself, or stands in examples.
    pub guessable: bool,
}

impl SecretFacts {
    /// Of `secret`, which should have `needed` bytes.
    pub fn of(secret: &[u8], needed: usize) -> Self {
        Self {
            bytes: secret.len(),
            needed,
            guessable: is_guessable(secret),
        }
    }

    /// True where it may be found by trying.
    pub fn is_short(&self) -> bool {
        self.bytes < self.needed
    }
}

/// True of what repeats itself and of what stands in examples.
pub(crate) fn is_guessable(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let different = seen.iter().filter(|seen| **seen).count();
    let text = String::from_utf8_lossy(secret).to_lowercase();
    different < VARIED || EXAMPLES.iter().any(|example| text.contains(example))
}

/// Which other origins may read the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CorsFacts {
    /// The origins.
    pub allow_origins: Vec<String>,
    /// The methods.
    pub allow_methods: Vec<String>,
    /// The request headers.
    pub allow_headers: Vec<String>,
    /// Whether cookies and log-ins come along.
    pub allow_credentials: bool,
    /// For how long a preflight holds, in seconds.
    pub max_age: u32,
}

/// What keeps other sites from acting here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CsrfFacts {
    /// What tokens are signed with.
    pub secrets: Vec<SecretFacts>,
    /// The name of the cookie.
    pub cookie_name: String,
    /// Whether it travels over TLS alone.
    pub secure: bool,
    /// On which requests of other sites browsers send it.
    pub same_site: &'static str,
    /// The methods that are protected.
    pub methods: Vec<String>,
    /// Other origins whose pages may send requests.
    pub trusted_origins: Vec<String>,
    /// Whether tokens are bound to a session that handlers keep.
    pub session: bool,
}

/// In which forms answers are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CompressionFacts {
    /// The codings, the best first.
    pub encodings: Vec<String>,
    /// The fewest bytes that are worth it.
    pub minimum_size: u64,
    /// Whether what is for one caller alone is compressed as well.
    pub insecure_authenticated: bool,
}

/// What browsers are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeaderFacts {
    /// The directives of the content policy; `None` where there is no policy, and the default where
    /// it holds nothing.
    pub csp: Option<Vec<DirectiveFacts>>,
    /// For how many seconds browsers come over TLS alone.
    pub hsts_max_age: Option<u32>,
    /// Whether that holds for the hosts below.
    pub hsts_subdomains: bool,
    /// Whether browsers may ship it in a list.
    pub hsts_preload: bool,
    /// Who may frame the answers.
    pub x_frame_options: Option<String>,
    /// A deprecated filter.
    pub x_xss_protection: Option<String>,
    /// What is told of where a reader comes from.
    pub referrer_policy: Option<String>,
    /// Who may load the answers into a page.
    pub cross_origin_resource_policy: Option<String>,
    /// Whether handlers cannot change it.
    pub enforce: bool,
}

/// One directive of a content policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DirectiveFacts {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
}

impl DirectiveFacts {
    /// A directive and its values.
    pub fn new(name: &str, values: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            values: values.to_vec(),
        }
    }
}

/// How many requests pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimitFacts {
    /// How many.
    pub limit: u32,
    /// In how many milliseconds.
    pub window_ms: u64,
    /// As how many one counts.
    pub cost: u32,
    /// Whose count together: `client`, `identity` or `function`.
    pub key: &'static str,
    /// What is done while the server that keeps the counts is away; nothing where they are kept here.
    pub on_failure: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_repeats_itself_or_stands_in_examples_can_be_guessed() {
        for guessable in [
            &b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..],
            b"0123012301230123012301230123012301230123",
            b"please-changeme-before-you-go-to-production",
            b"Your-secret-key-of-more-than-thirty-two-bytes",
        ] {
            assert!(SecretFacts::of(guessable, 32).guessable);
        }
        for random in [
            &b"k7Jq2vXm9RbT4wLz8NcY1hGd6FsP3aEu"[..],
            b"\x00\x91\xf3\x1c\x2d\x3e\x4f\x50\x61\x72\x83\x94",
        ] {
            assert!(!SecretFacts::of(random, 32).guessable);
        }
    }

    #[test]
    fn a_secret_as_long_as_it_should_be_is_not_short() {
        assert!(SecretFacts::of(&[7; 31], 32).is_short());
        assert!(!SecretFacts::of(&[7; 32], 32).is_short());
    }
}

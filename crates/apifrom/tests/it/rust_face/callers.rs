//! Who calls, as handlers take it.

use std::sync::{Arc, Mutex};

use apifrom::security::{CreateToken, JwtRequired};
use apifrom::testing::{TestAnswer, TestClient};
use apifrom::{
    Api, ApiKey, Deserialize, Identities, Identity, Jwt, Level, Logger, ManualClock, OAuth2Token,
    Record, Router, Sink, Username, api, api_key_required, basic_auth_required, endpoints,
    jwt_required, multi_auth_required, public,
};

use super::Calls;
use crate::secured::START;

const SECRET: &str = "a secret of at least thirty-two bytes";
const OTHER: &str = "another secret of at least thirty-two bytes";
const API_KEYS: [(&str, &[&str]); 1] = [("api-key-1", &["read", "write"])];
const CREDENTIALS: [(&str, &str); 1] = [("user1", "password1")];
/// base64 of user1:password1
const USER: (&str, &str) = ("authorization", "Basic dXNlcjE6cGFzc3dvcmQx");

/// Each test runs in a process of its own.
static CALLS: Calls = Calls::new();

/// What security events said.
#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl Sink for Events {
    fn enabled(&self, logger: Logger, _: Level) -> bool {
        logger == Logger::Security
    }

    fn write(&self, record: Record) {
        self.0.lock().unwrap().push(record.message);
    }
}

fn token(secret: &str, claims: &str) -> String {
    let clock = Arc::new(ManualClock::at(START));
    let token = CreateToken::new(secret, "HS256").clock(clock).sign(claims);
    format!("Bearer {}", token.unwrap())
}

fn client(api: Api) -> TestClient {
    let clock = Arc::new(ManualClock::at(START));
    TestClient::new(api.clock(clock).build().unwrap())
}

fn ask(client: &TestClient, path: &str, headers: &[(&str, &str)]) -> TestAnswer {
    let request = headers
        .iter()
        .fold(client.get(path), |request, (name, value)| {
            request.another_header(name, value)
        });
    request.send().unwrap()
}

fn errors(api: Api) -> Vec<String> {
    let errors = api.build().unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    level: u8,
}

#[jwt_required(secret = SECRET)]
#[api(route = "/jwt", method = "GET")]
fn of_a_token(jwt: Jwt<Claims>) -> String {
    CALLS.count();
    format!("{} {}", jwt.sub, jwt.level)
}

#[test]
fn a_handler_takes_the_claims_of_the_token_that_passed() {
    let client = client(Api::new().endpoints(endpoints![of_a_token]));
    let sent = token(SECRET, r#"{"sub": "ada", "level": 255, "more": [1]}"#);
    let answer = ask(&client, "/jwt", &[("authorization", &sent)]);
    assert_eq!(
        (answer.status().as_u16(), answer.text()),
        (200, "ada 255".into())
    );
    assert_eq!(CALLS.taken(), 1);
    for headers in [
        &[][..],
        &[("authorization", &*token(OTHER, r#"{"sub": "ada"}"#))],
    ] {
        assert_eq!(ask(&client, "/jwt", headers).status(), 401);
    }
    assert_eq!(CALLS.taken(), 0);
}

#[test]
fn claims_of_another_form_are_refused_and_logged_and_the_handler_does_not_run() {
    let events = Arc::<Events>::default();
    let api = Api::new().log_to(Arc::clone(&events) as _);
    let client = client(api.endpoints(endpoints![of_a_token]));
    for claims in [
        "{}",
        r#"{"sub": "ada", "level": 256}"#,
        r#"{"sub": "ada", "level": -1}"#,
        r#"{"sub": "ada", "level": "9"}"#,
        r#"{"sub": "ada", "level": null}"#,
        r#"{"sub": "ada", "level": {"of": "hunter2"}}"#,
    ] {
        let answer = ask(
            &client,
            "/jwt",
            &[("authorization", &token(SECRET, claims))],
        );
        assert_eq!(answer.status(), 401, "{claims}");
        assert!(answer.text().contains("urn:apifrom:problem:invalid_token"));
        let challenge = answer.header("www-authenticate");
        assert_eq!(
            challenge,
            Some(r#"Bearer realm="api", error="invalid_token""#)
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!answer.text().contains("hunter2"));
        let last = events.0.lock().unwrap().pop().unwrap();
        assert!(last.starts_with("authentication_failed "), "{last}");
        assert!(
            last.contains("route=/jwt scheme=jwt reason=unexpected_claims"),
            "{last}"
        );
        assert!(last.ends_with("status=401"), "{last}");
        assert!(!last.contains("hunter2"));
    }
    assert_eq!(CALLS.taken(), 0);
}

#[api_key_required(api_keys = API_KEYS)]
#[api(route = "/key", method = "GET")]
async fn of_a_key(key: ApiKey) -> String {
    let scopes: Vec<_> = key.scopes().iter().collect();
    assert_eq!(format!("{key:?}"), format!("ApiKey({:?})", key.id()));
    assert!(!key.id().contains("api-key-1"));
    format!("{} {}", key.key(), scopes.join("+"))
}

#[basic_auth_required(credentials = CREDENTIALS)]
#[api(route = "/user", method = "GET")]
fn of_a_user(user: Username) -> String {
    format!("{user} {}", user.len())
}

#[basic_auth_required(credentials = CREDENTIALS)]
#[api(route = "/identity", method = "GET")]
fn of_anybody(caller: Identity) -> String {
    format!(
        "{} {:?}",
        caller.method().as_str(),
        caller.subject().unwrap()
    )
}

#[test]
fn each_method_has_its_own_type() {
    let api = Api::new().endpoints(endpoints![of_a_key, of_a_user, of_anybody]);
    let client = client(api);
    let answer = ask(&client, "/key", &[("x-api-key", "api-key-1")]);
    assert_eq!(answer.text(), "api-key-1 read+write");
    assert_eq!(ask(&client, "/user", &[USER]).text(), "user1 5");
    assert_eq!(ask(&client, "/identity", &[USER]).text(), "basic \"user1\"");
    assert_eq!(ask(&client, "/key", &[("x-api-key", "x")]).status(), 401);
    assert_eq!(ask(&client, "/user", &[]).status(), 401);
}

#[multi_auth_required(
    auth_methods = [jwt_required(secret = SECRET), api_key_required(api_keys = API_KEYS)]
)]
#[api(route = "/any", method = "GET")]
fn of_either(jwt: Option<Jwt<Claims>>, key: Option<ApiKey>, who: Identity) -> String {
    CALLS.count();
    let jwt = jwt.map(|jwt| jwt.0.sub);
    let key = key.map(|key| key.key().to_owned());
    format!("{jwt:?} {key:?} {}", who.method().as_str())
}

#[test]
fn where_one_of_several_passes_each_may_be_absent() {
    let client = client(Api::new().endpoints(endpoints![of_either]));
    let (ada, key) = (
        token(SECRET, r#"{"sub": "ada"}"#),
        ("x-api-key", "api-key-1"),
    );
    let ada = ("authorization", ada.as_str());
    let answer = ask(&client, "/any", &[ada]);
    assert_eq!(answer.text(), r#"Some("ada") None jwt"#);
    let answer = ask(&client, "/any", &[key]);
    assert_eq!(answer.text(), r#"None Some("api-key-1") api_key"#);
    // Only what was asked last counts, and what failed is absent.
    assert_eq!(
        ask(&client, "/any", &[ada, key]).text(),
        r#"Some("ada") None jwt"#
    );
    let forged = token(OTHER, r#"{"sub": "eve"}"#);
    let answer = ask(&client, "/any", &[("authorization", &forged), key]);
    assert_eq!(answer.text(), r#"None Some("api-key-1") api_key"#);
    assert_eq!(CALLS.taken(), 4);
    // A token that passed and is of another form is no absent one.
    let unfit = token(SECRET, r#"{"sub": 5}"#);
    let answer = ask(&client, "/any", &[("authorization", &unfit), key]);
    assert_eq!(answer.status(), 401);
    assert_eq!(CALLS.taken(), 0);
}

#[jwt_required(secret = SECRET)]
#[jwt_required(secret = OTHER, header_name = "X-Partner", name = "partner")]
#[api(route = "/two", method = "GET")]
fn of_two(
    #[name("jwt_payload")] own: Jwt<Claims>,
    #[name("partner")] partner: Jwt<Claims>,
    all: Identities,
) -> String {
    format!("{} {} {}", own.sub, partner.sub, all.iter().count())
}

#[test]
fn two_tokens_are_told_apart_by_their_names() {
    let client = client(Api::new().endpoints(endpoints![of_two]));
    let ada = token(SECRET, r#"{"sub": "ada"}"#);
    let eve = token(OTHER, r#"{"sub": "eve"}"#);
    let answer = ask(
        &client,
        "/two",
        &[("authorization", &ada), ("x-partner", &eve)],
    );
    assert_eq!(answer.text(), "ada eve 2");
}

#[api(route = "/open", method = "GET")]
fn open(all: Identities) -> String {
    all.is_empty().to_string()
}

#[api(route = "/inherited", method = "GET")]
fn inherited(jwt: Jwt<Claims>) -> String {
    jwt.0.sub
}

#[test]
fn what_the_api_or_a_router_asks_for_counts() {
    let tokens = || JwtRequired::new().secret(SECRET);
    let ada = token(SECRET, r#"{"sub": "ada"}"#);
    let headers = [("authorization", ada.as_str())];
    let whole = client(Api::new().auth(tokens()).endpoints(endpoints![inherited]));
    assert_eq!(ask(&whole, "/inherited", &headers).text(), "ada");
    let router = Router::new("/v1").auth(tokens());
    let below = client(Api::new().router(router.endpoints(endpoints![inherited])));
    assert_eq!(ask(&below, "/v1/inherited", &headers).text(), "ada");
    let nobody = client(Api::new().endpoints(endpoints![open]));
    assert_eq!(ask(&nobody, "/open", &[]).text(), "true");
}

#[public(reason = "for a test")]
#[api(route = "/1", method = "GET")]
fn opened(jwt: Jwt<Claims>) -> String {
    jwt.0.sub
}

#[basic_auth_required(credentials = CREDENTIALS)]
#[api(route = "/2", method = "GET")]
fn by_another_method(token: Option<OAuth2Token<Claims>>) -> String {
    token
        .map(|token| token.token().to_owned())
        .unwrap_or_default()
}

#[multi_auth_required(
    auth_methods = [jwt_required(secret = SECRET), api_key_required(api_keys = API_KEYS)]
)]
#[api(route = "/3", method = "GET")]
fn perhaps(key: ApiKey) -> String {
    key.id().to_owned()
}

#[jwt_required(secret = SECRET)]
#[jwt_required(secret = OTHER, header_name = "X-Partner", name = "partner")]
#[api(route = "/4", method = "GET")]
fn which(jwt: Jwt<Claims>) -> String {
    jwt.0.sub
}

#[jwt_required(secret = SECRET)]
#[api(route = "/5", method = "GET")]
fn misnamed(#[name("partner")] jwt: Jwt<Claims>) -> String {
    jwt.0.sub
}

#[jwt_required(secret = "")]
#[api(route = "/6", method = "GET")]
fn wrong_itself(jwt: Jwt<Claims>) -> String {
    jwt.0.sub
}

#[test]
fn what_can_never_be_there_keeps_the_api_from_starting_and_all_of_it_is_named() {
    let found = errors(Api::new().endpoints(endpoints![
        inherited,
        opened,
        by_another_method,
        perhaps,
        which,
        misnamed,
        wrong_itself
    ]));
    let expected = [
        "routes.inherited: asks for Jwt, and no protection of it proves a caller by jwt",
        "routes.opened: asks for Jwt, and no protection of it proves a caller by jwt",
        "routes.by_another_method: asks for OAuth2Token, and no protection of it proves a caller by oauth2",
        "routes.perhaps: asks for ApiKey, and its protections let callers in without it; ask for Option<ApiKey>",
        "routes.which: asks for Jwt, and its protections prove more than one at once; say which with #[name(\"…\")], or ask for Identities",
        "routes.misnamed: asks for Jwt, and no protection of it proves a caller by jwt under the name \"partner\"",
    ];
    assert_eq!(found.len(), expected.len() + 1, "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    let last = found.last().unwrap();
    assert!(
        last.starts_with("routes.wrong_itself.jwt_required.secret"),
        "{last}"
    );
}

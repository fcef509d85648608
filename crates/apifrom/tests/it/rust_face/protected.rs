//! The attributes that say who may call: wherever they stand, what they name is enforced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apifrom::jwt_required as renamed;
use apifrom::security::{ApiKeyRequired, CreateToken, JwtRequired, OAuth2Required, Ruling};
use apifrom::testing::{TestAnswer, TestClient};
use apifrom::{
    Api, Context, DefaultAccess, Head, ManualClock, Protection, api, api_key_required,
    basic_auth_required, endpoints, jwt_required, multi_auth_required, oauth2_required, protect,
    public, secret,
};

use crate::secured::START;

const SECRET: &str = "a secret of at least thirty-two bytes";
const API_KEYS: [(&str, &[&str]); 2] =
    [("api-key-1", &["read"]), ("api-key-2", &["read", "write"])];
const CREDENTIALS: [(&str, &str); 1] = [("user1", "password1")];

/// How often any handler below ran. Each test runs in a process of its own.
static CALLS: AtomicUsize = AtomicUsize::new(0);

fn called() -> &'static str {
    CALLS.fetch_add(1, Ordering::Relaxed);
    "called"
}

fn token(claims: &str) -> String {
    let clock = Arc::new(ManualClock::at(START));
    let token = CreateToken::new(SECRET, "HS256").clock(clock).sign(claims);
    format!("Bearer {}", token.unwrap())
}

fn client(api: Api) -> TestClient {
    let clock = Arc::new(ManualClock::at(START));
    TestClient::new(api.clock(clock).build().unwrap())
}

fn ask(client: &TestClient, path: &str, headers: &[(&str, &str)]) -> TestAnswer {
    let request = client.get(path);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.another_header(name, value)
    });
    request.send().unwrap()
}

fn accepted(client: &TestClient, path: &str, headers: &[(&str, &str)]) {
    let before = CALLS.load(Ordering::Relaxed);
    let answer = ask(client, path, headers);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    assert_eq!(CALLS.load(Ordering::Relaxed), before + 1);
}

fn refused(client: &TestClient, path: &str, headers: &[(&str, &str)], status: u16) -> TestAnswer {
    let before = CALLS.load(Ordering::Relaxed);
    let answer = ask(client, path, headers);
    assert_eq!(answer.status(), status, "{path} {headers:?}");
    assert_eq!(CALLS.load(Ordering::Relaxed), before, "the handler ran");
    answer
}

fn errors(api: Api) -> Vec<String> {
    let errors = api.build().unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[jwt_required(secret = SECRET, algorithm = "HS256")]
#[api(route = "/above", method = "GET")]
fn above() -> &'static str {
    called()
}

#[api(route = "/below", method = "GET")]
#[jwt_required(secret = SECRET, algorithm = "HS256")]
fn below() -> &'static str {
    called()
}

/// With other attributes around, and by its full path.
#[must_use]
#[apifrom::security::jwt_required(secret = SECRET)]
#[allow(clippy::unused_async)]
#[api(route = "/between", method = "GET")]
#[inline]
async fn between() -> &'static str {
    called()
}

#[api(route = "/conditional-below", method = "GET")]
#[cfg_attr(all(), jwt_required(secret = SECRET))]
fn conditional_below() -> &'static str {
    called()
}

#[cfg_attr(all(), jwt_required(secret = SECRET))]
#[api(route = "/conditional-above", method = "GET")]
fn conditional_above() -> &'static str {
    called()
}

#[renamed(secret = SECRET)]
#[api(route = "/renamed", method = "GET")]
fn by_another_name() -> &'static str {
    called()
}

#[test]
fn an_attribute_protects_wherever_it_stands() {
    let api = Api::new().endpoints(endpoints![above, below, between]);
    let client = client(api.endpoints(endpoints![
        conditional_below,
        conditional_above,
        by_another_name
    ]));
    let token = token(r#"{"sub": "ada"}"#);
    for path in [
        "/above",
        "/below",
        "/between",
        "/conditional-below",
        "/conditional-above",
        "/renamed",
    ] {
        accepted(&client, path, &[("authorization", &token)]);
        let answer = refused(&client, path, &[], 401);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some(r#"Bearer realm="api""#));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let forged = format!("{token}x");
        refused(&client, path, &[("authorization", &forged)], 401);
    }
    // The functions stay what they were.
    assert_eq!(above(), "called");
}

#[jwt_required(secret = SECRET)]
#[api(route = "/both", method = "GET")]
#[api_key_required(api_keys = API_KEYS, scopes = ["write"])]
fn both() -> &'static str {
    called()
}

#[basic_auth_required(credentials = CREDENTIALS, realm = "My API")]
#[jwt_required(secret = SECRET)]
#[api(route = "/two-above", method = "GET")]
fn two_above() -> &'static str {
    called()
}

#[test]
fn what_is_stacked_must_all_be_met() {
    let client = client(Api::new().endpoints(endpoints![both, two_above]));
    let token = token("{}");
    let bearer = ("authorization", token.as_str());
    accepted(&client, "/both", &[bearer, ("x-api-key", "api-key-2")]);
    refused(&client, "/both", &[bearer, ("x-api-key", "api-key-1")], 403);
    refused(&client, "/both", &[bearer], 401);
    refused(&client, "/both", &[("x-api-key", "api-key-2")], 401);
    // One header holds one of the two.
    refused(&client, "/two-above", &[bearer], 401);
    let engine = Api::new().endpoints(endpoints![both, two_above]).build();
    for endpoint in engine.unwrap().endpoints().iter().take(2) {
        assert_eq!(endpoint.protections().len(), 2, "{}", endpoint.name());
    }
}

/// Whom the tokens of this program are for.
fn tokens() -> JwtRequired {
    JwtRequired::new().secret(SECRET).audience("books")
}

#[api(route = "/admin", method = "GET")]
#[jwt_required(tokens(), issuer = ["us", "them"], leeway = 30, roles = ["admin"])]
fn admin() -> &'static str {
    called()
}

#[api(route = "/cookie", method = "GET")]
#[jwt_required(
    secret = SECRET,
    algorithm = ["HS256", "HS384"],
    token_location = "cookie",
    cookie_name = "session",
    verify_exp = false,
    verify_sub = true,
    leeway = Duration::ZERO
)]
fn cookie() -> &'static str {
    called()
}

#[test]
fn options_mean_what_they_mean_on_the_python_face() {
    let client = client(Api::new().endpoints(endpoints![admin, cookie]));
    for (claims, status) in [
        (r#"{"aud": "books", "iss": "us", "roles": ["admin"]}"#, 200),
        (r#"{"aud": "books", "iss": "them", "roles": "admin"}"#, 200),
        (r#"{"aud": "books", "iss": "us", "roles": ["user"]}"#, 403),
        (r#"{"aud": "films", "iss": "us", "roles": ["admin"]}"#, 401),
        (r#"{"aud": "books", "iss": "who", "roles": ["admin"]}"#, 401),
        (r#"{"aud": "books", "roles": ["admin"]}"#, 401),
    ] {
        let headers = [("authorization", &*token(claims))];
        match status {
            200 => accepted(&client, "/admin", &headers),
            _ => drop(refused(&client, "/admin", &headers, status)),
        }
    }
    let timeless = |claims| {
        CreateToken::new(SECRET, "HS256")
            .expires_delta(None)
            .sign(claims)
    };
    let session = |claims| format!("session={}", timeless(claims).unwrap());
    accepted(
        &client,
        "/cookie",
        &[("cookie", &session(r#"{"sub": "ada"}"#))],
    );
    refused(&client, "/cookie", &[("cookie", &session("{}"))], 401);
    refused(
        &client,
        "/cookie",
        &[("authorization", &token(r#"{"sub": "a"}"#))],
        401,
    );
}

#[api(route = "/places", method = "GET")]
#[api_key_required(
    ApiKeyRequired::new().api_keys(API_KEYS),
    header_name = None,
    query_param_name = "key",
    cookie_name = Some("key")
)]
fn places() -> &'static str {
    called()
}

#[api(route = "/basic", method = "GET")]
#[basic_auth_required(credentials = CREDENTIALS, realm = "My API")]
fn basic() -> &'static str {
    called()
}

fn nobody_listens() -> OAuth2Required {
    OAuth2Required::new()
        .token_url("http://127.0.0.1:1/token")
        .client_id("api")
        .client_secret("secret")
        .offered_scopes(["read", "write"])
}

#[api(route = "/oauth2", method = "GET")]
#[oauth2_required(config = nobody_listens(), scopes = ["read"], cache_ttl = 0)]
fn oauth2() -> &'static str {
    called()
}

#[test]
fn every_method_has_its_attribute() {
    let client = client(Api::new().endpoints(endpoints![places, basic, oauth2]));
    accepted(&client, "/places?key=api-key-1", &[]);
    accepted(&client, "/places", &[("cookie", "key=api-key-2")]);
    refused(&client, "/places", &[("x-api-key", "api-key-1")], 401);
    refused(&client, "/places?key=api-key-3", &[], 401);

    // base64 of user1:password1, and of user1:password2
    accepted(
        &client,
        "/basic",
        &[("authorization", "Basic dXNlcjE6cGFzc3dvcmQx")],
    );
    let wrong = [("authorization", "Basic dXNlcjE6cGFzc3dvcmQy")];
    let answer = refused(&client, "/basic", &wrong, 401);
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, Some(r#"Basic realm="My API", charset="UTF-8""#));

    let answer = refused(&client, "/oauth2", &[], 401);
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, Some(r#"Bearer realm="api""#));
    // What cannot be checked lets nobody in.
    refused(&client, "/oauth2", &[("authorization", "Bearer abc")], 503);
}

#[api(route = "/any", method = "GET")]
#[multi_auth_required(
    auth_methods = [
        jwt_required(secret = SECRET),
        api_key_required(api_keys = API_KEYS, scopes = ["read"]),
    ],
    require_all = false
)]
fn any() -> &'static str {
    called()
}

#[multi_auth_required(auth_methods = [tokens(), apifrom::security::api_key_required(api_keys = API_KEYS)], require_all = true)]
#[api(route = "/all", method = "GET")]
fn all() -> &'static str {
    called()
}

fn prepared() -> Vec<Protection> {
    vec![JwtRequired::new().secret(SECRET).into()]
}

#[api(route = "/prepared", method = "GET")]
#[multi_auth_required(auth_methods = prepared())]
fn of_a_list() -> &'static str {
    called()
}

#[api(route = "/value", method = "GET")]
#[protect(Protection::Any(prepared()))]
fn of_a_value() -> &'static str {
    called()
}

#[test]
fn several_methods_are_written_as_attributes_or_as_values() {
    let client = client(Api::new().endpoints(endpoints![any, all, of_a_list, of_a_value]));
    let (plain, books) = (token("{}"), token(r#"{"aud": "books"}"#));
    let (plain, books) = (("authorization", &*plain), ("authorization", &*books));
    let key = ("x-api-key", "api-key-1");
    accepted(&client, "/any", &[plain]);
    accepted(&client, "/any", &[key]);
    accepted(&client, "/any", &[plain, ("x-api-key", "unknown")]);
    refused(&client, "/any", &[], 401);
    refused(&client, "/any", &[("x-api-key", "unknown")], 401);
    accepted(&client, "/all", &[books, key]);
    refused(&client, "/all", &[books], 401);
    refused(&client, "/all", &[plain, key], 401);
    for path in ["/prepared", "/value"] {
        accepted(&client, path, &[plain]);
        refused(&client, path, &[key], 401);
    }
}

fn is_ada(_: &Head, context: &Context) -> Ruling {
    let caller = context.identities.iter().next();
    Ruling::allowed_if(caller.and_then(|caller| caller.subject()) == Some("ada"))
}

#[api(route = "/ada", method = "GET")]
#[jwt_required(secret = SECRET, policy = is_ada)]
fn of_ada() -> &'static str {
    called()
}

#[api(route = "/hidden", method = "GET")]
#[jwt_required(secret = SECRET, policy = is_ada, hide = true)]
fn hidden() -> &'static str {
    called()
}

#[test]
fn a_policy_stands_on_the_attribute() {
    let client = client(Api::new().endpoints(endpoints![of_ada, hidden]));
    let (ada, eve) = (token(r#"{"sub": "ada"}"#), token(r#"{"sub": "eve"}"#));
    for (path, status) in [("/ada", 403), ("/hidden", 404)] {
        accepted(&client, path, &[("authorization", &ada)]);
        refused(&client, path, &[("authorization", &eve)], status);
    }
}

#[public(reason = "for the load balancer")]
#[api(route = "/health", method = "GET")]
fn health() -> &'static str {
    called()
}

#[api(route = "/open", method = "GET")]
fn open() -> &'static str {
    called()
}

#[test]
fn public_opens_one_endpoint_of_an_api_that_denies() {
    let denying = || Api::new().configure(|config| config.default = DefaultAccess::Deny);
    let api = denying().auth(tokens()).endpoints(endpoints![health, open]);
    let client = client(api);
    accepted(&client, "/health", &[]);
    refused(&client, "/open", &[], 401);

    let engine = denying()
        .endpoints(endpoints![health, above])
        .build()
        .unwrap();
    let reason = engine.endpoints()[0].public_reason();
    assert_eq!(reason, Some("for the load balancer"));
    let found = errors(denying().endpoints(endpoints![health, open]));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("routes.open: is neither"), "{found:?}");
}

#[api(route = "/secret", method = "GET")]
#[jwt_required(secret = secret("SET_NOWHERE_1"))]
fn without_its_secret() -> &'static str {
    called()
}

#[api(route = "/keys", method = "GET")]
#[api_key_required(api_keys = [(secret("SET_NOWHERE_2")?, ["read"])])]
fn without_its_key() -> &'static str {
    called()
}

#[api(route = "/unknown", method = "GET")]
#[jwt_required(secret = SECRET, algorithm = "none")]
fn of_no_algorithm() -> &'static str {
    called()
}

#[api(route = "/doubled", method = "GET")]
#[jwt_required(tokens())]
#[jwt_required(secret = "another secret of at least thirty-two bytes")]
fn doubled() -> &'static str {
    called()
}

#[test]
fn what_cannot_protect_does_not_start_and_all_of_it_is_named() {
    let denying = Api::new().configure(|config| config.default = DefaultAccess::Deny);
    let found = errors(denying.endpoints(endpoints![
        without_its_secret,
        without_its_key,
        of_no_algorithm,
        doubled
    ]));
    let begins = [
        "routes.without_its_secret.jwt_required.secret: SET_NOWHERE_1: is set nowhere",
        "routes.without_its_key.api_key_required.SET_NOWHERE_2: is set nowhere",
        "routes.of_no_algorithm.jwt_required.algorithm: ",
        "routes.doubled: two methods that must both pass",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (found, begin) in found.iter().zip(begins) {
        assert!(found.starts_with(begin), "{found}");
    }
}

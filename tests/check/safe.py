"""A program with nothing to find, and ways to weaken it."""

from __future__ import annotations

SAFE = """
import logging
import os
from dataclasses import dataclass

from apifrom import API, Router, api
from apifrom.database import Database
from apifrom.middleware import (
    CORSMiddleware,
    CSRFMiddleware,
    ErrorHandlingMiddleware,
    RateLimitMiddleware,
    SecurityHeadersMiddleware,
    csrf_exempt,
    rate_limit,
)
from apifrom.responses import Response
from apifrom.security import (
    KeyRecord,
    Revocation,
    api_key_required,
    basic_auth_required,
    create_jwt_token,
    jwt_required,
    multi_auth_required,
    public,
    secret,
)

app = API(
    trusted_hosts=["api.example.com"],
    trusted_proxies=["10.0.0.7"],
    default="deny",
    max_body_size=65_536,
)
app.add_middleware(SecurityHeadersMiddleware())
app.add_middleware(CORSMiddleware(allow_origins=["https://shop.example.com"]))
app.add_middleware(RateLimitMiddleware(limit=100, window=60))
app.add_middleware(CSRFMiddleware(secret=secret("CSRF_SECRET")))
app.add_middleware(ErrorHandlingMiddleware())
db = Database("sqlite://:memory:")
log = logging.getLogger("shop")
revoked = Revocation()


@dataclass
class Order:
    item: str
    count: int


def find_key(digest: str) -> KeyRecord | None:
    return None


def is_owner(request) -> bool:
    return True


tokens = dict(secret=secret("JWT_SECRET"), audience="shop", issuer="https://auth.example.com")


@api(route="/", method="GET")
@public(reason="says what there is")
def index() -> dict[str, str]:
    return {}


@api(route="/me", method="GET")
@jwt_required(**tokens, algorithm="HS256", verify_sub=True, verify_jti=True, revocation=revoked)
def me() -> dict[str, str]:
    return {}


@api(route="/orders", method="POST")
@jwt_required(**tokens, scopes=["orders:write"], roles=["buyer"], policy=is_owner)
@rate_limit("20/minute", key="identity")
def order(order: Order) -> dict[str, str]:
    log.info("ordered %s", order.item)
    return {}


@api(route="/users/{name}", method="GET")
@api_key_required(lookup=find_key, scopes=["users"], cache_ttl=30)
def user(name: str) -> list[dict[str, str]]:
    return db.query("SELECT name FROM users WHERE name = ?", [name])


@api(route="/admin", method="POST")
@basic_auth_required(
    credentials={"ada": secret("ADA_HASH"), "bob": secret("BOB_HASH")}, policy=is_owner
)
def admin() -> dict[str, str]:
    return {}


@api(route="/both", method="GET")
@multi_auth_required(
    auth_methods=[jwt_required(**tokens), api_key_required(lookup=find_key, name="other")],
    require_all=True,
)
def both() -> dict[str, str]:
    return {}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=8000)
"""

# Each weakens one thing: what is replaced by what, and who finds it: a rule of `check`, a
# direction of `posture --diff`, or the start itself.
MUTATIONS = {
    "a short secret": (
        'secret=secret("JWT_SECRET"), audience',
        "secret=os.urandom(8), audience",
        "AF101",
    ),
    "a secret that repeats itself": (
        'secret=secret("JWT_SECRET"), audience',
        'secret=b"ab" * 20, audience',
        "AF102",
    ),
    "a secret in the source": (
        'secret=secret("JWT_SECRET"), audience',
        'secret="k7Jq2vXm9RbT4wLz8NcY1hGd6FsP3aEv", audience',
        "AF801",
    ),
    "a default for a secret": (
        "log = logging",
        'SECRET = os.environ.get("JWT_SECRET", "only for tests")\nlog = logging',
        "AF801",
    ),
    "a short CSRF secret": ('secret=secret("CSRF_SECRET")', "secret=os.urandom(4).hex()", "AF101"),
    "a password as it is": ('"bob": secret("BOB_HASH")', '"bob": os.urandom(9).hex()', "AF104"),
    "a cheaper hash": ('secret("BOB_HASH")', 'secret("OLD_HASH")', "AF106"),
    "a key as it is": (
        'lookup=find_key, scopes=["users"], cache_ttl=30',
        'api_keys={os.urandom(16).hex(): ["users"]}, scopes=["users"]',
        "AF103",
    ),
    "a key that can be guessed": (
        'lookup=find_key, scopes=["users"], cache_ttl=30',
        'api_keys={"users-1": ["users"]}, scopes=["users"]',
        "AF105",
    ),
    "no audience": (', audience="shop"', "", "AF201"),
    "an audience that is not read": (
        "@jwt_required(**tokens, algorithm",
        "@jwt_required(**tokens, verify_aud=False, algorithm",
        "AF201",
    ),
    "another audience beside": ('audience="shop"', 'audience=["shop", "blog"]', "weaker"),
    "an issuer that is not read": ('issuer="https://auth.example.com"', "issuer=None", "weaker"),
    "no expiry": (
        "verify_sub=True, verify_jti=True, revocation=revoked",
        "verify_sub=True, verify_jti=True, verify_exp=False",
        "AF202",
    ),
    "a subject that is not needed": ("verify_sub=True, ", "", "weaker"),
    "an id that is not needed": ("verify_jti=True, ", "", "weaker"),
    "no revocation": (", revocation=revoked", "", "weaker"),
    "a long leeway": ("verify_sub=True, ", "verify_sub=True, leeway=3_600, ", "AF206"),
    "another algorithm beside": ('algorithm="HS256"', 'algorithm=["HS256", "HS384"]', "AF101"),
    "a token in the query": (
        "verify_sub=True, ",
        'verify_sub=True, token_location="query", ',
        "AF203",
    ),
    "a token in a cookie, and no CSRF protection": (
        '@jwt_required(**tokens, scopes=["orders:write"], roles=["buyer"], policy=is_owner)',
        '@csrf_exempt(reason="a mistake")\n'
        '@jwt_required(**tokens, scopes=["orders:write"], token_location="cookie")',
        "AF511",
    ),
    "a scope less": ('scopes=["orders:write"], ', "", "weaker"),
    "a role less": ('roles=["buyer"], ', "", "weaker"),
    "no policy": (", policy=is_owner)\n@rate_limit", ")\n@rate_limit", "weaker"),
    "any of two in place of both": ("require_all=True", "require_all=False", "weaker"),
    "an endpoint without its protection": (
        '@api_key_required(lookup=find_key, scopes=["users"], cache_ttl=30)\n',
        "",
        "start",
    ),
    "an endpoint that is open, by default": ('default="deny"', 'default="open"', "weaker"),
    "an endpoint that was made public": (
        '@api_key_required(lookup=find_key, scopes=["users"], cache_ttl=30)',
        '@public(reason="quicker")',
        "weaker",
    ),
    "a key that is remembered for a day": ("cache_ttl=30", "cache_ttl=86_400", "AF207"),
    "any host": ('    trusted_hosts=["api.example.com"],\n', "", "AF402"),
    "another host beside": ('["api.example.com"]', '["api.example.com", "example.net"]', "weaker"),
    "proxies everywhere": ('["10.0.0.7"]', '["0.0.0.0/0"]', "AF403"),
    "another proxy beside": ('["10.0.0.7"]', '["10.0.0.7", "10.0.0.8"]', "weaker"),
    "large bodies": ("max_body_size=65_536", "max_body_size=1 << 40", "AF602"),
    "larger bodies": ("max_body_size=65_536", "max_body_size=131_072", "weaker"),
    "no limit": ("app.add_middleware(RateLimitMiddleware(limit=100, window=60))\n", "", "AF601"),
    "a limit that nobody reaches": ("limit=100, window=60", "limit=1_000_000, window=1", "AF604"),
    "a higher limit": ("limit=100, window=60", "limit=200, window=60", "weaker"),
    "a limit less on an endpoint": ('@rate_limit("20/minute", key="identity")\n', "", "weaker"),
    "no security headers": ("app.add_middleware(SecurityHeadersMiddleware())\n", "", "AF405"),
    "a deprecated header": (
        "SecurityHeadersMiddleware()",
        'SecurityHeadersMiddleware(x_xss_protection="1")',
        "AF406",
    ),
    "inline scripts": (
        "SecurityHeadersMiddleware()",
        'SecurityHeadersMiddleware(csp={"default-src": ["\'unsafe-inline\'"]})',
        "AF409",
    ),
    "short HSTS": (
        "SecurityHeadersMiddleware()",
        'SecurityHeadersMiddleware(hsts={"max-age": 60})',
        "AF408",
    ),
    "every origin": ('["https://shop.example.com"]', '["*"]', "AF501"),
    "another origin beside": (
        '["https://shop.example.com"]',
        '["https://shop.example.com", "https://blog.example.com"]',
        "weaker",
    ),
    "an origin without TLS": (
        '["https://shop.example.com"]',
        '["http://shop.example.com"]',
        "AF503",
    ),
    "credentials of other origins": (
        'allow_origins=["https://shop.example.com"]',
        'allow_origins=["https://shop.example.com"], allow_credentials=True',
        "weaker",
    ),
    "no CSRF protection": (
        'app.add_middleware(CSRFMiddleware(secret=secret("CSRF_SECRET")))\n',
        "",
        "AF511",
    ),
    "a CSRF cookie over plain HTTP": (
        'secret=secret("CSRF_SECRET")',
        'secret=secret("CSRF_SECRET"), cookie_name="csrf", secure=False',
        "AF513",
    ),
    "methods without CSRF protection": (
        'secret=secret("CSRF_SECRET")',
        'secret=secret("CSRF_SECRET"), methods=["PUT"]',
        "AF515",
    ),
    "failures that are shown": (
        "ErrorHandlingMiddleware()",
        "ErrorHandlingMiddleware(debug=True)",
        "AF701",
    ),
    "tracebacks that are shown": (
        "ErrorHandlingMiddleware()",
        "ErrorHandlingMiddleware(include_traceback=True)",
        "AF702",
    ),
    "failures that are not logged": (
        "ErrorHandlingMiddleware()",
        "ErrorHandlingMiddleware(log_exceptions=False)",
        "AF703",
    ),
    "development settings": ('default="deny",', 'default="deny", development=True,', "AF404"),
    "SQL that is put together": (
        '"SELECT name FROM users WHERE name = ?", [name]',
        '"SELECT name FROM users WHERE name = \'" + name + "\'"',
        "AF802",
    ),
    "a credential in the log": (
        'log.info("ordered %s", order.item)',
        'log.info("ordered %s", order.token)',
        "AF804",
    ),
    "a cookie over plain HTTP": (
        'log.info("ordered %s", order.item)',
        'Response("").set_cookie("last", order.item, secure=False)',
        "AF807",
    ),
    "a body that is not described": ("order: Order)", "order: dict)", "AF806"),
}

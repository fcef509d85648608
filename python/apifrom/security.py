"""Who may call: declarations that stand on a function, a router or the whole API.

Each of them is a decorator and a value. As a decorator it may stand above or below `@api`, beside
others, all of which must be met; as a value it stands in `Router(auth=…)`, `API(auth=…)` and
`multi_auth_required(auth_methods=[…])`:

```python
from apifrom import API, api
from apifrom.security import jwt_required, secret

app = API()


@api(route="/me", method="GET")
@jwt_required(secret=secret("JWT_SECRET"), algorithm="HS256")
def me(request) -> dict:
    return {"user": request.state.jwt_payload["sub"]}
```

A declaration is checked when the API starts, not before; then everything that is wrong is reported
at once. A request that it refuses reaches no Python code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from apifrom import _apifrom, _registry
from apifrom._apifrom import (
    KeyRecord,
    Revocation,
    Secret,
    hash_password,
    secret,
    verify_jws,
    verify_password,
)

__all__ = [
    "KeyRecord",
    "OAuth2Token",
    "Protection",
    "Revocation",
    "Secret",
    "api_key_required",
    "basic_auth_required",
    "create_jwt_token",
    "hash_password",
    "jwt_required",
    "multi_auth_required",
    "oauth2_required",
    "public",
    "secret",
    "verify_jws",
    "verify_password",
]

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Policy:
    """The program's own decision about who was let in.

    Attributes:
        function: Returns True to let a request pass, and False to refuse it.
        hide: True where a refusal is 404 rather than 403.
    """

    function: Callable[..., Any]
    hide: bool


class Protection:
    """One declaration of who may call. Its `repr` shows no option: keys may be among them."""

    def __init__(
        self,
        kind: str,
        declared_as: str,
        options: dict[str, Any] | None = None,
        methods: Sequence[Protection] = (),
        policy: Callable[..., Any] | None = None,
        hide: bool = False,
    ) -> None:
        """Keeps what was declared; the functions of this module are what makes protections.

        Raises:
            TypeError: `policy` cannot be called, or `hide` is no truth value or stands alone.
        """
        if policy is not None and not callable(policy):
            raise TypeError(f"{declared_as}(policy=…): expected a function, found {_kind(policy)}")
        if not isinstance(hide, bool):
            raise TypeError(f"{declared_as}(hide=…): expected True or False, found {_kind(hide)}")
        if hide and policy is None:
            raise TypeError(
                f"{declared_as}(hide=True) hides what policy= denies, and there is none"
            )
        for method in methods:
            if method.policies:
                raise TypeError(
                    f"{declared_as}(…): the policy of {method.declared_as} belongs to all of "
                    "them; give it to the outer one"
                )
        self.kind: Final[str] = kind
        self.declared_as: Final[str] = declared_as
        self.options: Final[dict[str, Any]] = {} if options is None else options
        self.methods: Final[list[Protection]] = list(methods)
        self.policies: Final[list[Policy]] = [] if policy is None else [Policy(policy, hide)]

    def __call__(self, function: _F) -> _F:
        """Protects `function`, which is returned as it was.

        Raises:
            TypeError: `function` cannot be called.
        """
        given: object = function
        if not callable(given) and not isinstance(given, classmethod):
            raise TypeError(f"{self.declared_as}(…) protects a function, not {_kind(function)}")
        _registry.protect(function, self, sys._getframe(1).f_globals)
        return function

    def __repr__(self) -> str:
        return f"{self.declared_as}(…)"


class OAuth2Token(dict[str, Any]):
    """The claims of an access token, as the authorization server signed or answered them.

    Attributes:
        token: The token itself. It must reach no log, and no answer to anybody else.
    """

    def __init__(self, claims: Mapping[str, Any] | None, token: str) -> None:
        """Keeps both."""
        super().__init__(claims or {})
        self.token = token

    def __repr__(self) -> str:
        return f"OAuth2Token({super().__repr__()})"


Key = str | bytes | Secret | dict[str, Any]
"""A key of tokens: a shared secret, or a key in PEM, as text, bytes or `Secret`; a JWK or a JWK Set
as text or `dict`."""


def jwt_required(
    secret: Key | None = None,
    algorithm: str | Sequence[str] | None = None,
    token_location: str = "header",  # noqa: S107 - a place, and no token
    header_name: str = "Authorization",
    header_type: str = "Bearer",
    verify_exp: bool = True,
    verify_aud: bool | None = None,
    verify_iss: bool | None = None,
    verify_sub: bool = False,
    verify_jti: bool = False,
    verify_at_hash: bool | None = None,
    *,
    keys: Sequence[Key] | None = None,
    jwks_url: str | None = None,
    stale_max: float = 86_400,
    query_name: str = "access_token",
    cookie_name: str = "access_token",
    audience: str | Sequence[str] | None = None,
    issuer: str | Sequence[str] | None = None,
    leeway: float = 0,
    access_token_header: str | None = None,
    access_token_cookie: str | None = None,
    scopes: Sequence[str] = (),
    roles: Sequence[str] = (),
    roles_claim: str = "roles",
    revocation: Revocation | None = None,
    realm: str = "api",
    name: str | None = None,
    policy: Callable[..., Any] | None = None,
    hide: bool = False,
) -> Protection:
    """Lets callers in who hold a signed JSON Web Token (RFC 7519).

    A handler finds the claims in `request.state.jwt_payload`. `none` is no algorithm, and a key's
    type decides what it verifies: a public key never verifies a shared-secret signature. `nbf` and
    `iat` are checked wherever they are there, and may be ahead by `leeway`, at least 60 seconds.

    Args:
        secret: The key that verifies: a shared secret, or a public key in PEM, as a JWK or a JWK
            Set. None is a start-up error, so that an environment variable that is not set lets
            nobody in.
        algorithm: The algorithms that tokens may be signed with: `HS256`, `RS256`, `PS256`,
            `ES256`, each also with 384 and 512, and `EdDSA`. Defaults to `HS256`.
        token_location: `header`, `query` or `cookie`.
        header_name: The header that holds the token; none that browsers write by themselves.
        header_type: The scheme before the token; empty where the header holds the token alone.
        verify_exp: A token must have `exp`, and it must not have passed.
        verify_aud: `aud` must name an `audience`. Defaults to whether there is one.
        verify_iss: `iss` must be an `issuer`. Defaults to whether there is one.
        verify_sub: A token must have `sub`.
        verify_jti: A token must have `jti`.
        verify_at_hash: `at_hash` must belong to the access token that is sent beside an ID token
            (OpenID Connect Core 3.1.3.6). Defaults to whether there is a place for it.
        keys: More keys, so that keys can be rotated: a token is good if any of them signed it.
        jwks_url: Where the keys are published as a JWK Set, in place of `secret` and `keys`: https,
            or http to this machine. They are fetched when the first token comes, and anew in the
            background. The algorithms then default to those of public keys.
        stale_max: How old, in seconds, such keys may become while they cannot be fetched.
        query_name: The query field that holds the token.
        cookie_name: The cookie that holds the token.
        audience: The names that `aud` may hold; an empty list is a start-up error.
        issuer: The names that `iss` may hold; an empty list is a start-up error.
        leeway: Seconds for which a token is still good after its expiry.
        access_token_header: The header with the access token that `at_hash` belongs to.
        access_token_cookie: The cookie with that access token.
        scopes: The scopes that a token must hold in `scope` or `scp`, or it is 403.
        roles: The roles that a token must hold, all of them, or it is 403.
        roles_claim: The claim that holds the roles: a list, or a string, which is one role.
        revocation: What is asked, for every token, whether it was revoked.
        realm: The realm of the challenge.
        name: The attribute of `request.state`. Defaults to `jwt_payload`.
        policy: A `def` or `async def` that is asked last, before the body is read, and returns True
            or False. It takes what a handler takes, the body excepted; what it loads by `Depends`
            the handler is given as well. What it raises denies, and is logged; an `HTTPException`
            is the answer.
        hide: True to answer a denial of `policy` as if there were nothing: 404 instead of 403.

    Returns:
        A decorator, which is a value as well.
    """
    options = {
        "secret": secret,
        "keys": _kept(keys),
        "jwks_url": jwks_url,
        "stale_max": stale_max,
        "algorithm": algorithm,
        "token_location": token_location,
        "header_name": header_name,
        "header_type": header_type,
        "query_name": query_name,
        "cookie_name": cookie_name,
        "verify_exp": verify_exp,
        "verify_aud": verify_aud,
        "verify_iss": verify_iss,
        "verify_sub": verify_sub,
        "verify_jti": verify_jti,
        "verify_at_hash": verify_at_hash,
        "audience": audience,
        "issuer": issuer,
        "leeway": leeway,
        "access_token_header": access_token_header,
        "access_token_cookie": access_token_cookie,
        "scopes": scopes,
        "roles": roles,
        "roles_claim": roles_claim,
        "revocation": revocation,
        "realm": realm,
        "name": name,
    }
    return Protection("jwt", "jwt_required", options, policy=policy, hide=hide)


def create_jwt_token(
    payload: Mapping[str, Any],
    secret: Key,
    algorithm: str = "HS256",
    expires_delta: float | timedelta | None = 3600,
    *,
    jti: bool | str = False,
    issuer: str | None = None,
    audience: str | Sequence[str] | None = None,
    kid: str | None = None,
    access_token: str | None = None,
) -> str:
    """Signs a JSON Web Token.

    `iat` is added, and `exp` where there is an `expires_delta`. `payload` is not changed.

    Args:
        payload: The claims.
        secret: A shared secret, or a private key in PEM or as a JWK.
        algorithm: `HS256`, `RS256`, `PS256`, `ES256`, each also with 384 and 512, or `EdDSA`.
        expires_delta: For how many seconds the token is good. With None no `exp` is added, and such
            a token is refused unless `verify_exp` is off.
        jti: True for a random id, or the id itself.
        issuer: What `iss` becomes.
        audience: What `aud` becomes.
        kid: The name of the key, for the header.
        access_token: The access token that `at_hash` is to bind the token to.

    Returns:
        The token.

    Raises:
        TypeError: Something is of another type, or has no form in JSON.
        ValueError: Names what else is wrong. A claim that would be added and is in `payload`
            already is an error, since none is overwritten.
    """
    options = {
        "secret": secret,
        "algorithm": algorithm,
        "expires_delta": expires_delta,
        "jti": jti,
        "issuer": issuer,
        "audience": audience,
        "kid": kid,
        "access_token": access_token,
    }
    if not isinstance(payload, Mapping):
        raise TypeError(f"payload: expected a dict, found {_kind(payload)}")
    return _apifrom.create_jwt_token(dict(payload), options)


def basic_auth_required(
    credentials: Mapping[str, str | Secret] | None = None,
    realm: str = "api",
    *,
    lookup: Callable[[str], Any] | None = None,
    cache_ttl: float = 30,
    name: str | None = None,
    policy: Callable[..., Any] | None = None,
    hide: bool = False,
) -> Protection:
    """Lets users in who know their password (RFC 7617).

    A handler finds the user in `request.state.username`. A stored value may be the hash of a
    password (`hash_password`), which is compared on threads of its own. A log-in that succeeded is
    known for 60 seconds. After 10 failures in 5 minutes for one client and user, or 100 for one
    client, further checks are answered with 429; a known log-in goes on.

    Args:
        credentials: The users, each with a password, or with an Argon2id, scrypt or bcrypt hash.
        realm: What browsers show.
        lookup: A `def` or `async def` that is given the name of a user who is not among
            `credentials`, and returns an Argon2id, scrypt or bcrypt hash (text or `Secret`), or
            None. What it raises, anything else that it returns, and more than 5 seconds are 503. A
            user who failed too often is not looked up.
        cache_ttl: For how many seconds an answer is known, at most a day: the longest that a
            deleted user or an old password is taken. 0 asks each time.
        name: The attribute of `request.state`. Defaults to `username`.
        policy: A `def` or `async def` that is asked last, before the body is read, and returns True
            or False. It takes what a handler takes, the body excepted; what it loads by `Depends`
            the handler is given as well. What it raises denies, and is logged; an `HTTPException`
            is the answer.
        hide: True to answer a denial of `policy` as if there were nothing: 404 instead of 403.

    Returns:
        A decorator, which is a value as well.
    """
    options = {
        "credentials": _kept(credentials),
        "realm": realm,
        "lookup": lookup,
        "cache_ttl": cache_ttl,
        "name": name,
    }
    return Protection("basic", "basic_auth_required", options, policy=policy, hide=hide)


def api_key_required(
    api_keys: Mapping[str | Secret, Sequence[str]] | Mapping[str, Sequence[str]] | None = None,
    scopes: Sequence[str] = (),
    header_name: str | None = "X-API-Key",
    query_param_name: str | None = None,
    cookie_name: str | None = None,
    *,
    lookup: Callable[[str], Any] | None = None,
    cache_ttl: float = 30,
    realm: str = "api",
    name: str | None = None,
    policy: Callable[..., Any] | None = None,
    hide: bool = False,
) -> Protection:
    """Lets callers in who hold one of several API keys.

    Only the digest of a key is kept, and a look-up takes as long whatever of a key is right. A
    handler finds the key that was sent in `request.state.api_key`; logs name its digest alone.

    Args:
        api_keys: The keys, each with the scopes that it holds. A key may be given as `sha256:` and
            the 64 hexadecimal digits of its digest.
        scopes: The scopes that a key must hold; one that lacks one is answered with 403.
        header_name: The header that holds the key, none that browsers write by themselves; None to
            look at none.
        query_param_name: The query field that holds the key. A query stands in the logs of every
            proxy on the way.
        cookie_name: The cookie that holds the key.
        lookup: A `def` or `async def` that is given the SHA-256 digest of a key which is not among
            `api_keys`, as 64 hexadecimal digits in lower case, and returns a `KeyRecord` or None.
            What it raises, anything else that it returns, and more than 5 seconds are 503.
        cache_ttl: For how many seconds an answer is known, at most a day: the longest that a
            deleted key is taken. 0 asks each time.
        realm: The realm of the challenge.
        name: The attribute of `request.state`. Defaults to `api_key`.
        policy: A `def` or `async def` that is asked last, before the body is read, and returns True
            or False. It takes what a handler takes, the body excepted; what it loads by `Depends`
            the handler is given as well. What it raises denies, and is logged; an `HTTPException`
            is the answer.
        hide: True to answer a denial of `policy` as if there were nothing: 404 instead of 403.

    Returns:
        A decorator, which is a value as well.
    """
    options = {
        "api_keys": _kept(api_keys),
        "scopes": scopes,
        "header_name": header_name,
        "query_param_name": query_param_name,
        "cookie_name": cookie_name,
        "lookup": lookup,
        "cache_ttl": cache_ttl,
        "realm": realm,
        "name": name,
    }
    return Protection("api_key", "api_key_required", options, policy=policy, hide=hide)


def oauth2_required(
    config: Mapping[str, Any] | None = None,
    scopes: Sequence[str] = (),
    *,
    issuer: str | None = None,
    jwks_url: str | None = None,
    introspection_url: str | None = None,
    audience: str | None = None,
    token_types: Sequence[str] = ("at+jwt",),
    cache_ttl: float = 60,
    stale_max: float = 86_400,
    redis_url: str | Secret | None = None,
    revocation: Revocation | None = None,
    realm: str = "api",
    name: str | None = None,
    policy: Callable[..., Any] | None = None,
    hide: bool = False,
) -> Protection:
    """Lets callers in who hold an access token of an authorization server (RFC 6750).

    A token of one of `token_types` is verified by the server's keys (RFC 9068); about any other the
    server is asked (RFC 7662). Where neither `jwks_url` nor `introspection_url` is given, both are
    found at the `issuer`, or at the origin of `token_url` (RFC 8414), when the first token comes. A
    server that cannot be asked lets nobody in: that is 503; what is known of tokens and keys goes
    on. A handler finds the claims in `request.state.oauth2_token`, whose `token` is the token.

    Every URL is https, or http to this machine; no redirect is followed.

    Args:
        config: `token_url`, `client_id`, `client_secret` (text or `Secret`), and `scopes`, the
            scopes that the API offers.
        scopes: The scopes that a token must hold, or it is 403. One that is not offered is a
            start-up error.
        issuer: Who issues the tokens.
        jwks_url: Where the server publishes its keys; needs `issuer`.
        introspection_url: Where the server is asked about a token.
        audience: Whom tokens must be meant for. Defaults to `client_id`.
        token_types: What the keys verify. `JWT` takes plain tokens as well, which needs `audience`,
            and refuses those that look like ID tokens.
        cache_ttl: For how many seconds a token that was found good is not asked about again: the
            longest that a revocation goes unseen. 0 asks each time.
        stale_max: How old, in seconds, keys may become while the server cannot be reached.
        redis_url: A Redis or Valkey server in which what was said of good tokens is kept as well,
            `redis://user:password@host:6379/0` (`rediss` for TLS, `unix` for a socket), so that all
            processes ask the authorization server once. It stands there sealed, under names that
            are made with the client secret; while that server is away each process asks by itself.
        revocation: What is asked, for every token, whether it was revoked.
        realm: The realm of the challenge.
        name: The attribute of `request.state`. Defaults to `oauth2_token`.
        policy: A `def` or `async def` that is asked last, before the body is read, and returns True
            or False; see `jwt_required`.
        hide: True to answer a denial of `policy` as if there were nothing: 404 instead of 403.

    Returns:
        A decorator, which is a value as well.
    """
    options = {
        "config": _kept(config),
        "scopes": scopes,
        "issuer": issuer,
        "jwks_url": jwks_url,
        "introspection_url": introspection_url,
        "audience": audience,
        "token_types": _kept(token_types),
        "cache_ttl": cache_ttl,
        "stale_max": stale_max,
        "redis_url": redis_url,
        "revocation": revocation,
        "realm": realm,
        "name": name,
    }
    return Protection("oauth2", "oauth2_required", options, policy=policy, hide=hide)


def multi_auth_required(
    auth_methods: Sequence[Protection],
    require_all: bool = False,
    *,
    policy: Callable[..., Any] | None = None,
    hide: bool = False,
) -> Protection:
    """Lets callers in who meet one of several protections, or all of them.

    Of *any*, the methods are asked in their order and the first that passes is taken; what fails
    does not stop the next. Of *all*, 403 is answered only when everybody authenticated. Only what
    passed is found in `request.state`.

    Args:
        auth_methods: `jwt_required(…)` and its like; one of them may be another
            `multi_auth_required(…)`.
        require_all: True when all must pass. Two methods of one kind then need names of their own.
        policy: A `def` or `async def` that is asked last, before the body is read, and returns True
            or False. It takes what a handler takes, the body excepted; what it loads by `Depends`
            the handler is given as well. What it raises denies, and is logged; an `HTTPException`
            is the answer.
        hide: True to answer a denial of `policy` as if there were nothing: 404 instead of 403.

    Returns:
        A decorator, which is a value as well.

    Raises:
        TypeError: `auth_methods` is no list of protections, or one of them has a policy of its own.
    """
    methods = protections(auth_methods, "auth_methods")
    return Protection(
        "multi",
        "multi_auth_required",
        {"require_all": require_all},
        methods=methods,
        policy=policy,
        hide=hide,
    )


def public(reason: str) -> Callable[[_F], _F]:
    """Lets everybody call a function, whatever its router and its API require.

    Args:
        reason: Why, for whoever reviews the API. An empty one is a start-up error.

    Returns:
        A decorator.

    Raises:
        TypeError: `reason` is no text: `@public` needs its parentheses.
    """
    if not isinstance(reason, str):
        raise TypeError('write @public(reason="…"): why everybody may call this')

    def declare(function: _F) -> _F:
        _registry.mark_public(function, reason, sys._getframe(1).f_globals)
        return function

    return declare


def protections(given: Protection | Sequence[Protection] | None, argument: str) -> list[Protection]:
    """The protections of an argument that takes none, one or several.

    Raises:
        TypeError: Something in it is no protection.
    """
    if given is None:
        return []
    listed = [given] if isinstance(given, Protection) else given
    for each in listed if isinstance(listed, list | tuple) else [listed]:
        if not isinstance(each, Protection):
            raise TypeError(
                f"{argument}: expected what jwt_required(…) and its like return, or a list of it, "
                f"found {_kind(each)}"
            )
    return list(listed)


def _kept(given: object) -> object:
    """A copy of a mapping or a list, which may change later; anything else as it is."""
    if isinstance(given, Mapping):
        return dict(given)
    return list(given) if isinstance(given, list | tuple) else given


def _kind(given: object) -> str:
    """What errors call a value that they must not show."""
    return type(given).__name__

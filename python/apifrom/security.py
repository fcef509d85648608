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
from typing import Any, Final, TypeVar

from apifrom import _registry
from apifrom._apifrom import Secret, secret

__all__ = [
    "OAuth2Token",
    "Protection",
    "Secret",
    "api_key_required",
    "multi_auth_required",
    "public",
    "secret",
]

_F = TypeVar("_F", bound=Callable[..., Any])


class Protection:
    """One declaration of who may call. Its `repr` shows no option: keys may be among them."""

    def __init__(
        self,
        kind: str,
        declared_as: str,
        options: dict[str, Any] | None = None,
        methods: Sequence[Protection] = (),
    ) -> None:
        """Keeps what was declared; the functions of this module are what makes protections."""
        self.kind: Final = kind
        self.declared_as: Final = declared_as
        self.options: Final = {} if options is None else options
        self.methods: Final = list(methods)

    def __call__(self, function: _F) -> _F:
        """Protects `function`, which is returned as it was.

        Raises:
            TypeError: `function` cannot be called.
        """
        if not callable(function):
            raise TypeError(f"{self.declared_as}(…) protects a function, not {function!r}")
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


def api_key_required(
    api_keys: Mapping[str | Secret, Sequence[str]] | Mapping[str, Sequence[str]] | None = None,
    scopes: Sequence[str] = (),
    header_name: str | None = "X-API-Key",
    query_param_name: str | None = None,
    cookie_name: str | None = None,
    *,
    realm: str = "api",
    name: str | None = None,
) -> Protection:
    """Lets callers in who hold one of several API keys.

    Only the digest of a key is kept, and a look-up takes as long whatever of a key is right. A
    handler finds the key that was sent in `request.state.api_key`; logs name its digest alone.

    Args:
        api_keys: The keys, each with the scopes that it holds. A key may be given as `sha256:` and
            the 64 hexadecimal digits of its digest.
        scopes: The scopes that a key must hold; one that lacks one is answered with 403.
        header_name: The header that holds the key; None to look at none.
        query_param_name: The query field that holds the key. A query stands in the logs of every
            proxy on the way.
        cookie_name: The cookie that holds the key.
        realm: The realm of the challenge.
        name: The attribute of `request.state`. Defaults to `api_key`.

    Returns:
        A decorator, which is a value as well.
    """
    options = {
        "api_keys": None if api_keys is None else dict(api_keys),
        "scopes": scopes,
        "header_name": header_name,
        "query_param_name": query_param_name,
        "cookie_name": cookie_name,
        "realm": realm,
        "name": name,
    }
    return Protection("api_key", "api_key_required", options)


def multi_auth_required(
    auth_methods: Sequence[Protection], require_all: bool = False
) -> Protection:
    """Lets callers in who meet one of several protections, or all of them.

    Of *any*, the methods are asked in their order and the first that passes is taken; what fails
    does not stop the next. Of *all*, 403 is answered only when everybody authenticated. Only what
    passed is found in `request.state`.

    Args:
        auth_methods: `jwt_required(…)` and its like; one of them may be another
            `multi_auth_required(…)`.
        require_all: True when all must pass. Two methods of one kind then need names of their own.

    Returns:
        A decorator, which is a value as well.

    Raises:
        TypeError: One of them is no protection.
    """
    methods = protections(auth_methods, "auth_methods")
    kind = "all" if require_all else "any"
    return Protection(kind, "multi_auth_required", methods=methods)


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
    listed = [given] if isinstance(given, Protection) else list(given)
    for each in listed:
        if not isinstance(each, Protection):
            raise TypeError(
                f"{argument}: expected what jwt_required(…) and its like return, "
                f"found {type(each).__name__}"
            )
    return listed

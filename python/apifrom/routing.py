"""Endpoints below one prefix that share their protection."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from apifrom import _registry
from apifrom._registry import Declaration
from apifrom.middleware import RateLimitMiddleware, limits
from apifrom.security import Protection, protections

__all__ = ["Router"]

_F = TypeVar("_F", bound=Callable[..., Any])


class Endpoints:
    """What declares endpoints: an API, or a router."""

    def __init__(self) -> None:
        """Begins without endpoints."""
        self.has_started = False
        self._declared: list[Declaration] = []
        self._routers: list[Router] = []

    def api(
        self,
        route: str,
        method: str | None = None,
        *,
        methods: Iterable[str] | None = None,
        max_body_size: int | None = None,
        blocking: bool | None = None,
    ) -> Callable[[_F], _F]:
        """Makes a function an endpoint here; see `apifrom.api`."""
        module = sys._getframe(1).f_globals
        options = {"max_body_size": max_body_size, "blocking": blocking}
        return decorator(self._declare, module, route, given_methods(method, methods), options)

    def get(self, route: str, **options: Any) -> Callable[[_F], _F]:
        """`api` with the method GET."""
        return self._with("GET", route, options)

    def post(self, route: str, **options: Any) -> Callable[[_F], _F]:
        """`api` with the method POST."""
        return self._with("POST", route, options)

    def put(self, route: str, **options: Any) -> Callable[[_F], _F]:
        """`api` with the method PUT."""
        return self._with("PUT", route, options)

    def patch(self, route: str, **options: Any) -> Callable[[_F], _F]:
        """`api` with the method PATCH."""
        return self._with("PATCH", route, options)

    def delete(self, route: str, **options: Any) -> Callable[[_F], _F]:
        """`api` with the method DELETE."""
        return self._with("DELETE", route, options)

    def router(self, router: Router) -> None:
        """Adds the endpoints of a router.

        Raises:
            RuntimeError: The API has started already.
            TypeError: `router` is none.
            ValueError: This stands in `router`, or is it.
        """
        self._refuse_when_started("router")
        if not isinstance(router, Router):
            raise TypeError(f"expected a Router, found {type(router).__name__}")
        if any(each is self for each in router.routers()):
            raise ValueError(f"{router!r} cannot stand in itself")
        self._routers.append(router)

    def routers(self) -> Iterator[Endpoints]:
        """This, and the routers below."""
        yield self
        for router in self._routers:
            yield from router.routers()

    def declarations(self) -> Iterator[Declaration]:
        """The endpoints that were declared here and in the routers below."""
        yield from self._declared
        for router in self._routers:
            yield from router.declarations()

    def _with(self, method: str, route: str, options: dict[str, Any]) -> Callable[[_F], _F]:
        unknown = options.keys() - {"max_body_size", "blocking"}
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        module = sys._getframe(2).f_globals
        options = {"max_body_size": None, "blocking": None, **options}
        return decorator(self._declare, module, route, (method,), options)

    def _declare(self, declaration: Declaration) -> None:
        self._refuse_when_started("@api")
        self._declared.append(declaration)

    def _refuse_when_started(self, what: str) -> None:
        if self.has_started:
            raise RuntimeError(f"{what}: the API has started, so nothing can be added to it")


class Router(Endpoints):
    """Endpoints below one prefix. Routers can stand in each other.

    What a router requires adds to what its endpoints require themselves, and takes nothing away.

    ```python
    admin = Router("/admin", auth=jwt_required(secret=secret("JWT_SECRET")), scopes=["admin"])


    @admin.get("/users")
    def users() -> list[str]: ...


    app.router(admin)
    ```
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        auth: Protection | Sequence[Protection] | None = None,
        scopes: Sequence[str] = (),
        limit: str | RateLimitMiddleware | Sequence[str | RateLimitMiddleware] | None = None,
    ) -> None:
        """Makes a router without endpoints.

        Args:
            prefix: What stands before the path template of each endpoint, such as `/v1`.
            auth: Who may call: `jwt_required(…)` and its like. Several must all be met.
            scopes: The scopes that whoever was authenticated must have.
            limit: How many requests pass to all of its endpoints together: `"100/minute"`, or a
                `RateLimitMiddleware`. Of several, each holds.

        Raises:
            TypeError: `prefix` is no text, `auth` no protection, `scopes` no list, or `limit` no
                limit.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"prefix: expected text, found {prefix!r}")
        if not isinstance(scopes, list | tuple):
            raise TypeError(f"scopes: expected a list of texts, found {type(scopes).__name__}")
        super().__init__()
        self.prefix = prefix
        self.auth = protections(auth, "auth")
        self.scopes = tuple(scopes)
        self.limits = limits(limit)

    def __repr__(self) -> str:
        return f"Router({self.prefix!r})"

    def declarations(self) -> Iterator[Declaration]:
        """The endpoints, each with what this router adds to it."""
        for each in super().declarations():
            yield dataclasses.replace(
                each,
                route=self.prefix + each.route,
                inherited=(*self.auth, *each.inherited),
                scopes=(*self.scopes, *each.scopes),
                limits=(*self.limits, *each.limits),
            )


def decorator(
    keep: Callable[[Declaration], None],
    module: dict[str, Any],
    route: str,
    methods: Sequence[str],
    options: dict[str, Any],
) -> Callable[[_F], _F]:
    """What `@api` returns: keeps the declaration, and gives the function back as it was.

    Raises:
        TypeError: `route` is no text.
    """
    if not isinstance(route, str):
        raise TypeError(
            f"route: expected a path template, such as '/users/{{id}}', found {route!r}"
        )

    def declare(function: _F) -> _F:
        keep(Declaration(function, route, tuple(methods), options, module))
        _registry.is_endpoint(function)
        return function

    return declare


def given_methods(method: str | None, methods: Iterable[str] | None) -> tuple[str, ...]:
    """The methods of an endpoint, GET where none is named.

    Raises:
        TypeError: Both arguments are given, or `methods` is no list.
    """
    if method is not None and methods is not None:
        raise TypeError("give either method= or methods=, not both")
    if not isinstance(methods, str | list | tuple | set | frozenset | None):
        raise TypeError(f"methods: expected a list of texts, found {type(methods).__name__}")
    if methods is not None:
        return (methods,) if isinstance(methods, str) else tuple(methods)
    return ("GET",) if method is None else (method,)

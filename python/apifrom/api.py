"""The API: declares endpoints and middleware, then hands all of it to the engine at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from apifrom import _apifrom, _registry
from apifrom._asgi import Application, Receive, Scope, Send
from apifrom._endpoint import describe
from apifrom._lifespan import Lifespan, hooks
from apifrom.exceptions import ConfigurationError
from apifrom.routing import Endpoints, decorator, given_methods
from apifrom.security import Protection, protections

__all__ = ["API", "api"]

_F = TypeVar("_F", bound=Callable[..., Any])
_Hook = Callable[[], Any] | Callable[[], Awaitable[Any]]

# Limits are counted in the engine, so an API must not have two. One lock for all APIs, since they
# share what modules declared.
_freezing = threading.RLock()


def api(
    route: str,
    method: str | None = None,
    *,
    methods: Iterable[str] | None = None,
    max_body_size: int | None = None,
    blocking: bool | None = None,
) -> Callable[[_F], _F]:
    """Makes a function an endpoint of the API of the same module.

    The API may be made before or after. In a module without one, it is the only API of the
    process; with several, the start fails and names them. The function itself is returned as it
    was.

    Args:
        route: The path template, such as `/users/{user_id}` or `/files/{*rest}`.
        method: The HTTP method. Defaults to `GET`.
        methods: Several methods instead of one.
        max_body_size: The most bytes a body may have. Defaults to the API's own bound.
        blocking: For a `def`: True to always call it in the thread pool, False to always call it
            on the event loop's thread. Defaults to what its run time has proved.

    Returns:
        A decorator.
    """
    module = sys._getframe(1).f_globals
    options = {"max_body_size": max_body_size, "blocking": blocking}
    keep = _registry.declare
    return decorator(keep, module, route, given_methods(method, methods), options)


class API(Endpoints):
    """An API: its endpoints, its middleware and what holds for all of them."""

    def __init__(
        self,
        title: str = "API",
        version: str = "0.1.0",
        description: str = "",
        *,
        trusted_hosts: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        forwarded_header: str = "x-forwarded-for",
        max_body_size: int = 1 << 20,
        max_json_depth: int = 64,
        max_target_size: int = 8 << 10,
        root_path: str = "",
        default: str = "open",
        auth: Protection | Sequence[Protection] | None = None,
        scopes: Sequence[str] = (),
        strict: bool = False,
        development: bool = False,
        lifespan: Callable[[API], AbstractAsyncContextManager[Any]] | None = None,
        on_startup: Sequence[_Hook] = (),
        on_shutdown: Sequence[_Hook] = (),
    ) -> None:
        """Makes an API without endpoints.

        Nothing is checked before the API starts; then everything that is wrong is reported at
        once.

        Args:
            title: The API's name.
            version: The API's own version.
            description: What the API is for.
            trusted_hosts: The hosts it answers to, `example.com` or `*.example.com`. Empty: any.
            trusted_proxies: The proxies whose forwarding headers are believed: addresses, CIDR
                ranges, `unix`. None by default, loopback included.
            forwarded_header: The one header in which those proxies name the client,
                `x-forwarded-for` or `forwarded`.
            max_body_size: The most bytes a body may have.
            max_json_depth: How deep JSON may nest.
            max_target_size: The most bytes that path and query may have together.
            root_path: A path that a proxy strips before requests arrive.
            default: What an endpoint without protection is: `open`, or `deny`, which does not start
                before each is protected or `@public(reason=…)`.
            auth: Who may call any endpoint that is not public: `jwt_required(…)` and its like.
                Several must all be met, beside what routers and endpoints require.
            scopes: The scopes that whoever was authenticated must have.
            strict: Does not start while `apifrom check` finds an error, in the source too, and
                turns warnings about weak settings into errors.
            development: Relaxes what gets in the way on a developer's machine.
            lifespan: An async context manager over the whole run, given this API.
            on_startup: Functions to call on each worker before its first request.
            on_shutdown: Functions to call on each worker after its last request.

        Raises:
            TypeError: `auth` is no protection, or one of the last two no list.
        """
        super().__init__()
        self.module = sys._getframe(1).f_globals
        self.title = title
        self._config: dict[str, Any] = {
            "title": title,
            "version": version,
            "description": description,
            "trusted_hosts": trusted_hosts,
            "trusted_proxies": trusted_proxies,
            "forwarded_header": forwarded_header,
            "max_body_size": max_body_size,
            "max_json_depth": max_json_depth,
            "max_target_size": max_target_size,
            "root_path": root_path,
            "default": default,
            "auth": protections(auth, "auth"),
            "scopes": scopes,
            "strict": strict,
            "development": development,
        }
        self._middleware: list[object] = []
        self._lifespan = lifespan
        self._on_startup = hooks(on_startup, "on_startup")
        self._on_shutdown = hooks(on_shutdown, "on_shutdown")
        self._frozen: _apifrom.Engine | None = None
        self._application = Application(self)
        _registry.apis.add(self)

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"{self.module.get('__name__', '?')} {self.title!r}"

    def __repr__(self) -> str:
        return f"API(title={self.title!r})"

    def add_middleware(self, middleware: object, **options: Any) -> None:
        """Declares middleware; its place on a request's way is the engine's choice.

        Args:
            middleware: One of `apifrom.middleware`, an object of your own with any of `before`,
                `around` and `after`, or a class that is made from `options`.
            options: The keywords for a class.

        Raises:
            RuntimeError: The API has started already.
        """
        self._refuse_when_started("add_middleware")
        if isinstance(middleware, type):
            middleware = middleware(**options)
        elif options:
            raise TypeError("keywords go with a class, not with an instance")
        self._middleware.append(middleware)

    def on_startup(self, hook: _F) -> _F:
        """Calls `hook` on each worker before its first request."""
        self._refuse_when_started("on_startup")
        self._on_startup.append(hook)
        return hook

    def on_shutdown(self, hook: _F) -> _F:
        """Calls `hook` on each worker after its last request."""
        self._refuse_when_started("on_shutdown")
        self._on_shutdown.append(hook)
        return hook

    def run(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        **options: Any,
    ) -> None:
        """Serves the API until Ctrl-C or SIGTERM.

        With `workers` above 1 the program is run once more for each of them, up to this call, which
        serves there and does not return.

        Everything that is wrong with the configuration is printed at once, before anything is
        opened, and ends the process with status 1.

        Args:
            host: The address to listen on.
            port: The port; 0 lets the system choose.
            options: See `apifrom.server.OPTIONS`; the listener, TLS and log options have the
                names that uvicorn gives them.

        Raises:
            SystemExit: With status 1 when it cannot start, or did not end in time.
        """
        from apifrom import server  # noqa: PLC0415 - a test client never needs it

        server.run(self, {"host": host, "port": port, **options})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one scope of a foreign ASGI 3 server: HTTP and the lifespan.

        What is decided and answered is the same as under `run`. TLS and the limits on connections
        and on time are that server's, and its handling of proxy headers must be off: name the
        proxies in `trusted_proxies`.
        """
        await self._application(scope, receive, send)

    def lifespan(self) -> Lifespan:
        """What runs at the start and at the end of one worker."""
        return Lifespan(self, self._lifespan, self._on_startup, self._on_shutdown)

    def _develop(self, ready: Callable[[], Awaitable[Any]]) -> None:
        """Relaxes what gets in the way on a developer's machine, as `apifrom dev` does.

        Args:
            ready: Called once requests can be answered, after all that runs at the start.
        """
        self._config["development"] = True
        self._on_startup.append(ready)

    def thaw(self) -> None:
        """Lets go of the frozen engine and its connections: other processes serve."""
        self._frozen = None

    def freeze(
        self, server: dict[str, Any] | None = None, *, lenient: bool = False, quiet: bool = False
    ) -> _apifrom.Engine:
        """Checks everything that was declared and hands it to the engine, once.

        Serving does this by itself; call it to check a configuration without serving.

        Args:
            server: The options of `run`, where it serves.
            lenient: True to leave what is weak to `apifrom check`, also under `strict`.
            quiet: True to leave the warnings to another process of the same program.

        Returns:
            The frozen engine.

        Raises:
            ConfigurationError: Everything that is wrong, at once.
        """
        if self._frozen is not None and server is None:
            return self._frozen
        with _freezing:
            if self._frozen is None or server is not None:
                self._frozen = self._make_engine(server, lenient=lenient, quiet=quiet)
            return self._frozen

    def _make_engine(
        self, server: dict[str, Any] | None, *, lenient: bool, quiet: bool
    ) -> _apifrom.Engine:
        claimed, errors = _registry.claim(self)
        endpoints = []
        served = [*claimed, *self.declarations()]
        errors.extend(_registry.unreached(served))
        errors.extend(_registry.unheeded(served))
        errors.extend(self.lifespan().mistakes())
        for declaration in served:
            endpoint, found = describe(declaration, self._config["auth"])
            errors.extend(found)
            if endpoint is not None:
                endpoints.append(endpoint)
        config = {**self._config, "lenient": lenient, "quiet": quiet}
        engine, found = _apifrom.freeze(config, endpoints, self._middleware, server)
        errors.extend(found)
        if not lenient and self._is_strict():
            from apifrom._check import refusals  # noqa: PLC0415 - only where it is asked for

            errors.extend(refusals(self))
        if errors or engine is None:
            raise ConfigurationError(errors)
        _registry.serve(served)
        for each in self.routers():
            each.has_started = True
        return engine

    def _is_strict(self) -> bool:
        # Read as the engine reads it: whatever is no clear "off" is "on".
        variable = os.environ.get("APIFROM_STRICT", "")
        return bool(self._config["strict"]) or variable not in {"", "0"}

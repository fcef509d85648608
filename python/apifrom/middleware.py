"""Middleware: what surrounds every call. The order is the engine's, whatever the program's is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from apifrom import _registry

__all__ = ["CORSMiddleware", "ErrorHandlingMiddleware", "Middleware", "cors"]

_F = TypeVar("_F", bound=Callable[..., Any])


class _Declared:
    """A description that the engine reads at start."""

    kind: ClassVar[str] = ""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class CORSMiddleware(_Declared):
    """Which pages of other origins may read the answers.

    Preflights are answered for any path, before anybody is asked who they are. Every answer,
    refusals and failures included, names the origin that may read it, if one may.
    """

    kind = "cors"

    def __init__(
        self,
        *,
        allow_origins: Sequence[str],
        allow_methods: Sequence[str] = ("GET", "HEAD", "POST"),
        allow_headers: Sequence[str] = (),
        allow_credentials: bool = False,
        expose_headers: Sequence[str] = (),
        max_age: int = 600,
    ) -> None:
        """Describes a policy; whatever is wrong with it stops the start.

        Args:
            allow_origins: The origins, `https://example.com`; `https://*.example.com` for whole
                labels below a domain, `null`, or `*` for everybody.
            allow_methods: The methods, or `*`.
            allow_headers: The request headers beyond what any page may send, or `*`.
            allow_credentials: Lets pages send cookies and log-ins along. Forbids `*` in any list.
            expose_headers: The answer's headers that a page may read beyond the plain ones, or `*`.
            max_age: How long a browser may keep the answer to a preflight, in seconds.
        """
        super().__init__(
            allow_origins=allow_origins,
            allow_methods=allow_methods,
            allow_headers=allow_headers,
            allow_credentials=allow_credentials,
            expose_headers=expose_headers,
            max_age=max_age,
        )


def cors(**options: Any) -> Callable[[_F], _F]:
    """Gives an endpoint a policy about origins of its own, in place of the whole API's.

    Args:
        options: What `CORSMiddleware` takes.

    Returns:
        A decorator, for above or below `@api`.
    """
    declared = CORSMiddleware(**options)
    module = sys._getframe(1).f_globals

    def declare(function: _F) -> _F:
        _registry.surround(function, declared.kind, declared.options, module)
        return function

    return declare


class ErrorHandlingMiddleware(_Declared):
    """What a failing handler shows: everything to the log, nothing to the client."""

    kind = "error_handling"

    def __init__(
        self,
        *,
        debug: bool = False,
        include_traceback: bool = False,
        log_exceptions: bool = True,
    ) -> None:
        """Describes what is shown.

        Args:
            debug: Puts the exception's own text into the answer.
            include_traceback: Puts the traceback into the answer.
            log_exceptions: Writes exceptions to the log.
        """
        super().__init__(
            debug=debug, include_traceback=include_traceback, log_exceptions=log_exceptions
        )


class Middleware:
    """A base for middleware of your own. Any of the three may be `def` or `async def`.

    `before` and `around` see what every protection let through, before the body is read; `after`
    sees every answer, refusals included. Define only what you need:

    ```python
    class Timed(Middleware):
        async def around(self, request, call_next):
            begin = time.perf_counter()
            response = await call_next(request)
            response.headers["X-Time"] = f"{time.perf_counter() - begin:.6f}"
            return response
    ```

    - `before(request)`: answers instead of the handler when it returns anything but None.
    - `around(request, call_next)`: must be `async def`; calls the handler through `call_next`.
    - `after(request, response)`: changes the response, or returns another.
    """

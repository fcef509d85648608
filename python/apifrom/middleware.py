"""Middleware: what surrounds every call. The order is the engine's, whatever the program's is."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["ErrorHandlingMiddleware", "Middleware"]


class _Declared:
    """A description that the engine reads at start."""

    kind: ClassVar[str] = ""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


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

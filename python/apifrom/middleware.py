"""Middleware: what surrounds every call. The order is the engine's, whatever the program's is."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, ClassVar, Literal, TypeVar

from apifrom import _registry
from apifrom._apifrom import csp_nonce, csrf_token
from apifrom.security import Secret

__all__ = [
    "CORSMiddleware",
    "CSRFMiddleware",
    "CompressionMiddleware",
    "ErrorHandlingMiddleware",
    "HTTPSRedirectMiddleware",
    "Middleware",
    "RateLimitMiddleware",
    "SecurityHeadersMiddleware",
    "TimeoutMiddleware",
    "compression",
    "cors",
    "csp_nonce",
    "csrf_exempt",
    "csrf_token",
    "rate_limit",
    "security_headers",
    "timeout",
]

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
    return _replacing(CORSMiddleware(**options), sys._getframe(1).f_globals)


class CompressionMiddleware(_Declared):
    """Sends answers in a shorter form where the client takes it; without it nothing is compressed.

    Text of at least `minimum_size` bytes, or of a length that is not known, is compressed as the
    client reads it. Secrets beside input never are, because the length of the compressed form
    gives them away (BREACH): answers of endpoints that ask who calls, answers to requests with a
    cookie or `Authorization`, and answers that set a cookie. Nor are events, parts of files, what
    is coded already, and what says `Cache-Control: no-transform`.
    """

    kind = "compression"

    def __init__(
        self,
        *,
        encodings: Sequence[str] = ("zstd", "br", "gzip"),
        minimum_size: int = 1024,
        insecure_authenticated: bool = False,
    ) -> None:
        """Describes what is compressed; whatever is wrong with it stops the start.

        Args:
            encodings: The codings on offer, the best first. Empty for none.
            minimum_size: The fewest bytes that are worth it.
            insecure_authenticated: Compresses what is for one caller alone as well. Safe only where
                answers hold no secret, or nothing that a request can put there.
        """
        super().__init__(
            encodings=encodings,
            minimum_size=minimum_size,
            insecure_authenticated=insecure_authenticated,
        )


def compression(**options: Any) -> Callable[[_F], _F]:
    """Gives an endpoint forms of its answers of its own, in place of the whole API's.

    Args:
        options: What `CompressionMiddleware` takes.

    Returns:
        A decorator, for above or below `@api`.
    """
    return _replacing(CompressionMiddleware(**options), sys._getframe(1).f_globals)


class CSRFMiddleware(_Declared):
    """Keeps pages of other sites from acting with a browser's credentials.

    A request with one of `methods` passes when it was authenticated by a credential that browsers
    never send by themselves (a bearer token, an API key in a header), or when no other site sent it
    and its token stands once in its cookie and once in its header, or in a field of its form.
    Anything else is 403, and the handler is not called. Every other request gets the cookie with
    its answer.
    """

    kind = "csrf"

    def __init__(
        self,
        *,
        secret: str | Secret | Sequence[str | Secret] | None,
        cookie_name: str = "__Host-csrf",
        header_name: str = "X-CSRF-Token",
        form_field: str = "csrf_token",
        secure: bool = True,
        samesite: str = "lax",
        methods: Sequence[str] = ("POST", "PUT", "PATCH", "DELETE"),
        trusted_origins: Sequence[str] = (),
        session: Callable[[Any], Any] | None = None,
    ) -> None:
        """Describes the protection; whatever is wrong with it stops the start.

        Args:
            secret: What tokens are signed with, 32 bytes or more. Of a list the first signs, and
                each verifies, so that one can be replaced.
            cookie_name: The cookie's name. Other hosts of the same site can set any cookie whose
                name does not begin with `__Host-`.
            header_name: The header that repeats the token.
            form_field: The form field that repeats it, where the header is not sent.
            secure: Lets the cookie travel over TLS alone.
            samesite: On which requests of other sites browsers send the cookie: `"lax"`, `"strict"`
                or `"none"`.
            methods: The methods that are protected.
            trusted_origins: Other origins whose pages may send requests that bear a token:
                `https://example.com`, `https://*.example.com`.
            session: Names the session that a token belongs to, for sessions that handlers keep: a
                function of the request, `def` or `async def`, that returns `str`, `bytes`, `int`, a
                tuple of these, or `None` for none. An exception is 503. A Basic log-in and what a
                cookie proved to this API are bound without it.
        """
        super().__init__(
            secret=secret,
            cookie_name=cookie_name,
            header_name=header_name,
            form_field=form_field,
            secure=secure,
            samesite=samesite,
            methods=methods,
            trusted_origins=trusted_origins,
            session=session,
        )


def csrf_exempt(reason: str) -> Callable[[_F], _F]:
    """Lets pages of other sites call an endpoint: a webhook, say, whose sender signs.

    Args:
        reason: Why that is safe, for whoever reviews the API. Must not be empty.

    Returns:
        A decorator, for above or below `@api`.

    Raises:
        TypeError: `reason` is no text: `@csrf_exempt` needs its parentheses.
    """
    if not isinstance(reason, str):
        raise TypeError('write @csrf_exempt(reason="…"): why other sites may call this')
    module = sys._getframe(1).f_globals

    def declare(function: _F) -> _F:
        _registry.surround(function, "csrf_exempt", {"reason": reason}, module)
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


class HTTPSRedirectMiddleware(_Declared):
    """Leads what comes in clear text to HTTPS, and refuses what must not be sent that way.

    A plain GET or HEAD without a body and without a credential is answered 308 with the same
    address under `https`. Anything else is 403, because a client that is led on quietly would send
    its password or its form in clear text every time. A request that a trusted proxy took over TLS
    passes. Under `development` the machine itself is exempt.
    """

    kind = "https_redirect"

    def __init__(self, *, host: str | None = None, port: int = 443) -> None:
        """Describes where requests are led to; whatever is wrong with it stops the start.

        Args:
            host: The host. `None` is the one that was asked for, and needs `trusted_hosts` on the
                API.
            port: The port that TLS is served at.
        """
        super().__init__(host=host, port=port)


class RateLimitMiddleware(_Declared):
    """How many requests of one client pass in a span of time.

    Clients are counted by address, an IPv6 client by its /64, before anybody is asked who they
    are: refused log-ins and unknown paths count as well; preflights, and paths or hosts that are
    refused before a route is looked for, do not. By any other key a request counts once
    authentication let it through, at endpoints alone. Never more than `limit` are accepted in any
    span of `window`; a request beyond it is answered 429 with `Retry-After` and costs nothing.
    Added several times, each limit holds.
    """

    kind = "rate_limit"

    def __init__(
        self,
        *,
        limit: int,
        window: float,
        key_func: Callable[[Any], Any] | Literal["identity"] | None = None,
        storage: str = "memory",
        redis_url: str | Secret | None = None,
        on_failure: Literal["local", "closed", "insecure_open"] | None = None,
        headers: bool = True,
        max_keys: int = 1_000_000,
        cost: int = 1,
    ) -> None:
        """Describes a limit; whatever is wrong with it stops the start.

        Args:
            limit: How many requests pass in any span of the window: 1 to 1,000,000,000.
            window: The span in seconds: a thousandth to a year.
            key_func: Whose requests count together. `None` and `lambda request:
                request.client.host` are the client's address, found without calling Python;
                `"identity"` is whom authentication proved, and the address of anybody else. Any
                other function, `def` or `async def`, is given the request and returns `str`,
                `bytes`, `int`, a tuple of these, or `None` for the address; anything else, and an
                exception, is 503.
            storage: Where counts are kept: `"memory"`, that is in this process, or `"redis"`, where
                all processes and hosts that ask the server count together.
            redis_url: The Redis or Valkey server, `redis://user:password@host:6379/0` (`rediss` for
                TLS, `unix` for a socket).
            on_failure: What is done while that server is away: `"local"` (or `None`) counts in each
                process, `"closed"` refuses with 503, `"insecure_open"` lets everybody pass. Only
                with `storage="redis"`.
            headers: Says on every answer how much is left: `X-RateLimit-Limit`, `-Remaining` and
                `-Reset` (seconds until all is back), `RateLimit` and `RateLimit-Policy`.
            max_keys: How many clients are counted apart. Beyond it new clients share counters,
                which may refuse early and never forget.
            cost: As how many a request counts: 1 to `limit`.
        """
        super().__init__(
            limit=limit,
            window=window,
            key_func=None if _is_client_host(key_func) else key_func,
            storage=storage,
            redis_url=redis_url,
            on_failure=on_failure,
            headers=headers,
            max_keys=max_keys,
            cost=cost,
        )


def rate_limit(
    rule: str,
    *,
    key: Callable[[Any], Any] | Literal["identity"] | None = None,
    cost: int = 1,
    headers: bool = True,
    max_keys: int = 1_000_000,
    storage: str = "memory",
    redis_url: str | Secret | None = None,
    on_failure: Literal["local", "closed", "insecure_open"] | None = None,
) -> Callable[[_F], _F]:
    """Limits the calls of one endpoint, beside what the API and its routers allow; stackable.

    Args:
        rule: How many in which span: `"100/minute"` (`second`, `minute`, `hour`, `day`), or
            `"10/30s"` (a number of `s`, `m`, `h` or `d`).
        key: Whose calls count together: what `key_func` of `RateLimitMiddleware` takes.
        cost: As how many a call counts.
        headers: Says on every answer how much is left.
        max_keys: How many keys are counted apart.
        storage: Where counts are kept, as in `RateLimitMiddleware`.
        redis_url: The server of `storage="redis"`.
        on_failure: What is done while that server is away.

    Returns:
        A decorator, for above or below `@api`.

    Raises:
        TypeError: `rule` is no text: `@rate_limit` needs its parentheses.
    """
    if not isinstance(rule, str):
        raise TypeError('write @rate_limit("100/minute")')
    options = _limit(
        rule,
        key=key,
        cost=cost,
        headers=headers,
        max_keys=max_keys,
        storage=storage,
        redis_url=redis_url,
        on_failure=on_failure,
    )
    module = sys._getframe(1).f_globals

    def declare(function: _F) -> _F:
        _registry.limit(function, options, module)
        return function

    return declare


def _limit(rule: str, **options: Any) -> dict[str, Any]:
    """What the engine reads of a limit that is written as a text."""
    key = options.pop("key", None)
    return {"rule": rule, "key_func": None if _is_client_host(key) else key, **options}


def limits(given: object) -> tuple[dict[str, Any], ...]:
    """The limits of a router: a text, a `RateLimitMiddleware`, or several of them.

    Raises:
        TypeError: Anything else.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        return (_limit(given),)
    if isinstance(given, RateLimitMiddleware):
        return (given.options,)
    if isinstance(given, Sequence):
        return tuple(limit for each in given for limit in limits(each))
    raise TypeError(
        f'limit: expected "100/minute" or a RateLimitMiddleware, found {type(given).__name__}'
    )


def _is_client_host(function: object) -> bool:
    """Whether a function is `lambda request: request.client.host` under any name."""
    if not isinstance(function, FunctionType):
        return False
    code = function.__code__
    arguments = (code.co_argcount, code.co_kwonlyargcount)
    # 0x0C: neither *args nor **kwargs. 0x2A0: no generator and no coroutine.
    if arguments != (1, 0) or code.co_flags & (0x0C | 0x2A0):
        return False
    quiet = {"RESUME", "CACHE", "NOP", "COPY_FREE_VARS"}
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    wanted = [("LOAD_ATTR", "client"), ("LOAD_ATTR", "host"), ("RETURN_VALUE", None)]
    match [step for step in steps if step[0] not in quiet]:
        case [(load, name), *rest]:
            return load.startswith("LOAD_FAST") and name == code.co_varnames[0] and rest == wanted
        case _:
            return False


class SecurityHeadersMiddleware(_Declared):
    """What browsers are told about every answer, refusals and failures included.

    `None` stands for a header's default, `False` leaves it out. What a handler wrote itself stays,
    unless `enforce` is on.
    """

    kind = "security_headers"

    def __init__(
        self,
        *,
        csp: Mapping[str, Sequence[str] | bool] | Literal[False] | None = None,
        hsts: Mapping[str, int | bool] | Literal[False] | None = None,
        x_content_type_options: Literal["nosniff"] = "nosniff",
        x_frame_options: str | Literal[False] | None = None,
        x_xss_protection: str | Literal[False] | None = None,
        referrer_policy: str | Literal[False] | None = None,
        permissions_policy: Mapping[str, Sequence[str] | bool] | Literal[False] | None = None,
        cross_origin_resource_policy: str | Literal[False] | None = None,
        enforce: bool = False,
    ) -> None:
        """Describes the headers; whatever is wrong with them stops the start.

        Args:
            csp: `Content-Security-Policy` by directive: a list of values, `True` for the bare name,
                `False` for none. By default nothing may be loaded, and by an HTML page only what
                its own origin serves.
            hsts: `Strict-Transport-Security`: `max-age` in seconds, `includeSubDomains`, `preload`.
                Sent only where the client came over TLS. By default one year.
            x_content_type_options: `nosniff`, which is always sent.
            x_frame_options: `DENY` or `SAMEORIGIN`. By default `DENY`.
            x_xss_protection: `0`, `1` or `1; mode=block`. By default none: browsers dropped it.
            referrer_policy: By default `no-referrer`.
            permissions_policy: `Permissions-Policy` by feature: who may use it, `[]` for nobody.
                By default none.
            cross_origin_resource_policy: `same-origin`, `same-site` or `cross-origin`. By default
                `same-origin`.
            enforce: Replaces what a handler wrote itself.
        """
        super().__init__(
            csp=_plain(csp),
            hsts=_plain(hsts),
            x_content_type_options=x_content_type_options,
            x_frame_options=x_frame_options,
            x_xss_protection=x_xss_protection,
            referrer_policy=referrer_policy,
            permissions_policy=_plain(permissions_policy),
            cross_origin_resource_policy=cross_origin_resource_policy,
            enforce=enforce,
        )


def security_headers(**options: Any) -> Callable[[_F], _F]:
    """Gives an endpoint security headers of its own, in place of the whole API's.

    Args:
        options: What `SecurityHeadersMiddleware` takes.

    Returns:
        A decorator, for above or below `@api`.
    """
    return _replacing(SecurityHeadersMiddleware(**options), sys._getframe(1).f_globals)


class TimeoutMiddleware(_Declared):
    """Answers 503 where an answer does not begin in time; without it nothing is hurried.

    The time runs from the head of the request to the head of its answer. When it is over, an
    `async def` is cancelled where it waits. A `def` cannot be stopped: it runs to its end in its
    thread, and its answer is dropped.
    """

    kind = "timeout"

    def __init__(self, seconds: float) -> None:
        """Describes the time; whatever is wrong with it stops the start.

        Args:
            seconds: How long an answer may take to begin: more than 0, and at most a day.
        """
        super().__init__(seconds=seconds)


def timeout(seconds: float) -> Callable[[_F], _F]:
    """Gives an endpoint a time of its own to answer in, in place of the whole API's.

    Args:
        seconds: How long an answer may take to begin.

    Returns:
        A decorator, for above or below `@api`.

    Raises:
        TypeError: `seconds` is a function: `@timeout` needs its parentheses.
    """
    if callable(seconds):
        raise TypeError("write @timeout(5)")
    return _replacing(TimeoutMiddleware(seconds), sys._getframe(1).f_globals)


def _replacing(declared: _Declared, module: dict[str, Any]) -> Callable[[_F], _F]:
    """A decorator that declares it for an endpoint, in place of the whole API's."""

    def declare(function: _F) -> _F:
        _registry.surround(function, declared.kind, declared.options, module)
        return function

    return declare


def _plain(given: object) -> object:
    """A mapping as a dictionary; anything else as it is, for the engine to judge."""
    return dict(given) if isinstance(given, Mapping) else given


class Middleware:
    """A base for middleware of your own. Any of the three may be `def` or `async def`.

    `before` and `around` see what every protection let through, before the body is read; `after`
    sees every answer, refusals included. Define only what you need:

    ```python
    import time


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

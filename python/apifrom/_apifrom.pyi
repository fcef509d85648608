"""The compiled half of the package."""

from asyncio import AbstractEventLoop
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from datetime import datetime
from os import PathLike
from typing import Any, ClassVar, Literal, LiteralString, Protocol, Self, TypeVar, final, overload

from typing_extensions import disjoint_base

from apifrom._lifespan import Lifespan
from apifrom._program import Program
from apifrom.requests import State
from apifrom.uploads import SyncUploadFile, UploadFile

__all__ = [
    "URL",
    "Assignment",
    "BackgroundTask",
    "BackgroundTasks",
    "BaseDatabase",
    "BaseRequest",
    "Client",
    "DatabaseStats",
    "EmailCheck",
    "Engine",
    "Exchange",
    "Executed",
    "FileResponse",
    "FormData",
    "HTMLResponse",
    "Headers",
    "Identifier",
    "JSONResponse",
    "KeyRecord",
    "MutableHeaders",
    "Params",
    "PlainTextResponse",
    "RedirectResponse",
    "Request",
    "Response",
    "Revocation",
    "Row",
    "Rows",
    "Secret",
    "Spelling",
    "Sql",
    "StartError",
    "StreamingResponse",
    "Supervisor",
    "SyncRequest",
    "TestServer",
    "Transaction",
    "_Call",
    "_Route",
    "_Worker",
    "_pool_load",
    "_run_worker",
    "check_rules",
    "compare_postures",
    "create_jwt_token",
    "csp_nonce",
    "csrf_token",
    "flush_logs",
    "freeze",
    "hash_password",
    "ident",
    "insecure_raw",
    "is_debug_build",
    "new_api_key",
    "secret",
    "serve",
    "sql",
    "static_file",
    "verify_jws",
    "verify_jwt_token",
    "verify_password",
]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

# Requests

@final
class Headers(Mapping[str, str]):
    """The headers of a request.

    Names are compared without regard to case. A name may have several values, of which look-ups
    give the first. Bytes above 127 are read as latin-1.
    """

    def __getitem__(self, name: str, /) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: _T) -> str | _T: ...
    def getlist(self, name: str) -> list[str]:
        """Every value of `name`, in order."""

    def multi_items(self) -> list[tuple[str, str]]:
        """Every line: a name with several values comes several times."""

@disjoint_base
class Params(Mapping[str, str]):
    """The fields of a query or a form.

    A name may have several values, of which look-ups give the first.
    """

    def __getitem__(self, name: str, /) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: _T) -> str | _T: ...
    def getlist(self, name: str) -> list[str]:
        """Every value of `name`, in order."""

    def multi_items(self) -> list[tuple[str, str]]:
        """Every field: a name with several values comes several times."""

@final
class FormData(Params):
    """The fields of a form, and its files beside them.

    A field that is a file is never text, and the other way round.
    """

    def file(self, name: str) -> UploadFile | SyncUploadFile | None:
        """The first file of `name`: an `UploadFile` in an `async def`, else a `SyncUploadFile`."""

    def getfiles(self, name: str) -> list[UploadFile | SyncUploadFile]:
        """Every file of `name`, in order."""

    def file_names(self) -> list[str]:
        """The names of the files, each once."""

@final
class URL:
    """The URL of a request, as the client saw it.

    `str(url)` is the whole of it; it compares equal to that text. Its `repr` leaves the query out,
    which may hold a token.
    """

    @property
    def scheme(self) -> Literal["http", "https"]:
        """What the client used, also where a trusted proxy ends TLS."""

    @property
    def host(self) -> str:
        """The host without the port, in lower case."""

    @property
    def port(self) -> int | None:
        """The port, where one was named."""

    @property
    def path(self) -> str:
        """The path as it was sent, below the API's `root_path`."""

    @property
    def query(self) -> str:
        """The query as it was sent, without its `?`."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Client:
    """Who sent a request: the peer, or whom a trusted proxy named."""

    @property
    def host(self) -> str | None:
        """The address; None behind a Unix domain socket that names nobody."""

    @property
    def port(self) -> int:
        """The port; 0 where it is not known."""

@disjoint_base
class BaseRequest:
    """What both kinds of request have in common."""

    @property
    def method(self) -> str:
        """The method, in upper case."""

    @property
    def path(self) -> str:
        """The path as routes are matched against it: decoded, but for `%2F` and `%25`."""

    @property
    def url(self) -> URL:
        """The URL as the client saw it."""

    @property
    def headers(self) -> Headers:
        """The headers."""

    @property
    def query_params(self) -> Params:
        """The fields of the query.

        Raises:
            UnreadableRequest: The query is malformed.
        """

    @property
    def path_params(self) -> dict[str, str]:
        """The captures of the path, decoded."""

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies.

        One that was sent twice is left out: whichever was meant, another host of the same site may
        have planted it.

        Raises:
            UnreadableRequest: There are too many.
        """

    @property
    def client(self) -> Client:
        """Who sent it."""

    @property
    def request_id(self) -> str:
        """The id in the answer's `X-Request-ID` and in the log."""

    @property
    def state(self) -> State:
        """Attributes of this request: what authentication and own middleware leave."""

@final
class Request(BaseRequest):
    """The request of an `async def`."""

    def body(self) -> Awaitable[bytes]:
        """Waits for the whole body, which is kept.

        Raises:
            UnreadableRequest: It is too large, too slow or broken.
            RuntimeError: It was streamed.
        """

    def json(self) -> Awaitable[Any]:
        """Waits for the body and reads it as JSON, by the rules that hold for every body.

        Raises:
            UnreadableRequest: As `body`, or it is of another type or malformed.
            RuntimeError: It was streamed.
        """

    def form(self) -> Awaitable[FormData]:
        """Waits for the body and reads it as a form, urlencoded or multipart.

        The whole of it is held in memory; an `UploadFile` parameter is read while it arrives.

        Raises:
            UnreadableRequest: As `body`, or it is of another type or malformed.
            RuntimeError: It was streamed.
        """

    def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it arrives; it is not kept.

        Raises:
            UnreadableRequest: It is too large, too slow or broken.
        """

@final
class SyncRequest(BaseRequest):
    """The request of a `def`, whose body was read before the call."""

    def body(self) -> bytes:
        """The whole body."""

    def json(self) -> Any:
        """The body, read as JSON, by the rules that hold for every body.

        Raises:
            UnreadableRequest: It is of another type or malformed.
        """

    def form(self) -> FormData:
        """The body, read as a form, urlencoded or multipart.

        Raises:
            UnreadableRequest: It is of another type or malformed.
        """

# Responses

_Headers = Mapping[str, str] | Iterable[tuple[str, str]]
_Content = str | bytes | bytearray | memoryview
_SameSite = Literal["lax", "strict", "none", "Lax", "Strict", "None"]

@final
class MutableHeaders(Mapping[str, str]):
    """The headers of a response, to be read and changed.

    Names are compared without regard to case. A name may have several values, of which look-ups
    give the first. What cannot be sent, and what belongs to the connection, is a `ValueError`.
    """

    def __getitem__(self, name: str, /) -> str: ...
    def __setitem__(self, name: str, value: str, /) -> None: ...
    def __delitem__(self, name: str, /) -> None: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: _T) -> str | _T: ...
    def getlist(self, name: str) -> list[str]:
        """Every value of `name`, in order."""

    def multi_items(self) -> list[tuple[str, str]]:
        """Every line: a name with several values comes several times."""

    def append(self, name: str, value: str) -> None:
        """Adds a value, whatever `name` has already."""

    def setdefault(self, name: str, default: str) -> str:
        """The first value of `name`, which becomes `default` where there is none."""

    def update(self, headers: _Headers) -> None:
        """Sets every name of `headers`, in the place of what it had."""

@disjoint_base
class Response:
    """An answer: a body, its status and its headers.

    Attributes:
        media_type: The media type of this class where the constructor is given none.
    """

    media_type: ClassVar[str | None]

    def __init__(
        self,
        content: _Content | None = None,
        status: int = 200,
        headers: _Headers | None = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
    ) -> None:
        """Builds an answer.

        Args:
            content: The body; text is sent as UTF-8.
            status: 200 to 599.
            headers: A mapping, or pairs where a name has several values.
            media_type: The `Content-Type`; text without a charset is sent as UTF-8. Defaults to
                the class's own, then to plain text or octets by the type of `content`.
            background: What is done after the answer was sent.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The status is none, or a header cannot be sent.
        """

    @property
    def status(self) -> int:
        """The status."""

    @status.setter
    def status(self, value: int, /) -> None: ...
    @property
    def headers(self) -> MutableHeaders:
        """The headers, to be read and changed."""

    @property
    def body(self) -> bytes | None:
        """The body; None for one that is streamed."""

    @body.setter
    def body(self, value: _Content, /) -> None: ...
    @property
    def background(self) -> BackgroundTask | BackgroundTasks | None:
        """What is done after the answer was sent."""

    @background.setter
    def background(self, value: BackgroundTask | BackgroundTasks | None, /) -> None: ...
    def set_cookie(
        self,
        name: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        httponly: bool = True,
        samesite: _SameSite = "lax",
    ) -> None:
        """Has the browser keep a cookie, in the place of one of the same name, path and domain.

        Args:
            name: A token; `__Host-` and `__Secure-` names must keep what they promise.
            value: Visible ASCII without quotes, commas, semicolons and backslashes.
            max_age: Seconds that it is kept. Without this and `expires`: while the browser runs.
            expires: Until when it is kept; must have a time zone.
            path: Where on the host it is sent.
            domain: The host below which it is sent as well. None: to this host alone.
            secure: Sent over TLS only.
            httponly: Kept from scripts.
            samesite: Whether it goes along with requests that other sites cause.

        Raises:
            ValueError: Browsers would misread or drop it.
        """

    def delete_cookie(
        self,
        name: str,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        httponly: bool = True,
        samesite: _SameSite = "lax",
    ) -> None:
        """Has the browser forget a cookie, which it knows by name, path and domain.

        Args:
            name: As it was set.
            path: As it was set.
            domain: As it was set.
            secure: As it was set.
            httponly: As it was set.
            samesite: As it was set.

        Raises:
            ValueError: Browsers would misread or drop it.
        """

class JSONResponse(Response):
    """An answer in JSON."""

    def __init__(
        self,
        content: Any,
        status: int = 200,
        headers: _Headers | None = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
    ) -> None:
        """Builds an answer from what JSON can express.

        Args:
            content: Dictionaries, lists, dataclasses, Pydantic models and so on.
            status: 200 to 599.
            headers: A mapping, or pairs where a name has several values.
            media_type: The `Content-Type`. Defaults to `application/json`.
            background: What is done after the answer was sent.

        Raises:
            TypeError: A value is of a type that JSON has no form for.
            ValueError: A value is one that JSON has no form for, such as `nan`.
        """

class PlainTextResponse(Response):
    """An answer in plain text."""

    def __init__(
        self,
        content: _Content | None = None,
        status: int = 200,
        headers: _Headers | None = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
    ) -> None:
        """Builds an answer, with the arguments of `Response`."""

class HTMLResponse(Response):
    """An answer in HTML."""

    def __init__(
        self,
        content: _Content | None = None,
        status: int = 200,
        headers: _Headers | None = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
    ) -> None:
        """Builds an answer, with the arguments of `Response`."""

class RedirectResponse(Response):
    """Sends the client elsewhere."""

    def __init__(
        self,
        url: str | URL,
        status: Literal[301, 302, 303, 307, 308] = 307,
        headers: _Headers | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
    ) -> None:
        """Builds a redirect.

        Args:
            url: Where to. What has no place in a URL is percent-encoded, a backslash included.
                Whether a URL that a client named may be gone to is the caller's to decide.
            status: 307 keeps the method, 303 asks with GET; 301 and 308 are remembered.
            headers: A mapping, or pairs where a name has several values.
            background: What is done after the answer was sent.

        Raises:
            ValueError: The URL holds control characters, or the status does not redirect.
        """

class StreamingResponse(Response):
    """An answer whose body is made while it is sent."""

    def __init__(
        self,
        content: Iterable[_Content] | AsyncIterable[_Content],
        status: int = 200,
        headers: _Headers | None = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
    ) -> None:
        """Builds an answer.

        Args:
            content: Asked for pieces no faster than the client reads: an iterable in the thread
                pool, an asynchronous one on the loop.
            status: 200 to 599.
            headers: A mapping, or pairs where a name has several values.
            media_type: The `Content-Type`. Defaults to `application/octet-stream`.
            background: What is done after the answer was sent.

        Raises:
            TypeError: There is nothing to iterate over.
        """

class FileResponse(Response):
    """An answer that is a file, with conditions and ranges as RFC 9110 has them."""

    def __init__(
        self,
        path: str | PathLike[str],
        status: int = 200,
        headers: _Headers | None = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
        *,
        filename: str | None = None,
        disposition: Literal["attachment", "inline"] = "attachment",
    ) -> None:
        """Builds an answer. The file is opened when the answer is sent.

        Args:
            path: The program's own; one that a client named belongs to `static_file`.
            status: 200 to 599; conditions and ranges are for 200.
            headers: A mapping, or pairs where a name has several values.
            media_type: The `Content-Type`. Defaults to what the file's name says.
            background: What is done after the answer was sent.
            filename: The name under which a browser saves it.
            disposition: With a `filename`: saved (`attachment`) or shown (`inline`).

        Raises:
            ValueError: `filename` holds control characters.
        """

def static_file(directory: str | PathLike[str], path: str) -> Response:
    """The file at `path` below `directory`; 404 for whatever is not a regular file there.

    No path and no link leads out of the directory; names that begin with a dot are refused.

    Args:
        directory: The program's own.
        path: What a client asked for, such as the capture of `/assets/{*path}`.

    Returns:
        The answer, with conditions and ranges as `FileResponse` has them.
    """

@final
class BackgroundTask:
    """A function and what it is called with, after the answer was sent.

    A `def` runs in the thread pool, an `async def` on the loop. A failure is logged.
    """

    def __new__(cls, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> BackgroundTask:
        """Keeps `function` and what it is called with.

        Args:
            function: A `def` or `async def`.
            *args: Its arguments.
            **kwargs: Its keyword arguments.
        """

@final
class BackgroundTasks:
    """Several tasks, done one after the other, whether or not one fails."""

    def __new__(cls, tasks: list[BackgroundTask] | None = None) -> BackgroundTasks:
        """Begins with `tasks`.

        Args:
            tasks: In the order in which they are done.
        """

    def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Adds a function and what it is called with.

        Args:
            function: A `def` or `async def`.
            *args: Its arguments.
            **kwargs: Its keyword arguments.
        """

    def __len__(self) -> int: ...

# Secrets.

@final
class KeyRecord:
    """What a program stores about one API key, for `api_key_required(lookup=…)`.

    Args:
        id: What logs call the key, which must be no part of it that is secret.
        scopes: The scopes that the key holds.
        expires: From when on the key is refused: seconds since the epoch, or a datetime with a time
            zone. None for never.

    Raises:
        TypeError: Names the argument that is of another type.
        ValueError: Names the argument that is of no use.
    """

    def __new__(
        cls,
        *,
        id: str,  # noqa: A002 - what a key's id is called
        scopes: Iterable[str] | None = None,
        expires: float | datetime | None = None,
    ) -> KeyRecord: ...
    @property
    def id(self) -> str:
        """What logs call the key."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the key holds."""

    @property
    def expires(self) -> float | None:
        """From when on the key is refused, in seconds since the epoch."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Revocation:
    """Tokens that are refused although they have not expired.

    Without `redis_url` they are in the memory of this process, and forgotten with it. With it they
    are in a Redis or Valkey server, and known within a second to every process that asks it. A
    method that changes something raises `ConnectionError` while that server does not answer.

    Args:
        token_lifetime: The longest time from `iat` to `exp`, in seconds, for entries of which it is
            not said when their tokens expire. With None they are kept for ever.
        max_entries: How many entries are kept; one more is a `RuntimeError` to whoever revokes.
        redis_url: The server, `redis://user:password@host:6379/0` (`rediss` for TLS).
        name: Under which name the entries are kept there; those of one name are one.
        on_failure: What tokens come to that are not known to be revoked, while the server does not
            answer: `"closed"` is 503, `"stale"` lets them pass for `stale_max`.
        stale_max: For how many seconds.
    """

    def __new__(
        cls,
        *,
        token_lifetime: float | None = None,
        max_entries: int = 1_000_000,
        redis_url: str | Secret | None = None,
        name: str = "tokens",
        on_failure: Literal["closed", "stale"] = "closed",
        stale_max: float | None = None,
    ) -> Revocation: ...
    def revoke(self, token: str | dict[str, Any], expires: float | None = None) -> None:
        """Revokes one token, by its `jti` or by its verified claims; `expires` is its `exp`."""

    def revoke_subject(
        self, subject: str, before: float | None = None, expires: float | None = None
    ) -> None:
        """Revokes a subject's tokens that were issued before a moment, or before now."""

    def revoke_before(self, before: float, expires: float | None = None) -> None:
        """Revokes all tokens that were issued before a moment, in seconds since the epoch."""

@final
class Secret:
    """A text that prints as `***`. Two are compared in constant time.

    It must be `expose`d to be read, which is easy to find in a program.
    """

    def __new__(cls, value: str) -> Self: ...
    def expose(self) -> str:
        """The text itself. It must reach no log."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def csp_nonce(request: BaseRequest) -> str:
    """The nonce of this answer, for the scripts and styles that stand in its page.

    The answer's content policy then names it in `script-src` and `style-src`, and the answer is
    `no-store`. It is another one for every answer.

    Args:
        request: The request that is being answered.

    Returns:
        The value of the attribute `nonce`. It must stand on nothing that came from outside.

    Raises:
        RuntimeError: The answer has no content policy, or its head is sent already.
    """

def csrf_token(request: BaseRequest) -> str:
    """The token that a form of this answer repeats, or a script in its header.

    Put it into a hidden field of the name that `CSRFMiddleware(form_field=…)` says.

    Args:
        request: The request that is being answered.

    Returns:
        The token of the cookie that the caller holds, or is about to be given.

    Raises:
        RuntimeError: `CSRFMiddleware` does not protect the endpoint, or the caller was
            authenticated by a credential that browsers never send by themselves, which needs no
            token.
    """

def secret(name: str) -> Secret:
    """Fetches a secret by its name.

    It is looked for in the environment variable `name`, in the file that `{name}_FILE` points to,
    and in the file `name` of the directory `APIFROM_SECRETS_DIR`, which is `/run/secrets` by
    default.

    Raises:
        ConfigurationError: None of them has it, two disagree, or one cannot be read.
    """

def create_jwt_token(payload: dict[str, Any], options: dict[str, Any]) -> str:
    """Signs a token; see `apifrom.security.create_jwt_token`.

    Raises:
        ValueError: Names the option or the claim that is wrong, and shows no value.
    """

def verify_jws(token: str | bytes, jwk_or_set: str | dict[str, Any]) -> bytes:
    """Verifies a signed text in the compact form of RFC 7515, and returns what was signed.

    A key whose `use`, `key_ops` or `alg` says that it is for something else is not used, and
    neither is an RSA key of fewer than 2048 bits or a shared secret shorter than the hash. Nothing
    of the payload is judged: it may be any bytes. For tokens use `jwt_required`, which judges times
    and audiences as well.

    Args:
        token: The signed text.
        jwk_or_set: A JWK or a JWK Set, as text or `dict`; a shared secret as one of the kind `oct`.

    Raises:
        TypeError: Something is of another type.
        ValueError: Why it is not verified.
    """

def verify_jwt_token(token: str, secret: object, algorithm: str) -> str:
    """Verifies a token and its times, for the command line; returns its claims as JSON text.

    Raises:
        ValueError: The reason as security events name it, or what is wrong with the key.
    """

def new_api_key() -> tuple[Secret, str, str]:
    """Makes an API key.

    Returns:
        The key, its public id, and its digest for `api_keys`.

    Raises:
        OSError: The system gives no random bytes.
    """

def hash_password(password: str | Secret) -> str:
    """Hashes a password with Argon2id and a random salt, in PHC form.

    Raises:
        ValueError: The password is empty, or has more than 1024 bytes.
    """

def verify_password(password: str | Secret, stored: str | Secret) -> bool:
    """Whether a password is the one that a stored hash was made of.

    It takes as long as the hash asks for, with the interpreter let go.

    Args:
        password: What somebody claims to know.
        stored: An Argon2id or scrypt string in PHC form, or a bcrypt string.

    Raises:
        ValueError: What is stored is no such hash, or one that would cost too much.
    """

# The API, frozen and served.

class StartError(Exception):
    """The server could not start: the address is taken, or the program's own start-up failed."""

@final
class Engine:
    """A frozen API and what it is served with."""

    @property
    def workers(self) -> int:
        """How many processes are to serve."""
    @property
    def log_level(self) -> str:
        """The least level that `app.run` writes."""
    @property
    def log_format(self) -> str:
        """`text` or `json`."""
    def endpoints(self) -> list[tuple[str, str, list[str]]]:
        """The endpoints: name, template and methods of each."""
    def routes(self) -> list[dict[str, Any]]:
        """The endpoints, and what protects each."""
    def posture(self) -> str:
        """Everything that protects the API, as JSON in which names are sorted."""
    def check(self) -> str:
        """What is weak about it, as JSON."""

def check_rules() -> str:
    """Every rule of `check`, and what is left to people, as JSON."""

def compare_postures(before: str, after: str) -> str:
    """What differs between two postures, as JSON.

    Raises:
        ValueError: One of them is no posture.
    """

def is_debug_build() -> bool:
    """True where the engine was built for debugging."""

def freeze(
    config: dict[str, Any],
    endpoints: list[dict[str, Any]],
    middleware: list[object],
    server: dict[str, Any] | None,
) -> tuple[Engine | None, list[tuple[str, str]]]:
    """Freezes an API.

    Returns:
        The engine, or nothing where something is wrong, and what that is.
    """

@final
class Assignment:
    """The place of this process among those that serve together.

    Args:
        text: What the supervisor wrote.

    Raises:
        StartError: This process was not started by a supervisor, or that is gone.
    """

    def __new__(cls, text: str) -> Self: ...
    @property
    def number(self) -> int:
        """Which of the workers this is, from 1."""
    @property
    def count(self) -> int:
        """How many there are."""

def serve(engine: Engine, lifespan: Lifespan, assignment: Assignment | None = None) -> bool:
    """Serves until SIGINT or SIGTERM; a second one cuts what still runs.

    A worker serves on the sockets of its assignment, once.

    Returns:
        False when requests had to be cut.

    Raises:
        StartError: The address is taken, or the lifespan failed to begin.
    """

@final
class Supervisor:
    """Keeps the processes that serve. It outlives the engine, which it has no use for."""

    def __new__(cls, engine: Engine) -> Self: ...
    def run(self, program: Program) -> bool:
        """Opens the sockets, runs `program` for each worker and keeps them until SIGINT or SIGTERM.

        A second signal cuts what still runs. Python's own handlers must be off.

        Returns:
            False when a worker did not finish what ran.

        Raises:
            StartError: The address is taken, or a worker does not come to serve. Its second
                argument, where there is one, is the status that the worker ended with.
        """

def flush_logs(milliseconds: int) -> None:
    """Waits until everything that was said so far has reached `logging`."""

@final
class TestServer:
    """An API that is asked in process, on a worker of its own."""

    def __new__(cls, engine: Engine, lifespan: Lifespan | None) -> Self: ...
    def request(
        self,
        head: tuple[str, str, list[tuple[str, str]]],
        body: bytes,
        peer: tuple[str, int, bool],
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answers one request, read to its end.

        Args:
            head: Method, target and headers.
            body: The body.
            peer: The address and port that it comes from, and whether over TLS.
        """
    def rehearse(
        self,
        head: tuple[str, str, list[tuple[str, str]]],
        body: bytes,
        peer: tuple[str, int, bool],
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answers one request as `request` does, without its handler."""
    def attack(self) -> str:
        """Tries every promise of the API, and says as JSON what came of it."""
    def probe(self) -> str:
        """Proves findings by requests, and says as JSON which it could."""
    def close(self) -> None:
        """Ends the lifespan and the worker."""

# A request under a foreign server.

class _Awaitable(Awaitable[_T_co], Protocol):
    def ready(self) -> bool:
        """Goes as far as it gets without waiting; true when it is ready."""

@final
class Exchange:
    """One request under a foreign ASGI 3 server, and its answer."""

    def __new__(cls, engine: Engine, scope: MutableMapping[str, Any], is_ready: bool) -> Self:
        """Reads the scope.

        Args:
            engine: What answers.
            scope: The HTTP scope.
            is_ready: False to refuse with 503.

        Raises:
            ValueError: The scope is malformed.
        """
    def answer(self) -> _Awaitable[tuple[int, list[tuple[bytes, bytes]], bytes | None]]:
        """Awaits status, headers and body; the body is None where it is streamed."""
    def piece(self) -> _Awaitable[bytes | None]:
        """Awaits the next piece of a streamed body, None at its end."""
    def demand(self) -> _Awaitable[None]:
        """Awaits that the server is to be asked for its next message."""
    def feed(self, piece: bytes, more: bool) -> None:
        """Takes a piece of the body; `more` says that others follow."""
    def disconnect(self) -> None:
        """The client has gone."""
    def close(self) -> None:
        """Lets go of the answer, and of what is still to come of the request."""
    @staticmethod
    def settled() -> _Awaitable[None]:
        """Awaits that nothing follows the answers of this loop any more, for 5 s at most."""

# A worker and its dispatch with no server in between, for the tests of the asyncio contract.

@final
class _Route:
    """A function and the route that its calls take."""

    def __new__(cls, function: Callable[..., object], *, blocking: bool | None = None) -> Self: ...
    @property
    def mode(self) -> Literal["task", "inline", "pool"]:
        """Where the next call is made."""
    @property
    def proof(self) -> int:
        """How many calls in a row have to be quick before the function runs inline."""
    @property
    def decided(self) -> bool:
        """True when the place never changes again."""

@final
class _Call:
    """A call that is under way."""

    def result(self, timeout: float = 10.0) -> Any:
        """Waits for the answer: returns it, or raises what the function raised."""
    def give_up(self) -> None:
        """Gives the call up, as a client does that closes its connection."""

@final
class _Worker:
    """A worker on a thread of its own."""

    def __new__(cls) -> Self: ...
    @property
    def event_loop(self) -> AbstractEventLoop:
        """The asyncio loop."""
    def begin(self, route: _Route, *arguments: object) -> _Call:
        """Calls a function the way a request does, and returns at once."""
    def begin_here(self, route: _Route, *arguments: object) -> _Call:
        """Calls a function from this thread, past the runtime's tasks."""
    def tick(self) -> float:
        """Seconds that an answer takes which needs no Python."""
    def close(self) -> None:
        """Stops the worker and waits for its end."""

def _run_worker(started: Callable[[], Awaitable[object]]) -> int:
    """Runs a worker on this thread until SIGINT or SIGTERM, and returns that signal's number."""

def _pool_load() -> tuple[int, int]:
    """Calls that the pool runs, and calls that wait for one of its threads."""

# Databases

@final
class Sql:
    """A statement that `sql` composed, or that `insecure_raw` took as it is."""

@final
class Identifier:
    """A name that may stand in a statement. See `ident`."""

def ident(name: str, /, *, allowed: Sequence[str]) -> Identifier:
    """A name for `sql`, such as the column to order by that a request chose.

    Args:
        name: The name.
        allowed: The names that it may be.

    Returns:
        The name, quoted.

    Raises:
        UnknownName: It is none of these, which answers 422. The text does not show it.
        StatementError: It is allowed, and no name: empty, or with a NUL.
    """

def sql(template: LiteralString, /, *names: Identifier) -> Sql:
    """Composes a statement: `sql("SELECT * FROM notes ORDER BY {}", ident(…, allowed=[…]))`.

    Args:
        template: The statement, with `{}` where a name belongs.
        names: The names, in their order.

    Raises:
        StatementError: There are more names than places, or fewer.
    """

def insecure_raw(text: str) -> Sql:
    """A statement, whatever it is.

    Nothing that a request sent may be part of it: whoever sends that decides what the statement
    does.
    """

@final
class Row(Mapping[str, Any]):
    """One row: `row["name"]`, `row.name`, `row[0]`, `dict(row)`. Its `repr` shows no value."""

    def __getitem__(self, name: str | int, /) -> Any: ...
    def __getattribute__(self, name: str, /) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def get(self, name: str, default: Any = None, /) -> Any: ...
    def keys(self) -> list[str]: ...  # type: ignore[override]
    def values(self) -> list[Any]: ...  # type: ignore[override]
    def items(self) -> list[tuple[str, Any]]: ...  # type: ignore[override]

@final
class Rows(Sequence[Row]):
    """What a query gave, in its order. Its `repr` shows how many there are, and no value."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> Row: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Row]: ...
    def __iter__(self) -> Iterator[Row]: ...
    def __contains__(self, value: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Executed:
    """What a statement did that gives no rows."""

    @property
    def rows(self) -> int:
        """How many rows were inserted, changed or deleted."""
    @property
    def last_id(self) -> int:
        """The key of the row that was inserted last; of several on MySQL, of the first.

        SQLite: on this connection. PostgreSQL: what `RETURNING` gave first. 0 where there is none.
        """

@final
class DatabaseStats:
    """What a pool of connections does."""

    @property
    def size(self) -> int:
        """How many connections there may be."""
    @property
    def open(self) -> int:
        """How many are open."""
    @property
    def in_use(self) -> int:
        """How many of these are in use."""
    @property
    def waiting(self) -> int:
        """How many callers wait for one."""

_Parameters = Sequence[Any] | Mapping[str, Any] | None

@final
class EmailCheck:
    """Checks an address as `EmailStr` does."""

    def __new__(cls, fallback: Callable[[str], str], reserved: list[str]) -> EmailCheck:
        """Knows plain addresses from others.

        Args:
            fallback: What decides about all but plain addresses.
            reserved: Domains in which no address is plain. While its length is not what it was,
                none is.
        """

    def __call__(self, value: str) -> str:
        """Returns the address in its normal form, or raises what `fallback` raises."""

@final
class Spelling:
    """The one spelling that a value of a kind has where all is text."""

    def __new__(cls, kind: str) -> Spelling:
        """Knows the spelling of `kind`.

        Args:
            kind: `int`, `float` or `bool`, which are converted; `decimal`, `date` or `datetime`,
                of which the text is returned.
        """

    def __call__(self, value: object) -> Any:
        """Returns the value of a text, or the text, or raises a `PydanticKnownError`.

        Whatever is no text is returned as it is.
        """

@final
class Transaction:
    """A transaction: `with db.transaction() as transaction:` keeps all of it, or nothing.

    What is asked of the database itself meanwhile does not belong to it.
    """

    def query(self, sql: LiteralString | Sql, parameters: _Parameters = None, /) -> Rows:
        """As `Database.query`."""
    def query_one(self, sql: LiteralString | Sql, parameters: _Parameters = None, /) -> Row | None:
        """As `Database.query_one`."""
    def execute(self, sql: LiteralString | Sql, parameters: _Parameters = None, /) -> Executed:
        """As `Database.execute`."""
    def execute_many(self, sql: LiteralString | Sql, parameters: Iterable[_Parameters], /) -> int:
        """As `Database.execute_many`: all of it is done, or nothing; the transaction goes on."""
    def commit(self) -> None:
        """Keeps what was done. The transaction is over."""
    def rollback(self) -> None:
        """Undoes what was done. The transaction is over."""
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, error: object, traceback: object, /) -> bool: ...

@disjoint_base
class BaseDatabase:
    """What `apifrom.database.Database` is made of."""

    def __new__(
        cls,
        url: str | Secret,
        *,
        pool_size: int = 16,
        patience: float = 5.0,
        deadline: float = 30.0,
    ) -> Self:
        """Describes a database; nothing is opened before it is used.

        Args:
            url: `sqlite:///app.db` in the working directory, `sqlite:////var/app.db`, or
                `sqlite://:memory:`, which has one connection;
                `postgresql://user:password@host:5432/name` or
                `mysql://user:password@host:3306/name` (`mariadb://` as well), by TLS where the
                host is elsewhere. A `Secret`, as `secret("DATABASE_URL")` gives it, is taken as it
                is.
            pool_size: How many connections there may be: 1 to 1000.
            patience: How long a caller waits for a connection, or for a lock, in seconds: a
                thousandth to 3600.
            deadline: How long a statement may run on PostgreSQL or MySQL before it is cancelled,
                in seconds: a thousandth to 3600. Not for migrations.

        Raises:
            ConfigurationError: What is wrong, all of it.
        """
    def query(self, sql: LiteralString | Sql, parameters: _Parameters = None, /) -> Rows:
        """The rows that a statement gives.

        Args:
            sql: One statement: a literal, or what `sql(…)` composed.
            parameters: For its placeholders: a list for `?`, a dictionary for `:name`.

        Raises:
            StatementError: The statement or a parameter is wrong. No value is shown.
            DatabaseUnavailable: The database cannot be asked now.
        """
    def query_one(self, sql: LiteralString | Sql, parameters: _Parameters = None, /) -> Row | None:
        """The one row that a statement gives, or `None`.

        A handler's `None` is no 404: `if row is None: raise HTTPException(404)`.

        Raises:
            StatementError: There are several, too.
        """
    def execute(self, sql: LiteralString | Sql, parameters: _Parameters = None, /) -> Executed:
        """Runs a statement that gives no rows.

        Raises:
            IntegrityError: The data would break a rule that the database keeps. Where nobody
                catches it, it is answered 500.
            StatementError: The statement or a parameter is wrong. No value is shown.
            DatabaseUnavailable: The database cannot be asked now.
        """
    def execute_many(self, sql: LiteralString | Sql, parameters: Iterable[_Parameters], /) -> int:
        """Runs a statement once for each of many, in one transaction.

        Returns:
            How many rows were changed.
        """
    def transaction(self) -> Transaction:
        """Begins a transaction, and takes the right to write."""
    def migrate(self, migrations: Sequence[tuple[str, LiteralString]]) -> int:
        """Brings the schema up to date: runs the steps that were not run yet, in their order.

        Args:
            migrations: The name of each step, and its statements.

        Returns:
            How many were run.

        Raises:
            StatementError: A step that was run is missing, was changed or moved, or one fails.
        """
    def ping(self) -> None:
        """Returns when the database can be asked.

        Raises:
            DatabaseUnavailable: It cannot.
        """
    def stats(self) -> DatabaseStats:
        """What the pool of connections does now."""
    def close(self) -> None:
        """Closes all connections, those in use when they come back."""

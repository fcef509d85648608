"""A client that asks an API without a socket, through the same engine as every server.

```python
from apifrom.testing import TestClient

with TestClient(app) as client:
    response = client.get("/hello/World")
    assert response.status_code == 200
    assert response.json() == {"message": "Hello, World!"}
```
"""

from __future__ import annotations

import json as _json
from collections.abc import Iterator, Mapping, Sequence
from http.cookies import SimpleCookie
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode, urlsplit

from apifrom import _apifrom

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["TestClient", "TestResponse"]

_Pairs = Mapping[str, Any] | Sequence[tuple[str, Any]]


class Headers(Mapping[str, str]):
    """The headers of an answer: case-insensitive, several lines of one name joined by commas."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        """Keeps `lines` in their order."""
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        found = self.getlist(name)
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._lines))

    def __len__(self) -> int:
        return len({name for name, _ in self._lines})

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"

    def getlist(self, name: str) -> list[str]:
        """Every line of `name`, in order."""
        wanted = name.lower()
        return [value for known, value in self._lines if known == wanted]


class TestResponse:
    """An answer.

    Attributes:
        status_code: The status.
        headers: The headers.
        content: The body.
    """

    __test__ = False

    def __init__(self, status_code: int, headers: list[tuple[str, str]], content: bytes) -> None:
        """Keeps the parts of an answer."""
        self.status_code = status_code
        self.headers = Headers(headers)
        self.content = content

    def __repr__(self) -> str:
        return f"<TestResponse {self.status_code}>"

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the answer sets."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.getlist("set-cookie"):
            jar.load(line)
        return {name: morsel.value for name, morsel in jar.items()}

    def json(self) -> Any:
        """The body as JSON."""
        return _json.loads(self.content)


class TestClient:
    """Asks `app` in process: the whole way of a request, with neither socket nor TLS.

    Used as a context manager it also runs the lifespan; without, the API only answers. Exceptions
    of handlers are answered as on the wire, never raised.
    """

    __test__ = False

    def __init__(
        self,
        app: API,
        *,
        base_url: str = "http://testserver",
        headers: Mapping[str, str] | None = None,
        client: tuple[str, int] = ("127.0.0.1", 50000),
    ) -> None:
        """Makes a client; the API is frozen with its first request.

        Args:
            app: The API.
            base_url: The scheme and host that requests name.
            headers: Headers of every request.
            client: The address that requests come from.
        """
        parts = urlsplit(base_url)
        self._app = app
        self._host = parts.netloc
        self._tls = parts.scheme == "https"
        self._headers = dict(headers or {})
        self._client = client
        self._server: _apifrom.TestServer | None = None

    def __enter__(self) -> Self:
        self._start(with_lifespan=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Ends the lifespan and the worker."""
        server, self._server = self.__dict__.get("_server"), None
        if server is not None:
            server.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: _Pairs | None = None,
        headers: _Pairs | None = None,
        cookies: Mapping[str, str] | None = None,
        json: Any = None,
        data: _Pairs | None = None,
        content: bytes | str | None = None,
        _rehearsed: bool = False,
    ) -> TestResponse:
        """Sends one request.

        Args:
            method: The HTTP method.
            path: The path, with or without a query, sent as it is but for non-ASCII characters.
            params: Pairs for the query.
            headers: Headers, beside the client's own; a list may repeat a name.
            cookies: Cookies.
            json: A body, written as JSON.
            data: A body, written as an urlencoded form.
            content: A body as it is.

        Returns:
            The answer, read to its end.
        """
        lines: list[tuple[str, str]] = [("host", self._host)]
        body, content_type = _body(json, data, content)
        if content_type is not None:
            lines.append(("content-type", content_type))
        if body:
            lines.append(("content-length", str(len(body))))
        if cookies:
            pairs = "; ".join(f"{name}={value}" for name, value in cookies.items())
            lines.append(("cookie", pairs))
        given = [*self._headers.items(), *_pairs(headers)]
        replaced = {name.lower() for name, _ in given}
        lines = [(name, value) for name, value in lines if name not in replaced]
        lines += [(name, str(value)) for name, value in given]
        target = quote(path, safe="!#$%&'()*+,/:;=?@[]~\\")
        if params is not None:
            query = urlencode(_pairs(params), doseq=True)
            target += ("&" if "?" in target else "?") + query
        server = self._server or self._start(with_lifespan=False)
        send = server.rehearse if _rehearsed else server.request
        status, answered, answer = send((method, target, lines), body, (*self._client, self._tls))
        return TestResponse(status, answered, answer)

    def rehearse(self, method: str, path: str, **options: Any) -> TestResponse:
        """`request` without the handler: what would reach it is answered 204.

        Everything before the handler decides as it always does, the program's own policies and
        look-ups included; own middleware `around` and `before` is part of the handler. The header
        `X-Rehearsal` of the answer names what was reached.
        """
        return self.request(method, path, _rehearsed=True, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method GET."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method HEAD."""
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method OPTIONS."""
        return self.request("OPTIONS", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method POST."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method PUT."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method PATCH."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        """`request` with the method DELETE."""
        return self.request("DELETE", path, **options)

    def _start(self, *, with_lifespan: bool) -> _apifrom.TestServer:
        if self._server is not None:
            raise RuntimeError("this client is in use already")
        lifespan = self._app.lifespan() if with_lifespan else None
        self._server = _apifrom.TestServer(self._app.freeze(), lifespan)
        return self._server


def _pairs(given: _Pairs | None) -> list[tuple[str, Any]]:
    if given is None:
        return []
    return list(given.items()) if isinstance(given, Mapping) else list(given)


def _body(
    json: Any,
    data: _Pairs | None,
    content: bytes | str | None,
) -> tuple[bytes, str | None]:
    given = [value is not None for value in (json, data, content)]
    if sum(given) > 1:
        raise TypeError("give one of json=, data= and content=")
    if json is not None:
        return _json.dumps(json).encode(), "application/json"
    if data is not None:
        return urlencode(_pairs(data), doseq=True).encode(), "application/x-www-form-urlencoded"
    if content is not None:
        return content.encode() if isinstance(content, str) else content, None
    return b"", None

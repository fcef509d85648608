"""What surrounds every call, asked over a socket in every way that it must not be fooled by."""

from __future__ import annotations

import json
import logging
import socket

import pytest

from apifrom import API, SyncUploadFile
from apifrom.middleware import (
    CORSMiddleware,
    CSRFMiddleware,
    csrf_exempt,
    csrf_token,
    rate_limit,
)
from apifrom.security import basic_auth_required
from apifrom.testing import TestClient
from tests.serving import serving

OLD = "a secret of last year, of more than 32 bytes"
NEW = "a secret of this year, of more than 32 bytes"
ANN = "Basic YW5uOnBhc3M="
BOB = "Basic Ym9iOnBhc3M="
NAME = "__Host-csrf"
ALLOWED = "https://app.example"


def example(secret: str) -> API:
    """An API of which `GET /calls` says which handlers were called."""
    calls: list[str] = []
    app = API(trusted_proxies=["127.0.0.1"], max_body_size=200_000)
    app.add_middleware(
        CORSMiddleware(
            allow_origins=[ALLOWED, "https://*.apps.example"],
            allow_methods=["GET", "PUT"],
            allow_credentials=True,
        )
    )
    app.add_middleware(CSRFMiddleware(secret=secret))

    @app.get("/calls")
    def told():
        return calls

    @app.api("/form", methods=["GET", "POST", "PUT"])
    @basic_auth_required(credentials={"ann": "pass", "bob": "pass"})
    def form(request):
        if request.method != "GET":
            calls.append(request.method)
        return csrf_token(request)

    @app.get("/limited")
    @rate_limit("2/hour")
    def limited():
        calls.append("limited")
        return "let in"

    @app.get("/raising")
    @rate_limit("2/hour", key=lambda request: request.headers["x-who"])
    def raising():
        calls.append("raising")
        return "let in"

    @csrf_exempt(reason="no browser sends files here")
    @app.post("/files")
    def files(file: SyncUploadFile):
        calls.append(file.filename)
        return {"name": file.filename, "size": file.size}

    return app


@pytest.fixture(scope="module")
def port():
    program = "from tests.test_surroundings import NEW, example\nexample(NEW).run(port=0)\n"
    with serving(program) as port:
        yield port


def ask(port, head, body=b"", *, ends=True):
    """What is answered to these bytes: status, header lines by name, and body.

    Args:
        port: Where.
        head: The request line and headers; `Host` and `Connection` are added.
        body: What follows.
        ends: Whether the sender is done, or leaves the rest of the body to be waited for.
    """
    first, *lines = head
    lines = [first, "Host: 127.0.0.1", "Connection: close", *lines]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    assert answer, "no answer"
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers.setdefault(name.lower(), []).append(value)
    return int(status.split()[1]), headers, body


def calls(port):
    return json.loads(ask(port, ["GET /calls HTTP/1.1"])[2])


ORIGINS = [
    "https://app.example:444",
    "https://app.example:443",
    "https://app.example:0443",
    "http://app.example",
    "HTTPS://APP.EXAMPLE",
    "https://APP.example",
    "https://app.example.",
    "https://app.example/",
    "https://app.example?",
    "https://app.example#",
    "https://user@app.example",
    "https://app.example@evil.example",
    "https://evil.example?https://app.example",
    "https://app.example.evil.example",
    "https://evilapp.example",
    "https://app.example evil.example",
    "https://app.example https://evil.example",
    "https://app.example, https://evil.example",
    "https://app.example\t",
    "https://app.example\xe9",
    "https://app%2eexample",
    "https://apps.example",
    "https://.apps.example",
    "https://a.apps.example.evil.example",
    "null",
    "NULL",
    "*",
    "",
    "file://",
    "app.example",
    "//app.example",
    "https://[::1]",
    "https://app.example\\.evil.example",
    "https://app.example." + "a" * 4_000,
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_origin_but_those_that_are_listed_may_read_or_be_told_to_send(port, origin):
    # A tab behind a value is no part of it (RFC 9110, section 5.5).
    is_allowed = origin.strip() == ALLOWED
    before = calls(port)
    status, headers, _ = ask(port, ["GET /calls HTTP/1.1", f"Origin: {origin}"])
    assert status == 200
    assert headers.get("access-control-allow-origin", []) == ([ALLOWED] if is_allowed else [])
    assert "origin" in ",".join(headers["vary"]).lower()
    asked = ["OPTIONS /form HTTP/1.1", f"Origin: {origin}", "Access-Control-Request-Method: PUT"]
    status, headers, _ = ask(port, asked)
    assert ("access-control-allow-origin" in headers) is is_allowed
    assert ("access-control-allow-credentials" in headers) is is_allowed
    assert status in ((200, 204) if is_allowed else (200, 204, 400, 403))
    assert calls(port) == before


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"Origin: {ALLOWED}", "Origin: https://evil.example"], id="two"),
        pytest.param([f"Origin: {ALLOWED}", f"Origin: {ALLOWED}"], id="the same twice"),
    ],
)
def test_who_sends_several_origins_has_none(port, lines):
    status, headers, _ = ask(port, ["GET /calls HTTP/1.1", *lines])
    assert status in (200, 400)
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("lines", "grants"),
    [
        ([], False),
        (["Access-Control-Request-Method: PUT"], True),
        (["Access-Control-Request-Method: "], False),
        (["Access-Control-Request-Method: put"], False),
        (["Access-Control-Request-Method: DELETE"], False),
        (["Access-Control-Request-Method: PUT, DELETE"], False),
        (["Access-Control-Request-Method: GET", "Access-Control-Request-Method: DELETE"], False),
        (["Access-Control-Request-Method: P UT"], False),
        (["Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-evil"], False),
        (["Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: ,,\x01"], False),
    ],
)
def test_a_preflight_without_a_sound_method_grants_nothing(port, lines, grants):
    before = calls(port)
    status, headers, _ = ask(port, ["OPTIONS /form HTTP/1.1", f"Origin: {ALLOWED}", *lines])
    granted = ",".join(headers.get("access-control-allow-methods", []))
    assert status < 500
    assert ("PUT" in granted and "access-control-allow-headers" not in headers) is grants
    assert "DELETE" not in granted
    assert "x-evil" not in ",".join(headers.get("access-control-allow-headers", []))
    assert calls(port) == before


def token(port, who):
    status, headers, body = ask(port, ["GET /form HTTP/1.1", f"Authorization: {who}"])
    assert (status, headers["set-cookie"][0].split(";")[0]) == (200, f"{NAME}={body.decode()}")
    return body.decode()


def test_a_token_of_a_page_is_taken_once_more_and_stale_or_foreign_ones_never(port):
    fresh = token(port, ANN)

    def post(cookie, header, who=ANN, *more):
        lines = [f"Cookie: {NAME}={cookie}", f"X-CSRF-Token: {header}", "Content-Length: 0"]
        head = ["POST /form HTTP/1.1", f"Authorization: {who}", *lines, *more]
        return ask(port, head)[0]

    before = calls(port)
    # Made before the log-in of somebody else, or with a secret that was retired since.
    other = token(port, BOB)
    with serving(
        "from tests.test_surroundings import OLD, example\nexample(OLD).run(port=0)\n"
    ) as past:
        retired = token(past, ANN)
    assert post(other, other) == 403
    assert post(retired, retired) == 403
    assert post(fresh, fresh, BOB) == 403
    # Of one page each, cut, longer, in another case, turned round, or none.
    assert post(fresh, token(port, ANN)) == 403
    for forged in (fresh[:-1], fresh + "A", fresh.swapcase(), fresh[::-1], "", "."):
        assert post(forged, forged) == 403
        assert post(fresh, forged) == 403
    # Twice, in whichever place.
    assert post(f"{fresh}; {NAME}={fresh}", fresh) == 403
    assert post(f"{fresh}; {NAME}={other}", fresh) == 403
    assert post(fresh, fresh, ANN, f"Cookie: {NAME}={fresh}") == 403
    assert post(fresh, fresh, ANN, f"X-CSRF-Token: {fresh}") == 403
    assert post(fresh, f"{fresh}, {fresh}") == 403
    # From another page, whatever it holds.
    assert post(fresh, fresh, ANN, "Origin: null") == 403
    assert post(fresh, fresh, ANN, "Origin: https://evil.example") == 403
    assert post(fresh, fresh, ANN, "Sec-Fetch-Site: same-site") == 403
    assert post(fresh, fresh, ANN, "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site") == 403
    assert calls(port) == before
    assert post(fresh, fresh) == 200
    assert post(fresh, fresh) == 200
    assert calls(port) == [*before, "POST", "POST"]


def multipart(*parts, boundary="x", end=True):
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    return body + (f"--{boundary}--\r\n".encode() if end else b"")


def upload(port, body, boundary="x"):
    kind = f"Content-Type: multipart/form-data; boundary={boundary}"
    head = ["POST /files HTTP/1.1", kind, f"Content-Length: {len(body)}"]
    return ask(port, head, body)


FILE = 'form-data; name="file"; filename="{}"'


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        pytest.param(multipart((FILE.format("a"), b"x"), end=False), (400, 422), id="without end"),
        pytest.param(b"--x\r\nContent-Disposition: form", (400, 422), id="half a head"),
        pytest.param(b"--x\r\n" + b"A: b\r\n" * 5_000, (400, 413, 422, 431), id="many headers"),
        pytest.param(b"--x\r\nA: " + b"b" * 100_000, (400, 413, 422, 431), id="long header"),
        pytest.param(
            multipart(*[('form-data; name="a"', b"")] * 1_001, (FILE.format("a"), b"x")),
            (400, 413, 422),
            id="a thousand parts",
        ),
        pytest.param(
            multipart(*[(FILE.format("a"), b"x")] * 1_001), (400, 413, 422), id="a thousand files"
        ),
        pytest.param(multipart(("form-data", b"x")), (400, 422), id="without a name"),
        pytest.param(multipart(("attachment", b"x")), (400, 422), id="no form-data"),
        pytest.param(multipart(('form-data; name="file"', b"x")), (422,), id="no file"),
        pytest.param(b"", (400, 422), id="empty"),
        pytest.param(b"--x--\r\n", (400, 422), id="no part"),
        pytest.param(b"\r\n" * 50_000, (400, 413, 422), id="empty lines"),
        pytest.param(b"-" * 100_000, (400, 413, 422), id="dashes"),
        pytest.param(
            multipart((FILE.format("a"), b"x" * 200_000)), (413,), id="larger than allowed"
        ),
    ],
)
def test_a_form_that_is_none_is_refused_before_its_handler(port, body, statuses):
    before = calls(port)
    status, headers, answer = upload(port, body)
    assert status in statuses
    assert headers["content-type"] == ["application/problem+json"]
    assert b"Traceback" not in answer
    assert calls(port) == before


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\\\..\\\\boot.ini",
        "/etc/passwd",
        "C:\\\\a.txt",
        "a/../../b",
        "..",
        ".",
        "%2e%2e%2fa",
        "a\x00.png",
    ],
)
def test_the_name_of_a_file_never_climbs(port, name):
    status, _, body = upload(port, multipart((FILE.format(name), b"abc")))
    assert status in (200, 400, 422)
    if status == 200:
        kept = json.loads(body)["name"]
        assert "/" not in kept
        assert "\\" not in kept
        assert "\x00" not in kept
        assert kept not in (".", "..")


@pytest.mark.parametrize(
    "line",
    [
        "X-Note: a\rSet-Cookie: b=c",
        "X-Note: a\nX-Other: b",
        "X-Note: a\r\n folded",
        "X-Note: a\x00b",
        "X Note: a",
        ": a",
        "X-Note",
    ],
)
def test_lines_inside_a_header_are_a_bad_request_or_nothing(port, line):
    before = calls(port)
    status, headers, _ = ask(port, ["GET /limited HTTP/1.1", "X-Forwarded-For: 192.0.2.99", line])
    # A bare line feed ends a line in the eyes of some (RFC 9112, section 2.2): nothing is smuggled.
    assert status == 400 or (status == 200 and "\n" in line and "\r" not in line)
    assert "set-cookie" not in headers or "b=c" not in headers["set-cookie"]
    assert calls(port) == (before if status == 400 else [*before, "limited"])


def test_forged_chains_do_not_multiply_a_client(port):
    before = calls(port)
    statuses = []
    # The proxy that wrote last is believed; what stands to the left was told to it.
    for number in range(6):
        chain = f"X-Forwarded-For: 198.51.100.{number}, 203.0.113.7"
        statuses.append(ask(port, ["GET /limited HTTP/1.1", chain])[0])
    assert statuses == [200, 200, 429, 429, 429, 429]
    # Another family of headers says nothing here, and no spelling is another client.
    for lines in (
        ["X-Forwarded-For: 203.0.113.7", "Forwarded: for=198.51.100.1"],
        ["X-Forwarded-For: 203.0.113.7", "X-Real-IP: 198.51.100.2"],
        ["X-Forwarded-For: 198.51.100.9", "X-Forwarded-For: 203.0.113.7"],
        ["X-Forwarded-For: ::ffff:203.0.113.7"],
        ["X-Forwarded-For: 203.0.113.7:4711"],
        ["X-Forwarded-For: 198.51.100.3,,203.0.113.7"],
        ["X-Forwarded-For: 203.0.113.7, 127.0.0.1"],
    ):
        assert ask(port, ["GET /limited HTTP/1.1", *lines])[0] == 429, lines
    assert calls(port) == [*before, "limited", "limited"]
    # What cannot be read ends the walk at the proxy: all of it is one client.
    unreadable = ["unknown", "_hidden", "999.1.1.1", "", "a" * 5_000, "203.0.113.8 203.0.113.9"]
    statuses = [
        ask(port, ["GET /limited HTTP/1.1", f"X-Forwarded-For: {text}"])[0] for text in unreadable
    ]
    assert statuses == [200, 200, 429, 429, 429, 429]


def test_a_key_function_that_raises_lets_nobody_pass(port):
    before = calls(port)
    for _ in range(4):
        status, headers, body = ask(port, ["GET /raising HTTP/1.1"])
        assert (status, headers["content-type"]) == (503, ["application/problem+json"])
        assert b"KeyError" not in body
        assert b"x-who" not in body
    assert calls(port) == before
    statuses = [ask(port, ["GET /raising HTTP/1.1", "X-Who: me"])[0] for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"])
@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/8"], ["127.0.0.1"]])
def test_a_peer_that_speaks_as_a_proxy_and_is_none_is_warned_of_once(header, trusted, caplog):
    app = API(trusted_proxies=trusted)

    @app.get("/")
    def home(request):
        return request.client.host

    with caplog.at_level(logging.WARNING, "apifrom.security"), TestClient(app) as client:
        assert client.get("/").text == "127.0.0.1"
        told = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
        value = told.get(header, "for=203.0.113.7")
        for _ in range(3):
            found = client.get("/", headers={header: value}).text
            is_believed = trusted == ["127.0.0.1"] and header == "X-Forwarded-For"
            assert found == ("203.0.113.7" if is_believed else "127.0.0.1")
    said = [record.path for record in caplog.records if record.event == "configuration_weak"]
    assert said == ([] if trusted == ["127.0.0.1"] else ["trusted_proxies"])
    assert "203.0.113.7" not in caplog.text


def test_a_target_is_as_long_as_it_may_be_and_no_longer():
    app = API(max_target_size=20)
    called = []

    @app.get("/{name}")
    def home(name: str, q: str = ""):
        called.append(name)
        return name + q

    with TestClient(app) as client:
        assert client.get("/" + "a" * 16 + "?q=").status_code == 200
        assert client.get("/" + "a" * 17 + "?q=").status_code == 200
        assert client.get("/" + "a" * 18 + "?q=").status_code == 414
        assert client.get("/" + "a" * 20).status_code == 414
    assert [len(name) for name in called] == [16, 17]

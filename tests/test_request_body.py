"""The body of a request, as handlers ask for it."""

import asyncio
import http.client
import json
import threading

import pytest

from apifrom import API, HTTPException
from apifrom.exceptions import UnreadableRequest
from apifrom.responses import StreamingResponse
from apifrom.testing import TestClient
from tests.serving import serving

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=["def", "async def"])
def post(request):
    """Posts to a handler of either kind that answers with what it is asked for by name."""

    def post(ask, content=b"", headers=None, **config):
        app = API(**config)
        if request.param == "def":

            @app.post("/")
            def handler(request):
                return {"found": getattr(request, ask)()}

        else:

            @app.post("/")
            async def handler(request):
                return {"found": await getattr(request, ask)()}

        with TestClient(app) as client:
            return client.post("/", content=content, headers=headers)

    return post


@pytest.mark.parametrize("content", [b"", b"text", b"x" * 200_000])
def test_the_body_is_there(post, content):
    assert post("body", content).json() == {"found": content.decode()}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        "application/vnd.api+json ; a=b",
    ],
)
def test_json_is_read(post, content_type):
    content = b'{"a": [1, 2.5, null, true, "\\u00e9"], "b": 123456789012345678901234567890}'
    response = post("json", content, {"Content-Type": content_type})
    found = {"a": [1, 2.5, None, True, "é"], "b": 123456789012345678901234567890}
    assert response.json() == {"found": found}


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "text/json"}, FORM]
)
def test_json_of_another_type_is_415(post, headers):
    assert post("json", b"{}", headers).status_code == 415


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"{} {}", 400),
        (b'{"a": 1, "a": 2}', 400),
        (b"[NaN]", 400),
        (b"[1e999]", 400),
        (b'["\\ud800"]', 400),
        (b'["\xff"]', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"[" * 65 + b"]" * 65, 413),
    ],
)
def test_json_that_the_engine_refuses_is_refused_here_as_well(post, content, status):
    response = post("json", content, JSON)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "content",
    [
        *(b"-0", b"-0.0", b"1.0", b"1E5", b"1e-400", b"0.1", b"2.2250738585072011e-308"),
        *(b"12345678901234567.5", b"18446744073709551616", b"-9223372036854775809"),
        pytest.param(b"9" * 4300, id="as many digits as may be"),
        pytest.param(b"[" * 127 + b"]" * 127, id="as deep as may be"),
        *(
            b'"\\u0000"',
            b'"\\ud83d\\ude00"',
            '"grün 緑"'.encode(),
            b'"\x7f"',
            b'{"": ""}',
            b" \n[ ]\t",
        ),
    ],
)
def test_json_comes_to_what_it_does_everywhere(content):
    app = API(max_json_depth=1000)
    found = []

    @app.post("/")
    def handler(request) -> None:
        found.append(request.json())

    with TestClient(app) as client:
        assert client.post("/", content=content, headers=JSON).status_code == 204
    (found,) = found
    expected = json.loads(content)
    assert (repr(found), type(found)) == (repr(expected), type(expected))


def test_a_form_is_read(post):
    response = post("form", b"a=1&b=x+y%21&a=2", FORM)
    assert response.json() == {"found": {"a": "1", "b": "x y!"}}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/x-www-form-urlencoded; charset=utf-8", 200),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=x", 400),
        ("application/json", 415),
        ("", 415),
    ],
)
def test_a_form_is_of_one_of_two_types(post, content_type, status):
    assert post("form", b"a=1", {"Content-Type": content_type}).status_code == status


def test_a_form_that_cannot_be_read_is_400(post):
    assert post("form", b"a=%", FORM).status_code == 400


@pytest.mark.parametrize("ask", ["body", "json", "form"])
def test_a_body_past_the_bound_is_413(post, ask):
    response = post(ask, b"x" * 101, JSON, max_body_size=100)
    assert response.status_code == 413


def test_a_body_can_be_asked_for_again_and_in_every_form():
    app = API()

    @app.post("/def")
    def plain(request):
        return [request.body().decode(), request.body().decode(), request.json()]

    @app.post("/async")
    async def later(request):
        first = (await request.body()).decode()
        pieces = [piece.decode() async for piece in request.stream()]
        return [first, "".join(pieces), await request.json()]

    with TestClient(app) as client:
        for path in ("/def", "/async"):
            assert client.post(path, json=[1]).json() == ["[1]", "[1]", [1]]


def test_a_streamed_body_is_not_kept():
    app = API()

    @app.post("/")
    async def handler(request):
        pieces = [piece async for piece in request.stream()]
        again = [piece async for piece in request.stream()]
        try:
            await request.body()
        except RuntimeError as error:
            return [b"".join(pieces).decode(), len(again), str(error)]

    with TestClient(app) as client:
        text, again, error = client.post("/", content=b"x" * 1000).json()
    assert (text, again) == ("x" * 1000, 0)
    assert "streamed" in error


def test_a_body_can_be_streamed_back():
    app = API()

    @app.post("/")
    async def handler(request):
        async def pieces():
            yield "begin;"
            async for piece in request.stream():
                yield piece

        return StreamingResponse(pieces())

    with TestClient(app) as client:
        assert client.post("/", content=b"x" * 100_000).content == b"begin;" + b"x" * 100_000


def test_a_body_is_there_for_whoever_waits_for_it():
    app = API()

    @app.post("/")
    async def handler(request):
        read = await asyncio.gather(
            request.body(),
            asyncio.wait_for(request.json(), 5),
            asyncio.create_task(request.body()),
        )
        return [read[0].decode(), read[1], read[2].decode()]

    with TestClient(app) as client:
        assert client.post("/", json={"a": 1}).json() == ['{"a": 1}', {"a": 1}, '{"a": 1}']


def test_what_cannot_be_read_can_be_handled():
    app = API()

    @app.post("/")
    async def handler(request):
        try:
            await request.json()
        except UnreadableRequest as error:
            return [error.status, error.code]

    with TestClient(app) as client:
        status, code = client.post("/", content=b"{,}", headers=JSON).json()
        assert (status, code.partition("_")[0]) == (400, "json")
    assert issubclass(UnreadableRequest, HTTPException)


GROWING = """
from apifrom import API
from apifrom.exceptions import UnreadableRequest

app = API(max_body_size=10)

@app.post("/")
async def handler(request):
    try:
        await request.body()
    except UnreadableRequest as error:
        return [error.status, error.code, error.detail]

app.run(port=0)
"""


def test_a_body_that_grows_too_large_can_be_handled():
    with serving(GROWING) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/", body=iter([b"x" * 10, b"x"]), encode_chunked=True)
        answer = connection.getresponse()
        status, code, detail = json.loads(answer.read())
        connection.close()
    assert answer.status == 200
    assert (status, code) == (413, "body_too_large")
    assert "10 bytes" in detail


def test_a_body_announced_as_too_large_does_not_reach_the_handler():
    app = API(max_body_size=10)
    calls = []

    @app.post("/")
    async def handler(request):
        calls.append(await request.body())
        return "read"

    with TestClient(app) as client:
        assert client.post("/", content=b"x" * 10).text == "read"
        response = client.post("/", content=b"x" * 11)
    assert response.status_code == 413
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["type"] == "urn:apifrom:problem:body_too_large"
    assert calls == [b"x" * 10]


def test_a_body_that_nobody_read_in_time_is_still_there_afterwards():
    app = API()
    read = threading.Event()
    found = []

    @app.post("/")
    async def handler(request):
        async def later():
            await asyncio.sleep(0.05)
            found.append(await request.body())
            read.set()

        handler.task = asyncio.create_task(later())
        return "answered"

    with TestClient(app) as client:
        assert client.post("/", content=b"kept").text == "answered"
        assert read.wait(5)
    assert found == [b"kept"]

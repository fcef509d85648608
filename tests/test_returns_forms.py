"""What a handler may return, and which answer that is."""

import dataclasses
import http

import pydantic
import pytest

from apifrom import API, HTTPException, Response
from apifrom.responses import JSONResponse
from apifrom.testing import TestClient


@dataclasses.dataclass
class Point:
    x: int


class User(pydantic.BaseModel):
    name: str


def answer(value, annotation=None):
    """Asks a handler that returns what `value()` makes."""
    app = API()

    @app.get("/")
    def handler():
        return value()

    if annotation is not None:
        handler.__annotations__["return"] = annotation[0]
    with TestClient(app) as client:
        return client.get("/")


JSON, TEXT, OCTETS = "application/json", "text/plain; charset=utf-8", "application/octet-stream"


@pytest.mark.parametrize(
    ("value", "content_type", "content"),
    [
        ({"a": 1}, JSON, b'{"a":1}'),
        ([1, 2], JSON, b"[1,2]"),
        ("hé", TEXT, "hé".encode()),
        ("", TEXT, b""),
        (b"\xff\x00", OCTETS, b"\xff\x00"),
        (bytearray(b"ab"), OCTETS, b"ab"),
        (None, JSON, b"null"),
        (7, JSON, b"7"),
        (1.5, JSON, b"1.5"),
        (True, JSON, b"true"),
        (Point(1), JSON, b'{"x":1}'),
        (User(name="Ada"), JSON, b'{"name":"Ada"}'),
        ((), JSON, b"[]"),
        ((1,), JSON, b"[1]"),
        (("a", "b"), JSON, b'["a","b"]'),
        ((1, True), JSON, b"[1,true]"),
        ((1, 2.0), JSON, b"[1,2.0]"),
        ((1, 2, 3), JSON, b"[1,2,3]"),
        ((1, 201, "x"), JSON, b'[1,201,"x"]'),
        ((1, 201, [2]), JSON, b"[1,201,[2]]"),
        ((1, 201, {}, 4), JSON, b"[1,201,{},4]"),
    ],
)
def test_a_body_alone_is_answered_with_200(value, content_type, content):
    response = answer(lambda: value)
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.content == content


def test_none_is_204_where_the_handler_is_annotated_to_return_none():
    response = answer(lambda: None, (None,))
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


def test_what_never_has_a_body_announces_no_length():
    client = TestClient(api_of_nothing())
    for method in ("GET", "HEAD"):
        response = client.request(method, "/")
        assert response.status_code == 204
        assert "content-length" not in response.headers
    assert client.request("HEAD", "/text").headers["content-length"] == "4"


def api_of_nothing():
    app = API()

    @app.get("/")
    def nothing() -> None: ...

    @app.get("/text")
    def text():
        return "text"

    return app


def test_a_body_where_none_was_announced_is_not_sent():
    response = answer(lambda: {"secret": 1}, (None,))
    assert response.status_code == 500
    assert b"secret" not in response.content


@pytest.mark.parametrize("status", [200, 201, 403, 404, 500, 599, http.HTTPStatus.CONFLICT])
def test_a_body_with_a_status_is_answered_with_that_status(status):
    response = answer(lambda: ({"a": 1}, status))
    assert response.status_code == int(status)
    assert response.json() == {"a": 1}


@pytest.mark.parametrize("status", [-1, 0, 2, 99, 100, 103, 199, 600, 999, 1000, 70000, 2**80])
def test_a_status_that_is_none_is_500_and_logged(status, caplog):
    response = answer(lambda: ({"a": 1}, status))
    assert response.status_code == 500
    assert "expected a status from 200 to 599" in caplog.text


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1")]])
def test_headers_come_third(headers):
    response = answer(lambda: ("text", 202, headers))
    assert (response.status_code, response.headers["x-a"]) == (202, "1")
    assert response.text == "text"


def test_headers_replace_and_repeat():
    response = answer(lambda: ("{}", 200, [("content-type", "a/b"), ("X-A", "1"), ("x-a", "2")]))
    assert response.headers.getlist("content-type") == ["a/b"]
    assert response.headers.getlist("x-a") == ["1", "2"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nSet-Cookie: b=c"},
        {"X-A": "a\nb"},
        {"X-A": "é"},
        {"X A": "1"},
        {"X-A\r\nB": "1"},
        {"": "1"},
        {"X-A": 1},
        {1: "a"},
        {"Connection": "close"},
        {"Transfer-Encoding": "chunked"},
        {"Upgrade": "websocket"},
    ],
)
def test_headers_that_cannot_be_sent_are_500_and_reach_nobody(headers):
    response = answer(lambda: ({}, 200, headers))
    assert response.status_code == 500
    assert "set-cookie" not in response.headers
    assert "x-a" not in response.headers


def test_a_response_is_answered_as_it_is():
    response = answer(lambda: Response("teapot", 418, {"X-A": "1"}, "text/x-tea"))
    assert (response.status_code, response.text) == (418, "teapot")
    assert response.headers["content-type"] == "text/x-tea; charset=utf-8"
    assert response.headers["x-a"] == "1"


def test_a_response_with_a_status_beside_it_takes_that_status():
    response = answer(lambda: (JSONResponse({"a": 1}), 409, {"X-A": "1"}))
    assert (response.status_code, response.headers["x-a"]) == (409, "1")


def test_one_response_can_be_answered_with_many_times():
    app = API()
    kept = JSONResponse({"a": 1})

    @app.get("/")
    def handler():
        return kept

    with TestClient(app) as client:
        assert [client.get("/").json() for _ in range(3)] == [{"a": 1}] * 3


def test_a_length_that_is_wrong_is_not_sent():
    response = answer(lambda: ("four", 200, {"Content-Length": "400"}))
    assert response.content == b"four"
    assert response.headers.get("content-length", "4") == "4"


def test_what_json_cannot_express_is_500_and_named_in_the_log(caplog):
    response = answer(lambda: {"user": {"photo": object()}})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert b"photo" not in response.content
    assert "type object cannot be written as JSON (at $.user.photo)" in caplog.text


def test_an_http_exception_is_answered_with_what_it_says():
    def fail():
        raise HTTPException(429, "slow down", {"Retry-After": "7"})

    response = answer(fail)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == 429
    assert body["detail"] == "slow down"
    assert body["request_id"] == response.headers["x-request-id"]


def test_an_http_exception_without_detail_has_the_title_of_its_status():
    def fail():
        raise HTTPException(404)

    body = answer(fail).json()
    assert body["title"] == "Not Found"
    assert "detail" not in body


def test_an_http_exception_of_the_programs_own_class_may_have_any_attribute():
    class OutOfStock(HTTPException):
        code = "out-of-stock"

        def __init__(self):
            super().__init__(409, "sold out")

    def fail():
        raise OutOfStock

    body = answer(fail).json()
    assert (body["status"], body["detail"], body["type"]) == (409, "sold out", "about:blank")


@pytest.mark.parametrize("status", [200, 302, 399, 600])
def test_an_http_exception_is_an_error(status):
    with pytest.raises(ValueError, match="status from 400 to 599"):
        HTTPException(status)


def test_an_http_exception_whose_headers_cannot_be_sent_is_500():
    def fail():
        raise HTTPException(400, "x", {"X-A": "a\r\nb"})

    response = answer(fail)
    assert response.status_code == 500
    assert "x-a" not in response.headers


def test_any_other_exception_is_500_and_its_text_reaches_the_log_alone(caplog):
    def fail():
        raise LookupError("table users has\nno column")

    response = answer(fail)
    assert response.status_code == 500
    assert b"users" not in response.content
    assert "LookupError: table users has\\nno column" in caplog.text


def test_an_exception_that_cannot_say_itself_is_500():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")

    def fail():
        raise Mute

    assert answer(fail).status_code == 500


def test_a_coroutine_that_was_not_awaited_is_500():
    async def later():
        return {}

    made = later()
    response = answer(lambda: made)
    made.close()
    assert response.status_code == 500

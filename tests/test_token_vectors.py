"""The table of forged and valid tokens, on the Python face: in process, over sockets, by ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import socket

import pytest

from apifrom import API
from apifrom._apifrom import flush_logs
from apifrom.exceptions import ConfigurationError
from apifrom.security import jwt_required
from apifrom.testing import TestClient
from tests import tokens
from tests.serving import serving
from tests.test_asgi import Client

CASES = tokens.cases()
SERVED = """
from tests import tokens
app = tokens.example()

@app.get("/calls")
def calls():
    return len(app.calls)
"""


@pytest.fixture(scope="module")
def canary():
    """A server that nobody may ask."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture(scope="module")
def app():
    return tokens.example()


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app) as client:
        yield client


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture(scope="module")
def events(client):
    handler = Kept()
    logger = logging.getLogger("apifrom.security")
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)


def judge(case, status, headers):
    name = case["name"]
    assert status == case.get("status", 401), name
    assert headers.get("www-authenticate") == tokens.challenge(case), name
    assert headers["cache-control"] == "no-store", name


def test_the_tokens_are_judged_alike_in_process(app, client, events, canary):
    app.calls.clear()
    events.clear()
    expected = []
    for case in CASES:
        token = tokens.Maker(case, canary=canary).token()
        target, headers = tokens.request(case, token)
        answer = client.get(target, headers=headers)
        judge(case, answer.status_code, answer.headers)
        assert app.calls == (["called"] if answer.status_code == 200 else []), case["name"]
        app.calls.clear()
        if "reason" in case:
            expected.append((case["name"], case["reason"]))
    flush_logs(5000)
    refused = [event for event in events if event.levelno >= logging.WARNING]
    names = [name for name, _ in expected]
    assert list(zip(names, [event.reason for event in refused], strict=True)) == expected
    # The id of a request is made of the letters that a token begins with.
    told = [str({**vars(event), "request_id": None}) for event in events]
    assert not any("eyJ" in text for text in told)


@contextlib.contextmanager
def connected(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def asked(connection, target, headers):
    connection.putrequest("GET", target)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


OWN = {"program": SERVED + "app.run(port=0)"}
UVICORN = {
    "program": f"{SERVED}\nimport uvicorn\nuvicorn.run(app, port=0, proxy_headers=False)",
    "status": -15,
    "listening": r"running on http://127\.0\.0\.1:(\d+)",
}


@pytest.mark.parametrize("server", [OWN, UVICORN], ids=["own", "uvicorn"])
def test_the_tokens_are_judged_alike_over_a_socket(server, canary):
    expected = 0
    with serving(**server) as port, connected(port) as connection:
        for case in CASES:
            token = tokens.Maker(case, canary=canary).token()
            status, headers, _ = asked(connection, *tokens.request(case, token))
            judge(case, status, headers)
            expected += status == 200
        assert asked(connection, "/calls", [])[2] == str(expected).encode()


def test_the_tokens_are_judged_alike_under_asgi(app, canary):
    async def ask_all():
        for case in CASES:
            app.calls.clear()
            token = tokens.Maker(case, canary=canary).token()
            target, headers = tokens.request(case, token)
            lines = [(name.lower().encode(), value.encode()) for name, value in headers]
            answer = await asyncio.wait_for(Client(app, "GET", target, lines).ask(), 10)
            judge(case, answer.status, answer.headers)
            assert app.calls == (["called"] if answer.status == 200 else []), case["name"]

    asyncio.run(ask_all())


@pytest.mark.parametrize("case", tokens.TABLE["declarations"], ids=lambda case: case["name"])
def test_declarations_that_would_verify_wrongly_do_not_start(case):
    app = API()

    @app.get("/")
    @jwt_required(**tokens.options(case["options"]))
    def handler():
        return "answered"

    if "error" not in case:
        app.freeze()
        return
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert f".{case['error']}" in str(raised.value)
    for key in tokens.TABLE["keys"].values():
        assert not key.get("text") or key["text"] not in str(raised.value)

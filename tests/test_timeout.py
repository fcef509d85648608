"""How long answers may take to begin."""

from __future__ import annotations

import asyncio
import time

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import Middleware, SecurityHeadersMiddleware, TimeoutMiddleware, timeout
from apifrom.testing import TestClient


def example(seconds=0.25):
    app = API()
    app.add_middleware(TimeoutMiddleware(seconds))
    app.add_middleware(SecurityHeadersMiddleware())
    app.ends = []

    @app.get("/never")
    async def never():
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            app.ends.append("cancelled")
            raise

    @app.get("/slow")
    def slow():
        time.sleep(1.5)
        app.ends.append("slept")
        return "late"

    @app.get("/patient")
    @timeout(20)
    async def patient():
        await asyncio.sleep(0.5)
        return "late"

    @app.get("/stream")
    async def stream() -> str:
        yield "a"
        await asyncio.sleep(0.5)
        yield "b"

    @app.post("/at-once")
    def at_once(body: dict):
        return body

    return app


def test_a_handler_that_waits_is_cancelled_and_the_caller_told():
    app = example()
    with TestClient(app) as client:
        answer = client.get("/never")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-frame-options"] == "DENY"
        client.post("/at-once", json={})
    assert app.ends == ["cancelled"]


def test_a_def_runs_to_its_end_and_its_answer_is_dropped():
    app = example()
    with TestClient(app) as client:
        begin = time.monotonic()
        assert client.get("/slow").status_code == 503
        assert time.monotonic() - begin < 1.2
        assert app.ends == []
        time.sleep(1.6)
    assert app.ends == ["slept"]


def test_what_begins_in_time_is_answered():
    with TestClient(example()) as client:
        assert client.post("/at-once", json={"a": 1}).json() == {"a": 1}
        assert client.get("/patient").text == "late"
        assert client.get("/stream").text == "ab"


def test_own_middleware_counts():
    app = example()

    class Stuck(Middleware):
        async def before(self, request):
            await asyncio.sleep(20)

    app.add_middleware(Stuck())
    with TestClient(app) as client:
        assert client.post("/at-once", json={}).status_code == 503


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "5", True, float("nan"), None])
def test_what_cannot_be_meant_stops_the_start_and_is_named(seconds):
    app = API()
    app.add_middleware(TimeoutMiddleware(seconds))
    with pytest.raises(ConfigurationError) as error:
        app.freeze()
    assert "timeout.seconds" in str(error.value)


def test_the_decorator_needs_its_parentheses():
    with pytest.raises(TypeError, match="write @timeout"):
        timeout(lambda: None)

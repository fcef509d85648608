"""Limits by identity and by key function, and those of single endpoints and routers."""

from __future__ import annotations

import asyncio
import functools
import re
import time
import types

import pytest

from apifrom import API, HTTPException, Router
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import RateLimitMiddleware, rate_limit
from apifrom.testing import TestClient
from tests.test_rate_limit import LEFT, example, of


async def awaited(request):
    await asyncio.sleep(0)
    return request.headers.get("x-key")


def yields(request):
    yield "a"


async def yields_later(request):
    yield "a"


class Asked:
    """An object that is called as an `async def` is."""

    async def __call__(self, request):
        return await awaited(request)


class Called:
    """An object that is called as a `def` is."""

    def __call__(self, request):
        return request.headers.get("x-key")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda request: request.headers.get("x-key"), id="def"),
        pytest.param(awaited, id="async def"),
        pytest.param(functools.partial(awaited), id="partial async def"),
        pytest.param(Asked(), id="object with an async __call__"),
        pytest.param(Called(), id="object"),
        pytest.param(lambda request: (request.headers.get("x-key") or "", 1), id="tuple"),
        pytest.param(lambda request: request.headers.get("x-key", "").encode(), id="bytes"),
        pytest.param(lambda request: len(request.headers.get("x-key", "")), id="number"),
    ],
)
def test_requests_of_one_key_count_together_wherever_they_come_from(key):
    calls = []
    with TestClient(example(calls, key_func=key)) as client:

        def ask(name, address="192.0.2.1"):
            return client.get("/", headers={"x-key": name, "x-forwarded-for": address})

        for left in (2, 1, 0):
            answer = ask("a", f"192.0.2.{left + 1}")
            assert (answer.status_code, answer.headers[LEFT]) == (200, str(left))
            assert answer.headers["ratelimit-policy"] == '"key";q=3;w=60'
        refused = ask("a")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 62
        assert ask("bb").status_code == 200
        assert calls == ["home"] * 4
        # Paths that are not there ask no function.
        assert [client.get("/nowhere").status_code for _ in range(5)] == [404] * 5


def test_no_two_keys_are_the_same_and_none_is_the_address():
    keys = iter([None, None, "a", ("a",), ("a", ""), b"a", 1, "1", (1, 1), 2**80])
    app = example([], {"limit": 1, "window": 60}, key_func=lambda _: next(keys))
    with TestClient(app) as client:
        assert of(client, "192.0.2.1").status_code == 200
        assert of(client, "192.0.2.1").status_code == 429
        for expected in (200, 429, 200, 200, 200, 200, 200, 200):
            assert of(client, "192.0.2.9").status_code == expected


def forbids(request):
    raise HTTPException(403, "hunter2")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda request: 1 / 0, id="raises"),
        pytest.param(forbids, id="raises an answer"),
        pytest.param(lambda request: ["hunter2"], id="list"),
        pytest.param(lambda request: True, id="bool"),
        pytest.param(lambda request: 1.5, id="float"),
        pytest.param(lambda request: ("a", None), id="none in a tuple"),
    ],
)
def test_a_key_function_that_fails_lets_nobody_pass(key, caplog):
    calls = []
    with TestClient(example(calls, key_func=key)) as client:
        answer = client.get("/")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["type"].endswith("rate_limit_unavailable")
    assert calls == []
    assert "failed with" in caplog.text
    assert "hunter2" not in caplog.text


async def converts_later(request):
    await asyncio.sleep(0)
    return int(request.headers["x-key"])


class Unformatted(int):
    def __format__(self, form):
        raise ValueError(f"hunter{int(self)}")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda request: int(request.headers["x-key"]), id="def"),
        pytest.param(converts_later, id="async def"),
        pytest.param(lambda request: Unformatted(2), id="value"),
    ],
)
def test_what_a_key_function_raises_is_logged_without_what_was_sent(key, caplog):
    with TestClient(example([], key_func=key)) as client:
        assert client.get("/", headers={"x-key": "hunter2"}).status_code == 503
    assert re.search(r"answered 503: ValueError at .*test_rate_limit_keys\.py:\d+", caplog.text)
    assert "hunter2" not in caplog.text
    assert all("hunter2" not in str(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize(
    "key",
    [lambda: "a", lambda request, address: "a", functools.partial(lambda a, b: "a", 1, 2)],
    ids=["none", "two", "partial"],
)
def test_a_key_function_of_other_arguments_stops_the_start(key):
    expected = (
        r"rate_limit\.key_func: expected a function of one argument, the request; it takes \("
    )
    with pytest.raises(ConfigurationError, match=expected):
        example([], key_func=key).freeze()


def test_an_identity_counts_wherever_it_comes_from_once_it_was_let_in():
    with TestClient(example([], key_func="identity")) as client:

        def ask(key, address):
            headers = {"x-api-key": key, "x-forwarded-for": address}
            return client.get("/locked", headers=headers)

        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            answer = ask("a-long-enough-key", address)
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"identity";q=3;w=60'
        assert ask("a-long-enough-key", "192.0.2.4").status_code == 429
        # Whoever is not let in is not counted, and whoever is nobody is counted by address.
        assert [ask("wrong", "192.0.2.5").status_code for _ in range(5)] == [401] * 5
        assert [of(client, "192.0.2.6").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert of(client, "192.0.2.7").status_code == 200


def test_an_endpoint_has_limits_of_its_own_beside_the_others():
    app = API(trusted_proxies=["127.0.0.1"])
    app.add_middleware(RateLimitMiddleware, limit=5, window=60)
    calls = []

    @rate_limit("2/minute")
    @app.get("/above")
    def above():
        calls.append("above")
        return {}

    @app.get("/below")
    @rate_limit("3/minute")
    @rate_limit("4/hour", key=lambda request: request.headers.get("x-key"), cost=2)
    def below():
        calls.append("below")
        return {}

    with TestClient(app) as client:
        statuses = [of(client, "192.0.2.1", "/above").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        # What an endpoint's limit refused was counted by that of the API.
        statuses = [of(client, "192.0.2.1", "/below").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        # Two calls at a cost of two are four.
        statuses = [of(client, "192.0.2.2", "/below").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
    assert calls == ["above"] * 2 + ["below"] * 4


def test_a_routers_limit_is_shared_by_its_endpoints():
    app = API()
    router = Router("/v1", limit="3/minute")

    @router.get("/a")
    def a():
        return {}

    @router.get("/b")
    def b():
        return {}

    inner = Router("/inner", limit=[RateLimitMiddleware(limit=1, window=60), "9/hour"])

    @inner.get("/c")
    def c():
        return {}

    router.router(inner)
    app.router(router)
    with TestClient(app) as client:
        paths = ["/v1/a", "/v1/inner/c", "/v1/inner/c", "/v1/b"]
        assert [client.get(path).status_code for path in paths] == [200, 200, 429, 429]
    with pytest.raises(TypeError, match="limit: expected"):
        Router(limit=5)


@pytest.mark.parametrize(
    ("rule", "options", "field"),
    [
        pytest.param("100", {}, "rule", id="no span"),
        pytest.param("1.5/minute", {}, "rule", id="fraction"),
        pytest.param("100/month", {}, "rule", id="month"),
        pytest.param("0/minute", {}, "limit", id="none"),
        pytest.param("5/minute", {"cost": 6}, "cost", id="costly"),
        pytest.param("5/minute", {"cost": 0}, "cost", id="free"),
        pytest.param("5/minute", {"key": 5}, "key_func", id="key"),
        pytest.param("5/minute", {"key": yields}, "key_func", id="generator"),
        pytest.param("5/minute", {"on_failure": "closed"}, "on_failure", id="nothing to fail"),
        pytest.param("5/minute", {"key": yields_later}, "key_func", id="async generator"),
    ],
)
def test_a_wrong_limit_of_an_endpoint_stops_the_start(rule, options, field):
    app = API()

    @app.get("/")
    @rate_limit(rule, **options)
    def home():
        return {}

    with pytest.raises(ConfigurationError) as caught:
        app.freeze()
    assert [name.rpartition(".")[2] for name, _ in caught.value.errors] == [field]


def test_a_limit_needs_its_text_and_an_endpoint():
    with pytest.raises(TypeError, match="write @rate_limit"):
        rate_limit(lambda: None)
    source = """
from apifrom import API
from apifrom.middleware import rate_limit

app = API()

@app.get("/")
def home():
    return {}

@rate_limit("5/minute")
def forgotten():
    return {}
"""
    module = types.ModuleType("forgetful")
    exec(source, module.__dict__)
    with pytest.raises(ConfigurationError, match="forgotten"):
        module.app.freeze()


def test_refusals_are_recorded_once_a_second_and_counted(caplog):
    with TestClient(example([], {"limit": 1, "window": 60})) as client:
        for _ in range(20):
            of(client, "192.0.2.1")
        time.sleep(1.1)
        of(client, "192.0.2.1")
    records = [line for line in caplog.messages if line.startswith("rate_limited")]
    assert 2 <= len(records) <= 3
    assert "client=192.0.2.1" in records[0]
    assert "left_out=" in records[-1]

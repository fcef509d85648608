"""Rate limits whose counts are in a real Redis, shared by processes."""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import threading
import time
from collections import Counter

import pytest

from apifrom import API, Router, Secret
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import RateLimitMiddleware, rate_limit
from apifrom.testing import TestClient
from tests.redis_server import redis_server
from tests.serving import serving


@pytest.fixture
def redis(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


def example(calls, **options):
    app = API()
    app.add_middleware(RateLimitMiddleware, **{"limit": 2, "window": 60, **options})

    @app.get("/")
    def home():
        calls.append("home")
        return {}

    return app


def statuses(client, count, path="/"):
    return [client.get(path).status_code for _ in range(count)]


@pytest.mark.parametrize("wrap", [str, Secret])
def test_two_programs_count_together(redis, wrap):
    calls = []
    options = {"storage": "redis", "redis_url": wrap(redis.url)}
    with (
        TestClient(example(calls, **options)) as one,
        TestClient(example(calls, **options)) as other,
    ):
        assert statuses(one, 1) + statuses(other, 1) == [200, 200]
        assert statuses(one, 1) + statuses(other, 1) == [429, 429]
        answer = one.get("/")
    assert answer.headers["x-ratelimit-limit"] == "2"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert 55 <= int(answer.headers["retry-after"]) <= 62
    assert calls == ["home", "home"]


@pytest.mark.parametrize("limit", [1, 32, 33, 1_000_000_000])
def test_a_key_takes_at_most_256_bytes_there(redis, limit):
    options = {"storage": "redis", "redis_url": redis.url, "limit": limit, "window": 31_536_000}
    with TestClient(example([], **options)) as client:
        assert statuses(client, 34) == [200] * min(limit, 34) + [429] * max(34 - limit, 0)
    keys = re.findall(rb"apifrom:limit:[\w-]{22}", redis.ask(b"KEYS *"))
    assert len(keys) == 1
    assert 64 < int(redis.ask(b"MEMORY USAGE " + keys[0])[1:]) <= 256


def test_limits_of_endpoints_and_routers_are_counted_apart(redis):
    app = API()
    store = {"storage": "redis", "redis_url": redis.url}
    shared = RateLimitMiddleware(limit=3, window=60, **store)
    router = Router("/r", limit=shared)

    @router.get("/a")
    @rate_limit("1/minute", **store)
    def a():
        return {}

    @router.get("/b")
    def b():
        return {}

    app.router(router)
    with TestClient(app) as client:
        assert statuses(client, 2, "/r/a") == [200, 429]
        # The router counted both.
        assert statuses(client, 2, "/r/b") == [200, 429]


@pytest.mark.parametrize(
    ("policy", "during"),
    [("local", [200, 200, 429]), ("closed", [503] * 3), ("insecure_open", [200] * 3)],
)
def test_while_the_server_is_away_the_policy_holds(redis, policy, during, caplog):
    calls = []
    app = example(calls, storage="redis", redis_url=redis.url, on_failure=policy)
    with caplog.at_level(logging.INFO, "apifrom.security"), TestClient(app) as client:
        assert statuses(client, 3) == [200, 200, 429]
        redis.kill()
        # Whoever is under way when it goes is answered by the same policy.
        assert statuses(client, 3) == during
        redis.start()
        deadline = time.monotonic() + 5
        while redis.ask(b"DBSIZE") == b":0\r\n":
            assert time.monotonic() < deadline, "it is not used again"
            client.get("/")
            time.sleep(0.05)
    said = [record.message for record in caplog.records if "store_" in record.message]
    assert [message.split()[0] for message in said] == ["store_unavailable", "store_recovered"]
    assert "a-password-of-the-tests" not in caplog.text


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"storage": "redis"}, "redis_url"),
        ({"storage": "redis", "redis_url": "localhost"}, "redis_url"),
        ({"storage": "redis", "redis_url": 7}, "redis_url"),
        ({"storage": "memory", "redis_url": "redis://localhost"}, "redis_url"),
        ({"storage": "memcached"}, "storage"),
        ({"on_failure": "open"}, "on_failure"),
    ],
)
def test_mistakes_stop_the_start(options, field):
    with pytest.raises(ConfigurationError, match=f"rate_limit.{field}"):
        example([], **options).freeze()


PROGRAM = """
from apifrom import API
from apifrom.middleware import RateLimitMiddleware

app = API()
store = {{"storage": "redis", "redis_url": {url!r}, "on_failure": "closed"}}
app.add_middleware(RateLimitMiddleware(limit=500, window=60, **store))

@app.get("/")
def home():
    return {{}}

app.run(port=0, access_log=False)
"""


def test_processes_accept_exactly_the_limit_between_them(redis):
    program = PROGRAM.format(url=redis.url)
    seen = Counter()
    lock = threading.Lock()
    with contextlib.ExitStack() as running:
        ports = [running.enter_context(serving(program)) for _ in range(3)]

        def ask(port):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            mine = Counter()
            for _ in range(100):
                connection.request("GET", "/")
                response = connection.getresponse()
                response.read()
                mine[response.status] += 1
            connection.close()
            with lock:
                seen.update(mine)

        threads = [threading.Thread(target=ask, args=(port,)) for port in ports * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == {200: 500, 429: 700}

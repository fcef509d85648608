"""How many requests of one client pass."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import CORSMiddleware, RateLimitMiddleware
from apifrom.security import api_key_required
from apifrom.testing import TestClient
from tests.serving import serving

PAGE = "https://page.example"
LEFT = "x-ratelimit-remaining"


def example(calls, *limits, **options):
    app = API(trusted_proxies=["127.0.0.1"])
    for limit in limits or [{"limit": 3, "window": 60}]:
        app.add_middleware(RateLimitMiddleware, **{**limit, **options})

    @app.get("/")
    def home():
        calls.append("home")
        return {}

    @app.get("/locked")
    @api_key_required(api_keys={"a-long-enough-key": []})
    def locked():
        calls.append("locked")
        return {}

    return app


def of(client, address, path="/"):
    return client.get(path, headers={"x-forwarded-for": address})


def test_the_limit_passes_the_next_is_told_when_to_come_back_and_others_are_not_held():
    calls = []
    with TestClient(example(calls)) as client:
        for left in (2, 1, 0):
            answer = of(client, "192.0.2.1")
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-limit"] == "3"
            assert answer.headers[LEFT] == str(left)
            assert 58 <= int(answer.headers["x-ratelimit-reset"]) <= 62
            assert answer.headers["ratelimit-policy"] == '"client";q=3;w=60'
            assert answer.headers["ratelimit"].startswith(f'"client";r={left};t=')
            assert "retry-after" not in answer.headers
        refused = of(client, "192.0.2.1")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["title"]
        assert 58 <= int(refused.headers["retry-after"]) <= 62
        assert refused.headers[LEFT] == "0"
        assert len(calls) == 3
        assert of(client, "192.0.2.2").status_code == 200


def test_refused_log_ins_and_unknown_paths_count_and_preflights_do_not():
    calls = []
    app = example(calls)
    app.add_middleware(CORSMiddleware(allow_origins=[PAGE]))
    with TestClient(app) as client:
        asks = {"origin": PAGE, "access-control-request-method": "GET"}
        for _ in range(5):
            preflight = client.options("/", headers={**asks, "x-forwarded-for": "192.0.2.1"})
            assert preflight.status_code == 204
            assert LEFT not in preflight.headers
        assert of(client, "192.0.2.1", "/locked").status_code == 401
        assert of(client, "192.0.2.1", "/nowhere").status_code == 404
        wrong_method = client.post("/", headers={"x-forwarded-for": "192.0.2.1"})
        assert wrong_method.status_code == 405
        assert wrong_method.headers[LEFT] == "0"
        # Changing the path is no way out, and a page may read that it was refused.
        for path in ("/", "/locked", "/other"):
            refused = client.get(path, headers={"x-forwarded-for": "192.0.2.1", "origin": PAGE})
            assert refused.status_code == 429
            assert refused.headers["access-control-allow-origin"] == PAGE
    assert calls == []


def test_a_subscriber_is_one_client_and_a_mapped_address_is_the_address():
    with TestClient(example([])) as client:
        lefts = [
            of(client, address).headers[LEFT]
            for address in (
                "2001:db8:0:1::1",
                "2001:db8:0:1:ffff::2",
                "2001:db8:0:2::1",
                "192.0.2.1",
                "::ffff:192.0.2.1",
            )
        ]
    assert lefts == ["2", "1", "2", "2", "1"]


def test_a_header_of_nobody_trusted_is_no_way_out():
    app = API()
    app.add_middleware(RateLimitMiddleware(limit=1, window=60))
    with TestClient(app) as client:
        assert of(client, "192.0.2.1").status_code == 404
        for header in ("x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip"):
            assert client.get("/", headers={header: "192.0.2.77"}).status_code == 429


def test_the_quota_comes_back_and_what_was_refused_cost_nothing():
    with TestClient(example([], {"limit": 2, "window": 1})) as client:
        begin = time.monotonic()
        assert [of(client, "192.0.2.1").status_code for _ in range(2)] == [200, 200]
        both = time.monotonic()
        while time.monotonic() - begin < 0.5:
            answer = of(client, "192.0.2.1")
            assert answer.status_code == 429 or time.monotonic() - begin > 1
        # Exact to a 32nd of the window.
        time.sleep(both + 1.05 - time.monotonic())
        assert [of(client, "192.0.2.1").status_code for _ in range(2)] == [200, 200]


def test_of_several_limits_each_holds_and_the_tightest_is_shown():
    with TestClient(
        example([], {"limit": 5, "window": 60}, {"limit": 2, "window": 3600})
    ) as client:
        answers = [of(client, "192.0.2.1") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        for answer in answers:
            assert answer.headers["ratelimit-policy"] == '"client";q=2;w=3600'
            assert answer.headers["x-ratelimit-limit"] == "2"


def test_without_headers_only_a_refusal_says_when():
    with TestClient(example([], headers=False)) as client:
        answers = [of(client, "192.0.2.1") for _ in range(4)]
        assert answers[-1].status_code == 429
        assert "retry-after" in answers[-1].headers
        for answer in answers:
            assert not [name for name in answer.headers if "ratelimit" in name.lower()]


def test_many_addresses_share_counters_when_there_is_no_room_and_none_gets_more():
    calls = []
    with TestClient(example(calls, {"limit": 1, "window": 60}, max_keys=2)) as client:
        for last in range(1, 40):
            of(client, f"192.0.2.{last}")
            before = len(calls)
            assert of(client, f"192.0.2.{last}").status_code == 429
            assert len(calls) == before


def test_the_clients_own_address_is_a_key_function_that_costs_no_call():
    def host(any_name):
        return any_name.client.host

    for key in (None, host, lambda r: r.client.host):
        with TestClient(example([], key_func=key)) as client:
            assert of(client, "192.0.2.1").headers[LEFT] == "2"


def host_of(request, fallback=None):
    return request.client.host


@pytest.mark.parametrize(
    "key",
    [
        lambda request: request.client.port,
        lambda request: request.client.host.lower(),
        lambda request: PAGE.client.host,
        lambda *request: request.client.host,
        lambda request: request.headers["x-user"],
        host_of,
        print,
    ],
    ids=["attribute", "call", "global", "star", "header", "default", "built-in"],
)
def test_any_other_function_is_called(key):
    with TestClient(example([], key_func=key)) as client:
        answer = client.get("/")
        policy = answer.headers.get("ratelimit-policy", "")
        assert answer.status_code == 503 or policy.startswith(('"key"', '"client"'))
        assert not policy.startswith('"client"') or key is print


@pytest.mark.parametrize("key", ["client", 5, ["identity"]], ids=["text", "number", "list"])
def test_a_key_that_is_no_function_stops_the_start(key):
    with pytest.raises(ConfigurationError, match=r"rate_limit\.key_func: expected a function"):
        example([], key_func=key).freeze()


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"limit": 0, "window": 60}, ["limit"]),
        ({"limit": -1, "window": 0}, ["limit", "window"]),
        ({"limit": 1.5, "window": float("nan")}, ["limit", "window"]),
        ({"limit": True, "window": float("inf")}, ["limit", "window"]),
        ({"limit": "100", "window": "60"}, ["limit", "window"]),
        ({"limit": 2_000_000_000, "window": 0.0001}, ["limit", "window"]),
        ({"max_keys": 0, "headers": 1}, ["max_keys", "headers"]),
        ({"storage": "redis"}, ["redis_url"]),
        ({"storage": "disk"}, ["storage"]),
        ({"redis_url": "redis://127.0.0.1"}, ["redis_url"]),
        ({"on_failure": "local"}, ["on_failure"]),
        ({"on_failure": "closed", "storage": "memory"}, ["on_failure"]),
        ({"on_failure": "insecure_open", "limit": 0}, ["on_failure", "limit"]),
        ({"on_failure": "", "storage": "redis"}, ["on_failure", "redis_url"]),
        ({"on_failure": 0, "storage": "redis"}, ["on_failure", "redis_url"]),
    ],
)
def test_mistakes_stop_the_start_and_name_every_field(options, fields):
    with pytest.raises(ConfigurationError) as raised:
        example([], {"limit": 1, "window": 1, **options}).freeze()
    for field in fields:
        assert f"rate_limit.{field}: " in str(raised.value)


def test_threads_that_ask_at_once_over_sockets_get_the_limit_and_no_more():
    program = (
        "from tests.test_rate_limit import example\n"
        "example([], {'limit': 40, 'window': 60}).run(port=0)\n"
    )
    found = []
    with serving(program) as port:

        def ask():
            for _ in range(10):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                        found.append(answer.status)
                except urllib.error.HTTPError as refused:
                    found.append(refused.code)
                    refused.close()

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [200] * 40 + [429] * 120

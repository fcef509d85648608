"""API keys and users that the program's own functions look up."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from apifrom import API, Router
from apifrom.exceptions import ConfigurationError
from apifrom.security import (
    KeyRecord,
    Secret,
    api_key_required,
    basic_auth_required,
    hash_password,
    multi_auth_required,
)
from apifrom.testing import TestClient
from tests.serving import serving
from tests.test_asgi import Client

STORED = hash_password("right")
READER = KeyRecord(id="reports", scopes=["read"])


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def key(value):
    return {"X-API-Key": value}


def basic(user, password):
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class Store:
    """Rows that are looked up, by a `def` or an `async def`, and who asked for them."""

    def __init__(self, rows=None, delay=0):
        self.rows = rows or {}
        self.delay = delay
        self.asked = []
        self.threads = set()

    def say(self, name):
        said = self.rows.get(name)
        if isinstance(said, BaseException):
            raise said
        return said

    def find(self, name):
        self.asked.append(name)
        self.threads.add(threading.current_thread())
        time.sleep(self.delay)
        return self.say(name)

    async def find_async(self, name):
        asyncio.get_running_loop()
        self.asked.append(name)
        await asyncio.sleep(self.delay)
        return self.say(name)

    def by(self, asynchronous):
        return self.find_async if asynchronous else self.find


def secured(protection):
    """An API with one endpoint behind `protection`, and the calls of its handler."""
    app = API()
    calls = []

    @app.get("/")
    @protection
    def handler(request):
        state = request.state
        calls.append(getattr(state, "api_key", None) or getattr(state, "username", None))
        return calls[-1]

    return app, calls


def errors_of(protection):
    with pytest.raises(ConfigurationError) as raised:
        secured(protection)[0].freeze()
    return str(raised.value)


both = pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async"])


@both
def test_a_key_is_looked_up_by_its_digest_and_found_as_it_was_sent(asynchronous):
    store = Store({digest("k1"): READER})
    app, calls = secured(api_key_required(lookup=store.by(asynchronous), scopes=["read"]))
    with TestClient(app) as client:
        assert client.get("/", headers=key("k1")).text == "k1"
        answer = client.get("/", headers=key("k2"))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("ApiKey ")
        assert client.get("/").status_code == 401
    assert store.asked == [digest("k1"), digest("k2")]
    assert calls == ["k1"]


@both
def test_a_user_is_looked_up_by_the_name(asynchronous):
    store = Store({"ada": STORED, "zoë": Secret(STORED)})
    app, calls = secured(basic_auth_required(lookup=store.by(asynchronous)))
    with TestClient(app) as client:
        for user in ["ada", "zoë", "ada"]:
            assert client.get("/", headers=basic(user, "right")).text == user
        for user in ["ada", "bob"]:
            assert client.get("/", headers=basic(user, "wrong")).status_code == 401
    assert store.asked == ["ada", "zoë", "bob"]
    assert calls == ["ada", "zoë", "ada"]


def test_an_object_whose_call_is_async_and_a_partial_are_look_ups():
    class Finds:
        async def __call__(self, name):
            await asyncio.sleep(0)
            return READER

    async def found(record, name):
        return record

    for lookup in [Finds(), functools.partial(found, READER), {digest("k"): READER}.get]:
        app, _ = secured(api_key_required(lookup=lookup))
        with TestClient(app) as client:
            assert client.get("/", headers=key("k")).status_code == 200


def test_what_is_declared_is_asked_first():
    store = Store({digest("k1"): READER, "ada": STORED})
    keys, _ = secured(api_key_required({"own": []}, lookup=store.find))
    users, _ = secured(basic_auth_required({"root": "own"}, lookup=store.find))
    with TestClient(keys) as client:
        assert client.get("/", headers=key("own")).status_code == 200
        assert store.asked == []
        assert client.get("/", headers=key("k1")).status_code == 200
    with TestClient(users) as client:
        assert client.get("/", headers=basic("root", "own")).status_code == 200
        assert store.asked == [digest("k1")]
        assert client.get("/", headers=basic("ada", "right")).status_code == 200
        assert client.get("/", headers=basic("root", "right")).status_code == 401
    assert store.asked == [digest("k1"), "ada"]


def test_a_key_without_a_required_scope_is_refused():
    app, calls = secured(api_key_required(lookup=lambda _: READER, scopes=["write"]))
    with TestClient(app) as client:
        answer = client.get("/", headers=key("k"))
        assert answer.status_code == 403
        assert 'scope="write"' in answer.headers["www-authenticate"]
    assert calls == []


@pytest.mark.parametrize("raised", [BaseException, asyncio.CancelledError])
@both
def test_nothing_that_is_raised_lets_anybody_in_or_ends_the_server(raised, asynchronous):
    store = Store({digest("bad"): raised(), digest("good"): READER})
    app, calls = secured(api_key_required(lookup=store.by(asynchronous)))
    with TestClient(app) as client:
        for _ in range(2):
            assert client.get("/", headers=key("bad")).status_code == 503
        assert client.get("/", headers=key("good")).status_code == 200
    assert calls == ["good"]


def test_a_look_up_that_waits_for_itself_is_503():
    def find(name):
        answer = client.get("/", headers=key("k"))
        return READER if answer.status_code == 200 else None

    app, calls = secured(api_key_required(lookup=find))
    with TestClient(app) as client:
        assert client.get("/", headers=key("k")).status_code == 503
    assert calls == []


def test_a_policy_is_asked_about_a_key_that_was_looked_up():
    app, calls = secured(
        api_key_required(lookup=lambda _: READER, policy=lambda request: False, hide=True)
    )
    with TestClient(app) as client:
        assert client.get("/", headers=key("k")).status_code == 404
    assert calls == []


@pytest.mark.parametrize(
    ("expires", "status"),
    [
        (None, 200),
        (lambda: time.time() + 60, 200),
        (lambda: time.time() - 0.01, 401),
        (lambda: 0, 401),
        (lambda: -5, 401),
        (lambda: datetime.now(UTC) + timedelta(minutes=1), 200),
        (lambda: datetime.now(UTC), 401),
    ],
    ids=["never", "later", "just now", "epoch", "before it", "later date", "date just now"],
)
def test_a_key_that_has_expired_is_refused(expires, status):
    record = KeyRecord(id="k", expires=expires and expires())
    app, calls = secured(api_key_required(lookup=lambda _: record))
    with TestClient(app) as client:
        assert client.get("/", headers=key("k")).status_code == status
    assert len(calls) == (status == 200)


def test_a_key_expires_also_while_it_is_known():
    store = Store({digest("k"): KeyRecord(id="k", expires=time.time() + 1)})
    app, _ = secured(api_key_required(lookup=store.find))
    with TestClient(app) as client:
        assert client.get("/", headers=key("k")).status_code == 200
        time.sleep(1.1)
        assert client.get("/", headers=key("k")).status_code == 401
    assert len(store.asked) == 1


NO_RECORDS = [True, "reports", {"id": "reports"}, KeyRecord, 7, [READER], RuntimeError("hunter2")]


@both
@pytest.mark.parametrize("said", NO_RECORDS, ids=lambda said: type(said).__name__)
def test_what_is_no_record_is_503_and_asked_anew(said, asynchronous, caplog):
    store = Store({digest("secret-key"): said})
    app, calls = secured(api_key_required(lookup=store.by(asynchronous)))
    with caplog.at_level("DEBUG", logger="apifrom"), TestClient(app) as client:
        for _ in range(2):
            answer = client.get("/", headers=key("secret-key"))
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert "www-authenticate" not in answer.headers
    assert len(store.asked) == 2
    assert calls == []
    reason = "lookup_failed" if isinstance(said, RuntimeError) else "lookup_invalid"
    assert reason in caplog.text
    assert "hunter2" not in caplog.text
    assert "secret-key" not in caplog.text


NO_HASHES = ["right", "", "$1$a$b", b"$2b$", True, READER, RuntimeError("hunter2")]


@both
@pytest.mark.parametrize("said", NO_HASHES, ids=repr)
def test_what_is_no_hash_is_503_and_no_failure_of_the_user(said, asynchronous, caplog):
    app, calls = secured(basic_auth_required(lookup=Store({"ada": said}).by(asynchronous)))
    with caplog.at_level("DEBUG", logger="apifrom"), TestClient(app) as client:
        # More often than failures are let pass.
        for _ in range(11):
            assert client.get("/", headers=basic("ada", "right")).status_code == 503
    assert calls == []
    assert "hunter2" not in caplog.text
    assert "right" not in caplog.text


@both
def test_a_look_up_that_takes_too_long_is_503(asynchronous, caplog):
    store = Store({digest("k"): READER}, delay=12)
    app, calls = secured(api_key_required(lookup=store.by(asynchronous)))
    with caplog.at_level("DEBUG", logger="apifrom"), TestClient(app) as client:
        began = time.monotonic()
        assert client.get("/", headers=key("k")).status_code == 503
        assert 4.5 < time.monotonic() - began < 10
    assert calls == []
    assert "lookup_timed_out" in caplog.text


def test_an_answer_is_known_for_a_while_and_no_longer():
    store = Store({digest("k1"): READER})
    app, _ = secured(api_key_required(lookup=store.find, cache_ttl=1))
    with TestClient(app) as client:
        for _ in range(3):
            assert client.get("/", headers=key("k1")).status_code == 200
            assert client.get("/", headers=key("k2")).status_code == 401
        assert len(store.asked) == 2
        store.rows = {digest("k2"): READER}
        time.sleep(1.1)
        assert client.get("/", headers=key("k1")).status_code == 401
        assert client.get("/", headers=key("k2")).status_code == 200
    assert len(store.asked) == 4


def test_nothing_is_kept_where_nothing_is_to_be():
    store = Store({digest("k"): READER, "ada": STORED})
    keys, _ = secured(api_key_required(lookup=store.find, cache_ttl=0))
    with TestClient(keys) as client:
        for _ in range(3):
            assert client.get("/", headers=key("k")).status_code == 200
    users, _ = secured(basic_auth_required(lookup=store.find, cache_ttl=0))
    with TestClient(users) as client:
        for _ in range(3):
            assert client.get("/", headers=basic("ada", "right")).status_code == 200
        store.rows["ada"] = hash_password("other")
        assert client.get("/", headers=basic("ada", "right")).status_code == 401
    assert len(store.asked) == 7


def test_who_failed_too_often_is_not_looked_up():
    store = Store({"ada": hash_password("right")})
    app, calls = secured(basic_auth_required(lookup=store.find, cache_ttl=0))
    with TestClient(app) as client:
        for _ in range(10):
            assert client.get("/", headers=basic("ada", "wrong")).status_code == 401
        assert client.get("/", headers=basic("ada", "right")).status_code == 429
    assert len(store.asked) == 10
    assert calls == []


SERVED = """
import asyncio, hashlib, threading, time
from apifrom import API
from apifrom.security import KeyRecord, api_key_required

app = API()
asked = []

async def find(digest):
    asked.append(digest)
    await asyncio.sleep(2)
    if digest == hashlib.sha256(b"k1").hexdigest():
        return KeyRecord(id="reports", scopes=["read"])

def find_blocking(digest):
    asked.append(digest)
    time.sleep(2)
    return KeyRecord(id="reports")

@app.get("/")
@api_key_required(lookup=find, scopes=["read"])
def home(request):
    return request.state.api_key

@app.get("/blocking")
@api_key_required(lookup=find_blocking)
async def blocking(request):
    return request.state.api_key

@app.get("/asked")
def how_often():
    return len(asked)

app.run(port=0)
"""


def test_fifty_requests_with_one_key_ask_once_and_hold_up_nobody():
    def fetch(port, path, **sent):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    with serving(SERVED) as port, ThreadPoolExecutor(50) as pool:
        for path in ["/", "/blocking"]:
            waiting = [pool.submit(fetch, port, path, **key("k1")) for _ in range(50)]
            time.sleep(0.3)
            began = time.monotonic()
            assert fetch(port, "/asked")[0] == 200
            assert time.monotonic() - began < 1.4
            assert {each.result() for each in waiting} == {(200, b"k1")}
        assert fetch(port, "/asked") == (200, b"2")
        assert fetch(port, "/", **key("k2"))[0] == 401


@both
def test_a_key_is_looked_up_under_a_foreign_server_as_well(asynchronous):
    store = Store({digest("k1"): READER})
    app, calls = secured(api_key_required(lookup=store.by(asynchronous)))

    async def ask(value):
        client = Client(app, headers=[(b"x-api-key", value)])
        await client.ask()
        return client.told[0]["status"]

    async def both_keys():
        return [await ask(b"k1"), await ask(b"k2"), await ask(b"k1")]

    assert asyncio.run(both_keys()) == [200, 401, 200]
    assert len(store.asked) == 2
    assert calls == ["k1", "k1"]


def test_one_of_several_and_a_router_and_the_whole_api_may_look_up():
    store = Store({digest("k1"): READER, "ada": STORED, digest("down"): RuntimeError()})
    several = multi_auth_required(
        [api_key_required(lookup=store.find), basic_auth_required(lookup=store.find_async)]
    )
    router = Router("/inner", auth=api_key_required(lookup=lambda _: READER, name="inner"))
    app = API(auth=several)

    @app.get("/")
    def home():
        return "home"

    @router.get("/")
    def inner(request):
        return request.state.inner

    app.router(router)
    with TestClient(app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers=key("k2")).status_code == 401
        assert client.get("/", headers=key("k1")).status_code == 200
        assert client.get("/", headers=basic("ada", "right")).status_code == 200
        assert client.get("/", headers=key("down")).status_code == 503
        mixed = {**key("k2"), **basic("ada", "right")}
        assert client.get("/", headers=mixed).status_code == 200
        assert client.get("/inner/", headers=mixed).text == "k2"
        assert client.get("/inner/", headers=basic("ada", "right")).status_code == 401


def test_logs_name_ids_and_no_key(caplog):
    app, _ = secured(api_key_required(lookup=Store({digest("the-key"): READER}).find))
    with caplog.at_level("DEBUG", logger="apifrom"), TestClient(app) as client:
        client.get("/", headers=key("the-key"))
        client.get("/", headers=key("another-key"))
    records = [record for record in caplog.records if record.name == "apifrom.security"]
    assert [(record.event, getattr(record, "subject", None)) for record in records] == [
        ("authentication_succeeded", "reports"),
        ("authentication_failed", None),
    ]
    for hidden in ("the-key", "another-key", digest("the-key")):
        assert all(hidden not in str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("required", [api_key_required, basic_auth_required])
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"lookup": "find"}, "lookup"),
        ({"lookup": 7}, "lookup"),
        ({"lookup": lambda: None}, "lookup"),
        ({"lookup": lambda one, two: None}, "lookup"),
        ({"lookup": lambda *, name: None}, "lookup"),
        ({"lookup": lambda name: (yield name)}, "lookup"),
        ({"lookup": print, "cache_ttl": -1}, "cache_ttl"),
        ({"lookup": print, "cache_ttl": 86_401}, "cache_ttl"),
        ({"lookup": print, "cache_ttl": True}, "cache_ttl"),
        ({"lookup": print, "cache_ttl": "30"}, "cache_ttl"),
        ({"lookup": print, "cache_ttl": float("nan")}, "cache_ttl"),
    ],
    ids=[
        "text",
        "number",
        "none",
        "two",
        "keyword",
        "yields",
        "below",
        "above",
        "bool",
        "seconds",
        "nan",
    ],
)
def test_what_cannot_be_asked_or_kept_does_not_start(required, options, field):
    assert f"{required.__name__}.{field}" in errors_of(required(**options))


def test_a_day_is_the_longest_that_an_answer_is_known():
    for lookup in [print, lambda name, more=1: None, lambda *names: None]:
        secured(api_key_required(lookup=lookup, cache_ttl=86_400))[0].freeze()


def test_neither_keys_nor_a_look_up_is_an_error():
    assert "api_keys" in errors_of(api_key_required())
    assert "credentials" in errors_of(basic_auth_required())


def test_a_record_is_what_it_was_made_of():
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    record = KeyRecord(id="k", scopes=("a", "b"), expires=moment)
    assert (record.id, record.scopes, record.expires) == ("k", ("a", "b"), moment.timestamp())
    same = KeyRecord(id="k", scopes=["a", "b"], expires=moment.timestamp())
    assert record == same
    assert hash(record) == hash(same)
    assert record != KeyRecord(id="k")
    assert repr(KeyRecord(id="k")) == "KeyRecord(id='k', scopes=(), expires=None)"
    with pytest.raises(AttributeError):
        record.id = "other"


@pytest.mark.parametrize(
    ("error", "field", "options"),
    [
        (TypeError, "id", {}),
        (TypeError, "id", {"id": 7}),
        (TypeError, "id", {"id": None}),
        (ValueError, "id", {"id": ""}),
        (ValueError, "id", {"id": "a\nb"}),
        (ValueError, "id", {"id": "a" * 257}),
        (ValueError, "id: expected", {"id": "\ud800"}),
        (TypeError, "scopes", {"id": "k", "scopes": "read"}),
        (TypeError, "scopes", {"id": "k", "scopes": [1]}),
        (TypeError, "scopes", {"id": "k", "scopes": 1}),
        (ValueError, "scopes", {"id": "k", "scopes": ["read write"]}),
        (ValueError, "scopes", {"id": "k", "scopes": [""]}),
        (TypeError, "expires", {"id": "k", "expires": "2030-01-01"}),
        (TypeError, "expires", {"id": "k", "expires": True}),
        (
            ValueError,
            "expires",
            {"id": "k", "expires": datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None)},
        ),
        (ValueError, "expires", {"id": "k", "expires": float("nan")}),
        (ValueError, "expires", {"id": "k", "expires": float("inf")}),
        (ValueError, "expires", {"id": "k", "expires": 1e300}),
        (ValueError, "expires", {"id": "k", "expires": 1 << 2000}),
    ],
    ids=str,
)
def test_a_record_of_no_use_names_what_is_wrong(error, field, options):
    with pytest.raises(error, match=field):
        KeyRecord(**options)

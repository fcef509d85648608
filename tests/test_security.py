"""Who may call: what is declared holds, wherever it stands, and what cannot hold does not start."""

from __future__ import annotations

import functools
import sys
import types

import pytest

from apifrom import API, Router, api, public
from apifrom._registry import declared
from apifrom.exceptions import ConfigurationError
from apifrom.security import Secret, api_key_required, jwt_required, multi_auth_required, secret
from apifrom.testing import TestClient

KEYS = {"api-key-1": ["read"], "api-key-2": ["read", "write"]}


def keys(*scopes, **options):
    return api_key_required(api_keys=KEYS, scopes=list(scopes), **options)


def key(value):
    return {"X-API-Key": value}


def errors_of(app):
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    return str(raised.value)


def load(source):
    """A module of its own, as a program is one."""
    module = types.ModuleType(f"program_{len(sys.modules)}")
    sys.modules[module.__name__] = module
    exec(compile(source, module.__name__, "exec"), vars(module))
    return module


def test_a_handler_finds_who_calls_in_the_state_of_its_request():
    app = API()

    @app.get("/async")
    @keys("read")
    async def asynchronous(request):
        return {"key": request.state.api_key, "jwt": hasattr(request.state, "jwt_payload")}

    @app.get("/sync")
    @keys(name="caller")
    def synchronous(request):
        return {"key": request.state.caller, "default": hasattr(request.state, "api_key")}

    with TestClient(app) as client:
        answer = client.get("/async", headers=key("api-key-1"))
        assert answer.json() == {"key": "api-key-1", "jwt": False}
        assert answer.headers["cache-control"] == "no-store"
        answer = client.get("/sync", headers=key("api-key-2"))
        assert answer.json() == {"key": "api-key-2", "default": False}


ABOVE = """
from apifrom import API, api
from apifrom.security import api_key_required
app = API()
calls = []

{first}
{second}
def handler(request):
    calls.append(request.state.api_key)
    return "answered"
"""


@pytest.mark.parametrize("above", [True, False])
def test_the_order_of_decorators_does_not_matter(above):
    lines = [
        '@api(route="/", method="GET")',
        '@api_key_required(api_keys={"k1": ["read"]}, scopes=["read"])',
    ]
    first, second = reversed(lines) if above else lines
    module = load(ABOVE.format(first=first, second=second))
    with TestClient(module.app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers=key("k2")).status_code == 401
        assert module.calls == []
        assert client.get("/", headers=key("k1")).text == "answered"
    assert module.calls == ["k1"]


def test_a_protected_function_stays_the_function_that_it_was():
    def handler(number: int) -> int:
        return number + 1

    assert keys()(handler) is handler
    assert public(reason="a test")(handler) is handler
    assert handler(1) == 2


def test_stacked_decorators_must_all_pass():
    app = API()
    calls = []

    @app.get("/")
    @api_key_required(api_keys={"a": []}, header_name="X-A", name="a")
    @api_key_required(api_keys={"b": []}, header_name="X-B", name="b")
    def handler(request):
        calls.append((request.state.a, request.state.b))
        return "answered"

    with TestClient(app) as client:
        for headers in [{}, {"X-A": "a"}, {"X-B": "b"}, {"X-A": "b", "X-B": "a"}]:
            assert client.get("/", headers=headers).status_code == 401
        assert calls == []
        assert client.get("/", headers={"X-A": "a", "X-B": "b"}).text == "answered"
    assert calls == [("a", "b")]


def test_two_that_must_both_pass_need_names_of_their_own():
    app = API()

    @app.get("/")
    @keys()
    @api_key_required(api_keys={"b": []}, header_name="X-B")
    def handler():
        return "answered"

    assert "another name=" in errors_of(app)


@pytest.mark.parametrize("require_all", [False, True])
def test_several_methods_are_asked_as_any_or_all(require_all):
    app = API()
    calls = []

    @app.get("/")
    @multi_auth_required(
        auth_methods=[
            api_key_required(api_keys={"a": []}, header_name="X-A", name="a"),
            api_key_required(api_keys={"b": ["w"]}, scopes=["r"], header_name="X-B", name="b"),
            api_key_required(api_keys={"c": []}, header_name="X-C", name="c"),
        ],
        require_all=require_all,
    )
    def handler(request):
        found = [name for name in "abc" if hasattr(request.state, name)]
        calls.append(found)
        return found

    answers = {
        (): (401, 401),
        ("X-A",): (["a"], 401),
        ("X-B",): (403, 401),
        ("X-B", "X-C"): (["c"], 401),
        ("X-A", "X-B", "X-C"): (["a"], 403),
        ("X-A", "X-C"): (["a"], 401),
    }
    with TestClient(app) as client:
        for names, expected in answers.items():
            answer = client.get("/", headers={name: name[-1].lower() for name in names})
            found = answer.json() if answer.status_code == 200 else answer.status_code
            assert found == expected[require_all], names
        challenges = client.get("/").headers["www-authenticate"]
        assert challenges.count("ApiKey") >= 1
    assert all(len(found) == 1 for found in calls)


def test_routers_add_to_what_their_endpoints_require():
    app = API()
    inner = Router("/inner", scopes=["write"])
    outer = Router("/outer", auth=keys("read"))
    calls = []

    @inner.get("/both")
    def both():
        calls.append("both")
        return "both"

    @outer.get("/one")
    def one():
        calls.append("one")
        return "one"

    @outer.get("/open")
    @public(reason="says how to get a key")
    def opened():
        return "open"

    outer.router(inner)
    app.router(outer)
    with TestClient(app) as client:
        assert client.get("/outer/one").status_code == 401
        assert client.get("/outer/inner/both").status_code == 401
        assert client.get("/outer/inner/both", headers=key("api-key-1")).status_code == 403
        assert calls == []
        assert client.get("/outer/one", headers=key("api-key-1")).text == "one"
        assert client.get("/outer/inner/both", headers=key("api-key-2")).text == "both"
        assert client.get("/outer/open").text == "open"
        # Nobody need be known to learn that there is nothing.
        assert client.get("/outer/nothing").status_code == 404
        assert client.post("/outer/one").status_code == 405


def test_the_whole_api_can_be_protected():
    app = API(auth=keys(), scopes=["read"])

    @app.get("/")
    def handler():
        return "answered"

    @app.get("/health")
    @public(reason="the balancer asks without a key")
    def health():
        return "well"

    with TestClient(app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers=key("api-key-1")).text == "answered"
        assert client.get("/health").text == "well"


def test_a_deny_by_default_starts_only_when_every_endpoint_has_an_answer():
    app = API(default="deny")

    @app.get("/bare")
    def bare():
        return "bare"

    @app.get("/kept")
    @keys()
    def kept():
        return "kept"

    @app.get("/open")
    @public(reason="a test")
    def opened():
        return "open"

    found = errors_of(app)
    assert "bare" in found
    assert "kept" not in found
    assert "opened" not in found


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"default": "closed"}, "default: expected 'open' or 'deny'"),
        ({"scopes": ["read"]}, "scopes"),
        ({"scopes": "read"}, "scopes: expected a list of texts"),
    ],
)
def test_a_contradictory_api_does_not_start(config, message):
    app = API(**config)

    @app.get("/")
    def handler():
        return "answered"

    assert message in errors_of(app)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "api_keys: expected at least one key"),
        ({"api_keys": {}}, "api_keys: expected at least one key"),
        ({"api_keys": {"hunter2": "read"}}, "api_keys[0]: expected the key's scopes"),
        ({"api_keys": {3: ["read"]}}, "api_keys[0]: expected the key as text"),
        ({"api_keys": {"": ["read"]}}, "api_keys[0]: expected a key, found none"),
        ({"api_keys": {"k": ["re ad"]}}, "api_keys[0].scopes: a scope is"),
        ({"api_keys": KEYS, "header_name": None}, "header_name: is off"),
        ({"api_keys": KEYS, "header_name": 7}, "header_name: expected text"),
        ({"api_keys": KEYS, "scopes": "read"}, "scopes: expected a list of texts"),
        ({"api_keys": KEYS, "realm": "caf\u00e9"}, "realm: expected printable ASCII"),
        ({"api_keys": KEYS, "name": "not a name"}, "name: expected letters"),
        ({"api_keys": 7}, "api_keys: expected a dict"),
        ({"api_keys": "hunter2"}, "api_keys: expected a dict"),
        ({"api_keys": ["hunter2"]}, "api_keys: expected a dict"),
        ({"api_keys": [("hunter2", ["read"])]}, "api_keys: expected a dict"),
        ({"api_keys": {"SHA256:" + 64 * "a": []}}, "api_keys[0]: expected sha256: in lower case"),
        ({"api_keys": KEYS, "header_name": "Cookie"}, "header_name: is a header that browsers"),
        ({"api_keys": KEYS, "header_name": "origin"}, "header_name: is a header that browsers"),
        ({"api_keys": KEYS, "cookie_name": "a;b"}, "cookie_name: expected the name of a cookie"),
    ],
)
def test_what_is_wrong_with_a_declaration_names_its_field(options, message):
    app = API()

    @app.get("/")
    @api_key_required(**options)
    def handler():
        return "answered"

    found = errors_of(app)
    assert f"handler.api_key_required.{message}" in found
    assert "hunter2" not in found


def test_a_secret_in_the_place_of_an_algorithm_is_not_shown():
    app = API()
    secret = "5e0b3c1f6a7d4e2f9b8c0d1e2f3a4b5c"

    @app.get("/")
    @jwt_required(secret, algorithm=secret)
    def handler():
        raise AssertionError

    with pytest.raises(ConfigurationError, match="algorithm: expected HS256") as raised:
        app.freeze()
    assert secret[:8] not in str(raised.value)


def test_keys_may_be_digests():
    app = API()
    digest = "sha256:" + "d8" * 32

    @app.get("/")
    @api_key_required(api_keys={"k1": [], digest: []})
    def handler(request):
        return request.state.api_key

    with TestClient(app) as client:
        assert client.get("/", headers=key("k1")).text == "k1"
        assert client.get("/", headers=key(digest)).status_code == 401


def test_a_decorator_that_protects_no_endpoint_does_not_start():
    module = load(
        """
from apifrom import API, api
from apifrom.security import api_key_required
app = API()
keys = api_key_required(api_keys={"k": []})

@api(route="/", method="GET")
def handler():
    return "answered"

@keys
def forgotten():
    return "never served"
"""
    )
    assert "forgotten: api_key_required stands on a function that is no endpoint" in errors_of(
        module.app
    )


def test_a_value_inside_another_protection_stands_on_nothing():
    app = API(auth=multi_auth_required([keys(), api_key_required(api_keys={"x": []}, name="x")]))

    @app.get("/")
    def handler():
        return "answered"

    app.freeze()


def wrapping(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)

    return wrapper


def test_a_protection_below_another_decorator_reaches_its_endpoint():
    app = API()

    @app.get("/")
    @wrapping
    @keys()
    def handler():
        return "answered"

    with TestClient(app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers=key("api-key-1")).text == "answered"


def test_a_protection_below_a_decorator_that_hides_it_does_not_start():
    module = load(
        """
from apifrom import API
from apifrom.security import api_key_required
app = API()

def hiding(function):
    return lambda: function()

@app.get("/")
@hiding
@api_key_required(api_keys={"k": []})
def handler():
    return "answered"
"""
    )
    assert "functools.wraps" in errors_of(module.app)


def test_public_and_protected_contradict_each_other():
    app = API()

    @app.get("/")
    @keys()
    @public(reason="a test")
    def handler():
        return "answered"

    assert "public: contradicts" in errors_of(app)


def test_public_needs_a_reason():
    with pytest.raises(TypeError, match="write @public"):
        public(lambda: None)
    app = API()

    @app.get("/")
    @public(reason=" ")
    def handler():
        return "answered"

    assert "public.reason: expected a reason" in errors_of(app)


def test_what_is_no_protection_is_refused_at_once():
    for wrong in [
        lambda: Router(auth="key"),
        lambda: Router(auth=""),
        lambda: Router(auth=0),
        lambda: API(auth=""),
        lambda: API(auth={}),
        lambda: API(auth=False),
        lambda: Router(scopes="read"),
        lambda: API(auth=[keys]),
        lambda: keys()(3),
    ]:
        with pytest.raises(TypeError):
            wrong()
    for methods in [[keys(), "jwt"], 7, "", {}, {keys(): 1}, iter([keys()])]:
        with pytest.raises(TypeError, match="auth_methods: expected what jwt_required"):
            multi_auth_required(methods)
    for auth in ("", {}, 0, "hunter2"):
        with pytest.raises(TypeError, match="auth: expected what jwt_required") as raised:
            API(auth=auth)
        assert "hunter2" not in str(raised.value)
    app = API()

    @app.get("/")
    @multi_auth_required([])
    def handler():
        return "answered"

    assert "auth_methods: expected at least one" in errors_of(app)


def test_a_declaration_shows_no_key():
    assert repr(keys()) == "api_key_required(…)"


def test_security_events_reach_logging_without_the_key(caplog):
    app = API()

    @app.get("/items/{item_id}")
    @keys("write")
    def handler(item_id: int):
        return "answered"

    with caplog.at_level("INFO", logger="apifrom.security"), TestClient(app) as client:
        client.get("/items/1", headers=key("api-key-2"))
        client.get("/items/1", headers=key("api-key-1"))
        client.get("/items/1", headers=key("hunter2"))
        client.get("/items/1")
    records = [record for record in caplog.records if record.name == "apifrom.security"]
    assert [(record.levelname, record.event) for record in records] == [
        ("INFO", "authentication_succeeded"),
        ("WARNING", "authorization_denied"),
        ("WARNING", "authentication_failed"),
        ("WARNING", "authentication_failed"),
    ]
    assert {record.route for record in records} == {"/items/{item_id}"}
    for hidden in ("hunter2", "api-key"):
        assert hidden not in caplog.text
        assert all(hidden not in str(vars(record)) for record in records)


def test_a_secret_shows_nothing_and_compares_by_its_value():
    value = Secret("hunter2")
    assert {value: 1}[Secret("hunter2")] == 1
    assert (repr(value), str(value), f"{value}") == ("***", "***", "***")
    assert value.expose() == "hunter2"
    assert value == Secret("hunter2")
    assert value != Secret("hunter3")
    assert value != "hunter2"


def test_a_secret_is_fetched_by_name_or_refused_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("TEST_KEY", "from the environment")
    assert secret("TEST_KEY").expose() == "from the environment"
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("OTHER_KEY_FILE", str(tmp_path / "key"))
    assert secret("OTHER_KEY").expose() == "from a file"
    monkeypatch.setenv("TEST_KEY_FILE", str(tmp_path / "key"))
    for name in ("TEST_KEY", "NO_SUCH_KEY", "not a name"):
        with pytest.raises(ConfigurationError) as raised:
            secret(name)
        assert "from" not in str(raised.value).replace("from the", "").split(":")[0]
        assert "environment" not in str(raised.value) or "from the environment" not in str(
            raised.value
        )


def test_the_module_level_decorator_is_protected_as_well():
    before = len(declared)
    module = load(
        """
from apifrom import api
from apifrom.security import api_key_required

@api_key_required(api_keys={"k": []})
@api("/")
def handler():
    return "answered"
"""
    )
    assert len(declared) == before + 1
    assert callable(module.handler)
    assert api is not None
    declared.pop()

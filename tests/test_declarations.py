"""What a program declares, and what a wrong declaration says before anything is served."""

from __future__ import annotations

import subprocess
import sys
import threading
import types
from typing import Annotated

import pytest

from apifrom import API, ConfigurationError, Depends, Header, HTTPException, Query
from apifrom.middleware import ErrorHandlingMiddleware
from apifrom.testing import TestClient


def errors_of(app):
    with pytest.raises(ConfigurationError) as found:
        app.freeze()
    return dict(found.value.errors)


def in_module(name, source):
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), vars(module))
    return module


def test_the_decorated_function_stays_the_same_function():
    app = API()

    def hello(name: str) -> str:
        return f"Hello, {name}!"

    assert app.get("/hello/{name}")(hello) is hello
    assert hello("you") == "Hello, you!"


def test_a_module_level_declaration_binds_to_the_api_of_its_module_made_before_or_after():
    before = in_module(
        "before", "from apifrom import API, api\napp = API()\n@api('/a')\ndef a(): return 'a'\n"
    )
    after = in_module(
        "after", "from apifrom import API, api\n@api('/b')\ndef b(): return 'b'\napp = API()\n"
    )
    with TestClient(before.app) as client:
        assert client.get("/a").text == "a"
        assert client.get("/b").status_code == 404
    with TestClient(after.app) as client:
        assert client.get("/b").text == "b"


def test_a_declaration_between_two_apis_of_one_module_names_them():
    module = in_module(
        "two",
        "from apifrom import API, api\none = API('One')\nother = API('Other')\n"
        "@api('/a')\ndef a(): return 'a'\n",
    )
    errors = errors_of(module.one)
    assert "One" in errors["routes.two.a"]
    assert "Other" in errors["routes.two.a"]


def test_every_mistake_is_reported_at_once_with_its_field():
    app = API(
        trusted_hosts=["https://example.com"],
        trusted_proxies=["nowhere"],
        forwarded_header="via",
        max_body_size="big",
        default="closed",
    )

    @app.get("no-slash")
    def first():
        return None

    @app.api("/a/{id", "BREW IT")
    def second():
        return None

    @app.get("/c")
    def third(thing):
        return thing

    @app.get("/d")
    def fourth(*things: int):
        return things

    found = errors_of(app)
    fields = set(found)
    assert {
        "trusted_hosts[0]",
        "trusted_proxies[0]",
        "forwarded_header",
        "max_body_size",
        "default",
    } <= fields
    prefix = "routes.tests.test_declarations.test_every_mistake_is_reported_at_once_with_its_field"
    assert f"{prefix}.<locals>.first.route" in fields
    assert f"{prefix}.<locals>.second.route" in fields
    assert "annotate it" in found[f"{prefix}.<locals>.third"]
    assert "any number of values" in found[f"{prefix}.<locals>.fourth"]


def test_two_endpoints_of_one_place_conflict():
    app = API()
    app.get("/a/{x}")(lambda x: x)
    app.get("/a/{y}")(lambda y: y)
    (message,) = errors_of(app).values()
    assert message == "GET /a/{y} is taken already, by GET /a/{x}"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        pytest.param(lambda request, *, a: a, "annotate it", id="no annotation"),
        pytest.param("def f(a: dict, b: dict): pass", "all want the body", id="two bodies"),
        pytest.param("def f(a: 'Nowhere'): pass", "not defined", id="unknown name"),
    ],
)
def test_a_signature_that_cannot_be_bound_says_why(function, says):
    if isinstance(function, str):
        function = vars(in_module("unbindable", function))["f"]
    app = API()
    app.post("/a")(function)
    (message,) = errors_of(app).values()
    assert says in message


def test_nothing_can_be_added_after_the_start():
    app = API()
    app.freeze()
    with pytest.raises(RuntimeError, match="has started"):
        app.get("/late")(lambda: None)
    with pytest.raises(RuntimeError, match="has started"):
        app.add_middleware(ErrorHandlingMiddleware())


def test_run_prints_every_mistake_and_exits_with_1_before_it_listens():
    program = (
        "from apifrom import API\n"
        "API(trusted_proxies=['x']).run(port=70000, workers=0, proxy_headers=True, colour='red',"
        " log_level='loud', ssl_keyfile='k')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    for field in [
        "trusted_proxies[0]",
        "run.port",
        "run.workers",
        "run.proxy_headers",
        "run.colour",
        "run.log_level",
        "run.ssl_certfile",
    ]:
        assert f"\n  {field}: " in done.stderr
    assert "Traceback" not in done.stderr


def test_dependencies_are_called_once_each_and_cleaned_up():
    app = API()
    seen = []

    def settings(x_mode: Annotated[str, Header()] = "plain"):
        seen.append("settings")
        return x_mode

    def session(mode: str = Depends(settings)):
        seen.append(f"open {mode}")
        yield mode.upper()
        seen.append("close")

    async def user(mode: str = Depends(settings), page: int = Query(1, ge=1)):
        return f"{mode}:{page}"

    @app.get("/plain")
    def plain(session: str = Depends(session), mode: str = Depends(settings)):
        seen.append("handler")
        return {"session": session, "mode": mode}

    @app.get("/waiting")
    async def waiting(session: str = Depends(session), user: str = Depends(user)):
        return {"session": session, "user": user}

    with TestClient(app) as client:
        answer = client.get("/plain", headers={"X-Mode": "fast"})
        assert answer.json() == {"session": "FAST", "mode": "fast"}
        assert seen == ["settings", "open fast", "handler", "close"]
        assert client.get("/waiting?page=3").json() == {"session": "PLAIN", "user": "plain:3"}
        seen.clear()
        assert client.get("/waiting?page=0").status_code == 422
        assert seen == []


def test_the_lifespan_runs_around_the_requests():
    seen = []
    app = API(on_startup=[lambda: seen.append("start")], on_shutdown=[lambda: seen.append("stop")])

    @app.get("/")
    def index():
        seen.append("request")
        return

    with TestClient(app) as client:
        client.get("/")
    assert seen == ["start", "request", "stop"]


def test_an_api_that_several_threads_start_has_one_engine():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            app = API()
            app.get("/")(lambda: None)
            barrier = threading.Barrier(4)
            engines = []

            def freeze(app=app, barrier=barrier, engines=engines):
                barrier.wait(5)
                engines.append(app.freeze())

            threads = [threading.Thread(target=freeze) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(engines) == 4
            assert all(engine is engines[0] for engine in engines)
    finally:
        sys.setswitchinterval(interval)


def test_a_start_up_hook_may_ask_another_api():
    asked = []
    other = API()

    @other.get("/task")
    async def task():
        return "task"

    @other.get("/inline", blocking=False)
    def inline():
        return "inline"

    def warm_up():
        with TestClient(other) as client:
            asked.extend(client.get(path).text for path in ("/task", "/inline"))

    def start():
        with TestClient(API(on_startup=[warm_up])):
            asked.append("started")

    # On a thread of its own, so that waiting for itself fails the test and nothing else.
    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    thread.join(10)
    assert asked == ["task", "inline", "started"]


def test_a_failing_start_up_stops_the_start():
    def fail():
        raise RuntimeError("no database")

    app = API(on_startup=[fail])
    with (
        pytest.raises(Exception, match="start-up failed: RuntimeError: no database"),
        TestClient(app),
    ):
        pass


def test_an_exception_costs_one_request_and_its_text_stays_here(caplog):
    app = API()

    @app.get("/boom")
    def boom():
        raise RuntimeError("hunter2")

    @app.get("/gone")
    def gone():
        raise HTTPException(410, "moved away", headers={"X-Where": "there"})

    with TestClient(app) as client, caplog.at_level("ERROR", logger="apifrom"):
        answer = client.get("/boom")
        assert answer.status_code == 500
        assert "hunter2" not in answer.text
        answer = client.get("/gone")
        assert (answer.status_code, answer.json()["detail"]) == (410, "moved away")
        assert answer.headers["x-where"] == "there"
    assert "RuntimeError: hunter2" in caplog.text


def test_debug_shows_the_failure_to_the_client():
    app = API()
    app.add_middleware(ErrorHandlingMiddleware, debug=True, include_traceback=True)

    @app.get("/boom")
    def boom():
        raise RuntimeError("hunter2")

    with TestClient(app) as client:
        problem = client.get("/boom").json()
    assert "hunter2" in problem["cause"]
    assert "in boom" in problem["traceback"]


def test_unknown_middleware_is_a_start_up_error():
    app = API()
    app.add_middleware(object())
    assert "no middleware" in errors_of(app)["middleware[0]"]

"""Middleware of the program's own: before, around and after its handlers."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel

from apifrom import API, HTTPException, SyncRequest
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import Middleware
from apifrom.responses import BackgroundTask, JSONResponse, PlainTextResponse, Response
from apifrom.testing import TestClient
from tests.test_asgi import Client


class Item(BaseModel):
    name: str


def example(*middleware):
    """An API whose handlers note that they ran."""
    app = API()
    app.calls = []
    for each in middleware:
        app.add_middleware(each)

    @app.get("/items/{item_id}")
    async def item(item_id: int, request):
        app.calls.append("item")
        return {"item_id": item_id, "seen": getattr(request.state, "seen", None)}

    @app.get("/plain")
    def plain():
        app.calls.append("plain")
        return "plain"

    @app.post("/items")
    def create(item: Item) -> dict:
        app.calls.append("create")
        return {"name": item.name}

    @app.get("/fails")
    def fails():
        app.calls.append("fails")
        raise RuntimeError("hunter2")

    @app.get("/streams")
    async def streams():
        for number in range(3):
            yield f"{number};"

    @app.get("/later")
    def later():
        return Response("now", background=BackgroundTask(app.calls.append, "later"))

    return app


def both(make):
    """Runs a test with hooks of either kind."""
    return pytest.mark.parametrize("hook", [make(False), make(True)], ids=["def", "async def"])


def before_of(decide):
    def make(is_async):
        class Before(Middleware):
            if is_async:

                async def before(self, request):
                    await asyncio.sleep(0)
                    return decide(request)
            else:

                def before(self, request):
                    return decide(request)

        return Before()

    return make


def after_of(change):
    def make(is_async):
        class After(Middleware):
            if is_async:

                async def after(self, request, response):
                    await asyncio.sleep(0)
                    return change(request, response)
            else:

                def after(self, request, response):
                    return change(request, response)

        return After()

    return make


def mark(request):
    request.state.seen = [request.path_params["item_id"], request.method]


@both(before_of(mark))
def test_what_before_lets_pass_reaches_the_handler_with_its_state(hook):
    app = example(hook)
    with TestClient(app) as client:
        for number in range(40):
            answer = client.get(f"/items/{number}")
            assert answer.json() == {"item_id": number, "seen": [str(number), "GET"]}


@both(before_of(lambda request: ({"no": request.url.path}, 418)))
def test_what_before_returns_is_the_answer_and_no_handler_runs(hook):
    app = example(hook)
    with TestClient(app) as client:
        answer = client.get("/items/1")
        assert (answer.status_code, answer.json()) == (418, {"no": "/items/1"})
        assert answer.headers["x-content-type-options"] == "nosniff"
        # What comes after it is not asked either: this body would be refused.
        assert client.post("/items", content=b"{").status_code == 418
    assert app.calls == []


def refuses(request):
    raise HTTPException(403, "not today")


@both(before_of(refuses))
def test_what_before_raises_is_an_answer_and_no_handler_runs(hook):
    app = example(hook)
    with TestClient(app) as client:
        answer = client.get("/plain")
    assert (answer.status_code, answer.json()["detail"]) == (403, "not today")
    assert app.calls == []


@both(before_of(lambda request: 1 / 0))
def test_before_that_fails_lets_nothing_pass(hook, caplog):
    app = example(hook)
    with TestClient(app) as client:
        answer = client.get("/plain")
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert app.calls == []


def test_a_body_that_middleware_read_is_there_for_the_handler():
    class Reads(Middleware):
        async def before(self, request):
            request.state.before = await request.body()

        async def around(self, request, call_next):
            assert await request.body() == request.state.before
            return await call_next(request)

    app = example(Reads())
    with TestClient(app) as client:
        assert client.post("/items", json={"name": "x"}).json() == {"name": "x"}
        assert client.post("/items", json={"nome": "x"}).status_code == 422


def test_a_body_that_middleware_streamed_is_not_passed_on(caplog):
    class Streams(Middleware):
        async def before(self, request):
            async for _ in request.stream():
                pass

    app = example(Streams())
    with TestClient(app) as client:
        assert client.post("/items", json={"name": "x"}).status_code == 500
        assert client.get("/plain").text == "plain"
    assert "streamed" in caplog.text
    assert app.calls == ["plain"]


def test_around_changes_what_the_handler_answers():
    class Around(Middleware):
        async def around(self, request, call_next):
            response = await call_next(request)
            response.headers["x-around"] = str(response.status)
            if response.status == 404:
                return PlainTextResponse("replaced", status=410)
            return response

    app = example(Around())
    with TestClient(app) as client:
        answer = client.get("/plain")
        assert (answer.text, answer.headers["x-around"]) == ("plain", "200")
        # A failure and a refusal of the body are answers by then.
        failed = client.get("/fails")
        assert (failed.status_code, failed.headers["x-around"]) == (500, "500")
        assert "hunter2" not in failed.text
        refused = client.post("/items", json={})
        assert (refused.status_code, refused.headers["x-around"]) == (422, "422")
        assert client.get("/streams").text == "0;1;2;"
        assert client.get("/streams").headers["x-around"] == "200"
        assert client.get("/later").text == "now"
        # No endpoint of the program's answers here, so there is nothing to surround.
        assert "x-around" not in client.get("/nowhere").headers
        assert "x-around" not in client.post("/plain").headers
    assert app.calls == ["plain", "fails", "later"]


def test_around_may_answer_without_going_on():
    class Around(Middleware):
        async def around(self, request, call_next):
            return JSONResponse({"cached": True})

    app = example(Around())
    with TestClient(app) as client:
        assert client.get("/plain").json() == {"cached": True}
    assert app.calls == []


@pytest.mark.parametrize("kind", ["twice", "another", "forgets"])
def test_around_that_misuses_call_next_fails(kind, caplog):
    class Around(Middleware):
        async def around(self, request, call_next):
            if kind == "another":
                return await call_next(object())
            response = await call_next(request)
            if kind == "forgets":
                return call_next
            await call_next(request)
            return response

    app = example(Around())
    with TestClient(app) as client:
        assert client.get("/plain").status_code == 500
    assert app.calls == ([] if kind == "another" else ["plain"])
    assert "Error" in caplog.text


def test_around_surrounds_its_handler_in_time_and_context():
    flavour = contextvars.ContextVar("flavour")

    class Around(Middleware):
        async def around(self, request, call_next):
            flavour.set("around")
            try:
                async with asyncio.timeout(0.05):
                    return await call_next(request)
            except TimeoutError:
                return PlainTextResponse(f"too slow, {flavour.get()}", status=504)

    app = API()
    ended = []
    app.add_middleware(Around())

    @app.get("/slow")
    async def slow():
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(True)

    with TestClient(app) as client:
        answer = client.get("/slow")
        assert (answer.status_code, answer.text) == (504, "too slow, around")
        for _ in range(100):
            if ended:
                break
            client.get("/nowhere")
    assert ended == [True]


def stamp(request, response):
    response.headers["x-after"] = f"{request.method} {request.url.path} {response.status}"


@both(after_of(stamp))
def test_after_sees_every_answer(hook):
    app = example(hook)
    with TestClient(app) as client:
        for method, path, status in [
            ("GET", "/plain", 200),
            ("GET", "/items/1", 200),
            ("GET", "/items/x", 422),
            ("GET", "/nowhere", 404),
            ("PUT", "/plain", 405),
            ("GET", "/fails", 500),
            ("GET", "/streams", 200),
            ("GET", "/a/%2e%2e/b", 400),
        ]:
            answer = client.request(method, path)
            assert answer.status_code == status
            assert answer.headers["x-after"] == f"{method} {path} {status}"
            assert answer.headers["x-request-id"]
        assert client.get("/streams").text == "0;1;2;"


@both(after_of(lambda request, response: ({"was": response.status}, 200)))
def test_after_may_answer_in_the_place_of_the_answer(hook):
    app = example(hook)
    with TestClient(app) as client:
        assert client.get("/nowhere").json() == {"was": 404}
        assert client.get("/plain").json() == {"was": 200}


@both(after_of(lambda request, response: 1 / 0))
def test_after_that_fails_is_a_failure(hook, caplog):
    app = example(hook)
    with TestClient(app) as client:
        answer = client.get("/plain")
    assert answer.status_code == 500
    assert "plain" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_what_was_added_first_is_outermost_and_all_share_one_state():
    class Traced(Middleware):
        def __init__(self, name):
            self.name = name

        def note(self, request, what):
            request.state.trace = [*getattr(request.state, "trace", []), f"{self.name} {what}"]

        def before(self, request):
            self.note(request, "before")

        async def around(self, request, call_next):
            self.note(request, "begins")
            response = await call_next(request)
            self.note(request, "ends")
            return response

        def after(self, request, response):
            self.note(request, "after")
            response.headers["x-trace"] = ", ".join(request.state.trace)

    app = example(Traced("outer"), Traced("inner"))
    with TestClient(app) as client:
        trace = client.get("/items/1").headers["x-trace"].split(", ")
    assert trace == [
        *("outer before", "outer begins", "inner before", "inner begins"),
        *("inner ends", "outer ends", "inner after", "outer after"),
    ]


class Gate:
    """Holds a validator up until it is opened."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def check(self, value):
        self.reached.set()
        assert self.opened.wait(5)
        return value


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


GATE = Gate()


def test_a_request_is_let_go_whose_client_goes_before_it_is_shown():
    app = API()
    shown = []

    class Marked:
        pass

    app.add_middleware(after_of(lambda request, response: None)(False))

    @app.get("/", blocking=True)
    def handler(number: Annotated[int, AfterValidator(GATE.check)], request: SyncRequest):
        request.state.marked = Marked()
        shown.append(weakref.ref(request.state.marked))

    def is_gone():
        gc.collect()
        return shown and shown[0]() is None

    async def main():
        client = Client(app, path="/?number=1")
        asked = asyncio.create_task(client.ask())
        await until(GATE.reached.is_set)
        client.gone.set()
        await asyncio.wait_for(asked, 5)
        GATE.opened.set()
        await until(is_gone)

    asyncio.run(main())


def test_any_object_with_the_functions_is_middleware():
    class Before:
        def before(self, request):
            return "answered"

    app = example(Before())
    with TestClient(app) as client:
        assert client.get("/plain").text == "answered"


def test_the_same_holds_under_a_foreign_server():
    class Around(Middleware):
        def before(self, request):
            request.state.seen = "before"

        async def around(self, request, call_next):
            response = await call_next(request)
            response.headers["x-around"] = request.state.seen
            return response

        async def after(self, request, response):
            response.headers["x-after"] = str(response.status)

    app = example(Around())

    async def main():
        for _ in range(40):
            answer = await Client(app, path="/items/1").ask()
            assert answer.content == b'{"item_id":1,"seen":"before"}'
            assert (answer.headers["x-around"], answer.headers["x-after"]) == ("before", "200")
        assert (await Client(app, path="/plain").ask()).content == b"plain"
        assert (await Client(app, path="/streams").ask()).content == b"0;1;2;"
        assert (await Client(app, path="/nowhere").ask()).headers["x-after"] == "404"

    asyncio.run(main())


class NotAsync:
    def around(self, request, call_next):
        return call_next(request)


class TooFew:
    def before(self):
        pass


class NoFunction:
    after = 3


class Nothing(Middleware):
    pass


@pytest.mark.parametrize(
    ("middleware", "message"),
    [
        (NotAsync(), "NotAsync.around must be an async def"),
        (TooFew(), "TooFew.before cannot be called as before(request)"),
        (NoFunction(), "NoFunction.after is no function"),
        (Nothing(), "Nothing is no middleware"),
        (3, "int is no middleware"),
    ],
)
def test_what_is_no_middleware_is_an_error_at_the_start(middleware, message):
    app = API()
    app.add_middleware(Nothing if middleware is Nothing else middleware)
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert f"middleware[0]: {message}" in str(raised.value)

"""Dependencies: every kind of function is called, waited for, and ended when it is time."""

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from apifrom import API, Depends, HTTPException, SyncRequest, SyncUploadFile, UploadFile
from apifrom.exceptions import ConfigurationError
from apifrom.requests import Request
from apifrom.security import api_key_required
from apifrom.testing import TestClient

KEY = {"X-API-Key": "key"}


def wrapped(function):
    """What a decorator that knows nothing of `async` makes of a function."""

    @functools.wraps(function)
    def inner(*arguments, **keywords):
        return function(*arguments, **keywords)

    return inner


def eventually(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


async def refuses(role: str = "none"):
    await asyncio.sleep(0)
    raise HTTPException(403, role)


class Refuses:
    async def __call__(self, role: str = "none"):
        await refuses(role)


class RefusesAndYields:
    def __call__(self, role: str = "none"):
        if role == "none":
            raise HTTPException(403, role)
        yield role


class WaitsAndYields:
    async def __call__(self, role: str = "none"):
        await refuses(role)
        yield role


def hands_on():
    return refuses()


def hands_on_a_generator():
    return RefusesAndYields()()


CHECKS = {
    "an object": Refuses(),
    "a method": Refuses().__call__,
    "a partial": functools.partial(Refuses()),
    "a decorator": wrapped(refuses),
    "a decorated object": wrapped(Refuses().__call__),
    "a decorated partial": wrapped(functools.partial(wrapped(refuses))),
    "a generator": RefusesAndYields(),
    "a decorated generator": wrapped(RefusesAndYields().__call__),
    "a generator of another": hands_on_a_generator,
    "an async generator": WaitsAndYields(),
    "a decorated async generator": wrapped(WaitsAndYields().__call__),
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_check_is_run_whatever_it_is_written_as(name, is_async):
    app = API()
    called = []

    def plain(_: Annotated[None, Depends(CHECKS[name])]):
        called.append("plain")

    async def waiting(_: Annotated[None, Depends(CHECKS[name])]):
        called.append("waiting")

    app.get("/")(waiting if is_async else plain)
    with TestClient(app) as client:
        assert client.get("/").status_code == 403
    assert called == []


def test_a_check_that_nothing_waits_for_is_a_failure(caplog):
    app = API()
    called = []

    @app.get("/plain")
    def plain(_: Annotated[None, Depends(hands_on)]):
        called.append("plain")

    @app.get("/waiting")
    async def waiting(_: Annotated[None, Depends(hands_on)]):
        called.append("waiting")

    def judges(_: Annotated[None, Depends(hands_on)]) -> bool:
        return True

    @app.get("/policy")
    @api_key_required({"key": []}, policy=judges)
    def guarded():
        called.append("policy")

    with TestClient(app) as client:
        assert client.get("/plain").status_code == 500
        assert client.get("/waiting").status_code == 403
        assert client.get("/policy", headers=KEY).status_code == 403
    assert called == []
    assert "the dependency hands_on returned coroutine, which nothing waits for" in caplog.text


def test_an_object_that_yields_is_ended_behind_the_handler():
    app = API()
    seen = []

    class Session:
        def __call__(self, name: str = "s"):
            seen.append("open")
            yield name
            seen.append("close")

    class Later:
        async def __call__(self, name: str = "l"):
            seen.append("open later")
            yield name
            seen.append("close later")

    @app.get("/plain")
    def plain(session: Annotated[str, Depends(Session())]):
        seen.append("handler")
        return session

    @app.get("/waiting")
    def waiting(
        session: Annotated[str, Depends(wrapped(Session().__call__))],
        later: Annotated[str, Depends(Later())],
    ):
        seen.append("handler")
        return session + later

    with TestClient(app) as client:
        assert client.get("/plain?name=x").text == "x"
        assert seen == ["open", "handler", "close"]
        seen.clear()
        assert client.get("/waiting").text == "sl"
        assert seen == ["open", "open later", "handler", "close later", "close"]


def test_an_async_def_is_a_handler_in_an_object_and_behind_a_decorator():
    class Handler:
        async def __call__(self, request, q: int = 1):
            await asyncio.sleep(0)
            return [type(request).__name__, len(await request.body()), q]

    class Streams:
        async def __call__(self, q: int = 1):
            yield f"{q}"

    app = API()
    app.post("/object")(Handler())
    app.post("/partial")(functools.partial(Handler()))
    app.post("/decorated")(wrapped(Handler().__call__))
    app.post("/stream")(Streams())
    with TestClient(app) as client:
        for path in ("/object", "/partial", "/decorated"):
            answer = client.post(path, content=b"abc", params={"q": "2"})
            assert answer.json() == ["Request", 3, 2]
        assert client.post("/stream?q=3").text == "3"


async def session() -> int:
    return 1


def test_a_def_is_given_a_request_that_has_its_body_whatever_it_depends_on():
    def size(request: SyncRequest) -> list:
        return [type(request).__name__, len(request.body())]

    async def size_later(request: Request) -> list:
        return [type(request).__name__, len(await request.body())]

    app = API()

    @app.post("/handler")
    def handler(request: SyncRequest, _: Annotated[int, Depends(session)]):
        return size(request)

    @app.post("/by-name")
    def by_name(request, _: Annotated[int, Depends(session)]):
        return size(request)

    @app.post("/dependency")
    async def dependency(found: Annotated[list, Depends(size)]):
        return found

    @app.post("/later")
    def later(found: Annotated[list, Depends(size_later)]):
        return found

    @app.post("/file", max_body_size=1000)
    def file(photo: SyncUploadFile, _: Annotated[int, Depends(session)]):
        return [type(photo).__name__, len(photo.read())]

    def read(photo: UploadFile):
        return [type(photo).__name__, len(photo.read())]

    @app.post("/files", max_body_size=1000)
    async def files(found: Annotated[list, Depends(read)]):
        return found

    form = (
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with TestClient(app) as client:
        for path in ("/handler", "/by-name", "/dependency"):
            assert client.post(path, content=b"abc").json() == ["SyncRequest", 3]
        assert client.post("/later", content=b"abc").json() == ["Request", 3]
        for path in ("/file", "/files"):
            answer = client.post(path, content=form, headers=headers)
            assert answer.json() == ["SyncUploadFile", 3]


class Opened:
    """What a dependency opens, and how often it was ended."""

    def __init__(self):
        self.is_open = False
        self.ended = []

    def plain(self):
        self.is_open = True
        try:
            yield self
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        else:
            self.ended.append("end")
        finally:
            self.is_open = False

    async def waiting(self):
        with contextlib.contextmanager(self.plain)():
            yield self

    def lines(self, count=3):
        for _ in range(count):
            yield f"{self.is_open}\n"

    async def lines_later(self, count=3):
        for line in self.lines(count):
            await asyncio.sleep(0)
            yield line


def handlers(depends, count=3) -> dict[str, Any]:
    """Every kind of handler that streams."""

    def plain(opened=depends):
        yield from opened.lines(count)

    async def waiting(opened=depends):
        async for line in opened.lines_later(count):
            yield line

    def returned(opened=depends):
        return opened.lines(count)

    def returned_later(opened=depends):
        return opened.lines_later(count)

    async def waited_for(opened=depends):
        return opened.lines(count)

    def with_status(opened=depends):
        return opened.lines(count), 200

    return {
        "plain": plain,
        "waiting": waiting,
        "returned": returned,
        "returned later": returned_later,
        "waited for": waited_for,
        "with status": with_status,
        "decorated": wrapped(plain),
        "decorated waiting": wrapped(waiting),
    }


STREAMS = list(handlers(None))


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("kind", ["plain", "waiting"])
def test_what_a_stream_depends_on_is_open_until_the_stream_has_ended(name, kind):
    app, opened = API(), Opened()
    app.get("/")(handlers(Depends(getattr(opened, kind)))[name])
    with TestClient(app) as client:
        assert client.get("/").text == "True\n" * 3
        assert opened.ended == ["end"]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("kind", ["plain", "waiting"])
def test_what_a_stream_depends_on_is_ended_when_the_client_leaves(name, kind):
    app, opened = API(), Opened()
    app.get("/")(handlers(Depends(getattr(opened, kind)), 1_000_000)[name])
    with TestClient(app) as client:
        # The body of an answer to HEAD is dropped, as that of a client that has gone.
        assert client.head("/").status_code == 200
        eventually(lambda: opened.ended)
    assert opened.ended in (["GeneratorExit"], ["CancelledError"])
    assert not opened.is_open


@pytest.mark.parametrize("kind", ["plain", "waiting"])
def test_what_a_stream_depends_on_hears_of_its_failure(kind, caplog):
    app, opened = API(), Opened()
    depends = Depends(getattr(opened, kind))

    def breaks(_=depends):
        yield "a"
        raise ValueError("half way")

    async def breaks_later(_=depends):
        yield "a"
        raise ValueError("half way")

    app.get("/plain")(breaks)
    app.get("/waiting")(breaks_later)
    with TestClient(app) as client:
        for path in ("/plain", "/waiting"):
            with contextlib.suppress(Exception):
                client.get(path)
    assert opened.ended == ["ValueError", "ValueError"]
    assert caplog.text.count("failed while it was streaming: ValueError: half way") == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_whose_dependency_refuses_is_answered_so(is_async):
    app = API()
    seen = []

    def guard(name: str = "x"):
        if name == "x":
            raise HTTPException(403, "no")
        yield name

    def plain(name: Annotated[str, Depends(guard)]):
        seen.append(name)
        yield name

    async def waiting(name: Annotated[str, Depends(guard)]):
        seen.append(name)
        yield name

    app.get("/")(waiting if is_async else plain)
    with TestClient(app) as client:
        assert client.get("/").status_code == 403
        assert seen == []
        assert client.get("/?name=y").text == "y"


def test_a_thread_that_makes_a_piece_is_waited_for_before_anything_is_ended():
    app = API()
    seen = []
    begun, goes_on = threading.Event(), threading.Event()

    async def guard():
        try:
            yield "g"
        finally:
            seen.append("ended")

    @app.get("/")
    def slow(_: Annotated[str, Depends(guard)]):
        yield "a"
        begun.set()
        goes_on.wait(10)
        seen.append("made")
        yield "b"

    with TestClient(app) as client:
        assert client.head("/").status_code == 200
        # Whether the second piece was begun before the client had left is a matter of luck.
        if begun.wait(1):
            time.sleep(0.1)
            assert seen == []
        goes_on.set()
        eventually(lambda: "ended" in seen)
    assert seen in (["made", "ended"], ["ended"])


def test_a_task_group_of_a_dependency_belongs_to_the_stream():
    app = API()

    async def group():
        async with asyncio.TaskGroup() as tasks:
            yield tasks, asyncio.current_task()

    @app.get("/")
    async def lines(made: Annotated[Any, Depends(group)]):
        tasks, task = made
        yield f"{asyncio.current_task() is task} "
        yield str(await tasks.create_task(asyncio.sleep(0, "done")))

    with TestClient(app) as client:
        assert client.get("/").text == "True done"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_policy_that_reads_the_body_refuses_and_is_in_the_log(is_async, caplog):
    def reads(request) -> bool:
        return bool(request.body())

    async def reads_later(request) -> bool:
        return bool(await request.json())

    app = API()
    calls = []

    @app.post("/noted")
    @api_key_required({"key": []}, policy=reads_later if is_async else reads)
    def noted():
        calls.append("noted")

    with TestClient(app) as client:
        refused = client.post("/noted", content=b"abc", headers=KEY)
    assert refused.status_code == 403
    assert "body" not in refused.text
    assert "RuntimeError: a policy is asked before the body is read" in caplog.text
    assert calls == []


def test_a_policy_that_takes_a_file_is_an_error_at_the_start():
    def judges(photo: UploadFile) -> bool:
        return True

    app = API()
    app.post("/")(api_key_required({"key": []}, policy=judges)(lambda: "x"))
    with pytest.raises(ConfigurationError, match="asks for the body \\(photo\\)"):
        app.freeze()


def test_a_policy_that_depends_on_what_yields_is_an_error_or_refuses():
    def iter_once():
        yield True

    def judges(_: Annotated[None, Depends(RefusesAndYields())]) -> bool:
        return True

    def judges_too(_: Annotated[None, Depends(wrapped(iter_once))]) -> bool:
        return True

    app = API()
    app.post("/")(api_key_required({"key": []}, policy=judges)(lambda: "x"))
    with pytest.raises(ConfigurationError, match="yields"):
        app.freeze()
    app = API()
    app.post("/")(api_key_required({"key": []}, policy=judges_too)(lambda: "x"))
    with TestClient(app) as client:
        assert client.post("/", headers=KEY).status_code == 403


class Item(BaseModel):
    name: str


@pytest.mark.parametrize(
    "annotation",
    [
        Iterator[Item],
        AsyncIterator[Item],
        Iterator[dict],
        Iterator[str | Item],
        Item | Iterator[int],
    ],
    ids=str,
)
def test_a_stream_of_what_is_no_text_is_an_error_at_the_start(annotation):
    app = API()

    def items():
        return [Item(name="x")]

    items.__annotations__["return"] = annotation
    app.get("/")(items)
    with pytest.raises(ConfigurationError, match="a stream is made of str or bytes; return list"):
        app.freeze()


@pytest.mark.parametrize(
    "annotation",
    [Iterator, Iterator[str], AsyncIterator[bytes | memoryview], Iterator[Any], Iterator[object]],
    ids=str,
)
def test_a_stream_of_text_or_bytes_may_be_annotated(annotation):
    app = API()

    def lines():
        yield "x"

    lines.__annotations__["return"] = annotation
    app.get("/")(lines)
    with TestClient(app) as client:
        assert client.get("/").text == "x"

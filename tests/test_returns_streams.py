"""Answers whose body is made while it is sent, and work that is done afterwards."""

import asyncio
import contextlib
import contextvars
import functools
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

from apifrom import API, HTTPException
from apifrom.responses import BackgroundTask, BackgroundTasks, JSONResponse, StreamingResponse
from apifrom.testing import TestClient
from tests.serving import serving
from tests.test_asgi import Client


def ask(handler, method="GET"):
    app = API()
    app.get("/")(handler)
    with TestClient(app) as client:
        return client.request(method, "/")


def eventually(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def plain(pieces):
    def handler():
        yield from pieces

    return handler


def asynchronous(pieces):
    async def handler():
        for piece in pieces:
            await asyncio.sleep(0)
            yield piece

    return handler


def returned(pieces):
    def handler():
        return StreamingResponse(pieces)

    return handler


KINDS = pytest.mark.parametrize("kind", [plain, asynchronous, returned])


@KINDS
def test_pieces_are_sent_in_order(kind):
    response = ask(kind(["a", b"b", "", bytearray(b"c"), memoryview(b"d"), "é"]))
    assert response.status_code == 200
    assert response.content == b"abcd\xc3\xa9"
    assert response.headers["content-type"] == "application/octet-stream"
    assert "content-length" not in response.headers


@KINDS
def test_no_piece_is_an_empty_body(kind):
    response = ask(kind([]))
    assert (response.status_code, response.content) == (200, b"")


@KINDS
def test_many_and_large_pieces_pass_through_the_bounded_queue(kind):
    pieces = [f"{index};" for index in range(5000)] + ["x" * 200_000, "end"]
    assert ask(kind(pieces)).text == "".join(pieces)


def test_an_annotation_of_text_makes_the_stream_text():
    def lines() -> Iterator[str]:
        yield "a"

    def generator() -> Generator[str, None, None]:
        yield "a"

    async def later() -> AsyncIterator[str]:
        yield "a"

    def octets() -> Iterator[bytes]:
        yield b"a"

    kinds = [ask(handler).headers["content-type"] for handler in (lines, generator, later, octets)]
    assert kinds == ["text/plain; charset=utf-8"] * 3 + ["application/octet-stream"]


def test_a_generator_with_a_status_and_headers_is_streamed_with_them():
    def handler():
        return (piece for piece in ["a", "b"]), 202, {"Content-Type": "text/csv"}

    response = ask(handler)
    assert (response.status_code, response.text) == (202, "ab")
    assert response.headers["content-type"] == "text/csv"


def test_an_asynchronous_iterable_of_the_programs_own_is_streamed():
    class Countdown:
        left = 3

        def __aiter__(self):
            return self

        async def __anext__(self):
            if self.left == 0:
                raise StopAsyncIteration
            self.left -= 1
            return str(self.left)

    async def handler():
        return StreamingResponse(Countdown(), media_type="text/plain")

    assert ask(handler).text == "210"


@pytest.mark.parametrize(
    ("raised", "status"), [(HTTPException(403, "no"), 403), (LookupError("inside"), 500)]
)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_generator_raises_before_its_first_piece_is_answered(raised, status, is_async):
    def handler():
        raise raised
        yield ""

    async def later():
        raise raised
        yield ""

    response = ask(later if is_async else handler)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert b"inside" not in response.content


@KINDS
def test_what_is_raised_after_the_first_piece_breaks_the_answer_off_and_is_logged(kind, caplog):
    class Failing:
        def __iter__(self):
            yield "begun"
            raise LookupError("half way")

    with pytest.raises(RuntimeError, match="broke off"):
        ask(kind(Failing()))
    eventually(lambda: "LookupError: half way" in caplog.text)
    [record] = [record for record in caplog.records if record.event == "stream_failed"]
    assert record.request_id
    assert "failed while it was streaming" in record.message


@KINDS
def test_a_piece_that_is_neither_text_nor_bytes_breaks_the_answer_off(kind, caplog):
    with pytest.raises(RuntimeError, match="broke off"):
        ask(kind(["begun", {"a": 1}]))
    eventually(lambda: "expected pieces as str or bytes, found dict" in caplog.text)


@pytest.mark.parametrize("announced", ["3", "5"])
def test_a_stream_of_another_length_than_announced_is_broken_off(announced, caplog):
    def handler():
        return StreamingResponse(["ab", "cd"], headers={"Content-Length": announced})

    with pytest.raises(RuntimeError, match="Content-Length"):
        ask(handler)
    eventually(lambda: "Content-Length announced" in caplog.text)


def test_a_stream_of_the_announced_length_is_sent():
    def handler():
        return StreamingResponse(["ab", "cd"], headers={"Content-Length": "4"})

    response = ask(handler)
    assert (response.content, response.headers["content-length"]) == (b"abcd", "4")


@pytest.mark.parametrize("announced", ["-1", "four", "", "+4"])
def test_a_length_that_is_no_number_is_500(announced):
    def handler():
        return StreamingResponse(["ab"], headers={"Content-Length": announced})

    assert ask(handler).status_code == 500


def test_a_stream_is_sent_once():
    app = API()
    kept = StreamingResponse(iter(["a"]))

    @app.get("/")
    def handler():
        return kept

    with TestClient(app) as client:
        assert client.get("/").content == b"a"
        assert client.get("/").status_code == 500


def test_a_plain_generator_never_runs_on_the_loops_thread():
    seen, loops = set(), set()

    async def handler():
        loops.add(threading.get_ident())

        def pieces():
            for _ in range(40):
                seen.add(threading.get_ident())
                yield "a"

        return StreamingResponse(pieces())

    assert ask(handler).text == "a" * 40
    assert seen
    assert not seen & loops


def test_an_asynchronous_generator_is_one_task_from_its_first_piece_to_its_last():
    variable = contextvars.ContextVar("variable", default=0)
    tasks = set()

    async def handler():
        async with asyncio.timeout(5):
            for step in range(40):
                assert variable.get() == step
                variable.set(step + 1)
                tasks.add(asyncio.current_task())
                yield "a"
                await asyncio.sleep(0)

    assert ask(handler).text == "a" * 40
    assert len(tasks) == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_is_not_asked_for_more_than_the_client_takes(is_async):
    asked, closed = [], threading.Event()

    def handler():
        try:
            while True:
                asked.append(1)
                yield "piece"
        finally:
            closed.set()

    async def later():
        try:
            while True:
                asked.append(1)
                yield "piece"
        finally:
            closed.set()

    # The body of an answer to HEAD is dropped, as that of a client that has gone.
    response = ask(later if is_async else handler, "HEAD")
    assert response.status_code == 200
    assert closed.wait(5)
    assert 1 <= len(asked) <= 17


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_while_a_generator_is_closed_is_logged(is_async, caplog):
    def handler():
        try:
            while True:
                yield "piece"
        finally:
            raise LookupError("while closing")

    async def later():
        try:
            while True:
                yield "piece"
        finally:
            raise LookupError("while closing")

    ask(later if is_async else handler, "HEAD")
    eventually(lambda: "LookupError: while closing" in caplog.text)


def test_a_waiting_asynchronous_generator_is_cancelled_when_the_client_goes():
    events = []
    ended = threading.Event()

    async def handler():
        yield "first"
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            events.append("cleaned up")
            ended.set()

    ask(handler, "HEAD")
    assert ended.wait(5)
    assert events == ["cancelled", "cleaned up"]


def test_background_work_is_done_after_the_answer_in_order():
    events, loops = [], set()
    done = threading.Event()

    def note(name):
        events.append((name, threading.get_ident() in loops))

    def first(name, *, suffix):
        note(name + suffix)

    async def second():
        await asyncio.sleep(0)
        note("second")

    class Third:
        async def __call__(self):
            note("third")

    def last():
        done.set()

    async def handler():
        loops.add(threading.get_ident())
        tasks = BackgroundTasks([BackgroundTask(first, "fir", suffix="st")])
        tasks.add_task(second)
        tasks.add_task(Third())
        tasks.add_task(last)
        assert len(tasks) == 4
        return JSONResponse({"a": 1}, background=tasks)

    app = API()
    app.get("/")(handler)
    with TestClient(app) as client:
        assert client.get("/").json() == {"a": 1}
        assert done.wait(5)
    assert events == [("first", False), ("second", True), ("third", True)]


def test_background_work_behind_a_decorator_is_done_as_well(caplog):
    events = []
    done = threading.Event()

    async def work(name):
        await asyncio.sleep(0)
        events.append(name)
        if name == "fails":
            raise LookupError("behind a decorator")

    @functools.wraps(work)
    def decorated(name):
        return work(name)

    @functools.wraps(work)
    def runs(name):
        asyncio.run(work(name))

    def handler():
        tasks = BackgroundTasks()
        for name in ("first", "fails", "second"):
            tasks.add_task(decorated, name)
        tasks.add_task(lambda: work("third"))
        tasks.add_task(functools.partial(work, "fourth"))
        tasks.add_task(runs, "fifth")
        tasks.add_task(done.set)
        return JSONResponse({}, background=tasks)

    app = API()
    app.get("/")(handler)
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
        assert done.wait(5)
        eventually(lambda: "LookupError: behind a decorator" in caplog.text)
    assert events == ["first", "fails", "second", "third", "fourth", "fifth"]


@pytest.mark.parametrize("is_async", [False, True])
def test_background_work_that_fails_is_logged_and_the_next_is_done(is_async, caplog):
    done = threading.Event()

    def failing():
        raise LookupError("behind the scenes")

    async def failing_later():
        raise LookupError("behind the scenes")

    def handler():
        tasks = BackgroundTasks()
        tasks.add_task(failing_later if is_async else failing)
        tasks.add_task(done.set)
        return StreamingResponse(["a"], background=tasks)

    app = API()
    app.get("/")(handler)
    with TestClient(app) as client:
        assert client.get("/").content == b"a"
        assert done.wait(5)
        eventually(lambda: "LookupError: behind the scenes" in caplog.text)
    assert "background_failed" in [record.event for record in caplog.records]


def test_background_work_begins_only_when_the_body_is_over():
    events = []
    done = threading.Event()

    def pieces():
        for index in range(100):
            events.append(index)
            yield "x" * 1000

    def work():
        events.append("work")
        done.set()

    def handler():
        return StreamingResponse(pieces(), background=BackgroundTask(work))

    app = API()
    app.get("/")(handler)
    with TestClient(app) as client:
        client.get("/")
        assert done.wait(5)
    assert events == [*range(100), "work"]


def works(events):
    """Three tasks that take a while, in the pool and on the loop."""

    def slow(name):
        time.sleep(0.3)
        events.append(name)

    async def slow_too(name):
        await asyncio.sleep(0.3)
        events.append(name)

    tasks = BackgroundTasks()
    tasks.add_task(slow, "first")
    tasks.add_task(slow_too, "second")
    tasks.add_task(slow, "third")
    return tasks


def test_background_work_is_done_before_a_client_that_closes_ends_the_lifespan():
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield
        events.append("lifespan")

    app = API(lifespan=lifespan)

    @app.get("/")
    def handler():
        return JSONResponse({"a": 1}, background=works(events))

    with TestClient(app) as client:
        assert client.get("/").json() == {"a": 1}
    assert events == ["first", "second", "third", "lifespan"]


@pytest.mark.parametrize("is_async", [False, True])
def test_background_work_is_done_where_the_client_goes_before_a_def_has_ended(is_async):
    app = API()
    begun, release, done = threading.Event(), threading.Event(), threading.Event()

    async def later():
        done.set()

    @app.get("/", blocking=True)
    def handler():
        begun.set()
        assert release.wait(5)
        return JSONResponse({}, background=BackgroundTask(later if is_async else done.set))

    async def main():
        client = Client(app)
        asked = asyncio.create_task(client.ask())
        assert await asyncio.to_thread(begun.wait, 5)
        client.gone.set()
        await asyncio.wait_for(asked, 5)
        release.set()
        assert await asyncio.to_thread(done.wait, 5)

    asyncio.run(main())


ENDS = """
import contextlib, time, apifrom
from apifrom.responses import JSONResponse
from tests.test_returns_streams import works


class Said(list):
    append = staticmethod(lambda event: print(event, flush=True))


@contextlib.asynccontextmanager
async def lifespan(app):
    yield
    Said.append("lifespan")


app = apifrom.API(lifespan=lifespan)


@app.get("/")
def handler():
    return JSONResponse({"a": 1}, background=works(Said))


app.run(port=0)
"""


def test_a_server_that_is_stopped_does_the_work_behind_its_answers_first(capfd):
    with serving(ENDS) as port:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        assert answer.read() == b'{"a":1}'
    assert capfd.readouterr().out.split() == ["first", "second", "third", "lifespan"]


HANGS = """
import asyncio, apifrom
from apifrom.responses import BackgroundTask, JSONResponse

app = apifrom.API()


async def hang():
    await asyncio.sleep(600)


@app.get("/")
def handler():
    return JSONResponse({"a": 1}, background=BackgroundTask(hang))


app.run(port=0)
"""


@pytest.mark.parametrize("signals", [1, 2])
def test_a_server_does_not_wait_for_ever_and_not_at_all_when_it_is_asked_again(signals):
    process = subprocess.Popen([sys.executable, "-c", HANGS], stderr=subprocess.PIPE, text=True)
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", process.stderr.readline())[1]
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
        begin = time.monotonic()
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    waited = time.monotonic() - begin
    assert waited > 4 if signals == 1 else waited < 4


@pytest.mark.parametrize("function", [None, 7, "print"])
def test_background_work_is_a_function(function):
    with pytest.raises(TypeError, match="expected a function"):
        BackgroundTask(function)

"""The API under foreign ASGI servers: the same answers, and what the protocol asks for besides."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import http.client
import sys
import threading
import time
import weakref

import pytest

from apifrom import API, Request
from apifrom.exceptions import HTTPException
from apifrom.responses import BackgroundTask, Response, StreamingResponse
from tests import vector_app
from tests.serving import serving
from tests.test_vectors import CASES, body_of, headers_of, judge

FLAVOUR = contextvars.ContextVar("FLAVOUR", default="none")


class Client:
    """The server's side of one scope: what it says, and what it was asked and told."""

    def __init__(self, app, method="GET", path="/", headers=(), pieces=(b"",), **scope):
        self.app = app
        target, _, query = path.partition("?")
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), *headers],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            **scope,
        }
        self.pieces = list(pieces)
        self.asked = 0
        self.told = []
        self.gone = asyncio.Event()

    async def receive(self):
        self.asked += 1
        if self.pieces:
            piece = self.pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.told.append(message)

    async def ask(self):
        await self.app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self):
        return self.told[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.told[0]["headers"]}

    @property
    def content(self):
        assert [message["type"] for message in self.told[1:]] == ["http.response.body"] * (
            len(self.told) - 1
        )
        assert not self.told[-1].get("more_body", False)
        return b"".join(message["body"] for message in self.told[1:])


def ask(app, *arguments, **keywords):
    async def main():
        return await asyncio.wait_for(Client(app, *arguments, **keywords).ask(), 10)

    return asyncio.run(main())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_hold_in_process(case):
    vector_app.calls.clear()
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(case)]
    body = (body_of(case) or "").encode()
    if "body" in case:
        headers.append((b"content-length", str(len(body)).encode()))
    answer = ask(vector_app.app, case.get("method", "GET"), case["path"], headers, [body])
    judge(case, answer.status, answer.headers, answer.content)
    if 400 <= case["status"] < 500:
        assert vector_app.calls == []


UVICORN = """
import uvicorn
from tests.vector_app import app
uvicorn.run(app, port=0, loop={loop!r}, http="h11", proxy_headers=False, log_level="info")
"""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def port(request):
    program = UVICORN.format(loop=request.param)
    # A signal that uvicorn handled it raises again at its end.
    with serving(program, status=-15, listening=r"running on http://127\.0\.0\.1:(\d+)") as port:
        yield port


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_hold_under_uvicorn(port, case):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = body_of(case)
    connection.putrequest(case.get("method", "GET"), case["path"])
    for name, value in headers_of(case):
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(None if body is None else body.encode())
    response = connection.getresponse()
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    connection.close()
    judge(case, response.status, headers, content)


def test_a_refusal_asks_for_no_byte_of_the_body():
    app = API(max_body_size=10)
    calls = []

    @app.post("/")
    async def handler(request):
        calls.append(await request.body())

    length = [(b"content-length", b"11")]
    for path, status in [("/nowhere", 404), ("/", 413), ("/%2e%2e/", 400)]:
        answer = ask(app, "POST", path, length, [b"x" * 11])
        assert (answer.status, answer.asked) == (status, 0)
        assert answer.headers["x-request-id"]
    assert ask(app, "PUT", "/", length, [b"x" * 11]).headers["allow"] == "POST, OPTIONS"
    assert calls == []


def test_a_body_that_grows_too_large_is_refused():
    app = API(max_body_size=10)

    @app.post("/")
    async def handler(request):
        return len(await request.body())

    chunked = [(b"transfer-encoding", b"chunked")]
    assert ask(app, "POST", "/", chunked, [b"x" * 5, b"x" * 5]).content == b"10"
    assert ask(app, "POST", "/", chunked, [b"x" * 5, b"x" * 6]).status == 413


def test_a_body_is_asked_for_no_faster_than_it_is_read():
    app = API(max_body_size=1 << 30)
    asked = []

    @app.post("/")
    async def handler(request):
        total = 0
        async for piece in request.stream():
            total += len(piece)
            asked.append(client.asked)
            await asyncio.sleep(0.002)
        return total

    chunked = [(b"transfer-encoding", b"chunked")]

    client = Client(app, "POST", "/", chunked, [b"x" * 32_768] * 30)
    asyncio.run(client.ask())
    assert (client.status, client.content) == (200, str(30 * 32_768).encode())
    assert all(asked <= read + 3 for read, asked in enumerate(asked, start=1))


def test_bodies_that_arrive_in_many_pieces_at_once_are_read_to_their_ends():
    app = API()

    @app.post("/")
    async def handler(request):
        return sum([len(piece) async for piece in request.stream()])

    class Unhurried(Client):
        async def receive(self):
            await asyncio.sleep(0)
            return await super().receive()

    async def main():
        chunked = [(b"transfer-encoding", b"chunked")]
        for _ in range(20):
            asked = [Unhurried(app, "POST", "/", chunked, [b"x" * 100] * 50) for _ in range(8)]
            await asyncio.gather(*(client.ask() for client in asked))
            assert [(client.status, client.content) for client in asked] == [(200, b"5000")] * 8

    asyncio.run(main())


def test_a_handler_that_exits_costs_its_own_request_alone():
    app = API()

    @app.get("/now")
    async def now():
        sys.exit(3)

    @app.get("/later")
    async def later():
        await asyncio.sleep(0.001)
        sys.exit(3)

    @app.get("/blocks")
    def blocks():
        sys.exit(3)

    @app.get("/streams")
    async def streams():
        yield "piece"
        sys.exit(3)

    @app.get("/fine")
    async def fine():
        return "fine"

    async def main():
        for path in ("/now", "/later", "/blocks", "/streams"):
            client = Client(app, "GET", path)
            if path == "/streams":
                with pytest.raises(Exception, match="broke off"):
                    await asyncio.wait_for(client.ask(), 10)
            else:
                await asyncio.wait_for(client.ask(), 10)
                assert client.status == 500
            # The loop is the one that all of them ran on.
            again = Client(app, "GET", "/fine")
            await asyncio.wait_for(again.ask(), 10)
            assert (again.status, again.content) == (200, b"fine")

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/waits", "/streams", "/iterates", "/holds"])
def test_a_client_that_goes_cancels_the_handler_and_nothing_else(path):
    app = API()
    began, ended = [], []

    @app.get("/waits")
    async def waits():
        began.append(True)
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("waits")

    @app.get("/streams")
    async def streams():
        try:
            while True:
                began.append(True)
                yield "piece"
                await asyncio.sleep(0.001)
        finally:
            ended.append("streams")

    @app.get("/iterates", blocking=False)
    def iterates():
        def pieces():
            try:
                while True:
                    began.append(True)
                    yield "piece"
                    time.sleep(0.001)
            finally:
                ended.append("iterates")

        return StreamingResponse(pieces())

    @app.post("/holds")
    async def holds(request: Request):
        async def pieces():
            try:
                while True:
                    began.append(True)
                    yield request.path
                    await asyncio.sleep(0.001)
            finally:
                ended.append("holds")

        return StreamingResponse(pieces())

    async def main():
        if path == "/holds":
            client = Client(app, "POST", path, [(b"content-length", b"3")], [b"abc"])
        else:
            client = Client(app, path=path)
        asking = asyncio.create_task(client.ask())
        while not began:
            await asyncio.sleep(0.01)
        assert not asking.done()
        client.gone.set()
        await asyncio.wait_for(asking, 5)
        assert asking.cancelling() == 0
        for _ in range(500):
            if ended:
                break
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert ended == [path[1:]]


@pytest.mark.parametrize("is_gone_first", [True, False])
def test_a_server_that_cancels_while_the_client_goes_is_obeyed(is_gone_first):
    app = API()

    @app.get("/")
    async def waits():
        await asyncio.sleep(30)

    async def main():
        client = Client(app)
        asking = asyncio.create_task(client.ask())
        while not client.asked:
            await asyncio.sleep(0.01)
        client.gone.set()
        if is_gone_first:
            # The request is being given up, and has not ended yet.
            while not asking.cancelling() and not asking.done():
                await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, 10)

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/reads", "/streams"])
def test_a_server_whose_receive_fails_ends_the_request_with_that(path):
    app = API()
    began = asyncio.Event()
    ended = []

    @app.post("/reads")
    async def reads(request: Request):
        began.set()
        try:
            await request.body()
        finally:
            ended.append("reads")

    @app.post("/streams")
    async def streams():
        try:
            while True:
                began.set()
                yield "piece"
                await asyncio.sleep(0.001)
        finally:
            ended.append("streams")

    class Failing(Client):
        async def receive(self):
            await began.wait()
            raise ConnectionResetError("the peer is gone")

    async def main():
        asking = asyncio.create_task(Failing(app, "POST", path, [(b"content-length", b"9")]).ask())
        with pytest.raises(ConnectionResetError, match="the peer is gone"):
            await asyncio.wait_for(asking, 10)
        assert asking.cancelling() == 0
        for _ in range(500):
            if ended:
                break
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert ended == [path[1:]]


def test_a_server_that_says_the_body_again_and_again_is_asked_no_further():
    app = API()

    @app.post("/")
    async def handler(request: Request):
        body = await request.body()
        await asyncio.sleep(0.05)
        return len(body)

    class Replaying(Client):
        async def receive(self):
            if self.asked == 10:
                return await super().receive()
            self.asked += 1
            return {"type": "http.request", "body": b"abc"}

    client = Replaying(app, "POST", "/", [(b"content-length", b"3")], [])
    asyncio.run(client.ask())
    assert (client.status, client.content, client.asked) == (200, b"3", 2)


def test_a_body_that_is_given_up_holds_nothing_once_the_request_was_answered():
    app = API()
    reading = []

    @app.post("/")
    async def handler(request: Request):
        reading.append(asyncio.ensure_future(request.body()))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(reading[0]), 0.02)
        return "late"

    class Slow(Client):
        async def receive(self):
            if not self.asked:
                self.asked += 1
                return {"type": "http.request", "body": b"x", "more_body": True}
            return await super().receive()

    async def main():
        client = await Slow(app, "POST", "/", [(b"content-length", b"9")], []).ask()
        assert client.content == b"late"
        # Nobody feeds it any more, and whoever waits is told so.
        with pytest.raises(HTTPException) as told:
            await asyncio.wait_for(reading.pop(), 10)
        assert told.value.status == 400

    async def given_up():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        client = Slow(app, "POST", "/", [(b"content-length", b"9")], [])
        assert (await client.ask()).content == b"late"
        reading.pop().cancel()

    async def another():
        await Client(app, path="/nowhere").ask()

    loops = []
    asyncio.run(main())
    asyncio.run(given_up())
    # A thread keeps its last loop until there is another.
    asyncio.run(another())
    for _ in range(500):
        gc.collect()
        if loops[0]() is None:
            break
        time.sleep(0.01)
    assert loops[0]() is None


def test_a_server_that_cancels_is_obeyed():
    app = API()
    ended = []

    @app.get("/")
    async def waits():
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(True)

    async def main():
        asking = asyncio.create_task(Client(app).ask())
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert ended == [True]


def test_handlers_see_the_context_of_the_server_and_run_where_they_belong():
    app = API()

    @app.get("/a")
    async def a():
        asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return [FLAVOUR.get(), threading.current_thread() is threading.main_thread()]

    @app.get("/d", blocking=True)
    def d():
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return [FLAVOUR.get(), threading.current_thread() is threading.main_thread()]

    @app.get("/i", blocking=False)
    def i():
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return [FLAVOUR.get(), threading.current_thread() is threading.main_thread()]

    async def main():
        FLAVOUR.set("vanilla")
        return [(await Client(app, path=path).ask()).content for path in ("/a", "/d", "/i")]

    assert asyncio.run(main()) == [
        b'["vanilla",true]',
        b'["vanilla",false]',
        b'["vanilla",true]',
    ]


def test_functions_that_block_hold_up_nobody():
    app = API()

    @app.get("/sleeps")
    def sleeps():
        time.sleep(0.3)
        return "slept"

    @app.get("/quick")
    async def quick():
        return "quick"

    async def main():
        begin = time.perf_counter()
        sleepers = [asyncio.create_task(Client(app, path="/sleeps").ask()) for _ in range(20)]
        await asyncio.sleep(0.05)
        asked = time.perf_counter()
        assert (await Client(app, path="/quick").ask()).content == b"quick"
        waited = time.perf_counter() - asked
        answers = await asyncio.gather(*sleepers)
        assert {answer.content for answer in answers} == {b"slept"}
        return waited, time.perf_counter() - begin

    waited, whole = asyncio.run(main())
    assert waited < 0.2
    assert whole < 3


def test_streams_files_and_background_work_end_as_they_do_under_our_own_server(tmp_path):
    app = API()
    done = []
    (tmp_path / "file.txt").write_text("content of a file")

    @app.get("/generator")
    def generator():
        yield "one "
        yield "two"

    @app.get("/response")
    async def response():
        return StreamingResponse(iter([b"a", b"b"]), headers={"content-length": "2"})

    @app.get("/later")
    async def later():
        return Response("now", background=BackgroundTask(done.append, "later"))

    @app.get("/breaks")
    async def breaks():
        yield "one"
        raise RuntimeError("hunter2")

    async def main():
        assert (await Client(app, path="/generator").ask()).content == b"one two"
        answer = await Client(app, path="/response").ask()
        assert (answer.content, answer.headers["content-length"]) == (b"ab", "2")
        assert (await Client(app, path="/later").ask()).content == b"now"
        head = await Client(app, "HEAD", "/later").ask()
        assert (head.content, head.headers["content-length"]) == (b"", "3")
        for _ in range(100):
            if len(done) == 2:
                break
            await asyncio.sleep(0.01)
        broken = Client(app, path="/breaks")
        with pytest.raises(RuntimeError, match="broke off"):
            await broken.ask()
        assert broken.told[-1]["more_body"]

    asyncio.run(main())
    assert done == ["later", "later"]


def test_an_application_that_mounts_the_api_keeps_its_own_path():
    app = API()

    @app.get("/files/{*rest}")
    def files(rest: str):
        return rest

    for root, path, found in [
        ("", "/files/a%2Fb", b"a/b"),
        ("/mounted", "/mounted/files/a%2Fb", b"a/b"),
        ("/mounted/", "/mounted/files/x", b"x"),
        ("/other", "/files/x", b"x"),
    ]:
        answer = ask(app, path=path, root_path=root)
        assert (answer.status, answer.content) == (200, found)
    without = ask(app, path="/m/files/a b", root_path="/m", raw_path=None)
    assert without.content == b"a b"
    assert ask(app, path="/mountedfiles/x", root_path="/mounted").status == 404


def test_each_loop_of_a_thread_has_its_turn():
    app = API()

    @app.get("/")
    async def handler():
        await asyncio.sleep(0)
        return "answered"

    assert [ask(app).content for _ in range(5)] == [b"answered"] * 5


class Life:
    """The server's side of a lifespan."""

    def __init__(self):
        self.messages = asyncio.Queue()
        self.told = asyncio.Queue()

    async def say(self, kind):
        await self.messages.put({"type": f"lifespan.{kind}"})
        return await asyncio.wait_for(self.told.get(), 5)


def test_the_lifespan_begins_before_the_first_request_and_ends_after_the_last():
    seen = []
    app = API(on_startup=[lambda: seen.append("start")], on_shutdown=[lambda: seen.append("stop")])

    @app.get("/")
    def handler():
        seen.append("request")

    async def main():
        life = Life()
        living = asyncio.create_task(app({"type": "lifespan"}, life.messages.get, life.told.put))
        assert (await life.say("startup"))["type"] == "lifespan.startup.complete"
        assert (await Client(app).ask()).status == 200
        assert (await life.say("shutdown"))["type"] == "lifespan.shutdown.complete"
        await living

    asyncio.run(main())
    assert seen == ["start", "request", "stop"]


def test_the_lifespan_ends_once_the_work_behind_answers_has_ended():
    seen = []
    app = API(on_shutdown=[lambda: seen.append("stop")])

    async def work():
        await asyncio.sleep(0.3)
        seen.append("work")

    @app.get("/")
    async def handler():
        return Response("now", background=BackgroundTask(work))

    async def main():
        life = Life()
        living = asyncio.create_task(app({"type": "lifespan"}, life.messages.get, life.told.put))
        await life.say("startup")
        assert (await Client(app).ask()).content == b"now"
        assert (await life.say("shutdown"))["type"] == "lifespan.shutdown.complete"
        await living

    asyncio.run(main())
    assert seen == ["work", "stop"]


def fails():
    raise RuntimeError("no database")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"on_startup": [fails]}, "no database"),
        ({"max_body_size": -1}, "max_body_size"),
    ],
)
def test_an_api_that_cannot_start_says_so_and_answers_503(config, message):
    app = API(**config)
    calls = []

    @app.get("/")
    def handler():
        calls.append(True)

    async def main():
        life = Life()
        living = asyncio.create_task(app({"type": "lifespan"}, life.messages.get, life.told.put))
        told = await life.say("startup")
        assert told["type"] == "lifespan.startup.failed"
        assert message in told["message"]
        await living
        for path in ("/", "/nowhere"):
            answer = await Client(app, path=path).ask()
            assert answer.status == 503
            assert answer.headers["retry-after"] == "60"
            assert message not in answer.content.decode()

    asyncio.run(main())
    assert calls == []


def test_a_shutdown_that_fails_is_told():
    app = API(on_shutdown=[fails])

    async def main():
        life = Life()
        living = asyncio.create_task(app({"type": "lifespan"}, life.messages.get, life.told.put))
        await life.say("startup")
        told = await life.say("shutdown")
        await living
        return told

    told = asyncio.run(main())
    assert told == {"type": "lifespan.shutdown.failed", "message": "no database"}


def test_websockets_are_refused_and_other_scopes_are_none():
    app = API()

    async def main():
        life = Life()
        await life.messages.put({"type": "websocket.connect"})
        await app({"type": "websocket", "path": "/"}, life.messages.get, life.told.put)
        assert (await life.told.get())["type"] == "websocket.close"
        with pytest.raises(ValueError, match="expected an ASGI scope"):
            await app({"type": "mqtt"}, life.messages.get, life.told.put)
        with pytest.raises(ValueError, match="method"):
            await Client(app, "G E T").ask()

    asyncio.run(main())

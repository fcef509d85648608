"""Several loops on one thread: one within another, and one while another is suspended."""

from __future__ import annotations

import asyncio
import threading

from apifrom import API, Request
from tests.test_asgi import Client


def example():
    app = API()
    app.begun = threading.Event()
    app.release = threading.Event()

    @app.get("/quick")
    async def quick():
        return "quick"

    @app.get("/inline", blocking=False)
    def inline():
        return "inline"

    @app.get("/slow")
    async def slow():
        app.begun.set()
        while not app.release.is_set():
            await asyncio.sleep(0.001)
        return "slow"

    @app.get("/nested", blocking=False)
    def nested():
        return ask_on_a_loop_of_its_own(app)

    @app.api(route="/size", method="POST")
    async def size(request: Request):
        return len(await request.body())

    return app


def ask_on_a_loop_of_its_own(app):
    """What a client does that is written for asyncio, called from a `def`."""

    async def ask():
        answers = await asyncio.gather(
            *(Client(app, path=path).ask() for path in ("/quick", "/inline", "/quick"))
        )
        return b" ".join(answer.content for answer in answers).decode()

    return asyncio.run(asyncio.wait_for(ask(), 5))


def test_an_inline_def_may_run_a_loop_that_asks_an_api(inline, run):
    app = example()

    async def other():
        await asyncio.sleep(0.001)
        return "alive"

    for _ in range(3):
        assert inline(ask_on_a_loop_of_its_own, app) == "quick inline quick"
        assert run(other) == "alive"


def test_a_def_in_the_pool_may_run_a_loop_that_asks_an_api(run):
    app = example()
    for _ in range(3):
        assert run(ask_on_a_loop_of_its_own, app, blocking=True) == "quick inline quick"


def test_what_is_under_way_goes_on_after_a_loop_within_its_own():
    app = example()

    async def main():
        slow = asyncio.create_task(Client(app, path="/slow").ask())
        assert await asyncio.to_thread(app.begun.wait, 5)
        nested = await asyncio.wait_for(Client(app, path="/nested").ask(), 5)
        assert nested.content == b"quick inline quick"
        app.release.set()
        assert (await asyncio.wait_for(slow, 5)).content == b"slow"
        assert (await asyncio.wait_for(Client(app, path="/inline").ask(), 5)).content == b"inline"

    asyncio.run(main())


def test_a_loop_that_was_suspended_for_another_goes_on_with_its_requests():
    app = example()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def begin():
        task = asyncio.create_task(Client(app, path="/slow").ask())
        assert await asyncio.to_thread(app.begun.wait, 5)
        return task

    async def end(task):
        return (await asyncio.wait_for(task, 5)).content

    try:
        task = first.run_until_complete(begin())
        for _ in range(2):
            quick = second.run_until_complete(asyncio.wait_for(Client(app, path="/quick").ask(), 5))
            assert quick.content == b"quick"
        app.release.set()
        assert first.run_until_complete(end(task)) == b"slow"
    finally:
        first.close()
        second.close()


def test_a_coroutine_of_a_worker_may_ask_an_api_that_reads_a_body_in_pieces(run):
    class Slow(Client):
        async def receive(self):
            await asyncio.sleep(0)
            return await super().receive()

    app = example()

    async def handler():
        headers = [(b"transfer-encoding", b"chunked")]
        client = Slow(app, "POST", "/size", headers, [b"a" * 10, b"b" * 10, b"c" * 10])
        return (await client.ask()).content

    assert run(handler) == b"30"

"""Libraries that are written for asyncio work on the worker's loop."""

from __future__ import annotations

import asyncio

import pytest


def test_anyio_works(run):
    anyio = pytest.importorskip("anyio")

    async def handler():
        results = []

        async def add(number):
            await anyio.sleep(0.001)
            results.append(number)

        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(add, number)
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(5)
        there = await anyio.to_thread.run_sync(lambda: "thread")
        return sorted(results), scope.cancelled_caught, there

    assert run(handler) == ([0, 1, 2, 3, 4], True, "thread")


def test_anyio_works_where_nothing_waits(run):
    anyio = pytest.importorskip("anyio")

    async def handler():
        with anyio.fail_after(5):
            return anyio.get_current_task().name

    assert run(handler) == "probe"


def test_an_http_client_works(run):
    httpx = pytest.importorskip("httpx")

    async def handler():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, httpx.AsyncClient() as client:
            port = server.sockets[0].getsockname()[1]
            answer = await client.get(f"http://127.0.0.1:{port}/")
        return answer.status_code, answer.text

    assert run(handler) == (200, "ok")

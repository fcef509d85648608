"""Descriptors of asyncio on the reactor: the stock, level-triggered contract."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading


def test_a_descriptor_read_in_part_is_reported_until_it_is_empty(run):
    async def handler():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        read = []
        done = loop.create_future()

        def readable():
            read.append(ours.recv(1))
            if len(read) == 5:
                loop.remove_reader(ours)
                done.set_result(None)

        loop.add_reader(ours, readable)
        theirs.send(b"12345")
        await asyncio.wait_for(done, 5)
        ours.close()
        theirs.close()
        return b"".join(read)

    assert run(handler) == b"12345"


def test_a_descriptor_that_is_ready_already_is_reported(run):
    async def handler():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        done = loop.create_future()
        loop.add_reader(ours, lambda: done.done() or done.set_result(ours.recv(1)))
        try:
            return await asyncio.wait_for(done, 5)
        finally:
            loop.remove_reader(ours)
            ours.close()
            theirs.close()

    for _ in range(20):
        assert run(handler) == b"x"


def test_a_reader_added_by_an_inline_function_is_reported(inline, worker):
    ours, theirs = socket.socketpair()
    theirs.send(b"x")
    seen = threading.Event()

    def readable():
        ours.recv(1)
        seen.set()

    inline(lambda: worker.event_loop.add_reader(ours, readable))
    assert seen.wait(5)
    inline(lambda: worker.event_loop.remove_reader(ours))
    ours.close()
    theirs.close()


def test_a_descriptor_nobody_reads_does_not_stop_the_rest(run, worker):
    async def handler():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        reports = []
        loop.add_reader(ours, lambda: reports.append(1))
        await asyncio.sleep(0.05)
        loop.remove_reader(ours)
        ours.close()
        theirs.close()
        return len(reports)

    assert run(handler) > 10
    assert worker.tick() < 1


def test_modifying_what_is_watched_is_seen(run):
    async def handler():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        seen = []
        both = loop.create_future()

        def note(kind):
            if kind not in seen:
                seen.append(kind)
            if len(seen) == 2 and not both.done():
                both.set_result(None)

        loop.add_reader(ours, note, "read")
        await asyncio.sleep(0.01)
        loop.add_writer(ours, note, "write")
        theirs.send(b"x")
        await asyncio.wait_for(both, 5)
        loop.remove_reader(ours)
        loop.remove_writer(ours)
        ours.close()
        theirs.close()
        return sorted(seen)

    assert run(handler) == ["read", "write"]


def test_a_closed_descriptor_number_may_be_used_again(run):
    async def handler():
        loop = asyncio.get_running_loop()
        for _ in range(50):
            ours, theirs = socket.socketpair()
            done = loop.create_future()
            loop.add_reader(ours, lambda done=done: done.done() or done.set_result(None))
            theirs.send(b"x")
            await asyncio.wait_for(done, 5)
            loop.remove_reader(ours)
            ours.close()
            theirs.close()
        return "reused"

    assert run(handler) == "reused"


def test_streams_carry_much_data_both_ways(run):
    async def handler():
        size = 3_000_000

        async def echo(reader, writer):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

            async def send():
                writer.write(os.urandom(size))
                await writer.drain()
                writer.write_eof()

            sender = asyncio.create_task(send())
            received = 0
            while data := await reader.read(1_000):
                received += len(data)
            await sender
            writer.close()
            await writer.wait_closed()
        return received == size

    assert run(handler, timeout=30) is True


def test_a_subprocess_is_started_read_and_reaped(run):
    async def handler():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; print(sys.stdin.read().upper()); sys.exit(3)",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate(b"hello")
        return output.strip(), process.returncode

    assert run(handler) == (b"HELLO", 3)

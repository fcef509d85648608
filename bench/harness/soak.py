"""Hours in minutes: mixed load of every kind, and whether the server is the same afterwards.

Valid requests, each way of being refused, failing handlers, streams both ways, clients that go away
in the middle and clients that send nonsense, all at once. Every answer is checked. Memory,
descriptors and threads are read throughout, and compared when the clients have gone.
"""

import asyncio
import contextlib
import logging
import random
import signal
import socket
import statistics
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.options import Options
from harness.processes import Running, StartError, serving, tree
from harness.servers import OURS_RUST, OURS_SOAK, Server
from harness.table import Failure, Verdict, conclude, show, unmeasured

CLIENTS = 48
SAMPLE_SECONDS = 1.0
# The share of the run in which memory may still settle, and the share that is compared with it.
WARM_UP = 0.25
LAST = 0.25
# What the allocator may keep; a leak grows on for as long as it is fed.
GROWTH_MIB = 4.0
ANSWER_SECONDS = 20.0
EXIT_SECONDS = 10.0
KEEP_ALIVE_REQUESTS = 50
BODY = 256 * 1024
# The share of the clients that leave with a reset.
RESETS = 0.5
TOO_LARGE = 80 << 20
PROGRESS_SECONDS = 30.0

Exchange = Callable[["Connection", random.Random], Awaitable[None]]


class Wrong(Exception):
    """An answer that was not the expected one."""


@dataclass
class Connection:
    """One client's connection, opened when it is needed."""

    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def send(self, data: bytes) -> None:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def drop(self, *, reset: bool = False) -> None:
        """Goes away: in good order, or as a program does that is killed."""
        if self.writer is not None:
            if reset:
                linger = struct.pack("ii", 1, 0)
                self.writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def answer(self) -> tuple[int, bytes]:
        """Reads one answer whole, and closes where the server says so."""
        status, headers = await self.head()
        body = await self._body(headers)
        if headers.get("connection") == "close":
            self.drop()
        return status, body

    async def head(self) -> tuple[int, dict[str, str]]:
        if self.reader is None:
            raise Wrong("no connection")
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip().lower() for name, _, value in pairs}
        return int(first.split(" ")[1]), headers

    async def _body(self, headers: dict[str, str]) -> bytes:
        if self.reader is None:
            raise Wrong("no connection")
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return body


def _request(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    if body:
        head += f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def _asking(request: bytes, status: int, holding: bytes = b"") -> Exchange:
    async def exchange(connection: Connection, _draw: random.Random) -> None:
        await connection.send(request)
        seen, body = await connection.answer()
        if seen != status or holding not in body:
            raise Wrong(f"{request[:40]!r}: {seen} {body[:80]!r} instead of {status}")

    return exchange


def _leaving(request: bytes, seconds: float) -> Exchange:
    """Sends and goes away before the answer can be there, or in its midst."""

    async def exchange(connection: Connection, draw: random.Random) -> None:
        await connection.send(request)
        await asyncio.sleep(draw.uniform(0, seconds))
        connection.drop(reset=draw.random() < RESETS)

    return exchange


async def _upload(connection: Connection, draw: random.Random) -> None:
    pieces = draw.randrange(1, 8)
    await connection.send(
        b"POST /upload HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for _ in range(pieces):
        await connection.send(b"%x\r\n" % BODY + b"x" * BODY + b"\r\n")
        await asyncio.sleep(0)
    await connection.send(b"0\r\n\r\n")
    status, body = await connection.answer()
    if status != 200 or body != b'{"bytes":%d}' % (pieces * BODY):
        raise Wrong(f"upload of {pieces} pieces: {status} {body[:80]!r}")


async def _download(connection: Connection, _draw: random.Random) -> None:
    await connection.send(_request("GET", "/download/1"))
    status, body = await connection.answer()
    if status != 200 or len(body) != 1 << 20:
        raise Wrong(f"download: {status}, {len(body)} bytes")


async def _announce_too_much(connection: Connection, _draw: random.Random) -> None:
    await connection.send(
        b"POST /upload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % TOO_LARGE
    )
    status, _ = await connection.answer()
    connection.drop()
    if status != 413:
        raise Wrong(f"{TOO_LARGE} bytes announced: {status} instead of 413")


async def _nonsense(connection: Connection, draw: random.Random) -> None:
    connection.drop()
    await connection.send(draw.randbytes(draw.randrange(1, 400)) + b"\r\n\r\n")
    await asyncio.sleep(draw.uniform(0, 0.02))
    connection.drop()


USER = b'{"name":"Ada","email":"ada@example.com","age":36,"password":"Str0ng!pass"}'
COMMON: dict[str, tuple[int, Exchange]] = {
    "200 greeting": (30, _asking(_request("GET", "/hello/Ada"), 200, b"Hello, Ada!")),
    "200 body": (10, _asking(_request("POST", "/users", USER), 200, b'"Ada"')),
    "422": (5, _asking(_request("POST", "/users", b'{"name":"A"}'), 422, b'"errors"')),
    "400 JSON": (5, _asking(_request("POST", "/users", b'{"name":'), 400)),
    "415": (2, _asking(_request("POST", "/users", USER, "text/plain"), 415)),
    "404": (5, _asking(_request("GET", "/nowhere"), 404)),
    "405": (5, _asking(_request("DELETE", "/users"), 405)),
    "413": (2, _announce_too_much),
    "upload": (2, _upload),
    "download": (2, _download),
    "left in a head": (3, _leaving(b"GET /hello/Ada HTTP/1.1\r\nho", 0.02)),
    "left in a body": (3, _leaving(_request("POST", "/users", USER)[:-9], 0.02)),
    "left in an answer": (3, _leaving(_request("GET", "/download/8"), 0.05)),
    "nonsense": (3, _nonsense),
}
PYTHON: dict[str, tuple[int, Exchange]] = {
    "200 async": (20, _asking(_request("GET", "/ahello/Ada"), 200, b"Hello, Ada!")),
    "200 waited": (3, _asking(_request("GET", "/wait/20"), 200)),
    "200 blocked": (2, _asking(_request("GET", "/block/5"), 200)),
    "500": (3, _asking(_request("GET", "/fail"), 500)),
    "left in a wait": (4, _leaving(_request("GET", "/wait/2000"), 0.05)),
    "left in a block": (1, _leaving(_request("GET", "/block/50"), 0.02)),
}
CONTENDERS: tuple[tuple[Server, dict[str, tuple[int, Exchange]]], ...] = (
    (OURS_RUST, COMMON),
    (OURS_SOAK, COMMON | PYTHON),
)


@dataclass(frozen=True)
class Sample:
    """What the kernel said at one moment."""

    rss: float
    descriptors: int
    threads: int


@dataclass
class Soaked:
    """What a run came to."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    before: Sample = Sample(0, 0, 0)
    after: Sample = Sample(0, 0, 0)
    exit: str = ""


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    rows: list[list[str] | Failure] = []
    verdicts: list[Verdict] = []
    for server, exchanges in CONTENDERS:
        if not options.wants(server.name):
            continue
        promise = f"{server.name}: every answer right, nothing kept, a clean end"
        try:
            soaked = _soak(server, exchanges, options)
        except (StartError, OSError) as error:
            rows.append(Failure(server.name, str(error)))
            verdicts.append(unmeasured(promise))
            continue
        early, late = _settled(soaked.samples)
        cells = [f"{soaked.done.total():,}", f"{soaked.wrong.total():,}"]
        cells += [f"{early:.1f}", f"{late:.1f}"]
        cells += [f"{soaked.before.descriptors}/{soaked.after.descriptors}"]
        cells += [f"{soaked.before.threads}/{soaked.after.threads}", soaked.exit]
        rows.append([server.name, *cells])
        for problem, count in soaked.wrong.most_common(5):
            print(f"  {server.name}: {count} times: {problem}")
        met = (
            not soaked.wrong
            and late - early <= GROWTH_MIB
            and soaked.after.descriptors <= soaked.before.descriptors
            and soaked.exit == "0"
        )
        seen = (
            f"{soaked.done.total():,} exchanges of {len(soaked.done)} kinds, "
            f"{soaked.wrong.total()} wrong, {late - early:+.1f} MiB"
        )
        verdicts.append(Verdict(promise, met, seen))
    print()
    headings = ["soak", "exchanges", "wrong", "RSS MiB early", "late"]
    show([*headings, "descriptors", "threads", "exit"], rows)
    return conclude(verdicts)


def _settled(samples: list[Sample]) -> tuple[float, float]:
    """The median of the memory after the warm-up and at the end."""
    count = len(samples)
    start = int(count * WARM_UP)
    early = samples[start : start + max(1, int(count * LAST))]
    late = samples[-max(1, int(count * LAST)) :]
    return (
        statistics.median(sample.rss for sample in early),
        statistics.median(sample.rss for sample in late),
    )


def _soak(server: Server, exchanges: dict[str, tuple[int, Exchange]], options: Options) -> Soaked:
    soaked = Soaked()
    with serving(server, options.cores.server) as running:
        time.sleep(SAMPLE_SECONDS)
        soaked.before = _sample(running)
        asyncio.run(_drive(running, exchanges, options, soaked))
        # Closed connections are noticed at once, calls that were left may have to end first.
        time.sleep(5 * SAMPLE_SECONDS)
        soaked.after = _sample(running)
        running.process.send_signal(signal.SIGTERM)
        try:
            soaked.exit = str(running.process.wait(EXIT_SECONDS))
        except subprocess.TimeoutExpired:
            soaked.exit = "late"
    return soaked


async def _drive(
    running: Running,
    exchanges: dict[str, tuple[int, Exchange]],
    options: Options,
    soaked: Soaked,
) -> None:
    # asyncio warns of every write to a connection that the server has closed already.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    end = time.monotonic() + options.minutes * 60
    clients = [
        asyncio.create_task(
            _client(
                running.port, exchanges, random.Random(options.seed * 1000 + number), end, soaked
            )
        )
        for number in range(CLIENTS)
    ]
    told = time.monotonic()
    while time.monotonic() < end:
        await asyncio.sleep(SAMPLE_SECONDS)
        soaked.samples.append(_sample(running))
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            print(
                f"  {running.server.name}: {soaked.done.total():,} exchanges, "
                f"{soaked.wrong.total()} wrong, {soaked.samples[-1].rss:.1f} MiB, "
                f"{max(0.0, end - told):.0f} s to go",
                flush=True,
            )
    await asyncio.gather(*clients)


async def _client(
    port: int,
    exchanges: dict[str, tuple[int, Exchange]],
    draw: random.Random,
    end: float,
    soaked: Soaked,
) -> None:
    names = list(exchanges)
    weights = [weight for weight, _ in exchanges.values()]
    connection = Connection(port)
    while time.monotonic() < end:
        for name in draw.choices(names, weights, k=KEEP_ALIVE_REQUESTS):
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await exchanges[name][1](connection, draw)
                soaked.done[name] += 1
            except (Wrong, OSError, EOFError, TimeoutError, ValueError) as error:
                soaked.wrong[f"{name}: {type(error).__name__} {error}"[:160]] += 1
                connection.drop()
            if time.monotonic() >= end:
                break
        connection.drop()


def _sample(running: Running) -> Sample:
    members = [Path(f"/proc/{member}") for member in tree(running.id)]
    return Sample(
        running.rss(),
        sum(len(list((member / "fd").iterdir())) for member in members),
        sum(len(list((member / "task").iterdir())) for member in members),
    )

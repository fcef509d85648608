"""Ten thousand idle keep-alive connections: held, each still answering, and what they weigh."""

import resource
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from harness.options import Options
from harness.processes import Running, StartError, serving
from harness.servers import AXUM, FASTAPI, GRANIAN, OURS_IDLE, OURS_RUST, Server
from harness.table import Failure, Verdict, conclude, show, unmeasured

CONNECTIONS = 10_000
HOLD_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0
# Descriptors that a process needs beside its connections.
SPARE_DESCRIPTORS = 500
ANSWER_BYTES = 4096
OURS = (OURS_IDLE, OURS_RUST)
SERVERS = (*OURS, AXUM, GRANIAN, FASTAPI)
REQUEST = b"GET /hello/World HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
EXPECTED = b"Hello, World!"


@dataclass(frozen=True)
class Held:
    """What became of the connections of one server."""

    first: int
    second: int
    rss_before: float
    rss_held: float


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    lacking = _raise_limit()
    if lacking:
        print(lacking)
        return False
    rows: list[list[str] | Failure] = []
    verdicts: list[Verdict] = []
    for server in SERVERS:
        if not options.wants(server.name):
            continue
        promise = f"{server.name}: {CONNECTIONS:,} idle connections are held and answer"
        try:
            held = _hold(server, options)
        except (StartError, OSError) as error:
            rows.append(Failure(server.name, str(error)))
            if server in OURS:
                verdicts.append(unmeasured(promise))
            continue
        each = (held.rss_held - held.rss_before) * 1024 / CONNECTIONS
        cells = [f"{held.first:,}", f"{held.second:,}"]
        cells += [f"{held.rss_before:.1f}", f"{held.rss_held:.1f}", f"{each:.1f}"]
        rows.append([server.name, *cells])
        if server in OURS:
            met = held.first == held.second == CONNECTIONS
            seen = f"{held.first:,} answered, {held.second:,} after {HOLD_SECONDS:g} s"
            verdicts.append(Verdict(promise, met, seen))
    print()
    show(["idle connections", "at first", "later", "RSS MiB", "held", "KiB each"], rows)
    return conclude(verdicts)


def _raise_limit() -> str | None:
    wanted = CONNECTIONS + SPARE_DESCRIPTORS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            return f"{wanted} open files are needed and {hard} allowed: raise `ulimit -n`"
        return None
    # Servers inherit it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard), hard))
    return None


def _hold(server: Server, options: Options) -> Held:
    with serving(server, options.cores.server) as running, ExitStack() as stack:
        before = running.rss()
        connections: list[socket.socket] = []
        for _ in range(CONNECTIONS):
            connection = _connect(running)
            if connection is None:
                break
            stack.callback(connection.close)
            connections.append(connection)
        first = _ask_all(connections)
        time.sleep(HOLD_SECONDS)
        rss = running.rss()
        return Held(first, _ask_all(connections), before, rss)


def _connect(running: Running) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", running.port), timeout=TIMEOUT_SECONDS)
    except OSError:
        return None


def _ask_all(connections: Sequence[socket.socket]) -> int:
    """Asks on one connection after the other; returns how many answered rightly."""
    right = 0
    for connection in connections:
        try:
            connection.sendall(REQUEST)
            right += _answer(connection)
        except OSError:
            continue
    return right


def _answer(connection: socket.socket) -> bool:
    received = b""
    while EXPECTED not in received and len(received) < ANSWER_BYTES:
        piece = connection.recv(ANSWER_BYTES)
        if not piece:
            break
        received += piece
    return received.startswith(b"HTTP/1.1 200 ") and EXPECTED in received

"""How far resident memory grows while a large body streams in, and while one streams out.

The peak is the kernel's own, so no sample can miss it. The client pauses half-way: a server that
collects the body would hold half of it by then, and one that ignores a slow reader all of it.
"""

import socket
import time
from collections.abc import Callable

from harness.options import Options
from harness.processes import Running, StartError, serving
from harness.servers import FASTAPI, OURS_RUST, OURS_UPLOAD
from harness.table import Failure, Verdict, conclude, show, unmeasured

MEBIBYTE = 1 << 20
BODY = 10 * MEBIBYTE
PIECE = 64 * 1024
PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 10.0
# Well below the body, and well above what buffers of sockets and allocator need.
AT_MOST_MIB = 3.0
OURS = (OURS_UPLOAD, OURS_RUST)
SERVERS = (*OURS, FASTAPI)


class WrongAnswerError(Exception):
    """The answer was not the one expected; the text is its beginning."""


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    directions: tuple[tuple[str, Callable[[Running, int], None]], ...] = (
        ("10 MiB in", _upload),
        ("10 MiB out", _download),
    )
    rows: list[list[str] | Failure] = []
    verdicts: list[Verdict] = []
    for server in SERVERS:
        if not options.wants(server.name):
            continue
        for direction, move in directions:
            if server is FASTAPI and move is _download:
                continue
            label = f"{server.name}: {direction}"
            promise = f"{label}, memory grows by at most {AT_MOST_MIB:g} MiB"
            try:
                with serving(server, options.cores.server) as running:
                    # What is loaded or allocated once is not what a body costs.
                    move(running, MEBIBYTE)
                    before = running.rss()
                    running.forget_peak()
                    move(running, BODY)
                    grown = running.peak_rss() - before
            except (StartError, WrongAnswerError, OSError) as error:
                rows.append(Failure(label, str(error)))
                if server in OURS:
                    verdicts.append(unmeasured(promise))
                continue
            rows.append([label, f"{before:.1f}", f"{grown:.1f}"])
            if server in OURS:
                verdicts.append(Verdict(promise, grown <= AT_MOST_MIB, f"{grown:.1f} MiB"))
    print()
    show(["streamed bodies", "RSS MiB before", "peak growth MiB"], rows)
    return conclude(verdicts)


def _connect(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=TIMEOUT_SECONDS)


def _upload(running: Running, size: int) -> None:
    head = (
        "POST /upload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/octet-stream\r\n"
        f"content-length: {size}\r\nconnection: close\r\n\r\n"
    )
    with _connect(running) as connection:
        connection.sendall(head.encode())
        for sent in range(0, size, PIECE):
            connection.sendall(b"x" * min(PIECE, size - sent))
            if sent <= size // 2 < sent + PIECE:
                time.sleep(PAUSE_SECONDS)
        _expect(_rest(connection), f'"bytes":{size}'.encode())


def _download(running: Running, size: int) -> None:
    request = (
        f"GET /download/{size // MEBIBYTE} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
    )
    with _connect(running) as connection:
        connection.sendall(request.encode())
        time.sleep(PAUSE_SECONDS)
        received = _rest(connection)
    _expect(received[:MEBIBYTE], b"xxxx")
    if len(received) < size:
        raise WrongAnswerError(f"{len(received)} bytes instead of {size}")


def _rest(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(PIECE):
        pieces.append(piece)
    return b"".join(pieces)


def _expect(received: bytes, part: bytes) -> None:
    status, _, _ = received.partition(b"\r\n")
    # Spaces in JSON are the server's own choice.
    if not status.startswith(b"HTTP/1.1 200 ") or part not in received.replace(b" ", b""):
        raise WrongAnswerError(received[:100].decode(errors="replace").replace("\r\n", " | "))

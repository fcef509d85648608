"""What two `def` calls that compute without end in pure Python do to all other requests.

Refused requests need no interpreter and must hardly notice; the other Python routes share the
interpreter's lock with the two and must still get their turn.
"""

import json
import socket
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from harness.loader import LoadError, Stream, StreamReport, drive
from harness.options import Options
from harness.processes import Running, StartError, serving
from harness.servers import FASTAPI, OURS_BLOCKING, Server
from harness.table import Failure, Verdict, conclude, show, unmeasured
from scenarios.hello import greetings
from scenarios.model import Request

CALLS = 2
# Far longer than the measurement; the server is ended while they still run.
COMPUTE_SECONDS = 300
START_SECONDS = 5.0
REFUSED_CONNECTIONS = 16
ROUTE_CONNECTIONS = 32
REFUSED_RATE = 200.0
# More than what is promised of them, so that it is seen to be held.
ROUTES_RATE = 1_500.0
WARM_UP = 1.0

REFUSED_BESIDE = "refused at 200/s, beside routes at 1,500/s"
ROUTES_BESIDE = "routes at 1,500/s, beside refused"

P99_AT_MOST_MS = 10.0
RATE_AT_LEAST = 1_000.0

NOT_FOUND = Request("GET", "/nowhere", status=404)
# Only the head is sent: the announced length alone must be enough to refuse.
TOO_LARGE = Request(
    "POST",
    "/echo",
    status=413,
    headers=(("content-type", "application/json"), ("content-length", "1000000")),
    close=True,
)


@dataclass(frozen=True)
class Contender:
    """A server, what it must refuse, and its other routes."""

    server: Server
    refused: Sequence[Request]
    routes: Sequence[Request]


OURS = Contender(OURS_BLOCKING, (NOT_FOUND, TOO_LARGE), (*greetings(), *greetings("/ahello")))
# FastAPI has no bound on bodies that it could refuse by.
CONTENDERS = (OURS, Contender(FASTAPI, (NOT_FOUND,), greetings()))

Figures = dict[str, StreamReport]


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    rows: list[list[str] | Failure] = []
    ours: Figures | None = None
    for contender in CONTENDERS:
        name = contender.server.name
        if not options.wants(name):
            continue
        try:
            with serving(contender.server, options.cores.server) as running:
                before = _figures(contender, running, options)
                with _computing(running):
                    during = _figures(contender, running, options)
        except (StartError, LoadError, OSError) as error:
            rows.append(Failure(name, str(error)))
            continue
        rows += [
            [f"{name}: {what}", *_cells(before[what]), *_cells(during[what])] for what in before
        ]
        if contender is OURS:
            ours = during
    print()
    latencies = ["p50 ms", "p99 ms"]
    show(["", "req/s quiet", *latencies, "req/s computing", *latencies], rows)
    return conclude(_judge(ours))


def _cells(report: StreamReport) -> list[str]:
    latencies = [f"{figure / 1000:.2f}" for figure in (report.p50_us, report.p99_us)]
    return [f"{report.per_second:,.0f}", *latencies]


def _figures(contender: Contender, running: Running, options: Options) -> Figures:
    refused = Stream("refused alone", REFUSED_CONNECTIONS, contender.refused)
    routes = Stream("routes alone", ROUTE_CONNECTIONS, contender.routes)
    beside = [
        Stream(REFUSED_BESIDE, 8, contender.refused, rate=REFUSED_RATE),
        Stream(ROUTES_BESIDE, ROUTE_CONNECTIONS, contender.routes, rate=ROUTES_RATE),
    ]
    # As much as they take: what is left of a core then is the kernel's to divide.
    loaded = [
        Stream("refused at 200/s, beside full load", 8, contender.refused, rate=REFUSED_RATE),
        Stream("routes at full load, beside refused", ROUTE_CONNECTIONS, contender.routes),
    ]
    figures: Figures = {}
    for streams in ([refused], [routes], beside, loaded):
        report = drive(running, options.cores, streams, seconds=options.seconds, warm_up=WARM_UP)
        figures |= report.streams
    return figures


def _judge(ours: Figures | None) -> list[Verdict]:
    refusals = f"{CALLS} calls computing: p99 of refusals under {P99_AT_MOST_MS:g} ms"
    routes = f"{CALLS} calls computing: other routes answer at least {RATE_AT_LEAST:,.0f}/s"
    if ours is None:
        return [unmeasured(refusals), unmeasured(routes)]
    alone, beside = ours["refused alone"], ours[REFUSED_BESIDE]
    worst = max(alone.p99_us, beside.p99_us) / 1000
    seen = f"{alone.p99_us / 1000:.2f} ms alone, {beside.p99_us / 1000:.2f} ms beside routes"
    rates = [ours[name].per_second for name in ("routes alone", ROUTES_BESIDE)]
    return [
        Verdict(refusals, worst < P99_AT_MOST_MS, seen),
        Verdict(
            routes, min(rates) >= RATE_AT_LEAST, " and ".join(f"{rate:,.0f}/s" for rate in rates)
        ),
    ]


def _computing(running: Running) -> ExitStack:
    """Has the calls computing until the block ends, which only drops their connections."""
    stack = ExitStack()
    try:
        for _ in range(CALLS):
            connection = socket.create_connection(("127.0.0.1", running.port))
            stack.callback(connection.close)
            path = f"/compute/{COMPUTE_SECONDS}"
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        give_up = time.monotonic() + START_SECONDS
        while _count(running) < CALLS:
            if time.monotonic() > give_up:
                raise LoadError(f"{CALLS} calls do not compute at the same time")
            time.sleep(0.1)
    except BaseException:
        stack.close()
        raise
    return stack


def _count(running: Running) -> int:
    url = f"http://127.0.0.1:{running.port}/computing"
    with urllib.request.urlopen(url, timeout=START_SECONDS) as answer:
        count: int = json.load(answer)["running"]
        return count

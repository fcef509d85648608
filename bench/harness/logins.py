"""What 200 log-ins by password that are under way do to another route, driven at a fixed rate."""

import base64

from harness.loader import LoadError, Stream, StreamReport, drive
from harness.options import Options
from harness.processes import Running, StartError, serving
from harness.servers import OURS_LOGINS
from harness.table import Failure, Verdict, conclude, show, unmeasured
from scenarios.hello import greetings
from scenarios.model import Request

LOGINS = 200
USERS = 5_000
RATE = 500.0
CONNECTIONS = 16
WARM_UP = 2.0
AT_MOST_TIMES = 3.0
AT_MOST_MS = 3.0
ROUTES = {"apifrom, def": "/hello", "apifrom, async def": "/ahello"}


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    rows: list[list[str] | Failure] = []
    verdicts: list[Verdict] = []
    for label, path in ROUTES.items():
        if not options.wants(label):
            continue
        promise = (
            f"{LOGINS} log-ins under way: p99 of {label} at most {AT_MOST_TIMES:g} times that "
            f"without, or {AT_MOST_MS:g} ms"
        )
        try:
            with serving(OURS_LOGINS, options.cores.server) as running:
                quiet, _ = _figures(path, running, options, hashing=False)
                before = running.rss()
                busy, logins = _figures(path, running, options, hashing=True)
                after = running.rss()
        except (StartError, LoadError) as error:
            rows.append(Failure(label, str(error)))
            verdicts.append(unmeasured(promise))
            continue
        cells = [f"{figure / 1000:.2f}" for report in (quiet, busy) for figure in _pair(report)]
        rows.append([label, *cells, f"{logins:,.0f}", f"{before:.1f}", f"{after:.1f}"])
        bound = max(AT_MOST_TIMES * quiet.p99_us / 1000, AT_MOST_MS)
        seen = f"{busy.p99_us / 1000:.2f} ms, {quiet.p99_us / 1000:.2f} ms without"
        verdicts.append(Verdict(promise, busy.p99_us / 1000 <= bound, seen))
    print()
    latencies = ["p50 ms", "p99 ms"]
    heading = f"{RATE:g} requests/s"
    memory = ["RSS MiB", "after"]
    while_hashing = [f"{name} hashing" for name in latencies]
    show([heading, *latencies, *while_hashing, "log-ins/s", *memory], rows)
    return conclude(verdicts)


def _pair(report: StreamReport) -> tuple[float, float]:
    return report.p50_us, report.p99_us


def _login(number: int) -> Request:
    pair = base64.b64encode(f"user{number}:correct horse".encode()).decode()
    headers = (("authorization", f"Basic {pair}"),)
    return Request("GET", "/login", json={"user": f"user{number}"}, headers=headers)


def _figures(
    path: str, running: Running, options: Options, *, hashing: bool
) -> tuple[StreamReport, float]:
    """The other route's figures, and how many log-ins were answered each second."""
    streams = [Stream("route", CONNECTIONS, greetings(path), rate=RATE)]
    if hashing:
        # Each user once: a log-in that is known is not compared again.
        users = tuple(_login(number) for number in range(USERS))
        streams.append(Stream("logins", LOGINS, users))
    seconds = max(options.seconds, 5.0)
    report = drive(running, options.cores, streams, seconds=seconds, warm_up=WARM_UP)
    answered = report.streams["logins"].per_second if hashing else 0.0
    return report.streams["route"], answered

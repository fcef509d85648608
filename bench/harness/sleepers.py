"""What 64 `def` calls that sleep a second do to another route, driven at a fixed rate."""

from dataclasses import dataclass

from harness.loader import LoadError, Stream, StreamReport, drive
from harness.options import Options
from harness.processes import Running, StartError, serving
from harness.servers import FASTAPI, OURS_BLOCKING, Server
from harness.table import Failure, Verdict, conclude, show, unmeasured
from scenarios.hello import greetings
from scenarios.model import Request

SLEEPERS = 64
SLEEP = Request("GET", "/sleep/1000", json={"slept": 1000})
RATE = 500.0
CONNECTIONS = 16
WARM_UP = 2.0
AT_MOST_TIMES = 3.0
AT_MOST_MS = 3.0


@dataclass(frozen=True)
class Contender:
    """A server and the route beside which the calls sleep."""

    label: str
    server: Server
    path: str


CONTENDERS = (
    Contender("apifrom, def", OURS_BLOCKING, "/hello"),
    Contender("apifrom, async def", OURS_BLOCKING, "/ahello"),
    Contender("FastAPI", FASTAPI, "/hello"),
)


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    rows: list[list[str] | Failure] = []
    verdicts: list[Verdict] = []
    for contender in CONTENDERS:
        if not options.wants(contender.label):
            continue
        ours = contender.server is OURS_BLOCKING
        promise = (
            f"{SLEEPERS} calls sleeping: p99 of {contender.label} at most "
            f"{AT_MOST_TIMES:g} times that without, or {AT_MOST_MS:g} ms"
        )
        try:
            with serving(contender.server, options.cores.server) as running:
                quiet, _ = _figures(contender, running, options, sleeping=False)
                busy, slept = _figures(contender, running, options, sleeping=True)
        except (StartError, LoadError) as error:
            rows.append(Failure(contender.label, str(error)))
            if ours:
                verdicts.append(unmeasured(promise))
            continue
        cells = [f"{figure / 1000:.2f}" for report in (quiet, busy) for figure in _pair(report)]
        rows.append([contender.label, *cells, f"{slept:,.0f}"])
        if ours:
            bound = max(AT_MOST_TIMES * quiet.p99_us / 1000, AT_MOST_MS)
            seen = f"{busy.p99_us / 1000:.2f} ms, {quiet.p99_us / 1000:.2f} ms without"
            verdicts.append(Verdict(promise, busy.p99_us / 1000 <= bound, seen))
    print()
    latencies = ["p50 ms", "p99 ms"]
    heading = f"{RATE:g} requests/s"
    show([heading, *latencies, *(f"{name} sleeping" for name in latencies), "sleeps/s"], rows)
    return conclude(verdicts)


def _pair(report: StreamReport) -> tuple[float, float]:
    return report.p50_us, report.p99_us


def _figures(
    contender: Contender, running: Running, options: Options, *, sleeping: bool
) -> tuple[StreamReport, float]:
    """The other route's figures, and how many calls slept each second."""
    streams = [Stream("route", CONNECTIONS, greetings(contender.path), rate=RATE)]
    if sleeping:
        streams.append(Stream("sleepers", SLEEPERS, (SLEEP,)))
    # Long enough for several turns of all sleepers.
    seconds = max(options.seconds, 5.0)
    report = drive(running, options.cores, streams, seconds=seconds, warm_up=WARM_UP)
    slept = report.streams["sleepers"].per_second if sleeping else 0.0
    return report.streams["route"], slept

"""The main table: CPU time a request, rate, latency and memory of every row of every scenario."""

import json
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from statistics import median

from harness import places
from harness.loader import LoadError, Report, Stream, drive
from harness.options import Options
from harness.processes import Running, StartError, start, stop
from harness.servers import Server
from harness.table import Failure, Verdict, conclude, show, unmeasured
from scenarios import SCENARIOS
from scenarios.model import Entry, Request, Scenario, Target

SETTLE_SECONDS = 1.0
FIRST_WARM_UP = 2.0
WARM_UP = 0.3
# Beyond this share of foreign work on the server's core, rates and latencies are not comparable.
FOREIGN = 0.03
# Beyond this share of its own core, the loader may be what limits a rate.
LOADER_BUSY = 0.95


@dataclass
class Row:
    """What has been seen of one entry."""

    entry: Entry
    failure: str | None = None
    reports: list[Report] = field(default_factory=list)
    rss_started: float = 0.0
    rss_loaded: float = 0.0

    def cpu(self) -> float:
        """Median CPU microseconds a request."""
        return median(report.server_cpu_us_per_request for report in self.reports)

    def spread(self) -> float:
        """Half the distance between the extremes of CPU time, as a share of the median."""
        figures = [report.server_cpu_us_per_request for report in self.reports]
        return (max(figures) - min(figures)) / 2 / self.cpu()

    def stream(self, name: str) -> float:
        """Median of one figure of the stream."""
        figures: list[float] = [getattr(report.streams["main"], name) for report in self.reports]
        return median(figures)


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    chosen = [
        scenario
        for scenario in SCENARIOS
        if not options.scenarios or scenario.name in options.scenarios
    ]
    measured = [(scenario, _measure(scenario, options)) for scenario in chosen]
    verdicts: list[Verdict] = []
    for scenario, rows in measured:
        _print(scenario, rows)
        verdicts += [_judge(scenario, target, rows) for target in scenario.targets]
    _print_disturbances([row for _, rows in measured for row in rows])
    _keep(measured)
    return conclude(verdicts)


def _measure(scenario: Scenario, options: Options) -> list[Row]:
    rows = [Row(entry) for entry in scenario.entries if options.wants(entry.label)]
    with ExitStack() as stack:
        running = _start(rows, options, stack)
        time.sleep(SETTLE_SECONDS)
        for row in _alive(rows):
            row.rss_started = _rss(row, running[row.entry.server])
        for row in _alive(rows):
            _check(row, running[row.entry.server], options, scenario.refusals)
        order = random.Random(options.seed)
        for number in range(options.rounds):
            print(f"{scenario.name}: round {number + 1} of {options.rounds}", flush=True)
            shuffled = _alive(rows)
            order.shuffle(shuffled)
            for row in shuffled:
                _round(row, running[row.entry.server], options)
        for row in _alive(rows):
            row.rss_loaded = _rss(row, running[row.entry.server])
    return rows


def _start(rows: Sequence[Row], options: Options, stack: ExitStack) -> dict[Server, Running]:
    running: dict[Server, Running] = {}
    failures: dict[Server, str] = {}
    for row in rows:
        server = row.entry.server
        if server not in running and server not in failures:
            try:
                running[server] = start(server, options.cores.server)
                stack.callback(stop, running[server])
            except StartError as error:
                failures[server] = f"did not start: {error}"
        row.failure = failures.get(server)
    return running


def _alive(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.failure is None]


def _check(row: Row, running: Running, options: Options, refusals: Sequence[Request]) -> None:
    """Sends what must be refused, then warms up."""
    try:
        if refusals:
            once = Stream("main", 1, refusals, limit=len(refusals))
            drive(running, options.cores, [once], seconds=5)
        main = _stream(row, options)
        drive(running, options.cores, [main], seconds=FIRST_WARM_UP)
    except (LoadError, StartError) as error:
        row.failure = str(error)


def _round(row: Row, running: Running, options: Options) -> None:
    main = _stream(row, options)
    try:
        report = drive(running, options.cores, [main], seconds=options.seconds, warm_up=WARM_UP)
        row.reports.append(report)
    except (LoadError, StartError) as error:
        row.failure = str(error)


def _stream(row: Row, options: Options) -> Stream:
    return Stream("main", options.connections * row.entry.workers, row.entry.requests)


def _rss(row: Row, running: Running) -> float:
    try:
        return running.rss()
    except StartError as error:
        row.failure = str(error)
        return 0.0


def _print(scenario: Scenario, rows: Sequence[Row]) -> None:
    by_label = {row.entry.label: row for row in rows if row.failure is None}
    headings = [scenario.title, "CPU us/req", "+-", "req/s", "p50 ms", "p99 ms", "p99.9 ms"]
    headings += ["RSS MiB", "loaded", *(f"x {reference}" for reference in scenario.references)]
    lines: list[list[str] | Failure] = []
    for row in rows:
        if row.failure is not None:
            lines.append(Failure(row.entry.label, row.failure))
            continue
        line = [row.entry.label, f"{row.cpu():.2f}", f"{row.spread():.0%}"]
        line.append(f"{row.stream('per_second'):,.0f}")
        line += [f"{row.stream(name) / 1000:.2f}" for name in ("p50_us", "p99_us", "p999_us")]
        line += [f"{row.rss_started:.1f}", f"{row.rss_loaded:.1f}"]
        for label in scenario.references:
            reference = by_label.get(label)
            line.append(f"{row.cpu() / reference.cpu():.3f}" if reference else "-")
        lines.append(line)
    print()
    show(headings, lines)


def _print_disturbances(rows: Sequence[Row]) -> None:
    reports = [report for row in rows for report in row.reports]
    if not reports:
        return
    print()
    others = max(report.others_on_server_core for report in reports)
    if others > FOREIGN:
        print(
            f"note: other work took up to {others:.0%} of the server's core; rates and latencies "
            "suffer from it, CPU time a request hardly"
        )
    bound = {row.entry.label for row in rows for report in row.reports if _is_bound(report)}
    if bound:
        print(f"note: the loader was the limit of the rate of {', '.join(sorted(bound))}")


def _is_bound(report: Report) -> bool:
    return report.loader_busy > LOADER_BUSY


def _judge(scenario: Scenario, target: Target, rows: Sequence[Row]) -> Verdict:
    promise = (
        f"{scenario.title}: {target.entry} at most {target.at_most:g} of the CPU of "
        f"{target.reference}"
    )
    by_label = {row.entry.label: row for row in rows}
    pair = [by_label.get(label) for label in (target.entry, target.reference)]
    if None in pair:
        return Verdict(promise, None, "left out by --only")
    entry, reference = (row for row in pair if row is not None)
    if entry.failure is not None or reference.failure is not None:
        return unmeasured(promise)
    ratio = entry.cpu() / reference.cpu()
    seen = f"{ratio:.3f} ({entry.cpu():.2f} of {reference.cpu():.2f} us)"
    return Verdict(promise, ratio <= target.at_most, seen)


def _keep(measured: Sequence[tuple[Scenario, Sequence[Row]]]) -> None:
    kept = {
        scenario.name: [
            {
                "label": row.entry.label,
                "failure": row.failure,
                "rss_started": row.rss_started,
                "rss_loaded": row.rss_loaded,
                "reports": [asdict(report) for report in row.reports],
            }
            for row in rows
        ]
        for scenario, rows in measured
    }
    places.RESULTS.mkdir(exist_ok=True)
    (places.RESULTS / "throughput.json").write_text(json.dumps(kept, indent=1))

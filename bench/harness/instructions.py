"""User instructions a request, counted by callgrind, which no neighbour can disturb.

Each server runs twice on one thread, with few and with many requests; the difference leaves out
what starting and stopping cost.
"""

import shutil
import signal
from dataclasses import replace
from pathlib import Path

from harness import build, places
from harness.loader import LoadError, Stream, drive
from harness.options import Options
from harness.processes import StartError, last_words, start, stop
from harness.servers import AXUM, HYPER, OURS_RUST, Server
from harness.table import Failure, Verdict, conclude, show, unmeasured
from scenarios.hello import greetings

FEW = 1_000
MANY = 4_000
# Enough for a turn of the reactor to serve several, as it does under load.
CONNECTIONS = 16
AT_MOST = 9_000
SECONDS = 120.0
SINGLE_THREAD = (("BENCH_THREADS", "1"),)


def run(options: Options) -> bool:
    """Counts and prints; returns whether the promise holds."""
    missing = build.valgrind()
    if missing:
        print(missing)
        return False
    counted: dict[str, float] = {}
    rows: list[list[str] | Failure] = []
    for server in (OURS_RUST, AXUM, HYPER):
        if not options.wants(server.name):
            continue
        try:
            counted[server.name] = _per_request(server, options)
            rows.append([server.name, f"{counted[server.name]:,.0f}"])
        except (StartError, LoadError) as error:
            rows.append(Failure(server.name, str(error)))
    print()
    show(["GET /hello/{name}", "instructions/req"], rows)
    promise = f"{OURS_RUST.name}: at most {AT_MOST:,} user instructions a request"
    ours = counted.get(OURS_RUST.name)
    if ours is None:
        return conclude([unmeasured(promise)])
    return conclude([Verdict(promise, ours <= AT_MOST, f"{ours:,.0f}")])


def _per_request(server: Server, options: Options) -> float:
    few, many = (_count(server, requests, options) for requests in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _count(server: Server, requests: int, options: Options) -> int:
    output = places.RESULTS / "callgrind"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    callgrind = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={output}/out.%p")
    single = replace(server, environment=(*server.environment, *SINGLE_THREAD))
    running = start(single, options.cores.server, callgrind)
    try:
        cycle = greetings()
        stream = Stream("main", CONNECTIONS, cycle, limit=requests)
        drive(running, options.cores, [stream], seconds=SECONDS)
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(SECONDS)
    finally:
        stop(running)
    return sum(_total(path) for path in output.iterdir()) or _no_total(running.log)


def _total(path: Path) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(("totals:", "summary:")):
            return int(line.split()[1])
    return 0


def _no_total(log: Path) -> int:
    raise StartError(f"callgrind counted nothing: {last_words(log)}")

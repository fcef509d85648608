"""Resident memory after start, one request made and nothing else."""

import time

from harness.options import Options
from harness.processes import StartError, serving
from harness.servers import (
    AXUM,
    FASTAPI,
    GRANIAN,
    HYPER,
    OURS_FIVE_LINES,
    OURS_RUST,
    OURS_VALIDATION,
    Server,
)
from harness.table import Failure, Verdict, conclude, show, unmeasured

SETTLE_SECONDS = 1.0
# In MiB.
PROMISES = ((OURS_RUST, 16.0), (OURS_FIVE_LINES, 32.0), (OURS_VALIDATION, 52.0))
OTHERS = (AXUM, HYPER, GRANIAN, FASTAPI)


def run(options: Options) -> bool:
    """Measures and prints; returns whether no promise was missed."""
    rows: list[list[str] | Failure] = []
    verdicts: list[Verdict] = []
    bounds: list[tuple[Server, float | None]] = [*PROMISES, *((server, None) for server in OTHERS)]
    for server, at_most in bounds:
        if not options.wants(server.name):
            continue
        promise = f"{server.name}: at most {at_most:g} MiB after start" if at_most else ""
        try:
            with serving(server, options.cores.server) as running:
                time.sleep(SETTLE_SECONDS)
                rss = running.rss()
        except StartError as error:
            rows.append(Failure(server.name, str(error)))
            if at_most is not None:
                verdicts.append(unmeasured(promise))
            continue
        rows.append([server.name, f"{rss:.1f}"])
        if at_most is not None:
            verdicts.append(Verdict(promise, rss <= at_most, f"{rss:.1f} MiB"))
    print()
    show(["after start", "RSS MiB"], rows)
    return conclude(verdicts)

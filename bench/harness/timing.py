"""Whether refusals tell by their time what was wrong: a program that prints its own table."""

import os
import subprocess

from harness import build, places
from harness.options import Options
from harness.table import Verdict, conclude

PROMISE = "a wrong first and a wrong last byte take the same time, and so do unknown users"


def run(options: Options) -> bool:
    """Builds and runs the program; returns whether every row held."""
    if not build.example("timing"):
        return conclude([Verdict(PROMISE, None, "its program does not build")])
    done = subprocess.run(
        [str(places.OURS_TIMING)],
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {options.cores.server}),
    )
    return conclude([Verdict(PROMISE, done.returncode == 0, "the table above")])

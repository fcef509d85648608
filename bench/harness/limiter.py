"""What many clients cost a rate limit in memory and time: a program that prints its own table."""

import os
import subprocess

from harness import build, places
from harness.options import Options
from harness.table import Verdict, conclude

PROMISE = "a million clients take at most 256 bytes each, and the last costs what the first did"


def run(options: Options) -> bool:
    """Builds and runs the program; returns whether every row held."""
    if not build.example("limiter"):
        return conclude([Verdict(PROMISE, None, "its program does not build")])
    done = subprocess.run(
        [str(places.OURS_LIMITER)],
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {options.cores.server}),
    )
    return conclude([Verdict(PROMISE, done.returncode == 0, "the table above")])

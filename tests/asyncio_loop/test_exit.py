"""The interpreter ends in order, whatever still runs on threads of ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, threading, time
from apifrom._apifrom import _Route, _Worker

worker = _Worker()
begun = threading.Event()

def computes():
    begun.set()
    while True:
        pass

def is_stubborn():
    begun.set()
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

def sleeps(seconds=30):
    begun.set()
    time.sleep(seconds)

async def waits():
    begun.set()
    await asyncio.sleep(30)

async def never_waits():
    is_stubborn()

async def computes_later():
    await asyncio.sleep(0)
    is_stubborn()

{body}
begun.wait()
print("ending", flush=True)
"""


@pytest.mark.parametrize(
    "body",
    [
        "call = worker.begin(_Route(computes, blocking=True))",
        "call = worker.begin(_Route(is_stubborn, blocking=True))",
        "call = worker.begin(_Route(is_stubborn, blocking=False))",
        "call = worker.begin(_Route(sleeps, blocking=True))",
        "call = worker.begin(_Route(waits))",
        "call = worker.begin(_Route(never_waits))",
        "call = worker.begin(_Route(computes_later))",
        "call = worker.begin(_Route(computes, blocking=True)); begun.wait(); worker.close()",
        # These wake up at about the time when the interpreter ends.
        "route = _Route(sleeps, blocking=True)\n"
        "calls = [worker.begin(route, 0.9 + number * 0.004) for number in range(100)]",
    ],
)
def test_what_still_runs_does_not_spoil_the_end_of_the_process(body):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(body=body)],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ending\n", "")

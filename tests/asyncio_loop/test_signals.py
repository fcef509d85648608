"""SIGINT and SIGTERM end a worker in order, and never interrupt a handler."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import asyncio, sys, threading, time
from apifrom._apifrom import _run_worker

async def started():
    print("ready", flush=True)
    {body}

print("ended by", _run_worker(started), flush=True)
"""


def start(body="pass"):
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_worker(number):
    process = start()
    time.sleep(0.2)
    begin = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert time.monotonic() - begin < 3
    assert (output, errors, process.returncode) == (f"ended by {int(number)}\n", "", 0)


def test_a_signal_does_not_interrupt_what_runs():
    body = """
    def compute():
        try:
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                pass
            print("undisturbed", flush=True)
        except BaseException as error:
            print("disturbed", repr(error), flush=True)
    asyncio.get_running_loop().call_later(0.05, compute)
"""
    process = start(body)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=10)
    assert (output, errors) == ("undisturbed\nended by 2\n", "")

"""A program that forks after it has served."""

from __future__ import annotations

import subprocess
import sys

SERVES_BOTH = """
import asyncio, os
from apifrom import API
from tests.test_asgi import Client

app = API()

@app.get("/task")
async def task():
    return "task"

@app.get("/pool", blocking=True)
def pool():
    return "pool"

async def serve():
    for path in ("/task", "/pool", "/pool"):
        answer = await asyncio.wait_for(Client(app, path=path).ask(), 10)
        os.write(1, answer.content + b"\\n")  # Whole, beside the other process.

asyncio.run(serve())
child = os.fork()
asyncio.run(serve())
if child:
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status))
else:
    os._exit(0)
"""


def test_parent_and_child_serve_after_a_fork():
    served = subprocess.run(
        [sys.executable, "-c", SERVES_BOTH], capture_output=True, text=True, timeout=60, check=True
    )
    lines = served.stdout.split()
    assert lines[-1] == "0"
    assert sorted(lines[:-1]) == ["pool"] * 6 + ["task"] * 3

"""A program that serves, in a process of its own, for tests that need a socket."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def serving(
    program: str, *, status: int = 0, listening: str = r"listening on \w+://127\.0\.0\.1:(\d+)"
) -> Iterator[int]:
    """Runs `program`, which serves on a port of the system's choice, and gives that port.

    Args:
        program: Python source; the modules of the tests can be imported.
        status: What the process must end with, once it was asked to.
        listening: How the program says that it listens; its group is the port.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(listening, line):
                break
        else:
            raise AssertionError("the server did not start: " + "".join(said))
        yield int(found[1])
    finally:
        process.terminate()
        process.stderr.read()
        process.stderr.close()
        ended = process.wait(15)
    assert ended == status

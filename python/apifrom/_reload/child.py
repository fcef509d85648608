"""One turn of the program under `apifrom dev`, in a process of its own.

`python -m apifrom._reload.child DOWN UP`: two descriptors. From `DOWN` it reads what to serve and
how, a line of JSON; when `DOWN` ends, it is asked to end, or its parent is gone. Into `UP` it
writes one byte once it can answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from apifrom import _target, server

__all__ = ["main"]

_CUT = 5.0
"""Seconds that a process has beyond its own time to end, before it is ended from within."""


class _End:
    """Asks the server in this process to end, once for each time that a user asks.

    Ctrl-C reaches this process and its parent, which then ends `DOWN` as well. Taken for two
    requests, these would cut what runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_asked = False
        self._interrupts = 0

    def parent_asks(self) -> None:
        with self._lock:
            if self._is_asked:
                return
            self._is_asked = True
        os.kill(os.getpid(), signal.SIGTERM)

    def user_asks(self) -> None:
        with self._lock:
            self._interrupts += 1
            if self._is_asked and self._interrupts == 1:
                return
            self._is_asked = True
        os.kill(os.getpid(), signal.SIGTERM)


def main(down: int, up: int) -> int:
    """Serves what it is told to.

    Returns:
        The status to end with: 2 where there is no API to serve.
    """
    for descriptor in (down, up):
        os.set_inheritable(descriptor, False)
    line = _line(down)
    if not line:
        return 1  # The parent was gone before it had said anything.
    told = json.loads(line)
    options: dict[str, Any] = told["options"]
    os.set_inheritable(options["fd"], False)
    end = _End()
    patience = options["timeout_graceful_shutdown"] + _CUT
    threading.Thread(target=_watch, args=(down, end, patience), daemon=True).start()
    # A file that changes twice in a second would otherwise be read as it was first.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path.cwd()))
    try:
        app = _target.load(told["target"])
    except _target.TargetError as error:
        sys.stderr.write(f"apifrom: {error}\n")
        return 2

    async def ready() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, end.user_asks)
        os.write(up, b"u")

    app._develop(ready)
    server.run(app, options)
    return 0


def _line(descriptor: int) -> bytes:
    """All up to a line's end, which is not part of it, and nothing of what follows."""
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(descriptor, 1)
        if not read:
            return b""
        line += read
    return line


def _watch(down: int, end: _End, patience: float) -> None:
    with contextlib.suppress(OSError):
        while os.read(down, 1):
            pass
    end.parent_asks()
    time.sleep(patience)
    # What neither ends nor can be cut would outlive its parent.
    os._exit(1)


if __name__ == "__main__":
    try:
        STATUS = main(*map(int, sys.argv[1:3]))
    except KeyboardInterrupt:
        STATUS = 130
    sys.exit(STATUS)

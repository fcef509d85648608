"""Keeps one process of the program serving, and replaces it when files change."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from apifrom._reload.listener import listening
from apifrom._reload.watch import MOST_FILES, Watch, folders_of

__all__ = ["Supervisor"]

_SETTLED: Final = 0.05
"""Seconds without another change after which a change is whole: editors and git write in steps."""

_LONGEST_CHANGE: Final = 2.0

_MOST_LEAVING: Final = 4
"""How many processes may still be ending; beyond it the oldest is killed."""

_KILLED_AFTER: Final = 7.0
"""Seconds beyond its own time to end after which a process is killed."""


class _Child:
    """A process that serves, or is about to."""

    def __init__(self, target: str, options: dict[str, Any]) -> None:
        down_read, self._down = os.pipe()
        self.up, up_write = os.pipe()
        arguments = ["-m", "apifrom._reload.child", str(down_read), str(up_write)]
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this very package
                [sys.executable, *arguments], pass_fds=(down_read, up_write, options["fd"])
            )
        finally:
            os.close(down_read)
            os.close(up_write)
        self.left_at: float | None = None
        told = json.dumps({"target": target, "options": options}).encode() + b"\n"
        with suppress(BrokenPipeError):
            # Far less than a pipe holds, so this does not wait.
            os.write(self._down, told)

    def is_gone(self) -> bool:
        return self.process.poll() is not None

    def leave(self) -> None:
        """Asks it to end what runs, and to end."""
        if self.left_at is None:
            self.left_at = time.monotonic()
            os.close(self._down)

    def kill(self) -> None:
        """Ends it at once."""
        self.leave()
        self.process.kill()
        self.forget()

    def forget(self) -> None:
        """Waits for a process that has ended, and closes what led to it."""
        self.leave()
        self.process.wait()
        os.close(self.up)


class Supervisor:
    """Serves `target`, and serves it anew whenever its files change."""

    def __init__(self, target: str, options: dict[str, Any], watched: Iterable[Path] = ()) -> None:
        """Describes what to serve; nothing runs yet.

        Args:
            target: `shop.main:app`.
            options: Those of `API.run`.
            watched: Folders to watch beside the working directory and the target's own.
        """
        self._target = target
        self._options = options
        self._patience: float = options["timeout_graceful_shutdown"]
        self._watched = list(watched)
        self._serving: _Child | None = None
        self._starting: _Child | None = None
        self._leaving: list[_Child] = []
        self._asked = 0

    def run(self) -> int:
        """Serves until Ctrl-C or SIGTERM; a second one cuts what still runs.

        Returns:
            0, or 1 when a process had to be killed.

        Raises:
            Mistake: The socket cannot be opened.
        """
        with listening(self._options) as descriptor, self._signals():
            for name in ("host", "port", "uds", "backlog"):
                self._options.pop(name, None)
            self._options["fd"] = descriptor
            search = [str(Path.cwd()), *sys.path]
            watch = Watch([Path.cwd(), *folders_of(self._target, search), *self._watched])
            if not watch.is_complete:
                _say(f"there is too much here to watch all of it: more than {MOST_FILES} files")
            self._start()
            try:
                while not self._asked:
                    self._turn(watch)
            finally:
                in_time = self._end()
        return 0 if in_time else 1

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def asked(number: int, _frame: object) -> None:
            self._asked += 1
            if self._asked > 1:
                for child in self._children():
                    with suppress(ProcessLookupError):
                        child.process.send_signal(signal.SIGTERM)

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, asked) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _children(self) -> list[_Child]:
        return [child for child in (self._serving, self._starting, *self._leaving) if child]

    def _start(self) -> None:
        self._starting = _Child(self._target, self._options)

    def _turn(self, watch: Watch) -> None:
        """Waits a little, and does what has become due."""
        if self._starting is not None:
            readable, _, _ = select.select([self._starting.up], [], [], watch.pause)
            if readable:
                self._started(self._starting)
        else:
            time.sleep(watch.pause)
        self._reap()
        changed = watch.changed()
        if changed and not self._asked:
            changed = _settled(watch, changed)
            others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            _say(f"{_shown(changed[0])}{others} changed, starting anew")
            if self._starting is not None:
                self._starting.leave()
                self._leaving.append(self._starting)
            self._start()

    def _started(self, child: _Child) -> None:
        """`child` either can answer, or ended before it could."""
        self._starting = None
        if os.read(child.up, 1):
            if self._serving is not None:
                self._serving.leave()
                self._leaving.append(self._serving)
            self._serving = child
            return
        child.forget()
        if self._serving is None:
            _say("nothing is served until a file changes")
        else:
            _say("what was served before goes on")

    def _reap(self) -> None:
        """Lets go of processes that have ended, and ends those that should have."""
        if self._serving is not None and self._serving.is_gone():
            status = self._serving.process.returncode
            how = f"status {status}" if status >= 0 else signal.Signals(-status).name
            self._serving.forget()
            self._serving = None
            if self._starting is None:
                _say(f"the server ended with {how}; nothing is served until a file changes")
        now = time.monotonic()
        kept = []
        for child in self._leaving:
            if child.is_gone():
                child.forget()
            elif now - (child.left_at or now) > self._patience + _KILLED_AFTER:
                child.kill()
            else:
                kept.append(child)
        while len(kept) > _MOST_LEAVING:
            kept.pop(0).kill()
        self._leaving = kept

    def _end(self) -> bool:
        """Ends every process. False when one had to be killed."""
        children = self._children()
        for child in children:
            child.leave()
        deadline = time.monotonic() + self._patience + _KILLED_AFTER
        in_time = True
        for child in children:
            try:
                # Short waits, between which a second signal is noticed.
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                in_time = False
            child.kill()
        return in_time


def _settled(watch: Watch, changed: list[Path]) -> list[Path]:
    """Every change up to a moment without one."""
    every = set(changed)
    deadline = time.monotonic() + _LONGEST_CHANGE
    while time.monotonic() < deadline:
        time.sleep(max(_SETTLED, watch.pause / 4))
        more = watch.changed()
        if not more:
            break
        every.update(more)
    return sorted(every)


def _shown(path: Path) -> str:
    with suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return str(path)


def _say(message: str) -> None:
    sys.stderr.write(f"apifrom: {message}\n")
    sys.stderr.flush()

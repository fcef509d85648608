"""Threads on which awaited calls of databases run.

Whoever waits for a connection or for the one writer must not take the thread from whoever has it
and is about to give it back: those who hold something run on threads of their own. Neither are
these the threads of the loop, which a program needs for itself between two statements of a
transaction.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

__all__ = ["HOLDING", "WAITING"]

_T = TypeVar("_T")

_MOST: Final = 256
"""Threads of a kind. They begin as they are needed; connections are fewer by far."""


class _Threads:
    def __init__(self, name: str) -> None:
        self._name = name
        self._executor: ThreadPoolExecutor | None = None
        # The threads of a process do not go along into its children.
        os.register_at_fork(after_in_child=self._forget)

    async def run(self, function: Callable[..., _T], /, *arguments: Any) -> _T:
        """What `function` returns, called on one of these threads in the caller's context."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_MOST, f"apifrom-{self._name}")
        called = functools.partial(contextvars.copy_context().run, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._executor, called)

    def _forget(self) -> None:
        self._executor = None


WAITING: Final = _Threads("waiting")
"""For calls that wait until something is free."""

HOLDING: Final = _Threads("holding")
"""For calls in transactions, which hold what others wait for."""

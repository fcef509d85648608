"""The selector that lets a standard asyncio loop turn the Rust reactor, and the loop's end.

Internal: made and called by the reactor, once per worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_Events = list[tuple[selectors.SelectorKey, int]]


class ReactorSelector(selectors.EpollSelector):
    """A stock epoll selector whose waiting is done by the reactor."""

    def __init__(
        self, turn: Callable[[float | None], _Events], touched: Callable[[], None]
    ) -> None:
        """Builds the selector.

        Args:
            turn: Turns the reactor for at most so many seconds (`None`: without limit) and
                returns the events of this selector, if there are any.
            touched: Told after every change of what is watched, since a descriptor that is
                ready already may not be reported again by itself.
        """
        super().__init__()
        self._turn = turn
        self._touched = touched

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watches a descriptor, as the stock selector does."""
        key = super().register(fileobj, events, data)
        self._touched()
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Changes what is watched, as the stock selector does."""
        key = super().modify(fileobj, events, data)
        self._touched()
        return key

    def select(self, timeout: float | None = None) -> _Events:
        """Turns the reactor until a descriptor is ready or the loop has something to do."""
        return self._turn(timeout)

    def look(self) -> _Events:
        """Returns what is ready now, without waiting."""
        return super().select(0)


def new_loop(
    turn: Callable[[float | None], _Events], touched: Callable[[], None]
) -> tuple[asyncio.SelectorEventLoop, ReactorSelector]:
    """Makes a worker's loop and the selector beneath it."""
    selector = ReactorSelector(turn, touched)
    return asyncio.SelectorEventLoop(selector), selector


def end_loop(loop: asyncio.AbstractEventLoop, patience: float) -> None:
    """Cancels what still runs, ends generators and executor threads, and closes the loop.

    Args:
        loop: A loop that does not run.
        patience: Seconds that tasks, and then executor threads, are each waited for.
    """
    try:
        loop.run_until_complete(_end_tasks(patience))
        loop.run_until_complete(_end_executor(loop, patience))
    finally:
        loop.close()


async def _end_tasks(patience: float) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=patience)


async def _end_executor(loop: asyncio.AbstractEventLoop, patience: float) -> None:
    # A generator or a thread that does not end must not keep the process from ending.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(loop.shutdown_asyncgens(), patience)
    # `loop.shutdown_default_executor()` has no time limit in 3.11, where giving up on it joins the
    # threads after all.
    executor = getattr(loop, "_default_executor", None)
    if executor is not None:
        thread = threading.Thread(target=executor.shutdown, daemon=True)
        thread.start()
        end = loop.time() + patience
        while thread.is_alive() and loop.time() < end:  # noqa: ASYNC110 - a thread's end is no event
            await asyncio.sleep(0.01)

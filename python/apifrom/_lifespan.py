"""Runs what an API does at its start and at its end, on the worker's loop."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["Lifespan"]


class Lifespan:
    """The lifespan of one worker."""

    def __init__(
        self,
        api: API,
        lifespan: Callable[[API], AbstractAsyncContextManager[Any]] | None,
        on_startup: list[Callable[[], Any]],
        on_shutdown: list[Callable[[], Any]],
    ) -> None:
        """Gathers the parts; nothing runs yet."""
        self._api = api
        self._lifespan = lifespan
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Enters the context manager, then calls the start-up functions in their order.

        Raises:
            Exception: What one of them raised; what was entered before is left again.
        """
        try:
            if self._lifespan is not None:
                await self._stack.enter_async_context(self._lifespan(self._api))
            for hook in self._on_startup:
                await _call(hook)
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """Calls the shutdown functions in their order, then leaves the context manager.

        Every one is called, whatever another raised.

        Raises:
            Exception: The first that one of them raised.
        """
        async with self._stack, contextlib.AsyncExitStack() as hooks:
            for hook in reversed(self._on_shutdown):
                hooks.push_async_callback(_call, hook)


async def _call(hook: Callable[[], Any]) -> None:
    result = hook()
    if inspect.isawaitable(result):
        await result

"""Runs what an API does at its start and at its end, on the worker's loop."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["Lifespan", "hooks"]


def hooks(given: Iterable[Callable[[], Any]], argument: str) -> list[Callable[[], Any]]:
    """The functions of an argument that takes a list of them.

    Raises:
        TypeError: It is no list.
    """
    if not isinstance(given, Iterable):
        raise TypeError(f"{argument}: expected a list of functions, found {type(given).__name__}")
    return list(given)


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

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with the parts, by the argument."""
        found: list[tuple[str, str]] = []
        manager: Any = self._lifespan
        if manager is not None and not callable(manager):
            found.append(("lifespan", f"expected a function, found {type(manager).__name__}"))
        elif inspect.isgeneratorfunction(manager) or inspect.isasyncgenfunction(manager):
            found.append(("lifespan", "put contextlib.asynccontextmanager above the function"))
        for argument, given in (
            ("on_startup", self._on_startup),
            ("on_shutdown", self._on_shutdown),
        ):
            found += [
                (f"{argument}[{place}]", f"expected a function, found {type(hook).__name__}")
                for place, hook in enumerate(given)
                if not callable(hook)
            ]
        return found

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

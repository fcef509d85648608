"""What runs on the loop of a foreign server.

Internal. Such a loop ends, and its server with it, when a task of it ends with `SystemExit`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

__all__ = ["Contained"]

_Step = Callable[..., Any]


class Contained(Coroutine[Any, Any, Any]):
    """A coroutine whose `SystemExit` costs its own request alone."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Wraps a coroutine that has not begun.

        Args:
            coroutine: Of a handler, or of what drives its stream.
        """
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Goes on to where the coroutine waits next."""
        return _stepped(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Goes on with an error, such as a cancellation."""
        return _stepped(self._coroutine.throw, *error)

    def close(self) -> None:
        """Ends the coroutine where it waits."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Refused: this is for a task, and a task takes its steps."""
        raise TypeError("a task runs this, nothing awaits it")


def _stepped(step: _Step, *arguments: Any) -> Any:
    try:
        return step(*arguments)
    except SystemExit as error:
        raise RuntimeError("a handler asked for the end of the process") from error

"""Which API a module-level `@api` belongs to.

There is no hidden API: a declaration waits here until an API of its own module is frozen, or,
where that module has none, the only API of the process.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["Declaration", "apis", "claim", "declared"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One use of `@api`.

    Attributes:
        function: The decorated function.
        route: The path template.
        methods: The HTTP methods.
        options: What else was said, by name.
        module: The globals of the module in which it stands.
    """

    function: Callable[..., Any]
    route: str
    methods: tuple[str, ...]
    options: dict[str, Any]
    module: dict[str, Any]

    @property
    def name(self) -> str:
        """What errors and logs call it."""
        function = self.function
        module = getattr(function, "__module__", None) or self.module.get("__name__", "?")
        return f"{module}.{getattr(function, '__qualname__', repr(function))}"


declared: list[Declaration] = []
"""Declarations of the module-level `@api`, in the order in which they were made."""

apis: weakref.WeakSet[API] = weakref.WeakSet()
"""Every API that still exists."""


def claim(api: API) -> tuple[list[Declaration], list[tuple[str, str]]]:
    """The declarations that belong to `api`, and what is wrong with the others it might own."""
    mine: list[Declaration] = []
    errors: list[tuple[str, str]] = []
    everyone = list(apis)
    for declaration in declared:
        neighbours = [other for other in everyone if other.module is declaration.module]
        candidates = neighbours or everyone
        if api not in candidates:
            continue
        if len(candidates) == 1:
            mine.append(declaration)
            continue
        names = ", ".join(sorted(candidate.label for candidate in candidates))
        errors.append(
            (
                f"routes.{declaration.name}",
                f"@api stands for several APIs ({names}); use @app.api(…) of the one that is meant",
            )
        )
    return mine, errors

"""What decorators declare before the API that it belongs to is known.

1. There is no hidden API: a declaration waits here until an API of its own module is frozen, or,
   where that module has none, the only API of the process.
2. A protection belongs to a function, wherever it stands among the function's decorators. It
   reaches every endpoint whose function is that one, or wraps it as `inspect.unwrap` knows.
3. A protection that reaches no endpoint, in a module whose endpoints an API serves, is an error.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apifrom.api import API
    from apifrom.security import Protection

__all__ = [
    "Declaration",
    "apis",
    "claim",
    "declared",
    "limit",
    "mark_public",
    "protect",
    "surround",
    "unreached",
]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One use of `@api`.

    Attributes:
        function: The decorated function.
        route: The path template.
        methods: The HTTP methods.
        options: What else was said, by name.
        module: The globals of the module in which it stands.
        inherited: What the routers around it require, the outermost first.
        scopes: The scopes that those routers require.
        limits: The limits that those routers have.
    """

    function: Callable[..., Any]
    route: str
    methods: tuple[str, ...]
    options: dict[str, Any]
    module: dict[str, Any]
    inherited: tuple[Protection, ...] = ()
    scopes: tuple[str, ...] = ()
    limits: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """What errors and logs call it."""
        return _name(self.function, self.module)


@dataclass(slots=True)
class _Said:
    """What was declared of one function about who may call it."""

    module: dict[str, Any]
    protections: list[Protection]
    public: str | None = None
    surround: dict[str, dict[str, Any]] = field(default_factory=dict)
    limits: list[dict[str, Any]] = field(default_factory=list)


declared: list[Declaration] = []
"""Declarations of the module-level `@api`, in the order in which they were made."""

apis: weakref.WeakSet[API] = weakref.WeakSet()
"""Every API that still exists."""

_said: weakref.WeakKeyDictionary[Any, _Said] = weakref.WeakKeyDictionary()
"""By the function, as long as it exists."""

_endpoints: weakref.WeakSet[Any] = weakref.WeakSet()
"""The functions that are endpoints of some API, and what they wrap."""


def is_endpoint(function: Any) -> None:
    """Keeps that `function` is an endpoint."""
    if not callable(function):
        return  # An error when the API starts.
    for each in _unwrapped(function):
        with contextlib.suppress(TypeError):
            _endpoints.add(each)


def protect(function: Any, protection: Protection, module: dict[str, Any]) -> None:
    """Keeps that `function` may be called by whoever meets `protection`."""
    # What is applied last stands first in the source.
    _of(function, module).protections.insert(0, protection)


def mark_public(function: Any, reason: str, module: dict[str, Any]) -> None:
    """Keeps that everybody may call `function`, and why."""
    _of(function, module).public = reason


def surround(function: Any, kind: str, options: dict[str, Any], module: dict[str, Any]) -> None:
    """Keeps that `function` has middleware of this kind in place of the whole API's.

    Raises:
        TypeError: It has one already.
    """
    kept = _of(function, module).surround
    if kind in kept:
        raise TypeError(f"@{kind} stands twice on {_name(function, module)}")
    kept[kind] = options


def limit(function: Any, options: dict[str, Any], module: dict[str, Any]) -> None:
    """Keeps that `function` has a limit of its own."""
    _of(function, module).limits.append(options)


def limits_of(function: Any) -> list[dict[str, Any]]:
    """The limits of a function and of what it wraps."""
    found: list[dict[str, Any]] = []
    for each in _unwrapped(function):
        said = _said_of(each)
        if said is not None:
            found.extend(said.limits)
    return found


def surround_of(function: Any) -> dict[str, dict[str, Any]]:
    """What surrounds a function in place of the whole API's; the outermost wins."""
    found: dict[str, dict[str, Any]] = {}
    for each in _unwrapped(function):
        said = _said_of(each)
        if said is not None:
            found = {**said.surround, **found}
    return found


def said_of(function: Any) -> tuple[list[Protection], str | None]:
    """The protections of a function and of what it wraps, and why it is public."""
    protections: list[Protection] = []
    public = None
    for each in _unwrapped(function):
        said = _said_of(each)
        if said is not None:
            protections.extend(said.protections)
            public = said.public if public is None else public
    return protections, public


def unreached(served: Iterable[Declaration]) -> list[tuple[str, str]]:
    """Protections in the modules of `served` that no endpoint of any API has."""
    modules = {id(declaration.module) for declaration in served}
    return [
        (
            f"routes.{_name(function, said.module)}",
            f"{what} stands on a function that is no endpoint; put @api above it, and "
            "functools.wraps into decorators between the two",
        )
        for function, said in _said.items()
        if id(said.module) in modules and function not in _endpoints
        for what in [
            *(protection.declared_as for protection in said.protections),
            *(["public"] if said.public is not None else []),
            *said.surround,
            *(["rate_limit"] if said.limits else []),
        ]
    ]


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


def _of(function: Any, module: dict[str, Any]) -> _Said:
    said = _said_of(function)
    if said is None:
        said = _said[function] = _Said(module, [])
    return said


def _said_of(function: Any) -> _Said | None:
    try:
        return _said.get(function)
    except TypeError:
        # What has no hash, or cannot be referred to weakly, was never protected.
        return None


def _unwrapped(function: Any) -> Iterator[Any]:
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        function = getattr(function, "__wrapped__", None)


def _name(function: Any, module: dict[str, Any]) -> str:
    owner = getattr(function, "__module__", None) or module.get("__name__", "?")
    return f"{owner}.{getattr(function, '__qualname__', repr(function))}"

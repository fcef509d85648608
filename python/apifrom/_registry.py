"""What decorators declare before the API that it belongs to is known.

1. There is no hidden API: a declaration waits here until an API of its own module is frozen, or,
   where that module has none, the only API of the process.
2. A protection belongs to a function, wherever it stands among the function's decorators. It
   reaches every endpoint whose function is that one, or calls it as far as Python knows: by
   `__wrapped__`, as a method, a `functools.partial`, or an object of a class with `__call__`.
3. A protection that reaches no endpoint is an error in a module whose endpoints an API serves, and
   wherever such an endpoint holds what is protected, as a decorator without `functools.wraps` does.
   Where another endpoint has that protection, holding it is an error without one's own.
4. What is declared after the start of the API that it belongs to is an error.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from apifrom import _signature

if TYPE_CHECKING:
    from apifrom.api import API
    from apifrom.security import Protection

__all__ = [
    "Declaration",
    "apis",
    "claim",
    "declare",
    "declared",
    "limit",
    "mark_public",
    "protect",
    "serve",
    "surround",
    "unheeded",
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
    is_reached: bool = False
    held: Any = None


declared: list[Declaration] = []
"""Declarations of the module-level `@api`, in the order in which they were made."""

apis: weakref.WeakSet[API] = weakref.WeakSet()
"""Every API that still exists."""

_said: weakref.WeakKeyDictionary[Any, _Said] = weakref.WeakKeyDictionary()
"""By the function, as long as it exists."""

_endpoints: weakref.WeakSet[Any] = weakref.WeakSet()
"""The functions that are endpoints of some API, and what they call."""

_served: weakref.WeakSet[Any] = weakref.WeakSet()
"""Those of them whose API has started."""

_MOST: Final = 1_000
"""How many objects are looked at behind one function; some make a new one whenever asked."""


def declare(declaration: Declaration) -> None:
    """Keeps one use of the module-level `@api`.

    Raises:
        RuntimeError: The API of its module has started.
    """
    neighbours = [api for api in apis if api.module is declaration.module]
    if neighbours and all(api.has_started for api in neighbours):
        raise RuntimeError("@api: the API has started, so nothing can be added to it")
    declared.append(declaration)


def is_endpoint(function: Any) -> None:
    """Keeps that `function` is an endpoint."""
    for each in _reached(function):
        said = _said_of(each)
        if said is not None:
            said.is_reached = True
        with contextlib.suppress(TypeError):
            _endpoints.add(each)


def serve(served: Iterable[Declaration]) -> None:
    """Keeps that an API has started with `served`: nothing more can be said of its functions."""
    for declaration in served:
        for each in _reached(declaration.function):
            with contextlib.suppress(TypeError):
                _served.add(each)


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
    """The limits of a function and of what it calls."""
    found: list[dict[str, Any]] = []
    for each in _reached(function):
        said = _said_of(each)
        if said is not None:
            found.extend(said.limits)
    return found


def surround_of(function: Any) -> dict[str, dict[str, Any]]:
    """What surrounds a function in place of the whole API's; the outermost wins."""
    found: dict[str, dict[str, Any]] = {}
    for each in _reached(function):
        said = _said_of(each)
        if said is not None:
            found = {**said.surround, **found}
    return found


def said_of(function: Any) -> tuple[list[Protection], str | None]:
    """The protections of a function and of what it calls, and why it is public."""
    protections: list[Protection] = []
    public = None
    for each in _reached(function):
        said = _said_of(each)
        if said is not None:
            protections.extend(said.protections)
            public = said.public if public is None else public
    return protections, public


def unreached(served: Iterable[Declaration]) -> list[tuple[str, str]]:
    """Protections that no endpoint of any API has, though `served` may have been meant."""
    left = [(function, said) for function, said in _said.items() if not said.is_reached]
    if not left:
        return []
    modules: set[int] = set()
    held: dict[int, Any] = {}
    for declaration in served:
        modules.add(id(declaration.module))
        for function in _dependencies(declaration):
            held.update((id(each), each) for each in _walk(function, _holds))
    return [
        (
            f"routes.{_name(function, said.module)}",
            f"{what} stands on a function that is no endpoint; put @api above it, and "
            "functools.wraps into decorators between the two",
        )
        for function, said in left
        if id(function) in held or not modules.isdisjoint({id(said.module)} | _homes(function))
        for what in [
            *(protection.declared_as for protection in said.protections),
            *(["public"] if said.public is not None else []),
            *said.surround,
            *(["rate_limit"] if said.limits else []),
        ]
    ]


def unheeded(served: Iterable[Declaration]) -> list[tuple[str, str]]:
    """Endpoints without a protection whose function holds one that has."""
    errors: list[tuple[str, str]] = []
    for declaration in served:
        if said_of(declaration.function) != ([], None):
            continue
        for each in _walk(declaration.function, _holds):
            said = _said_of(each)
            if said is not None and said.is_reached and said.protections:
                what = f"{said.protections[0].declared_as} of {_name(each, said.module)}"
                errors.append(
                    (
                        f"routes.{declaration.name}",
                        f"the {what} is lost in a decorator; put functools.wraps into it",
                    )
                )
    return errors


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
    if isinstance(function, staticmethod | classmethod):
        function = function.__func__
    said = _said_of(function)
    try:
        if function in _served:
            raise RuntimeError(
                f"{_name(function, module)} is served by an API that has started, so nothing more "
                "can be declared of it"
            )
        if said is None:
            said = _said[function] = _Said(module, [], is_reached=function in _endpoints)
    except TypeError:
        raise TypeError(
            f"a {type(function).__name__} cannot be decorated itself; decorate its __call__, or a "
            "function that calls it"
        ) from None
    if isinstance(function, MethodType):
        # Made anew, and equal, whenever it is asked for.
        said.held = function
    return said


def _said_of(function: Any) -> _Said | None:
    try:
        return _said.get(function)
    except TypeError:
        # What has no hash, or cannot be referred to weakly, was never protected.
        return None


def _reached(function: Any) -> list[Any]:
    """`function`, and what a call of it is known to call, the outermost first."""
    return _walk(function, _calls)


def _walk(function: Any, links: Callable[[Any], list[Any]]) -> list[Any]:
    # Kept by their ids, which nothing else has while they are kept.
    found: dict[int, Any] = {}
    waiting = [function]
    while waiting and len(found) < _MOST:
        each = waiting.pop(0)
        if callable(each) and id(each) not in found:
            found[id(each)] = each
            waiting.extend(links(each))
    return list(found.values())


def _calls(function: Any) -> list[Any]:
    """What a call of `function` is known to call."""
    kind = type(function)
    wrapped = _attribute(function, "__wrapped__")
    if issubclass(kind, functools.partial):
        return [wrapped, function.func]
    if issubclass(kind, MethodType | staticmethod):
        return [wrapped, function.__func__]
    if issubclass(kind, type | FunctionType | BuiltinFunctionType):
        return [wrapped]
    return [wrapped, kind.__call__, kind]


def _holds(function: Any) -> list[Any]:
    """What a call of `function` is known to call, and what it has at hand to call."""
    kind = type(function)
    held = _calls(function)
    if issubclass(kind, FunctionType):
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            with contextlib.suppress(ValueError):  # Not filled yet.
                if not _is_beside(function, name, cell.cell_contents):
                    held.append(cell.cell_contents)
    elif issubclass(kind, functools.partial):
        held += [*function.args, *function.keywords.values()]
    elif issubclass(kind, type):
        held += function.__bases__
    elif not issubclass(kind, MethodType):
        held += (_attribute(function, "__dict__") or {}).values()
    return held


def _is_beside(function: FunctionType, name: str, other: Any) -> bool:
    """True where a scope around `function` defines `other`: it is mentioned, and not wrapped."""
    scope, _, own = str(_attribute(other, "__qualname__")).rpartition(".")
    return name == own and function.__qualname__.startswith(f"{scope}.")


def _attribute(of: Any, name: str) -> Any:
    try:
        return getattr(of, name, None)
    except Exception:  # noqa: BLE001 - a proxy may have nothing to stand for yet
        return None


def _dependencies(declaration: Declaration) -> list[Any]:
    """The function of an endpoint, and what it depends on."""
    found = [declaration.function]
    captures = re.findall(r"{\*?(\w+)}", declaration.route)
    with contextlib.suppress(_signature.Problem):
        found += [function for function, _ in _signature.walk(declaration.function, captures)]
    return found


def _homes(function: Any) -> set[int]:
    """The ids of the globals among which a function or a class stands, where they are known."""
    kind = type(function)
    if issubclass(kind, FunctionType):
        return {id(function.__globals__)}
    module = sys.modules.get(function.__module__) if issubclass(kind, type) else None
    return set() if module is None else {id(vars(module))}


def _name(function: Any, module: dict[str, Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    owner = getattr(function, "__module__", None) or module.get("__name__", "?")
    # The `repr` of anything else may show what it holds.
    return f"{owner}.{getattr(function, '__qualname__', type(function).__qualname__)}"

"""Turns a handler and what it depends on into one function over flat values.

The engine binds every leaf parameter of the whole tree at once, so that one 422 names all that is
wrong. Each function of the tree is then called once, dependencies first.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apifrom import _signature
from apifrom._signature import Parameter
from apifrom.parameters import MISSING

__all__ = ["Flat", "flatten"]


@dataclass(slots=True)
class _Step:
    """One function of the tree and where its arguments come from."""

    function: Callable[..., Any]
    positional: list[tuple[bool, int]]
    """(True, the index of a step) or (False, the index of a bound value)."""
    keyword: dict[str, tuple[bool, int]]


@dataclass(slots=True)
class Flat:
    """A function over flat values.

    Attributes:
        call: The function.
        parameters: What is bound for it, in the order of the call.
        returns: The return annotation, or `MISSING`.
    """

    call: Callable[..., Any]
    parameters: list[Parameter]
    returns: Any


_LOADED: Final = Parameter(name="loaded", source="loaded", wire="loaded")
"""What the policies loaded, by the function that made it."""


def flatten(
    function: Callable[..., Any], captures: list[str], policies: Sequence[Callable[..., Any]] = ()
) -> tuple[Flat, Flat | None]:
    """The handler over flat values, and its policies, where it has any.

    Raises:
        Problem: A signature that cannot be bound.
    """
    tree = list(_signature.walk(function, captures))
    handler, signature = tree[-1]
    gate, loaded = _gate(policies, captures) if policies else (None, set())
    shared = {id(known) for known, _ in tree[:-1]} & loaded
    if len(tree) == 1:
        return Flat(handler, signature.parameters, signature.returns), gate
    steps, values = _steps(tree, skipped=shared)
    wrapper = _waiting(steps) if any(_waits(step.function) for step in steps) else _plain(steps)
    if not shared:
        return Flat(_without(wrapper), values, signature.returns), gate
    return Flat(wrapper, [_LOADED, *values], signature.returns), gate


def _without(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper where nothing was loaded before."""
    if inspect.iscoroutinefunction(wrapper):

        async def wait(*values: Any) -> Any:
            return await wrapper({}, *values)

        return wait
    return lambda *values: wrapper({}, *values)


def _steps(
    tree: list[tuple[Callable[..., Any], _signature.Signature]], skipped: set[int]
) -> tuple[list[_Step], list[Parameter]]:
    """The calls of a tree, dependencies first, and what is bound for all of them."""
    values: list[Parameter] = []
    steps: list[_Step] = []
    made = {id(known): index for index, (known, _) in enumerate(tree)}
    for known, read in tree:
        step = _Step(known, [], {})
        steps.append(step)
        if id(known) in skipped:
            continue
        for parameter in read.parameters:
            if parameter.depends is not None:
                origin = (True, made[id(parameter.depends)])
            else:
                origin = (False, len(values))
                values.append(parameter)
            if parameter.keyword:
                step.keyword[parameter.name] = origin
                # The wrapper takes everything by position.
                parameter.keyword = False
            else:
                step.positional.append(origin)
    return steps, values


def _gate(policies: Sequence[Callable[..., Any]], captures: list[str]) -> tuple[Flat, set[int]]:
    """All policies as one function: the place of the first that denies, or what they loaded."""
    tree: list[tuple[Callable[..., Any], _signature.Signature]] = []
    known: set[int] = set()
    for policy in policies:
        for function, signature in _signature.walk(policy, captures):
            if id(function) in known:
                continue
            known.add(id(function))
            _check_gate(function, signature, policy)
            tree.append((function, signature))
    steps, values = _steps(tree, skipped=set())
    places = {id(policy): place for place, policy in enumerate(policies)}
    make = _waiting_gate if any(_waits(step.function) for step in steps) else _plain_gate
    loaded = {id(function) for function, _ in tree if id(function) not in places}
    return Flat(make(steps, places), values, MISSING), loaded


def _check_gate(
    function: Callable[..., Any], signature: _signature.Signature, policy: Callable[..., Any]
) -> None:
    name = getattr(policy, "__qualname__", repr(policy))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _signature.Problem(
            f"the policy {name} depends on a function that yields, whose end it would not see; "
            "let it return"
        )
    for parameter in signature.parameters:
        if parameter.source in {"body", "form"}:
            raise _signature.Problem(
                f"the policy {name} asks for the body ({parameter.name}), and is asked before it "
                "is read"
            )


def _verdict(policy: Callable[..., Any], value: object) -> bool:
    """What a policy returned. Anything but a bool is a mistake, and must let nobody pass.

    Raises:
        TypeError: It is no bool.
    """
    if isinstance(value, bool):
        return value
    name = getattr(policy, "__qualname__", repr(policy))
    raise TypeError(f"the policy {name} must return True or False, not {type(value).__name__}")


def _plain_gate(steps: list[_Step], places: dict[int, int]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        made: list[Any] = []
        for step in steps:
            positional, keyword = _arguments(step, values, made)
            value = step.function(*positional, **keyword)
            made.append(value)
            place = places.get(id(step.function))
            if place is not None and not _verdict(step.function, value):
                return place
        return {id(step.function): value for step, value in zip(steps, made, strict=True)}

    return call


def _waiting_gate(steps: list[_Step], places: dict[int, int]) -> Callable[..., Any]:
    async def call(*values: Any) -> Any:
        made: list[Any] = []
        for step in steps:
            positional, keyword = _arguments(step, values, made)
            value = await _call(step.function, positional, keyword)
            made.append(value)
            place = places.get(id(step.function))
            if place is not None and not _verdict(step.function, value):
                return place
        return {id(step.function): value for step, value in zip(steps, made, strict=True)}

    return call


def _waits(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _arguments(
    step: _Step, values: tuple[Any, ...], made: list[Any]
) -> tuple[list[Any], dict[str, Any]]:
    def one(origin: tuple[bool, int]) -> Any:
        from_step, index = origin
        return made[index] if from_step else values[index]

    positional = [one(origin) for origin in step.positional]
    return positional, {name: one(origin) for name, origin in step.keyword.items()}


def _plain(steps: list[_Step]) -> Callable[..., Any]:
    *dependencies, handler = steps

    def call(loaded: dict[int, Any], *values: Any) -> Any:
        made: list[Any] = []
        with contextlib.ExitStack() as stack:
            for step in dependencies:
                if id(step.function) in loaded:
                    made.append(loaded[id(step.function)])
                    continue
                positional, keyword = _arguments(step, values, made)
                if inspect.isgeneratorfunction(step.function):
                    manager = contextlib.contextmanager(step.function)(*positional, **keyword)
                    made.append(stack.enter_context(manager))
                else:
                    made.append(step.function(*positional, **keyword))
            positional, keyword = _arguments(handler, values, made)
            return handler.function(*positional, **keyword)

    return call


def _waiting(steps: list[_Step]) -> Callable[..., Any]:
    *dependencies, handler = steps

    async def call(loaded: dict[int, Any], *values: Any) -> Any:
        made: list[Any] = []
        async with contextlib.AsyncExitStack() as stack:
            for step in dependencies:
                if id(step.function) in loaded:
                    made.append(loaded[id(step.function)])
                    continue
                positional, keyword = _arguments(step, values, made)
                made.append(await _make(stack, step.function, positional, keyword))
            positional, keyword = _arguments(handler, values, made)
            return await _call(handler.function, positional, keyword)

    return call


async def _make(
    stack: contextlib.AsyncExitStack,
    function: Callable[..., Any],
    positional: list[Any],
    keyword: dict[str, Any],
) -> Any:
    if inspect.isasyncgenfunction(function):
        manager = contextlib.asynccontextmanager(function)(*positional, **keyword)
        return await stack.enter_async_context(manager)
    if inspect.isgeneratorfunction(function):
        plain = contextlib.contextmanager(function)(*positional, **keyword)
        value = await asyncio.to_thread(plain.__enter__)

        async def leave(*failure: Any) -> bool | None:
            return await asyncio.to_thread(plain.__exit__, *failure)

        stack.push_async_exit(leave)
        return value
    return await _call(function, positional, keyword)


async def _call(
    function: Callable[..., Any], positional: list[Any], keyword: dict[str, Any]
) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*positional, **keyword)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        # Making a generator runs none of it.
        return function(*positional, **keyword)
    return await asyncio.to_thread(function, *positional, **keyword)

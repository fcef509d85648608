"""Turns a handler and what it depends on into one function over flat values.

The engine binds every leaf parameter of the whole tree at once, so that one 422 names all that is
wrong. Each function of the tree is then called once, dependencies first.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apifrom import _signature
from apifrom._signature import Parameter

__all__ = ["flatten"]


@dataclass(slots=True)
class _Step:
    """One function of the tree and where its arguments come from."""

    function: Callable[..., Any]
    positional: list[tuple[bool, int]]
    """(True, the index of a step) or (False, the index of a bound value)."""
    keyword: dict[str, tuple[bool, int]]


def flatten(
    function: Callable[..., Any], captures: list[str]
) -> tuple[Callable[..., Any], list[Parameter], Any]:
    """The function to call, the parameters to bind for it, and the handler's return annotation.

    Raises:
        Problem: A signature that cannot be bound.
    """
    tree = list(_signature.walk(function, captures))
    handler, signature = tree[-1]
    if len(tree) == 1:
        return handler, signature.parameters, signature.returns
    values: list[Parameter] = []
    steps: list[_Step] = []
    made = {id(known): index for index, (known, _) in enumerate(tree)}
    for known, read in tree:
        step = _Step(known, [], {})
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
        steps.append(step)
    waits = any(_waits(step.function) for step in steps)
    wrapper = _waiting(steps) if waits else _plain(steps)
    return wrapper, values, signature.returns


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

    def call(*values: Any) -> Any:
        made: list[Any] = []
        with contextlib.ExitStack() as stack:
            for step in dependencies:
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

    async def call(*values: Any) -> Any:
        made: list[Any] = []
        async with contextlib.AsyncExitStack() as stack:
            for step in dependencies:
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

"""Turns a handler and what it depends on into one function over flat values.

The engine binds every leaf parameter of the whole tree at once, so that one 422 names all that is
wrong. Each function of the tree is then called once, dependencies first.

1. Whether a function waits or yields is read from the code that a call runs: that of a `partial`,
   of an object with `__call__`, and of what a decorator says that it wraps.
2. What a dependency returns has the last word. An awaitable is awaited, and a generator is entered,
   whoever made it. Where nothing in the tree waits an awaitable is a failure: a check that never
   ran lets nobody pass.
3. A dependency that yields goes on when the handler has returned, or when its stream has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final

from apifrom import _signature
from apifrom._signature import Parameter
from apifrom.exceptions import UnreadableRequest
from apifrom.parameters import MISSING

__all__ = ["Flat", "flatten"]


@dataclass(slots=True)
class _Step:
    """One function of the tree and where its arguments come from."""

    function: Callable[..., Any]
    positional: list[tuple[bool, int]] = field(default_factory=list)
    """(True, the index of a step) or (False, the index of a bound value)."""
    keyword: dict[str, tuple[bool, int]] = field(default_factory=dict)
    waits: bool = field(init=False)
    """True for an `async def`, also one that yields."""
    yields: bool = field(init=False)

    def __post_init__(self) -> None:
        self.waits, self.yields = _shape(self.function)

    @property
    def name(self) -> str:
        """What errors call it."""
        return getattr(self.function, "__qualname__", repr(self.function))


@dataclass(slots=True)
class Flat:
    """A function over flat values.

    Attributes:
        call: The function.
        parameters: What is bound for it, in the order of the call.
        returns: The return annotation, or `MISSING`.
        is_async: True where a call returns a coroutine.
        sees_async: For each parameter, whether it is for a function that can wait.
    """

    call: Callable[..., Any]
    parameters: list[Parameter]
    returns: Any
    is_async: bool
    sees_async: list[bool]


_LOADED: Final = Parameter(name="loaded", source="loaded", wire="loaded")
"""What the policies loaded, by the function that made it."""

_END: Final = object()
"""Stands for the end of a generator."""


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
    waits, yields = _shape(handler)
    if len(tree) == 1 and (waits or not _may_wait(handler)):
        sees_async = [waits] * len(signature.parameters)
        is_async = waits and not yields
        return Flat(handler, signature.parameters, signature.returns, is_async, sees_async), gate
    steps, values, sees_async = _steps(tree, skipped=shared)
    wrapper = _waiting(steps) if any(_may_wait(step.function) for step in steps) else _plain(steps)
    is_async = inspect.iscoroutinefunction(wrapper)
    if shared:
        values, sees_async = [_LOADED, *values], [False, *sees_async]
    else:
        wrapper = functools.partial(wrapper, {})
    return Flat(wrapper, values, signature.returns, is_async, sees_async), gate


def _shape(function: Callable[..., Any]) -> tuple[bool, bool]:
    """Whether a call of `function` waits, and whether it yields."""
    runs = _runs(function)
    both = inspect.isasyncgenfunction(runs)
    waits = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(runs)
    return both or waits, both or inspect.isgeneratorfunction(runs)


def _runs(function: Any) -> Any:
    """What runs when `function` is called."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return _runs(type(function).__call__)


def _layers(function: Any) -> Iterator[Any]:
    """`function`, and what decorators say that it wraps."""
    while function is not None:
        yield function
        while isinstance(function, functools.partial):
            function = function.func
        function = getattr(function, "__wrapped__", None)


def _may_wait(function: Callable[..., Any]) -> bool:
    """Whether what a call returns may have to be awaited."""
    return any(_shape(layer)[0] for layer in _layers(function))


def _may_yield(function: Callable[..., Any]) -> bool:
    """Whether what a call returns may be a generator."""
    return any(_shape(layer)[1] for layer in _layers(function))


def _steps(
    tree: list[tuple[Callable[..., Any], _signature.Signature]], skipped: set[int]
) -> tuple[list[_Step], list[Parameter], list[bool]]:
    """The calls of a tree, dependencies first, what is bound for them, and who can wait for it."""
    values: list[Parameter] = []
    sees_async: list[bool] = []
    steps: list[_Step] = []
    made = {id(known): index for index, (known, _) in enumerate(tree)}
    for known, read in tree:
        step = _Step(known)
        steps.append(step)
        if id(known) in skipped:
            continue
        for parameter in read.parameters:
            if parameter.depends is not None:
                origin = (True, made[id(parameter.depends)])
            else:
                origin = (False, len(values))
                values.append(parameter)
                sees_async.append(_may_wait(known))
            if parameter.keyword:
                step.keyword[parameter.name] = origin
                # The wrapper takes everything by position.
                parameter.keyword = False
            else:
                step.positional.append(origin)
    return steps, values, sees_async


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
    steps, values, sees_async = _steps(tree, skipped=set())
    places = {id(policy): place for place, policy in enumerate(policies)}
    is_async = any(_may_wait(step.function) for step in steps)
    make = _waiting_gate if is_async else _plain_gate
    loaded = {id(function) for function, _ in tree if id(function) not in places}
    return Flat(make(steps, places), values, MISSING, is_async, sees_async), loaded


def _check_gate(
    function: Callable[..., Any], signature: _signature.Signature, policy: Callable[..., Any]
) -> None:
    name = getattr(policy, "__qualname__", repr(policy))
    if _shape(function)[1]:
        raise _signature.Problem(
            f"the policy {name} depends on a function that yields, whose end it would not see; "
            "let it return"
        )
    for parameter in signature.parameters:
        if parameter.source in {"body", "form", "file"}:
            raise _signature.Problem(
                f"the policy {name} asks for the body ({parameter.name}), and is asked before it "
                "is read"
            )


def _verdict(policy: _Step, value: object) -> bool:
    """What a policy returned. Anything but a bool is a mistake, and must let nobody pass.

    Raises:
        TypeError: It is no bool.
    """
    if isinstance(value, bool):
        return value
    what = type(value).__name__
    raise TypeError(f"the policy {policy.name} must return True or False, not {what}")


def _plain_gate(steps: list[_Step], places: dict[int, int]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        made: list[Any] = []
        try:
            for step in steps:
                positional, keyword = _arguments(step, values, made)
                value = step.function(*positional, **keyword)
                place = places.get(id(step.function))
                if place is None:
                    made.append(_over(step, _at_hand(step, value)))
                elif _verdict(step, value):
                    made.append(True)
                else:
                    return place
        except UnreadableRequest as error:
            _deny_reading(error)
            raise
        return {id(step.function): value for step, value in zip(steps, made, strict=True)}

    return call


def _waiting_gate(steps: list[_Step], places: dict[int, int]) -> Callable[..., Any]:
    async def call(*values: Any) -> Any:
        made: list[Any] = []
        try:
            for step in steps:
                positional, keyword = _arguments(step, values, made)
                value = await _outcome(step, positional, keyword)
                place = places.get(id(step.function))
                if place is None:
                    made.append(_over(step, value))
                elif _verdict(step, value):
                    made.append(True)
                else:
                    return place
        except UnreadableRequest as error:
            _deny_reading(error)
            raise
        return {id(step.function): value for step, value in zip(steps, made, strict=True)}

    return call


def _deny_reading(error: UnreadableRequest) -> None:
    """A policy that asks for the body has failed; what the client got wrong is told as it is.

    Raises:
        RuntimeError: For the former.
    """
    if error.status >= 500:
        raise RuntimeError(error.detail) from error


def _over(step: _Step, value: Any) -> Any:
    """What a policy is given, which must not go on after it.

    Raises:
        TypeError: It is a generator.
    """
    if isinstance(value, GeneratorType | AsyncGeneratorType):
        raise TypeError(
            f"{step.name} yields, and a policy that depends on it would not see its end"
        )
    return value


def _at_hand(step: _Step, value: Any) -> Any:
    """What was returned where nothing can wait.

    Raises:
        TypeError: It would have to be waited for.
    """
    if isinstance(value, AsyncGeneratorType) or inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(
            f"the dependency {step.name} returned {type(value).__name__}, which nothing waits for "
            "here; make it an async def"
        )
    return value


def _arguments(
    step: _Step, values: tuple[Any, ...], made: list[Any]
) -> tuple[list[Any], dict[str, Any]]:
    positional = [made[at] if from_step else values[at] for from_step, at in step.positional]
    if not step.keyword:
        return positional, {}
    origins = step.keyword.items()
    return positional, {
        name: made[at] if from_step else values[at] for name, (from_step, at) in origins
    }


def _plain(steps: list[_Step]) -> Callable[..., Any]:
    *dependencies, handler = steps

    def make(
        stack: contextlib.ExitStack, loaded: dict[int, Any], values: tuple[Any, ...]
    ) -> tuple[list[Any], dict[str, Any], bool]:
        """The handler's arguments, and whether any of them is to be ended."""
        made: list[Any] = []
        holds = False
        for step in dependencies:
            if id(step.function) in loaded:
                made.append(loaded[id(step.function)])
                continue
            positional, keyword = _arguments(step, values, made)
            value = _at_hand(step, step.function(*positional, **keyword))
            if isinstance(value, GeneratorType):
                holds = True
                value = stack.enter_context(_manager(value))
            made.append(value)
        return *_arguments(handler, values, made), holds

    def call(loaded: dict[int, Any], *values: Any) -> Any:
        with contextlib.ExitStack() as stack:
            positional, keyword, holds = make(stack, loaded, values)
            value = handler.function(*positional, **keyword)
            return _held(value, stack) if holds else value

    def stream(loaded: dict[int, Any], *values: Any) -> Generator[Any]:
        with contextlib.ExitStack() as stack:
            positional, keyword, _ = make(stack, loaded, values)
            yield from handler.function(*positional, **keyword)

    return stream if _streams(steps) else call


def _waiting(steps: list[_Step]) -> Callable[..., Any]:
    *dependencies, handler = steps

    async def make(
        stack: contextlib.AsyncExitStack, loaded: dict[int, Any], values: tuple[Any, ...]
    ) -> tuple[list[Any], dict[str, Any], bool]:
        """The handler's arguments, and whether any of them is to be ended."""
        made: list[Any] = []
        holds = False
        for step in dependencies:
            if id(step.function) in loaded:
                made.append(loaded[id(step.function)])
                continue
            value = await _outcome(step, *_arguments(step, values, made))
            if isinstance(value, GeneratorType | AsyncGeneratorType):
                holds = True
                value = await _enter(stack, value)
            made.append(value)
        return *_arguments(handler, values, made), holds

    async def call(loaded: dict[int, Any], *values: Any) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            positional, keyword, holds = await make(stack, loaded, values)
            value = await _outcome(handler, positional, keyword)
            return _held(value, stack) if holds else value

    async def stream(loaded: dict[int, Any], *values: Any) -> AsyncGenerator[Any]:
        # All of it in the one task that drives the stream, as task groups and time-outs need it.
        async with contextlib.AsyncExitStack() as stack:
            positional, keyword, _ = await make(stack, loaded, values)
            pieces = _relayed(handler.function(*positional, **keyword))
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    yield piece

    return stream if _streams(steps) else call


def _streams(steps: list[_Step]) -> bool:
    """Whether the handler is a generator that what it depends on has to outlast."""
    *dependencies, handler = steps
    return handler.yields and any(_may_yield(step.function) for step in dependencies)


async def _outcome(step: _Step, positional: list[Any], keyword: dict[str, Any]) -> Any:
    """Calls a function, and waits for what it returns where that is to be waited for."""
    if step.yields:
        # Making a generator runs none of it.
        return step.function(*positional, **keyword)
    if step.waits:
        value = await step.function(*positional, **keyword)
    else:
        value = await asyncio.to_thread(step.function, *positional, **keyword)
        if inspect.isawaitable(value):
            value = await value
    while inspect.iscoroutine(value):
        value = await value
    return value


def _manager(pieces: GeneratorType[Any, Any, Any]) -> contextlib.AbstractContextManager[Any]:
    return contextlib.contextmanager(lambda: pieces)()


async def _enter(
    stack: contextlib.AsyncExitStack,
    pieces: GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any],
) -> Any:
    if isinstance(pieces, AsyncGeneratorType):
        return await stack.enter_async_context(contextlib.asynccontextmanager(lambda: pieces)())
    manager = _manager(pieces)
    value = await asyncio.to_thread(manager.__enter__)
    _push(stack, manager)
    return value


def _push(
    stack: contextlib.AsyncExitStack, manager: contextlib.AbstractContextManager[Any]
) -> None:
    """Has `manager` left on another thread."""

    async def leave(*failure: Any) -> bool | None:
        return await asyncio.to_thread(manager.__exit__, *failure)

    stack.push_async_exit(leave)


def _held(value: Any, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> Any:
    """What a handler returned; a generator in it ends what is on the stack when it has ended."""
    body = value[0] if type(value) is tuple and value else value
    if not isinstance(body, GeneratorType | AsyncGeneratorType):
        return value
    kept = stack.pop_all()
    held: Any
    if isinstance(kept, contextlib.AsyncExitStack):
        held = _relayed(body, kept)
    elif isinstance(body, GeneratorType):
        held = _ended(body, kept)
    else:
        waiting = contextlib.AsyncExitStack()
        _push(waiting, kept)
        held = _relayed(body, waiting)
    return held if body is value else (held, *value[1:])


def _ended(pieces: GeneratorType[Any, Any, Any], stack: contextlib.ExitStack) -> Generator[Any]:
    with stack:
        yield from pieces


async def _relayed(
    pieces: GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any],
    stack: contextlib.AsyncExitStack | None = None,
) -> AsyncGenerator[Any]:
    """The pieces of either kind of generator, a plain one asked on other threads."""
    async with stack or contextlib.nullcontext():
        if isinstance(pieces, AsyncGeneratorType):
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    yield piece
            return
        try:
            while (piece := await _finished(asyncio.to_thread(next, pieces, _END))) is not _END:
                yield piece
        finally:
            await asyncio.to_thread(pieces.close)


async def _finished(waited: Awaitable[Any]) -> Any:
    """Waits for what a thread does, also when cancelled: what it uses must not end before it."""
    task = asyncio.ensure_future(waited)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise

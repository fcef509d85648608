"""Reads a return annotation once, at start: what may leave, and in which form.

Internal: called by the engine for each endpoint.

1. `Response` and its kinds, and generators, pass as they are.
2. An annotation made of plain types alone (`dict`, `list[str]`, `datetime`, `Any`) filters nothing.
3. Everything else (models, dataclasses, TypedDicts, and what holds them) is checked and filtered by
   Pydantic.
4. `tuple[T, int]` and `tuple[T, int, dict[str, str]]` are a body with its status (and headers), as
   `return body, 201` is: their `T` is what is checked.
"""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import enum
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from apifrom._apifrom import Response, Row, Rows
from apifrom.parameters import MISSING

__all__ = ["Returns", "read"]

_NONE = type(None)
_FREE = {Any, object, MISSING}
_ROWS = {Row, Rows}
_SCALARS = {str, bytes, bytearray, memoryview, int, float, bool, _NONE}
# Their values are written as text or numbers by the engine itself.
_SCALAR_MODULES = {"datetime", "decimal", "ipaddress", "pathlib", "pathlib._local", "uuid"}
_CONTAINERS = {
    dict,
    list,
    set,
    frozenset,
    tuple,
    abc.Collection,
    abc.Iterable,
    abc.Mapping,
    abc.MutableMapping,
    abc.MutableSequence,
    abc.Sequence,
    abc.Set,
}
_STREAMS = {abc.AsyncGenerator, abc.AsyncIterable, abc.AsyncIterator, abc.Generator, abc.Iterator}
_ALIAS = getattr(typing, "TypeAliasType", None)


class Returns(NamedTuple):
    """What an annotation says of an endpoint's answers."""

    validator: object | None
    """Checks a body; None where nothing is filtered."""
    serializer: object | None
    """Writes what was checked."""
    nothing: bool
    """True for `-> None`."""
    takes_text: bool
    """True where `str` is one of the types, so that a text is sent as text."""
    takes_bytes: bool
    """True where `bytes` is one of the types."""
    streams_text: bool
    """True for a generator of `str`."""
    single: bool
    """True where every type is one object: of rows, the one that there is."""


def read(annotation: Any) -> Returns:
    """Reads `annotation`.

    Args:
        annotation: The evaluated return annotation; `MISSING` for none.

    Returns:
        What it says.

    Raises:
        TypeError: It names a type that cannot be a response model.
    """
    members = list(_members(annotation))
    streams = [member for member in members if get_origin(member) in _STREAMS]
    bodies = [member for member in members if not _passes(member)]
    nothing = bool(members) and all(member in {None, _NONE} for member in members)
    adapter = None
    if not all(_is_plain(member) for member in bodies) and not _FREE & set(_hashable(bodies)):
        adapter = _adapter(Union[tuple(bodies)])  # noqa: UP007 - built from a list
    return Returns(
        validator=None if adapter is None else adapter.validator,
        serializer=None if adapter is None else adapter.serializer,
        nothing=nothing,
        takes_text=str in bodies,
        takes_bytes=bytes in bodies,
        single=any(map(_is_object, bodies))
        and all(_is_object(body) or body in {None, _NONE} for body in bodies),
        streams_text=bool(streams) and all(get_args(stream)[:1] == (str,) for stream in streams),
    )


def _members(annotation: Any) -> Iterator[Any]:
    """The members of a union, aliases resolved; of a body with its status, the body's."""
    if _ALIAS is not None and isinstance(annotation, _ALIAS):
        yield from _members(annotation.__value__)
    elif get_origin(annotation) in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _members(member)
    elif _has_status(annotation):
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation


def _has_status(annotation: Any) -> bool:
    if get_origin(annotation) is not tuple:
        return False
    match get_args(annotation):
        case (_, status):
            return _is_status(status)
        case (_, status, headers):
            origin = get_origin(headers) or headers
            return _is_status(status) and origin in {dict, list, abc.Mapping, abc.Sequence}
        case _:
            return False


def _is_status(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return all(type(value) is int for value in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, int) and annotation is not bool


def _passes(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return origin in _STREAMS or (isinstance(origin, type) and issubclass(origin, Response))


def _is_plain(annotation: Any) -> bool:
    """True where every value is written as it is: nothing in it has fields to choose from."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if annotation is None or annotation is ... or origin is Literal:
        return True
    if origin is Annotated:
        extras = annotation.__metadata__
        return _is_plain(arguments[0]) and not any(_is_pydantic(extra) for extra in extras)
    if _ALIAS is not None and isinstance(annotation, _ALIAS):
        return _is_plain(annotation.__value__)
    if isinstance(annotation, typing.NewType):
        return _is_plain(annotation.__supertype__)
    if origin in {Union, types.UnionType} or origin in _CONTAINERS:
        return all(_is_plain(argument) for argument in arguments)
    if not isinstance(annotation, type):
        return annotation is Any
    return (
        annotation in _FREE | _SCALARS | _CONTAINERS | _ROWS
        or annotation.__module__ in _SCALAR_MODULES
        or issubclass(annotation, enum.Enum)
    )


def _is_object(annotation: Any) -> bool:
    """True for a dictionary, and for a class with fields."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_object(get_args(annotation)[0])
    if isinstance(annotation, typing.NewType):
        return _is_object(annotation.__supertype__)
    kind = origin or annotation
    return isinstance(kind, type) and (
        kind in {abc.Mapping, abc.MutableMapping, Row}
        or issubclass(kind, dict)
        or dataclasses.is_dataclass(kind)
        or hasattr(kind, "__pydantic_fields__")
    )


def _is_pydantic(extra: object) -> bool:
    return type(extra).__module__.partition(".")[0] == "pydantic"


def _hashable(members: list[Any]) -> Iterator[Any]:
    return (member for member in members if isinstance(member, abc.Hashable))


def _adapter(annotation: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - only where the program's types need it
    from pydantic.errors import PydanticUserError  # noqa: PLC0415

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise TypeError(f"the return annotation cannot be a response model: {reason}") from None

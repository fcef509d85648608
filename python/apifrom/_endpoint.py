"""Describes one endpoint as plain data that the engine reads once."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from apifrom import _depends, _registry, _strict
from apifrom._registry import Declaration
from apifrom._returns import _STREAMS, _members
from apifrom._signature import Parameter, Problem
from apifrom.parameters import MISSING

if TYPE_CHECKING:
    from apifrom.security import Protection

__all__ = ["describe"]


def describe(
    declaration: Declaration, auth: Sequence[Protection]
) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """Reads a declaration into what the engine takes.

    Args:
        declaration: One use of `@api`.
        auth: What the whole API requires.

    Returns:
        The endpoint, or None where something is wrong with it, and what that is.
    """
    path = f"routes.{declaration.name}"
    function: object = declaration.function
    if not callable(function):
        return None, [(path, "expected a function below @api")]
    own, public = _registry.said_of(function)
    required = [] if public is not None else [*auth, *declaration.inherited, *own]
    policies = [policy for protection in required for policy in protection.policies]
    try:
        captures = _captures(declaration.route)
        flat, gate = _depends.flatten(function, captures, [policy.function for policy in policies])
        _check_pieces(flat.returns)
        endpoint = {
            **_called(declaration, flat),
            "protections": own,
            "public": public,
            "surround": _registry.surround_of(function),
            "limits": _registry.limits_of(function),
            "inherited": list(declaration.inherited),
            "inherited_limits": list(declaration.limits),
            "scopes": list(declaration.scopes),
            "source": _source(function),
            **declaration.options,
        }
        if gate is not None:
            hides = [policy.hide for policy in policies]
            endpoint["gate"] = {**_called(declaration, gate), "hides": hides}
    except Problem as problem:
        return None, [(path, str(problem))]
    return endpoint, []


def _called(declaration: Declaration, flat: _depends.Flat) -> dict[str, Any]:
    asks = {"request", "file"}
    asked = zip(flat.parameters, flat.sees_async, strict=True)
    parameters = [_parameter(parameter, sees_async) for parameter, sees_async in asked]
    return {
        "name": declaration.name,
        "route": declaration.route,
        "methods": list(declaration.methods),
        "call": flat.call,
        "is_async": flat.is_async,
        "sees_async": any(each["sees_async"] for each in parameters if each["source"] in asks),
        "parameters": parameters,
        "returns": flat.returns,
    }


def _check_pieces(returns: Any) -> None:
    """Refuses a stream whose pieces could not be sent.

    Raises:
        Problem: Says what to write instead.
    """
    for member in _members(returns):
        if get_origin(member) not in _STREAMS:
            continue
        for piece in get_args(member)[:1]:
            if _is_piece(piece):
                continue
            name = getattr(piece, "__name__", piece)
            raise Problem(
                f"it is annotated to stream {name}, and a stream is made of str or bytes; return "
                f"list[{name}], or yield each one as text"
            )


def _is_piece(annotation: Any) -> bool:
    """False where a value is known to be neither text nor bytes."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_piece(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return all(map(_is_piece, get_args(annotation)))
    if origin is Literal:
        return all(_is_piece(type(value)) for value in get_args(annotation))
    if isinstance(annotation, typing.NewType):
        return _is_piece(annotation.__supertype__)
    kind = origin or annotation
    pieces = (str, bytes, bytearray, memoryview)
    return kind in {Any, object} or not isinstance(kind, type) or issubclass(kind, pieces)


def _source(function: object) -> tuple[str, int] | None:
    """The file and the line of a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]
    return None if code is None else (code.co_filename, code.co_firstlineno)


def _captures(route: str) -> list[str]:
    """The names in the braces; whether the template is well formed is the engine's to say."""
    return [
        segment[1:-1].removeprefix("*")
        for segment in route.split("/")
        if segment.startswith("{") and segment.endswith("}")
    ]


def _parameter(parameter: Parameter, sees_async: bool) -> dict[str, Any]:
    from_elsewhere = {"request", "depends", "loaded"}
    needs_pydantic = parameter.kind is None and parameter.source not in from_elsewhere
    strict, validator = _validator(parameter) if needs_pydantic else (True, None)
    return {
        "name": parameter.name,
        "source": parameter.source,
        "wire": parameter.wire,
        "kind": parameter.kind,
        "many": parameter.many,
        "optional": parameter.optional,
        "required": parameter.default is MISSING,
        "default": None if parameter.default is MISSING else parameter.default,
        "validator": validator,
        "strict": strict,
        "constraints": parameter.constraints,
        "keyword": parameter.keyword,
        "sees_async": sees_async,
    }


def _validator(parameter: Parameter) -> tuple[bool, Any]:
    """Whether each call must demand strictness, and the compiled validator."""
    adapter = _adapter(parameter.annotation, f"the parameter {parameter.name!r}")
    if parameter.source == "body":
        return _strict.compiled(parameter.annotation, adapter)
    # A text is never of the type itself: how it is spelled was settled with the type.
    return False, adapter.validator


def _adapter(annotation: Any, what: str) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - only where the program's types need it
    from pydantic.errors import PydanticUserError  # noqa: PLC0415
    from pydantic_core import SchemaError  # noqa: PLC0415

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, SchemaError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise Problem(f"{what} has a type that Pydantic cannot check: {reason}") from None

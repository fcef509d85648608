"""Describes one endpoint as plain data that the engine reads once."""

from __future__ import annotations

import inspect
from typing import Any

from apifrom import _depends, _registry
from apifrom._registry import Declaration
from apifrom._signature import Parameter, Problem
from apifrom.parameters import MISSING

__all__ = ["describe"]


def describe(declaration: Declaration) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """Reads a declaration into what the engine takes.

    Returns:
        The endpoint, or None where something is wrong with it, and what that is.
    """
    path = f"routes.{declaration.name}"
    function: object = declaration.function
    if not callable(function):
        return None, [(path, "expected a function below @api")]
    protections, public = _registry.said_of(function)
    try:
        call, parameters, returns = _depends.flatten(function, _captures(declaration.route))
        endpoint = {
            "name": declaration.name,
            "route": declaration.route,
            "methods": list(declaration.methods),
            "call": call,
            "is_async": inspect.iscoroutinefunction(call),
            "sees_async": inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call),
            "parameters": [_parameter(parameter) for parameter in parameters],
            "returns": returns,
            "protections": protections,
            "public": public,
            "inherited": list(declaration.inherited),
            "scopes": list(declaration.scopes),
            **declaration.options,
        }
    except Problem as problem:
        return None, [(path, str(problem))]
    return endpoint, []


def _captures(route: str) -> list[str]:
    """The names in the braces; whether the template is well formed is the engine's to say."""
    return [
        segment[1:-1].removeprefix("*")
        for segment in route.split("/")
        if segment.startswith("{") and segment.endswith("}")
    ]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    needs_pydantic = parameter.kind is None and parameter.source not in {"request", "depends"}
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
    }


def _validator(parameter: Parameter) -> tuple[bool, Any]:
    """The compiled validator, and whether it runs strictly: always, unless the model objects."""
    adapter = _adapter(parameter.annotation, f"the parameter {parameter.name!r}")
    config = getattr(parameter.annotation, "model_config", None)
    objects = isinstance(config, dict) and config.get("strict") is False
    return not objects, adapter.validator


def _adapter(annotation: Any, what: str) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - only where the program's types need it
    from pydantic.errors import PydanticUserError  # noqa: PLC0415

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise Problem(f"{what} has a type that Pydantic cannot check: {reason}") from None

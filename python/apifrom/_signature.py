"""Reads a handler's signature once, at start, into the plain data that the engine binds by."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from apifrom import _texts
from apifrom._texts import Problem, without_none
from apifrom.parameters import MISSING, Body, Depends, _Source
from apifrom.requests import Request, SyncRequest
from apifrom.uploads import SyncUploadFile, UploadFile

__all__ = ["Parameter", "Problem", "Signature", "read"]

_SCALARS = {int: "int", float: "float", bool: "bool", str: "str"}


@dataclasses.dataclass(slots=True)
class Parameter:
    """One parameter of a handler.

    Attributes:
        name: The name in Python.
        source: `path`, `query`, `header`, `cookie`, `form`, `file`, `body`, `request` or `depends`.
        wire: The name on the wire.
        kind: `int`, `float`, `bool` or `str` where the engine converts, `upload` or `bytes` for a
            file; `None` where Pydantic does.
        many: True for a list or a set of values.
        optional: True where the type also takes `None`.
        default: The value where nothing was sent, or `MISSING`.
        annotation: The type, with what `Annotated` adds, for Pydantic.
        constraints: Bounds that the engine checks.
        keyword: True for a keyword-only parameter.
        depends: The function, for `depends`.
    """

    name: str
    source: str
    wire: str
    kind: str | None = None
    many: bool = False
    optional: bool = False
    default: Any = MISSING
    annotation: Any = None
    constraints: dict[str, Any] = dataclasses.field(default_factory=dict)
    keyword: bool = False
    depends: Callable[..., Any] | None = None


@dataclasses.dataclass(slots=True)
class Signature:
    """What the engine needs to know of a function."""

    parameters: list[Parameter]
    returns: Any


def read(function: Callable[..., Any], captures: list[str]) -> Signature:
    """Reads the signature of `function`, whose route has `captures`.

    Raises:
        Problem: A parameter that nothing can be bound to.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise Problem(f"its signature cannot be read: {error}") from None
    hints = _hints(function)
    parameters = [
        _parameter(parameter, hints.get(name, parameter.annotation), captures)
        for name, parameter in signature.parameters.items()
    ]
    bodies = [parameter.name for parameter in parameters if parameter.source == "body"]
    if len(bodies) > 1:
        names = ", ".join(bodies)
        raise Problem(f"the parameters {names} all want the body; put them into one model")
    if bodies and any(parameter.source in {"form", "file"} for parameter in parameters):
        raise Problem(f"the body cannot be both JSON ({bodies[0]}) and a form")
    returns = hints.get("return", inspect.Signature.empty)
    return Signature(parameters, MISSING if returns is inspect.Signature.empty else returns)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = inspect.unwrap(function)
    if not isinstance(target, types.FunctionType | types.MethodType):
        target = getattr(target, "__call__", target)  # noqa: B004 - an object's own signature
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise Problem(f"an annotation names something that is not defined: {error}") from None
    except TypeError as error:
        raise Problem(f"an annotation cannot be read: {error}") from None


def _parameter(given: inspect.Parameter, annotation: Any, captures: list[str]) -> Parameter:
    name = given.name
    if given.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise Problem(
            f"the parameter {name!r} takes any number of values; name each parameter by itself"
        )
    if annotation is inspect.Parameter.empty:
        annotation = MISSING
    default = MISSING if given.default is inspect.Parameter.empty else given.default
    annotation, marker = _marker(name, annotation)
    if _is_marker(default):
        default = _instance(name, default)
        if marker is not None:
            raise Problem(f"the parameter {name!r} has two sources, {marker!r} and {default!r}")
        marker, default = default, MISSING
    if isinstance(marker, _Source) and marker.default is not MISSING:
        if default is not MISSING:
            raise Problem(f"the parameter {name!r} has two defaults")
        default = marker.default

    parameter = Parameter(
        name=name,
        source="",
        wire=name,
        default=default,
        annotation=annotation,
        keyword=given.kind is inspect.Parameter.KEYWORD_ONLY,
    )
    if isinstance(marker, Depends):
        if not callable(marker.function):
            raise Problem(
                f"the parameter {name!r} depends on {_name(type(marker.function))}, which cannot "
                "be called; name a function in Depends(…)"
            )
        parameter.source, parameter.depends = "depends", marker.function
        return parameter
    if _is_request(name, annotation, captures, marker):
        parameter.source = "request"
        return parameter
    _place(parameter, marker, captures)
    return parameter


def _marker(name: str, annotation: Any) -> tuple[Any, _Source | Depends | None]:
    """Takes our marker out of `Annotated`; what is left there is Pydantic's."""
    is_annotated = get_origin(annotation) is Annotated
    inner, *extras = get_args(annotation) if is_annotated else (annotation,)
    if (hidden := _hidden(inner)) is not None:
        raise Problem(
            f"the parameter {name!r} has {hidden!r} inside its type, where it says nothing; write "
            "it around the whole: Annotated[…, …]"
        )
    markers = [_instance(name, extra) for extra in extras if _is_marker(extra)]
    if len(markers) > 1:
        raise Problem(f"the parameter {name!r} has two sources, {markers[0]!r} and {markers[1]!r}")
    rest = tuple(extra for extra in extras if not _is_marker(extra))
    if rest:
        inner = Annotated[(inner, *rest)]
    return inner, markers[0] if markers else None


def _hidden(annotation: Any) -> _Source | Depends | None:
    """A marker of ours anywhere in a type."""
    is_literal = get_origin(annotation) is Literal
    for part in () if is_literal else get_args(annotation):
        found = part if _is_marker(part) else _hidden(part)
        if found is not None:
            return cast("_Source | Depends", found)
    return None


def _is_marker(extra: object) -> bool:
    if isinstance(extra, type):
        return issubclass(extra, _Source | Depends)
    return isinstance(extra, _Source | Depends)


def _instance(name: str, marker: Any) -> _Source | Depends:
    if marker is Depends:
        raise Problem(f"the parameter {name!r} depends on nothing; name a function in Depends(…)")
    made: _Source | Depends = marker() if isinstance(marker, type) else marker
    return made


def _is_request(name: str, annotation: Any, captures: list[str], marker: object) -> bool:
    if annotation in {Request, SyncRequest}:
        return True
    return name == "request" and annotation is MISSING and name not in captures and marker is None


def _place(parameter: Parameter, marker: _Source | None, captures: list[str]) -> None:
    name, annotation = parameter.name, parameter.annotation
    if marker is not None:
        if name in captures:
            raise Problem(
                f"the parameter {name!r} is a capture of the route and marked {marker!r}; "
                "rename one of them"
            )
        parameter.constraints = dict(marker.constraints)
        parameter.source = marker.source
        parameter.wire = marker.alias or _wire(name, marker.source)
    elif name in captures:
        parameter.source = "path"
    if annotation is MISSING:
        if not parameter.source:
            raise Problem(
                f"nothing says what the parameter {name!r} is; annotate it, "
                "or name it in the route's template"
            )
        annotation = parameter.annotation = Any if parameter.source == "body" else str
    if parameter.source == "file" or (not parameter.source and _file_kind(annotation) == "upload"):
        _place_file(parameter, annotation)
        return
    _, parameter.optional = without_none(annotation)
    if not parameter.source:
        parameter.source = "query" if _texts.fits(annotation) else "body"
    is_body = parameter.source == "body"
    if not is_body and not _texts.fits(annotation):
        raise Problem(
            f"the parameter {name!r} comes from the {parameter.source} and is a "
            f"{_name(annotation)}, which no text converts to"
        )
    _texts.check_bounds(name, annotation, parameter.constraints, body=is_body)
    if is_body:
        # Bounds on a whole body are Pydantic's to check.
        parameter.annotation = _texts.bounded(annotation, parameter.constraints)
        parameter.constraints = {}
    else:
        _classify(parameter, annotation)
    if parameter.source == "path" and parameter.many:
        raise Problem(f"the capture {name!r} is one value and cannot be a list")
    if parameter.source == "path" and parameter.default is not MISSING:
        raise Problem(f"the capture {name!r} is always there and needs no default")
    if isinstance(marker, Body) and parameter.wire != name:
        raise Problem(f"the body has no name; remove the alias of {name!r}")


def _place_file(parameter: Parameter, annotation: Any) -> None:
    inner, parameter.optional = without_none(annotation)
    parameter.source = "file"
    parameter.many = inner is list or get_origin(inner) is list
    parameter.kind = _file_kind(annotation)
    if parameter.kind is None:
        raise Problem(
            f"the parameter {parameter.name!r} is a file and annotated {_name(annotation)}; "
            "expected UploadFile, SyncUploadFile, bytes, or a list of these"
        )


def _file_kind(annotation: Any) -> str | None:
    """How a file of this annotation is handed over, if it is one."""
    inner, _ = without_none(annotation)
    if get_origin(inner) is list:
        (inner,) = get_args(inner)
    if inner in {UploadFile, SyncUploadFile}:
        return "upload"
    return "bytes" if inner is bytes else None


def _wire(name: str, source: str) -> str:
    return name.replace("_", "-") if source == "header" else name


def _classify(parameter: Parameter, annotation: Any) -> None:
    """Finds out whether the engine converts the value by itself, and prepares it for Pydantic."""
    many = _texts.items_of(annotation)
    parameter.many = many is not None
    inner, stated = None, {}
    if many is None:
        inner, stated = _texts.plain(annotation) or (None, {})
    elif many.container is list and not many.extras:
        inner = many.item
    if isinstance(inner, type) and not stated.keys() & parameter.constraints.keys():
        parameter.kind = _SCALARS.get(inner)
    if parameter.kind is None:
        bounds, parameter.constraints = parameter.constraints, {}
        parameter.annotation = _texts.prepared(parameter.name, annotation, bounds)
        return
    parameter.constraints |= stated
    if parameter.many:
        # Lengths of a list count its items; the other bounds are those of each item.
        bounds = parameter.constraints
        parameter.constraints = {
            bound.replace("_length", "_items"): limit for bound, limit in bounds.items()
        }


def _name(annotation: Any) -> str:
    return getattr(annotation, "__qualname__", None) or str(annotation)


def walk(
    function: Callable[..., Any], captures: list[str]
) -> Iterator[tuple[Callable[..., Any], Signature]]:
    """Reads `function` and everything it depends on, each function once, dependencies first.

    Raises:
        Problem: A signature that cannot be bound, or a circle.
    """
    done: set[int] = set()
    under_way: list[Callable[..., Any]] = []

    def visit(
        function: Callable[..., Any],
    ) -> Iterator[tuple[Callable[..., Any], Signature]]:
        if id(function) in done:
            return
        if any(function is other for other in under_way):
            raise Problem(f"{_name(function)} depends on itself")
        under_way.append(function)
        try:
            signature = read(function, captures)
        except Problem as problem:
            where = "" if len(under_way) == 1 else f"in {_name(function)}: "
            raise Problem(f"{where}{problem}") from None
        for parameter in signature.parameters:
            if parameter.depends is not None:
                yield from visit(parameter.depends)
        under_way.pop()
        done.add(id(function))
        yield function, signature

    yield from visit(function)


def has_pydantic() -> bool:
    """True when the program itself imported Pydantic."""
    return "pydantic" in sys.modules

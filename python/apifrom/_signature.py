"""Reads a handler's signature once, at start, into the plain data that the engine binds by."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from apifrom.parameters import MISSING, Body, Depends, _Source
from apifrom.requests import Request, SyncRequest
from apifrom.uploads import SyncUploadFile, UploadFile

__all__ = ["Parameter", "Problem", "Signature", "read"]

_SCALARS = {int: "int", float: "float", bool: "bool", str: "str"}
_NONE = type(None)


class Problem(Exception):
    """A signature that cannot be bound: what is wrong and how to mend it."""


@dataclasses.dataclass(slots=True)
class Parameter:
    """One parameter of a handler.

    Attributes:
        name: The name in Python.
        source: `path`, `query`, `header`, `cookie`, `form`, `file`, `body`, `request` or `depends`.
        wire: The name on the wire.
        kind: `int`, `float`, `bool` or `str` where the engine converts, `upload` or `bytes` for a
            file; `None` where Pydantic does.
        many: True for a list of values.
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
    if isinstance(default, _Source | Depends):
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
        parameter.source, parameter.depends = "depends", marker.function
        return parameter
    if _is_request(name, annotation, captures, marker):
        parameter.source = "request"
        return parameter
    _place(parameter, marker, captures)
    return parameter


def _marker(name: str, annotation: Any) -> tuple[Any, _Source | Depends | None]:
    """Takes our marker out of `Annotated`; what is left there is Pydantic's."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    inner, *extras = get_args(annotation)
    markers = [_instance(extra) for extra in extras if _is_marker(extra)]
    if len(markers) > 1:
        raise Problem(f"the parameter {name!r} has two sources, {markers[0]!r} and {markers[1]!r}")
    rest = tuple(extra for extra in extras if not _is_marker(extra))
    if rest:
        inner = Annotated[(inner, *rest)]
    return inner, markers[0] if markers else None


def _is_marker(extra: object) -> bool:
    if isinstance(extra, _Source | Depends):
        return True
    return isinstance(extra, type) and issubclass(extra, _Source)


def _instance(marker: Any) -> _Source | Depends:
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
    _classify(parameter, annotation)
    if not parameter.source:
        parameter.source = "query" if _fits_text(annotation) else "body"
    if parameter.source == "body":
        parameter.kind, parameter.many = None, False
        if parameter.constraints:
            # Bounds on a whole body are Pydantic's to check.
            parameter.annotation = _constrained(annotation, parameter.constraints)
            parameter.constraints = {}
    elif not _fits_text(annotation):
        raise Problem(
            f"the parameter {name!r} comes from the {parameter.source} and is a "
            f"{_name(annotation)}, which no text converts to"
        )
    elif parameter.kind is None and parameter.constraints:
        parameter.annotation = _constrained(annotation, parameter.constraints)
        parameter.constraints = {}
    if parameter.source == "path" and parameter.many:
        raise Problem(f"the capture {name!r} is one value and cannot be a list")
    if parameter.source == "path" and parameter.default is not MISSING:
        raise Problem(f"the capture {name!r} is always there and needs no default")
    if isinstance(marker, Body) and parameter.wire != name:
        raise Problem(f"the body has no name; remove the alias of {name!r}")


def _place_file(parameter: Parameter, annotation: Any) -> None:
    inner, parameter.optional = _without_none(annotation)
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
    inner, _ = _without_none(annotation)
    if get_origin(inner) is list:
        (inner,) = get_args(inner)
    if inner in {UploadFile, SyncUploadFile}:
        return "upload"
    return "bytes" if inner is bytes else None


def _wire(name: str, source: str) -> str:
    return name.replace("_", "-") if source == "header" else name


def _classify(parameter: Parameter, annotation: Any) -> None:
    """Finds out whether the engine converts the value by itself."""
    inner, parameter.optional = _without_none(annotation)
    if get_origin(inner) is list and (arguments := get_args(inner)):
        parameter.many = True
        parameter.kind = _SCALARS.get(arguments[0])
    elif inner is list:
        parameter.many, parameter.kind = True, "str"
    else:
        parameter.kind = _SCALARS.get(inner) if isinstance(inner, type) else None


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not _NONE]
        if len(members) < len(get_args(annotation)) and len(members) == 1:
            return members[0], True
        if len(members) < len(get_args(annotation)):
            return Union[tuple(members)], True  # noqa: UP007 - built from a list
    return annotation, False


def _fits_text(annotation: Any) -> bool:
    """True for types that a value of a query, header or cookie can become."""
    inner, _ = _without_none(annotation)
    origin = get_origin(inner)
    if origin is Annotated:
        return _fits_text(get_args(inner)[0])
    if origin is Literal:
        return True
    if origin in {Union, types.UnionType}:
        return all(_fits_text(member) for member in get_args(inner))
    if origin in {list, set, frozenset}:
        return all(_fits_text(member) for member in get_args(inner))
    if not isinstance(inner, type):
        return isinstance(inner, typing.NewType) and _fits_text(inner.__supertype__)
    if inner in _SCALARS or inner is list or inner is bytes:
        return True
    return _is_text_type(inner)


def _is_text_type(kind: type) -> bool:
    """Enumerations, and the standard library's types that are written as text."""
    bases = {(base.__module__, base.__qualname__) for base in kind.__mro__}
    return bool(
        bases
        & {
            ("enum", "Enum"),
            ("uuid", "UUID"),
            ("decimal", "Decimal"),
            ("datetime", "date"),
            ("datetime", "time"),
            ("datetime", "timedelta"),
            ("ipaddress", "IPv4Address"),
            ("ipaddress", "IPv6Address"),
            ("pathlib", "PurePath"),
            ("pydantic.networks", "_BaseUrl"),
            ("pydantic.networks", "EmailStr"),
        }
    )


def _constrained(annotation: Any, constraints: dict[str, Any]) -> Any:
    from pydantic import Field  # noqa: PLC0415 - only where the program's types need it

    return Annotated[annotation, Field(**constraints)]


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

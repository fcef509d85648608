"""Prepares what Pydantic judges where all that was sent is text.

1. A number, a truth value and a date have one spelling, asked before Pydantic, which takes more.
2. An enumeration and a `Literal` are found by what their members are written as.
3. Of a union the first member that takes the text has it.
4. The items of a list are texts, each judged by itself; then the list is.
5. A bound that no value of the type has is a mistake of the program.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from apifrom._apifrom import Spelling

__all__ = ["Many", "Problem", "bounded", "check_bounds", "fits", "items_of", "plain", "prepared"]

_NONE = type(None)
_LENGTHS: Final = ("min_length", "max_length")
_LIMITS: Final = ("gt", "ge", "lt", "le")
_BOUNDS: Final = (*_LIMITS, "multiple_of", *_LENGTHS, "pattern")
_NUMBERS: Final = (int, float, decimal.Decimal)
_TIMES: Final = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_ANNOTATED_TYPES: Final = {
    "Gt": "gt",
    "Ge": "ge",
    "Lt": "lt",
    "Le": "le",
    "MultipleOf": "multiple_of",
    "MinLen": "min_length",
    "MaxLen": "max_length",
}
_SIZED: Final = (list, set, frozenset, tuple, dict, collections.abc.Sequence)


class Problem(Exception):
    """A signature that cannot be bound: what is wrong and how to mend it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Many:
    """A list, a set or a frozenset of texts.

    Attributes:
        container: The one of these that is asked for.
        item: The type of an item.
        extras: What `Annotated` says of the whole.
    """

    container: type
    item: Any
    extras: tuple[Any, ...]


def without_none(annotation: Any) -> tuple[Any, bool]:
    """The type without `None`, and whether it was in it."""
    if get_origin(annotation) in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not _NONE]
        if len(members) < len(get_args(annotation)) and len(members) == 1:
            return members[0], True
        if len(members) < len(get_args(annotation)):
            return Union[tuple(members)], True  # noqa: UP007 - built from a list
    return annotation, False


def fits(annotation: Any) -> bool:
    """True for types that the texts of a query, a header or a cookie can become."""
    many = items_of(annotation)
    return _fits_one(annotation if many is None else many.item)


def _fits_one(annotation: Any) -> bool:
    inner, _ = without_none(annotation)
    origin = get_origin(inner)
    if origin is Annotated:
        return _fits_one(get_args(inner)[0])
    if origin is Literal:
        return True
    if origin in {Union, types.UnionType}:
        return all(_fits_one(member) for member in get_args(inner))
    if not isinstance(inner, type):
        return isinstance(inner, typing.NewType) and _fits_one(inner.__supertype__)
    return inner in {int, float, bool, str, bytes} or _is_text_type(inner)


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


def items_of(annotation: Any) -> Many | None:
    """What the values of a parameter are gathered into, where there may be several."""
    extras: tuple[Any, ...] = ()
    while True:
        annotation, _ = without_none(annotation)
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            extras = (*more, *extras)
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            break
    if annotation is list:
        return Many(list, str, extras)
    origin = get_origin(annotation)
    if origin in {list, set, frozenset} and (arguments := get_args(annotation)):
        return Many(origin, arguments[0], extras)
    return None


def plain(annotation: Any) -> tuple[Any, dict[str, Any]] | None:
    """The type and its bounds, where `Annotated` says nothing that is Pydantic's alone to know."""
    bounds: dict[str, Any] = {}
    while True:
        annotation, _ = without_none(annotation)
        if isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
            continue
        if get_origin(annotation) is not Annotated:
            return annotation, bounds
        annotation, *extras = get_args(annotation)
        for extra in extras:
            is_field = type(extra).__module__ == "pydantic.fields"
            for part in extra.metadata if is_field else [extra]:
                kind = type(part)
                bound = _ANNOTATED_TYPES.get(kind.__name__)
                if kind.__module__ != "annotated_types" or bound is None or bound in bounds:
                    return None
                bounds[bound] = limit = getattr(part, bound)
                if not (_is_bound(bound, limit) and isinstance(limit, int | float)):
                    return None


def prepared(name: str, annotation: Any, bounds: Mapping[str, Any]) -> Any:
    """The annotation that the validator of a text, or of a list of texts, is made from.

    Args:
        name: The parameter.
        annotation: Its type, which is one that [fits][].
        bounds: What its marker states, and [check_bounds][] let pass.

    Raises:
        Problem: Pydantic knows no such type.
    """
    many = items_of(annotation)
    if many is None:
        return Annotated[bounded(annotation, bounds), _Spelled()]
    from pydantic import PlainValidator, TypeAdapter  # noqa: PLC0415 - only where it is in use
    from pydantic.errors import PydanticUserError  # noqa: PLC0415
    from pydantic_core import SchemaError  # noqa: PLC0415

    of_list = {bound: limit for bound, limit in bounds.items() if bound in _LENGTHS}
    of_items = {bound: limit for bound, limit in bounds.items() if bound not in _LENGTHS}
    try:
        item = TypeAdapter(prepared(name, many.item, of_items)).validator
    except (PydanticUserError, SchemaError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise Problem(
            f"the parameter {name!r} has items that Pydantic cannot check: {reason}"
        ) from None
    container: Any = many.container
    items = container[Annotated[Any, PlainValidator(item.validate_strings)]]
    return bounded(Annotated[(items, *many.extras)] if many.extras else items, of_list)


def bounded(annotation: Any, bounds: Mapping[str, Any]) -> Any:
    """The annotation with bounds that Pydantic checks.

    Raises:
        Problem: A pattern that is no regular expression.
    """
    if not bounds:
        return annotation
    from pydantic import Field  # noqa: PLC0415 - only where it is in use
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # noqa: PLC0415

    if (pattern := bounds.get("pattern")) is not None:
        try:
            SchemaValidator(core_schema.str_schema(pattern=pattern))
        except SchemaError as error:
            reason = str(error).splitlines()[-1]
            raise Problem(f"the pattern {pattern!r} cannot be used: {reason}") from None
    return Annotated[annotation, Field(**bounds)]


class _Spelled:
    """Puts the one spelling of its kind before every type that Pydantic reads from a text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return _spelled(handler(source), handler)


def _spelled(schema: Any, handler: Any) -> Any:
    kind = schema["type"]
    if kind == "definition-ref":
        return _spelled(handler.resolve_ref_schema(schema), handler)
    if kind in {"int", "float", "bool", "decimal", "date", "datetime"}:
        # A text is not of the type itself, which Pydantic would demand of a strict one.
        return _before(Spelling(kind), {**schema, "strict": False})
    if kind == "literal":
        return _before(_Members(schema["expected"]), schema)
    if kind == "enum":
        members = _Members(schema["members"], schema.get("sub_type"))
        # Without these Pydantic would convert the text in its own way, and look for the schema.
        schema = {name: part for name, part in schema.items() if name not in {"ref", "sub_type"}}
        return _before(members, schema)
    if kind in {"nullable", "default", "function-after", "function-wrap"}:
        return {**schema, "schema": _spelled(schema["schema"], handler)}
    if kind == "chain":
        first, *rest = schema["steps"]
        return {**schema, "steps": [_spelled(first, handler), *rest]}
    if kind == "union":
        choices = [_choice(choice, handler) for choice in schema["choices"]]
        return {**schema, "choices": choices, "mode": "left_to_right"}
    # What stands before a type converts the text in a way of its own.
    return schema


def _before(function: Callable[[Any], Any], schema: Any) -> Any:
    from pydantic_core import core_schema  # noqa: PLC0415 - only where it is in use

    return core_schema.no_info_before_validator_function(function, schema)


def _choice(choice: Any, handler: Any) -> Any:
    """A member of a union, by the name that its violations had without what stands before it."""
    from pydantic_core import SchemaError, SchemaValidator  # noqa: PLC0415 - as above

    schema, label = choice if isinstance(choice, tuple) else (choice, None)
    spelled = _spelled(schema, handler)
    if spelled is schema:
        return choice
    if label is None:
        whole = handler.resolve_ref_schema(schema)
        try:
            without_ref = {name: part for name, part in whole.items() if name != "ref"}
            label = SchemaValidator(without_ref).title
        except SchemaError:
            return spelled
    return spelled, label


class _Members:
    """Finds the member that a text is the spelling of."""

    __slots__ = ("_known", "_other")

    def __init__(self, members: list[Any], sub_type: str | None = None) -> None:
        """Writes the members down.

        Args:
            members: Those of an enumeration, or what a `Literal` lists.
            sub_type: `int` or `float` where all values are such, and others may be made of them.
        """
        self._known: dict[str, Any] = {}
        for value, member in sorted(((_value(member), member) for member in members), key=_rank):
            self._known.update(dict.fromkeys(_spellings(value), member))
        self._other = Spelling(sub_type) if sub_type in {"int", "float"} else None

    def __call__(self, text: object) -> object:
        from pydantic_core import PydanticKnownError  # noqa: PLC0415 - only where it is in use

        if not isinstance(text, str):
            return text
        if text in self._known or self._other is None:
            return self._known.get(text, text)
        try:
            return self._other(text)
        except PydanticKnownError:
            return text


def _value(member: Any) -> Any:
    return member.value if isinstance(member, enum.Enum) else member


def _rank(pair: tuple[Any, Any]) -> int:
    """Who has a text that is the spelling of several comes last."""
    kinds = (bool, float, int, str)
    return next((rank for rank, kind in enumerate(kinds) if isinstance(pair[0], kind)), -1)


def _spellings(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true", "1") if value else ("false", "0")
    if isinstance(value, str):
        return (str(value),)
    return (repr(value),) if isinstance(value, int | float) else ()


def check_bounds(name: str, annotation: Any, bounds: Mapping[str, Any], *, body: bool) -> None:
    """Finds bounds of the parameter `name` that no value of its type can keep or break.

    Args:
        name: The parameter.
        annotation: Its type; what `Annotated` states there is looked at as well.
        bounds: What its marker states. But for a body, those of a list that do not count its
            items are the items' own.
        body: True for a body.

    Raises:
        Problem: Such a bound, by its name.
    """
    for bound, limit in bounds.items():
        if not _is_bound(bound, limit):
            raise Problem(f"the parameter {name!r} has {bound}={limit}, which is no bound")
    many = None if body else items_of(annotation)
    if many is None:
        _check(name, annotation, bounds)
    else:
        _check(name, many.item, {key: bounds[key] for key in bounds if key not in _LENGTHS})
    for inner, stated in _stated(annotation):
        _check(name, inner, stated)


def _check(name: str, annotation: Any, bounds: Mapping[str, Any]) -> None:
    leaves = list(_leaves(annotation))
    for bound, limit in bounds.items():
        for leaf in leaves:
            if _concerns(bound, limit, leaf):
                continue
            advice = _advice(leaf)
            if len(leaves) > 1:
                advice = f"write it at the member that it is for: Annotated[…, Field({bound}=…)]"
            raise Problem(
                f"the parameter {name!r} has the bound {bound}, which says nothing of "
                f"{_named(leaf)}; {advice}"
            )


def _is_bound(bound: str, limit: Any) -> bool:
    if bound == "pattern":
        return isinstance(limit, str)
    if bound in _LENGTHS:
        return isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0
    if isinstance(limit, bool) or not isinstance(limit, _NUMBERS):
        return bound in _LIMITS and isinstance(limit, _TIMES)
    return math.isfinite(limit) and (bound in _LIMITS or limit > 0)


def _concerns(bound: str, limit: Any, leaf: Any) -> bool:
    """False where it is certain that the bound has no meaning for the type."""
    if get_origin(leaf) is Literal:
        return False
    if leaf in _SIZED:
        return bound in _LENGTHS
    if not isinstance(leaf, type):
        return True
    if leaf in _NUMBERS:
        return bound in {*_LIMITS, "multiple_of"} and not isinstance(limit, _TIMES)
    if leaf in _TIMES:
        same = isinstance(limit, leaf) and (leaf is not datetime.date or type(limit) is leaf)
        return bound in _LIMITS and same
    if leaf is bytes:
        return bound in _LENGTHS
    if leaf is str or leaf.__qualname__ == "EmailStr":
        return bound in {*_LENGTHS, "pattern"}
    if dataclasses.is_dataclass(leaf) or hasattr(leaf, "__pydantic_fields__"):
        return bound in _LENGTHS and hasattr(leaf, "__len__")
    return not (leaf is bool or _is_text_type(leaf))


def _advice(leaf: Any) -> str:
    if leaf in _NUMBERS:
        return "write gt, ge, lt, le or multiple_of"
    if leaf in _TIMES:
        return f"write gt, ge, lt or le with a {leaf.__name__}"
    if leaf is str:
        return "write min_length, max_length or pattern"
    if leaf is bytes:
        return "write min_length or max_length"
    if leaf in _SIZED:
        return "write min_length or max_length, and what bounds the items at their own type"
    return "remove it"


def _named(leaf: Any) -> str:
    return getattr(leaf, "__qualname__", None) or str(leaf)


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types that a value may be of, as far as bounds see them."""
    inner, _ = without_none(annotation)
    origin = get_origin(inner)
    if origin is Annotated:
        inner, *extras = get_args(inner)
        if not any(_transforms(extra) for extra in extras):
            yield from _leaves(inner)
    elif origin in {Union, types.UnionType}:
        for member in get_args(inner):
            yield from _leaves(member)
    elif isinstance(inner, typing.NewType):
        yield from _leaves(inner.__supertype__)
    else:
        yield inner if origin in {None, Literal} else origin


def _stated(annotation: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What `Annotated` bounds anywhere in a type, and how."""
    origin = get_origin(annotation)
    if isinstance(annotation, typing.NewType):
        yield from _stated(annotation.__supertype__)
    elif origin is Annotated:
        inner, *extras = get_args(annotation)
        if not any(_transforms(extra) for extra in extras):
            parts = [part for extra in extras for part in (extra, *getattr(extra, "metadata", ()))]
            given = [(bound, getattr(part, bound, None)) for part in parts for bound in _BOUNDS]
            yield inner, {bound: limit for bound, limit in given if limit is not None}
        yield from _stated(inner)
    elif origin in {Union, types.UnionType, list, set, frozenset}:
        for member in get_args(annotation):
            yield from _stated(member)


def _transforms(extra: object) -> bool:
    """True for what may make another type of the value, or checks it in a way of its own."""
    return hasattr(extra, "__get_pydantic_core_schema__")

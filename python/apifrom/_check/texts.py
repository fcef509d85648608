"""What a text of a program is made of, as far as its source shows.

1. A literal is a text of the program itself, and what is put together from such alone: by `+`, `%`,
   f-strings, `format`, `join` and `replace`, in a branch, in a list or a table to choose from, by a
   name that is given nothing else, in another of its files too, or by a function that returns it.
2. A text of the request is a parameter of an endpoint, or what was taken out of one.
3. A text in which a value stands that is no literal is built.
4. Of everything else nothing is known.

A name is what it was given last before the place where it stands, in every branch and in every turn
of a loop around it. Names of an outer function or of the module are all that they are ever given.
"""

from __future__ import annotations

import ast
import enum
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apifrom._check.names import (
    Binding,
    File,
    Function,
    Place,
    Scope,
    called,
    last,
    names,
    start,
    text,
)

__all__ = ["Kind", "Text", "read"]


_ENDPOINTS = {"api", "get", "post", "put", "patch", "delete"}
_SAFE = {"sql", "ident", "insecure_raw"}
_JOINING = {"format", "format_map", "join", "replace"}
_KEEPING = {
    *("strip", "lstrip", "rstrip", "lower", "upper", "title", "removeprefix", "removesuffix"),
    *("get", "items", "keys", "values", "copy", "encode", "decode", "split", "splitlines", "pop"),
}
_CONVERTING = {"str", "list", "tuple", "set", "sorted", "reversed", "dict", "enumerate", "zip"}
_CACHING = {"cache", "lru_cache", "staticmethod"}
_PLAIN = {"int", "float", "bool", "bytes", "UUID", "date", "datetime", "time", "Decimal"}
_SERVICES = {"Database", "Transaction", "AsyncTransaction", "Depends"}
_DEEPEST = 24


class Kind(enum.IntEnum):
    """What a text is; of several branches, the last in this order counts."""

    LITERAL = 0
    UNKNOWN = 1
    REQUEST = 2
    BUILT = 3


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of an expression.

    Attributes:
        kind: What it is.
        parts: The expression, and what the names in it were given.
    """

    kind: Kind
    parts: tuple[ast.AST, ...]

    @property
    def constants(self) -> str:
        """The texts of the program that are in it."""
        nodes = (node for part in self.parts for node in ast.walk(part))
        return " ".join(filter(None, map(text, nodes)))


def read(node: ast.expr, scope: Scope) -> Text:
    """What an expression is, where it stands in `scope`."""
    reading = _Reading()
    kind = reading.kind(node, scope)
    return Text(kind, (node, *reading.parts))


class _Reading:
    """Follows one expression."""

    def __init__(self) -> None:
        self.parts: list[ast.AST] = []
        self._following: set[tuple[int, int]] = set()

    def kind(self, node: ast.expr, scope: Scope) -> Kind:
        match node:
            case ast.Constant():
                return Kind.LITERAL
            case ast.Name():
                return self._name(node.id, scope, start(node))
            case ast.JoinedStr():
                return self._joined(node.values, scope)
            case ast.BinOp(op=ast.Add() | ast.Mod()):
                return self._joined([node.left, node.right], scope)
            case ast.BinOp(op=ast.Mult()):
                sides = [node.left, node.right]
                repeated = [side for side in sides if _is_display(side)]
                return self._worst(repeated or sides, scope)
            case ast.IfExp():
                return self._worst([node.body, node.orelse], scope)
            case ast.BoolOp(op=ast.And()):
                # What stands before is the value only where it is nothing.
                return self.kind(node.values[-1], scope)
            case ast.BoolOp():
                return self._worst(node.values, scope)
            case ast.List() | ast.Tuple() | ast.Set():
                return self._worst(node.elts, scope)
            case ast.Dict():
                return self._worst([*filter(None, node.keys), *node.values], scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self.kind(node.elt, scope)
            case ast.DictComp():
                return self._worst([node.key, node.value], scope)
            case (
                ast.FormattedValue()
                | ast.NamedExpr()
                | ast.Await()
                | ast.Starred()
                | ast.Subscript()
            ):
                return self.kind(node.value, scope)
            case ast.Attribute():
                return self._attribute(node, scope)
            case ast.Call():
                return self._call(node, scope)
        return Kind.UNKNOWN

    def _worst(self, nodes: Iterable[ast.expr], scope: Scope) -> Kind:
        return max((self.kind(node, scope) for node in nodes), default=Kind.LITERAL)

    def _joined(self, nodes: Iterable[ast.expr], scope: Scope) -> Kind:
        worst = self._worst(nodes, scope)
        return Kind.LITERAL if worst is Kind.LITERAL else Kind.BUILT

    def _name(self, name: str, scope: Scope, place: Place | None) -> Kind:
        home = scope.home(name)
        if home is None:
            return self._starred(name, scope.file)
        listed = home.bindings.get(name, [])
        is_parameter = name in home.parameters()
        if place is not None and home is scope:
            listed, is_fresh = _reaching(listed, place, home.loops)
            is_parameter = is_parameter and not is_fresh
        kinds = [_parameter(name, home)] if is_parameter else []
        kinds += [self._binding(one, home) for one in listed]
        kinds += [self._followed(member, home) for member in home.added(name)]
        if name in home.file.reached:
            kinds.append(Kind.UNKNOWN)
        return max(kinds, default=Kind.UNKNOWN)

    def _followed(self, node: ast.expr, scope: Scope) -> Kind:
        """The kind of what a name was given, which may be that name once more."""
        key = (id(node), id(scope))
        if key in self._following or len(self._following) > _DEEPEST:
            return Kind.LITERAL if key in self._following else Kind.UNKNOWN
        self._following.add(key)
        self.parts.append(node)
        found = self.kind(node, scope)
        self._following.discard(key)
        return found

    def _binding(self, binding: Binding, scope: Scope) -> Kind:
        match binding.how:
            case "value" | "each":
                return self._followed(binding.value, scope)
            case "added":
                added = binding.value
                if self._followed(added.value, scope) is not Kind.LITERAL:
                    # What it was before is a statement, or the call would not be given it.
                    self.parts.append(ast.Constant("select"))
                    return Kind.BUILT
                return Kind.LITERAL
            case "import":
                base, member = binding.value
                return self._imported(base, member, scope.file)
        return Kind.UNKNOWN

    def _imported(self, base: str, member: str | None, file: File) -> Kind:
        """The kind of a name of another file."""
        found = file.program.get(base)
        key = (id(found), hash(member))
        if found is None or member is None or key in self._following:
            return Kind.UNKNOWN
        self._following.add(key)
        kind = self._name(member, found.module, None)
        self._following.discard(key)
        return kind

    def _starred(self, name: str, file: File) -> Kind:
        """The kind of a name that is bound nowhere here, and so by `import *`."""
        kinds = []
        for binding in file.module.bindings.get("*", []):
            base = binding.value[0]
            if name in getattr(file.program.get(base), "known", ()):
                kinds.append(self._imported(base, name, file))
        return max(kinds, default=Kind.UNKNOWN)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Kind:
        if isinstance(node.value, ast.Name):
            owner = node.value.id
            if (file := _module(owner, scope)) is not None:
                return self._name(node.attr, file.module, None)
            if (body := _class(owner, scope)) is not None:
                attributes = Scope(scope.file, None, scope.file.module)
                attributes.bind(body.body)
                values = attributes.bindings.get(node.attr, [])
                return max((self._binding(one, attributes) for one in values), default=Kind.UNKNOWN)
        return max(self.kind(node.value, scope), Kind.UNKNOWN)

    def _call(self, node: ast.Call, scope: Scope) -> Kind:
        name = called(node)
        if name in _SAFE:
            return Kind.LITERAL
        given = [*node.args, *(word.value for word in node.keywords)]
        if (found := _function(node.func, scope)) is not None:
            return self._returned(node, scope, *found)
        if isinstance(node.func, ast.Attribute):
            if name in _JOINING:
                return self._joined([node.func.value, *given], scope)
            kind = self.kind(node.func.value, scope)
            if kind is Kind.LITERAL and name in _KEEPING:
                return self._worst(given[1:] if name in {"get", "pop"} else [], scope)
            return max(kind, Kind.UNKNOWN)
        if name in _CONVERTING and scope.home(name) is None:
            return self._worst(given, scope)
        return Kind.UNKNOWN

    def _returned(self, call: ast.Call, scope: Scope, function: Function, home: Scope) -> Kind:
        """What a function of the program returns to a call."""
        key = (id(function), 0)
        if names(function.returns) & {"LiteralString", "Sql", "Identifier"}:
            return Kind.LITERAL
        is_changed = {last(one) for one in function.decorator_list} - _CACHING
        returned = [one for one in _own(function) if isinstance(one, ast.Return) and one.value]
        is_made = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own(function))
        if is_changed or is_made or not returned or len(self._following) > _DEEPEST:
            return Kind.UNKNOWN
        if key in self._following:
            return Kind.LITERAL
        inner = home.inner(function)
        inner.given = self._arguments(call, scope, function)
        self._following.add(key)
        kinds = []
        for one in returned:
            if one.value is not None:
                self.parts.append(one.value)
                kinds.append(self.kind(one.value, inner))
        self._following.discard(key)
        return max(kinds, default=Kind.UNKNOWN)

    def _arguments(self, call: ast.Call, scope: Scope, function: Function) -> dict[str, Kind]:
        """What a call gives to a function."""
        module = scope.file.module
        given = {name: self.kind(one, module) for name, one in _defaults(function).items()}
        positional = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        for name, argument in zip(positional, call.args, strict=False):
            if isinstance(argument, ast.Starred):
                return {}
            given[name] = self.kind(argument, scope)
        for word in call.keywords:
            if word.arg is None:
                return {}
            given[word.arg] = self.kind(word.value, scope)
        return given


def _reaching(
    bindings: list[Binding], place: Place, loops: list[tuple[Place, Place]]
) -> tuple[list[Binding], bool]:
    """What a name may have been given last at a place, and whether that is all it may be."""
    turns = [after for before, after in loops if before <= place <= after]
    latest = max(turns, default=place)
    certain = [one.place for one in bindings if one.is_certain and one.place <= place]
    first = max(certain, default=(-math.inf, -math.inf))
    always = -math.inf
    return [
        one for one in bindings if one.place[0] == always or first <= one.place <= latest
    ], bool(certain)


def _parameter(name: str, scope: Scope) -> Kind:
    """What a parameter is given."""
    if name in scope.given:
        return scope.given[name]
    parameter, function = scope.parameters()[name], scope.function
    named = names(parameter.annotation)
    if named & {"Literal", "LiteralString"}:
        return Kind.LITERAL
    if function is None or not _is_endpoint(function):
        return Kind.UNKNOWN
    default = _defaults(function).get(name)
    is_made = default is not None and last(default) == "Depends"
    if named & _SERVICES or is_made or (named and named <= {*_PLAIN, "Annotated", "None"}):
        return Kind.UNKNOWN
    return Kind.REQUEST


def _defaults(function: Function) -> dict[str, ast.expr]:
    """What parameters are where nothing is given."""
    given = function.args
    positional = [one.arg for one in (*given.posonlyargs, *given.args)]
    late = positional[len(positional) - len(given.defaults) :]
    found = dict(zip(late, given.defaults, strict=True))
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if default is not None:
            found[argument.arg] = default
    return found


def _is_endpoint(function: Function) -> bool:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and called(decorator) in _ENDPOINTS:
            routes = [*decorator.args[:1]]
            routes += [word.value for word in decorator.keywords if word.arg == "route"]
            if any((text(route) or "").startswith("/") for route in routes):
                return True
    return False


def _module(name: str, scope: Scope) -> File | None:
    """The file of a module that a name stands for."""
    home = scope.home(name)
    for binding in [] if home is None else home.bindings.get(name, []):
        if binding.how == "import":
            base, member = binding.value
            return scope.file.program.get(base if member is None else f"{base}.{member}")
    return None


def _class(name: str, scope: Scope) -> ast.ClassDef | None:
    home = scope.home(name)
    bindings = [] if home is None else home.bindings.get(name, [])
    if len(bindings) == 1 and bindings[0].how == "class":
        found = bindings[0].value
        return found if isinstance(found, ast.ClassDef) else None
    return None


def _function(node: ast.expr, scope: Scope, depth: int = 0) -> tuple[Function, Scope] | None:
    """The function of the program that is called, and where it stands."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        file = _module(node.value.id, scope)
        return None if file is None else _function(ast.Name(node.attr), file.module, depth + 1)
    home = scope.home(node.id) if isinstance(node, ast.Name) else None
    if home is None or not isinstance(node, ast.Name) or depth > _DEEPEST:
        return None
    bindings = home.bindings.get(node.id, [])
    if len(bindings) != 1:
        return None
    if bindings[0].how == "function":
        return bindings[0].value, home
    if bindings[0].how == "import":
        base, member = bindings[0].value
        file = home.file.program.get(base)
        if file is not None and member is not None:
            return _function(ast.Name(member), file.module, depth + 1)
    return None


def _is_display(node: ast.expr) -> bool:
    return text(node) is not None or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple)


def _own(function: Function) -> Iterator[ast.AST]:
    """What stands in a function, and in no function inside."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)

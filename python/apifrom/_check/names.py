"""The names of a program's files, and what each of them is given.

1. A name belongs to the innermost function around it that gives it something, or to the module.
2. A name that functions reach by `global`, and a list or a table of the module that they put
   something into, is known as such.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apifrom._check.texts import Kind

__all__ = [
    "Binding",
    "File",
    "Function",
    "Place",
    "Scope",
    "called",
    "end",
    "imported_from",
    "last",
    "names",
    "start",
    "text",
]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Place = tuple[float, float]
"""A line and a column; before every other, where a name has its value all along."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where a name is given something."""

    how: str
    value: Any
    place: Place
    is_certain: bool


@dataclass(eq=False)
class Scope:
    """The names of a module or of a function."""

    file: File
    function: Function | None
    outer: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    members: dict[str, list[ast.expr]] = field(default_factory=dict)
    loops: list[tuple[Place, Place]] = field(default_factory=list)
    given: Mapping[str, Kind] = field(default_factory=dict)

    def inner(self, function: Function) -> Scope:
        """The scope of a function in this one."""
        scope = Scope(self.file, function, self)
        scope.bind(function.body)
        return scope

    def bind(self, body: Iterable[ast.stmt]) -> None:
        """Reads what statements give to names of this scope."""
        _Binder(self).read(body)

    def home(self, name: str) -> Scope | None:
        """The scope in which a name is bound."""
        scope: Scope | None = self
        while scope is not None:
            is_passed_on = any(one.how == "outer" for one in scope.bindings.get(name, ()))
            is_bound = name in scope.bindings or name in scope.parameters()
            if is_bound and not is_passed_on:
                return scope
            scope = scope.outer
        return None

    def parameters(self) -> dict[str, ast.arg]:
        """The parameters of the function."""
        if self.function is None:
            return {}
        given = self.function.args
        named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        named += [one for one in (given.vararg, given.kwarg) if one is not None]
        return {one.arg: one for one in named}

    def added(self, name: str) -> list[ast.expr]:
        """What is put into a list or a table of this scope later."""
        return (self.members if self.function is not None else self.file.members).get(name, [])

    def values(self, name: str) -> list[ast.expr]:
        """Everything that a name is given by an assignment, wherever it is bound."""
        home = self.home(name)
        if home is None:
            return []
        return [one.value for one in home.bindings.get(name, ()) if one.how == "value"]

    def annotation(self, name: str) -> set[str]:
        """The names in the annotation of a parameter, wherever it is one."""
        home = self.home(name)
        parameter = None if home is None else home.parameters().get(name)
        return set() if parameter is None else names(parameter.annotation)


class File:
    """A file of the program."""

    def __init__(
        self,
        tree: ast.Module,
        package: str,
        known: Mapping[str, Any],
        program: Mapping[str, File],
    ) -> None:
        """Reads the names of the module.

        Args:
            tree: What stands in it.
            package: The package that it is in, which relative imports begin from.
            known: The module's names as they are now.
            program: All files by the names of their modules, this one included.
        """
        self.tree = tree
        self.package = package
        self.known = known
        self.program = program
        # Names of the module that functions give something else, or put something into.
        self.reached: set[str] = set()
        self.members: dict[str, list[ast.expr]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Global | ast.Nonlocal):
                self.reached.update(node.names)
            for name, values in _put(node):
                self.members.setdefault(name, []).extend(values)
        self.module = Scope(self, None, None)
        self.module.bind(tree.body)

    def value(self, name: str) -> Any:
        """What a name of the module is now, where it has one."""
        return self.known.get(name)


class _Binder:
    """Gathers what the names of a scope are given; functions and classes in it have their own."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def read(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            self._visit(statement, is_certain=True)

    def _bind(
        self, name: str, how: str, value: Any, place: Place, *, is_certain: bool = False
    ) -> None:
        binding = Binding(how, value, place, is_certain)
        self._scope.bindings.setdefault(name, []).append(binding)

    def _target(
        self, target: ast.AST, how: str, value: ast.expr, place: Place, *, is_certain: bool
    ) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, how, value, place, is_certain=is_certain)
        elif isinstance(target, ast.Starred):
            self._target(target.value, "each", value, place, is_certain=is_certain)
        elif isinstance(target, ast.Tuple | ast.List):
            for index, part in enumerate(target.elts):
                single, one = "each", value
                is_alike = isinstance(value, ast.Tuple | ast.List) and how == "value"
                if is_alike and len(value.elts) == len(target.elts):  # type: ignore[attr-defined]
                    single, one = "value", value.elts[index]  # type: ignore[attr-defined]
                self._target(part, single, one, place, is_certain=is_certain)

    def _visit(self, node: ast.AST, *, is_certain: bool) -> None:
        always = (-math.inf, 0)
        for name, values in _put(node):
            self._scope.members.setdefault(name, []).extend(values)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                is_class = isinstance(node, ast.ClassDef)
                self._bind(node.name, "class" if is_class else "function", node, end(node))
                return
            case ast.Assign():
                for target in node.targets:
                    self._target(target, "value", node.value, end(node), is_certain=is_certain)
            case ast.AnnAssign(value=ast.expr() as value):
                self._target(node.target, "value", value, end(node), is_certain=is_certain)
            case ast.AugAssign(target=ast.Name(id=name)):
                self._bind(name, "added", node, end(node))
            case ast.NamedExpr(target=ast.Name(id=name)):
                self._bind(name, "value", node.value, end(node))
            case ast.For() | ast.AsyncFor():
                self._target(node.target, "each", node.iter, end(node.iter), is_certain=False)
                self._scope.loops.append((start(node), end(node)))
            case ast.While():
                self._scope.loops.append((start(node), end(node)))
            case ast.comprehension():
                self._target(node.target, "each", node.iter, always, is_certain=False)
            case ast.withitem(optional_vars=ast.expr() as target):
                place = end(node.context_expr)
                self._target(target, "with", node.context_expr, place, is_certain=False)
            case ast.Lambda():
                for argument in ast.walk(node.args):
                    if isinstance(argument, ast.arg):
                        self._bind(argument.arg, "other", None, always)
            case ast.Import():
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(alias.asname or whole, "import", (whole, None), end(node))
            case ast.ImportFrom():
                base = imported_from(node, self._scope.file.package)
                for alias in node.names:
                    bound = alias.asname or alias.name
                    self._bind(bound, "import", (base, alias.name), end(node))
            case ast.Global() | ast.Nonlocal():
                for name in node.names:
                    self._bind(name, "outer", None, always)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                self._bind(name, "other", None, start(node))
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                self._bind(name, "other", None, start(node))
        is_certain = is_certain and isinstance(node, ast.With | ast.AsyncWith)
        for child in ast.iter_child_nodes(node):
            self._visit(child, is_certain=is_certain)


def _put(node: ast.AST) -> Iterator[tuple[str, list[ast.expr]]]:
    """What is put into a list or a table that has a name."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
            if attribute in {"append", "add", "extend", "update", "insert", "setdefault"}:
                yield name, [*node.args, *(word.value for word in node.keywords)]
        case ast.Assign():
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                    yield target.value.id, [node.value]


def imported_from(node: ast.ImportFrom, package: str) -> str:
    """The module that names are imported from."""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join(filter(None, [*(above if node.level else []), node.module]))


def text(node: ast.AST) -> str | None:
    """A text that stands in the source."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, bytes):
            return node.value.decode("latin-1")
    return None


def called(node: ast.Call) -> str:
    """What a call calls, without what it belongs to."""
    return last(node.func)


def last(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def names(annotation: ast.expr | None) -> set[str]:
    """The names in an annotation."""
    if annotation is None:
        return set()
    written = text(annotation)
    if written is not None:
        try:
            annotation = ast.parse(written, mode="eval").body
        except SyntaxError:
            return {written}
    found = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name | ast.Attribute):
            found.add(last(node))
        elif isinstance(node, ast.Constant) and node.value is None:
            found.add("None")
    return found


def start(node: ast.AST) -> Place:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def end(node: ast.AST) -> Place:
    return getattr(node, "end_lineno", None) or 0, getattr(node, "end_col_offset", None) or 0

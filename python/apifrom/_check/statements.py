"""What a program gives to databases as statements.

1. A text that is built is a finding where it looks like SQL, whatever database is meant; where a
   `Database` of this package is, any text that is built, and any text of a request.
2. What `sql(…)` composes is none: it is judged where it is given texts itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from apifrom._apifrom import BaseDatabase, sql
from apifrom._check.names import Scope, called
from apifrom._check.texts import Kind, Text, read

__all__ = ["statements"]

_LOOKS = re.compile(
    r"\b(select|insert|update|delete|replace|create|drop|alter|with|where|order\s+by)\b",
    re.IGNORECASE,
)
_CALLS = re.compile(r"^a?(query|query_one|execute|execute_many|executemany|executescript)$")
_SERVICES = {"Database", "Transaction", "AsyncTransaction"}
_DEEPEST = 8


def statements(node: ast.Call, scope: Scope) -> Iterator[tuple[ast.expr, Text, str]]:
    """The statements of a call that are no literals.

    Args:
        node: The call.
        scope: Where it stands.

    Yields:
        The argument, what is known of it, and what is wrong with it.
    """
    name = called(node)
    is_ours = _is_ours(node.func, scope)
    for statement in _given(node, name):
        found = read(statement, scope)
        if found.kind is Kind.BUILT and (is_ours or _LOOKS.search(found.constants)):
            yield statement, found, f"{name} is given a statement that is put together"
        elif found.kind is Kind.REQUEST and is_ours:
            yield statement, found, f"{name} is given a text of the request as its statement"


def _given(node: ast.Call, name: str) -> list[ast.expr]:
    """What a call is given as SQL."""
    if not node.args:
        return []
    if name == "sql" or (isinstance(node.func, ast.Attribute) and _CALLS.match(name)):
        return node.args[:1]
    if name == "migrate" and isinstance(node.args[0], ast.List | ast.Tuple):
        steps = [step for step in node.args[0].elts if isinstance(step, ast.Tuple)]
        return [step.elts[1] for step in steps if len(step.elts) == 2]
    return []


def _is_ours(node: ast.expr, scope: Scope) -> bool:
    if isinstance(node, ast.Name):
        return _is_outer(scope.home(node.id), scope) and scope.file.value(node.id) is sql
    return isinstance(node, ast.Attribute) and _is_database(node.value, scope)


def _is_database(node: ast.expr, scope: Scope, depth: int = 0) -> bool:
    """True for what is a `Database` of this package, or a transaction on one."""
    if isinstance(node, ast.Await):
        return _is_database(node.value, scope, depth)
    if isinstance(node, ast.Call):
        if called(node) in {"transaction", "atransaction"} and isinstance(node.func, ast.Attribute):
            return _is_database(node.func.value, scope, depth)
        return called(node) == "Database"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = scope.file.value(node.value.id)
        return isinstance(getattr(module, "__dict__", {}).get(node.attr), BaseDatabase)
    if not isinstance(node, ast.Name) or depth > _DEEPEST:
        return False
    home = scope.home(node.id)
    if _is_outer(home, scope):
        # What a name of the module is need not be guessed: the program was imported.
        if isinstance(scope.file.value(node.id), BaseDatabase):
            return True
    elif scope.annotation(node.id) & _SERVICES:
        return True
    if home is None:
        return False
    given = [one.value for one in home.bindings.get(node.id, ()) if one.how in {"value", "with"}]
    return any(_is_database(one, home, depth + 1) for one in given)


def _is_outer(home: Scope | None, scope: Scope) -> bool:
    """True for a name of the module, also one that came by `import *`."""
    return home is None or home is scope.file.module

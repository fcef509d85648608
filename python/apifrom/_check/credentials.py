"""Secrets that stand in the source, and credentials that are written out.

1. A secret is a text under a name that says so: a keyword (`secret=`), a variable (`JWT_SECRET`), a
   key of a dictionary; the text of a `Secret`; the password in the URL of a database or of Redis.
2. It stands there too as what is taken where nothing was set: the default of a look-up in the
   environment, what follows an `or`, one of two branches; and by a name that was given it.
3. A credential is written out where its name, all headers or all cookies of a request, or what
   `expose()` gives are among what is printed or logged. Whether there is one, and how long it is,
   may be.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from apifrom._check.names import Scope, called, text

__all__ = ["KEYWORDS", "defaulted", "is_secret", "literals", "named", "secrets", "shown"]

KEYWORDS = {"secret", "client_secret", "ssl_keyfile_password", "password"}
"""The arguments that are secrets."""

_SECRET = re.compile(
    r"(^|_)(secret|secret_key|password|passwd|passphrase|api_?key|token|private_key)$",
    re.IGNORECASE,
)
# These look a secret up, or are given one to compare.
_TAKING = {"secret", "hash_password", "verify_password"}
_WRAPPING = {"Secret", "str", "bytes", "b64decode", "bytearray"}
_CREDENTIALS = {"token", "password", "secret", "api_key", "access_token", "authorization"}
_HEADERS = _CREDENTIALS | {"x_api_key", "cookie", "set_cookie", "proxy_authorization"}
_TELLING_NOTHING = {"len", "bool", "type", "isinstance"}
_DEEPEST = 8

Place = tuple[ast.expr, str, str]
"""The text, the name it is known by, and what is wrong."""


def named(name: str) -> bool:
    """True of a name that says it is a secret."""
    return _SECRET.search(name) is not None


def is_secret(node: ast.AST, name: str | None) -> bool:
    """True for a text that is more than a name for the thing."""
    written = text(node)
    if not written or name is None or len(written) < 4 or "://" in written:
        return False
    plain = {name.lower(), name.lower().replace("_", "-"), *name.lower().split("_")}
    return written.lower().removeprefix("x-") not in plain


def secrets(node: ast.Call, scope: Scope, place: str) -> Iterator[Place]:
    """The secrets that stand in a call, or in what it is given."""
    name = called(node)
    given = [(word.arg or "", word.value) for word in node.keywords if word.arg in KEYWORDS]
    if name == "jwt_required" and node.args:
        given.append(("secret", node.args[0]))
    if name == "Secret" and node.args:
        given.append(("value", node.args[0]))
    if name in {"get", "getenv"} and len(node.args) == 2:
        variable = text(node.args[0]) or ""
        if named(variable) and is_secret(node.args[1], variable):
            yield node.args[1], variable, _default(variable)
    for argument, value in given:
        # The name is the argument's, so whatever text stands there is the secret.
        for literal in literals(value, scope) if name not in _TAKING else ():
            label = value.id if isinstance(value, ast.Name) else f"{place} {name} {argument}"
            yield literal, label.lstrip(), f"{argument} of {name} is written here"
    urls = [word.value for word in node.keywords if word.arg == "redis_url"]
    if name == "Database":
        urls += [*node.args[:1], *(word.value for word in node.keywords if word.arg == "url")]
    for value in urls:
        for literal in literals(value, scope):
            if _has_password(text(literal) or ""):
                label = value.id if isinstance(value, ast.Name) else f"{place} {name} url"
                message = f"the password in the URL of {name} is written here"
                yield literal, label.lstrip(), message


def defaulted(node: ast.expr) -> Iterator[ast.expr]:
    """The texts that are taken where the environment does not say."""
    if isinstance(node, ast.Call) and _is_environment(node):
        yield from node.args[1:2]
    elif (
        isinstance(node, ast.BoolOp)
        and isinstance(node.op, ast.Or)
        and any(isinstance(one, ast.Call) and _is_environment(one) for one in node.values)
    ):
        yield from node.values[1:]


def literals(node: ast.expr, scope: Scope, depth: int = 0) -> Iterator[ast.expr]:
    """The texts of the source that an expression may be."""
    if depth > _DEEPEST:
        return
    parts: Iterable[ast.expr] = ()
    match node:
        case ast.Constant():
            if text(node):
                yield node
        case ast.Name():
            home = scope.home(node.id)
            for value in scope.values(node.id) if home is not None else ():
                yield from literals(value, home or scope, depth + 1)
        case ast.BoolOp():
            parts = node.values
        case ast.IfExp():
            parts = [node.body, node.orelse]
        case ast.NamedExpr():
            parts = [node.value]
        case ast.Call(func=ast.Attribute(attr="encode"), args=[] | [_]):
            parts = [node.func.value]  # type: ignore[attr-defined]
        case ast.Call() if _is_environment(node):
            parts = node.args[1:2]
        case ast.Call() if called(node) in _WRAPPING:
            parts = node.args[:1]
    for part in parts:
        yield from literals(part, scope, depth + 1)


def shown(node: ast.Call, scope: Scope) -> Iterator[str]:
    """The credentials among what a call writes out."""
    for argument in [*node.args, *(word.value for word in node.keywords)]:
        yield from _told(argument, scope)


def _told(node: ast.AST, scope: Scope) -> Iterator[str]:
    match node:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return
        case ast.Call(func=ast.Name(id=name)) if name in _TELLING_NOTHING:
            return
        case ast.Call(func=ast.Attribute(attr="expose", value=held), args=[]):
            yield f"what {ast.unparse(held)} holds"
            return
        case ast.Call(func=ast.Attribute(attr="keys", value=held)) if _is_all(held, scope):
            return
        case ast.DictComp() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            # What is chosen from many was chosen for what it is.
            if any(part.ifs for part in node.generators):
                return
        case ast.Call(func=ast.Attribute(attr="get", value=held), args=[key, *rest]):
            if (found := _credential(text(key), _HEADERS)) is not None:
                yield found
            if not _is_all(held, scope):
                yield from _told(held, scope)
            for part in rest:
                yield from _told(part, scope)
            return
        case ast.Subscript():
            if (found := _credential(text(node.slice), _HEADERS)) is not None:
                yield found
            if not _is_all(node.value, scope):
                yield from _told(node.value, scope)
            return
        case ast.Attribute():
            if _is_all(node, scope):
                yield f"all of {ast.unparse(node)}"
            if (found := _credential(node.attr, _CREDENTIALS)) is not None:
                yield found
        case ast.Name(id=identifier):
            if (found := _credential(identifier, _CREDENTIALS)) is not None:
                yield found
    for child in ast.iter_child_nodes(node):
        yield from _told(child, scope)


def _credential(name: str | None, known: set[str]) -> str | None:
    is_known = name is not None and name.lower().replace("-", "_") in known
    return name if is_known else None


def _is_all(node: ast.AST, scope: Scope) -> bool:
    """True of all headers and of all cookies of a request."""
    if not isinstance(node, ast.Attribute) or node.attr not in {"headers", "cookies"}:
        return False
    owner = node.value
    if isinstance(owner, ast.Attribute):
        return owner.attr in {"request", "req"}
    if not isinstance(owner, ast.Name):
        return False
    return owner.id in {"request", "req"} or bool(
        scope.annotation(owner.id) & {"Request", "SyncRequest"}
    )


def _is_environment(node: ast.Call) -> bool:
    if called(node) == "getenv":
        return True
    held = node.func.value if isinstance(node.func, ast.Attribute) else None
    name = getattr(held, "attr", getattr(held, "id", ""))
    return called(node) in {"get", "setdefault", "pop"} and name == "environ"


def _default(variable: str) -> str:
    return f"{variable} has a default, which is taken where it is not set"


def _has_password(url: str) -> bool:
    try:
        password = urlsplit(url).password
    except ValueError:
        return False
    # A place that is filled in later is no password.
    return bool(password) and not re.match(r"[{$%<]", password or "")

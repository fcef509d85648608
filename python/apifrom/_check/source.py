"""What only the source shows: secrets that stand in it, and statements that are put together.

1. Read are the files of the program itself: the module that makes the API, and whatever it imports
   from the same directory. Installed packages are not the program.
2. A secret is a text under a name that says so: a keyword (`secret=`), a variable
   (`JWT_SECRET`), a key of a dictionary, or the default of a look-up in the environment.
3. A statement is put together where a value stands in it: an f-string, `+`, `%`, `.format`,
   directly in the call or by a name that was given such a text in the same function. What is put
   together from literals alone, and from names of the module that are literals, is a literal.
"""

from __future__ import annotations

import ast
import ipaddress
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apifrom._check import RULES, Finding, shown_path

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["judge"]

_LARGEST = 4 << 20
_SECRET = re.compile(
    r"(^|_)(secret|secret_key|password|passwd|passphrase|api_?key|token|private_key)$",
    re.IGNORECASE,
)
_KEYWORDS = {"secret", "client_secret", "ssl_keyfile_password", "password"}
_CREDENTIALS = {"token", "password", "secret", "api_key", "access_token", "authorization"}
_STATEMENT = re.compile(
    r"\b(select|insert|update|delete|replace|create|drop|alter|with|where|order\s+by)\b",
    re.IGNORECASE,
)
_CALLS = re.compile(r"^a?(query|query_one|execute|execute_many|executemany|executescript)$")
_LOGS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
_WRITES = {"api", "post", "put", "patch"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def judge(app: API, posture: dict[str, Any]) -> list[Finding]:
    """Reads the program's files.

    Args:
        app: The API whose program it is.
        posture: What is known of it.

    Returns:
        What is weak in them.
    """
    trusts = bool(posture["api"]["trusted_proxies"])
    found: dict[tuple[str, int, int, str], Finding] = {}
    for path, tree in _trees(app):
        reading = _Reading(shown_path(path), tree, trusts=trusts)
        for node, finding in reading.findings():
            key = (path, node.lineno, node.col_offset, finding.rule.id)
            found.setdefault(key, finding)
    return list(found.values())


def _trees(app: API) -> Iterator[tuple[str, ast.Module]]:
    """The files of the program, each with what stands in it."""
    first = str(app.module.get("__name__", ""))
    root = _root(app, first)
    if root is None:
        return
    waiting = [first]
    known = {first}
    while waiting:
        module = sys.modules.get(waiting.pop())
        path = getattr(module, "__file__", None)
        if module is None or not isinstance(path, str) or not _is_own(Path(path).resolve(), root):
            continue
        try:
            if Path(path).stat().st_size > _LARGEST:
                continue
            tree = ast.parse(Path(path).read_bytes(), filename=path)
        except (OSError, SyntaxError, ValueError, RecursionError):
            # It was imported, so what cannot be read now has changed since.
            continue
        yield path, tree
        package = getattr(module, "__package__", None) or ""
        fresh = set(_imported(tree, package)) - known
        known |= fresh
        waiting += sorted(fresh)


def _root(app: API, name: str) -> Path | None:
    """The directory from which the program is imported."""
    made_in = app.module.get("__file__")
    if not isinstance(made_in, str):
        return None
    made = Path(made_in).resolve()
    root = made.parent.parent if made.name == "__init__.py" else made.parent
    for _ in range(name.count(".")):
        root = root.parent
    return root


def _is_own(path: Path, root: Path) -> bool:
    is_installed = {"site-packages", "dist-packages"} & set(path.parts)
    ours = Path(__file__).resolve().parent.parent
    is_elsewhere = path.is_relative_to(ours) or path.is_relative_to(sys.base_prefix)
    return path.suffix == ".py" and path.is_relative_to(root) and not (is_installed or is_elsewhere)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The names of the modules that a file imports, and of the packages that they are in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(filter(None, [*(above if node.level else []), node.module]))
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: index + 1]) for index in range(len(parts)))


class _Reading:
    """One file."""

    def __init__(self, file: str, tree: ast.Module, *, trusts: bool) -> None:
        self._file = file
        self._tree = tree
        self._trusts = trusts
        self._texts = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and _text(node.value) is not None
        }
        # A name that is bound anywhere else, an argument's too, may be something else there.
        bound = Counter(_bound(tree))
        self._constants = {name for name in self._texts if bound[name] == 1}

    def findings(self) -> Iterator[tuple[ast.expr, Finding]]:
        yield from self._walk(self._tree, "", {})

    def _finding(self, rule: str, node: ast.expr, name: str, message: str) -> Finding:
        subject = f"{self._file} {name}".rstrip()
        return Finding(
            RULES[rule], subject, message, function=None, file=self._file, line=node.lineno
        )

    def _walk(
        self, node: ast.AST, scope: str, built: dict[str, ast.expr]
    ) -> Iterator[tuple[ast.expr, Finding]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Function):
                inner = f"{scope}.{child.name}".lstrip(".")
                yield from self._body(child, inner)
                yield from self._walk(child, inner, {**built, **_built_names(child)})
                continue
            if isinstance(child, ast.ClassDef):
                yield from self._walk(child, f"{scope}.{child.name}".lstrip("."), built)
                continue
            if isinstance(child, ast.Assign | ast.AnnAssign):
                yield from self._assigned(child, scope)
            elif isinstance(child, ast.Dict):
                yield from self._dictionary(child, scope)
            elif isinstance(child, ast.Call):
                yield from self._call(child, scope, built)
            elif isinstance(child, ast.Constant) and "PRIVATE KEY-----" in (_text(child) or ""):
                message = "a private key stands here"
                yield child, self._finding("AF801", child, scope, message)
            yield from self._walk(child, scope, built)

    def _assigned(
        self, node: ast.Assign | ast.AnnAssign, scope: str
    ) -> Iterator[tuple[ast.expr, Finding]]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = getattr(target, "id", getattr(target, "attr", ""))
            if node.value is not None and _SECRET.search(name) and _is_secret(node.value, name):
                message = f"{name} is written here"
                yield node.value, self._finding("AF801", node.value, name, message)

    def _dictionary(self, node: ast.Dict, scope: str) -> Iterator[tuple[ast.expr, Finding]]:
        for key, value in zip(node.keys, node.values, strict=True):
            name = _text(key) if key is not None else None
            if name in _KEYWORDS - {"password"} and _is_secret(value, name):
                label = f"{scope} {name}".lstrip()
                yield value, self._finding("AF801", value, label, f"{name} is written here")

    def _call(
        self, node: ast.Call, scope: str, built: dict[str, ast.expr]
    ) -> Iterator[tuple[ast.expr, Finding]]:
        name = _called(node)
        yield from self._secrets(node, name, scope)
        for statement in _statements(node, name):
            meant = statement
            if isinstance(statement, ast.Name):
                meant = built.get(statement.id, statement)
            if self._is_put_together(meant):
                message = f"{name} is given a statement that is put together"
                yield statement, self._finding("AF802", statement, scope, message)
        if name == "insecure_raw":
            message = "a text is taken as a statement"
            yield node, self._finding("AF803", node, scope, message)
        is_log = isinstance(node.func, ast.Attribute) and name in _LOGS
        if is_log or (name == "print" and isinstance(node.func, ast.Name)):
            for shown in _shown(node):
                message = f"{shown} is written out by {name}"
                yield node, self._finding("AF804", node, scope, message)
                break
        if name == "set_cookie":
            yield from self._cookie(node, scope)
        if name == "run" and isinstance(node.func, ast.Attribute):
            yield from self._served(node)

    def _is_put_together(self, node: ast.expr) -> bool:
        if not _is_built(node) or self._is_literal(node):
            return False
        return _STATEMENT.search(_constant_text(node)) is not None

    def _is_literal(self, node: ast.expr) -> bool:
        """True for what is made of this file's own texts."""
        match node:
            case ast.Constant():
                return True
            case ast.Name():
                return node.id in self._constants
            case ast.BinOp(op=ast.Add()):
                return self._is_literal(node.left) and self._is_literal(node.right)
            case ast.IfExp():
                return self._is_literal(node.body) and self._is_literal(node.orelse)
            case ast.JoinedStr():
                return all(map(self._is_literal, node.values))
            case ast.FormattedValue():
                return self._is_literal(node.value)
        return False

    def _secrets(self, node: ast.Call, name: str, scope: str) -> Iterator[tuple[ast.expr, Finding]]:
        given = [(word.arg or "", word.value) for word in node.keywords if word.arg in _KEYWORDS]
        if name == "jwt_required" and node.args:
            given.append(("secret", node.args[0]))
        if name in {"get", "getenv"} and len(node.args) == 2:
            variable = _text(node.args[0]) or ""
            if _SECRET.search(variable) and _is_secret(node.args[1], variable):
                message = f"{variable} has a default, which is taken where it is not set"
                yield node.args[1], self._finding("AF801", node.args[1], variable, message)
        for argument, value in given:
            literal = value
            if isinstance(value, ast.Name):
                literal = self._texts.get(value.id, value)
            # The name is the argument's, so whatever text stands there is the secret.
            if _text(literal) and name not in {"secret", "hash_password", "verify_password"}:
                label = value.id if isinstance(value, ast.Name) else f"{scope} {name} {argument}"
                message = f"{argument} of {name} is written here"
                yield literal, self._finding("AF801", literal, label.lstrip(), message)

    def _cookie(self, node: ast.Call, scope: str) -> Iterator[tuple[ast.expr, Finding]]:
        words = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        weak = [name for name in ("secure", "httponly") if words.get(name) is False]
        if str(words.get("samesite", "")).lower() == "none" and "samesite" in words:
            weak.append("samesite")
        if weak:
            message = f"{', '.join(weak)} of a cookie"
            yield node, self._finding("AF807", node, scope, message)

    def _served(self, node: ast.Call) -> Iterator[tuple[ast.expr, Finding]]:
        words = {word.arg: word.value for word in node.keywords}
        host = words.get("host", node.args[0] if node.args else None)
        text = _text(host) if host is not None else None
        known = {"host", "port", "access_log", "uds", "workers", "ssl_certfile", "ssl_keyfile"}
        if not known & set(words):
            return  # `run` of something else.
        if text and not _is_local(text) and "ssl_certfile" not in words and not self._trusts:
            message = f"listens on {text} without TLS"
            yield node, self._finding("AF401", node, "run", message)
        log = words.get("access_log")
        if isinstance(log, ast.Constant) and log.value is False:
            yield node, self._finding("AF704", node, "run", "access_log is off")

    def _body(self, node: _Function, scope: str) -> Iterator[tuple[ast.expr, Finding]]:
        decorators = [one for one in node.decorator_list if isinstance(one, ast.Call)]
        if not any(_called(one) in _WRITES and _may_write(one) for one in decorators):
            return
        arguments = [*node.args.args, *node.args.kwonlyargs]
        for argument in arguments:
            if argument.annotation is not None and _is_anything(argument.annotation):
                message = f"{argument.arg} may hold anything"
                where = argument.annotation
                yield where, self._finding("AF806", where, scope, message)


def _bound(tree: ast.AST) -> Iterator[str]:
    """The names that are given a value, each as often as it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, bytes):
            return node.value.decode("latin-1")
    return None


def _is_secret(node: ast.AST, name: str) -> bool:
    """True for a text that is more than a name for the thing."""
    text = _text(node)
    if not text or len(text) < 4 or "://" in text:
        return False
    plain = {name.lower(), name.lower().replace("_", "-"), *name.lower().split("_")}
    return text.lower().removeprefix("x-") not in plain


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _statements(node: ast.Call, name: str) -> list[ast.expr]:
    """What a call is given as SQL."""
    if not node.args:
        return []
    if name == "sql" or (isinstance(node.func, ast.Attribute) and _CALLS.match(name)):
        return node.args[:1]
    if name == "migrate" and isinstance(node.args[0], ast.List | ast.Tuple):
        steps = [step for step in node.args[0].elts if isinstance(step, ast.Tuple)]
        return [step.elts[1] for step in steps if len(step.elts) == 2]
    return []


def _is_built(node: ast.AST) -> bool:
    """True where a value becomes part of a text."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _constant_of(node.left) is None or _constant_of(node.right) is None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"format", "format_map", "join", "replace"}
    )


def _constant_of(node: ast.AST) -> str | None:
    """The text of what is put together from literals alone."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _constant_of(node.left), _constant_of(node.right)
        return None if left is None or right is None else left + right
    return _text(node)


def _constant_text(node: ast.AST) -> str:
    return " ".join(filter(None, (_text(part) for part in ast.walk(node))))


def _built_names(function: _Function) -> dict[str, ast.expr]:
    """The names that are given a text which is put together, in this function."""
    built: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _is_built(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    built[target.id] = node.value
        elif (
            isinstance(node, ast.AugAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(node.op, ast.Add)
            and _text(node.value) is None
        ):
            # What it was before is a statement, or the call would not be given it.
            begun = ast.Constant("select")
            built[node.target.id] = ast.BinOp(begun, ast.Add(), node.value)
    return built


def _shown(node: ast.Call) -> Iterator[str]:
    """The credentials among what a call writes out."""
    for argument in [*node.args, *(word.value for word in node.keywords)]:
        for part in ast.walk(argument):
            if isinstance(part, ast.Call):
                continue
            name = getattr(part, "id", getattr(part, "attr", None))
            if isinstance(part, ast.Subscript):
                name = _text(part.slice)
            if isinstance(name, str) and name.lower() in _CREDENTIALS:
                yield name


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _may_write(decorator: ast.Call) -> bool:
    if _called(decorator) != "api":
        return True
    named = [word.value for word in decorator.keywords if word.arg in {"method", "methods"}]
    named += decorator.args[1:2]
    return any(
        (_text(part) or "").upper() in {"POST", "PUT", "PATCH"}
        for value in named
        for part in ast.walk(value)
    )


def _is_anything(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Subscript):
        last = annotation.slice
        if isinstance(last, ast.Tuple):
            last = last.elts[-1]
        return getattr(annotation.value, "id", "") in {"dict", "Dict"} and _is_anything(last)
    return getattr(annotation, "id", getattr(annotation, "attr", "")) in {"dict", "Any", "object"}

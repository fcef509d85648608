"""What only the source shows: secrets that stand in it, and statements that are put together.

1. Read are the files of the program itself: the module that makes the API, and whatever it imports
   from the same directory. Installed packages are not the program, and tests in its files
   (`def test_…`) are not either.
2. `credentials` knows secrets and what writes them out, `statements` what databases are given, and
   `texts` what of it is the program's own, by the `names` it has.
3. A finding has a fingerprint of its expression, so that two in one function are told apart. That
   of a secret has none: what was digested could be guessed from it.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import ipaddress
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from apifrom._check import RULES, Finding, credentials, shown_path
from apifrom._check.names import File, Function, Scope, called, imported_from, text
from apifrom._check.statements import statements
from apifrom.api import API

__all__ = ["judge"]

_LARGEST = 4 << 20
_LOGS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
_WRITES = {"api", "post", "put", "patch"}
_SERVED = {"host", "port", "access_log", "uds", "workers", "ssl_certfile", "ssl_keyfile"}
_Found = Iterator[tuple[ast.expr, Finding]]


def judge(app: API, *, trusts: bool) -> list[Finding]:
    """Reads the program's files.

    Args:
        app: The API whose program it is.
        trusts: Whether a proxy stands in front, which speaks TLS.

    Returns:
        What is weak in them.
    """
    found: dict[tuple[str, int, int, str], Finding] = {}
    for path, file in _files(app):
        reading = _Reading(shown_path(path), file, trusts=trusts)
        # What nests deeper than this interpreter goes is data, and read no further.
        with contextlib.suppress(RecursionError):
            for node, finding in reading.findings():
                key = (path, node.lineno, node.col_offset, finding.rule.id)
                found.setdefault(key, finding)
    return list(found.values())


def _files(app: API) -> list[tuple[str, File]]:
    """The files of the program."""
    program: dict[str, File] = {}
    files = []
    for name, path, tree in _trees(app):
        module = sys.modules[name]
        package = getattr(module, "__package__", None) or ""
        with contextlib.suppress(RecursionError):
            program[name] = File(tree, package, vars(module), program)
            files.append((path, program[name]))
    return files


def _trees(app: API) -> Iterator[tuple[str, str, ast.Module]]:
    """The modules of the program, each with its file and what stands in it."""
    first = str(app.module.get("__name__", ""))
    # `python -m shop.main` calls it otherwise than who imports it.
    spec = app.module.get("__spec__") if first == "__main__" else None
    root = _root(app, first if spec is None else spec.name)
    if root is None:
        return
    waiting = [first]
    known = {first}
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
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
        yield name, path, tree
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
            base = imported_from(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: index + 1]) for index in range(len(parts)))


class _Reading:
    """One file."""

    def __init__(self, name: str, file: File, *, trusts: bool) -> None:
        self._name = name
        self._file = file
        self._trusts = trusts

    def findings(self) -> _Found:
        yield from self._walk(self._file.tree, "", self._file.module)

    def _finding(
        self, rule: str, node: ast.expr, name: str, message: str, parts: Iterable[ast.AST] = ()
    ) -> Finding:
        return Finding(
            RULES[rule],
            f"{self._name} {name}".rstrip(),
            message,
            file=self._name,
            line=node.lineno,
            fingerprint=None if rule == "AF801" else _fingerprint(parts or [node]),
        )

    def _walk(self, node: ast.AST, place: str, scope: Scope) -> _Found:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                if not _is_test(child):
                    inner = f"{place}.{child.name}".lstrip(".")
                    yield from self._body(child, inner)
                    yield from self._function(child, inner, scope)
                continue
            if isinstance(child, ast.ClassDef):
                yield from self._walk(child, f"{place}.{child.name}".lstrip("."), scope)
                continue
            if isinstance(child, ast.Assign | ast.AnnAssign):
                yield from self._assigned(child, place)
            elif isinstance(child, ast.Dict):
                yield from self._dictionary(child, place)
            elif isinstance(child, ast.Call):
                yield from self._call(child, place, scope)
            elif isinstance(child, ast.Constant) and "PRIVATE KEY-----" in (text(child) or ""):
                message = "a private key stands here"
                yield child, self._finding("AF801", child, place, message)
            yield from self._walk(child, place, scope)

    def _function(self, node: Function, place: str, scope: Scope) -> _Found:
        """What stands in a function; its decorators and defaults stand outside."""
        inner = scope.inner(node)
        for around in (*node.decorator_list, node.args, node.returns):
            if around is not None:
                yield from self._walk(ast.Expression(around), place, scope)  # type: ignore[arg-type]
        yield from self._walk(ast.Module(node.body, []), place, inner)

    def _assigned(self, node: ast.Assign | ast.AnnAssign, place: str) -> _Found:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = getattr(target, "id", getattr(target, "attr", ""))
            if node.value is not None and credentials.named(name):
                for value in (node.value, *credentials.defaulted(node.value)):
                    if credentials.is_secret(value, name):
                        message = f"{name} is written here"
                        yield value, self._finding("AF801", value, name, message)
            if node.value is not None and _is_cookie_header(target):
                yield from self._raw_cookie(node.value, place)

    def _dictionary(self, node: ast.Dict, place: str) -> _Found:
        for key, value in zip(node.keys, node.values, strict=True):
            name = text(key) if key is not None else None
            is_named = name in credentials.KEYWORDS - {"password"}
            if is_named and credentials.is_secret(value, name):
                label = f"{place} {name}".lstrip()
                yield value, self._finding("AF801", value, label, f"{name} is written here")

    def _call(self, node: ast.Call, place: str, scope: Scope) -> _Found:
        name = called(node)
        for literal, label, message in credentials.secrets(node, scope, place):
            yield literal, self._finding("AF801", literal, label, message)
        for statement, found, message in statements(node, scope):
            yield statement, self._finding("AF802", statement, place, message, found.parts)
        if name == "insecure_raw":
            message = "a text is taken as a statement"
            yield node, self._finding("AF803", node, place, message)
        is_log = isinstance(node.func, ast.Attribute) and name in _LOGS
        if is_log or (name == "print" and isinstance(node.func, ast.Name)):
            for shown in credentials.shown(node, scope):
                message = f"{shown} is written out by {name}"
                yield node, self._finding("AF804", node, place, message)
                break
        if name == "set_cookie":
            yield from self._cookie(node, place)
        yield from self._headers(node, place)
        if name == "run" and isinstance(node.func, ast.Attribute):
            yield from self._served(node, node.func.value, scope)

    def _cookie(self, node: ast.Call, place: str) -> _Found:
        words = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        weak = [name for name in ("secure", "httponly") if words.get(name) is False]
        if str(words.get("samesite", "")).lower() == "none" and "samesite" in words:
            weak.append("samesite")
        if weak:
            message = f"{', '.join(weak)} of a cookie"
            yield node, self._finding("AF807", node, place, message)

    def _headers(self, node: ast.Call, place: str) -> _Found:
        """Cookies among the headers that a call is given."""
        for word in node.keywords:
            pairs: list[tuple[ast.expr | None, ast.expr]] = []
            if word.arg == "headers" and isinstance(word.value, ast.Dict):
                pairs = list(zip(word.value.keys, word.value.values, strict=True))
            elif word.arg == "headers" and isinstance(word.value, ast.List | ast.Tuple):
                listed = [one for one in word.value.elts if isinstance(one, ast.Tuple)]
                pairs = [(one.elts[0], one.elts[1]) for one in listed if len(one.elts) == 2]
            for key, value in pairs:
                if key is not None and (text(key) or "").lower() == "set-cookie":
                    yield from self._raw_cookie(value, place)

    def _raw_cookie(self, node: ast.expr, place: str) -> _Found:
        """A cookie that is written as a header; what is made elsewhere is not judged."""
        for cookie in node.elts if isinstance(node, ast.List | ast.Tuple) else [node]:
            if text(cookie) is None and not isinstance(cookie, ast.JoinedStr | ast.BinOp):
                continue
            written = "".join(filter(None, (text(part) for part in ast.walk(cookie))))
            attributes = {one.strip().lower().replace(" ", "") for one in written.split(";")[1:]}
            weak = [name for name in ("secure", "httponly") if name not in attributes]
            weak += ["samesite"] if "samesite=none" in attributes else []
            if weak:
                message = f"{', '.join(weak)} of a cookie"
                yield cookie, self._finding("AF807", cookie, place, message)

    def _served(self, node: ast.Call, owner: ast.expr, scope: Scope) -> _Found:
        words = {word.arg: word.value for word in node.keywords if word.arg is not None}
        for word in node.keywords:
            if word.arg is None and isinstance(word.value, ast.Dict):
                pairs = zip(word.value.keys, word.value.values, strict=True)
                words |= {text(key) or "": value for key, value in pairs if key is not None}
        host = words.get("host", node.args[0] if node.args else None)
        if isinstance(host, ast.Name):
            given = scope.values(host.id)
            host = given[0] if len(given) == 1 else None
        listened = text(host) if host is not None else None
        is_named = isinstance(owner, ast.Name) and isinstance(self._file.value(owner.id), API)
        if not (is_named or _SERVED & set(words) or _is_address(listened)):
            return  # `run` of something else.
        is_elsewhere = {"ssl_certfile", "uds", "fd"} & set(words) or self._trusts
        if listened and not _is_local(listened) and not is_elsewhere:
            message = f"listens on {listened} without TLS"
            yield node, self._finding("AF401", node, "run", message)
        log = words.get("access_log")
        if isinstance(log, ast.Constant) and log.value is False:
            yield node, self._finding("AF704", node, "run", "access_log is off")

    def _body(self, node: Function, place: str) -> _Found:
        decorators = [one for one in node.decorator_list if isinstance(one, ast.Call)]
        if not any(called(one) in _WRITES and _may_write(one) for one in decorators):
            return
        arguments = [*node.args.args, *node.args.kwonlyargs]
        for argument in arguments:
            if argument.annotation is not None and _is_anything(argument.annotation):
                message = f"{argument.arg} may hold anything"
                where = argument.annotation
                yield where, self._finding("AF806", where, place, message)


def _fingerprint(parts: Iterable[ast.AST]) -> str:
    """A digest of expressions, which stays the same while lines and spaces change."""
    written = "\n".join(dict.fromkeys(ast.unparse(part) for part in parts))
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_test(node: Function) -> bool:
    """True for what pytest collects."""
    decorators = [ast.unparse(one) for one in node.decorator_list]
    return node.name.startswith("test_") and all(one.startswith("pytest.") for one in decorators)


def _is_cookie_header(target: ast.expr) -> bool:
    return (
        isinstance(target, ast.Subscript)
        and getattr(target.value, "attr", getattr(target.value, "id", "")) == "headers"
        and (text(target.slice) or "").lower() == "set-cookie"
    )


def _is_address(host: str | None) -> bool:
    try:
        return host is not None and bool(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _may_write(decorator: ast.Call) -> bool:
    if called(decorator) != "api":
        return True
    named = [word.value for word in decorator.keywords if word.arg in {"method", "methods"}]
    named += decorator.args[1:2]
    return any(
        (text(part) or "").upper() in {"POST", "PUT", "PATCH"}
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

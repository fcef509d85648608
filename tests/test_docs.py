"""The programs in the documents run, and hold what they assert."""

from __future__ import annotations

import re
import sys
import textwrap
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks():
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for path in [*documents, *sorted((ROOT / "python" / "apifrom").glob("*.py"))]:
        text = path.read_text()
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 2
            source = textwrap.dedent(found[1])
            yield pytest.param(path, line, source, id=f"{path.name}:{line}")


# What stands around a piece of a program.
AROUND = """
from apifrom import API, Router
from apifrom.middleware import Middleware
from apifrom.security import jwt_required, secret

app = API()


@app.get("/hello/{name}")
def hello(name: str) -> dict:
    return {"message": f"Hello, {name}!"}
"""


@pytest.mark.parametrize(("path", "line", "source"), list(blocks()))
def test_a_program_in_the_documents_runs(path, line, source, monkeypatch):
    monkeypatch.setenv("JWT_SECRET", "a secret of at least thirty-two bytes")
    module = types.ModuleType(f"document_{path.stem}_{line}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    if path.suffix == ".py" and "API()" not in source:
        exec(AROUND, vars(module))
        monkeypatch.setitem(sys.modules, "shop.main", module)
    # The lines of a failure are those of the document.
    exec(compile("\n" * (line - 1) + source, str(path), "exec"), vars(module))
    if "app" in vars(module):
        module.app.freeze()

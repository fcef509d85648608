"""Programs that are checked, each in a directory of its own."""

from __future__ import annotations

import importlib
import itertools
import json
import sys

import pytest

from apifrom import _check

# Random, and as long as it should be.
STRONG = "k7Jq2vXm9RbT4wLz8NcY1hGd6FsP3aEu"
HASH = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
_numbers = itertools.count()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Imports a source as a module of its own, from a directory of its own."""
    for name in ("JWT_SECRET", "CSRF_SECRET", "OAUTH_SECRET"):
        monkeypatch.setenv(name, STRONG)
    for name in ("ADA_HASH", "BOB_HASH"):
        monkeypatch.setenv(name, HASH)
    monkeypatch.setenv("OLD_HASH", HASH.replace("$12$", "$10$"))
    made = []

    def load(source):
        number = next(_numbers)
        directory = tmp_path / f"program{number}"
        directory.mkdir()
        name = f"checked_{number}"
        (directory / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(directory))
        made.append(name)
        return importlib.import_module(name)

    yield load
    for name in made:
        sys.modules.pop(name, None)


def found(app, **options):
    """The rules and subjects that are found, the one about this build left out."""
    findings = _check.check(app, **options)
    return {
        (finding.rule.id, finding.subject) for finding in findings if finding.rule.id != "AF805"
    }


def posture(app):
    return app.freeze(lenient=True).posture()


def parsed(text):
    return json.loads(text)

"""What is found in the guide's blocks and in the demo, and what strictness makes of it."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from apifrom import API, _check
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import CSRFMiddleware, ErrorHandlingMiddleware
from apifrom.security import basic_auth_required, jwt_required
from tests.check.conftest import STRONG, found

ROOT = Path(__file__).parent.parent.parent
GUIDE = ROOT.parent / "shared" / "security-guide.txt"
# What a program that says nothing of hosts and headers lacks.
BARE = {("AF402", "api"), ("AF405", "api")}


def blocks():
    """The guide's blocks, in its order: from a line with an import to the next heading."""
    text = GUIDE.read_text()
    found = []
    block = None
    for line in text.splitlines():
        is_import = re.match(r"(from|import) ", line)
        if block is None and is_import:
            block = []
        if block is not None:
            is_prose = re.match(r"[A-Z0-9][^=(_]*$", line) and not is_import
            if is_prose:
                found.append("\n".join(block))
                block = None
            else:
                block.append(line)
    return [*found, "\n".join(block)] if block else found


def written(number):
    return {
        1: {"AF101 GET /protected", "AF201 GET /protected", "AF801 JWT_SECRET"},
        3: {"AF103 GET /api-key-protected", "AF105 GET /api-key-protected"},
        4: {"AF104 GET /basic-auth-protected"},
        5: {"AF801 client_secret"},
        6: {
            "AF101 GET /multi-auth-protected",
            "AF103 GET /multi-auth-protected",
            "AF105 GET /multi-auth-protected",
            "AF201 GET /multi-auth-protected",
            "AF801 secret",
        },
        7: set(),
        8: {"AF101 api", "AF512 api", "AF801 CSRFMiddleware secret"},
        9: {"AF406 api", "AF407 api", "AF410 api"},
        10: set(),
        11: {"AF301 POST /users"},
        12: {"AF301 GET /users/{user_id}"},
        13: set(),
        14: {"AF201 GET /protected"},
        15: set(),
        16: {
            "AF101 GET /protected",
            "AF201 GET /protected",
            "AF801 protected_endpoint jwt_required secret",
        },
        17: {
            "AF101 GET /admin",
            "AF201 GET /admin",
            "AF801 admin_endpoint jwt_required secret",
        },
    }[number]


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside this checkout")
@pytest.mark.filterwarnings("default::DeprecationWarning")
# The second block makes a token, and no API.
@pytest.mark.parametrize("number", [1, *range(3, 18)])
def test_a_block_of_the_guide_has_the_traps_that_it_has(number, program, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    listed = blocks()
    assert len(listed) == 17
    module = program(listed[number - 1])
    assert module.app is not None
    name = re.escape(Path(module.__file__).name)
    shown = {
        f"{rule} {re.sub(rf'^.*{name} ', '', subject)}"
        for rule, subject in found(module.app)
        # Whoever is authenticated without a limit has this note as well.
        if (rule, subject) not in BARE and rule != "AF601"
    }
    assert shown == written(number)


def test_the_demo_is_open_on_purpose(monkeypatch, tmp_path):
    monkeypatch.setenv("DEMO_DATABASE", str(tmp_path / "demo.db"))
    for name in [name for name in sys.modules if name.startswith("examples.python.demo")]:
        monkeypatch.delitem(sys.modules, name)
    app = importlib.import_module("examples.python.demo.app").app
    assert found(app, probe=True) == {("AF402", "api")}


def made():
    """A function of its own: what protects one would protect it everywhere."""

    def handler() -> dict[str, str]:
        return {}

    return handler


def strict(**options):
    return API(strict=True, **options)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda app: app.add_middleware(ErrorHandlingMiddleware(debug=True)), "AF701"),
        (lambda app: app.add_middleware(ErrorHandlingMiddleware(include_traceback=True)), "AF702"),
        (lambda app: app.add_middleware(CSRFMiddleware(secret="ab" * 20)), "AF102"),
        (lambda app: app.get("/")(jwt_required(STRONG, verify_exp=False)(made())), "AF202"),
        (lambda app: app.get("/")(basic_auth_required({"ada": "password1"})(made())), "AF104"),
        (
            lambda app: app.post("/")(
                jwt_required(STRONG, audience="shop", token_location="cookie")(made())
            ),
            "AF511",
        ),
    ],
)
def test_an_error_stops_a_strict_start_and_no_other(change, why, monkeypatch):
    app = strict()
    change(app)
    with pytest.raises(ConfigurationError, match=why) as refused:
        app.freeze()
    assert STRONG not in str(refused.value)
    assert "password1" not in str(refused.value)
    app = API()
    change(app)
    app.freeze()
    monkeypatch.setenv("APIFROM_STRICT", "1")
    app = API()
    change(app)
    with pytest.raises(ConfigurationError, match=why):
        app.freeze()
    # What is judged only is not started.
    assert why in {rule for rule, _ in found(app)}


def test_a_warning_stops_no_strict_start():
    app = strict()
    app.get("/")(made())
    app.get("/me")(jwt_required(STRONG)(lambda: {"me": "ada"}))
    app.freeze()


SHOWN = """
from apifrom import API
from apifrom.database import Database
from apifrom.middleware import ErrorHandlingMiddleware
from apifrom.security import jwt_required

app = API(strict={strict})
app.add_middleware(ErrorHandlingMiddleware(debug=True))
db = Database("sqlite://:memory:")
JWT_SECRET = "k7Jq2vXm9RbT4wLz8NcY1hGd6FsP3aEu"


@app.get("/me")
@jwt_required(secret=JWT_SECRET, audience="shop")
def me(q: str) -> list[dict[str, str]]:
    return db.query("SELECT a FROM t WHERE a = '" + q + "'")
"""


@pytest.mark.parametrize("variable", [None, "1", "on"])
def test_what_the_source_shows_stops_a_strict_start_at_once_with_all_else(
    variable, program, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    module = program(SHOWN.format(strict=variable is None))
    if variable is not None:
        monkeypatch.setenv("APIFROM_STRICT", variable)
    with pytest.raises(ConfigurationError) as refused:
        module.app.freeze()
    said = dict(refused.value.errors)
    file = Path(module.__file__).relative_to(tmp_path)
    assert "(AF801): JWT_SECRET is written here; load it with" in said[f"{file}:10"]
    assert "(AF802): query is given a statement that is put together" in said[f"{file}:16"]
    assert any("(AF701)" in why for why in said.values())
    assert STRONG not in str(refused.value)
    # What is judged only is not started.
    assert {"AF701", "AF801", "AF802"} <= {rule for rule, _ in found(module.app)}


@pytest.mark.parametrize("variable", [None, "", "0"])
def test_nothing_is_read_where_nobody_asked_for_strictness(variable, program, monkeypatch):
    if variable is not None:
        monkeypatch.setenv("APIFROM_STRICT", variable)
    monkeypatch.setattr(_check, "refusals", lambda app: pytest.fail("the source was read"))
    program(SHOWN.format(strict=False)).app.freeze()


def test_what_the_program_imports_is_read_as_well_and_nothing_else(tmp_path, monkeypatch):
    package = tmp_path / "shop_of_this_test"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "parts" / "__init__.py").write_text("")
    (package / "settings.py").write_text('JWT_SECRET = "k7Jq2vXm9RbT4wLz8NcY1hGd6FsP3aEu"\n')
    (package / "parts" / "keys.py").write_text('def key():\n    API_KEY = "Q3vXm9RbT4wLz8Nc"\n')
    (package / "unused.py").write_text('PASSWORD = "Q3vXm9RbT4wLz8Nc"\n')
    (package / "main.py").write_text(
        "from apifrom import API\nfrom .settings import JWT_SECRET\nfrom . import parts\n"
        "from shop_of_this_test.parts.keys import key\napp = API()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    importlib.import_module("shop_of_this_test.unused")
    app = importlib.import_module("shop_of_this_test.main").app
    subjects = {subject for rule, subject in found(app) if rule == "AF801"}
    directory = "shop_of_this_test"
    assert subjects == {f"{directory}/settings.py JWT_SECRET", f"{directory}/parts/keys.py API_KEY"}

"""The command `apifrom`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from apifrom import API
from apifrom.security import (
    api_key_required,
    basic_auth_required,
    jwt_required,
    verify_password,
)
from apifrom.testing import TestClient

SECRET = "a secret of at least thirty-two bytes"


def apifrom(*arguments, stdin="", **environment):
    done = subprocess.run(
        [sys.executable, "-m", "apifrom", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "KEY": SECRET, **environment},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def create(*arguments):
    status, out, _ = apifrom("token", "create", "--secret-env", "KEY", *arguments)
    assert status == 0
    return out.strip()


def test_a_token_that_was_made_here_is_let_in():
    token = create("--claim", "sub=ada", "--claim-json", 'roles=["admin"]', "--jti")
    app = API()

    @app.get("/")
    @jwt_required(secret=SECRET, algorithm="HS256", roles=["admin"], verify_jti=True)
    def handler(request):
        return request.state.jwt_payload

    with TestClient(app) as client:
        answer = client.get("/", headers={"Authorization": f"Bearer {token}"})
    claims = answer.json()
    assert (claims["sub"], claims["roles"]) == ("ada", ["admin"])
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_is_shown_and_said_to_be_unverified_or_verified(tmp_path):
    token = create("--claim", "sub=ad\u00e4", "--issuer", "me", "--audience", "you", "--kid", "k1")
    status, out, error = apifrom("token", "decode", token)
    assert (status, "NOT VERIFIED" in error) == (0, True)
    header, claims = (json.loads(line[8:]) for line in out.splitlines())
    assert header == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("ad\u00e4", "me", "you")
    for arguments in (("--secret-env", "KEY"), ("--key-file", str(tmp_path / "key"))):
        (tmp_path / "key").write_text(SECRET + "\n")
        status, _, error = apifrom("token", "decode", "-", *arguments, stdin=f"Bearer {token}\n")
        assert (status, "verified, and good now" in error) == (0, True)
    status, out, error = apifrom("token", "decode", token, "--secret-env", "OTHER", OTHER="x" * 32)
    assert (status, "DOES NOT VERIFY: bad_signature" in error) == (1, True)
    assert "ad" in out
    expired = create("--claim-json", "exp=1000000000", "--expires", "never")
    status, _, error = apifrom("token", "decode", expired, "--secret-env", "KEY")
    assert (status, "DOES NOT VERIFY: expired" in error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("token", "create"), "--secret-env"),
        (("token", "create", "--secret", SECRET), "would show the secret"),
        (("token", "create", "--secret-env", "ABSENT"), "ABSENT is not set"),
        (("token", "create", "--key-file", "/nowhere/key"), "/nowhere/key: No such file"),
        (("token", "create", "--secret-env", "KEY", "--claim", "sub"), "expected NAME=VALUE"),
        (("token", "create", "--secret-env", "KEY", "--claim-json", "a={"), "a is no JSON"),
        (
            ("token", "create", "--secret-env", "KEY", "--claim", "a=1", "--claim", "a=2"),
            "a is given twice",
        ),
        (("token", "create", "--secret-env", "KEY", "--claim-json", "exp=1"), "payload.exp"),
        (("token", "create", "--secret-env", "KEY", "--expires", "soon"), "--expires: expected"),
        (("token", "create", "--secret-env", "KEY", "--expires", "-1"), "expires_delta"),
        (("token", "create", "--secret-env", "KEY", "--algorithm", "none"), "algorithm"),
        (("token", "create", "--secret-env", "KEY", "--algorithm", "RS256"), "secret"),
        (("token", "decode", "a.b"), "three parts"),
        (("token", "decode", "a.b.c"), "the header of this token cannot be read"),
        (("token", "decode", "[" * 10000 + ".b.c"), "the header of this token cannot be read"),
        (("key",), "WHAT"),
        (("nothing",), "try: apifrom --help"),
    ],
)
def test_what_cannot_be_done_is_said_with_how_to_mend_it(arguments, message):
    status, out, error = apifrom(*arguments)
    assert (status, out) == (2, "")
    assert message in error
    assert SECRET not in error


def test_a_key_is_shown_once_and_known_by_its_digest():
    status, out, error = apifrom("key", "new", "--scopes", "read,write")
    assert status == 0
    lines = dict(line.split(None, 1) for line in out.splitlines() if line and "=" not in line)
    assert lines["key"].startswith(f"apifrom_{lines['id']}_")
    assert "shown this once" in error
    declared = out.splitlines()[-1].removeprefix("api_keys=")
    app = API()

    @app.get("/")
    @api_key_required(api_keys=json.loads(declared), scopes=["write"])
    def handler(request):
        return request.state.api_key

    with TestClient(app) as client:
        assert client.get("/", headers={"X-API-Key": lines["key"]}).text == lines["key"]
        assert client.get("/", headers={"X-API-Key": lines["digest"]}).status_code == 401
    assert apifrom("key", "new")[1] != out


def test_a_password_is_hashed_from_standard_input():
    status, out, error = apifrom("password", "hash", stdin="p\u00e4ss w\u00f6rd\n")
    assert (status, error) == (0, "")
    assert verify_password("p\u00e4ss w\u00f6rd", out.strip())
    app = API()

    @app.get("/")
    @basic_auth_required(credentials={"ada": out.strip()})
    def handler(request):
        return request.state.username

    app.freeze()
    for empty in ("", "\n", "x" * 1025):
        status, out, error = apifrom("password", "hash", stdin=empty)
        assert (status, out) == (2, "")
        assert "password" in error


def test_the_help_names_everything():
    status, out, _ = apifrom("--help")
    assert status == 0
    for word in ("token", "key", "password"):
        assert word in out


SHOP = """
from apifrom import API, Router, api
from apifrom.middleware import CSRFMiddleware, rate_limit
from apifrom.security import api_key_required, basic_auth_required, jwt_required
from apifrom.security import multi_auth_required, public

app = API(auth=jwt_required(secret="a secret of at least thirty-two bytes", algorithm="HS256"))
app.add_middleware(CSRFMiddleware(secret="a secret of at least thirty-two bytes"))
number = 5


@api(route="/orders", method="POST")
@rate_limit("5/minute")
async def order() -> dict:
    return {}


@api(route="/health", method="GET")
@public(reason="for the load balancer")
def health() -> dict:
    return {}


admin = Router("/admin", auth=multi_auth_required(
    auth_methods=[
        api_key_required(api_keys={"k": []}),
        basic_auth_required(credentials={"u": "p"}),
    ],
    require_all=False,
))


@admin.api("/users/{user_id}", methods=["GET", "DELETE"], blocking=True, max_body_size=10)
def user(user_id: int) -> dict:
    return {}


app.router(admin)
"""


def in_folder(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "apifrom", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_routes_lists_what_protects_each(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    status, out, _ = in_folder(tmp_path, "routes", "shop:app", "--format", "json")
    assert status == 0
    user, health, order = json.loads(out)
    assert user == {
        "methods": ["GET", "DELETE"],
        "route": "/admin/users/{user_id}",
        "name": "shop.user",
        "auth": ["jwt_required", "any of (api_key_required, basic_auth_required)"],
        "public": None,
        "stages": ["authentication", "csrf"],
        "max_body_size": 10,
        "dispatch": "pool",
    }
    assert (health["public"], health["auth"]) == ("for the load balancer", [])
    assert order["stages"] == ["client_rate_limit", "authentication", "csrf"]
    assert order["dispatch"] == "task"
    status, text, _ = in_folder(tmp_path, "routes", "shop")
    assert status == 0
    lines = text.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:2] == ["METHODS", "ROUTE"]
    assert "everybody: for the load balancer" in text
    assert len({line.find("  shop.") > 0 for line in lines[1:]}) == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param("nowhere:app", "there is no module nowhere", id="no module"),
        pytest.param("shop:api2", "shop has no api2; there is app", id="no such name"),
        pytest.param("shop:number", "is a int, expected an API", id="no API"),
        pytest.param("broken:app", "ZeroDivisionError: division by zero (broken.py:1)", id="fails"),
        pytest.param("torn:app", "SyntaxError", id="syntax"),
        pytest.param("lost:app", "No module named 'missing_one'", id="missing import"),
        pytest.param("leaves:app", "exits while it is imported", id="exits"),
        pytest.param("wrong:app", "rate_limit.limit", id="configuration"),
        pytest.param(":app", "expected module:app", id="no name"),
        pytest.param("shop:", "expected module:app", id="no app"),
    ],
)
def test_a_target_that_is_no_api_is_named_and_the_status_is_two(tmp_path, target, said):
    sources = {
        "shop": SHOP,
        "broken": "1 / 0",
        "torn": "def x(:",
        "lost": "import missing_one",
        "leaves": "raise SystemExit(3)",
        "wrong": "from apifrom import API\nfrom apifrom.middleware import RateLimitMiddleware\n"
        "app = API()\napp.add_middleware(RateLimitMiddleware(limit=0, window=60))\n",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    status, out, err = in_folder(tmp_path, "routes", target)
    assert (status, out) == (2, "")
    assert said in err


def test_functions_of_one_name_are_listed_each_as_it_is_called(tmp_path):
    (tmp_path / "alike.py").write_text("""
from apifrom import API

app = API()

@app.get("/first")
def get():
    return {}

@app.get("/second")
async def get():
    return {}
""")
    status, out, _ = in_folder(tmp_path, "routes", "alike", "--format", "json")
    assert status == 0
    dispatched = {route["route"]: route["dispatch"] for route in json.loads(out)}
    assert dispatched == {"/first": "pool, inline once short", "/second": "task"}

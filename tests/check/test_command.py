"""The commands `check`, `posture` and `attack`, from the outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from importlib.metadata import entry_points

import pytest

from apifrom import _apifrom
from tests.check.conftest import HASH, STRONG
from tests.check.safe import SAFE

WEAK = """
from apifrom import API, api
from apifrom.security import jwt_required

app = API()


@api(route="/me", method="GET")
@jwt_required(secret="too <short>", audience="shop")
def me() -> dict[str, str]:
    return {}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "weak.py").write_text(WEAK)
    (tmp_path / "safe.py").write_text(SAFE)

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "apifrom", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                **os.environ,
                "JWT_SECRET": STRONG,
                "CSRF_SECRET": STRONG,
                "ADA_HASH": HASH,
                "BOB_HASH": HASH,
                **environment,
            },
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def rules(out):
    return [finding["rule"] for finding in json.loads(out)["findings"]]


def test_a_weak_program_ends_with_1_and_a_safe_one_with_0(run):
    status, out, _ = run("check", "weak:app")
    assert status == 1
    assert "error AF101 GET /me (weak.me, weak.py:8)" in out
    assert "a secret of 11 bytes, 32 are needed" in out
    assert "too <short>" not in out
    assert "manual incidents" in out
    assert run("check", "safe:app", "--ignore", "AF805")[0] == 0


def test_the_least_level_that_fails_can_be_chosen(run):
    status, out, _ = run("check", "weak:app", "--ignore", "AF101,AF801,AF805", "--format", "json")
    assert (status, rules(out)) == (1, ["AF402", "AF405", "AF601"])
    ignored = ("check", "weak:app", "--ignore", "AF101,AF801,AF805", "--fail-level")
    assert run(*ignored, "note")[0] == 1
    assert run(*ignored, "warning")[0] == 0
    assert run("check", "weak:app", "--fail-level", "error")[0] == 1


def test_a_build_for_debugging_is_found_and_an_optimised_one_is_not(run):
    _, out, _ = run("check", "weak:app", "--format", "json")
    assert ("AF805" in rules(out)) == _apifrom.is_debug_build()


def test_sarif_has_what_its_readers_ask_for(run, tmp_path):
    status, out, _ = run("check", "weak:app", "--format", "sarif", "--output", "out.sarif")
    assert (status, out) == (1, "")
    log = json.loads((tmp_path / "out.sarif").read_text())
    assert log["version"] == "2.1.0"
    (sarif,) = log["runs"]
    known = sarif["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in known}) == len(known)
    for result in sarif["results"]:
        rule = known[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert result["level"] in {"note", "warning", "error"}
        assert result["message"]["text"]
        assert result["partialFingerprints"]["apifromSubject/v1"].startswith(rule["id"])
        for location in result["locations"]:
            assert location["logicalLocations"][0]["fullyQualifiedName"]
            if physical := location.get("physicalLocation"):
                assert physical["artifactLocation"]["uri"] == "weak.py"
                assert physical["region"]["startLine"] >= 1


def test_html_loads_nothing_and_escapes_what_it_shows(run, tmp_path):
    route = "/<script>alert(1)</script>"
    (tmp_path / "odd.py").write_text(WEAK.replace("/me", route))
    status, out, _ = run("check", "odd:app", "--format", "html")
    assert status == 1
    assert "AF101" in out
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}

    Reader().feed(out)
    assert "table" in tags
    assert "script" not in tags


def test_control_characters_of_a_route_reach_no_terminal(run, tmp_path):
    (tmp_path / "odd.py").write_text(WEAK.replace("def me", "def m\u00e9").replace("shop", "\\x1b"))
    for command in ("check", "attack"):
        _, out, _ = run(command, "odd:app")
        assert "\x1b" not in out


def test_a_baseline_holds_what_it_names_until_its_day(run, tmp_path):
    write = ("check", "weak:app", "--write-baseline", "base.json")
    status, out, _ = run(*write, "--expires", "2999-12-31", "--reason", "until the move")
    assert (status, out) == (0, "")
    status, out, _ = run("check", "weak:app", "--baseline", "base.json")
    assert status == 0
    assert "accepted: until the move" in out
    assert "6 accepted" in out or "accepted" in out
    # Lines may move.
    (tmp_path / "weak.py").write_text("\n\n\n" + WEAK)
    assert run("check", "weak:app", "--baseline", "base.json")[0] == 0
    # What is new counts.
    (tmp_path / "weak.py").write_text(WEAK.replace(', audience="shop"', ""))
    status, out, _ = run("check", "weak:app", "--baseline", "base.json", "--format", "json")
    fresh = [each["rule"] for each in json.loads(out)["findings"] if each["accepted"] is None]
    assert (status, fresh) == (1, ["AF201"])
    # So does what was accepted for a time that is over.
    base = json.loads((tmp_path / "base.json").read_text())
    base["findings"][0]["expires"] = "2020-01-31"
    (tmp_path / "base.json").write_text(json.dumps(base))
    (tmp_path / "weak.py").write_text(WEAK)
    status, out, err = run("check", "weak:app", "--baseline", "base.json", "--format", "json")
    fresh = [each["rule"] for each in json.loads(out)["findings"] if each["accepted"] is None]
    assert (status, fresh) == (1, ["AF101"])
    assert "accepted until 2020-01-31, no more" in err
    # What is no longer found is named, and fails nothing.
    base["findings"][0] = {**base["findings"][0], "rule": "AF202", "expires": "2999-12-31"}
    (tmp_path / "base.json").write_text(json.dumps(base))
    status, _, err = run("check", "weak:app", "--baseline", "base.json", "--ignore", "AF101")
    assert status == 0
    assert "AF202 GET /me: is in the baseline and was not found" in err


INJECTED = """
from apifrom import API
from apifrom.database import Database
from apifrom.security import public

app = API()
db = Database("sqlite://:memory:")


@app.get("/me")
@public(reason="a test")
def me(q: str) -> list[dict[str, str]]:
    return db.query("SELECT a FROM t WHERE a = '" + q + "'")
"""
SECOND = '    db.execute(f"DELETE FROM t WHERE a = {q}")\n    return'


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(
    ("change", "fresh"),
    [
        (lambda source: f"\n\n{source}", [0, 0]),
        (lambda source: source.replace("    return", SECOND), [1, 2]),
        (lambda source: source.replace("WHERE a =", "WHERE b ="), [1, 0]),
    ],
)
def test_a_baseline_holds_the_statement_that_was_accepted_and_no_other(
    change, fresh, is_old, run, tmp_path
):
    def check(*arguments):
        return run("check", "injected:app", "--ignore", "AF402,AF405,AF601,AF805", *arguments)

    (tmp_path / "injected.py").write_text(INJECTED)
    written = ("--write-baseline", "base.json", "--expires", "2999-12-31", "--reason", "legacy")
    assert check(*written)[0] == 0
    base = json.loads((tmp_path / "base.json").read_text())
    (entry,) = base["findings"]
    assert (entry["rule"], entry["subject"]) == ("AF802", "injected.py me")
    if is_old:
        # As it was written before statements were told apart.
        del entry["fingerprint"]
        (tmp_path / "base.json").write_text(json.dumps(base))
    (tmp_path / "injected.py").write_text(change(INJECTED))
    status, out, err = check("--baseline", "base.json", "--format", "json")
    count = sum(each["accepted"] is None for each in json.loads(out)["findings"])
    assert (status, count) == (int(fresh[is_old] > 0), fresh[is_old])
    if count > 1:
        assert "AF802 injected.py me: 1 accepted and 2 found, so none" in err


def test_a_baseline_counts_what_stands_in_a_function_several_times(run, tmp_path):
    def check(*arguments):
        return run("check", "injected:app", "--ignore", "AF402,AF405,AF601,AF805", *arguments)

    line = "    db.execute('DELETE FROM t WHERE a = ' + q)\n"
    written = ("--write-baseline", "base.json", "--expires", "2999-12-31", "--reason", "legacy")
    for accepted, found, status in ((1, 1, 0), (1, 2, 1), (2, 2, 0), (2, 1, 0), (2, 3, 1)):
        source = INJECTED.replace("    return", f"{line * accepted}    return")
        (tmp_path / "injected.py").write_text(source)
        assert check(*written)[0] == 0
        source = INJECTED.replace("    return", f"{line * found}    return")
        (tmp_path / "injected.py").write_text(source)
        assert check("--baseline", "base.json")[0] == status


ENTRY = {"rule": "AF101", "subject": "api", "reason": "so", "expires": "2999-12-31"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "version: expected 1"),
        ('{"version": 2, "findings": []}', "version: expected 1"),
        ('{"version": 1}', "findings: expected a list"),
        ('{"version": 1, "findings": [1]}', "findings[0]: expected rule"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "rule": "AF999"}]}), "no rule 'AF999'"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "reason": " "}]}), "[0].reason"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "expires": "soon"}]}), "[0].expires"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "line": 1}]}), "unknown field 'line'"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "count": 0}]}), "[0].count"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "count": True}]}), "[0].count"),
        (json.dumps({"version": 1, "findings": [{**ENTRY, "fingerprint": 1}]}), "[0].fingerprint"),
        (json.dumps({"version": 1, "findings": [ENTRY, ENTRY]}), "[1]: AF101 api is there twice"),
        (json.dumps({"version": 1, "findings": [{"rule": "AF101"}]}), "[0].subject"),
    ],
)
def test_a_baseline_that_is_broken_is_named_with_its_place(text, why, run, tmp_path):
    (tmp_path / "base.json").write_text(text)
    status, out, err = run("check", "safe:app", "--baseline", "base.json")
    assert (status, out) == (2, "")
    assert f"base.json: {why}" in err or why in err


@pytest.mark.parametrize("command", ["check", "posture", "attack"])
@pytest.mark.parametrize(
    ("target", "source", "why"),
    [
        ("nowhere:app", None, "there is no module nowhere here"),
        (":app", None, "expected module:app"),
        (
            "broken:app",
            "import apifrom\n1 / 0\n",
            "ZeroDivisionError: division by zero (broken.py:2",
        ),
        ("broken:app", "def (", "SyntaxError"),
        ("broken:app", "import sys\nsys.exit(3)\n", "exits while it is imported"),
        ("broken:app", "import a_module_that_is_not_there\n", "broken.py:1"),
        ("broken:app", "x = 1\n", "broken has no app"),
        ("broken:other", "from apifrom import API\napp = API()\n", "there is app"),
        ("broken:app", "app = 5\n", "is a int, expected an API"),
        ("broken:app", "from apifrom import API\napp = API(default='x')\n", "would not start"),
    ],
)
def test_a_target_that_cannot_be_read_ends_with_2(command, target, source, why, run, tmp_path):
    if source is not None:
        (tmp_path / "broken.py").write_text(source)
    status, out, err = run(command, target)
    assert (status, out) == (2, "")
    assert err.startswith("apifrom: ")
    assert why in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("check",), "expected module:app"),
        (("check", "safe:app", "--ignore", "AF101,AF000"), "there is no rule 'AF000'"),
        (("check", "safe:app", "--baseline", "nowhere.json"), "nowhere.json: No such file"),
        (("check", "safe:app", "--baseline", "."), ".: Is a directory"),
        (("check", "safe:app", "--write-baseline", "base.json"), "--expires: expected a date"),
        (
            ("check", "safe:app", "--write-baseline", "base.json", "--expires", "31.12.2999"),
            "--expires: expected a date such as 2027-06-30, found 31.12.2999",
        ),
        (
            ("check", "safe:app", "--write-baseline", "base.json", "--expires", "2999-12-31"),
            "--reason: say why",
        ),
        (("check", "safe:app", "--output", "nowhere/out"), "nowhere/out: cannot be written"),
        (("check", "safe:app", "--output", "."), ".: cannot be written"),
        (("check", "safe:app", "--fail-level", "fatal"), "invalid choice"),
        (("check", "safe:app", "--format", "xml"), "invalid choice"),
        (("posture", "safe:app", "--diff", "nowhere.json"), "nowhere.json: No such file"),
        (("posture", "safe:app", "--diff", "safe.py"), "expected what `apifrom posture` writes"),
        (("posture", "safe:app", "--output", "nowhere/out"), "cannot be written"),
        (("attack", "safe:app", "--output", "nowhere/out"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_says_why(arguments, why, run, tmp_path):
    before = {path.name for path in tmp_path.iterdir()}
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert why in err
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == before


def test_a_file_that_is_there_is_replaced_whole(run, tmp_path):
    (tmp_path / "out.json").write_text("x" * 1_000_000)
    assert run("check", "weak:app", "--format", "json", "--output", "out.json")[0] == 1
    assert rules((tmp_path / "out.json").read_text())
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"weak.py", "safe.py", "out.json"}


def test_what_a_program_prints_is_no_part_of_a_report(run, tmp_path):
    (tmp_path / "weak.py").write_text(f"print('hello')\n{WEAK}")
    _, out, err = run("check", "weak:app", "--format", "json")
    assert "AF101" in rules(out)
    assert "hello" in err


def test_the_rules_are_listed(run):
    status, out, _ = run("check", "--rules")
    assert status == 0
    assert "AF101  error    shared secret is short" in out


def test_requests_prove_what_is_found_and_call_no_handler(run, tmp_path):
    source = "from apifrom import API, api\napp = API()\n" + (
        '@api(route="/", method="POST")\ndef handler() -> None:\n    open("called", "w").close()\n'
    )
    (tmp_path / "open.py").write_text(source)
    status, out, _ = run("check", "open:app", "--probe", "--ignore", "AF805", "--format", "json")
    assert status == 1
    proved = {each["rule"]: each["proved"] for each in json.loads(out)["findings"]}
    assert proved == {"AF301": True, "AF402": True, "AF405": True}
    assert not (tmp_path / "called").exists()


def test_a_posture_that_got_weaker_ends_with_1_and_says_where(run, tmp_path):
    assert run("posture", "safe:app", "--output", "lock.json") == (0, "", "")
    written = json.loads((tmp_path / "lock.json").read_text())
    assert list(written) == sorted(written)
    assert run("posture", "safe:app", "--diff", "lock.json") == (0, "", "")
    (tmp_path / "safe.py").write_text(SAFE.replace('scopes=["orders:write"], ', ""))
    status, out, _ = run("posture", "safe:app", "--diff", "lock.json")
    assert status == 1
    assert out == ('weaker: POST /orders: auth[0].method.scopes: ["orders:write"] -> []\n')
    assert json.loads((tmp_path / "lock.json").read_text()) == written
    # What got stronger is told, and fails nothing.
    (tmp_path / "safe.py").write_text(SAFE.replace("limit=100", "limit=50"))
    status, out, _ = run("posture", "safe:app", "--diff", "lock.json")
    assert (status, {line.partition(":")[0] for line in out.splitlines()}) == (0, {"stronger"})
    assert "stronger: api: rate_limits[0].limit: 100 -> 50\n" in out
    # So is what cannot be judged.
    (tmp_path / "safe.py").write_text(SAFE.replace('"says what there is"', '"a list"'))
    status, out, _ = run("posture", "safe:app", "--diff", "lock.json")
    assert (status, out.partition(":")[0]) == (0, "changed")


def test_an_attack_tells_what_held(run):
    status, out, err = run("attack", "safe:app")
    assert (status, err) == (0, "")
    assert "held unsigned-token" in out
    assert "safe:app: 0 broken" in out
    status, out, _ = run("attack", "weak:app", "--format", "json")
    assert status == 0
    trials = json.loads(out)["trials"]
    assert {"no-credential", "expired-token", "other-audience", "path-tricks"} <= {
        trial["promise"] for trial in trials
    }
    assert STRONG not in out


def test_pytest_tries_each_promise(run, tmp_path):
    (tmp_path / "test_own.py").write_text(
        "from weak import app\n\n\n"
        "def test_every_promise_holds(apifrom_attack):\n"
        "    assert len(apifrom_attack(app)) > 10\n"
    )
    names = {point.name for point in entry_points(group="pytest11")}
    plugin = () if "apifrom" in names else ("-p", "apifrom.pytest_plugin")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-v", "--apifrom-attack", "weak:app", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout
    assert "test_every_promise_holds PASSED" in done.stdout
    assert "[expired-token GET /me]" in done.stdout
    missing = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--apifrom-attack", "nowhere:app", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert missing.returncode == 4
    assert "there is no module nowhere here" in missing.stderr

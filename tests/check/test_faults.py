"""What was put into a safe program is found, and nothing else."""

from __future__ import annotations

import json
import time

import pytest

from apifrom import _apifrom
from apifrom._check import attacks
from apifrom.exceptions import ConfigurationError
from tests.check.conftest import found, posture
from tests.check.safe import MUTATIONS, SAFE


def test_nothing_is_found_in_a_safe_program_behind_its_proxy(program):
    assert found(program(SAFE).app, probe=True) == set()


def test_every_promise_of_a_safe_program_holds(program):
    trials = attacks.attack(program(SAFE).app)
    assert [str(trial) for trial in trials if trial.verdict == "broken"] == []
    assert sum(trial.verdict == "held" for trial in trials) > 100
    assert sum(trial.controlled for trial in trials) > 50


def test_there_are_forty_faults_and_more():
    assert len(MUTATIONS) >= 40


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_is_found(name, program):
    old, new, finder = MUTATIONS[name]
    assert old in SAFE
    if finder == "start":
        with pytest.raises(ConfigurationError, match="denies by default"):
            program(SAFE.replace(old, new)).app.freeze()
        return
    app = program(SAFE.replace(old, new)).app
    rules = {rule for rule, _ in found(app)}
    if finder.startswith("AF"):
        assert finder in rules
        return
    before = posture(program(SAFE).app)
    changes = json.loads(_apifrom.compare_postures(before, posture(app)))
    assert finder in {change["direction"] for change in changes}, changes


KEYS = 'lookup=find_key, scopes=["users"], cache_ttl=30'
ONE = "sha256:" + "0" * 64
TWO = "sha256:" + "1" * 64
PLAIN = "k7Jq2vXm9RbT4wLz8NcY"
HEADERS = "SecurityHeadersMiddleware({})"
ORIGINS = '["https://shop.example.com"]'


# What is weaker the one way is stronger the other way round.
@pytest.mark.parametrize(
    ("old", "strong", "weak"),
    [
        (KEYS, f"api_keys={{'{ONE}': []}}", f"api_keys={{'{ONE}': [], '{TWO}': []}}"),
        (KEYS, f"api_keys={{'{ONE}': []}}", f"api_keys={{'{PLAIN}': []}}"),
        (HEADERS.format(""), HEADERS.format(""), HEADERS.format("x_frame_options='SAMEORIGIN'")),
        (HEADERS.format(""), HEADERS.format(""), HEADERS.format("referrer_policy='origin'")),
        (
            HEADERS.format(""),
            HEADERS.format("csp={'default-src': [\"'none'\"]}"),
            HEADERS.format("csp={'default-src': [\"'none'\"], 'script-src': [\"'self'\"]}"),
        ),
        (
            HEADERS.format(""),
            HEADERS.format("csp={'default-src': [\"'self'\"], 'script-src': [\"'none'\"]}"),
            HEADERS.format("csp={'default-src': [\"'self'\"]}"),
        ),
        (ORIGINS, ORIGINS, '["https://*.example.com"]'),
        (ORIGINS, ORIGINS, '["*"]'),
        ('["10.0.0.7"]', '["10.0.0.7"]', '["10.0.0.0/24"]'),
        ('["api.example.com"]', '["api.example.com"]', '["*.example.com"]'),
    ],
)
def test_a_difference_is_weaker_one_way_and_stronger_the_other(old, strong, weak, program):
    assert SAFE.count(old) == 1
    strong, weak = (posture(program(SAFE.replace(old, each)).app) for each in (strong, weak))
    for before, after, direction in ((strong, weak, "weaker"), (weak, strong, "stronger")):
        changes = json.loads(_apifrom.compare_postures(before, after))
        assert {change["direction"] for change in changes} == {direction}, changes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ORIGINS, '["https://blog.example.net"]'),
        ('roles=["buyer"]', 'roles=["guest"]'),
        ('issuer="https://auth.example.com"', 'issuer="https://auth.example.net"'),
    ],
)
def test_what_is_put_in_the_place_of_another_is_weaker(old, new, program):
    before, after = (posture(program(each).app) for each in (SAFE, SAFE.replace(old, new)))
    changes = json.loads(_apifrom.compare_postures(before, after))
    assert "weaker" in {change["direction"] for change in changes}, changes


def test_the_same_protection_is_the_same_text_and_no_secret_stands_in_it(program, monkeypatch):
    before = posture(program(SAFE).app)
    moved = posture(program(f"\n\n\n{SAFE}").app)
    assert json.loads(_apifrom.compare_postures(before, moved)) == []
    monkeypatch.setenv("JWT_SECRET", "Qq3vXm9RbT4wLz8NcY1hGd6FsP3aEuZz")
    replaced = posture(program(SAFE).app)
    assert json.loads(_apifrom.compare_postures(before, replaced)) == []
    for secret in ("k7Jq2", "Qq3vX", "$2b$", "R9h/c"):
        assert secret not in before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "EOF"),
        ("[]", "api is missing"),
        ('{"api": {}}', "routes is missing"),
        ('{"api": {}, "routes": [1]}', "no route"),
        ('{"api": {}, "routes": [{"route": "/", "methods": [1]}]}', "no text"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_text_that_is_no_posture_is_refused(text, why, program):
    after = posture(program(SAFE).app)
    with pytest.raises(ValueError, match=why):
        _apifrom.compare_postures(text, after)


def test_routes_that_come_and_go_are_named(program):
    with_more = SAFE.replace('default="deny",', "") + (
        '\n@app.get("/new")\ndef new() -> dict[str, str]:\n    return {}\n'
    )
    before, after = posture(program(SAFE).app), posture(program(with_more).app)
    changes = json.loads(_apifrom.compare_postures(before, after))
    said = {(change["direction"], change["subject"]) for change in changes}
    assert said == {("weaker", "api"), ("weaker", "GET /new")}
    changes = json.loads(_apifrom.compare_postures(after, before))
    said = {(change["direction"], change["subject"]) for change in changes}
    assert said == {("stronger", "api"), ("changed", "GET /new")}


def test_three_hundred_routes_are_judged_in_two_seconds(program):
    routes = "".join(
        f'@api(route="/r{index}/{{name}}", method="POST")\n'
        f'@jwt_required(**tokens, scopes=["s{index}"])\n'
        f"def route{index}(name: str, order: Order) -> dict[str, str]:\n"
        f'    return {{"name": name}}\n\n\n'
        for index in range(300)
    )
    app = program(
        SAFE.replace('if __name__ == "__main__"', f'{routes}if __name__ == "__main__"')
    ).app
    app.freeze(lenient=True)
    begun = time.monotonic()
    assert found(app) == set()
    assert time.monotonic() - begun < 2

"""The pages of the rules say what the rules do; their examples are what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apifrom import _check
from tests.check.conftest import found

PAGES = Path(__file__).parent.parent.parent / "docs" / "checks"
SECTION = re.compile(r"^## (AF\d+)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^(Bad|Good):\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections():
    return {
        found[1]: found[2]
        for page in sorted(PAGES.glob("*.md"))
        for found in SECTION.finditer(page.read_text())
    }


def prelude():
    return re.findall(
        r"^```python\n(.*?)^```$", (PAGES / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )[0]


def test_every_rule_has_a_section_and_every_section_a_rule():
    assert list(_check.RULES) == sorted(sections())
    index = (PAGES / "README.md").read_text()
    listed = re.findall(
        r"^\| \[(AF\d+)\]\((\w+\.md)#(\w+)\) \| (\w+) \| (.*?) \|", index, re.MULTILINE
    )
    assert [each[0] for each in listed] == sorted(_check.RULES)
    for rule, page, anchor, severity, title in listed:
        assert f"## {rule}\n" in (PAGES / page).read_text()
        assert anchor == rule.lower()
        assert (severity, title) == (_check.RULES[rule].severity, _check.RULES[rule].title)


@pytest.mark.parametrize("rule", _check.RULES.values(), ids=lambda rule: rule.id)
def test_a_section_says_what_its_rule_says(rule):
    text = sections()[rule.id]
    flowing = " ".join(text.split())
    assert rule.title.lower() in flowing.lower()
    for part in (rule.severity, *rule.asvs, *rule.api_top_10, f"Why: {rule.why}.", rule.mend):
        assert part in flowing
    assert [each[0] for each in EXAMPLE.findall(text)] == ["Bad", "Good"]


def examples():
    for rule, text in sections().items():
        for kind, language, source in EXAMPLE.findall(text):
            if language == "python":
                yield pytest.param(rule, kind, source, id=f"{rule}-{kind}")


@pytest.mark.parametrize(("rule", "kind", "source"), list(examples()))
def test_a_bad_example_is_found_and_a_good_one_is_not(rule, kind, source, program):
    module = program(f"{prelude()}\n\n{source}")
    rules = {each for each, _ in found(module.app)}
    assert (rule in rules) == (kind == "Bad")


# What a request can tell; of the others the configuration alone does.
PROVED = {
    *("AF201", "AF202", "AF301", "AF402", "AF405", "AF406", "AF407", "AF408", "AF409", "AF410"),
    *("AF411", "AF412", "AF501", "AF502", "AF503", "AF504", "AF705"),
}


@pytest.mark.parametrize("rule", sorted(PROVED))
def test_a_request_proves_the_bad_example(rule, program):
    (bad,) = [source for kind, _, source in EXAMPLE.findall(sections()[rule]) if kind == "Bad"]
    findings = _check.check(program(f"{prelude()}\n\n{bad}").app, probe=True)
    assert {finding.proved for finding in findings if finding.rule.id == rule} == {True}

"""The security checklist as a command.

What the engine knows is judged by the engine, on both faces alike; what only the source shows is
judged by `source`. `baseline` says what is known and accepted, `formats` how findings are written.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apifrom import _apifrom

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = [
    "LEVELS",
    "MANUAL",
    "RULES",
    "Finding",
    "Rule",
    "at_least",
    "check",
    "refusals",
    "shown_path",
    "versions",
]

LEVELS: Final = ("note", "warning", "error")
"""The severities, the least first."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, as `docs/checks` describes it.

    Attributes:
        id: `AF101`.
        title: What it is about.
        severity: One of `LEVELS`.
        area: The line of the checklist.
        why: What an attacker gains.
        mend: What to do about it.
        asvs: Requirements of the OWASP ASVS 5.0.
        api_top_10: Risks of the OWASP API Security Top 10 of 2023.
    """

    id: str
    title: str
    severity: str
    area: str
    why: str
    mend: str
    asvs: tuple[str, ...]
    api_top_10: tuple[str, ...]


def _rules() -> tuple[dict[str, Rule], list[dict[str, str]]]:
    known = json.loads(_apifrom.check_rules())
    rules = []
    for rule in known["rules"]:
        asvs, top = tuple(rule.pop("asvs")), tuple(rule.pop("api_top_10"))
        rules.append(Rule(asvs=asvs, api_top_10=top, **rule))
    return {rule.id: rule for rule in rules}, known["manual"]


RULES, MANUAL = _rules()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is weak, and where.

    Attributes:
        rule: What was judged.
        subject: The endpoint, `GET /users/{id}`; `api`; or a file and a name in it.
        message: What is weak.
        function: What the endpoint's function is called.
        file: Where it stands, as it is shown.
        line: The line, from 1.
        fingerprint: A digest of the expression, which tells places of one function apart.
        proved: True where a request proved it, False where one did not, None where none was sent.
        accepted: Why a baseline holds it.
    """

    rule: Rule
    subject: str
    message: str
    function: str | None = None
    file: str | None = None
    line: int | None = None
    fingerprint: str | None = None
    proved: bool | None = None
    accepted: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it is about; it stays the same while lines move."""
        return self.rule.id, self.subject

    @property
    def place(self) -> str:
        """Where to look, in words."""
        parts = [self.function] if self.function else []
        if self.file is not None:
            parts.append(f"{self.file}:{self.line}")
        return ", ".join(parts)


def shown_path(path: str) -> str:
    """A path below the working directory without it, so that reports are alike everywhere."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return path


def check(app: API, *, probe: bool = False) -> list[Finding]:
    """Judges an API and the source that it is made of.

    Args:
        app: The API, which is frozen by this.
        probe: Sends requests that prove findings, in process.

    Returns:
        What is weak, the most severe first.

    Raises:
        ConfigurationError: The API would not start.
    """
    from apifrom._check import source  # noqa: PLC0415 - needs what stands above

    engine = app.freeze(lenient=True)
    findings = [_read(found) for found in json.loads(engine.check())["findings"]]
    trusts = bool(json.loads(engine.posture())["api"]["trusted_proxies"])
    findings += source.judge(app, trusts=trusts)
    if _apifrom.is_debug_build():
        findings.append(Finding(RULES["AF805"], "api", "the package was built without --release"))
    if probe:
        server = _apifrom.TestServer(engine, app.lifespan())
        try:
            proofs = json.loads(server.probe())
        finally:
            server.close()
        proved = {(proof["rule"], proof["subject"]): proof["proved"] for proof in proofs}
        findings = [replace(finding, proved=proved.get(finding.key)) for finding in findings]
    return sorted(findings, key=_order)


def refusals(app: API) -> list[tuple[str, str]]:
    """Why an API does not start under `strict`: the errors among what its source shows.

    Args:
        app: The API, which need not be frozen.

    Returns:
        The place of each, and what is wrong there and how to mend it.
    """
    from apifrom._check import source  # noqa: PLC0415 - needs what stands above

    # No rule that knows of proxies is an error.
    found = [one for one in source.judge(app, trusts=True) if one.rule.severity == "error"]
    return [
        (one.place, f"{one.rule.title} ({one.rule.id}): {one.message}; {one.rule.mend}")
        for one in sorted(found, key=lambda one: (one.file or "", one.line or 0, one.rule.id))
    ]


def versions() -> dict[str, str]:
    """The versions that the program runs with, for whoever compares them with advisories."""
    found = {"python": platform.python_version()}
    for name in ("apifrom", "pydantic", "pydantic-core", "email-validator"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _read(found: dict[str, Any]) -> Finding:
    source = found["source"]
    return Finding(
        rule=RULES[found["rule"]["id"]],
        subject=found["subject"],
        message=found["message"],
        function=found["function"],
        file=None if source is None else shown_path(source["file"]),
        line=None if source is None else source["line"],
    )


def _order(finding: Finding) -> tuple[int, str, str, int]:
    severity = -LEVELS.index(finding.rule.severity)
    return severity, finding.rule.id, finding.subject, finding.line or 0


def at_least(findings: Iterable[Finding], level: str) -> list[Finding]:
    """What is as severe as `level`, or more, and in no baseline."""
    least = LEVELS.index(level)
    return [
        finding
        for finding in findings
        if LEVELS.index(finding.rule.severity) >= least and finding.accepted is None
    ]

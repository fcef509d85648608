"""How findings are written: text, JSON, SARIF 2.1.0, HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from apifrom._check import LEVELS, MANUAL, RULES, Finding, Rule, versions

__all__ = ["FORMATS", "printable"]


def _counts(findings: Sequence[Finding]) -> str:
    counted = []
    for level in reversed(LEVELS):
        number = sum(one.rule.severity == level for one in findings if one.accepted is None)
        counted.append(f"{number} {level}{'' if number == 1 else 's'}")
    accepted = sum(one.accepted is not None for one in findings)
    return ", ".join(counted) + (f"; {accepted} accepted" if accepted else "")


def _standards(rule: Rule) -> str:
    return f"ASVS {', '.join(rule.asvs)}; {', '.join(rule.api_top_10)}"


def _proof(finding: Finding) -> str:
    words = {True: "proved by a request", False: "a request did not prove it", None: ""}
    return words[finding.proved]


def text(target: str, findings: Sequence[Finding]) -> str:
    """For people, at a terminal."""
    lines = []
    for finding in findings:
        rule = finding.rule
        place = f" ({finding.place})" if finding.place else ""
        held = " [accepted]" if finding.accepted is not None else ""
        lines += [
            f"{rule.severity} {rule.id} {finding.subject}{place}{held}",
            f"    {rule.title}: {finding.message}",
        ]
        if finding.accepted is not None:
            lines.append(f"    accepted: {finding.accepted}")
            continue
        if proof := _proof(finding):
            lines.append(f"    {proof}")
        lines += [f"    why:  {rule.why}", f"    mend: {rule.mend}", f"    {_standards(rule)}"]
    lines += [f"manual {each['area']}: {each['what']}" for each in MANUAL]
    shown = ", ".join(f"{name} {number}" for name, number in versions().items())
    lines.append(f"versions {shown}")
    lines.append(f"{target}: {_counts(findings)}; {len(MANUAL)} for people to decide")
    return printable("\n".join(lines)) + "\n"


def printable(text: str) -> str:
    """No control character of a route's name reaches the terminal."""
    return "".join(char if char == "\n" or char.isprintable() else "\ufffd" for char in text)


def as_json(target: str, findings: Sequence[Finding]) -> str:
    """For programs."""
    written = {
        "version": 1,
        "target": target,
        "findings": [
            {
                "rule": finding.rule.id,
                "severity": finding.rule.severity,
                "area": finding.rule.area,
                "title": finding.rule.title,
                "subject": finding.subject,
                "message": finding.message,
                "function": finding.function,
                "file": finding.file,
                "line": finding.line,
                "fingerprint": finding.fingerprint,
                "why": finding.rule.why,
                "mend": finding.rule.mend,
                "asvs": list(finding.rule.asvs),
                "api_top_10": list(finding.rule.api_top_10),
                "proved": finding.proved,
                "accepted": finding.accepted,
            }
            for finding in findings
        ],
        "manual": MANUAL,
        "versions": versions(),
    }
    return json.dumps(written, indent=2) + "\n"


def sarif(target: str, findings: Sequence[Finding]) -> str:
    """For code hosts and editors."""
    rules = list(RULES.values())
    places = {rule.id: index for index, rule in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "apifrom",
                "version": versions()["apifrom"],
                "rules": [_sarif_rule(rule) for rule in rules],
            }
        },
        "automationDetails": {"id": f"apifrom/{target}"},
        "columnKind": "unicodeCodePoints",
        "properties": {"versions": versions(), "manual": MANUAL},
        "results": [_sarif_result(one, places[one.rule.id]) for one in findings],
    }
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(log, indent=2) + "\n"


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.mend},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {
            "tags": ["security", *(f"ASVS-{one}" for one in rule.asvs), *rule.api_top_10],
        },
    }


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.subject, "kind": "member"}],
    }
    if finding.file is not None:
        uri = quote(PurePath(finding.file).as_posix())
        location["physicalLocation"] = {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": max(finding.line or 1, 1)},
        }
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": finding.rule.severity,
        "message": {"text": f"{finding.subject}: {finding.message}. {finding.rule.mend}"},
        "locations": [location],
        "partialFingerprints": {"apifromSubject/v1": " ".join(finding.key)},
    }
    if finding.fingerprint is not None:
        result["partialFingerprints"]["apifromExpression/v1"] = finding.fingerprint
    if finding.proved is not None:
        result["properties"] = {"proved": finding.proved}
    if finding.accepted is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.accepted}]
    return result


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #bbb;padding:.5rem;"
    "text-align:left;vertical-align:top}code{overflow-wrap:anywhere}"
    ".error{color:#a00}.warning{color:#850}.note{color:#245}"
)


def as_html(target: str, findings: Sequence[Finding]) -> str:
    """For a browser: one file that loads nothing."""
    rows = []
    for finding in findings:
        rule = finding.rule
        remarks = [_proof(finding)]
        if finding.accepted is not None:
            remarks.append(f"accepted: {finding.accepted}")
        cells = [
            f'<td class="{rule.severity}">{rule.severity}</td>',
            f"<td>{rule.id}</td>",
            f"<td><code>{_escaped(finding.subject)}</code><br>{_escaped(finding.place)}</td>",
            f"<td><strong>{_escaped(rule.title)}</strong>: {_escaped(finding.message)}<br>"
            f"{_escaped(rule.why)}<br><em>{_escaped(rule.mend)}</em><br>"
            f"<small>{_escaped(_standards(rule))}</small>"
            f"{''.join(f'<br>{_escaped(one)}' for one in remarks if one)}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    manual = "".join(
        f"<li>{_escaped(each['area'])}: {_escaped(each['what'])}</li>" for each in MANUAL
    )
    head = "<tr><th>severity</th><th>rule</th><th>where</th><th>what</th></tr>"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>apifrom check {_escaped(target)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_escaped(target)}</h1><p>{_escaped(_counts(findings))}</p>"
        f"<table>{head}{''.join(rows)}</table>"
        f"<h2>For people to decide</h2><ul>{manual}</ul></body></html>\n"
    )


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)


FORMATS: Final[dict[str, Callable[[str, Sequence[Finding]], str]]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "html": as_html,
}

"""Baselines: findings that are known and accepted, each for a reason and until a date.

```json
{
  "version": 1,
  "findings": [
    {
      "rule": "AF301",
      "subject": "GET /",
      "reason": "the landing page",
      "expires": "2027-06-30"
    }
  ]
}
```
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apifrom._check import RULES, Finding

__all__ = ["Baseline", "BaselineError", "dump", "load", "write"]

_LARGEST = 16 << 20


class BaselineError(Exception):
    """What is wrong with a baseline, and where."""


@dataclass(frozen=True, slots=True)
class _Entry:
    reason: str
    expires: datetime.date


class Baseline:
    """What was accepted."""

    def __init__(self, entries: dict[tuple[str, str], _Entry]) -> None:
        """Keeps `entries` by rule and subject."""
        self._entries = entries

    def apply(
        self, findings: Sequence[Finding], today: datetime.date
    ) -> tuple[list[Finding], list[str]]:
        """Marks what is accepted.

        Args:
            findings: What was found.
            today: The day; an entry holds up to the day on which it expires.

        Returns:
            The findings, and what is to be said about the baseline itself.
        """
        marked = []
        remarks = []
        seen = set()
        for finding in findings:
            entry = self._entries.get(finding.key)
            seen.add(finding.key)
            if entry is not None and entry.expires < today:
                remarks.append(f"{' '.join(finding.key)}: accepted until {entry.expires}, no more")
            elif entry is not None:
                finding = replace(finding, accepted=entry.reason)  # noqa: PLW2901
            marked.append(finding)
        remarks += [
            f"{' '.join(key)}: is in the baseline and was not found; take it out"
            for key in sorted(self._entries)
            if key not in seen
        ]
        return marked, remarks


def load(path: str) -> Baseline:
    """Reads a baseline.

    Raises:
        BaselineError: It cannot be read, or is none.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise BaselineError(f"{path}: is larger than 16 MiB, and so no baseline")
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{path}: is no JSON: {error}") from None
    if not isinstance(read, dict) or read.get("version") != 1:
        raise BaselineError(f"{path}: version: expected 1, as --write-baseline writes it")
    listed = read.get("findings")
    if not isinstance(listed, list):
        raise BaselineError(f"{path}: findings: expected a list")
    entries = {}
    for index, entry in enumerate(listed):
        key, value = _entry(f"{path}: findings[{index}]", entry)
        if key in entries:
            raise BaselineError(f"{path}: findings[{index}]: {' '.join(key)} is there twice")
        entries[key] = value
    return Baseline(entries)


def _entry(place: str, entry: Any) -> tuple[tuple[str, str], _Entry]:
    if not isinstance(entry, dict):
        raise BaselineError(f"{place}: expected rule, subject, reason and expires")
    wanted = ("rule", "subject", "reason", "expires")
    if unknown := sorted(set(entry) - set(wanted)):
        raise BaselineError(f"{place}: unknown field {unknown[0]!r}")
    for name in wanted:
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise BaselineError(f"{place}.{name}: expected a text, found {entry.get(name)!r}")
    if entry["rule"] not in RULES:
        raise BaselineError(
            f"{place}.rule: there is no rule {entry['rule']!r}; `apifrom check --rules` lists them"
        )
    try:
        expires = datetime.date.fromisoformat(entry["expires"])
    except ValueError:
        raise BaselineError(
            f"{place}.expires: expected a date such as 2027-06-30, found {entry['expires']!r}"
        ) from None
    return (entry["rule"], entry["subject"]), _Entry(entry["reason"], expires)


def dump(findings: Sequence[Finding], reason: str, expires: datetime.date) -> str:
    """A baseline that accepts `findings`."""
    entries = [
        {
            "rule": rule,
            "subject": subject,
            "reason": reason,
            "expires": expires.isoformat(),
        }
        for rule, subject in sorted({finding.key for finding in findings})
    ]
    return json.dumps({"version": 1, "findings": entries}, indent=2) + "\n"


def write(path: str, text: str) -> None:
    """Writes a file whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        # A pipe or a device has no place beside it where a file could be made first.
        target.write_text(text, encoding="utf-8")
        return
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

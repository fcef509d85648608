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
    },
    {
      "rule": "AF803",
      "subject": "tools.py rebuild",
      "fingerprint": "5f0c2b7de1a94836",
      "count": 2,
      "reason": "run by hand",
      "expires": "2027-06-30"
    }
  ]
}
```

1. An entry holds findings of its rule and subject; where it has a fingerprint, of that expression.
2. It holds as many as it counts, one without a count. Where there are more, none is held: which of
   them was accepted cannot be told.
3. An entry with a fingerprint goes before one without.
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apifrom._check import RULES, Finding

__all__ = ["Baseline", "BaselineError", "dump", "load", "write"]

_LARGEST = 16 << 20


class BaselineError(Exception):
    """What is wrong with a baseline, and where."""


_Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    reason: str
    expires: datetime.date
    count: int


class Baseline:
    """What was accepted."""

    def __init__(self, entries: dict[_Key, _Entry]) -> None:
        """Keeps `entries` by rule, subject and fingerprint."""
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
        keys = [self._key(finding) for finding in findings]
        often = Counter(keys)
        marked = []
        for finding, key in zip(findings, keys, strict=True):
            entry = self._entries.get(key)
            if entry is not None and entry.expires >= today and often[key] <= entry.count:
                finding = replace(finding, accepted=entry.reason)  # noqa: PLW2901
            marked.append(finding)
        remarks = []
        for key, entry in sorted(self._entries.items(), key=lambda item: _shown(item[0])):
            found = often[key]
            if not found:
                remarks.append(f"{_shown(key)}: is in the baseline and was not found; take it out")
            elif entry.expires < today:
                remarks.append(f"{_shown(key)}: accepted until {entry.expires}, no more")
            elif found > entry.count:
                remarks.append(f"{_shown(key)}: {entry.count} accepted and {found} found, so none")
        return marked, remarks

    def _key(self, finding: Finding) -> _Key:
        """The entry that may hold a finding."""
        exact = (*finding.key, finding.fingerprint)
        return exact if exact in self._entries else (*finding.key, None)


def _shown(key: _Key) -> str:
    return " ".join(part for part in key if part is not None)


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
            raise BaselineError(f"{path}: findings[{index}]: {_shown(key)} is there twice")
        entries[key] = value
    return Baseline(entries)


def _entry(place: str, entry: Any) -> tuple[_Key, _Entry]:
    if not isinstance(entry, dict):
        raise BaselineError(f"{place}: expected rule, subject, reason and expires")
    wanted = ("rule", "subject", "reason", "expires")
    if unknown := sorted(set(entry) - {*wanted, "fingerprint", "count"}):
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
    fingerprint, count = entry.get("fingerprint"), entry.get("count", 1)
    if "fingerprint" in entry and not (isinstance(fingerprint, str) and fingerprint):
        raise BaselineError(f"{place}.fingerprint: expected a text, found {fingerprint!r}")
    if type(count) is not int or count < 1:
        raise BaselineError(f"{place}.count: expected a number from 1, found {count!r}")
    return (entry["rule"], entry["subject"], fingerprint), _Entry(entry["reason"], expires, count)


def dump(findings: Sequence[Finding], reason: str, expires: datetime.date) -> str:
    """A baseline that accepts `findings`."""
    counted = Counter((*finding.key, finding.fingerprint) for finding in findings)
    entries = []
    for key, count in sorted(counted.items(), key=lambda item: _shown(item[0])):
        rule, subject, fingerprint = key
        entry: dict[str, Any] = {"rule": rule, "subject": subject}
        if fingerprint is not None:
            entry["fingerprint"] = fingerprint
        if count > 1:
            entry["count"] = count
        entries.append({**entry, "reason": reason, "expires": expires.isoformat()})
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

"""Tries what an API promises: the requests that its own policy refuses, sent in process.

The engine makes the requests and judges the answers; no handler is called.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apifrom import _apifrom
from apifrom._check.formats import printable

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["Trial", "as_json", "attack", "text"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One promise of one endpoint, tried.

    Attributes:
        subject: The endpoint, `GET /users/{id}`, or `api`.
        promise: What was promised, such as `expired-token`.
        verdict: `held`, `broken` or `untried`.
        controlled: True where the same request with a good credential comes through.
        detail: What was sent and answered, or why it was not.
    """

    subject: str
    promise: str
    verdict: str
    controlled: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.verdict} {self.promise} {self.subject}: {self.detail}"


def attack(app: API) -> list[Trial]:
    """Tries every promise of an API.

    Args:
        app: The API. Its lifespan runs; its policies, look-ups and key functions are called; its
            counts are used up, so it should be one that serves nobody.

    Returns:
        What came of each trial.

    Raises:
        ConfigurationError: The API would not start.
    """
    server = _apifrom.TestServer(app.freeze(lenient=True), app.lifespan())
    try:
        return [Trial(**trial) for trial in json.loads(server.attack())["trials"]]
    finally:
        server.close()


def text(target: str, trials: Sequence[Trial]) -> str:
    """For people, at a terminal: what is broken, what was not tried, and counts."""
    shown = [str(trial) for trial in trials if trial.verdict != "held"]
    shown = list(dict.fromkeys(sorted(shown)))
    held = Counter(trial.promise for trial in trials if trial.verdict == "held")
    shown += [f"held {promise}: {number}" for promise, number in sorted(held.items())]
    counts = Counter(trial.verdict for trial in trials)
    shown.append(
        f"{target}: {counts['broken']} broken, {counts['held']} held "
        f"({sum(trial.controlled for trial in trials if trial.verdict == 'held')} beside a request "
        f"that came through), {counts['untried']} untried"
    )
    return printable("\n".join(shown)) + "\n"


def as_json(target: str, trials: Sequence[Trial]) -> str:
    """For programs."""
    listed = [
        {
            "subject": trial.subject,
            "promise": trial.promise,
            "verdict": trial.verdict,
            "controlled": trial.controlled,
            "detail": trial.detail,
        }
        for trial in trials
    ]
    return json.dumps({"version": 1, "target": target, "trials": listed}, indent=2) + "\n"

"""Proves findings by requests, in process.

No handler is called: what is asked for is a path that no endpoint has, and a protected endpoint is
rehearsed, which ends where its handler would begin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from apifrom._check import Finding, with_proof
from apifrom.testing import TestClient

if TYPE_CHECKING:
    from apifrom.api import API
    from apifrom.testing import TestResponse

__all__ = ["prove"]

_NOWHERE = "/apifrom-check-of-a-path-that-nobody-has"


def prove(app: API, findings: list[Finding]) -> list[Finding]:
    """Sends the requests that prove what can be proved.

    Args:
        app: The API, frozen.
        findings: What was found.

    Returns:
        The findings, each with what its request showed.
    """
    proofs = {}
    with TestClient(app, base_url=f"https://{_host(app)}") as client:
        answer = client.get(_NOWHERE)
        for finding in findings:
            if finding.subject != "api":
                if finding.rule.id == "AF301":
                    proofs[finding.key] = _reaches(client, finding.subject)
            elif finding.rule.id == "AF402":
                stranger = client.get(_NOWHERE, headers={"host": "attack.example"})
                proofs[finding.key] = stranger.status_code == answer.status_code
            elif prover := _HEADERS.get(finding.rule.id):
                proofs[finding.key] = prover(answer)
    return with_proof(findings, proofs)


def _host(app: API) -> str:
    hosts: list[str] = [*app.trusted_hosts, "localhost"]
    return hosts[0].replace("*.", "a.")


def _reaches(client: TestClient, subject: str) -> bool:
    methods, _, template = subject.partition(" ")
    parts = ["1" if part.startswith("{") else part for part in template.split("/")]
    answer = client.rehearse(methods.partition(",")[0], "/".join(parts))
    return answer.status_code == 204


def _holds(name: str, *, containing: str | None = None) -> Callable[[TestResponse], bool]:
    def look(answer: TestResponse) -> bool:
        value = answer.headers.get(name)
        return value is not None and (containing is None or containing in value)

    return look


def _lacks(name: str) -> Callable[[TestResponse], bool]:
    return lambda answer: name not in answer.headers


_HEADERS: Final[dict[str, Callable[[TestResponse], bool]]] = {
    "AF405": _lacks("content-security-policy"),
    "AF406": _holds("x-xss-protection"),
    "AF407": _holds("strict-transport-security", containing="preload"),
    "AF410": _holds("content-security-policy", containing="block-all-mixed-content"),
    "AF411": _lacks("content-security-policy"),
    "AF412": _lacks("x-frame-options"),
}

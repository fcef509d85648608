"""Validated POST: a JSON body with lengths, a range, an e-mail address and a password rule."""

import json

from harness import servers
from scenarios.model import Entry, Request, Scenario, Target

PEOPLE = (
    ("Ada Lovelace", "ada@example.com", 36),
    ("Grace Hopper", "grace.hopper@example.org", 85),
    ("Barbara Liskov", "liskov@mail.example.net", 44),
    ("Edsger Dijkstra", "edsger+bench@example.com", 72),
)
PASSWORD = "Engine#1843"


def _create(user: dict[str, object], status: int = 200, answer: object = None) -> Request:
    headers = (("content-type", "application/json"),)
    return Request("POST", "/users", status, answer, headers, json.dumps(user))


def valid_users() -> tuple[Request, ...]:
    """Requests that create a user and are accepted."""
    return tuple(
        _create(
            {"name": name, "email": email, "age": age, "password": PASSWORD},
            answer={"id": 123, "name": name, "email": email, "age": age},
        )
        for name, email, age in PEOPLE
    )


def invalid_users() -> tuple[Request, ...]:
    """Requests with one fault each."""
    valid = {"name": "Ada", "email": "ada@example.com", "age": 36, "password": PASSWORD}
    faults: tuple[dict[str, object], ...] = (
        {"name": "A"},
        {"name": "A" * 51},
        {"email": "ada.example.com"},
        {"age": 17},
        {"age": 121},
        {"password": "Aa1!"},
        {"password": "engine#1843"},
        {"password": "ENGINE#1843"},
        {"password": "Engine#engine"},
        {"password": "Engine1843"},
    )
    return tuple(_create(valid | fault, status=422) for fault in faults)


SCENARIO = Scenario(
    name="users",
    title="POST /users, validated",
    entries=(
        Entry("apifrom, Rust", servers.OURS_RUST, valid_users()),
        Entry("apifrom, def", servers.OURS_PYTHON, valid_users()),
        Entry("FastAPI", servers.FASTAPI, valid_users()),
        Entry("Granian RSGI", servers.GRANIAN, valid_users()),
        Entry("axum", servers.AXUM, valid_users()),
    ),
    references=("FastAPI", "Granian RSGI", "axum"),
    targets=(Target("apifrom, def", "FastAPI", 0.2),),
    refusals=invalid_users(),
)

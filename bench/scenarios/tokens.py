"""A verified token before a small answer, and tokens that are refused."""

import base64
import hashlib
import hmac
import json

from harness import servers
from scenarios.hello import NAMES
from scenarios.model import Entry, Request, Scenario, Target

# Every contender has it in its source. It guards nothing.
SECRET = b"the bench's secret of more than thirty-two bytes"
# In the year 2100.
EXPIRES = 4_102_444_800


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token(subject: str, key: bytes = SECRET, **claims: object) -> str:
    """A token signed with HS256."""
    payload: dict[str, object] = {"sub": subject, "iat": 1_700_000_000, "exp": EXPIRES, **claims}
    parts = [{"alg": "HS256", "typ": "JWT"}, payload]
    signed = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    tag = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_encode(tag)}"


def _ask(bearer: str | None, path: str, status: int = 200, answer: object = None) -> Request:
    headers = () if bearer is None else (("authorization", f"Bearer {bearer}"),)
    return Request("GET", path, status, answer, headers)


def known(path: str = "/me") -> tuple[Request, ...]:
    """Requests of several known callers."""
    return tuple(_ask(token(name), path, answer={"sub": name}) for name in NAMES)


def unknown(path: str = "/me") -> tuple[Request, ...]:
    """Requests with tokens that somebody else signed."""
    return tuple(_ask(token(name, b"another " + SECRET), path, 401) for name in NAMES)


REFUSALS = (
    _ask(None, "/me", 401),
    _ask(token("Ada", exp=1_700_000_001), "/me", 401),
    _ask(token("Ada", b"x" + SECRET), "/me", 401),
    _ask("eyJhbGciOiJub25lIn0.eyJzdWIiOiJBZGEiLCJleHAiOjQxMDI0NDQ4MDB9.", "/me", 401),
)

VERIFIED = Scenario(
    name="tokens",
    title="GET /me, HS256 verified",
    entries=(
        Entry("apifrom, Rust", servers.OURS_RUST, known()),
        Entry("apifrom, def", servers.OURS_PYTHON, known()),
        Entry("FastAPI + PyJWT", servers.FASTAPI, known()),
        Entry("axum + jsonwebtoken", servers.AXUM, known()),
    ),
    references=("FastAPI + PyJWT", "axum + jsonwebtoken"),
    targets=(Target("apifrom, def", "FastAPI + PyJWT", 1 / 15),),
    refusals=REFUSALS,
)

REFUSED = Scenario(
    name="refused",
    title="GET /me, forged token",
    entries=(
        # Nobody subscribed to `tracing`.
        Entry("apifrom, Rust", servers.OURS_RUST, unknown()),
        # The logger takes errors alone.
        Entry("apifrom, Python, unheard", servers.OURS_UNHEARD, unknown()),
        # What `app.run` does by itself: each event is a line on standard error.
        Entry("apifrom, Python, lines", servers.OURS_PYTHON, unknown()),
        # A handler of the program's own, given a record for each event.
        Entry("apifrom, Python, records", servers.OURS_LOGGING, unknown()),
        Entry("FastAPI + PyJWT", servers.FASTAPI, unknown()),
        Entry("axum + jsonwebtoken", servers.AXUM, unknown()),
    ),
    references=("FastAPI + PyJWT", "axum + jsonwebtoken"),
    targets=(
        Target("apifrom, Python, unheard", "FastAPI + PyJWT", 0.05),
        Target("apifrom, Python, unheard", "axum + jsonwebtoken", 1.0),
        Target("apifrom, Python, lines", "FastAPI + PyJWT", 0.05),
        Target("apifrom, Python, lines", "axum + jsonwebtoken", 1.0),
    ),
    refusals=REFUSALS,
)

"""A guarded endpoint: a token, other origins, security headers and a rate limit at once."""

from dataclasses import replace

from harness import servers
from scenarios import tokens
from scenarios.model import Entry, Request, Scenario, Target

# Listed on each side; a page there may read the answers.
ORIGIN = ("origin", "https://page.example")


def _from_page(requests: tuple[Request, ...]) -> tuple[Request, ...]:
    return tuple(replace(each, headers=(*each.headers, ORIGIN)) for each in requests)


SCENARIO = Scenario(
    name="surrounded",
    title="GET /me, token, CORS, headers, limit",
    entries=(
        Entry("apifrom, Rust", servers.OURS_RUST_SURROUNDED, _from_page(tokens.known())),
        Entry("apifrom, def", servers.OURS_PYTHON_SURROUNDED, _from_page(tokens.known())),
        Entry("axum + tower-http", servers.AXUM_SURROUNDED, _from_page(tokens.known())),
    ),
    references=("axum + tower-http",),
    targets=(
        Target("apifrom, Rust", "axum + tower-http", 0.85),
        Target("apifrom, def", "axum + tower-http", 1.0),
    ),
    refusals=_from_page(tokens.REFUSALS),
)

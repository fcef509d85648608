"""Look-up by primary key: one row of an SQLite file as JSON."""

from harness import people, servers
from scenarios.model import Entry, Request, Scenario, Target

# Spread over the table, so that nobody wins by remembering the last row.
IDS = range(1, people.COUNT + 1, people.COUNT // 16)


def look_ups(path: str = "/people") -> tuple[Request, ...]:
    """Requests for people who are there."""
    return tuple(Request("GET", f"{path}/{number}", json=people.person(number)) for number in IDS)


SCENARIO = Scenario(
    name="people",
    title="GET /people/{id}, SQLite",
    entries=(
        Entry("apifrom, Rust", servers.OURS_RUST, look_ups()),
        Entry("apifrom, def", servers.OURS_PYTHON, look_ups()),
        Entry("apifrom, async def", servers.OURS_PYTHON, look_ups("/apeople")),
        Entry("FastAPI + sqlite3", servers.FASTAPI, look_ups()),
        Entry("BlackSheep + sqlite3", servers.BLACKSHEEP, look_ups()),
        Entry("axum + sqlx", servers.AXUM, look_ups()),
    ),
    references=("FastAPI + sqlite3", "BlackSheep + sqlite3", "axum + sqlx"),
    targets=(
        Target("apifrom, Rust", "axum + sqlx", 0.6),
        Target("apifrom, def", "FastAPI + sqlite3", 1 / 6),
        Target("apifrom, def", "BlackSheep + sqlite3", 0.999),
    ),
    refusals=(
        Request("GET", f"/people/{people.COUNT + 1}", 404),
        Request("GET", "/people/0", 404),
    ),
)

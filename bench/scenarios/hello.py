"""Plain GET: routing, one capture and a small JSON answer."""

from harness import servers
from scenarios.model import Entry, Request, Scenario, Target

# Several names, so that nobody wins by remembering the last answer.
NAMES = ("World", "Ada", "Grace", "Barbara", "Edsger", "Donald", "Frances", "Tony")


def greetings(path: str = "/hello") -> tuple[Request, ...]:
    """Requests for a greeting by each name.

    Args:
        path: The path before the name.
    """
    return tuple(
        Request("GET", f"{path}/{name}", json={"message": f"Hello, {name}!"}) for name in NAMES
    )


SCENARIO = Scenario(
    name="hello",
    title="GET /hello/{name}",
    entries=(
        Entry("apifrom, Rust", servers.OURS_RUST, greetings()),
        Entry("apifrom, def", servers.OURS_PYTHON, greetings()),
        Entry("apifrom, async def", servers.OURS_PYTHON, greetings("/ahello")),
        Entry("apifrom, def, 2 workers", servers.OURS_WORKERS, greetings(), workers=2),
        Entry("FastAPI", servers.FASTAPI, greetings()),
        Entry("Granian RSGI", servers.GRANIAN, greetings()),
        Entry("axum", servers.AXUM, greetings()),
        Entry("bare hyper", servers.HYPER, greetings()),
    ),
    references=("apifrom, def", "FastAPI", "Granian RSGI", "axum", "bare hyper"),
    targets=(
        Target("apifrom, def", "FastAPI", 0.1),
        Target("apifrom, def", "Granian RSGI", 0.5),
        Target("apifrom, async def", "FastAPI", 0.125),
        Target("apifrom, Rust", "axum", 1.0),
        Target("apifrom, def, 2 workers", "apifrom, def", 1.1),
    ),
)

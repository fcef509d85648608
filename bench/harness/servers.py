"""The programs that are measured: how each is started, and what it needs to be there."""

from dataclasses import dataclass, replace
from pathlib import Path

from harness import places


@dataclass(frozen=True)
class Server:
    """A program that listens on a port of 127.0.0.1.

    Attributes:
        name: What the tables call it.
        command: Its program and arguments; ``{port}`` stands for the port, which is also in the
            environment variable ``PORT``.
        missing: What to do when the program is not there.
        directory: Where it is started.
        environment: Variables beside the bench's own.
    """

    name: str
    command: tuple[str, ...]
    missing: str
    directory: Path = places.ROOT
    environment: tuple[tuple[str, str], ...] = ()


BUILD_OURS = "not built"
BUILD_PEERS = "not built"


def _ours_python(file: str, name: str, **environment: str) -> Server:
    command = (str(places.OURS_PYTHON), f"bench/ours/{file}")
    return Server(name, command, BUILD_OURS, environment=tuple(environment.items()))


# As the peers are started: without a line for each request that was let in.
OURS_PYTHON = _ours_python("app.py", "apifrom, Python", LOG_LEVEL="warning")
OURS_WORKERS = _ours_python(
    "app.py", "apifrom, Python, 2 workers", LOG_LEVEL="warning", WORKERS="2"
)
# What a refusal costs depends on who listens to its security event.
OURS_UNHEARD = _ours_python("app.py", "apifrom, Python, unheard", LOG_LEVEL="error")
OURS_LOGGING = _ours_python(
    "app.py", "apifrom, Python, logging", LOG_FILE=str(places.RESULTS / "logs" / "security.log")
)
OURS_FIVE_LINES = _ours_python("five_lines.py", "apifrom, five lines of Python")
OURS_VALIDATION = _ours_python("guide_validation.py", "apifrom, the guide's validation block")
OURS_BLOCKING = _ours_python("blocking.py", "apifrom, Python")
OURS_IDLE = _ours_python("idle.py", "apifrom, Python")
OURS_UPLOAD = _ours_python("upload.py", "apifrom, Python")
OURS_LOGINS = _ours_python("logins.py", "apifrom, Python")
OURS_SOAK = _ours_python("soak.py", "apifrom, Python")
OURS_RUST = Server("apifrom, Rust", (str(places.OURS_RUST),), BUILD_OURS)

AXUM = Server("axum", (str(places.PEER_AXUM),), BUILD_PEERS)
# The same programs, with everything around their endpoints.
_SURROUNDED = (("BENCH_SURROUNDED", "1"),)
OURS_RUST_SURROUNDED = replace(OURS_RUST, environment=_SURROUNDED)
OURS_PYTHON_SURROUNDED = replace(OURS_PYTHON, environment=(*OURS_PYTHON.environment, *_SURROUNDED))
AXUM_SURROUNDED = replace(AXUM, environment=_SURROUNDED)
HYPER = Server("bare hyper", (str(places.PEER_HYPER),), BUILD_PEERS)
FASTAPI = Server(
    "FastAPI",
    (
        *(str(places.PEERS_PYTHON), "-m", "uvicorn", "fastapi_app:app", "--port", "{port}"),
        # Idle connections are held longer than uvicorn's five seconds when they are counted.
        *("--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "75"),
    ),
    BUILD_PEERS,
    directory=places.BENCH / "peers/python",
)
BLACKSHEEP = Server(
    "BlackSheep",
    (
        *(str(places.PEERS_PYTHON), "-m", "uvicorn", "blacksheep_app:app", "--port", "{port}"),
        *("--no-access-log", "--log-level", "warning"),
    ),
    BUILD_PEERS,
    directory=places.BENCH / "peers/python",
)
GRANIAN = Server(
    "Granian RSGI",
    (
        *(str(places.PEERS_PYTHON), "-m", "granian", "granian_app:app", "--interface", "rsgi"),
        *("--port", "{port}", "--workers", "1", "--loop", "uvloop", "--no-access-log"),
        # Its bound on connections is the backlog, which counting idle ones must not reach.
        *("--log-level", "warning", "--backlog", "16384"),
    ),
    BUILD_PEERS,
    directory=places.BENCH / "peers/python",
)

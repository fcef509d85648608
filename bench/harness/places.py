"""Where things lie."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent

# Built by the bench.
LOADER = BENCH / "target/release/loader"
PEER_AXUM = BENCH / "target/release/peer-axum"
PEER_HYPER = BENCH / "target/release/peer-hyper"
PEERS_PYTHON = BENCH / ".venv/bin/python"

# Built by the bench from the product's tree.
OURS_RUST = ROOT / "target/release/examples/bench_rust"
OURS_TIMING = ROOT / "target/release/examples/timing"
OURS_LIMITER = ROOT / "target/release/examples/limiter"
OURS_PYTHON = BENCH / ".venv-ours/bin/python"

RESULTS = BENCH / "results"

"""What the figures depend on: the machine, the versions, and what else is running."""

import os
import platform
import subprocess
import tomllib
from pathlib import Path

from harness import places
from harness.loader import Cores

PACKAGES = ("fastapi", "uvicorn", "uvloop", "httptools", "granian", "pydantic")
CRATES = ("axum", "hyper", "tokio")

# Above it, figures of latency and rate say more about the neighbours than about the server.
QUIET_LOAD = 0.5


def describe(cores: Cores) -> str:
    """A paragraph to print above the table."""
    lines = [
        f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}; "
        f"server on core {cores.server}, loader on core {cores.loader}",
        f"Python {platform.python_version()}, {', '.join(_packages())}",
        f"{_rust()}, {', '.join(_crates())}",
    ]
    if cores.server == cores.loader:
        lines.append("note: server and loader share a core; only CPU time a request means much")
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        lines.append(f"note: the load average is {load:.1f}; this machine is not quiet")
    return "\n".join(lines)


def choose_cores(server: int | None, loader: int | None) -> Cores:
    """The cores asked for, or the first two that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(
        server=usable[0] if server is None else server,
        loader=usable[min(1, len(usable) - 1)] if loader is None else loader,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _packages() -> list[str]:
    pins = (places.BENCH / "requirements.txt").read_text().splitlines()
    versions = dict(pin.split("==") for pin in pins if "==" in pin)
    return [f"{name} {versions[name]}" for name in PACKAGES if name in versions]


def _rust() -> str:
    done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:2]) or "rustc unknown"


def _crates() -> list[str]:
    lock = tomllib.loads((places.BENCH / "Cargo.lock").read_text())
    versions = {package["name"]: package["version"] for package in lock["package"]}
    return [f"{name} {versions[name]}" for name in CRATES if name in versions]

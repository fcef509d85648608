"""Making everything that is measured: the loader, the peers, and the product's release builds."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import places


class BuildError(Exception):
    """Something that the bench itself needs could not be made."""


def peers() -> None:
    """Builds the loader and the Rust peers, and installs the Python peers.

    Raises:
        BuildError: One of them failed; without them there is nothing to compare with.
    """
    if not _run(["cargo", "build", "--quiet", "--release", "--locked"], places.BENCH):
        raise BuildError("the bench's own workspace does not build")
    requirements = places.BENCH / "requirements.txt"
    python = places.PEERS_PYTHON
    stamp = python.parent.parent / ".installed"
    wanted = f"{sys.version}\n{_digest(requirements)}"
    if _installed(python, stamp, wanted):
        return
    print("installing the Python peers", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    made = _make_venv(python)
    if not made or not _run([*pip, "-r", str(requirements)], places.BENCH):
        raise BuildError("the Python peers cannot be installed")
    stamp.write_text(wanted)


def ours() -> None:
    """Builds both faces as they are released; a face that fails is reported and left out."""
    print("building the Rust face", flush=True)
    if not example("bench_rust"):
        # A binary of an earlier tree must not pass for this one.
        places.OURS_RUST.unlink(missing_ok=True)
    print("building the Python face", flush=True)
    if not _python_face():
        shutil.rmtree(places.OURS_PYTHON.parent.parent, ignore_errors=True)


def example(name: str) -> bool:
    """Builds an example of the Rust face as it is released; says whether it could."""
    command = ["cargo", "build", "--quiet", "--release", "--locked"]
    return _run([*command, "--package", "apifrom", "--example", name], places.ROOT)


def valgrind() -> str | None:
    """Makes sure that valgrind is there; otherwise says what is missing."""
    if shutil.which("valgrind"):
        return None
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "valgrind"]
        _run(["apt-get", "update", "-qq"], places.BENCH)
        if _run(install, places.BENCH) and shutil.which("valgrind"):
            return None
    return "valgrind is missing: run `apt-get install valgrind` as root"


def _python_face() -> bool:
    # Not the editable install of `make develop`, which trades speed for a short link.
    maturin = places.ROOT / ".cache/tools/bin/maturin"
    if not maturin.exists() and not _run(["scripts/tools", "maturin"], places.ROOT):
        return False
    wheels = places.RESULTS / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    options = ["--quiet", "--release", "--locked", "--interpreter", sys.executable]
    if not _run([str(maturin), "build", *options, "--out", str(wheels)], places.ROOT):
        return False
    found = sorted(wheels.glob("*.whl"))
    if not found:
        return False
    python = places.OURS_PYTHON
    stamp = python.parent.parent / ".installed"
    wanted = f"{sys.version}\n{_digest(places.BENCH / 'requirements.txt')}\n{_digest(found[0])}"
    if _installed(python, stamp, wanted):
        return True
    if not _make_venv(python):
        return False
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The peers' pins hold here too: both sides run on one pydantic.
    pins = ["--constraint", str(places.BENCH / "requirements.txt")]
    if not _run([*pip, *pins, str(found[0])], places.ROOT):
        return False
    stamp.write_text(wanted)
    return True


def _installed(python: Path, stamp: Path, wanted: str) -> bool:
    return python.exists() and stamp.exists() and stamp.read_text() == wanted


def _make_venv(python: Path) -> bool:
    command = [sys.executable, "-m", "venv", "--clear", str(python.parent.parent)]
    return _run(command, places.BENCH)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(command: Sequence[str], directory: Path) -> bool:
    try:
        return subprocess.run(command, cwd=directory, check=False).returncode == 0
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return False

"""Starting and ending servers, and reading what the kernel says about them."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import people, places
from harness.servers import Server

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class StartError(Exception):
    """A server did not come up; the text says what was seen."""


@dataclass
class Running:
    """A server that answers."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def id(self) -> int:
        """The process that was started; its workers are its descendants."""
        return self.process.pid

    def rss(self) -> float:
        """Resident memory in MiB, the sum over the process and its descendants.

        Raises:
            StartError: The process is gone.
        """
        return self._memory("VmRSS")

    def peak_rss(self) -> float:
        """The highest resident memory in MiB since `forget_peak`."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """Starts watching for the peak anew."""
        for member in tree(self.id):
            # proc(5): writing 5 resets the peak to what is resident now.
            Path(f"/proc/{member}/clear_refs").write_text("5")

    def _memory(self, name: str) -> float:
        if self.process.poll() is not None:
            raise StartError(f"ended with {self.process.returncode}: {last_words(self.log)}")
        return sum(_status(member, name) for member in tree(self.id)) / 1024


def start(server: Server, core: int, wrapper: tuple[str, ...] = ()) -> Running:
    """Starts a server on one core and waits until it answers.

    Args:
        server: What to start.
        core: The only core it may use.
        wrapper: A program that runs it, such as valgrind, with its arguments.

    Raises:
        StartError: It is not there, ended, or does not answer in time.
    """
    program = Path(server.command[0])
    if not program.exists():
        raise StartError(f"{server.missing} ({program.relative_to(places.ROOT)})")
    port = _free_port()
    log = places.RESULTS / "logs" / f"{server.name.replace(' ', '-').replace(',', '')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *pinned(core),
        *wrapper,
        *(part.replace("{port}", str(port)) for part in server.command),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=server.directory,
            env={
                **os.environ,
                **dict(server.environment),
                "PORT": str(port),
                "BENCH_DATABASE": people.file(),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Running(server, port, process, log)
    try:
        _await_answer(running)
    except BaseException:
        stop(running)
        raise
    return running


def stop(running: Running) -> None:
    """Ends a server and all its descendants."""
    members = tree(running.id)
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
    try:
        running.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Calls that compute without end keep a graceful stop waiting, as they should.
        for member in members:
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                continue
        running.process.wait()


@contextmanager
def serving(server: Server, core: int) -> Iterator[Running]:
    """A server for the length of a ``with`` block."""
    running = start(server, core)
    try:
        yield running
    finally:
        stop(running)


def pinned(core: int) -> tuple[str, ...]:
    """The beginning of a command that keeps a program on one core."""
    return ("taskset", "--cpu-list", str(core))


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name in brackets may hold spaces; the parent is the second field after it.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(fields[1])
    members = [root]
    for member in members:
        members += [child for child, parent in parents.items() if parent == member]
    return members


def last_words(log: Path) -> str:
    """The last line that a server wrote, shortened."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    return lines[-1][:200] if lines else "no output"


def _status(process: int, name: str) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(running: Running) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if running.process.poll() is not None:
            raise StartError(f"ended with {running.process.returncode}: {last_words(running.log)}")
        if _answers(running.port):
            return
        time.sleep(0.05)
    raise StartError(f"no answer within {START_SECONDS:.0f} s: {last_words(running.log)}")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False

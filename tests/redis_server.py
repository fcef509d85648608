"""A real Redis server without any file, on a port of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a-password-of-the-tests"


class RedisServer:
    """A server that can be killed and started again.

    Attributes:
        port: Where it listens on 127.0.0.1.
        url: Its address, with the password.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--requirepass", PASSWORD),
            ],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not self.answers():
            assert time.monotonic() < deadline, "redis-server does not start"
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether it can be asked."""
        with contextlib.suppress(OSError):
            return self.ask(b"PING") == b"+PONG\r\n"
        return False

    def ask(self, command: bytes) -> bytes:
        """Sends one command, and returns the first of what is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"AUTH " + PASSWORD.encode() + b"\r\n")
            connection.recv(100)
            connection.sendall(command + b"\r\n")
            return connection.recv(65_536)

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def redis_server(directory: Path) -> Iterator[RedisServer]:
    """Runs a server in `directory`."""
    server = RedisServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()

"""A PostgreSQL of the tests' own: a new folder, a free port of the loopback, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from apifrom.database import Database, DatabaseUnavailable

PASSWORD = "correct horse"


def programs() -> Path | None:
    """The folder of the newest server that is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class Server:
    """A server that can be killed and started again."""

    def __init__(self) -> None:
        """Makes its files and starts it."""
        found = programs()
        assert found, "PostgreSQL is missing: run scripts/prerequisites gates"
        self._programs = found
        self.folder = Path(tempfile.mkdtemp(prefix="apifrom-postgres-"))
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb",
            *("--pgdata", self.folder / "data", "--username", "ann", "--encoding", "UTF8"),
            *("--auth", "scram-sha-256", "--pwfile", secret, "--no-sync", "--locale", "C"),
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, *, password: str = PASSWORD, name: str = "postgres", port: int = 0) -> str:
        """Where it is."""
        password = password.replace(" ", "%20")
        return f"postgresql://ann:{password}@127.0.0.1:{port or self.port}/{name}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [
                self._programs / "postgres",
                *("-D", self.folder / "data", "-p", str(self.port)),
                *(
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    f"unix_socket_directories={self.folder}",
                ),
                # Processes are killed here, and never the machine.
                *("-c", "max_connections=200", "-c", "fsync=off"),
            ],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        log.close()
        deadline = time.monotonic() + 60
        db = Database(self.url())
        while True:
            try:
                db.ping()
            except DatabaseUnavailable:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                break
        db.close()

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends it; by default at once, so that all who are connected lose it."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """Ends it and deletes its files."""
        self.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)

    def create(self, name: str) -> str:
        """Makes a new database and returns its URL."""
        db = Database(self.url())
        db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        db.close()
        return self.url(name=name)

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._programs / program, *map(str, arguments)],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

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

from apifrom.database import Database, DatabaseUnavailable, insecure_raw

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
        self.made: set[str] = set()
        self.start()

    def url(self, *, password: str = PASSWORD, name: str = "postgres", port: int = 0) -> str:
        """Where it is."""
        password = password.replace(" ", "%20")
        return f"postgresql://ann:{password}@127.0.0.1:{port or self.port}/{name}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        deadline = time.monotonic() + 60
        self._launch()
        db = Database(self.url())
        while True:
            try:
                db.ping()
            except DatabaseUnavailable:
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.05)
                # Somebody's outgoing connection may hold the port for a moment.
                if self._process is None or self._process.poll() is not None:
                    self._launch()
            else:
                break
        db.close()

    def _launch(self) -> None:
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

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends it; by default at once, so that all who are connected lose it."""
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                # It waits for each child, and one that tells a client of its end may wait for that.
                self._kill_children(self._process.pid)
                self._process.wait(60)
            self._process = None

    @staticmethod
    def _kill_children(parent: int) -> None:
        listed = Path(f"/proc/{parent}/task/{parent}/children")
        with contextlib.suppress(OSError):
            for child in listed.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)

    def close(self) -> None:
        """Ends it and deletes its files."""
        self.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)

    def create(self, name: str) -> str:
        """Makes a new database and returns its URL."""
        self.run_sql(f"CREATE DATABASE {name}")
        self.made.add(name)
        return self.url(name=name)

    def empty(self, name: str) -> None:
        """Ends who is still connected to a database, and removes all that was made in it."""
        self.run_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND pid <> pg_backend_pid()",
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
            name=name,
        )

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """Proves by this certificate who it is, to whoever asks for TLS."""
        for file, setting in ((certificate, "ssl_cert_file"), (key, "ssl_key_file")):
            copy = self.folder / setting
            shutil.copy(file, copy)
            # It refuses a key that others may read.
            copy.chmod(0o600)
            if self._user:
                shutil.chown(copy, self._user)
            self.run_sql(f"ALTER SYSTEM SET {setting} = '{copy}'")
        self._set_tls("on")

    def speak_plainly(self) -> None:
        """Offers TLS no longer."""
        self._set_tls("off")

    def _set_tls(self, state: str) -> None:
        self.run_sql(f"ALTER SYSTEM SET ssl = {state}")
        self.run_sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 20
        db = Database(self.url())
        while db.query_one("SELECT current_setting('ssl') AS v") != {"v": state}:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        db.close()

    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text()

    def run_sql(self, *statements: str, name: str = "postgres") -> None:
        """Runs statements of the tests' own, each by itself."""
        db = Database(self.url(name=name))
        for statement in statements:
            db.execute(insecure_raw(statement))
        db.close()

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

"""A PostgreSQL of the tests' own."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

from apifrom.database import Database
from tests.database_server import PASSWORD, DatabaseServer


def programs() -> Path | None:
    """The folder of the newest server that is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class PostgreSQL(DatabaseServer):
    """A server that speaks TLS once it is told to."""

    scheme = "postgresql"
    first = "postgres"
    account = "postgres"
    at_once = signal.SIGQUIT

    def _install(self) -> None:
        found = programs()
        assert found, "PostgreSQL is missing: run scripts/prerequisites gates"
        self._programs = found
        self._made: set[str] = set()
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            self._programs / "initdb",
            *("--pgdata", self.folder / "data", "--username", "ann", "--encoding", "UTF8"),
            *("--auth", "scram-sha-256", "--pwfile", secret, "--no-sync", "--locale", "C"),
        )

    def _command(self) -> list[str]:
        settings = [
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            "max_connections=200",
            # Processes are killed here, and never the machine.
            "fsync=off",
        ]
        return [
            str(self._programs / "postgres"),
            *("-D", str(self.folder / "data"), "-p", str(self.port)),
            *(word for setting in settings for word in ("-c", setting)),
        ]

    def empty(self, name: str) -> str:
        """Makes a database, or removes all that was made in it, and returns its URL.

        One that was emptied is as good as a new one, which is 8 MB to write and to delete.
        """
        if name in self._made:
            self.run_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{name}' AND pid <> pg_backend_pid()",
                "DROP SCHEMA public CASCADE",
                "CREATE SCHEMA public",
                name=name,
            )
        else:
            self.run_sql(f"CREATE DATABASE {name}")
            self._made.add(name)
        return self.url(name=name)

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

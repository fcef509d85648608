"""A MariaDB of the tests' own."""

from __future__ import annotations

import contextlib
import os
import shutil

from apifrom.database import Database, insecure_raw
from tests.certificates import signed
from tests.database_server import PASSWORD, DatabaseServer


class MariaDB(DatabaseServer):
    """A server that proves who it is, to whoever asks for TLS."""

    scheme = "mysql"
    first = "app"
    account = "mysql"

    def _install(self) -> None:
        program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        install = shutil.which("mariadb-install-db")
        assert program, "MariaDB is missing: run scripts/prerequisites gates"
        assert install, "MariaDB is missing: run scripts/prerequisites gates"
        self._program = program
        self.socket = self.folder / "socket"
        self._run(
            install,
            *("--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db"),
            *("--auth-root-authentication-method=normal", "--innodb-log-file-size=4M"),
            "--innodb-flush-method=nosync",
        )
        first = self.folder / "first.sql"
        first.write_text(
            "CREATE USER IF NOT EXISTS ann@'%' "
            f"IDENTIFIED VIA mysql_native_password USING PASSWORD('{PASSWORD}');\n"
            "GRANT ALL ON *.* TO ann@'%';\n"
            "CREATE DATABASE IF NOT EXISTS app;\n"
        )
        first.chmod(0o644)
        self.authority = signed(self.folder, "ours")
        signed(self.folder, "server", by="ours", host="localhost")
        if self._user:
            shutil.chown(self.folder / "server.key", self._user)

    def _command(self) -> list[str]:
        return [
            self._program,
            *("--no-defaults", f"--datadir={self.folder / 'data'}", f"--socket={self.socket}"),
            *("--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve"),
            *(f"--init-file={self.folder / 'first.sql'}", "--max-connections=200"),
            *(f"--pid-file={self.folder / 'pid'}", "--innodb-buffer-pool-size=32M"),
            # Processes are killed here, and never the machine.
            *("--innodb-flush-method=nosync", "--innodb-doublewrite=0"),
            # What a session does not set itself must not be right by chance.
            *("--sql-mode=", "--character-set-server=latin1", "--default-time-zone=+05:00"),
            f"--ssl-cert={self.folder / 'server.pem'}",
            f"--ssl-key={self.folder / 'server.key'}",
        ]

    def socket_url(self) -> str:
        """Where it is, by a file."""
        path = str(self.socket).replace("/", "%2F")
        return f"mariadb://ann:{PASSWORD.replace(' ', '%20')}@{path}/app"

    def empty(self, name: str) -> str:
        """Makes a database, or makes it anew, and returns its URL."""
        others = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
        db = Database(self.url())
        for row in db.query(insecure_raw(others)):
            # It may have gone by itself meanwhile.
            with contextlib.suppress(Exception):
                db.execute(insecure_raw(f"KILL {row.id}"))
        db.close()
        self.run_sql(
            f"DROP DATABASE IF EXISTS {name}",
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
        )
        return self.url(name=name)

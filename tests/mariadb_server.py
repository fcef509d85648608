"""A MariaDB of the tests' own: a new folder, a free port of the loopback, gone at the end."""

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
from tests.certificates import signed

PASSWORD = "correct horse"


class Server:
    """A server that can be killed and started again."""

    def __init__(self) -> None:
        """Makes its files and starts it."""
        self._program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        install = shutil.which("mariadb-install-db")
        assert self._program, "MariaDB is missing: run scripts/prerequisites gates"
        assert install, "MariaDB is missing: run scripts/prerequisites gates"
        self.folder = Path(tempfile.mkdtemp(prefix="apifrom-mariadb-"))
        # It is not to run as root.
        self._user = "mysql" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
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
        # It may prove who it is, to whoever asks for TLS.
        self.authority = signed(self.folder, "ours")
        signed(self.folder, "server", by="ours", host="localhost")
        if self._user:
            shutil.chown(self.folder / "server.key", self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, *, password: str = PASSWORD, name: str = "app", port: int = 0) -> str:
        """Where it is."""
        password = password.replace(" ", "%20")
        return f"mysql://ann:{password}@127.0.0.1:{port or self.port}/{name}"

    def socket_url(self) -> str:
        """Where it is, by a file."""
        path = str(self.socket).replace("/", "%2F")
        return f"mariadb://ann:{PASSWORD.replace(' ', '%20')}@{path}/app"

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
                str(self._program),
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
            ],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        log.close()

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
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

    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text()

    def run_sql(self, *statements: str, name: str = "app") -> None:
        """Runs statements of the tests' own, each by itself."""
        db = Database(self.url(name=name))
        for statement in statements:
            db.execute(insecure_raw(statement))
        db.close()

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [program, *map(str, arguments)],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

"""A database server of the tests: a new folder, a free port of the loopback, gone at the end."""

from __future__ import annotations

import abc
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
from typing import ClassVar

from apifrom.database import Database, DatabaseUnavailable, insecure_raw

PASSWORD = "correct horse"


class DatabaseServer(abc.ABC):
    """A server that can be killed and started again.

    Attributes:
        folder: Its files.
        port: Where it listens on 127.0.0.1.
    """

    #: What a URL of it begins with, and the database that there always is.
    scheme: ClassVar[str]
    first: ClassVar[str]
    #: Who it runs as where the tests run as root.
    account: ClassVar[str]
    #: How it is ended at once, so that all who are connected lose it.
    at_once: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        """Makes its files and starts it."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"apifrom-{self.scheme}-"))
        self._user = self.account if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._install()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @abc.abstractmethod
    def _install(self) -> None:
        """Makes what it needs before its first start."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """The program, and what it is started with."""

    @abc.abstractmethod
    def empty(self, name: str) -> str:
        """Makes a database, or makes it anew, and returns its URL."""

    def url(self, *, password: str = PASSWORD, name: str = "", port: int = 0) -> str:
        """Where it is."""
        password = password.replace(" ", "%20")
        place = f"127.0.0.1:{port or self.port}/{name or self.first}"
        return f"{self.scheme}://ann:{password}@{place}"

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

    def stop(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.send_signal(self.at_once)
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                # It waits for each child, and one that tells a client of its end may wait for that.
                self._kill_children(self._process.pid)
                self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """Ends it and deletes its files."""
        self.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)

    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text()

    def run_sql(self, *statements: str, name: str = "") -> None:
        """Runs statements of the tests' own, each by itself."""
        db = Database(self.url(name=name))
        for statement in statements:
            db.execute(insecure_raw(statement))
        db.close()

    def _launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    @staticmethod
    def _kill_children(parent: int) -> None:
        listed = Path(f"/proc/{parent}/task/{parent}/children")
        with contextlib.suppress(OSError):
            for child in listed.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)

    def _run(self, program: str | Path, *arguments: object) -> None:
        subprocess.run(
            [program, *map(str, arguments)],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

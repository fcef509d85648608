"""`apifrom dev`: over real processes and sockets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from apifrom._reload.watch import Watch, folders_of

PATIENCE = 60

SHOP = """
import os, time
from apifrom import API
from parts import ANSWER

app = API()

@app.get("/")
def home() -> str:
    return f"{ANSWER} {os.getpid()}"

@app.get("/slow", blocking=True)
def slow() -> str:
    time.sleep(0.6)
    return "slow but whole"

@app.get("/crash")
def crash() -> str:
    os._exit(3)
"""


class Dev:
    """A program under `apifrom dev`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "apifrom", "dev", "shop", "--port", "0", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._read = 0
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._follow)
        self._reader.start()
        self.port = 0

    def _follow(self) -> None:
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def says(self, pattern: str) -> re.Match[str]:
        """Waits for a line that was not waited for before."""
        deadline = time.monotonic() + PATIENCE
        with self._more:
            while True:
                while self._read < len(self.lines):
                    self._read += 1
                    if found := re.search(pattern, self.lines[self._read - 1]):
                        return found
                left = deadline - time.monotonic()
                assert left > 0, f"nothing like {pattern!r} in {''.join(self.lines)}"
                self._more.wait(left)

    def listens(self) -> Dev:
        self.port = int(self.says(r"listening on http://127\.0\.0\.1:(\d+)")[1])
        return self

    def get(self, path: str = "/", timeout: float = PATIENCE) -> str:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.read().decode().strip('"')

    def ended(self) -> int:
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.process.stderr.close()
        return status


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "parts.py").write_text("ANSWER = 'first'")
    return tmp_path


@pytest.fixture
def dev(shop):
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            started = Dev(shop, *arguments)
            stack.callback(end, started)
            return started

        yield start


def end(dev):
    if dev.process.poll() is None:
        dev.process.terminate()
    dev.ended()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(*pids):
    deadline = time.monotonic() + PATIENCE
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"{alive} of {pids} still run"
        time.sleep(0.02)
    return True


def test_what_is_changed_is_served_and_no_connection_is_refused(dev, shop):
    started = dev().listens()
    pids, failures, stop = {int(started.get().split()[1])}, [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                pids.add(int(started.get().split()[1]))
            except OSError as error:
                failures.append(error)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for each in asking:
        each.start()
    for number in range(2):
        (shop / "parts.py").write_text(f"ANSWER = 'turn{number}'")
        assert started.says(r"apifrom: (\S+) changed")[1] == "parts.py"
        started.listens()
    # As editors save: whole, and moved into the place of the file, of the same age and length.
    before = (shop / "parts.py").stat()
    (shop / ".parts.py.swp").write_text("ANSWER = 'moved'")
    os.utime(shop / ".parts.py.swp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (shop / ".parts.py.swp").stat().st_size == before.st_size
    (shop / ".parts.py.swp").replace(shop / "parts.py")
    started.listens()
    # The old one has been asked to end by now, or is about to be.
    deadline = time.monotonic() + PATIENCE
    while not started.get().startswith("moved"):
        assert time.monotonic() < deadline
    stop.set()
    for each in asking:
        each.join()
    assert not failures
    assert len(pids) == 4
    last = int(started.get().split()[1])
    assert gone(*(pids - {last}))


def test_what_does_not_start_leaves_the_last_good_server(dev, shop):
    started = dev().listens()
    first = started.get()
    for broken, said in (
        ("def x(:", r"SyntaxError: .*\(parts\.py:1\)"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(parts\.py:1\)"),
        (None, "No module named 'parts'"),
        ("ANSWER = 'x'\nfrom shop2 import app", "there is no module|No module named 'shop2'"),
    ):
        if broken is None:
            (shop / "parts.py").unlink()
        else:
            (shop / "parts.py").write_text(broken)
        started.says("changed, starting anew")
        started.says(said)
        started.says("what was served before goes on")
        assert started.get() == first
    # In this order, because a change is looked for between the two as well.
    (shop / "shop.py").write_text(SHOP.replace("API()", "API(trusted_hosts=['http://x'])"))
    (shop / "parts.py").write_text("ANSWER = 'wrong'")
    started.says("trusted_hosts")
    started.says("what was served before goes on")
    assert started.get() == first
    (shop / "shop.py").write_text(SHOP)
    started.listens()
    assert started.get().startswith("wrong")
    assert not any("Traceback" in line for line in started.lines)


def test_a_first_start_that_fails_waits_for_its_mend(dev, shop):
    (shop / "parts.py").write_text("ANSWER =")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = dev("--port", str(port))
    started.says(r"SyntaxError: .*\(parts\.py:1\)")
    started.says("nothing is served until a file changes")
    started.port = port
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(started.get()))
    waiting.start()
    (shop / "parts.py").write_text("ANSWER = 'mended'")
    started.listens()
    waiting.join()
    assert answers[0].startswith("mended")
    # One that ends by itself is said to have, and comes back with the next change.
    with pytest.raises(ConnectionError):
        started.get("/crash")
    started.says("the server ended with status 3; nothing is served until a file changes")
    (shop / "parts.py").write_text("ANSWER = 'back'")
    started.listens()
    assert started.get().startswith("back")


@pytest.mark.parametrize("to_all", [True, False], ids=["Ctrl-C", "one signal"])
def test_the_end_lets_what_runs_finish_and_leaves_nothing(dev, to_all):
    started = dev().listens()
    pid = int(started.get().split()[1])
    answers = []
    asking = threading.Thread(target=lambda: answers.append(started.get("/slow")))
    asking.start()
    time.sleep(0.2)
    if to_all:
        os.killpg(started.process.pid, signal.SIGINT)
    else:
        started.process.send_signal(signal.SIGINT)
    asking.join()
    assert answers == ["slow but whole"]
    assert started.ended() == 0
    assert gone(pid)
    assert not any("Traceback" in line for line in started.lines)


def test_a_killed_parent_leaves_no_orphan(dev):
    started = dev().listens()
    pid = int(started.get().split()[1])
    started.process.kill()
    assert started.ended() == -signal.SIGKILL
    assert gone(pid)


def test_a_unix_socket_is_served_and_removed(dev, shop):
    started = dev("--uds", "shop.sock")
    started.says("listening on unix:")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(shop / "shop.sock"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    started.process.terminate()
    assert started.ended() == 0
    assert not (shop / "shop.sock").exists()


def test_an_occupied_port_is_named(dev, shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = dev("--port", str(port))
        assert started.ended() == 1
    assert started.lines == [
        f"apifrom: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    ]
    (shop / "shop.sock").write_text("kept")
    started = dev("--uds", "shop.sock")
    assert started.ended() == 1
    assert (shop / "shop.sock").read_text() == "kept"


def files(watch):
    return [path.name for path in watch.changed()]


def test_python_files_are_watched_and_nothing_else(tmp_path):
    (tmp_path / "a.py").write_text("")
    for folder in ("inner", ".git", "node_modules", "env", "__pycache__"):
        (tmp_path / folder).mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "inner" / "back").symlink_to(tmp_path)
    watch = Watch([tmp_path, tmp_path / "inner"])
    assert files(watch) == []
    for foreign in (".git/b.py", "node_modules/b.py", "env/b.py", "__pycache__/b.py"):
        (tmp_path / foreign).write_text("")
    for other in (".#a.py", "a.py~", "a.txt", "4913"):
        (tmp_path / other).write_text("")
    (tmp_path / "b.py").symlink_to(tmp_path / "nowhere.py")
    assert files(watch) == []
    (tmp_path / "inner" / "c.py").write_text("")
    assert files(watch) == ["c.py"]
    (tmp_path / "a.py").unlink()
    (tmp_path / "inner").rename(tmp_path / "outer")
    assert files(watch) == ["a.py", "c.py", "c.py"]
    assert files(watch) == []


def test_the_folder_of_a_target_is_found_without_importing_it(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("1 / 0")
    (tmp_path / "lone.py").write_text("1 / 0")
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "foreign.py").write_text("")
    search = [str(tmp_path), str(installed)]
    assert folders_of("shop.main:app", search) == [tmp_path / "shop"]
    assert folders_of("lone", search) == [tmp_path]
    for nothing in ("foreign:app", "nowhere:app", ":app", "", ".:app"):
        assert folders_of(nothing, search) == []

"""Several processes that serve one API, over real sockets: start, crash, restart and end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from apifrom import API
from apifrom._apifrom import TestServer as InProcess
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import RateLimitMiddleware, rate_limit
from apifrom.security import Revocation, basic_auth_required, jwt_required
from tests.redis_server import redis_server

SECRET = "a secret of at least thirty-two bytes"

PROGRAM = """
import asyncio
import os
import sys

from apifrom import API

app = API()

@app.get("/pid")
async def pid():
    return {{"pid": os.getpid()}}

@app.get("/slow")
async def slow():
    await asyncio.sleep(0.4)
    return {{"pid": os.getpid()}}

{more}
app.run(port=0, workers={workers}, {options})
assert not sys._xoptions, "a worker goes on after run"
"""


def program(more="", workers=2, options=""):
    return PROGRAM.format(more=more, workers=workers, options=options)


class Running:
    """A program that keeps workers, and what it says."""

    def __init__(self, *command, stdin=subprocess.DEVNULL, **options):
        self.process = subprocess.Popen(
            [sys.executable, *command], stderr=subprocess.PIPE, stdin=stdin, text=True, **options
        )
        self.said = []
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._heard:
                self.said.append(line)
                self._heard.notify_all()

    def hears(self, pattern, count=1, seconds=20):
        """Waits until `pattern` was said so often."""

        def found():
            return [found for line in self.said if (found := re.search(pattern, line))]

        with self._heard:
            heard = self._heard.wait_for(lambda: len(found()) >= count, seconds)
            assert heard, (pattern, self.said)
            return found()[-1]

    @property
    def port(self):
        return int(self.hears(r"listening on http://127\.0\.0\.1:(\d+)")[1])

    def workers(self):
        """The processes that it started and that are alive."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    def ended(self, seconds=20):
        """What it ends with."""
        status = self.process.wait(seconds)
        self._reader.join(seconds)
        assert not self._reader.is_alive(), "something still holds its standard error"
        return status


@contextlib.contextmanager
def running(*command, **options):
    started = Running(*command, **options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.ended()
        started.process.stderr.close()


def ask(port, path="/pid", seconds=10):
    """The status and the body of one answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def at_once(count, work):
    """Does `work` on so many threads."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def is_gone(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def comes_true(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


@pytest.fixture(scope="module")
def two():
    with running("-c", program()) as server:
        server.port  # noqa: B018 - waits until it listens
        yield server
        # Whatever was done to its workers, it ends in order.
        workers = server.workers()
        assert len(workers) == 2
        server.process.terminate()
        assert server.ended() == 0
        assert all(is_gone(worker) for worker in workers)


def answering(server):
    """The workers that answer."""
    seen = set()

    def both():
        seen.add(ask(server.port)[1]["pid"])
        return len(seen) == 2

    comes_true(both)
    return seen


def test_all_workers_answer_and_the_log_names_them(two):
    assert answering(two) == set(two.workers())
    assert len([line for line in two.said if "listening on" in line]) == 1
    assert "with 2 workers" in two.hears("listening on.*")[0]
    for number in (1, 2):
        two.hears(rf'apifrom\.access worker-{number} \S+ "GET /pid HTTP/1\.1" 200')
        two.hears(rf"INFO apifrom worker {number} \(process \d+\) serves")


def test_what_waits_at_a_worker_that_is_killed_is_answered_by_the_next(two):
    victim, other = answering(two)
    os.kill(victim, signal.SIGSTOP)
    waiting = []
    for _ in range(40):
        connection = socket.create_connection(("127.0.0.1", two.port), timeout=10)
        connection.sendall(b"GET /pid HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        waiting.append(connection)
    time.sleep(0.3)
    held = [connection for connection in waiting if not answered_now(connection)]
    assert held
    assert len(held) < len(waiting)
    os.kill(victim, signal.SIGKILL)
    answers = [read_all(connection) for connection in waiting]
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    pids = {int(re.search(rb'"pid": ?(\d+)', answer)[1]) for answer in answers}
    assert victim not in pids
    assert other in pids
    two.hears("ERROR apifrom worker [12] was killed by signal 9; another follows")


def answered_now(connection):
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(10)


def read_all(connection):
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_worker_that_is_killed_under_load_costs_what_it_held_and_nothing_else(two):
    victim = min(answering(two))
    killed = threading.Event()
    outcomes = []

    def is_followed():
        return len({pid for after, _, pid in list(outcomes) if after}) >= 2

    def load():
        deadline = time.monotonic() + 20
        while not is_followed() and time.monotonic() < deadline:
            before = killed.is_set()
            try:
                status, body = ask(two.port)
                outcomes.append((before, status, body["pid"]))
            except (http.client.HTTPException, ConnectionResetError) as error:
                outcomes.append((before, type(error), victim))

    def kill():
        time.sleep(0.4)
        os.kill(victim, signal.SIGKILL)
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    at_once(8, load)
    killer.join()
    lost = [outcome for outcome in outcomes if outcome[1] != 200]
    # Each thread had one request under way at most.
    assert len(lost) <= 8
    assert not any(after for after, _, _ in lost), lost
    assert is_followed()


def test_a_worker_that_is_asked_to_end_finishes_what_runs_and_is_followed(two):
    victim = min(answering(two))
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(two.port, "/slow"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    os.kill(victim, signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [200] * 16
    assert victim in {body["pid"] for _, body in answers}
    two.hears("INFO apifrom worker [12] ended with status 0; another follows")
    assert victim not in answering(two)


def test_a_second_signal_cuts_what_runs():
    more = '@app.get("/long")\nasync def long():\n    await asyncio.sleep(60)\n'
    with running("-c", program(more)) as server, contextlib.ExitStack() as held:
        # So many that each worker is sure to have some.
        for _ in range(32):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(0.2)
        # As a terminal and a service manager do it: all of them are told, beside the supervisor.
        for worker in server.workers():
            os.kill(worker, signal.SIGINT)
            os.kill(worker, signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
        server.hears("shutting down", 2)
        time.sleep(0.3)
        assert len(server.workers()) == 2
        server.process.send_signal(signal.SIGINT)
        assert server.ended() == 1
    assert any("did not end in time" in line for line in server.said)
    assert not any("Traceback" in line for line in server.said)


def test_nobody_is_left_when_the_supervisor_is_killed():
    more = """
import sys, time
if len(sys._xoptions) and sys._xoptions["apifrom_worker"].startswith("2/"):
    sys.stderr.write("here\\n")
    time.sleep(60)
"""
    with running("-c", program()) as serving, running("-c", program(more)) as starting:
        assert serving.port
        starting.hears("here")
        for server in (serving, starting):
            workers = server.workers()
            assert len(workers) == 2
            server.process.kill()
            comes_true(lambda workers=workers: all(is_gone(worker) for worker in workers))


@pytest.mark.parametrize(
    ("more", "options", "status", "expected"),
    [
        (
            "@app.on_startup\ndef fails():\n    raise RuntimeError('no database')\n",
            "",
            1,
            [
                "start-up failed: RuntimeError: no database",
                "worker 1 ended with status 1 before it served",
            ],
        ),
        (
            "import sys\nif sys._xoptions:\n    sys.exit(3)\n",
            "",
            3,
            ["worker 1 ended with status 3 before it served"],
        ),
        ("", "backlog=-1", 1, ["1 configuration error"]),
        (
            "",
            "limit_connection=5, frobnicate=True",
            1,
            [
                "run.limit_connection: unknown option; did you mean limit_connections?",
                "run.frobnicate: unknown option\n",
            ],
        ),
    ],
)
def test_what_fails_in_each_worker_is_said_once(more, options, status, expected):
    with running("-c", program(more, 4, options)) as server:
        assert server.ended() == status
    said = "".join(server.said)
    assert [said.count(text) for text in expected] == [1] * len(expected)
    assert "worker 2" not in said
    assert "listening" not in said


def test_a_port_that_is_taken_is_an_error_beside_other_workers_too(two):
    text = program().replace("port=0", f"port={two.port}")
    with running("-c", text) as server:
        assert server.ended() == 1
    assert [line for line in server.said if "cannot listen on" in line] == server.said


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_program_that_cannot_be_had_again_is_told_so(arguments):
    with running(*arguments, stdin=subprocess.PIPE) as server:
        server.process.stdin.write(program())
        server.process.stdin.close()
        assert server.ended() == 1
    assert "workers: expected 1: the program is no file" in "".join(server.said)


@pytest.mark.parametrize("written", ["", "1/2", "1/2:0:0", "1/2:900:901"])
def test_what_no_supervisor_wrote_is_refused(written):
    twice = "for _ in range(2):\n    try:\n        app.run()\n    except SystemExit: pass\n"
    with running("-X", f"apifrom_worker={written}", "-c", program(twice)) as server:
        assert server.ended() == 1
    assert "".join(server.said) == (
        "apifrom: cannot start: this process was not started by a supervisor that runs\n"
        + "apifrom: this worker has served before\n" * 2
    )


@pytest.mark.parametrize("as_module", [True, False])
def test_a_program_is_found_again_by_its_file_or_module_wherever_it_goes(tmp_path, as_module):
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "name.py").write_text("NAME = 'shop'\n")
    where = "from .name import NAME\n" if as_module else "from name import NAME\n"
    more = f"os.chdir('/')\n{where}\n@app.get('/name')\ndef name(): return {{'name': NAME}}\n"
    (package / "app.py").write_text(program(more))
    command = ["-m", "shop.app"] if as_module else ["shop/app.py", "-c", "--flag"]
    with running(*command, cwd=tmp_path) as server:
        assert ask(server.port, "/name") == (200, {"name": "shop"})
        server.process.send_signal(signal.SIGINT)
        assert server.ended() == 0


def test_several_can_listen_on_a_unix_socket(tmp_path):
    path = tmp_path / "socket"
    text = program(options=f"uds={str(path)!r}").replace("port=0, ", "")
    with running("-c", text) as server:
        server.hears("listening on unix:")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /pid HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")
        server.process.terminate()
        assert server.ended() == 0
    assert not path.exists()


def frozen(app, **options):
    return app.freeze({"host": "127.0.0.1", "port": 0, **options})


@pytest.mark.parametrize("workers", [0, -1, 1025, 1.5, True, None, "2", "many", [2]])
def test_what_is_no_number_of_workers_stops_the_start(workers):
    with pytest.raises(ConfigurationError, match=r"run\.workers: expected"):
        frozen(API(), workers=workers)


def test_as_many_serve_as_there_are_cores():
    assert frozen(API(), workers="auto").workers == len(os.sched_getaffinity(0))
    assert frozen(API(), workers=3).workers == 3
    assert frozen(API()).workers == 1


def limited():
    app = API()
    app.add_middleware(RateLimitMiddleware(limit=1, window=1))
    return app


def limited_endpoint():
    app = API()

    @app.get("/")
    @rate_limit("1/second")
    def home():
        return {}

    return app


def revoking():
    app = API(auth=jwt_required(secret=SECRET, algorithm="HS256", revocation=Revocation()))

    @app.get("/")
    def home():
        return {}

    return app


@pytest.mark.parametrize("workers", [2, "auto"])
@pytest.mark.parametrize(
    ("make", "field", "mend"),
    [
        (limited, "rate_limit.storage", 'storage="redis"'),
        (limited_endpoint, "rate_limit.storage", 'storage="redis"'),
        (revoking, "jwt_required.revocation", "redis_url"),
    ],
)
def test_what_each_would_keep_for_itself_stops_the_start(make, field, mend, workers):
    with pytest.raises(ConfigurationError, match=re.escape(field)) as raised:
        frozen(make(), workers=workers)
    assert mend in str(raised.value)
    # One process keeps it for all.
    assert frozen(make(), workers=1)


def test_workers_share_what_a_client_may_fail():
    app = API(auth=basic_auth_required(credentials={"ada": "correct horse"}))

    @app.get("/")
    def home():
        return {}

    engine = frozen(app, workers=5)
    assert engine.workers == 5
    server = InProcess(engine, None)
    try:
        head = ("GET", "/", [("host", "a"), ("authorization", "Basic YWRhOndyb25n")])
        peer = ("192.0.2.1", 50_000, False)
        statuses = [server.request(head, b"", peer)[0] for _ in range(4)]
    finally:
        server.close()
    # A fifth of ten failures.
    assert statuses == [401, 401, 429, 429]


LIMITED = """
from apifrom.middleware import RateLimitMiddleware

app.add_middleware(RateLimitMiddleware(
    limit={limit}, window=60, storage="redis", redis_url={url!r}, on_failure={policy!r},
))
"""


def test_workers_accept_exactly_the_limit_and_live_through_an_outage_of_the_store(tmp_path):
    with redis_server(tmp_path) as redis:
        more = LIMITED.format(limit=1_000, url=redis.url, policy="closed")
        seen = Counter()
        by = Counter()
        with running("-c", program(more, 4, "access_log=False")) as server:
            # The kernel spreads them as it likes; of so many each worker has some.
            at_once(40, lambda: drive(server.port, 50, seen, by))
            assert seen == {200: 1_000, 429: 1_000}
            assert len(by) == 4
            seen.clear()
            stop = threading.Event()
            loads = [
                threading.Thread(target=lambda: drive(server.port, None, seen, by, stop))
                for _ in range(8)
            ]
            for load in loads:
                load.start()
            redis.kill()
            time.sleep(0.3)
            redis.start()
            back = time.monotonic()
            # What it had counted is gone with it: whoever counts again lets through again.
            comes_true(lambda: seen[200] > 0 and ask(server.port)[0] != 503, 5)
            took = time.monotonic() - back
            stop.set()
            for load in loads:
                load.join()
    assert set(seen) <= {200, 429, 503}
    assert seen[503] > 0
    assert took < 5


def drive(port, count, seen, by, stop=None):
    """Sends requests on one connection, and counts their statuses and who answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    sent = 0
    while (count is None or sent < count) and not (stop and stop.is_set()):
        connection.request("GET", "/pid")
        response = connection.getresponse()
        body = response.read()
        with LOCK:
            seen[response.status] += 1
            if response.status == 200:
                by[json.loads(body)["pid"]] += 1
        sent += 1
    connection.close()


LOCK = threading.Lock()

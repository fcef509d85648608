"""Who listens to the loggers, and what reaches whom."""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import io
import logging
import re
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from apifrom import API, _logging
from apifrom._apifrom import flush_logs
from apifrom.security import api_key_required
from apifrom.testing import TestClient
from tests.test_asgi import Client

NAMES = ("apifrom", "apifrom.access", "apifrom.security")


class Kept(logging.Handler):
    def __init__(self, level=0):
        super().__init__(level)
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def alone(monkeypatch):
    """Makes the loggers as if nobody had touched them, and gives the one above the others.

    It is called by the test itself: by then pytest has added handlers of its own.
    """

    def alone():
        for name in NAMES:
            logger = logging.getLogger(name)
            for attribute, value in {
                "handlers": [],
                "filters": [],
                "disabled": False,
                "level": logging.DEBUG if name == "apifrom" else logging.NOTSET,
                "propagate": name != "apifrom",
            }.items():
                monkeypatch.setattr(logger, attribute, value)
        # Levels that were looked up before are remembered.
        logging.root.manager._clear_cache()
        return logging.getLogger("apifrom")

    yield alone
    monkeypatch.undo()
    logging.root.manager._clear_cache()


def listening():
    return [level for level, _ in _logging.listeners()[1]]


def test_nobody_listens_where_no_handler_takes_anything(alone, monkeypatch):
    loggers = alone()
    monkeypatch.setattr(logging, "lastResort", None)
    assert listening() == [255, 255, 255]
    loggers.addHandler(logging.NullHandler())
    assert listening() == [255, 255, 255]
    security = logging.getLogger("apifrom.security")
    security.addHandler(Kept(logging.ERROR))
    assert listening() == [255, 255, 40]
    loggers.addHandler(Kept())
    assert listening() == [10, 10, 10]
    security.setLevel(logging.WARNING)
    assert listening() == [10, 10, 30]
    security.propagate = False
    assert listening() == [10, 10, 40]
    security.disabled = True
    assert listening() == [10, 10, 255]


def test_the_handler_of_last_resort_listens_to_warnings(alone):
    loggers = alone()
    assert listening() == [30, 30, 30]
    loggers.addHandler(logging.NullHandler())
    assert listening() == [255, 255, 255]


def test_what_logging_disables_nobody_listens_to(alone):
    loggers = alone()
    loggers.addHandler(Kept())
    logging.disable(logging.WARNING)
    try:
        assert listening() == [31, 31, 31]
    finally:
        logging.disable(logging.NOTSET)


def test_a_class_of_loggers_of_the_programs_own_is_not_second_guessed(alone, monkeypatch):
    class Own(logging.Logger):
        pass

    alone()
    monkeypatch.setattr(logging, "lastResort", None)
    monkeypatch.setattr(logging.getLogger("apifrom.security"), "__class__", Own)
    assert listening() == [255, 255, 10]


def refusing():
    app = API()
    app.calls = []

    @app.get("/{name}")
    @api_key_required(api_keys={"k1": []})
    def handler(name):
        app.calls.append(name)
        return name

    return app


def test_a_refusal_that_nobody_listens_to_makes_no_record(alone, monkeypatch):
    loggers = alone()
    monkeypatch.setattr(logging, "lastResort", None)
    made = []

    def factory(*arguments, **keywords):
        made.append(arguments)
        return logging.LogRecord(*arguments, **keywords)

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(factory)
    try:
        with TestClient(refusing()) as client:
            for _ in range(50):
                assert client.get("/a").status_code == 401
            flush_logs(1000)
            assert made == []
            # Whoever begins to listen hears what comes from then on, after a moment.
            kept = Kept()
            loggers.addHandler(kept)
            deadline = time.monotonic() + 5
            while not any(record.name == "apifrom.security" for record in kept.records):
                assert time.monotonic() < deadline
                assert client.get("/a").status_code == 401
                time.sleep(0.01)
            assert made
    finally:
        logging.setLogRecordFactory(before)


TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("sent", "is_valid"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-01-more", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        ("", False),
        (f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01", False),
    ],
)
def test_the_trace_that_a_caller_names_is_in_each_record_about_its_request(alone, sent, is_valid):
    loggers = alone()
    kept = Kept()
    loggers.addHandler(kept)
    app = API()

    @app.get("/secured")
    @api_key_required(api_keys={"k1": []})
    def secured():
        return "never"

    @app.get("/boom")
    async def boom():
        raise RuntimeError("no")

    @app.get("/streams")
    def streams():
        yield "one"
        raise RuntimeError("no")

    with TestClient(app) as client:
        assert client.get("/secured", headers={"traceparent": sent}).status_code == 401
        assert client.get("/boom", headers={"traceparent": sent}).status_code == 500
        with contextlib.suppress(RuntimeError):
            client.get("/streams", headers={"traceparent": sent})
        flush_logs(1000)
    about = [record for record in kept.records if hasattr(record, "request_id")]
    assert {record.event for record in about} == {
        *("authentication_failed", "answered", "request_failed", "stream_failed")
    }
    expected = (TRACE, PARENT) if is_valid else (None, None)
    for record in about:
        found = getattr(record, "trace_id", None), getattr(record, "parent_id", None)
        assert found == expected, record.event


def test_what_many_requests_say_at_once_is_never_mixed_up(alone):
    loggers = alone()
    kept = Kept()
    loggers.addHandler(kept)
    app = API()

    @app.get("/{name}")
    def handler(name):
        return name

    def path(who, number):
        # Characters of several bytes, and texts of every length.
        return "/" + "%C3%A9" * (number % 50 + 1) + f"{who}-{number}"

    with TestClient(app) as client:

        def ask(who):
            for number in range(100):
                trace = f"00-{who * 1000 + number:032x}-{PARENT}-01"
                client.get(path(who, number), headers={"traceparent": trace})

        threads = [threading.Thread(target=ask, args=(who,)) for who in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        flush_logs(1000)
    answered = [record for record in kept.records if record.event == "answered"]
    assert len(answered) == 400
    for record in answered:
        who, number = divmod(int(record.trace_id, 16), 1000)
        assert record.path == path(who, number)
        assert f'"GET {record.path} HTTP/1.1"' in record.getMessage()
        assert record.getMessage().endswith(record.request_id)


LINE = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z WARNING apifrom\.security "
    r"authentication_failed client=127\.0\.0\.1 method=GET route=/\{name\} "
    r"scheme=api_key reason=absent status=401"
)


def run_handler(loggers):
    """Adds the handler of `app.run`, and gives what it writes to."""
    stream = io.StringIO()
    handler = _logging._Standard(stream)
    handler.setFormatter(_logging._Text())
    loggers.addHandler(handler)
    loggers.setLevel(logging.INFO)
    return stream


def written(stream):
    flush_logs(1000)
    return stream.getvalue().splitlines()


def only_security(lines):
    return [line for line in lines if "apifrom.security" in line]


def test_a_refusal_is_a_line_of_the_handler_of_run(alone):
    lines = run_handler(alone())
    app = refusing()
    with TestClient(app) as client:
        assert [handler is not None for _, handler in _logging.listeners()[1]] == [True] * 3
        begin = int(time.time())
        assert client.get("/a%0Ab").status_code == 401
        [line] = only_security(written(lines))
    found = LINE.fullmatch(line)
    assert found
    moment = time.strptime(found[1] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")
    assert begin <= calendar.timegm(moment) <= time.time()
    assert app.calls == []


@pytest.mark.parametrize(
    "meddle", ["filter", "handler's filter", "formatter", "handler", "factory"]
)
def test_whoever_looks_at_records_is_given_records(alone, meddle):
    loggers = alone()
    lines = run_handler(loggers)
    [handler] = loggers.handlers
    seen = []

    def look(record):
        seen.append(record)
        return True

    before = logging.getLogRecordFactory()
    security = logging.getLogger("apifrom.security")
    kept = Kept()
    if meddle == "filter":
        security.addFilter(look)
    elif meddle == "handler's filter":
        handler.addFilter(look)
    elif meddle == "formatter":
        handler.setFormatter(logging.Formatter("own %(reason)s"))
    elif meddle == "handler":
        security.addHandler(kept)
    else:
        logging.setLogRecordFactory(lambda *a, **k: seen.append(0) or logging.LogRecord(*a, **k))
    try:
        with TestClient(refusing()) as client:
            assert client.get("/a").status_code == 401
            found = written(lines)
    finally:
        logging.setLogRecordFactory(before)
        security.filters.clear()
    if meddle == "formatter":
        assert "own absent" in found
    else:
        [line] = only_security(found)
        assert LINE.fullmatch(line)
        assert seen or kept.records


def test_a_failure_stands_among_the_lines_in_its_place(alone):
    lines = run_handler(alone())
    app = API()

    @app.get("/boom")
    def boom():
        raise RuntimeError("line one\nline two")

    with TestClient(app) as client:
        assert client.get("/nothing").status_code == 404
        assert client.get("/boom").status_code == 500
        assert client.get("/nothing").status_code == 404
        found = written(lines)
    statuses = re.findall(r"apifrom\.access .*?\b(404|500)\b", "\n".join(found))
    assert statuses == ["404", "500", "404"]
    assert "    RuntimeError: line one" in found
    assert all(line.startswith(("20", "    ")) for line in found)


def test_a_record_is_what_logging_itself_would_make(alone):
    loggers = alone()
    kept = Kept()
    loggers.addHandler(kept)
    now = time.time()
    fields = {"reason": "absent", "client": "::1"}
    record = ("apifrom.security", 30, "an_event", "an event %s", now, fields)
    _logging.deliver([record, record], 0)
    first, second = kept.records
    expected = logging.getLogger("apifrom.security").makeRecord(
        "apifrom.security", 30, "(apifrom)", 0, "an event %s", (), None, extra={"event": "an_event"}
    )
    assert vars(first).keys() == vars(expected).keys() | fields.keys()
    same = vars(expected).keys() - {"created", "msecs", "relativeCreated"}
    for name in same:
        assert vars(first)[name] == vars(expected)[name], name
    assert first.getMessage() == "an event %s"
    assert first.created == second.created == now
    assert first.msecs == pytest.approx(now % 1 * 1000, abs=0.01)
    assert first.relativeCreated == pytest.approx(expected.relativeCreated, abs=1000)
    first.reason = "changed"
    assert second.reason == "absent"


def test_lines_that_cannot_be_written_disturb_nobody(alone, capsys):
    lines = run_handler(alone())
    lines.close()
    with TestClient(refusing()) as client:
        assert client.get("/a").status_code == 401
        flush_logs(1000)
        assert client.get("/a", headers={"X-API-Key": "k1"}).status_code == 200
        flush_logs(1000)
    assert "Logging error" in capsys.readouterr().err


# What the programs below begin with: `ask` has an application answer in process, and a handler
# writes a line for each answer.
PROGRAM = """
import asyncio, logging, os, sys, threading, time
from apifrom import API
from apifrom._apifrom import flush_logs

class Writes(logging.Handler):
    def emit(self, record):
        time.sleep(SLOWNESS)
        os.write(1, f"{record.path} {os.getpid()}\\n".encode())

def listen():
    logging.getLogger("apifrom.access").addHandler(Writes())
    logging.getLogger("apifrom.access").setLevel(logging.INFO)

def made():
    app = API()

    @app.get("/{name}")
    async def handler(name):
        return name

    app.freeze()
    return app

def ask(app, *paths):
    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        pass

    async def all_of_them():
        for path in paths:
            await app({
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
                "scheme": "http", "method": "GET", "path": path, "raw_path": path.encode(),
                "query_string": b"", "root_path": "", "headers": [(b"host", b"localhost")],
                "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            }, receive, send)

    asyncio.run(all_of_them())
"""


def lines_of(program, slowness=0.0):
    """What a program of its own writes, which ends in order."""
    program = PROGRAM.replace("SLOWNESS", str(slowness)) + textwrap.dedent(program)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_what_waits_at_the_end_of_the_program_is_delivered():
    lines = lines_of(
        """
        listen()
        ask(made(), *(f"/{number}" for number in range(200)))
        """,
        slowness=0.002,
    )
    assert [line.split()[0] for line in lines] == [f"/{number}" for number in range(200)]


def test_all_are_heard_where_two_threads_freeze_the_first_applications_at_once():
    lines = lines_of(
        """
        sys.setswitchinterval(1e-6)
        listen()
        apps = []
        barrier = threading.Barrier(4)

        def freeze():
            barrier.wait()
            apps.append(made())

        threads = [threading.Thread(target=freeze) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, app in enumerate(apps):
            ask(app, f"/{number}")
        flush_logs(5000)
        """
    )
    assert [line.split()[0] for line in lines] == ["/0", "/1", "/2", "/3"]


def test_a_fork_says_what_it_has_to_say_and_nothing_of_its_parents():
    lines = lines_of(
        """
        listen()
        app = made()
        ask(app, "/before")
        flush_logs(5000)
        ask(app, "/waits")
        child = os.fork()
        ask(app, "/after")
        if child:
            os.waitpid(child, 0)
            os.write(1, f"parent {os.getpid()}\\n".encode())
        """
    )
    [parent] = [line.split()[1] for line in lines if line.startswith("parent ")]
    said = [line.split() for line in lines]
    assert [path for path, process in said if process == parent and path != "parent"] == [
        *("/before", "/waits", "/after")
    ]
    assert [path for path, process in said if process != parent] == ["/after"]


def test_whoever_begins_to_listen_in_a_fork_is_heard():
    lines = lines_of(
        """
        logging.getLogger("apifrom").addHandler(logging.NullHandler())
        app = made()
        if child := os.fork():
            os.waitpid(child, 0)
            os._exit(0)
        heard = threading.Event()
        logging.getLogger("apifrom.access").addFilter(lambda _: heard.set() or True)
        listen()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not heard.wait(0.05):
            ask(app, "/a")
        """
    )
    assert lines


def test_a_traceback_writes_no_control_characters(alone):
    app = API()
    text = "red \x1b[31m bell \x07 line\u2028end"

    @app.get("/")
    def fails():
        raise RuntimeError(text)

    stream = io.StringIO()
    loggers = alone()
    loggers.addHandler(logging.StreamHandler(stream))
    with TestClient(app) as client:
        assert client.get("/").status_code == 500
        flush_logs(1000)
    said = stream.getvalue()
    assert "Traceback" in said
    assert "red \\u{1b}[31m bell \\u{7}" in said
    assert not any(found in said for found in "\x1b\x07\u2028")


def test_flushing_takes_hardly_longer_than_it_may(alone):
    class Slow(Kept):
        pause = 0.02

        def emit(self, record):
            time.sleep(self.pause)
            super().emit(record)

    loggers = alone()
    kept = Slow()
    loggers.addHandler(kept)
    app = refusing()

    async def ask():
        for _ in range(1000):
            assert (await Client(app, path="/a").ask()).status == 401

    asyncio.run(ask())
    begun = time.monotonic()
    flush_logs(300)
    # All of them would take twenty seconds.
    assert time.monotonic() - begun < 10
    assert len(kept.records) < 1000
    kept.pause = 0
    flush_logs(5000)

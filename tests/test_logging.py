"""Who listens to the loggers, and what reaches whom."""

from __future__ import annotations

import calendar
import contextlib
import io
import logging
import re
import threading
import time

import pytest

from apifrom import API, _logging
from apifrom._apifrom import flush_logs
from apifrom.security import api_key_required
from apifrom.testing import TestClient

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

"""Delivers the engine's records to the standard `logging`, and sets it up for `app.run`.

Importing this installs no handler.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
from typing import Any, TextIO

__all__ = ["deliver", "install", "listeners", "say_worker"]

_LOGGERS = ("apifrom", "apifrom.access", "apifrom.security")
# More than any level, and what fits into a byte.
_NOBODY = 255

# Which of several workers this process is; it goes with every record.
_common: dict[str, Any] = {}

_Record = tuple[str, int, str, str, float, dict[str, Any]]


def listeners() -> tuple[str, list[tuple[int, _Standard | None]]]:
    """What lines call this process, and who listens to each logger.

    Returns:
        The name, which is empty where there is one process. For each logger the least level that
        anybody takes, 255 where nobody does; and the handler of `install` where there is no other
        and nothing else that looks at records, so that it can be given lines.
    """
    usual = logging.getLogRecordFactory() is logging.LogRecord
    process = f"worker-{_common['worker']}" if _common else ""
    return process, [_listener(logging.getLogger(name), usual) for name in _LOGGERS]


def _listener(logger: logging.Logger, usual: bool) -> tuple[int, _Standard | None]:
    level = max(logger.getEffectiveLevel(), logging.root.manager.disable + 1)
    if logger.disabled:
        return _NOBODY, None
    if type(logger) is not logging.Logger:
        # Whom a class of the program's own hands records to is not known.
        return min(level, _NOBODY), None
    handlers: list[logging.Handler] = []
    place: logging.Logger | None = logger
    while place is not None:
        handlers += place.handlers
        place = place.parent if place.propagate else None
    if not handlers and logging.lastResort is not None:
        handlers.append(logging.lastResort)
    handlers = [handler for handler in handlers if type(handler) is not logging.NullHandler]
    level = max(level, min((handler.level for handler in handlers), default=_NOBODY))
    standard = None
    if usual and len(handlers) == 1 and not logger.filters:
        only = handlers[0]
        if type(only) is _Standard and type(only.formatter) is _Text and not only.filters:
            standard = only
    return min(level, _NOBODY), standard


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{{{ord(found[0]):x}}}"


def deliver(records: list[_Record], dropped: int) -> None:
    """Writes a batch.

    Args:
        records: Logger, level, event, message, seconds since the epoch and fields of each.
        dropped: How many were lost because more came than could be written in time.
    """
    prototypes: dict[tuple[str, int], dict[str, Any]] = {}
    usual = logging.getLogRecordFactory() is logging.LogRecord
    for name, level, event, message, when, fields in records:
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(level):
            continue
        traceback = fields.pop("traceback", None)
        if usual and type(logger) is logging.Logger:
            # What a record says of its thread and process is the same for the whole batch.
            prototype = prototypes.get((name, level))
            if prototype is None:
                made = logging.LogRecord(name, level, "(apifrom)", 0, "", (), None)
                prototype = prototypes[name, level] = vars(made)
            record = logging.LogRecord.__new__(logging.LogRecord)
            vars(record).update(prototype)
            vars(record).update(_common)
            vars(record).update(fields)
            record.msg = message
            record.event = event
        else:
            extra = {"event": event, **_common, **fields}
            record = logger.makeRecord(name, level, "(apifrom)", 0, message, (), None, extra=extra)
        record.relativeCreated += (when - record.created) * 1000
        record.created = when
        record.msecs = (when - int(when)) * 1000
        if traceback is not None:
            # Indented, so that no text of the program's can pose as a line of the log.
            record.exc_text = "\n".join(
                f"    {_CONTROL.sub(_escaped, line)}" for line in traceback.splitlines()
            )
        logger.handle(record)
    if dropped:
        message = "%d log records were lost: more came than could be written in time"
        logging.getLogger("apifrom").warning(message, dropped)


class _Text(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO apifrom.access …`."""

    def __init__(self) -> None:
        worker = " worker-%(worker)s" if _common else ""
        super().__init__(
            f"%(asctime)s %(levelname)s %(name)s{worker} %(message)s",
            "%Y-%m-%dT%H:%M:%S",
            defaults=_common,
        )
        self.default_msec_format = "%s.%03dZ"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        seconds = time.strftime(datefmt or "%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"


_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Json(_Text):
    """One JSON object a line, with the record's own fields beside the common ones."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({k: v for k, v in vars(record).items() if k not in _PLAIN})
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line, default=str)


def say_worker(number: int) -> None:
    """Names this process in every record from here on.

    Args:
        number: Which of the workers it is.
    """
    _common["worker"] = number


class _Standard(logging.StreamHandler[TextIO]):
    """The handler of `app.run`, which also takes many lines at once."""

    def write_lines(self, lines: str) -> None:
        """Writes what is formatted already, each line with its end."""
        with self.lock or contextlib.nullcontext():
            try:
                self.stream.write(lines)
                self.flush()
            except Exception:  # noqa: BLE001 - as `Handler.emit` does: logging never raises
                self.handleError(logging.makeLogRecord({"msg": lines}))


def install(level: str, log_format: str) -> None:
    """Adds a handler on standard error, unless the program has set up `logging` itself.

    Args:
        level: The least level to write.
        log_format: `text` or `json`.
    """
    logger = logging.getLogger("apifrom")
    if logger.handlers or logging.root.handlers:
        return
    handler = _Standard(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    # Otherwise a handler that the program adds to the root later would write each line twice.
    logger.propagate = False

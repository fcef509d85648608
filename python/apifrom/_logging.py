"""Delivers the engine's records to the standard `logging`, and sets it up for `app.run`.

Importing this installs no handler.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

__all__ = ["deliver", "install", "say_worker", "thresholds"]

_LOGGERS = ("apifrom", "apifrom.access", "apifrom.security")

# Which of several workers this process is; it goes with every record.
_common: dict[str, Any] = {}

_Record = tuple[str, int, str, str, float, dict[str, Any]]


def thresholds() -> list[int]:
    """The least level that each logger takes; 255 where it takes none."""
    levels = []
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        level = max(logger.getEffectiveLevel(), logging.root.manager.disable + 1)
        levels.append(255 if logger.disabled else min(level, 255))
    return levels


def deliver(records: list[_Record], dropped: int) -> None:
    """Writes a batch.

    Args:
        records: Logger, level, event, message, seconds since the epoch and fields of each.
        dropped: How many were lost because the queue was full.
    """
    for name, level, event, message, when, fields in records:
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(level):
            continue
        traceback = fields.pop("traceback", None)
        record = logger.makeRecord(
            name,
            level,
            "(apifrom)",
            0,
            message,
            (),
            None,
            extra={"event": event, **_common, **fields},
        )
        record.created = when
        record.msecs = (when - int(when)) * 1000
        if traceback is not None:
            # Indented, so that no text of the program's can pose as a line of the log.
            record.exc_text = "\n".join(f"    {line}" for line in traceback.splitlines())
        logger.handle(record)
    if dropped:
        message = "%d log records were lost: the queue was full"
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


def install(level: str, log_format: str) -> None:
    """Adds a handler on standard error, unless the program has set up `logging` itself.

    Args:
        level: The least level to write.
        log_format: `text` or `json`.
    """
    logger = logging.getLogger("apifrom")
    if logger.handlers or logging.root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    # Otherwise a handler that the program adds to the root later would write each line twice.
    logger.propagate = False

"""Serves an API with the built-in server: what `API.run` does."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn

from apifrom import _apifrom, _logging, _program, _target
from apifrom.exceptions import ConfigurationError

if TYPE_CHECKING:
    from apifrom.api import API

__all__ = ["OPTIONS", "run"]

OPTIONS: Final[dict[str, str]] = {
    "host": "The address to listen on.",
    "port": "The port; 0 lets the system choose.",
    "uds": "A Unix domain socket to listen on instead.",
    "fd": "A listening socket that was opened elsewhere, by its descriptor.",
    "backlog": "How many connections may wait to be accepted. Defaults to 2048.",
    "workers": "How many processes serve, or auto: one for each core. Defaults to 1.",
    "access_log": "Writes a line for each answer. Defaults to True.",
    "log_level": "The least level to write: debug, info, warning or error. Defaults to info.",
    "log_format": "text or json. Defaults to text.",
    "ssl_keyfile": "A PEM file with the private key.",
    "ssl_certfile": "A PEM file with the certificate and its chain.",
    "ssl_keyfile_password": "What the private key is encrypted with, as text or a Secret.",
    "limit_connections": "The most connections of a worker at once. Defaults to 16384.",
    "limit_connections_per_client": "The most of one address at a worker. Defaults to 256.",
    "max_head_size": "The most bytes of a request head, 1024 or more. Defaults to 65536.",
    "max_header_fields": "The most header fields. Defaults to 100.",
    "timeout_head": "Seconds that a request head may take. Defaults to 10.",
    "timeout_body": "Seconds that a body may take in all. Defaults to 30.",
    "timeout_keep_alive": "Seconds that a connection may idle. Defaults to 75.",
    "timeout_write": "Seconds that a client may stall an answer. Defaults to 30.",
    "timeout_graceful_shutdown": "Seconds that running requests have at the end. Defaults to 30.",
}
"""The options of `API.run`. Those of the listener, TLS and the log have uvicorn's names."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_has_supervised = False


def run(api: API, options: dict[str, Any]) -> None:
    """Serves `api` until Ctrl-C or SIGTERM, or keeps the workers that do.

    Raises:
        RuntimeError: A command is importing the program; the rest of it would never be read.
        SystemExit: With status 1 when it cannot start, or did not end in time. A worker always ends
            so, with status 0 where all went well.
    """
    if _target.importing is not None:
        raise RuntimeError(
            f"app.run() is called while {_target.importing} is imported; "
            'put it under `if __name__ == "__main__":`'
        )
    written = _program.assignment()
    try:
        assignment = None if written is None else _apifrom.Assignment(written)
        if assignment is not None:
            _logging.say_worker(assignment.number)
            options = {**options, "workers": assignment.count}
        engine = api.freeze(options, quiet=assignment is not None)
        _logging.install(engine.log_level, engine.log_format)
        if assignment is None and engine.workers > 1:
            supervisor = _apifrom.Supervisor(engine)
            # Its connections are the workers' to make.
            del engine
            api.thaw()
            ended_in_time = _supervise(supervisor)
        else:
            ended_in_time = _apifrom.serve(engine, api.lifespan(), assignment)
    except ConfigurationError as error:
        _fail(str(error))
    except _apifrom.StartError as error:
        _fail(*error.args)
    finally:
        _apifrom.flush_logs(5_000)
    if assignment is not None or not ended_in_time:
        raise SystemExit(0 if ended_in_time else 1)


def _supervise(supervisor: _apifrom.Supervisor) -> bool:
    global _has_supervised  # noqa: PLW0603 - it is of the process, as the workers are
    if _has_supervised:
        # A worker is the program up to its first `run`: it would serve what that was called for.
        raise _apifrom.StartError("workers: this program has run several before, which can be once")
    _has_supervised = True
    try:
        program = _program.again()
    except _program.NotRepeatable as error:
        raise _apifrom.StartError(f"workers: expected 1: {error}") from None
    if threading.current_thread() is not threading.main_thread():
        raise _apifrom.StartError("workers: run must be called on the main thread")
    # The engine has handlers of its own, and would call those that it finds as well.
    found = {number: signal.signal(number, signal.SIG_DFL) for number in _SIGNALS}
    try:
        return supervisor.run(program)
    finally:
        for number, handler in found.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _fail(message: str, status: int = 1) -> NoReturn:
    sys.stderr.write(f"apifrom: {message}\n")
    raise SystemExit(status)

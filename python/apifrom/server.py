"""Serves an API with the built-in server: what `API.run` does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from apifrom import _apifrom, _logging, _target
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
    "workers": "How many processes serve. Only 1 for now.",
    "access_log": "Writes a line for each answer. Defaults to True.",
    "log_level": "The least level to write: debug, info, warning or error. Defaults to info.",
    "log_format": "text or json. Defaults to text.",
    "ssl_keyfile": "A PEM file with the private key.",
    "ssl_certfile": "A PEM file with the certificate and its chain.",
    "ssl_keyfile_password": "What the private key is encrypted with, if it is.",
    "limit_connections": "The most connections at once. Defaults to 16384.",
    "limit_connections_per_client": "The most connections of one address. Defaults to 256.",
    "max_head_size": "The most bytes of a request head. Defaults to 65536.",
    "max_header_fields": "The most header fields. Defaults to 100.",
    "timeout_head": "Seconds that a request head may take. Defaults to 10.",
    "timeout_body": "Seconds that a body may take in all. Defaults to 30.",
    "timeout_keep_alive": "Seconds that a connection may idle. Defaults to 75.",
    "timeout_write": "Seconds that a client may stall an answer. Defaults to 30.",
    "timeout_graceful_shutdown": "Seconds that running requests have at the end. Defaults to 30.",
}
"""The options of `API.run`. Those of the listener, TLS and the log have uvicorn's names."""


def run(api: API, options: dict[str, Any]) -> None:
    """Serves `api` until Ctrl-C or SIGTERM.

    Raises:
        RuntimeError: A command is importing the program; the rest of it would never be read.
        SystemExit: With status 1 when it cannot start, or did not end in time.
    """
    if _target.importing is not None:
        raise RuntimeError(
            f"app.run() is called while {_target.importing} is imported; "
            'put it under `if __name__ == "__main__":`'
        )
    try:
        engine = api.freeze(options)
    except ConfigurationError as error:
        _fail(str(error))
    _logging.install(engine.log_level, engine.log_format)
    try:
        ended_in_time = _apifrom.serve(engine, api.lifespan())
    except _apifrom.StartError as error:
        _fail(str(error))
    finally:
        _apifrom.flush_logs(5_000)
    if not ended_in_time:
        raise SystemExit(1)


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"apifrom: {message}\n")
    raise SystemExit(1)

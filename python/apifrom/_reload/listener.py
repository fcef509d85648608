"""Opens the socket that every turn of the program takes over."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["Mistake", "listening"]

_BACKLOG = 2048


class Mistake(Exception):
    """Why the socket cannot be opened."""


@contextmanager
def listening(options: dict[str, Any]) -> Iterator[int]:
    """The descriptor of a listening socket as `options` ask for it.

    Raises:
        Mistake: It cannot be opened.
    """
    descriptor: int | None = options.get("fd")
    if descriptor is not None:
        yield descriptor
        return
    uds: str | None = options.get("uds")
    host, port = options["host"], options["port"]
    try:
        listener = _tcp(host, port) if uds is None else _unix(Path(uds))
        listener.listen(options.get("backlog", _BACKLOG))
    except OSError as error:
        where = f"{host}:{port}" if uds is None else uds
        raise Mistake(f"cannot listen on {where}: {error.strerror or error}") from None
    with listener:
        if uds is None:
            yield listener.fileno()
        else:
            with _removed(Path(uds)):
                yield listener.fileno()


def _tcp(host: str, port: int) -> socket.socket:
    """A socket on one address of `host`; of several, an IPv4 one."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _unix(path: Path) -> socket.socket:
    """A Unix domain socket; the file of a server that is gone makes room for it."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file of another kind")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Removes the socket's file in the end, but never that of a successor."""
    made = path.lstat()
    try:
        yield
    finally:
        with suppress(OSError):
            if os.path.samestat(path.lstat(), made):
                path.unlink()

"""A worker on a thread of its own, and short names for calling functions on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apifrom._apifrom import _Route, _Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def worker() -> Iterator[_Worker]:
    worker = _Worker()
    yield worker
    worker.close()


@pytest.fixture
def run(worker: _Worker) -> Callable[..., object]:
    """Calls a function as a request would, and returns what it returned."""

    def run(function, *arguments, blocking=None, timeout=10.0):
        route = _Route(function, blocking=blocking)
        return worker.begin(route, *arguments).result(timeout)

    return run


@pytest.fixture
def inline(run: Callable[..., object]) -> Callable[..., object]:
    """Calls a `def` on the loop's own thread."""

    def inline(function, *arguments, timeout=10.0):
        return run(function, *arguments, blocking=False, timeout=timeout)

    return inline

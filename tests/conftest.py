"""What several tests use."""

from __future__ import annotations

import itertools

import pytest

from tests.mariadb_server import Server as MariaDB
from tests.postgres_server import Server

NUMBERS = itertools.count()
FREE = []


@pytest.fixture(scope="session")
def postgres():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres):
    """The URL of an empty database."""
    # One that was emptied is as good as a new one, which is 8 MB to write and to delete.
    name = FREE.pop() if FREE else f"app{next(NUMBERS)}"
    if name not in postgres.made:
        postgres.create(name)
    yield postgres.url(name=name)
    postgres.empty(name)
    FREE.append(name)


@pytest.fixture(scope="session")
def mariadb():
    server = MariaDB()
    yield server
    server.close()


@pytest.fixture
def mariadb_url(mariadb):
    """The URL of an empty database."""
    return mariadb.empty("tested")

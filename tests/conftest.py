"""What several tests use."""

from __future__ import annotations

import pytest

from apifrom._apifrom import flush_logs
from tests.mariadb_server import MariaDB
from tests.postgres_server import PostgreSQL


@pytest.fixture(autouse=True)
def nothing_said_by_earlier_tests():
    """Records reach loggers after a moment: one test's must not reach the next one's handlers."""
    flush_logs(1000)


@pytest.fixture(scope="session")
def postgres():
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres):
    """The URL of an empty database."""
    return postgres.empty("tested")


@pytest.fixture(scope="session")
def mariadb():
    server = MariaDB()
    yield server
    server.close()


@pytest.fixture
def mariadb_url(mariadb):
    """The URL of an empty database."""
    return mariadb.empty("tested")

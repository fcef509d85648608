"""What several tests use."""

from __future__ import annotations

import itertools

import pytest

from tests.postgres_server import Server

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres):
    """The URL of a new database."""
    return postgres.create(f"app{next(NUMBERS)}")

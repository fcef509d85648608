"""What holds on each database server alike, when many use it and when it goes away."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass

import pytest

from apifrom import API
from apifrom.database import Database, DatabaseUnavailable, StatementError
from apifrom.exceptions import ConfigurationError
from apifrom.testing import TestClient
from tests.database_server import PASSWORD, DatabaseServer


@dataclass(frozen=True)
class Dialect:
    """What is not spelt alike.

    Attributes:
        fixture: What gives the server.
        name: What it is called in what is said of it.
        wrong_password: What it says to a wrong password.
        no_database: What it says where there is no such database.
        no_tls: What is said where it cannot prove itself.
        sleeps: A statement that lasts a minute.
        sleeping: How many of these it is at.
    """

    fixture: str
    name: str
    wrong_password: str
    no_database: str
    no_tls: str
    sleeps: str
    sleeping: str


POSTGRESQL = Dialect(
    fixture="postgres",
    name="PostgreSQL",
    wrong_password="password authentication failed",
    no_database='database "nowhere" does not exist',
    no_tls="TLS",
    sleeps="SELECT pg_sleep(60)",
    sleeping=(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
        "AND state = 'active' AND pid <> pg_backend_pid()"
    ),
)
MYSQL = Dialect(
    fixture="mariadb",
    name="MySQL",
    wrong_password="Access denied",
    no_database="Unknown database",
    no_tls="certificate",
    sleeps="SELECT sleep(60) AS v",
    sleeping=(
        "SELECT count(*) AS n FROM information_schema.processlist "
        "WHERE info LIKE '%sleep(60)%' AND id <> connection_id()"
    ),
)


@pytest.fixture(params=[POSTGRESQL, MYSQL], ids=lambda dialect: dialect.fixture)
def dialect(request):
    return request.param


@pytest.fixture
def server(request, dialect) -> DatabaseServer:
    return request.getfixturevalue(dialect.fixture)


@pytest.fixture
def url(server):
    return server.empty("tested")


@pytest.fixture
def db(url):
    db = Database(url)
    db.execute("CREATE TABLE users (id INT PRIMARY KEY, age INT)")
    db.execute_many("INSERT INTO users VALUES (?, ?)", [(1, 40), (2, None)])
    yield db
    db.close()


def together(*calls):
    """Makes each call on a thread of its own, and waits for all."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_increments_of_many_threads_lose_nothing(db):
    db.execute("CREATE TABLE counter (n INTEGER)")
    db.execute("INSERT INTO counter VALUES (0)")

    def work():
        for _ in range(100):
            with db.transaction() as transaction:
                number = transaction.query_one("SELECT n FROM counter FOR UPDATE").n
                transaction.execute("UPDATE counter SET n = ?", [number + 1])

    together(*[work] * 8)
    assert db.query_one("SELECT n FROM counter") == {"n": 800}


def test_two_that_wait_for_each_other_are_told_apart(db):
    first, second = db.transaction(), db.transaction()
    first.execute("UPDATE users SET age = 1 WHERE id = 1")
    second.execute("UPDATE users SET age = 2 WHERE id = 2")
    errors = []

    def work(transaction, key):
        try:
            transaction.execute("UPDATE users SET age = 3 WHERE id = ?", [key])
            transaction.commit()
        except DatabaseUnavailable as error:
            errors.append(str(error))
            # What comes behind it must not be kept by itself.
            with pytest.raises(StatementError):
                transaction.execute("DELETE FROM users")
            transaction.rollback()

    together(lambda: work(first, 2), lambda: work(second, 1))
    assert len(errors) == 1
    assert "may be tried again" in errors[0]
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    assert db.stats().in_use == 0


def test_a_lock_is_waited_for_so_long_as_patience_says(url, db):
    hasty = Database(url, patience=0.9)
    with db.transaction() as transaction:
        transaction.execute("UPDATE users SET age = 1 WHERE id = 1")
        with pytest.raises(DatabaseUnavailable, match="locked"):
            hasty.execute("UPDATE users SET age = 2 WHERE id = 1")
    assert hasty.execute("UPDATE users SET age = 2 WHERE id = 1").rows == 1
    hasty.close()


def test_a_statement_that_runs_too_long_is_ended_at_the_server(url, db, dialect):
    short = Database(url, deadline=0.3)
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="within 300ms"):
        short.query(dialect.sleeps)
    transaction = short.transaction()
    transaction.execute("DELETE FROM users")
    with pytest.raises(DatabaseUnavailable, match="within 300ms"):
        transaction.query(dialect.sleeps)
    with pytest.raises((DatabaseUnavailable, StatementError)):
        transaction.commit()
    assert time.monotonic() - begun < 10
    deadline = time.monotonic() + 10
    while db.query_one(dialect.sleeping).n and time.monotonic() < deadline:
        time.sleep(0.05)
    assert db.query_one(dialect.sleeping) == {"n": 0}
    assert short.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    assert (short.stats().open, short.stats().in_use) == (1, 0)
    short.close()


def test_wrong_places_are_named_without_the_password(server, dialect):
    for url, said in (
        (server.url(password="hunter2"), dialect.wrong_password),
        (server.url(name="nowhere"), dialect.no_database),
        (server.url(port=1), "refused"),
        (server.url() + "?sslmode=verify-full", dialect.no_tls),
    ):
        db = Database(url, patience=2)
        with pytest.raises(DatabaseUnavailable) as caught:
            db.ping()
        assert f"{dialect.name} at 127.0.0.1" in str(caught.value)
        assert said in str(caught.value)
        assert "hunter2" not in str(caught.value) + repr(db)
        assert PASSWORD not in str(caught.value)
        assert (db.stats().open, db.stats().in_use) == (0, 0)
    # A place that takes connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        db = Database(server.url(port=silent.getsockname()[1]), patience=0.3)
        begun = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            db.ping()
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("mode", ["prefer", "allow", "hunter2"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_modes_that_protect_nothing_are_refused_at_start(scheme, mode):
    with pytest.raises(ConfigurationError, match="sslmode=verify-full") as caught:
        Database(f"{scheme}://ann:hunter2@db.example.com/app?sslmode={mode}")
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_killed_and_comes_back_costs_503s_and_no_committed_write(server, url):
    db = Database(url, pool_size=8, patience=2)
    db.execute("CREATE TABLE kept (v VARCHAR(50) PRIMARY KEY)")
    app = API()

    @app.post("/keep/{name}")
    def keep(name: str) -> dict:
        with db.transaction() as transaction:
            transaction.execute("INSERT INTO kept VALUES (?)", [name])
        return {"name": name}

    kept, statuses, slowest = [], set(), [0.0]
    over = threading.Event()

    def work(client, who):
        number = 0
        while not over.is_set():
            number += 1
            begun = time.monotonic()
            answer = client.post(f"/keep/{who}-{number}")
            slowest[0] = max(slowest[0], time.monotonic() - begun)
            statuses.add(answer.status_code)
            if answer.status_code == 200:
                kept.append(f"{who}-{number}")
            else:
                assert answer.json()["type"].endswith("database_unavailable")
                time.sleep(0.01)

    def trouble():
        try:
            for _ in range(3):
                time.sleep(0.5)
                server.stop()
                time.sleep(0.3)
                server.start()
            # Writes are taken again, by however busy a machine.
            before, deadline = len(kept), time.monotonic() + 20
            while len(kept) <= before + 6:
                assert time.monotonic() < deadline, (before, len(kept), statuses)
                time.sleep(0.02)
        finally:
            over.set()

    with TestClient(app) as client:
        together(trouble, *(lambda who=who: work(client, who) for who in range(6)))
    assert statuses == {200, 503}
    assert slowest[0] < 10, slowest
    found = {row.v for row in db.query("SELECT v FROM kept")}
    assert set(kept) <= found
    assert db.stats().in_use == 0
    db.close()

"""Databases: what is asked, what comes back, and what a handler answers with it."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from apifrom import API
from apifrom.database import (
    Database,
    DatabaseUnavailable,
    IntegrityError,
    Row,
    Rows,
    StatementError,
    UnstorableValue,
    ident,
    insecure_raw,
    sql,
)
from apifrom.exceptions import ConfigurationError
from apifrom.testing import TestClient


@pytest.fixture
def db(tmp_path):
    db = Database(f"sqlite:///{tmp_path}/app.db")
    db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INT)")
    db.execute_many("INSERT INTO users (name, age) VALUES (?, ?)", [("ann", 40), ("bob", None)])
    yield db
    db.close()


def test_rows_are_sequences_of_mappings(db):
    rows = db.query("SELECT * FROM users ORDER BY id")
    assert len(rows) == 2
    assert isinstance(rows, Sequence)
    assert [row["name"] for row in rows] == ["ann", "bob"]
    ann, bob = rows
    assert isinstance(ann, Mapping)
    assert (ann.name, ann["age"], ann[0], ann[-1]) == ("ann", 40, 1, 40)
    assert dict(ann) == {"id": 1, "name": "ann", "age": 40}
    assert ann == {"id": 1, "name": "ann", "age": 40}
    assert ann != bob
    assert list(ann) == ["id", "name", "age"]
    assert "age" in ann
    assert "x" not in ann
    assert ann.get("x", 5) == 5
    assert rows[1] == rows[-1] == bob
    assert rows[:1] == [ann]
    assert rows == [dict(ann), dict(bob)]
    assert bob in rows
    assert {**bob} == {"id": 2, "name": "bob", "age": None}
    with pytest.raises(KeyError):
        ann["x"]
    with pytest.raises(AttributeError, match="no column x; there are: id, name, age"):
        ann.x  # noqa: B018
    with pytest.raises(IndexError):
        rows[2]
    with pytest.raises(IndexError):
        ann[3]
    assert "ann" not in f"{rows!r} {ann!r}"
    assert not db.query("SELECT * FROM users WHERE id = 0")


def test_what_a_statement_is_given_is_data_whatever_it_says(db):
    for text in ("'; DROP TABLE users; --", "' OR '1'='1", '" OR 1=1', "?", ":a", "\N{SNOWMAN}"):
        assert db.query_one("SELECT ? AS v", [text]) == {"v": text}
        assert not db.query("SELECT * FROM users WHERE name = :name", {"name": text})
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("given", "back"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(2**63 - 1, 2**63 - 1, id="largest"),
        pytest.param(-(2**63), -(2**63), id="smallest"),
        pytest.param(0.1, 0.1, id="float"),
        pytest.param("\u00e4\n", "\u00e4\n", id="text"),
        pytest.param("a\0b", "a\0b", id="nul"),
        pytest.param(b"\x00\xff", b"\x00\xff", id="bytes"),
        pytest.param(bytearray(b"x"), b"x", id="bytearray"),
        pytest.param(memoryview(b"x"), b"x", id="memoryview"),
        pytest.param(True, 1, id="bool"),
        pytest.param(Colour.RED, "red", id="enum"),
        pytest.param(datetime.date(2026, 1, 2), "2026-01-02", id="date"),
        pytest.param(
            datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
            "2026-01-02T03:04:00+00:00",
            id="datetime",
        ),
        pytest.param(datetime.time(3, 4), "03:04:00", id="time"),
        pytest.param(uuid.UUID(int=1), str(uuid.UUID(int=1)), id="uuid"),
    ],
)
def test_values_go_and_come_back(db, given, back):
    for row in (
        db.query_one("SELECT ? AS v", [given]),
        db.query_one("SELECT :v AS v", {"v": given}),
    ):
        assert row == {"v": back}
        assert type(row["v"]) is type(back)


@pytest.mark.parametrize(
    ("statement", "given", "said"),
    [
        pytest.param("SELECT ?", [2**63], "the parameter 1 is a whole number of more", id="large"),
        pytest.param("SELECT ?", [float("nan")], "the parameter 1 is not a finite", id="nan"),
        pytest.param("SELECT ?", [decimal.Decimal("1.5")], "is a decimal.Decimal", id="decimal"),
        pytest.param("SELECT ?", [{"hunter2": 1}], "the parameter 1 is a dict", id="dict"),
        pytest.param("SELECT :a", {"a": object()}, "the parameter a is a object", id="object"),
        pytest.param("SELECT ?", ["\ud800"], "half of a surrogate pair", id="surrogate"),
        pytest.param("SELECT ?", [[["hunter2"]]], "the parameter 1 is a list", id="nested"),
        pytest.param("SELECT ?", [], "1 placeholders and was given 0", id="too few"),
        pytest.param("SELECT ?", ["hunter2", 2], "was given 2", id="too many"),
        pytest.param("SELECT $1", None, "are no placeholders", id="dollar"),
        pytest.param("SELECT $1, ?", ["hunter2"], "are no placeholders", id="dollar beside"),
        pytest.param("SELECT :1", None, "are no placeholders", id="colon and digit"),
        pytest.param("SELECT json_extract('{}', ?)", ["hunter2"], "while it ran", id="json path"),
        pytest.param("SELECT ?", "hunter2", "expected parameters in a list", id="text"),
        pytest.param("SELECT ?", 5, "expected parameters in a list", id="number"),
        pytest.param("SELECT :a", {1: 2}, "names of parameters as str", id="names"),
        pytest.param("SELECT 1; DROP TABLE users", None, "one statement a call", id="two"),
        pytest.param("", None, "empty", id="empty"),
        pytest.param("SELECT FROM WHERE", None, "syntax error", id="syntax"),
        pytest.param("SELECT * FROM nowhere", None, "no such table", id="table"),
        pytest.param("SELECT 1 AS a, 2 AS a", None, "two columns", id="columns"),
        pytest.param("DELETE FROM users", None, "use execute", id="no rows"),
        pytest.param("BEGIN", None, "use execute", id="begin"),
    ],
)
def test_a_mistake_is_named_and_no_value_shown(db, statement, given, said):
    with pytest.raises((StatementError, UnstorableValue), match=said) as caught:
        db.query(statement, given)
    assert "hunter2" not in str(caught.value)
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


def test_a_statement_is_text_or_composed(db):
    with pytest.raises(TypeError, match="expected a statement as a str"):
        db.query(b"SELECT 1")
    order = ident("name", allowed=["id", "name"])
    found = db.query(sql("SELECT name FROM users ORDER BY {} DESC", order))
    assert [row.name for row in found] == ["bob", "ann"]
    with pytest.raises(StatementError, match="expected one of these names: id, name"):
        ident("name; DROP TABLE users", allowed=["id", "name"])
    with pytest.raises(TypeError, match="expected names that ident"):
        sql("SELECT {}", "name")
    assert db.query_one(insecure_raw("SELECT 1 AS a")) == {"a": 1}
    found = db.query("SELECT name FROM users WHERE id IN (?) ORDER BY id", [[1, 2, 3]])
    assert len(found) == 2
    assert not db.query("SELECT name FROM users WHERE id IN (?)", [[]])


def test_one_row_or_none(db):
    assert db.query_one("SELECT name FROM users WHERE id = 2") == {"name": "bob"}
    assert db.query_one("SELECT name FROM users WHERE id = 3") is None
    with pytest.raises(StatementError, match="expected one row, found 2"):
        db.query_one("SELECT name FROM users")


def test_what_was_done_is_counted_and_rules_are_kept(db):
    done = db.execute("INSERT INTO users (name) VALUES ('eve')")
    assert (done.rows, done.last_id) == (1, 3)
    assert db.execute("UPDATE users SET age = 1").rows == 3
    with pytest.raises(IntegrityError, match=r"users\.name") as caught:
        db.execute("INSERT INTO users (name) VALUES (?)", ["ann"])
    assert "'ann'" not in str(caught.value)
    with pytest.raises(IntegrityError):
        db.execute_many("INSERT INTO users (name) VALUES (?)", [["zoe"], ["ann"]])
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 3}


def test_a_transaction_keeps_all_or_nothing(db):
    def count():
        return db.query_one("SELECT count(*) AS n FROM users").n

    with db.transaction() as transaction:
        transaction.execute("INSERT INTO users (name) VALUES ('eve')")
        assert count() == 2
        assert transaction.query_one("SELECT count(*) AS n FROM users").n == 3
    assert count() == 3

    def fails():
        with db.transaction() as transaction:
            transaction.execute("DELETE FROM users")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert count() == 3
    with pytest.raises(StatementError, match="is over"):
        transaction.query("SELECT 1")
    assert db.stats().in_use == 0


def test_awaited_forms_do_the_same_and_a_cancelled_caller_keeps_nothing(db):
    async def main():
        assert (await db.aquery_one("SELECT name FROM users WHERE id = ?", [1])).name == "ann"
        assert len(await db.aquery("SELECT * FROM users")) == 2
        await db.aexecute("UPDATE users SET age = 50 WHERE id = 1")
        await db.aexecute_many("INSERT INTO users (name) VALUES (?)", [["eve"]])
        await db.aping()
        async with db.atransaction() as transaction:
            await transaction.execute("DELETE FROM users WHERE id = 1")
            assert await transaction.query_one("SELECT * FROM users WHERE id = 1") is None

        async def long():
            async with db.atransaction() as transaction:
                await transaction.execute("DELETE FROM users")
                await asyncio.sleep(60)

        task = asyncio.create_task(long())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [row.name for row in db.query("SELECT name FROM users ORDER BY id")] == ["bob", "eve"]
    assert db.stats().in_use == 0


def test_increments_of_many_threads_lose_nothing(db):
    db.execute("CREATE TABLE counter (n INTEGER)")
    db.execute("INSERT INTO counter VALUES (0)")

    def work():
        for _ in range(250):
            with db.transaction() as transaction:
                number = transaction.query_one("SELECT n FROM counter").n
                transaction.execute("UPDATE counter SET n = ?", [number + 1])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.query_one("SELECT n FROM counter") == {"n": 2000}


def test_migrations_run_once(db):
    steps = [("notes", "CREATE TABLE notes (id INTEGER PRIMARY KEY)")]
    assert db.migrate(steps) == 1
    steps.append(("text", "ALTER TABLE notes ADD COLUMN text TEXT"))
    assert db.migrate(steps) == 1
    assert db.migrate(steps) == 0
    with pytest.raises(StatementError, match="is another one now"):
        db.migrate([("notes", "CREATE TABLE other (id)"), steps[1]])


@pytest.mark.parametrize(
    ("url", "options", "path"),
    [
        pytest.param("app.db", {}, "database.url", id="no scheme"),
        pytest.param("sqlite://app.db", {}, "database.url", id="two slashes"),
        pytest.param("sqlite:///", {}, "database.url", id="empty path"),
        pytest.param("sqlite://", {}, "database.url", id="nothing"),
        pytest.param("postgresql://ann:hunter2@host/db", {}, "database.url", id="postgresql"),
        pytest.param("sqlite:///a.db", {"pool_size": 0}, "database.pool_size", id="no pool"),
        pytest.param("sqlite:///a.db", {"patience": -1}, "database.patience", id="patience"),
        pytest.param("sqlite:///a.db", {"patience": float("nan")}, "database.patience", id="nan"),
    ],
)
def test_what_is_wrong_with_a_database_is_named_at_once(url, options, path):
    with pytest.raises(ConfigurationError) as caught:
        Database(url, **options)
    assert [name for name, _ in caught.value.errors] == [path]
    assert "hunter2" not in str(caught.value)


class User(BaseModel):
    id: int
    name: str


@dataclass
class Plain:
    name: str


class Typed(TypedDict):
    name: str


def answering(db, statement, annotation):
    app = API()

    def handler():
        return db.query(statement)

    handler.__annotations__["return"] = annotation
    app.get("/")(handler)
    with TestClient(app) as client:
        return client.get("/")


ONE = "SELECT * FROM users WHERE id = 1"
ALL = "SELECT * FROM users ORDER BY id"
NONE = "SELECT * FROM users WHERE id = 0"
ANN = {"id": 1, "name": "ann", "age": 40}
BOB = {"id": 2, "name": "bob", "age": None}


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        pytest.param(dict, ANN, id="dict"),
        pytest.param(dict[str, object], ANN, id="dict of"),
        pytest.param(dict | None, ANN, id="dict or none"),
        pytest.param(Row, ANN, id="row"),
        pytest.param(Mapping[str, object], ANN, id="mapping"),
        pytest.param(Annotated[dict, "note"], ANN, id="annotated"),
        pytest.param(User, {"id": 1, "name": "ann"}, id="model"),
        pytest.param(Plain, {"name": "ann"}, id="dataclass"),
        pytest.param(Typed, {"name": "ann"}, id="typeddict"),
    ],
)
def test_an_annotation_for_one_object_answers_with_the_one_row(db, annotation, body, caplog):
    found = answering(db, ONE, annotation)
    assert (found.status_code, found.json()) == (200, body)
    none = answering(db, NONE, annotation)
    assert none.status_code == 404
    assert none.headers["content-type"] == "application/problem+json"
    several = answering(db, ALL, annotation)
    assert several.status_code == 500
    assert "ann" not in several.text
    assert "returned 2 rows" in caplog.text
    assert "bob" not in caplog.text


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        pytest.param(list, [ANN, BOB], id="list"),
        pytest.param(object, [ANN, BOB], id="object"),
        pytest.param(Rows, [ANN, BOB], id="rows"),
        pytest.param(list[dict], [ANN, BOB], id="list of dicts"),
        pytest.param(list[User], [{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}], id="models"),
    ],
)
def test_any_other_annotation_answers_with_the_list(db, annotation, body):
    found = answering(db, ALL, annotation)
    assert (found.status_code, found.json()) == (200, body)
    assert answering(db, NONE, annotation).json() == []


def test_rows_may_stand_inside_what_is_returned(db):
    app = API()

    @app.get("/")
    async def handler() -> dict:
        return {"users": await db.aquery(ALL), "first": (await db.aquery(ONE))[0]}

    @app.get("/created")
    def created() -> tuple[dict, int]:
        return db.query(ONE), 201

    with TestClient(app) as client:
        assert client.get("/").json() == {"users": [ANN, BOB], "first": ANN}
        answer = client.get("/created")
        assert (answer.status_code, answer.json()) == (201, ANN)


def test_a_database_that_cannot_be_asked_is_503_and_a_mistake_is_500(tmp_path, caplog):
    (tmp_path / "text.db").write_text("no database at all " * 100)
    db = Database(f"sqlite:///{tmp_path}/text.db", patience=0.05)
    app = API()

    @app.get("/")
    def handler() -> list:
        return db.query("SELECT * FROM secret_table")

    @app.get("/wrong")
    def wrong() -> list:
        return Database("sqlite://:memory:").query("SELECT hunter2")

    with TestClient(app) as client:
        answer = client.get("/")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["type"].endswith("database_unavailable")
        assert "text.db" not in answer.text
        wrong = client.get("/wrong")
        assert wrong.status_code == 500
        assert "hunter2" not in wrong.text
    assert "text.db" in caplog.text
    with pytest.raises(DatabaseUnavailable, match=r"text\.db"):
        db.ping()


def test_a_locked_database_is_503_and_recovers(tmp_path):
    path = tmp_path / "app.db"
    db = Database(f"sqlite:///{path}", patience=0.05)
    db.execute("CREATE TABLE t (a)")
    other = Database(f"sqlite:///{path}")
    writing = other.transaction()
    with pytest.raises(DatabaseUnavailable, match="locked"):
        db.execute("INSERT INTO t VALUES (1)")
    assert db.query("SELECT * FROM t") == []
    writing.commit()
    assert db.execute("INSERT INTO t VALUES (1)").rows == 1
    stats = db.stats()
    assert (stats.size, stats.in_use, stats.waiting) == (16, 0, 0)


def test_a_value_that_no_column_holds_is_the_clients_mistake_where_a_client_sent_it(db):
    app = API()

    @app.get("/users/{user_id}")
    def user(user_id: int) -> dict:
        return db.query("SELECT name FROM users WHERE id = ?", [user_id])

    @app.get("/decimal")
    def wrong() -> dict:
        return db.query("SELECT name FROM users WHERE id = ?", [decimal.Decimal(1)])

    with TestClient(app) as client:
        for path in (f"/users/{2**63}", f"/users/{-(2**63) - 1}", "/users/" + "9" * 40):
            answer = client.get(path)
            assert answer.status_code == 422
            assert answer.json()["type"].endswith("unstorable_value")
        assert client.get(f"/users/{2**63 - 1}").status_code == 404
        # A type is the program's mistake.
        assert client.get("/decimal").status_code == 500

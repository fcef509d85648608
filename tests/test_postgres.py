"""PostgreSQL: what is its own, on a server that the tests start."""

from __future__ import annotations

import datetime
import threading
import time
import uuid

import pytest

from apifrom.database import (
    Database,
    DatabaseUnavailable,
    IntegrityError,
    StatementError,
    UnstorableValue,
    insecure_raw,
)
from tests.certificates import signed
from tests.database_server import PASSWORD


@pytest.fixture
def db(postgres_url):
    db = Database(postgres_url)
    db.execute("CREATE TABLE users (id SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INT)")
    db.execute_many("INSERT INTO users (name, age) VALUES (?, ?)", [("ann", 40), ("bob", None)])
    yield db
    db.close()


UUID = uuid.UUID(int=7)
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("kind", "given", "back"),
    [
        ("smallint", 2**15 - 1, 2**15 - 1),
        ("integer", -(2**31), -(2**31)),
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("bigint", -(2**63), -(2**63)),
        ("numeric", 5, "5"),
        ("numeric", 0.1, "0.1"),
        ("numeric", "-12345678901234567890.00012300", "-12345678901234567890.00012300"),
        ("numeric", "0.00001", "0.00001"),
        ("numeric", "100000000", "100000000"),
        ("real", 0.5, 0.5),
        ("real", 16777216, 16777216.0),
        ("double precision", 0.1, 0.1),
        ("double precision", 1.7976931348623157e308, 1.7976931348623157e308),
        ("double precision", 5e-324, 5e-324),
        ("double precision", 3, 3.0),
        ("boolean", True, True),
        ("boolean", 0, False),
        ("integer", True, 1),
        ("text", "\u00e4\n\\'\"$1?", "\u00e4\n\\'\"$1?"),
        ("text", "", ""),
        ("varchar(3)", "abc", "abc"),
        ("bytea", b"\x00\xff", b"\x00\xff"),
        ("bytea", b"", b""),
        ("date", datetime.date(2024, 2, 29), "2024-02-29"),
        ("date", datetime.date(1, 1, 1), "0001-01-01"),
        ("date", datetime.date(9999, 12, 31), "9999-12-31"),
        ("time", datetime.time(3, 4), "03:04:00"),
        ("timestamp", MOMENT.replace(tzinfo=None), "2026-01-02T03:04:05.000006"),
        ("timestamptz", MOMENT, MOMENT.isoformat()),
        ("timestamptz", "1969-12-31 23:00:00-02", "1970-01-01T01:00:00+00:00"),
        ("uuid", UUID, str(UUID)),
        ("json", '{"a": [1]}', '{"a": [1]}'),
        ("jsonb", '{"a":[1]}', '{"a": [1]}'),
        ("integer", None, None),
        ("text", None, None),
    ],
)
def test_values_go_to_columns_of_each_type_and_come_back(db, kind, given, back):
    found = db.query_one(f"SELECT CAST(? AS {kind}) AS v", [given])
    assert found == {"v": back}
    assert type(found["v"]) is type(back)
    db.execute(f"CREATE TABLE kept (v {kind})")
    db.execute("INSERT INTO kept VALUES (:v)", {"v": given})
    assert db.query_one("SELECT v FROM kept") == {"v": back}


@pytest.mark.parametrize(
    ("kind", "given", "error"),
    [
        ("smallint", 2**15, UnstorableValue),
        ("integer", 2**31, UnstorableValue),
        ("bigint", 2**63, UnstorableValue),
        ("real", 1e300, UnstorableValue),
        ("real", 16777217, UnstorableValue),
        ("double precision", 2**53 + 1, UnstorableValue),
        ("double precision", float("nan"), UnstorableValue),
        ("date", "hunter2", UnstorableValue),
        ("date", "2026-02-30", UnstorableValue),
        ("uuid", "hunter2", UnstorableValue),
        ("jsonb", "{hunter2", UnstorableValue),
        ("integer", "hunter2", UnstorableValue),
        ("text", "hunter2\0", UnstorableValue),
        ("integer", 0.5, StatementError),
        ("boolean", 2, StatementError),
        ("text", 5, StatementError),
        ("text", b"hunter2", StatementError),
        ("bytea", "hunter2", StatementError),
        ("date", 5, StatementError),
    ],
)
def test_what_a_type_does_not_hold_is_refused_without_the_value(db, kind, given, error):
    with pytest.raises(error) as caught:
        db.query(f"SELECT CAST(? AS {kind}) AS v", [given])
    assert "hunter2" not in str(caught.value)
    # The connection is as good as before.
    assert db.query_one("SELECT 1 AS a") == {"a": 1}
    assert db.stats().open == 1


@pytest.mark.parametrize(
    ("statement", "given", "back"),
    [
        ("SELECT '?' AS v", None, "?"),
        ("SELECT $$ ? ' :a $$ AS v", None, " ? ' :a "),
        ("SELECT $t$ $$ ? $t$ AS v", None, " $$ ? "),
        (r"SELECT E'\'?' AS v", None, "'?"),
        (r"SELECT '\' || ? AS v", ["x"], "\\x"),
        ("SELECT /* /* ? */ ' */ ? AS v", ["x"], "x"),
        ("SELECT -- ? '\n CAST(? AS text) AS v", ["x"], "x"),
        ("SELECT -- ? '\r CAST(? AS text) AS v", ["x"], "x"),
        ("SELECT (ARRAY[1, ?])[2] AS v", [5], 5),
        ("SELECT ((ARRAY[1, 2, 3])[2:3])[1] AS v", None, 2),
        ("""SELECT '{"a": 1}'::jsonb ?? :k AS v""", {"k": "a"}, True),
        ("""SELECT '{"a": 1}'::jsonb ??| ARRAY[?] AS v""", ["b"], False),
        ("""SELECT '{"a": 1}'::jsonb @> ?::jsonb AS v""", ['{"a":1}'], True),
        ("SELECT :a::text || :a AS v", {"a": "x"}, "xx"),
        ("SELECT 1 AS v WHERE 1=? AND(:a)IS NULL", None, StatementError),
        ("SELECT 5 AS v WHERE 1=?AND 2=2", [1], 5),
        ("SELECT 5 AS v WHERE 1 IN (?)", [[3, 2, 1]], 5),
        ("SELECT 5 AS v WHERE 1 IN ?", [[3, 2, 1]], 5),
        ("SELECT count(*) AS v FROM users WHERE id IN (?)", [[]], 0),
        ("SELECT count(*) AS v FROM users WHERE id NOT IN (?)", [[]], 2),
        ("SELECT count(*) AS v FROM users WHERE name not in ?", [[]], 2),
        ("SELECT count(*) AS v FROM users WHERE id IN (:i) AND id = :n", {"i": [1, 2], "n": 2}, 1),
        ("SELECT coalesce(?) AS v", [[]], StatementError),
        ("SELECT $1 AS v", None, StatementError),
        ("SELECT ?1 AS v", None, StatementError),
        ("SELECT $t$ ? AS v", None, StatementError),
        ("SELECT E'a' \n 'b\\'?' AS v", None, StatementError),
        ("SELECT /* /* */ 1 AS v", None, StatementError),
        ("SELECT 1e'?' AS v", None, StatementError),
        ("SELECT 1 AS v; SELECT 2", None, StatementError),
        ("BEGIN", None, StatementError),
        ("/* x */ commit", None, StatementError),
        ("ROLLBACK", None, StatementError),
        ("COPY users TO STDOUT", None, StatementError),
        ("SELECT * FROM nowhere", None, StatementError),
        ("SELECT ARRAY[1] AS v", None, StatementError),
        ("SELECT 'NaN'::float8 AS v", None, StatementError),
        ("SELECT 1 / 0 AS v", None, StatementError),
    ],
)
def test_placeholders_are_where_the_server_sees_them(db, statement, given, back):
    if isinstance(back, type):
        with pytest.raises(back):
            db.query_one(statement, given)
    else:
        assert db.query_one(statement, given) == {"v": back}
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


def test_injections_are_data(db):
    for text in ("'; DROP TABLE users; --", "' OR '1'='1", "\\'; --", "$$; --", "$1", "{}", "%00"):
        assert db.query_one("SELECT ? AS v", [text]) == {"v": text}
        assert not db.query("SELECT * FROM users WHERE name = ?", [text])
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


def test_what_was_done_is_counted_and_rules_are_kept(db):
    done = db.execute("INSERT INTO users (name) VALUES ('eve') RETURNING id")
    assert (done.rows, done.last_id) == (1, 3)
    assert db.execute("UPDATE users SET age = 1").rows == 3
    assert db.execute("DELETE FROM users WHERE id = 9").last_id == 0
    for statement, said in (
        (
            "INSERT INTO users (name) VALUES (?)",
            "unique is violated in the table users: users_name",
        ),
        (
            "INSERT INTO users (name, age) VALUES (nullif(?, 'ann'), 5)",
            "not null is .* users: name",
        ),
    ):
        with pytest.raises(IntegrityError, match=said) as caught:
            db.execute(statement, ["ann"])
        assert "'ann'" not in str(caught.value)
        assert "(ann)" not in str(caught.value)


def test_what_a_trigger_says_is_not_shown(db):
    db.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'not %', NEW.name; END $$"
    )
    db.execute("CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(StatementError, match="P0001") as caught:
        db.execute("INSERT INTO users (name) VALUES (?)", ["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_a_failed_statement_ends_what_its_transaction_did(db):
    transaction = db.transaction()
    transaction.execute("DELETE FROM users")
    with pytest.raises(IntegrityError):
        transaction.execute("INSERT INTO users (id, name) VALUES (9, 'x'), (9, 'y')")
    with pytest.raises(StatementError, match="nothing of it is kept"):
        transaction.commit()
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    with db.transaction() as transaction:
        transaction.execute("SAVEPOINT here")
        with pytest.raises(IntegrityError):
            transaction.execute("INSERT INTO users (name) VALUES ('ann')")
        transaction.execute("ROLLBACK TO here")
        transaction.execute("INSERT INTO users (name) VALUES ('eve')")
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 3}
    assert (db.stats().open, db.stats().in_use) == (1, 0)


def test_a_transaction_that_nobody_ends_is_undone(db):
    transaction = db.transaction()
    transaction.execute("DELETE FROM users")
    del transaction
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    assert db.stats().in_use == 0


@pytest.mark.parametrize("given", ["id, tags", "id AS a, id AS a"])
def test_what_cannot_be_answered_is_not_done(db, given):
    db.execute("CREATE TABLE tagged (id INT, tags TEXT[])")
    with pytest.raises(StatementError):
        db.query(insecure_raw(f"INSERT INTO tagged VALUES (1, '{{a}}') RETURNING {given}"))
    assert not db.query("SELECT id FROM tagged")
    db.execute("INSERT INTO tagged VALUES (1, ?)", ["{a,b}"])
    assert db.query_one("SELECT tags::text FROM tagged") == {"tags": "{a,b}"}


def test_a_changed_table_is_planned_anew(db):
    assert db.query_one("SELECT * FROM users WHERE id = 1").age == 40
    db.execute("ALTER TABLE users ALTER COLUMN age TYPE text")
    assert db.query_one("SELECT * FROM users WHERE id = 1").age == "40"


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path = foo",
        "SET SESSION search_path = foo",
        "set /* x */ role pg_read_all_data",
        "SET standard_conforming_strings = off",
        "SET local.x = 'y'",
        "LISTEN here",
        "PREPARE p AS SELECT 1",
        "DEALLOCATE ALL",
    ],
)
def test_what_would_change_the_connection_for_others_is_refused(db, statement):
    with pytest.raises(StatementError, match=r"others have as well|not supported"):
        db.execute(statement)
    with db.transaction() as transaction, pytest.raises(StatementError):
        transaction.execute(statement)
    assert db.query_one("SHOW search_path") == {"search_path": '"$user", public'}
    assert db.stats().open == 1


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        (
            "SELECT set_config('search_path', 'foo', false) AS v",
            "SELECT current_setting('search_path') = 'foo' AS v",
        ),
        (
            "CREATE TEMP TABLE mine (id int)",
            "SELECT to_regclass('mine') IS NOT NULL AS v",
        ),
        (
            "SELECT 1 AS a INTO TEMP mine",
            "SELECT to_regclass('mine') IS NOT NULL AS v",
        ),
        (
            "SELECT pg_advisory_lock(5)",
            "SELECT count(*) > 0 AS v FROM pg_locks WHERE locktype = 'advisory'",
        ),
        (
            "DO $$ BEGIN SET ROLE pg_read_all_data; END $$",
            "SELECT current_user <> session_user AS v",
        ),
        (
            "CALL leave()",
            "SELECT current_setting('search_path') = 'foo' AS v",
        ),
        (
            "UPDATE pg_settings SET setting = 'foo' WHERE name = 'search_path'",
            "SELECT current_setting('search_path') = 'foo' AS v",
        ),
    ],
)
@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_what_a_statement_leaves_reaches_nobody_else(db, statement, left, is_in_transaction):
    db.execute(
        "CREATE PROCEDURE leave() LANGUAGE plpgsql AS $$ BEGIN SET search_path = foo; END $$"
    )
    if is_in_transaction:
        with db.transaction() as transaction:
            transaction.execute(insecure_raw(statement))
    else:
        db.execute(insecure_raw(statement))
    # The server may take a moment to notice that a connection is gone.
    deadline = time.monotonic() + 10
    while db.query_one(insecure_raw(left)).v and time.monotonic() < deadline:
        time.sleep(0.02)
    assert db.query_one(insecure_raw(left)) == {"v": False}
    assert db.stats().in_use == 0


def test_what_a_migration_leaves_reaches_nobody_else(db):
    db.migrate([("first", "SET lock_timeout = 77; CREATE TEMP TABLE mine (id int)")])
    assert db.query_one("SELECT to_regclass('mine') IS NULL AS v") == {"v": True}
    assert db.query_one("SHOW lock_timeout") == {"lock_timeout": "5s"}


def test_settings_of_a_transaction_end_with_it_and_keep_the_connection(db):
    number = db.query_one("SELECT pg_backend_pid() AS v").v
    with db.transaction() as transaction:
        transaction.execute("SET LOCAL search_path = foo")
        transaction.execute("SET CONSTRAINTS ALL DEFERRED")
        transaction.query("SELECT set_config('app.user', ?, true)", ["ann"])
        found = transaction.query_one(
            "SELECT current_setting('app.user') AS u, current_setting('search_path') AS p"
        )
        assert found == {"u": "ann", "p": "foo"}
    found = db.query_one(
        "SELECT coalesce(current_setting('app.user', true), '') AS u, pg_backend_pid() AS v"
    )
    assert found == {"u": "", "v": number}
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


def test_what_all_connections_need_stands_in_the_url(postgres_url):
    db = Database(f"{postgres_url}?options=-c%20search_path%3Dfoo")
    assert db.query_one("SHOW search_path") == {"search_path": "foo"}
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL standard_conforming_strings = off",
        "SELECT set_config('standard_conforming_strings', 'off', true) AS v",
        "SELECT hide() AS v",
    ],
)
def test_nothing_is_asked_where_the_server_reads_texts_in_another_way(db, statement):
    db.query("SELECT set_config('standard_conforming_strings', 'off', false) AS v")
    assert db.query_one("SHOW standard_conforming_strings")[0] == "on"
    db.execute(
        "CREATE FUNCTION hide() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN SET LOCAL standard_conforming_strings = off; RETURN 1; END $$"
    )
    transaction = db.transaction()
    transaction.execute(insecure_raw(statement))
    with pytest.raises(StatementError, match="standard_conforming_strings"):
        transaction.query(r"SELECT '\' AS a, ? AS b", [" , 1 AS c --"])
    transaction.rollback()
    assert db.query_one(r"SELECT '\' AS a, ? AS b", ["x"]) == {"a": "\\", "b": "x"}


def test_migrations_run_once_though_many_start(postgres_url):
    steps = [
        ("notes", "CREATE TABLE notes (id INTEGER); INSERT INTO notes VALUES (1)"),
        ("text", "ALTER TABLE notes ADD COLUMN text TEXT"),
    ]
    counts = []

    def work():
        db = Database(postgres_url)
        counts.append(db.migrate(steps))
        db.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 2
    db = Database(postgres_url)
    assert db.query_one("SELECT count(*) AS n FROM notes") == {"n": 1}
    with pytest.raises(StatementError, match="is another one now"):
        db.migrate([("notes", "CREATE TABLE other (id int)"), steps[1]])
    with pytest.raises(StatementError, match='the migration "bad"'):
        db.migrate([*steps, ("bad", "CREATE TABLE half (id int); SELECT FROM FROM")])
    with pytest.raises(StatementError, match="ends the transaction"):
        db.migrate([*steps, ("ending", "COMMIT")])
    assert db.migrate(steps) == 0
    assert db.query_one("SELECT to_regclass('half') IS NULL AS v") == {"v": True}
    db.close()


def test_a_server_must_prove_who_it_is(postgres, tmp_path):
    ours, others = signed(tmp_path, "ours"), signed(tmp_path, "others")
    signed(tmp_path, "server", by="ours", host="localhost")
    postgres.speak_tls(tmp_path / "server.pem", tmp_path / "server.key")
    try:
        local = postgres.url().replace("127.0.0.1", "localhost")
        for options in (f"?sslrootcert={ours}", f"?sslmode=verify-full&sslrootcert={ours}"):
            db = Database(local + options)
            shown = db.query_one("SELECT ssl, version FROM pg_stat_ssl WHERE pid=pg_backend_pid()")
            assert (shown.ssl, shown.version) == (True, "TLSv1.3")
            db.close()
        before = postgres.log()
        for url, said in (
            (f"{local}?sslrootcert={others}", "UnknownIssuer|invalid peer certificate"),
            (f"{local}?sslmode=verify-full", "UnknownIssuer|invalid peer certificate"),
            # The name in the certificate is another.
            (f"{postgres.url()}?sslrootcert={ours}", "not valid for name|NotValidForName"),
        ):
            db = Database(url, patience=2)
            with pytest.raises(DatabaseUnavailable, match=said) as caught:
                db.ping()
            assert PASSWORD not in str(caught.value)
            assert (db.stats().open, db.stats().in_use) == (0, 0)
        # Nobody was let so far as to be asked for a password.
        assert "authentication" not in postgres.log().removeprefix(before)
    finally:
        postgres.speak_plainly()
